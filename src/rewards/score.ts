import { assert } from '#kit/assert.ts';

/**
 * The contribution score of providers, and the thresholds under which a score counts for less or for nothing. Pure, and in
 * whole numbers: shares are parts of `WHOLE`, rounded down at each step, so that everybody who computes it again gets the
 * same. `docs/rewards.md` has the formula with an example.
 *
 *     score  = 0.30·norm(inferences) + 0.25·norm(tokens) + 0.20·uptime + 0.15·quality + 0.10·diversity
 *     weight = score × (1/2 below 100 inferences) × (3/4 below 90 % success)
 *
 * `norm(x)` is x over the largest x of the providers that are in; it is zero where the largest is. So the slowest provider
 * has a quality of zero, and one alone too. Who served nothing that counts has no weight, however long it was there: being
 * there is what the other parts of the pool are for.
 */
export const WHOLE = 1_000_000_000_000n;

/** What was measured of a provider: of the week that ends with the rewarded day, unless said otherwise. */
export interface Work {
  readonly providerId: string;
  /** Whether it may serve at all. */
  readonly active: boolean;
  /** What its hardware counts for, in hundredths. */
  readonly tier: bigint;
  /** Completed requests that somebody else paid for. */
  readonly inferences: bigint;
  /** Of those, in and out. */
  readonly tokens: bigint;
  /** Requests that ended well or badly, whoever paid. */
  readonly succeeded: bigint;
  readonly failed: bigint;
  /** From the request to the last token, on average. */
  readonly latencyMs: bigint;
  /** Different models among the inferences. */
  readonly models: bigint;
  /** Minutes with a live agent: of the week, and of 30 days. */
  readonly minutes7d: bigint;
  readonly minutes30d: bigint;
}

/** What providers are compared with. */
export interface Market {
  /** Minutes in which there was a market to be at. */
  readonly minutes7d: bigint;
  readonly minutes30d: bigint;
  /** On sale. */
  readonly models: bigint;
}

/** Why somebody gets nothing of a day at all. */
export type Exclusion = 'not-active' | 'low-uptime';

export interface Score {
  readonly providerId: string;
  readonly excluded: Exclusion | undefined;
  /** Of `WHOLE`. */
  readonly score: bigint;
  /** What the contribution part is shared by. */
  readonly weight: bigint;
  readonly parts: ScoreParts;
}

/** What a score is put together from, each of `WHOLE`, before its factor. */
export interface ScoreParts {
  readonly inferences: bigint;
  readonly tokens: bigint;
  readonly uptime: bigint;
  readonly quality: bigint;
  readonly diversity: bigint;
}

const NO_PARTS: ScoreParts = { inferences: 0n, tokens: 0n, uptime: 0n, quality: 0n, diversity: 0n };

const INFERENCES_MIN = 100n;
const UPTIME_MIN = (WHOLE * 80n) / 100n;
const SUCCESS_MIN = (WHOLE * 90n) / 100n;

/** In the order of `works`. */
export function scoresOf(works: readonly Work[], market: Market): Score[] {
  const reasons = works.map((work) => exclusionOf(work, market));
  const present = works.filter((_, i) => reasons[i] === undefined);
  const most = (of: (work: Work) => bigint): bigint =>
    present.reduce((max, work) => (of(work) > max ? of(work) : max), 0n);
  const largest = {
    inferences: most((work) => work.inferences),
    tokens: most((work) => work.tokens),
    latencyMs: most((work) => work.latencyMs),
  };
  return works.map((work, i) => {
    const { providerId } = work;
    const excluded = reasons[i];
    if (excluded) return { providerId, excluded, score: 0n, weight: 0n, parts: NO_PARTS };
    const success = successOf(work);
    const parts: ScoreParts = {
      inferences: part(work.inferences, largest.inferences),
      tokens: part(work.tokens, largest.tokens),
      uptime: part(work.minutes30d, market.minutes30d),
      quality: (success * (WHOLE - part(work.latencyMs, largest.latencyMs))) / WHOLE,
      diversity: part(work.models, market.models),
    };
    const score =
      (30n * parts.inferences +
        25n * parts.tokens +
        20n * parts.uptime +
        15n * parts.quality +
        10n * parts.diversity) /
      100n;
    let weight = work.inferences === 0n ? 0n : score;
    if (work.inferences < INFERENCES_MIN) weight /= 2n;
    if (success < SUCCESS_MIN) weight = (weight * 3n) / 4n;
    return { providerId, excluded, score, weight, parts };
  });
}

function exclusionOf(work: Work, market: Market): Exclusion | undefined {
  if (!work.active) return 'not-active';
  return uptimeOf(work, market) < UPTIME_MIN ? 'low-uptime' : undefined;
}

/** The share of the week's minutes of the market in which the provider was there. */
export function uptimeOf(work: Pick<Work, 'minutes7d'>, market: Pick<Market, 'minutes7d'>): bigint {
  return part(work.minutes7d, market.minutes7d);
}

function successOf({ succeeded, failed }: Work): bigint {
  return part(succeeded, succeeded + failed);
}

/** `x` over `whole`, at most one; zero where there is no whole. */
function part(x: bigint, whole: bigint): bigint {
  assert(x >= 0n && whole >= 0n, 'what is measured is not negative');
  if (whole === 0n) return 0n;
  return x >= whole ? WHOLE : (x * WHOLE) / whole;
}
