import type { Candidate } from './candidate.ts';
import { loadOf } from './strategies/strategy.ts';

/**
 * Preferences of the house that decide between candidates of one tier before the strategy's score does: who is near, and
 * which version of a model is on trial. Ranks 0 to 3, as `choose.ts` takes them; 0 first.
 */
export interface SoftWish {
  /** Where the request came in; undefined: nowhere in particular. */
  readonly region: string | undefined;
  /** Regions that are in trouble: whoever is there comes after whoever is not. Nearness then counts for nothing. */
  readonly avoid?: readonly string[] | undefined;
  /** A version of the model on trial, and whether this request is one of its share. */
  readonly canary: { readonly version: string; readonly leads: boolean } | undefined;
}

/** From this load on, being near is worth no more. */
const NEAR_LOAD_MAX = 0.8;

export function softRank(wish: SoftWish): (candidate: Candidate) => number {
  const { region, canary, avoid = [] } = wish;
  return (candidate) => {
    const far =
      avoid.length > 0
        ? avoid.includes(candidate.region ?? '')
        : region !== undefined && (candidate.region !== region || loadOf(candidate) >= NEAR_LOAD_MAX);
    const misplaced = canary !== undefined && (candidate.version === canary.version) !== canary.leads;
    return (misplaced ? 2 : 0) + (far ? 1 : 0);
  };
}
