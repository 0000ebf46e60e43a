import { type Reservation, slotsOf } from '#domain/reservation.ts';
import type { Clock } from '#kit/clock.ts';
import type { Candidate } from '#routing/candidate.ts';

/**
 * Keeps reserved places free: whoever has none reserved is given a place only while more are free than are reserved and not
 * used. A consumer with a reservation gets a place within it before all who wait, and beyond it like everybody else.
 *
 * Nobody is stopped to make room, so a place that was lent out comes back when its request ends. Places are counted in this
 * process: several gateways each keep the whole reservation free among the places they see.
 */
export interface ReservedParts {
  readonly clock: Clock;
  readonly of: (modelId: string) => readonly Reservation[] | undefined;
  readonly candidates: (modelId: string) => readonly Candidate[];
}

export class ReservedPlaces {
  readonly #parts: ReservedParts;
  /** Under way, by reservation. */
  readonly #used = new Map<string, number>();
  /** When the consumer of a reservation asked last, monotonic milliseconds. */
  readonly #askedMs = new Map<string, number>();

  constructor(parts: ReservedParts) {
    this.#parts = parts;
  }

  /** A request of this consumer is here. */
  asked(modelId: string, consumerId: string): void {
    const own = this.#own(modelId, consumerId);
    if (own) this.#askedMs.set(own.id, this.#parts.clock.nowMs());
  }

  /** Takes a place; the answer gives it back, once. */
  began(modelId: string, consumerId: string): () => void {
    const own = this.#own(modelId, consumerId);
    if (!own) return nothing;
    this.#used.set(own.id, this.#usedOf(own) + 1);
    let under = true;
    return () => {
      if (!under) return;
      under = false;
      const left = this.#usedOf(own) - 1;
      if (left > 0) this.#used.set(own.id, left);
      else this.#used.delete(own.id);
      this.#askedMs.set(own.id, this.#parts.clock.nowMs());
    };
  }

  /** Has this consumer reserved places here that it does not use? */
  hasRoom(modelId: string, consumerId: string): boolean {
    const own = this.#own(modelId, consumerId);
    return own !== undefined && this.#usedOf(own) < slotsOf(own, this.#places(modelId).all);
  }

  /** The consumers with such places. */
  withRoom(modelId: string): string[] {
    const standing = this.#parts.of(modelId);
    if (!standing) return [];
    const { all } = this.#places(modelId);
    return standing.filter((each) => this.#usedOf(each) < slotsOf(each, all)).map((each) => each.consumerId);
  }

  /** Are all free places of the model kept for others than this consumer? */
  keepsOut(modelId: string, consumerId: string): boolean {
    const standing = this.#parts.of(modelId);
    if (!standing) return false;
    const { all, free } = this.#places(modelId);
    let kept = 0;
    for (const each of standing) {
      const unused = slotsOf(each, all) - this.#usedOf(each);
      if (unused <= 0) continue;
      if (each.consumerId === consumerId) return false;
      if (!this.#isIdle(each)) kept += unused;
    }
    return kept > 0 && free <= kept;
  }

  #isIdle(each: Reservation): boolean {
    if (each.releaseIdleS === null || this.#usedOf(each) > 0) return false;
    const nowMs = this.#parts.clock.nowMs();
    const askedMs = this.#askedMs.get(each.id);
    if (askedMs === undefined) {
      // Nothing is known of it yet: from now on it counts.
      this.#askedMs.set(each.id, nowMs);
      return false;
    }
    return nowMs - askedMs > each.releaseIdleS * 1_000;
  }

  #own(modelId: string, consumerId: string): Reservation | undefined {
    return this.#parts.of(modelId)?.find((each) => each.consumerId === consumerId);
  }

  #usedOf({ id }: Reservation): number {
    return this.#used.get(id) ?? 0;
  }

  /** What those who may serve the model can do at once, and what of it is free. */
  #places(modelId: string): { all: number; free: number } {
    let all = 0;
    let free = 0;
    for (const each of this.#parts.candidates(modelId)) {
      if (!each.eligible || each.draining || each.health === 'unhealthy' || each.breaker.state === 'open')
        continue;
      all += Math.min(each.capacity, each.linkCapacity);
      free += Math.max(0, Math.min(each.capacity - each.inFlight, each.linkCapacity - each.linkInFlight));
    }
    return { all, free };
  }
}

const nothing = (): void => {};
