import { hash } from 'node:crypto';
import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { Logger } from '#kit/log.ts';
import { AWAY, type Line } from '#shared/line.ts';
import { type Bucket, giveToBuckets, type RateAnswer, takeFromBuckets } from '#shared/rates.ts';
import { MemoryTries, TRY_RATES, type Tries, type Try } from './tries.ts';

/**
 * Tries that all gateways count together: leaky buckets in Redis, of all names or of none, in one atomic step. Names are people's
 * addresses, so Redis gets only their hashes.
 *
 * While Redis is away each gateway lets through its part of every rate, beginning with nothing noted: people can sign in, and
 * who guesses gains one allowance by the outage, not one for each gateway.
 */
export class SharedTries implements Tries {
  readonly #line: Line;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #timeMs: () => number | undefined;
  #alone: MemoryTries | undefined;

  constructor(parts: {
    line: Line;
    clock: Clock;
    log: Logger;
    /** For tests: whose time the buckets run in. By default Redis's own. */
    timeMs?: () => number;
  }) {
    this.#line = parts.line;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#timeMs = parts.timeMs ?? (() => undefined);
  }

  async take(names: readonly Try[]): Promise<() => void> {
    if (this.#line.away) return await this.#takeAlone(names);
    const buckets = names.map(bucketOf);
    let answer: RateAnswer;
    try {
      answer = await takeFromBuckets(this.#line, buckets, { wanted: 1, ahead: 0, nowMs: this.#timeMs() });
    } catch (error) {
      if (!(error instanceof Fault && error.code === AWAY))
        this.#log.warn({ err: error }, 'Tries could not be counted for all gateways together.');
      return await this.#takeAlone(names);
    }
    this.#alone = undefined;
    if (answer.refusedBy !== undefined) {
      throw new Fault('tried-too-often', { retryAfterS: waitS(buckets, answer) });
    }
    return () => giveToBuckets(this.#line, buckets, { count: 1, nowMs: this.#timeMs() });
  }

  async #takeAlone(names: readonly Try[]): Promise<() => void> {
    this.#alone ??= new MemoryTries(this.#clock, this.#line.place.of);
    return await this.#alone.take(names);
  }
}

function bucketOf({ kind, name }: Try): Bucket {
  const { burst, everyMs } = TRY_RATES[kind];
  return {
    name: `try:${kind}:${hash('sha256', name, 'hex').slice(0, 32)}`,
    limit: burst,
    periodMs: burst * everyMs,
  };
}

/** Seconds until all of these let one through. */
function waitS(buckets: readonly Bucket[], { dueMs, nowMs }: RateAnswer): number {
  const waits = buckets.map(({ limit, periodMs }, i) => {
    const each = periodMs / limit;
    return Math.max(nowMs, dueMs[i] ?? nowMs) - nowMs - (limit - 1) * each;
  });
  return Math.max(1, Math.ceil((Math.max(...waits) - 1e-3) / 1000));
}
