import { least, type Pico } from '#domain/money.ts';
import { assert } from '#kit/assert.ts';
import { atMost, type Clock, pause, type Timer } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { Rounds } from '#kit/rounds.ts';
import type { LeaseStore } from './ports.ts';

/** `short`: the consumer does not have it. `unavailable`: that could not be found out in time. */
export type Reserved = true | 'short' | 'unavailable';

export interface HoldsOptions {
  store: LeaseStore;
  clock: Clock;
  log: Logger;
  /** The most that a purse is filled to beyond actual need, in pico-USD. Default: 5 dollars. */
  exposureMax?: Pico;
  /** How long a request waits for the store before it is told `unavailable`. Default 2,000 ms. */
  storeWaitMs?: number;
}

interface Purse {
  granted: Pico;
  reserved: Pico;
  /** When the free part falls below this, the purse is filled up in the background. */
  lowMark: Pico;
  lastUsedMs: number;
  /** Recent spending in pico-USD, decaying with a time constant of ten seconds. A guide only: not money. */
  spent: number;
  spentAtMs: number;
  /** When spending began, or began again after a pause. */
  begunMs: number;
  /** What the last request asked for. */
  asked: Pico;
  waiters: Waiter[];
  /** The store is being asked for this purse, since then. */
  busySinceMs: number | undefined;
  nextFillMs: number;
  /** Others asked for the free part while the store was being asked. */
  recalled: boolean;
  /** The store did not answer the last question: it may hold more for us than `granted` and must be asked to clear up. */
  doubtful: boolean;
}

interface Waiter {
  readonly amount: Pico;
  readonly sinceMs: number;
  answer: ((answer: Reserved) => void) | undefined;
  timer: Timer | undefined;
}

const REQUESTS_AHEAD = 64n;
/** Spending is remembered briefly, so that a consumer who has just begun is not taken for one who spends little. */
const SPENDING_MEMORY_MS = 10_000;
/** What was spent in less time than this says little about a minute. */
const SPENDING_SEEN_MS_MIN = 5_000;
/** Whoever spends nothing for so long begins anew: a pause is no thrift. */
const PAUSE_MS = 2_000;
/** How long a full purse should last. */
const PURSE_MS = 60_000;
const IDLE_MS = 5_000;
const ROUND_MS = 1_000;
/** Filling up in the background is a convenience: not more often than this for one consumer. */
const FILL_GAP_MS = 100;
const RECALL_PAUSE_MS = 60;
const RECALL_WITHIN_MS = 250;
const WAITERS_MAX = 1_000;
const DEFAULT_EXPOSURE: Pico = 5_000_000_000_000n;

/**
 * Money promised to requests that run. Each consumer has a *purse* here: what the store has set aside for this process
 * (`granted`), and how much of that is promised (`reserved`). Reserving is a comparison in memory as long as the purse has
 * enough free; the purse is filled up in the background before it runs short.
 *
 * What must always hold: `0 ≤ reserved ≤ granted`, and `granted` is never more than the lease in the store less what
 * was charged and is not posted yet. So whatever is promised is there, from however many processes, and a charge, being at
 * most its reservation, always finds its money. Money that may have been given back (the store did not answer) counts as
 * given back.
 *
 * How large a purse is: what the consumer spends in a minute at the pace of late, or 64 requests like the last, but no more than
 * `exposureMax`; and the store gives at most half of what is available beyond the need. So a small balance makes small
 * purses, not a slower way, and what is nobody's need returns after five idle seconds.
 */
export class Holds {
  readonly #store: LeaseStore;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #exposureMax: Pico;
  readonly #storeWaitMs: number;
  readonly #purses = new Map<string, Purse>();
  readonly #asking = new Set<Promise<unknown>>();
  readonly #rounds: Rounds;
  #closed = false;

