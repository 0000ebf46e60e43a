import type { Pico } from '#domain/money.ts';
import type { KeyRecord } from '#domain/party.ts';
import { dayOf, dayStart, monthOf, monthStart } from '#domain/window.ts';
import type { Clock } from '#kit/clock.ts';
import type { Pot, Pots } from '#shared/pots.ts';
import {
  atLeastZero,
  type CapsLeft,
  type CapVerdict,
  familyOf,
  isCapped,
  type SpendCaps,
} from './spend-caps.ts';

/**
 * Spend caps that several gateways keep together: for each day and month of a family one pot (`#shared/pots.ts`) of what
 * may be spent in it. As in `MemoryCaps`, charged in a window + reserved ≤ cap, at every reservation, over all gateways.
 *
 * Pots hold whole nano-dollars: a reservation is rounded up and a charge too, so a cap may end up to a nano-dollar per
 * request early, and never late. A request that may end in another day or month than it began in reserves in both.
 *
 * A key's spending is counted from the start of the process, with or without a cap; what was spent before is read from the
 * usage list by the gateway that served it, at the first request of a key with a cap.
 */
export class SharedCaps implements SpendCaps {
  readonly #clock: Clock;
  readonly #pots: Pots;
  readonly #read: ReadSpendingByInstance;
  readonly #startedAt: number;
  readonly #requestMsMax: number;
  /** By family and window: what this process charged. */
  readonly #counted = new Map<string, { nano: number; untilMs: number }>();
  readonly #families = new Map<string, string>();
  readonly #reservedIn = new Map<string, Reservation[]>();

  constructor(parts: {
    clock: Clock;
    pots: Pots;
    read: ReadSpendingByInstance;
    /** The longest that a request can take. */
    requestMsMax: number;
  }) {
    this.#clock = parts.clock;
    this.#pots = parts.pots;
    this.#read = parts.read;
    this.#startedAt = parts.clock.wallMs();
    this.#requestMsMax = parts.requestMsMax;
  }

  reserve(key: KeyRecord, amount: Pico): CapVerdict | Promise<CapVerdict | 'unavailable'> {
    this.#note(key);
    if (!isCapped(key)) return true;
    const now = this.#clock.wallMs();
    const nano = nanoUp(amount);
    const later = now + this.#requestMsMax;
    const pots = [...this.#potsOf(key, now), ...this.#potsOf(key, later)].filter(
      (pot, i, all) => all.findIndex(({ name }) => name === pot.name) === i,
    );
    return this.#takeAll(key, { amount, nano, pots, taken: [] });
  }

  settle(key: KeyRecord, reserved: Pico, charged: Pico): void {
    this.#note(key);
    const now = this.#clock.wallMs();
    const nano = nanoUp(charged);
    const reservation = this.#unreserve(key, reserved);
    const windows = windowsOf(familyOf(key), now);
    const counted = new Set(windows.map(({ name }) => name));
    for (const { pot, nano: taken } of reservation?.taken ?? []) {
      const spent = counted.delete(pot.name) ? nano : 0;
      this.#pots.settle(pot, taken, Math.min(spent, taken));
    }
    for (const window of windows) {
      this.#count(window, nano);
      if (counted.has(window.name)) this.#pots.noteSpent(window.name, nano);
    }
  }

