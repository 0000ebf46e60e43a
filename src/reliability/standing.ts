/**
 * What a month of serving makes of a provider: pure. Two thresholds put it behind others (it is asked when those cannot
 * serve): it failed more than one in five of its requests, or was there less than nine tenths of the time. Neither is held
 * against it in its first week, nor while it was asked too little to tell.
 *
 * The score is for people and ranks: success, in which each day weighs half as much as one seven days younger, times the
 * share of the time that it was there. So a fall shows within days and is outlived within weeks.
 */
export interface Month {
  /** Of the minutes in which the market was there; undefined where nothing was measured. */
  readonly uptime: number | undefined;
  /** Disjoint stretches. */
  readonly stretches: readonly Stretch[];
  /** How long ago it became active. */
  readonly activeForMs: number;
}

export interface Stretch {
  /** How long ago its middle was. */
  readonly ageMs: number;
  /** Requests that reached the provider, and those of them that failed by its fault. */
  readonly requests: number;
  readonly failures: number;
}

export interface Standing {
  /** 0 to 1; undefined where it was asked nothing. */
  readonly score: number | undefined;
  readonly success: number | undefined;
  readonly uptime: number | undefined;
  /** The thresholds that it misses, in words. */
  readonly misses: readonly string[];
  /** It misses some, and nothing excuses it. */
  readonly behind: boolean;
  /** Nothing is held against it yet. */
  readonly inGrace: boolean;
}

export const GRACE_MS = 7 * 86_400_000;
const SUCCESS_MIN = 0.8;
const UPTIME_MIN = 0.9;
const SCORE_HALF_LIFE_MS = 7 * 86_400_000;
/** Fewer requests in a month say nothing about success. */
export const REQUESTS_TO_JUDGE = 20;

export function standingOf({ uptime, stretches, activeForMs }: Month): Standing {
  let [requests, failures, weighed, weight] = [0, 0, 0, 0];
  for (const stretch of stretches) {
    requests += stretch.requests;
    failures += stretch.failures;
    const each = 2 ** (-stretch.ageMs / SCORE_HALF_LIFE_MS);
    weight += each * stretch.requests;
    weighed += each * (stretch.requests - stretch.failures);
  }
  const success = requests === 0 ? undefined : (requests - failures) / requests;
  const misses: string[] = [];
  if (success !== undefined && requests >= REQUESTS_TO_JUDGE && success < SUCCESS_MIN)
    misses.push(
      `${percent(success)} of its requests of 30 days succeeded, and ${percent(SUCCESS_MIN)} should`,
    );
  if (uptime !== undefined && uptime < UPTIME_MIN)
    misses.push(`it was there ${percent(uptime)} of 30 days, and ${percent(UPTIME_MIN)} is expected`);
  const inGrace = activeForMs < GRACE_MS;
  return {
    score: weight === 0 ? undefined : (weighed / weight) * (uptime ?? 1),
    success,
    uptime,
    misses,
    behind: misses.length > 0 && !inGrace,
    inGrace,
  };
}

function percent(part: number): string {
  return `${Math.floor(part * 1_000) / 10} %`;
}
