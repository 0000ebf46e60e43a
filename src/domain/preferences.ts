import type { Pico } from './money.ts';

/**
 * What a consumer asks of routing for one request, field for field OpenRouter's `provider` object. Everything is optional;
 * an absent field rules nobody out. Providers are named by id or by the operator's name of them, without regard to case.
 */
export interface Preferences {
  /** Tried first, in this order. */
  readonly order: readonly string[];
  /** Nobody else may serve. */
  readonly only: readonly string[] | undefined;
  /** These may not serve. */
  readonly ignore: readonly string[];
  /** False: with an `order`, nobody outside it; without one, nobody after the first choice. */
  readonly allowFallbacks: boolean;
  /** Only who states that every parameter of the request is supported. */
  readonly requireParameters: boolean;
  /** Lower-case names such as `fp8`; `unknown` stands for who states none. */
  readonly quantizations: readonly string[] | undefined;
  readonly sort: PreferredSort | undefined;
  readonly maxPrice: MaxPrice;
  /** Who is slower than this stands behind the others, in tokens a second. */
  readonly minThroughput: number | undefined;
  /** Whose first token takes longer than this stands behind the others, in milliseconds. */
  readonly maxLatencyMs: number | undefined;
  /** True (`data_collection: "deny"`): nobody who may keep prompts for purposes of their own. */
  readonly denyCollection: boolean;
  /** True: only providers that keep nothing. */
  readonly zeroRetention: boolean;
}

export type PreferredSort = 'price' | 'throughput' | 'latency';

/** The most a unit may cost, in pico-USD. */
export interface MaxPrice {
  readonly prompt: Pico | undefined;
  readonly completion: Pico | undefined;
  readonly request: Pico | undefined;
}

/** What a provider does with prompts, as the operator has it in writing. */
export type DataPolicy = 'unstated' | 'no-collection' | 'zero-retention';

export const DATA_POLICIES: readonly DataPolicy[] = ['unstated', 'no-collection', 'zero-retention'];

export const NO_PREFERENCES: Preferences = {
  order: [],
  only: undefined,
  ignore: [],
  allowFallbacks: true,
  requireParameters: false,
  quantizations: undefined,
  sort: undefined,
  maxPrice: { prompt: undefined, completion: undefined, request: undefined },
  minThroughput: undefined,
  maxLatencyMs: undefined,
  denyCollection: false,
  zeroRetention: false,
};
