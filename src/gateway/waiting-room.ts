import { firstTiers, type TierName, type TierOf } from '#domain/tier.ts';
import type { NobodyToPick } from '#hub/dispatch.ts';
import type { Clock, Timer } from '#kit/clock.ts';
import type { Candidate } from '#routing/candidate.ts';
import { FairQueue, type Waiter } from '#routing/fair-queue.ts';

/**
 * Where requests wait while every provider of their model is busy. Who is next is decided fairly (`routing/fair-queue.ts`);
 * here is the doing: one queue a model, woken when an answer ends, and at short intervals for agents that join.
 *
 * Nobody waits in vain: a request that would not be served before its tier's deadline, at the pace at which the model was
 * freed lately, is refused at once and told when to come again.
 */
export interface WaitingTerms {
  /** Waiting at once, for one model. */
  readonly sizeMax: number;
  /** How often a queue looks by itself. */
  readonly lookMs: number;
}

const WAITING_TERMS: WaitingTerms = { sizeMax: 1_000, lookMs: 50 };

export interface Turn {
  readonly modelId: string;
  readonly consumerId: string;
  readonly tier: TierName;
  /** Tries to find somebody. Called again and again. */
  readonly pick: () => { candidate: Candidate } | NobodyToPick;
  /**
   * Hears once what the wait came to, unless the request was taken out before. Who is given somebody takes the place within
   * this call: the next in line is asked as soon as it returns, and would be given the same place.
   */
  readonly decided: (answer: TurnAnswer) => void;
}

/** What a wait came to: somebody to ask, or a refusal with the seconds after which it may be tried again. */
export type TurnAnswer = { candidate: Candidate } | Refused;
type Refused = NobodyToPick & { retryAfterS: number };

interface Waiting extends Waiter {
  readonly turn: Turn;
}

interface Line {
  readonly queue: FairQueue<Waiting>;
  readonly pace: Pace;
  look: Timer | undefined;
}

/** A queue that nobody waits in is remembered for its pace; of more models than this, the oldest are forgotten. */
const LINES_MAX = 4_096;
const RETRY_AFTER_S_MAX = 30;

export class WaitingRoom {
  readonly #clock: Clock;
  readonly #terms: WaitingTerms;
  readonly #tiers: TierOf;
  readonly #withRoom: (modelId: string) => readonly string[];
  readonly #lines = new Map<string, Line>();
  #waiting = 0;

  constructor(parts: {
    clock: Clock;
    terms?: WaitingTerms;
    /** The terms of tiers; as a market begins where it is left out. */
    tiers?: TierOf;
    /** The consumers with reserved places at a model that they do not use. */
    withRoom?: (modelId: string) => readonly string[];
  }) {
    this.#clock = parts.clock;
    this.#terms = parts.terms ?? WAITING_TERMS;
    this.#tiers = parts.tiers ?? firstTiers;
    this.#withRoom = parts.withRoom ?? (() => []);
  }

  /** Requests that wait, for all models. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Does somebody wait for the model already? Then a newcomer may not go before. */
  isBusy(modelId: string): boolean {
    return this.#waiting > 0 && (this.#lines.get(modelId)?.queue.size ?? 0) > 0;
  }