  constructor(options: HoldsOptions) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#exposureMax = options.exposureMax ?? DEFAULT_EXPOSURE;
    this.#storeWaitMs = options.storeWaitMs ?? 2_000;
    this.#rounds = new Rounds(this.#clock, {
      periodMs: ROUND_MS,
      work: async () => this.#tidy(),
      failed: (error) => this.#log.error({ err: error }, 'Tidying the purses failed.'),
    });
  }

  /**
   * Promises `amount` (> 0) to a request. `true` at once when the purse has it. Otherwise the store is asked: `short` when
   * the consumer does not have it, `unavailable` when that could not be found out. After `true`, call `settle` or
   * `release` exactly once with the same amount.
   */
  reserve(consumerId: string, amount: Pico): true | Promise<Reserved> {
    const purse = this.#purses.get(consumerId);
    if (purse !== undefined && !this.#closed) {
      const free = purse.granted - purse.reserved;
      if (free >= amount) {
        purse.reserved += amount;
        purse.asked = amount;
        const nowMs = this.#clock.nowMs();
        if (nowMs - purse.lastUsedMs > PAUSE_MS) purse.begunMs = nowMs;
        purse.lastUsedMs = nowMs;
        if (free - amount < purse.lowMark && purse.busySinceMs === undefined)
          this.#fill(consumerId, purse, amount);
        return true;
      }
    }
    return this.#wait(consumerId, amount);
  }

  /**
   * Ends a reservation with a charge (0 ≤ `charged` ≤ `reserved`). Call it when the usage record is durable: from then on
   * the charge is on its way to the book and no longer ours to promise.
   */
  settle(consumerId: string, reserved: Pico, charged: Pico): void {
    const purse = this.#purses.get(consumerId);
    assert(purse && reserved <= purse.reserved, 'what is settled is reserved');
    assert(charged >= 0n && charged <= reserved, 'a charge is at most its reservation');
    purse.reserved -= reserved;
    purse.granted -= charged;
    const nowMs = this.#clock.nowMs();
    purse.spent = decayed(purse, nowMs) + Number(charged);
    purse.spentAtMs = nowMs;
    purse.lastUsedMs = nowMs;
    if (purse.waiters.length > 0) this.#serveFromPurse(purse);
  }

  /** Ends a reservation without a charge. */
  release(consumerId: string, reserved: Pico): void {
    this.settle(consumerId, reserved, 0n);
  }

  /** Another process needs this consumer's money: what is free here goes back now. */
  recalled(consumerId: string): void {
    const purse = this.#purses.get(consumerId);
    if (!purse) return;
    if (purse.busySinceMs === undefined) this.#giveBackFree(consumerId, purse);
    else purse.recalled = true;
  }

  /** What is set aside here and what of it is promised, in all purses together. */
  totals(): { purses: number; granted: Pico; reserved: Pico } {
    let granted = 0n;
    let reserved = 0n;
    for (const purse of this.#purses.values()) {
      granted += purse.granted;
      reserved += purse.reserved;
    }
    return { purses: this.#purses.size, granted, reserved };
  }

  /**
   * Accepts nothing more, answers who waits, and gives back everything free. Reservations may still be settled. A store
   * that does not answer is not waited for: the next start returns what it still holds for us.
   */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#rounds.close();
    for (const purse of this.#purses.values()) {
      for (const waiter of purse.waiters.splice(0)) answer(waiter, 'unavailable');
    }
    const giveBackAll = async (): Promise<void> => {
      while (this.#asking.size > 0) await Promise.all(this.#asking);
      for (const [consumerId, purse] of this.#purses) this.#giveBackFree(consumerId, purse);
      while (this.#asking.size > 0) await Promise.all(this.#asking);
    };
    await atMost(this.#clock, this.#storeWaitMs, giveBackAll());
  }

  #wait(consumerId: string, amount: Pico): Promise<Reserved> {
    assert(amount > 0n, 'a reservation is more than zero');
    const nowMs = this.#clock.nowMs();
    const purse = this.#purses.get(consumerId) ?? this.#openPurse(consumerId, nowMs);
    const stalled = purse.busySinceMs !== undefined && nowMs - purse.busySinceMs > this.#storeWaitMs;
    if (this.#closed || stalled || purse.waiters.length >= WAITERS_MAX) return Promise.resolve('unavailable');
    return new Promise((resolve) => {
      const waiter: Waiter = { amount, sinceMs: nowMs, answer: resolve, timer: undefined };
      waiter.timer = this.#clock.after(this.#storeWaitMs, () => {
        purse.waiters = purse.waiters.filter((other) => other !== waiter);
        answer(waiter, 'unavailable');
      });
      purse.waiters.push(waiter);
      if (purse.busySinceMs === undefined)
        this.#ask(consumerId, purse, () => this.#serveWaiters(consumerId, purse));
    });
  }

  #openPurse(consumerId: string, nowMs: number): Purse {
    const purse: Purse = {
      granted: 0n,
      reserved: 0n,
      lowMark: 0n,
      lastUsedMs: nowMs,
      spent: 0,
      spentAtMs: nowMs,
      begunMs: nowMs,
      asked: 0n,
      waiters: [],
      busySinceMs: undefined,
      nextFillMs: 0,
      recalled: false,
      doubtful: false,
    };
    this.#purses.set(consumerId, purse);
    return purse;
  }

  /** Asks the store on behalf of one purse, one question at a time. */
  #ask(consumerId: string, purse: Purse, question: () => Promise<void>): void {
    purse.busySinceMs = this.#clock.nowMs();
    const asking: Promise<unknown> = this.#heard(consumerId, purse, question).then(() =>
      this.#asking.delete(asking),
    );
    this.#asking.add(asking);
  }

  async #heard(consumerId: string, purse: Purse, question: () => Promise<void>): Promise<void> {
    try {
      await question();
      purse.doubtful = false;
    } catch (error) {
      purse.doubtful = true;
      this.#log.warn({ err: error, consumer: consumerId }, 'The ledger could not be asked about a balance.');
      for (const waiter of purse.waiters.splice(0)) answer(waiter, 'unavailable');
    }
    purse.busySinceMs = undefined;
    if (this.#closed) return;
    // Who came between the last look and now.
    if (purse.waiters.length > 0) this.#ask(consumerId, purse, () => this.#serveWaiters(consumerId, purse));
    else if (purse.recalled) this.#giveBackFree(consumerId, purse);
  }

  async #serveWaiters(consumerId: string, purse: Purse): Promise<void> {
    let recalls = 0;
    let refused = false;
    for (;;) {
      this.#serveFromPurse(purse);
      // Whoever came first, until somebody was refused; then whoever needs least: if that is too much, it is for all.
      const first = refused ? smallest(purse.waiters) : purse.waiters[0];
      if (!first) return;
      const free = purse.granted - purse.reserved;
      const missing = first.amount - free;
      let wanted = this.#target(purse, first.amount) - free;
      for (const { amount } of purse.waiters) wanted += amount;
      const reply = await this.#store.grow(consumerId, {
        atLeast: missing,
        want: wanted > missing ? wanted : missing,
      });
      if ('granted' in reply) {
        assert(reply.granted >= missing, 'a lease grows by what is needed');
        this.#grown(purse, reply.granted, first.amount);
        refused = false;
        continue;
      }
      // Meanwhile a request here may have ended, or this one may have stopped waiting.
      this.#serveFromPurse(purse);
      if (!purse.waiters.includes(first)) continue;
      const waitedMs = this.#clock.nowMs() - first.sinceMs;
      if (reply.leasedElsewhere > 0n && recalls < 3 && waitedMs < RECALL_WITHIN_MS) {
        recalls += 1;
        await this.#store.recall(consumerId);
        await pause(this.#clock, RECALL_PAUSE_MS);
        continue;
      }
      // Nobody behind it who needs as much or more can fare better.
      const short = purse.waiters.filter(({ amount }) => amount >= first.amount);
      purse.waiters = purse.waiters.filter(({ amount }) => amount < first.amount);
      for (const waiter of short) answer(waiter, 'short');
      refused = true;
      purse.nextFillMs = this.#clock.nowMs() + ROUND_MS;
    }
  }

  #serveFromPurse(purse: Purse): void {
    let left: Waiter[] | undefined;
    for (const waiter of purse.waiters) {
      if (purse.granted - purse.reserved >= waiter.amount) {
        purse.reserved += waiter.amount;
        answer(waiter, true);
      } else {
        left ??= [];
        left.push(waiter);
      }
    }
    purse.waiters = left ?? [];
  }

  #fill(consumerId: string, purse: Purse, amount: Pico): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs < purse.nextFillMs || this.#closed) return;
    const want = this.#target(purse, amount) - (purse.granted - purse.reserved);
    if (want <= 0n) return;
    purse.nextFillMs = nowMs + FILL_GAP_MS;
    this.#ask(consumerId, purse, async () => {
      const reply = await this.#store.grow(consumerId, { atLeast: 1n, want });
      if ('granted' in reply) this.#grown(purse, reply.granted, amount);
      else purse.nextFillMs = this.#clock.nowMs() + ROUND_MS;
    });
  }

  #grown(purse: Purse, granted: Pico, amount: Pico): void {
    purse.granted += granted;
    purse.asked = amount;
    this.#mark(purse);
  }

  /** Refilled early, so that at any moment it lasts through the best part of a minute without the store. */
  #mark(purse: Purse): void {
    purse.lowMark = (this.#target(purse, purse.asked) * 3n) / 4n;
  }

  #target(purse: Purse, amount: Pico): Pico {
    const spending = BigInt(Math.round(spentInAMinute(purse, this.#clock.nowMs())));
    const ahead = amount * REQUESTS_AHEAD;
    return least(this.#exposureMax, spending > ahead ? spending : ahead);
  }

  #giveBackFree(consumerId: string, purse: Purse): void {
    purse.recalled = false;
    const free = purse.granted - purse.reserved;
    if (free <= 0n) return;
    purse.granted -= free;
    this.#ask(consumerId, purse, () => this.#store.giveBack(consumerId, free));
  }

  #tidy(): void {
    const nowMs = this.#clock.nowMs();
    for (const [consumerId, purse] of this.#purses) {
      // A pace that has risen since the purse was filled asks for more.
      this.#mark(purse);
      if (purse.busySinceMs !== undefined) continue;
      // Giving back nothing makes the store settle what it owes or was not heard to do.
      if (purse.doubtful) this.#ask(consumerId, purse, () => this.#store.giveBack(consumerId, 0n));
      else if (nowMs - purse.lastUsedMs < IDLE_MS) continue;
      else if (purse.granted > purse.reserved) this.#giveBackFree(consumerId, purse);
      else if (purse.granted === 0n) this.#purses.delete(consumerId);
    }
  }
}

function smallest(waiters: readonly Waiter[]): Waiter | undefined {
  let found = waiters[0];
  for (const waiter of waiters) if (found && waiter.amount < found.amount) found = waiter;
  return found;
}

function answer(waiter: Waiter, reply: Reserved): void {
  waiter.timer?.cancel();
  waiter.answer?.(reply);
  waiter.answer = undefined;
}

/** What a minute costs at the pace of late, as far as it has been seen. */
function spentInAMinute(purse: Purse, nowMs: number): number {
  const seenMs = Math.max(nowMs - purse.begunMs, SPENDING_SEEN_MS_MIN);
  const seen = SPENDING_MEMORY_MS * (1 - Math.exp(-seenMs / SPENDING_MEMORY_MS));
  return (decayed(purse, nowMs) / seen) * PURSE_MS;
}

function decayed(purse: Purse, nowMs: number): number {
  return purse.spent * Math.exp((purse.spentAtMs - nowMs) / SPENDING_MEMORY_MS);
}
