import type { Pico } from '#domain/money.ts';
import type { KeyRecord } from '#domain/party.ts';
import { dayOf, dayStart, monthOf, monthStart } from '#domain/window.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import type { Holds } from './inference.ts';

/**
 * What each key may spend in a day and in a month (UTC), exactly, however many requests run at once: a request reserves
 * the most it can cost before it is sent anywhere, and the difference is given back when its charge is known. Spending is
 * counted by *family*: the keys that rotation made of one another share one purse.
 *
 * What must always hold, for each window: charged in it + reserved ≤ cap, at every reservation. A reservation that was
 * made before midnight and charged after it stays reserved across it, so it can overrun neither day.
 *
 * Spending is counted for every key from the start of the process; what was spent before is read from the usage list, for
 * keys with a cap at the start, for one that gets its cap later at its first request (that request waits for it; if the
 * list cannot be read, it is refused). `MemoryCaps` is the memory of one process; several gateways share theirs behind the
 * same face (`shared-caps.ts`).
 */
export interface SpendCaps {
  /** Reserves `amount`. `day` or `month`: that cap does not allow it. */
  reserve(key: KeyRecord, amount: Pico): CapVerdict | Promise<CapVerdict | 'unavailable'>;
  /** Ends a reservation with a charge (zero: without one). */
  settle(key: KeyRecord, reserved: Pico, charged: Pico): void;
  /** What the caps leave now; undefined for a key without caps, or before its spending was read. */
  left(key: KeyRecord): CapsLeft | undefined;
  /** A charge was corrected: the cap gets back what the consumer got back, if it was charged in the window of today. */
  refunded(keyId: string, chargedAt: number, refund: Pico): void;
  /** Reads in advance what a key has spent that was given a cap just now. */
  prepare(key: KeyRecord): void;
}

export type CapVerdict = true | 'day' | 'month';

export interface CapsLeft {
  readonly day: Pico | null;
  readonly month: Pico | null;
}

/** Spending by family since the beginning of the day and of the month, of usage recorded before `before` (where given). */
export type ReadSpending = (
  familyIds: readonly string[],
  window: { readonly daySince: number; readonly monthSince: number; readonly before: number | undefined },
) => Promise<ReadonlyMap<string, Spent>>;

export interface Spent {
  readonly day: Pico;
  readonly month: Pico;
}

interface Purse {
  day: number;
  month: number;
  spentDay: Pico;
  spentMonth: Pico;
  reserved: Pico;
  /** What was spent before this process began is included. */
  complete: boolean;
  reading: Promise<boolean> | undefined;
}

export class MemoryCaps implements SpendCaps {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #read: ReadSpending;
  readonly #startedAt: number;
  readonly #purses = new Map<string, Purse>();
  /** The family of each successor that was used. */
  readonly #families = new Map<string, string>();

  /** Reads what the keys with a cap have spent. Throws when that cannot be read. Call it before anything is served. */
  static async open(parts: {
    clock: Clock;
    log: Logger;
    read: ReadSpending;
    keys: Iterable<KeyRecord>;
  }): Promise<MemoryCaps> {
    const caps = new MemoryCaps(parts);
    const families = new Set<string>();
    for (const key of parts.keys) if (isCapped(key)) families.add(familyOf(key));
    if (families.size > 0) await caps.#complete([...families], undefined);
    return caps;
  }

  private constructor(parts: { clock: Clock; log: Logger; read: ReadSpending }) {
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#read = parts.read;
    this.#startedAt = parts.clock.wallMs();
  }

  reserve(key: KeyRecord, amount: Pico): CapVerdict | Promise<CapVerdict | 'unavailable'> {
    const purse = this.#purseOf(key);
    if (isCapped(key)) {
      if (!purse.complete) return this.#reserveWhenRead(key, purse, amount);
      const { capDay, capMonth } = key.scope;
      const asked = purse.reserved + amount;
      if (capDay !== null && purse.spentDay + asked > capDay) return 'day';
      if (capMonth !== null && purse.spentMonth + asked > capMonth) return 'month';
    }
    purse.reserved += amount;
    return true;
  }

  settle(key: KeyRecord, reserved: Pico, charged: Pico): void {
    const purse = this.#purseOf(key);
    purse.reserved -= reserved;
    purse.spentDay += charged;
    purse.spentMonth += charged;
  }

  left(key: KeyRecord): CapsLeft | undefined {
    if (!isCapped(key)) return undefined;
    const purse = this.#purseOf(key);
    if (!purse.complete) return undefined;
    const { capDay, capMonth } = key.scope;
    return {
      day: capDay === null ? null : atLeastZero(capDay - purse.spentDay - purse.reserved),
      month: capMonth === null ? null : atLeastZero(capMonth - purse.spentMonth - purse.reserved),
    };
  }

  refunded(keyId: string, chargedAt: number, refund: Pico): void {
    const purse = this.#purses.get(this.#families.get(keyId) ?? keyId);
    if (!purse) return;
    this.#roll(purse);
    if (dayOf(chargedAt) === purse.day) purse.spentDay -= refund;
    if (monthOf(chargedAt) === purse.month) purse.spentMonth -= refund;
  }

  prepare(key: KeyRecord): void {
    if (isCapped(key) && !key.revoked) void this.#readOnce(familyOf(key), this.#purseOf(key));
  }

