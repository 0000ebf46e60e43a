import { assert } from '#kit/assert.ts';
import type { BudgetCounts, WindowCounts } from './burn-alerts.ts';

/**
 * Requests, failures and what the objective allowed of them in the recent past, in slots of equal length, so that "the last five minutes" can be asked at any
 * moment without keeping a row for each request. A window is exact to one slot: it holds the running slot and as many
 * whole ones as fit.
 *
 * Windows of an hour and of three days are asked at every tick, so sums are kept beside the slots: `over` costs the same
 * for each. What was allowed is summed as it was when it happened, so a new objective judges nothing that is past.
 */
export class RecentCounts {
  readonly #slotMs: number;
  readonly #slots: number;
  /** Sums of all slots up to and including each one, by slot number modulo the length. */
  readonly #requests: Float64Array;
  readonly #failures: Float64Array;
  readonly #allowed: Float64Array;
  #slot: number | undefined;
  #firstSlot = 0;

  /** Remembers `spanS` seconds in slots of `slotS`. */
  constructor({ slotS, spanS }: { slotS: number; spanS: number }) {
    assert(slotS > 0 && spanS >= slotS, 'a span holds at least one slot');
    this.#slotMs = slotS * 1000;
    // One more, for the sum before the first slot of the longest window.
    this.#slots = Math.ceil(spanS / slotS) + 1;
    this.#requests = new Float64Array(this.#slots);
    this.#failures = new Float64Array(this.#slots);
    this.#allowed = new Float64Array(this.#slots);
  }

  /** Counts at `nowMs`, a monotonic clock. */
  add(nowMs: number, { requests, failures, allowed }: BudgetCounts): void {
    assert(failures >= 0 && failures <= requests, 'failures are some of the requests');
    const slot = this.#advance(nowMs);
    const at = slot % this.#slots;
    this.#requests[at] = (this.#requests[at] as number) + requests;
    this.#failures[at] = (this.#failures[at] as number) + failures;
    this.#allowed[at] = (this.#allowed[at] as number) + allowed;
  }

  /** The counts of the last `seconds`; at most of the span, and of no time before the first call. */
  over(nowMs: number, seconds: number): WindowCounts {
    const slot = this.#advance(nowMs);
    const back = Math.min(Math.ceil((seconds * 1000) / this.#slotMs), this.#slots - 1);
    const before = (slot - back + this.#slots) % this.#slots;
    const at = slot % this.#slots;
    return {
      requests: (this.#requests[at] as number) - (this.#requests[before] as number),
      failures: (this.#failures[at] as number) - (this.#failures[before] as number),
      allowed: (this.#allowed[at] as number) - (this.#allowed[before] as number),
      coveredS: (Math.min(back, slot - this.#firstSlot + 1) * this.#slotMs) / 1000,
    };
  }

  /** Opens the slots up to now, each with the sum so far. A clock that seems to go back stays in its slot. */
  #advance(nowMs: number): number {
    const now = Math.floor(nowMs / this.#slotMs);
    const last = this.#slot;
    if (last === undefined) this.#firstSlot = now;
    if (last === undefined || now <= last) {
      this.#slot = last ?? now;
      return this.#slot;
    }
    const requests = this.#requests[last % this.#slots] as number;
    const failures = this.#failures[last % this.#slots] as number;
    const allowed = this.#allowed[last % this.#slots] as number;
    for (let slot = Math.max(last + 1, now - this.#slots + 1); slot <= now; slot++) {
      this.#requests[slot % this.#slots] = requests;
      this.#failures[slot % this.#slots] = failures;
      this.#allowed[slot % this.#slots] = allowed;
    }
    this.#slot = now;
    return now;
  }
}
