import type { Price } from './price.ts';

/**
 * Tiers: what service an account gets, as its plan is what it pays. Hobby shares what is left over; Pro has a warm pool and
 * a fallback; Business has capacity of its own, and is given by the operator. The figures are data: these are the ones a
 * market begins with, and its operator may set others (`catalogue/tiers.ts`).
 */
export interface Tier extends TierTerms {
  readonly name: TierName;
  readonly title: string;
}

/** `null`: no limit beyond the market's own. */
export interface TierTerms {
  /** The longest prompt. What is certainly longer is refused. */
  readonly promptTokensMax: number | null;
  /** The longest of each answer. */
  readonly outputTokensMax: number | null;
  /** Requests under way at once, with all keys of an account. */
  readonly concurrent: number | null;
  /** Requests in ten seconds, with all keys of an account. */
  readonly burst: number | null;
  /** Share of a busy model, against the others'. */
  readonly weight: number;
  /** How long a request waits for a busy model before it is refused, in milliseconds. */
  readonly queueDeadlineMs: number;
  /** Attempts beyond the first. Never more than the market's own setting. */
  readonly retriesMax: number | null;
  /** While a model is in trouble its smaller one answers before it is asked, after it has failed, or never. */
  readonly smallerModel: 'before' | 'after' | 'never';
  /** What of the price is paid, in basis points. Never below 10,000: whoever serves is paid what it asks. */
  readonly priceFactor: number;
}

export type TierName = 'hobby' | 'pro' | 'business';
export const TIER_NAMES = ['hobby', 'pro', 'business'] as const satisfies readonly TierName[];

/** The price as it is. */
export const WHOLE_PRICE = 10_000;

export const TIERS: Readonly<Record<TierName, Tier>> = {
  hobby: {
    name: 'hobby',
    title: 'Hobby',
    promptTokensMax: 32_768,
    outputTokensMax: 8_192,
    concurrent: 8,
    burst: 20,
    weight: 1,
    // Free requests may wait at the peak; whoever pays would rather be told soon.
    queueDeadlineMs: 8_000,
    retriesMax: 1,
    smallerModel: 'before',
    priceFactor: WHOLE_PRICE,
  },
  pro: {
    name: 'pro',
    title: 'Pro',
    promptTokensMax: null,
    outputTokensMax: null,
    concurrent: null,
    burst: null,
    weight: 8,
    queueDeadlineMs: 3_000,
    retriesMax: null,
    smallerModel: 'after',
    priceFactor: WHOLE_PRICE,
  },
  business: {
    name: 'business',
    title: 'Business',
    promptTokensMax: null,
    outputTokensMax: null,
    concurrent: null,
    burst: null,
    weight: 32,
    queueDeadlineMs: 3_000,
    retriesMax: null,
    smallerModel: 'never',
    priceFactor: WHOLE_PRICE,
  },
};

/** The terms of each tier as they stand now. */
export type TierOf = (name: TierName) => Tier;

/** As a market begins. */
export const firstTiers: TierOf = (name) => TIERS[name];

const TIER_OF_PLAN: ReadonlyMap<string, TierName> = new Map([
  ['free', 'hobby'],
  ['business', 'business'],
]);

/** The tier of a plan's accounts. Whoever pays, by the token or by the month, is served as Pro. */
export function tierOfPlan(plan: string | undefined): TierName {
  return (plan !== undefined && TIER_OF_PLAN.get(plan)) || 'pro';
}

/** A price as a tier pays it. Rounded up in its units, here and nowhere else, so that no provider gets less than it asks. */
export function tierPrice(price: Price, factor: number): Price {
  if (factor === WHOLE_PRICE) return price;
  const times = BigInt(factor);
  const scaled = (pico: bigint): bigint => (pico * times + 9_999n) / 10_000n;
  if (price.unit === 'token')
    return { ...price, inputPico: scaled(price.inputPico), outputPico: scaled(price.outputPico) };
  return {
    ...price,
    requestPico: scaled(price.requestPico),
    ...(price.minutePico !== undefined && { minutePico: scaled(price.minutePico) }),
  };
}
