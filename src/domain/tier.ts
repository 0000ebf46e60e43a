/**
 * Tiers: what service an account gets, as its plan is what it pays. Hobby shares what is left over; Pro has a warm pool and
 * a fallback; Business has capacity of its own, and is given by the operator.
 */
export interface Tier {
  readonly name: TierName;
  readonly title: string;
  /** Share of a busy model, against the others'. */
  readonly weight: number;
  /** How long a request waits for a busy model before it is refused, in milliseconds. */
  readonly queueDeadlineMs: number;
}

export type TierName = 'hobby' | 'pro' | 'business';

export const TIERS: Readonly<Record<TierName, Tier>> = {
  // Free requests may wait at the peak; whoever pays would rather be told soon.
  hobby: { name: 'hobby', title: 'Hobby', weight: 1, queueDeadlineMs: 8_000 },
  pro: { name: 'pro', title: 'Pro', weight: 8, queueDeadlineMs: 3_000 },
  business: { name: 'business', title: 'Business', weight: 32, queueDeadlineMs: 3_000 },
};

const TIER_OF_PLAN: ReadonlyMap<string, TierName> = new Map([
  ['free', 'hobby'],
  ['business', 'business'],
]);

/** The tier of a plan's accounts. Whoever pays, by the token or by the month, is served as Pro. */
export function tierOfPlan(plan: string | undefined): TierName {
  return (plan !== undefined && TIER_OF_PLAN.get(plan)) || 'pro';
}