  /** The refusal of a request that would wait in vain; undefined where it may wait. Money need not be held to know that. */
  late({ modelId, consumerId, tier }: Pick<Turn, 'modelId' | 'consumerId' | 'tier'>): Refused | undefined {
    const line = this.#line(modelId);
    const { weight, queueDeadlineMs } = this.#tiers(tier);
    const ahead = line.queue.ahead({ tenant: consumerId, group: tier, weight });
    const expectedMs = line.pace.expectedMs(ahead + 1, this.#clock.nowMs());
    return expectedMs > queueDeadlineMs ? busy(expectedMs - queueDeadlineMs) : undefined;
  }

  /** Waits for a turn. The answer takes a request out whose client has left: it then hears nothing more. */
  wait(turn: Turn): () => void {
    const late = this.late(turn);
    if (late) {
      turn.decided(late);
      return () => {};
    }
    const line = this.#line(turn.modelId);
    const { weight, queueDeadlineMs } = this.#tiers(turn.tier);
    const nowMs = this.#clock.nowMs();
    const about = { tenant: turn.consumerId, group: turn.tier, weight };
    const waiting: Waiting = { ...about, deadlineMs: nowMs + queueDeadlineMs, turn };
    this.#waiting += 1;
    const refused = line.queue.add(waiting);
    if (refused) this.#settle(refused, busy(line.pace.expectedMs(line.queue.size, nowMs)));
    this.#keepLooking(turn.modelId, line);
    return () => {
      if (line.queue.remove(waiting)) this.#waiting -= 1;
    };
  }

  /** An answer of this model ended: whoever is next may try. */
  freed(modelId: string): void {
    const line = this.#lines.get(modelId);
    if (!line) {
      // The pace is wanted from the first busy moment on.
      this.#line(modelId).pace.note(this.#clock.nowMs());
      return;
    }
    line.pace.note(this.#clock.nowMs());
    if (line.queue.size > 0) this.#admit(modelId, line);
  }

  /** Refuses everybody: the process leaves. */
  close(): void {
    for (const line of this.#lines.values()) {
      line.look?.cancel();
      for (const waiting of line.queue.expire(Number.POSITIVE_INFINITY)) this.#settle(waiting, busy(0));
    }
    this.#lines.clear();
  }

  /** Lets as many in as there is room for. */
  #admit(modelId: string, line: Line): void {
    for (const late of line.queue.expire(this.#clock.nowMs())) {
      this.#settle(late, busy(line.pace.expectedMs(line.queue.size + 1, this.#clock.nowMs())));
    }
    // Who has places of its own is asked first, and only as far as it does not use them.
    while (this.#admitOwner(modelId, line));
    for (let next = line.queue.next(); next; next = line.queue.next()) {
      const picked = next.turn.pick();
      if ('none' in picked && picked.none === 'providers-busy') {
        line.queue.putBack(next);
        return;
      }
      this.#settle(next, 'none' in picked ? { ...picked, retryAfterS: 5 } : picked);
    }
  }

  /** Lets one in that has a reserved place. Answers whether there was one. */
  #admitOwner(modelId: string, line: Line): boolean {
    for (const consumerId of this.#withRoom(modelId)) {
      const first = line.queue.firstOf(consumerId);
      if (!first) continue;
      const picked = first.turn.pick();
      if ('none' in picked && picked.none === 'providers-busy') continue;
      line.queue.remove(first);
      this.#settle(first, 'none' in picked ? { ...picked, retryAfterS: 5 } : picked);
      return true;
    }
    return false;
  }

  #settle(waiting: Waiting, answer: TurnAnswer): void {
    this.#waiting -= 1;
    waiting.turn.decided(answer);
  }

  #keepLooking(modelId: string, line: Line): void {
    line.look ??= this.#clock.after(this.#terms.lookMs, () => {
      line.look = undefined;
      this.#admit(modelId, line);
      if (line.queue.size > 0) this.#keepLooking(modelId, line);
    });
  }

  #line(modelId: string): Line {
    let line = this.#lines.get(modelId);
    if (line) return line;
    if (this.#lines.size >= LINES_MAX) {
      for (const [old, { queue }] of this.#lines) {
        if (queue.size > 0) continue;
        this.#lines.delete(old);
        break;
      }
    }
    line = {
      queue: new FairQueue<Waiting>({ sizeMax: this.#terms.sizeMax }),
      pace: new Pace(),
      look: undefined,
    };
    this.#lines.set(modelId, line);
    return line;
  }
}

/** How often a model was freed in the last seconds: whole seconds of a ring, so that a burst is no pace. */
class Pace {
  readonly #counts: number[] = Array.from({ length: PACE_S }, () => 0);
  #second = Number.NEGATIVE_INFINITY;
  #since: number | undefined;

  note(nowMs: number): void {
    this.#turn(nowMs);
    const at = Math.floor(nowMs / 1_000) % PACE_S;
    this.#counts[at] = (this.#counts[at] as number) + 1;
  }

  /** How long until `places` are freed; zero while too little is known. */
  expectedMs(places: number, nowMs: number): number {
    this.#turn(nowMs);
    const spanS = Math.min(PACE_S, (nowMs - (this.#since ?? nowMs)) / 1_000);
    const freed = this.#counts.reduce((sum, count) => sum + count, 0);
    if (spanS < 1 || freed < 3) return 0;
    return (places / (freed / spanS)) * 1_000;
  }

  #turn(nowMs: number): void {
    const second = Math.floor(nowMs / 1_000);
    this.#since ??= nowMs;
    for (let each = Math.max(this.#second + 1, second - PACE_S + 1); each <= second; each++) {
      this.#counts[((each % PACE_S) + PACE_S) % PACE_S] = 0;
    }
    this.#second = Math.max(this.#second, second);
  }
}

const PACE_S = 10;

function busy(againInMs: number): Refused {
  const retryAfterS = Math.min(RETRY_AFTER_S_MAX, Math.max(1, Math.ceil(againInMs / 1_000)));
  return { none: 'providers-busy', retryAfterS };
}
