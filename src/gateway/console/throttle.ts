import { isIP } from 'node:net';
import { LRUCache } from 'lru-cache';
import { Fault } from '#kit/fault.ts';

/**
 * Slows down whoever tries again and again: so many tries at once, then one each `everyMs`. What is remembered is bounded:
 * somebody who was not seen for longest is forgotten first, which takes as many names as `REMEMBERED`.
 */
export class Throttle {
  readonly #burst: number;
  readonly #everyMs: number;
  /** By name: when the next try would be due if they came evenly. Monotonic milliseconds. */
  readonly #dueMs = new LRUCache<string, number>({ max: REMEMBERED });

  constructor(rate: { burst: number; everyMs: number }) {
    this.#burst = rate.burst;
    this.#everyMs = rate.everyMs;
  }

  /** Seconds until `name` may try; 0 when it may now. */
  waitS(name: string, nowMs: number): number {
    const due = Math.max(nowMs, this.#dueMs.get(name) ?? 0);
    const wait = due - nowMs - (this.#burst - 1) * this.#everyMs;
    return wait <= 1e-6 ? 0 : Math.max(1, Math.ceil(wait / 1000));
  }

  /** Notes a try. */
  note(name: string, nowMs: number): void {
    this.#dueMs.set(name, Math.max(nowMs, this.#dueMs.get(name) ?? 0) + this.#everyMs);
  }

  /** Notes a try, where `name` may try now. Throws `Fault('tried-too-often')` otherwise. */
  take(name: string, nowMs: number): void {
    const waitS = this.waitS(name, nowMs);
    if (waitS > 0) throw new Fault('tried-too-often', { retryAfterS: waitS });
    this.note(name, nowMs);
  }

  /** Takes a try back. */
  forgive(name: string): void {
    const due = this.#dueMs.get(name);
    if (due !== undefined) this.#dueMs.set(name, due - this.#everyMs);
  }
}

const REMEMBERED = 50_000;

/** An address as one caller: of IPv6 the first 64 bits, which is what one household is given. */
export function callerOf(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = address.toLowerCase().split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const after = tail === '' ? [] : tail.split(':');
    while (groups.length + after.length < 8) groups.push('0');
    groups.push(...after);
  }
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`;
}
