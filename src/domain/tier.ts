/**
 * Tiers: what service an account gets, as its plan is what it pays. Hobby shares what is left over; Pro has a warm pool and
 * a fallback; Business has capacity of its own, and is given by the operator.
 */
export type TierName = 'hobby' | 'pro' | 'business';

const TIER_OF_PLAN: ReadonlyMap<string, TierName> = new Map([
  ['free', 'hobby'],
  ['business', 'business'],
]);

/** The tier of a plan's accounts. Whoever pays, by the token or by the month, is served as Pro. */
export function tierOfPlan(plan: string | undefined): TierName {
  return (plan !== undefined && TIER_OF_PLAN.get(plan)) || 'pro';
}
