import { isIPv6 } from 'node:net';
import type { Clock } from '#kit/clock.ts';

/**
 * Who may open a socket now. An agent of generation A that loses its hub for a quarter of an hour dials without any
 * pause from then on, and only a refused upgrade slows it down (Swan contract 1.6, dangers 1 and 3).
 *
 * Each address may open `burst` sockets at once and one every `everyMs` after that. A registration gives back what its
 * socket took, so a provider with many nodes behind one address comes in as fast as its nodes register; a registered
 * session that ends within `shortLifeMs` takes it again, so two machines that keep evicting each other are slowed down
 * as well.
 *
 * The table is bounded. A full one forgets the address that was seen longest ago.
 */
export class Admission {
  readonly #clock: Clock;
  readonly #settings: AdmissionSettings;
  readonly #addresses = new Map<string, Entry>();

  constructor(clock: Clock, settings: AdmissionSettings) {
    this.#clock = clock;
    this.#settings = settings;
  }

  /** Asks for a socket. `refused` says after how many seconds to ask again. */
  ask(address: string): { admitted: true } | { admitted: false; retryAfterS: number } {
    if (this.#exempt(address)) return { admitted: true };
    const entry = this.#entry(address);
    if (entry.sockets >= this.#settings.socketsPerAddressMax) {
      return { admitted: false, retryAfterS: Math.ceil(this.#settings.everyMs / 1_000) };
    }
    if (entry.left < 1) {
      const waitMs = (1 - entry.left) * this.#settings.everyMs;
      return { admitted: false, retryAfterS: Math.max(1, Math.ceil(waitMs / 1_000)) };
    }
    entry.left -= 1;
    entry.sockets += 1;
    return { admitted: true };
  }

  /** The socket has registered: what it took is given back. */
  registered(address: string): void {
    if (this.#exempt(address)) return;
    const entry = this.#entry(address);
    entry.left = Math.min(this.#settings.burst, entry.left + 1);
  }

  /** The socket is gone; `registeredForMs` is undefined when it never registered. */
  closed(address: string, registeredForMs: number | undefined): void {
    if (this.#exempt(address)) return;
    const entry = this.#entry(address);
    entry.sockets = Math.max(0, entry.sockets - 1);
    if (registeredForMs !== undefined && registeredForMs < this.#settings.shortLifeMs) {
      entry.left = Math.max(0, entry.left - 1);
    }
  }

  /** How many addresses are remembered. */
  get size(): number {
    return this.#addresses.size;
  }

  #entry(address: string): Entry {
    const key = networkOf(address);
    const nowMs = this.#clock.nowMs();
    let entry = this.#addresses.get(key);
    if (entry) {
      this.#addresses.delete(key);
      entry.left = Math.min(this.#settings.burst, entry.left + (nowMs - entry.atMs) / this.#settings.everyMs);
      entry.atMs = nowMs;
    } else entry = { left: this.#settings.burst, atMs: nowMs, sockets: 0 };
    this.#addresses.set(key, entry);
    if (this.#addresses.size > this.#settings.addressesMax) {
      for (const oldest of this.#addresses.keys()) {
        this.#addresses.delete(oldest);
        break;
      }
    }
    return entry;
  }

  #exempt(address: string): boolean {
    return this.#settings.exemptLoopback && LOOPBACK.test(address);
  }
}

export interface AdmissionSettings {
  readonly burst: number;
  readonly everyMs: number;
  readonly shortLifeMs: number;
  readonly socketsPerAddressMax: number;
  readonly addressesMax: number;
  /** For benchmarks with many agents on one machine. Never behind a proxy: everybody would be exempt. */
  readonly exemptLoopback: boolean;
}

export const DEFAULT_ADMISSION: AdmissionSettings = {
  burst: 5,
  everyMs: 5_000,
  shortLifeMs: 10_000,
  socketsPerAddressMax: 256,
  addressesMax: 10_000,
  exemptLoopback: false,
};

interface Entry {
  left: number;
  atMs: number;
  sockets: number;
}

const LOOPBACK = /^(?:127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+)$/;

/** One household: an IPv4 address, or the first 64 bits of an IPv6 one (whoever has one has all below it). */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped) return mapped[1] as string;
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.split('::');
  const groups = head.split(':').filter((group) => group !== '');
  if (tail !== undefined) {
    const behind = tail.split(':').filter((group) => group !== '');
    while (groups.length + behind.length < 8) groups.push('0');
    groups.push(...behind);
  }
  return `${groups.slice(0, 4).join(':')}::/64`;
}