  left(key: KeyRecord): CapsLeft | undefined {
    if (!isCapped(key)) return undefined;
    const { capDay, capMonth } = key.scope;
    const [day, month] = windowsOf(familyOf(key), this.#clock.wallMs());
    const leftOf = (window: Window, cap: Pico | null): Pico | null | undefined => {
      if (cap === null) return null;
      const left = this.#pots.left(this.#pot(window, cap, key));
      return left === undefined ? undefined : atLeastZero(BigInt(left) * PICO_PER_NANO);
    };
    const ofDay = leftOf(day, capDay);
    const ofMonth = leftOf(month, capMonth);
    return ofDay === undefined || ofMonth === undefined ? undefined : { day: ofDay, month: ofMonth };
  }

  refunded(keyId: string, chargedAt: number, refund: Pico): void {
    const familyId = this.#families.get(keyId) ?? keyId;
    const current = new Set(windowsOf(familyId, this.#clock.wallMs()).map(({ name }) => name));
    // Rounded down: a cap never gives more back than was taken.
    const nano = Number(refund / PICO_PER_NANO);
    for (const window of windowsOf(familyId, chargedAt)) {
      if (!current.has(window.name)) continue;
      this.#count(window, -nano);
      this.#pots.noteSpent(window.name, -nano);
    }
  }

  prepare(key: KeyRecord): void {
    this.#note(key);
    if (!isCapped(key) || key.revoked) return;
    for (const pot of this.#potsOf(key, this.#clock.wallMs())) void this.#pots.prepare(pot);
  }

  #takeAll(key: KeyRecord, asked: Asking): CapVerdict | Promise<CapVerdict | 'unavailable'> {
    for (let i = asked.taken.length; i < asked.pots.length; i = asked.taken.length) {
      const pot = asked.pots[i] as Pot;
      const taken = this.#pots.take(pot, asked.nano);
      if (taken instanceof Promise) return taken.then((known) => this.#taken(key, asked, pot, known));
      if (taken < asked.nano) return this.#refuse(asked, pot);
      asked.taken.push({ pot, nano: asked.nano });
    }
    const list = this.#reservedIn.get(key.id) ?? [];
    list.push({ amount: asked.amount, taken: asked.taken });
    this.#reservedIn.set(key.id, list);
    return true;
  }

  #taken(
    key: KeyRecord,
    asked: Asking,
    pot: Pot,
    taken: number | 'unavailable',
  ): CapVerdict | Promise<CapVerdict | 'unavailable'> | 'unavailable' {
    if (taken === asked.nano) {
      asked.taken.push({ pot, nano: asked.nano });
      return this.#takeAll(key, asked);
    }
    const refused = this.#refuse(asked, pot);
    return taken === 'unavailable' ? taken : refused;
  }

  #refuse(asked: Asking, by: Pot): 'day' | 'month' {
    for (const { pot, nano } of asked.taken) this.#pots.settle(pot, nano);
    return by.name.startsWith(DAY) ? 'day' : 'month';
  }

  /** The pots that this very reservation took from; reservations of the same amount are all alike. */
  #unreserve(key: KeyRecord, amount: Pico): Reservation | undefined {
    const list = this.#reservedIn.get(key.id);
    const at = list?.findIndex((each) => each.amount === amount) ?? -1;
    if (!list || at < 0) return undefined;
    const [found] = list.splice(at, 1);
    if (list.length === 0) this.#reservedIn.delete(key.id);
    return found;
  }

  #potsOf(key: KeyRecord & { scope: NonNullable<KeyRecord['scope']> }, at: number): Pot[] {
    const { capDay, capMonth } = key.scope;
    const [day, month] = windowsOf(familyOf(key), at);
    return [
      ...(capDay === null ? [] : [this.#pot(day, capDay, key)]),
      ...(capMonth === null ? [] : [this.#pot(month, capMonth, key)]),
    ];
  }

  #pot({ name, sinceMs, untilMs }: Window, cap: Pico, key: KeyRecord): Pot {
    const familyId = familyOf(key);
    return {
      name,
      size: nanoDown(cap),
      keeps: {
        untilMs,
        read: async () => {
          // Of what is charged from here on, the pot is told.
          const counted = this.#counted.get(name)?.nano ?? 0;
          const { instance, spent } = await this.#read(familyId, {
            since: sinceMs,
            ownBefore: this.#startedAt,
          });
          const byInstance = new Map([...spent].map(([id, amount]) => [id, nanoUp(amount)]));
          return byInstance.set(instance, (byInstance.get(instance) ?? 0) + counted);
        },
      },
    };
  }

  #count({ name, untilMs }: Window, nano: number): void {
    const counted = this.#counted.get(name);
    if (counted) counted.nano += nano;
    else {
      this.#counted.set(name, { nano, untilMs });
      if (this.#counted.size % TIDY_EACH === 0) this.#tidy();
    }
  }

  #tidy(): void {
    const now = this.#clock.wallMs();
    for (const [name, { untilMs }] of this.#counted) if (untilMs < now) this.#counted.delete(name);
  }

  #note(key: KeyRecord): void {
    if (key.familyId !== undefined) this.#families.set(key.id, key.familyId);
  }
}

/**
 * What a family has spent since an instant, by the gateway that served it; of our own, without what was served from
 * `ownBefore` on, which memory knows.
 */
export type ReadSpendingByInstance = (
  familyId: string,
  window: { readonly since: number; readonly ownBefore: number },
) => Promise<{ readonly instance: string; readonly spent: ReadonlyMap<string, Pico> }>;

interface Window {
  readonly name: string;
  readonly sinceMs: number;
  readonly untilMs: number;
}

interface Asking {
  readonly amount: Pico;
  readonly nano: number;
  readonly pots: readonly Pot[];
  readonly taken: { pot: Pot; nano: number }[];
}

interface Reservation {
  readonly amount: Pico;
  readonly taken: readonly { pot: Pot; nano: number }[];
}

const DAY = 'cap-day:';
const PICO_PER_NANO = 1_000n;
const TIDY_EACH = 1_000;

function windowsOf(familyId: string, at: number): [Window, Window] {
  const [day, month] = [dayOf(at), monthOf(at)];
  return [
    { name: `${DAY}${familyId}:${day}`, sinceMs: dayStart(day), untilMs: dayStart(day + 1) },
    { name: `cap-month:${familyId}:${month}`, sinceMs: monthStart(month), untilMs: monthStart(month + 1) },
  ];
}

function nanoUp(amount: Pico): number {
  return Number((amount + PICO_PER_NANO - 1n) / PICO_PER_NANO);
}

function nanoDown(amount: Pico): number {
  return Math.min(Number.MAX_SAFE_INTEGER, Number(amount / PICO_PER_NANO));
}