  async #reserveWhenRead(key: KeyRecord, purse: Purse, amount: Pico): Promise<CapVerdict | 'unavailable'> {
    if (!(await this.#readOnce(familyOf(key), purse))) return 'unavailable';
    return await this.reserve(key, amount);
  }

  #readOnce(familyId: string, purse: Purse): Promise<boolean> {
    if (purse.complete) return Promise.resolve(true);
    purse.reading ??= this.#complete([familyId], this.#startedAt)
      .then(() => true)
      .catch((error: unknown) => {
        this.#log.warn({ err: error, family: familyId }, 'What a key has spent could not be read.');
        return false;
      })
      .finally(() => {
        purse.reading = undefined;
      });
    return purse.reading;
  }

  async #complete(familyIds: readonly string[], before: number | undefined): Promise<void> {
    const now = this.#clock.wallMs();
    const [day, month] = [dayOf(now), monthOf(now)];
    const spent = await this.#read(familyIds, {
      daySince: dayStart(day),
      monthSince: monthStart(month),
      before,
    });
    for (const familyId of familyIds) {
      const purse = this.#open(familyId);
      this.#roll(purse);
      if (purse.complete) continue;
      const earlier = spent.get(familyId);
      // A day that ended while we read took its spending with it.
      if (earlier && purse.day === day) purse.spentDay += earlier.day;
      if (earlier && purse.month === month) purse.spentMonth += earlier.month;
      purse.complete = true;
    }
  }

  #purseOf(key: KeyRecord): Purse {
    if (key.familyId !== undefined) this.#families.set(key.id, key.familyId);
    const purse = this.#open(familyOf(key));
    this.#roll(purse);
    return purse;
  }

  #open(familyId: string): Purse {
    let purse = this.#purses.get(familyId);
    if (!purse) {
      const now = this.#clock.wallMs();
      purse = {
        day: dayOf(now),
        month: monthOf(now),
        spentDay: 0n,
        spentMonth: 0n,
        reserved: 0n,
        complete: false,
        reading: undefined,
      };
      this.#purses.set(familyId, purse);
    }
    return purse;
  }

  /** Begins a new day or month. A clock that was set back stays in the later one: a cap is never given twice. */
  #roll(purse: Purse): void {
    const now = this.#clock.wallMs();
    const day = dayOf(now);
    if (day <= purse.day) return;
    purse.day = day;
    purse.spentDay = 0n;
    const month = monthOf(now);
    if (month <= purse.month) return;
    purse.month = month;
    purse.spentMonth = 0n;
  }
}

/** The part of the ledger's hold book (`ledger/holds.ts`) that this needs. */
interface MoneyHolds {
  reserve(consumerId: string, amount: Pico): true | Promise<true | 'short' | 'unavailable'>;
  settle(consumerId: string, reserved: Pico, charged: Pico): void;
  release(consumerId: string, reserved: Pico): void;
}

/**
 * The holds of the ledger, with the caps of keys in front: money is promised to a request when both agree, and a promise of
 * one without the other is taken back.
 */
export class CappedHolds implements Holds {
  readonly #holds: MoneyHolds;
  readonly #caps: SpendCaps;

  constructor(holds: MoneyHolds, caps: SpendCaps) {
    this.#holds = holds;
    this.#caps = caps;
  }

  reserve(consumerId: string, amount: Pico, key: KeyRecord): ReturnType<Holds['reserve']> {
    const cap = this.#caps.reserve(key, amount);
    if (cap === true) return this.#reserveMoney(consumerId, amount, key);
    if (cap === 'day' || cap === 'month') return Promise.resolve(`cap-${cap}` as const);
    return cap.then((verdict) => {
      if (verdict === true) return this.#reserveMoney(consumerId, amount, key);
      return verdict === 'unavailable' ? verdict : (`cap-${verdict}` as const);
    });
  }

  settle(consumerId: string, reserved: Pico, charged: Pico, key: KeyRecord): void {
    this.#caps.settle(key, reserved, charged);
    this.#holds.settle(consumerId, reserved, charged);
  }

  release(consumerId: string, reserved: Pico, key: KeyRecord): void {
    this.#caps.settle(key, reserved, 0n);
    this.#holds.release(consumerId, reserved);
  }

  capsLeft(key: KeyRecord): CapsLeft | undefined {
    return this.#caps.left(key);
  }

  #reserveMoney(
    consumerId: string,
    amount: Pico,
    key: KeyRecord,
  ): true | Promise<true | 'short' | 'unavailable'> {
    const held = this.#holds.reserve(consumerId, amount);
    if (held === true) return true;
    return held.then(
      (verdict) => {
        if (verdict !== true) this.#caps.settle(key, amount, 0n);
        return verdict;
      },
      (error: unknown) => {
        this.#caps.settle(key, amount, 0n);
        throw error;
      },
    );
  }
}

type Capped = KeyRecord & { readonly scope: NonNullable<KeyRecord['scope']> };

export function isCapped(key: KeyRecord): key is Capped {
  return key.scope !== undefined && (key.scope.capDay !== null || key.scope.capMonth !== null);
}

export function familyOf(key: KeyRecord): string {
  return key.familyId ?? key.id;
}

export function atLeastZero(amount: Pico): Pico {
  return amount < 0n ? 0n : amount;
}
