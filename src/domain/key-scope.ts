import type { Category } from './model.ts';
import type { Pico } from './money.ts';

/** What a key may do, less than its owner may. `null` sets no limit. */
export interface KeyScope {
  /** Canonical ids of the models it may call. */
  readonly models: readonly string[] | null;
  readonly categories: readonly Category[] | null;
  /** The most that may be charged through it in one day and one calendar month, both in UTC. */
  readonly capDay: Pico | null;
  readonly capMonth: Pico | null;
  /** Addresses and networks (`203.0.113.7`, `2001:db8::/32`) it may be used from. */
  readonly addresses: readonly string[] | null;
  /** Requests a minute over all categories, beside what holds for every key. */
  readonly requestsPerMinute: number | null;
}

/** A key that may do all that its owner may. */
export const WHOLE_SCOPE: KeyScope = Object.freeze({
  models: null,
  categories: null,
  capDay: null,
  capMonth: null,
  addresses: null,
  requestsPerMinute: null,
});

/** True when a scope sets no limit at all. */
export function isWhole(scope: KeyScope): boolean {
  return Object.values(scope).every((limit) => limit === null);
}
