import type { Line } from './line.ts';

/** A leaky bucket: `limit` requests in `periodMs`, which may come at once and then come back evenly. */
export interface Bucket {
  readonly name: string;
  readonly limit: number;
  readonly periodMs: number;
}

/** What the store said of some buckets, in its own time. */
export interface RateAnswer {
  /** The place of the bucket that refused; undefined: all let the request pass. */
  readonly refusedBy: number | undefined;
  /** How many requests were taken: what was asked for, as far as there is, and some ahead. */
  readonly taken: number;
  readonly nowMs: number;
  /** By bucket: when the next request would be due if they came evenly. */
  readonly dueMs: readonly number[];
}

/**
 * Takes up to `wanted` requests from all of these buckets, or none from any, and up to `ahead` more for those that will
 * follow (at most a quarter of what is left). Rejects when the store is away.
 */
export async function takeFromBuckets(
  line: Line,
  buckets: readonly Bucket[],
  { wanted, ahead, nowMs }: { wanted: number; ahead: number; nowMs: number | undefined },
): Promise<RateAnswer> {
  const args: (string | number)[] = [nowMs ?? '', wanted, ahead];
  for (const { limit, periodMs } of buckets) args.push(periodMs / limit, periodMs);
  const [refused, taken, now, ...due] = await line.run<[number, number, string, ...string[]]>(
    'rate',
    buckets.map(({ name }) => `rate:${name}`),
    args,
  );
  return {
    refusedBy: refused === 0 ? undefined : refused - 1,
    taken: refused === 0 ? taken : 0,
    nowMs: Number(now),
    dueMs: due.map(Number),
  };
}

/** Gives back requests that were taken ahead. What cannot be given back returns by itself, as time does. */
export function giveToBuckets(
  line: Line,
  buckets: readonly Bucket[],
  { count, nowMs }: { count: number; nowMs: number | undefined },
): void {
  if (line.away) return;
  takeFromBuckets(line, buckets, { wanted: -count, ahead: 0, nowMs }).catch(() => undefined);
}
