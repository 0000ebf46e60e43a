import type { Preferences } from '#domain/preferences.ts';
import type { Price } from '#domain/price.ts';
import { tierPrice, WHOLE_PRICE } from '#domain/tier.ts';
import type { Candidate } from './candidate.ts';

/**
 * What a consumer's preferences leave of a model's candidates. Filters are applied one after the other, so that the one
 * which left nobody can be named; preferences that do not rule anybody out become a rank.
 */

/** The filters in the order of their application, by the field that the consumer set. */
export const FILTERS = [
  'only',
  'ignore',
  'order',
  'quantizations',
  'data_collection',
  'zdr',
  'require_parameters',
  'max_price',
] as const;
export type Filter = (typeof FILTERS)[number];

export type Narrowed = { readonly candidates: readonly Candidate[] } | { readonly emptiedBy: Filter };

/** What the filters need to know of the request beside the preferences. */
export interface Asked {
  /** The model's price, where a candidate asks no other. */
  readonly price: Price;
  /** What the caller's tier makes of a price; the whole one where it is left out. */
  readonly priceFactor?: number | undefined;
  /** The names of the parameters that the request sets. */
  readonly parameters: readonly string[];
}

/** Every OpenAI-compatible server knows these: nobody needs to state them. */
const COMMON_PARAMETERS: ReadonlySet<string> = new Set([
  'model',
  'messages',
  'prompt',
  'input',
  'stream',
  'stream_options',
  'max_tokens',
  'max_completion_tokens',
  'temperature',
  'top_p',
  'stop',
  'n',
  // Ours, never passed on.
  'provider',
  'models',
  'route',
]);

/**
 * Narrows `candidates`. An empty list that was empty before stays a list: nobody was filtered out. Answers the same array
 * when no filter is set.
 */
export function narrow(candidates: readonly Candidate[], wish: Preferences, asked: Asked): Narrowed {
  let left = candidates;
  for (const filter of FILTERS) {
    const passes = filterOf(filter, wish, asked);
    if (!passes) continue;
    const passed = left.filter(passes);
    if (passed.length === 0 && left.length > 0) return { emptiedBy: filter };
    left = passed;
  }
  return { candidates: left };
}

type Passes = (candidate: Candidate) => boolean;

/** The test of one filter; undefined when the consumer did not set it. */
function filterOf(filter: Filter, wish: Preferences, asked: Asked): Passes | undefined {
  switch (filter) {
    case 'only': {
      const { only } = wish;
      return only && ((candidate) => only.some((name) => isNamed(candidate, name)));
    }
    case 'ignore': {
      const { ignore } = wish;
      return ignore.length === 0
        ? undefined
        : (candidate) => !ignore.some((name) => isNamed(candidate, name));
    }
    case 'order': {
      const { order, allowFallbacks } = wish;
      return allowFallbacks || order.length === 0
        ? undefined
        : (candidate) => order.some((name) => isNamed(candidate, name));
    }
    case 'quantizations': {
      const { quantizations } = wish;
      return quantizations && (({ quantization }) => quantizations.includes(quantization ?? 'unknown'));
    }
    case 'data_collection':
      return wish.denyCollection ? ({ dataPolicy }) => dataPolicy !== 'unstated' : undefined;
    case 'zdr':
      return wish.zeroRetention ? ({ dataPolicy }) => dataPolicy === 'zero-retention' : undefined;
    case 'require_parameters': {
      if (!wish.requireParameters) return undefined;
      const special = asked.parameters.filter((name) => !COMMON_PARAMETERS.has(name));
      if (special.length === 0) return undefined;
      return ({ parameters }) => special.every((name) => parameters?.has(name) === true);
    }
    default:
      return affordable(wish, asked);
  }
}

/** Compares with what the caller would pay, which its tier makes of what is asked. */
function affordable(
  { maxPrice }: Preferences,
  { price: listed, priceFactor = WHOLE_PRICE }: Asked,
): Passes | undefined {
  const { prompt, completion, request } = maxPrice;
  if (prompt === undefined && completion === undefined && request === undefined) return undefined;
  return ({ ask }) => {
    const price = tierPrice(ask ?? listed, priceFactor);
    if (price.unit === 'request') return request === undefined || price.requestPico <= request;
    return (
      (prompt === undefined || price.inputPico <= prompt) &&
      (completion === undefined || price.outputPico <= completion)
    );
  };
}

/** Did the consumer name this candidate in its `order`? */
export function isOrdered(candidate: Candidate, { order }: Preferences): boolean {
  return order.some((name) => isNamed(candidate, name));
}

/** Is this candidate meant by `name`: its provider's id or name? Both sides in lower case. */
function isNamed(candidate: Candidate, name: string): boolean {
  return candidate.providerNames.includes(name);
}

/**
 * Where a candidate stands by the consumer's own wishes, before tiers and scores: its place in `order` (everyone else
 * after it), and behind whoever meets the preferred speed. 0 is first. Unknown speeds are given the chance to be known.
 */
export function wishedRank(candidate: Candidate, wish: Preferences): number {
  let place = wish.order.findIndex((name) => isNamed(candidate, name));
  if (place < 0) place = wish.order.length;
  const { tokensPerSecond, ttftMs } = candidate.record;
  const slow =
    (wish.minThroughput !== undefined && tokensPerSecond !== null && tokensPerSecond < wish.minThroughput) ||
    (wish.maxLatencyMs !== undefined && ttftMs !== null && ttftMs > wish.maxLatencyMs);
  return place * 2 + (slow ? 1 : 0);
}

/** Do these preferences put anybody before anybody? */
export function ranks(wish: Preferences): boolean {
  return wish.order.length > 0 || wish.minThroughput !== undefined || wish.maxLatencyMs !== undefined;
}
