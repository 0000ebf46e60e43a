/**
 * Plans: what an account may ask for beside what each key may. The figures are data; `null` means that the plan sets no
 * limit of its own. Requests a minute, requests a day, requests at once and the tiers of models are enforced at admission,
 * whether there is a fallback by routing.
 * The token and image quotas are what a plan *covers*: within them, requests to models of its `coveredTiers` cost the
 * consumer nothing, and the plan's fees pay the providers (`gateway/plan-quotas.ts`). Beyond them the balance pays.
 */
export interface Plan {
  readonly name: string;
  readonly title: string;
  /** Whole US cents. */
  readonly monthlyCents: number;
  readonly requestsPerMinute: number | null;
  readonly requestsPerDay: number | null;
  readonly concurrent: number | null;
  /** Tiers of the catalogue that may be called; null: all. */
  readonly modelTiers: readonly string[] | null;
  /** Tiers of models that the quotas below are for; empty: the plan covers nothing. */
  readonly coveredTiers: readonly string[];
  /** Read and made together, of language models and embeddings, in a week from Monday (UTC). */
  readonly tokensPerWeek: number | null;
  /** In a day (UTC). */
  readonly imagesPerDay: number | null;
  /**
   * Of a period's fee, what the period covers at list prices at most. Above 100 the market pays on top, and a consumer who is
   * served by a provider of its own may gain (`funds/wash.test.ts` holds the line).
   */
  readonly coveredFeePercents: number;
  /** External endpoints may serve its requests: the fallback that paid plans have when agents cannot. */
  readonly fallback: boolean;
}

/** What an account has when nobody chose another plan. */
export const DEFAULT_PLAN = 'pay-as-you-go';

export const PLANS = {
  free: {
    name: 'free',
    title: 'Free',
    monthlyCents: 0,
    requestsPerMinute: 10,
    requestsPerDay: 100,
    concurrent: 2,
    modelTiers: ['free'],
    coveredTiers: [],
    tokensPerWeek: 1_000_000,
    imagesPerDay: 10,
    coveredFeePercents: 0,
    fallback: false,
  },
  'pay-as-you-go': {
    name: 'pay-as-you-go',
    title: 'Pay as you go',
    monthlyCents: 0,
    requestsPerMinute: null,
    requestsPerDay: null,
    concurrent: null,
    modelTiers: null,
    coveredTiers: [],
    tokensPerWeek: null,
    imagesPerDay: null,
    coveredFeePercents: 0,
    fallback: true,
  },
  pro: {
    name: 'pro',
    title: 'Pro',
    monthlyCents: 600,
    requestsPerMinute: 50,
    requestsPerDay: 1_500,
    concurrent: 8,
    // Premium models are paid for from the balance, so Pro may call them too.
    modelTiers: null,
    coveredTiers: ['free', 'standard'],
    tokensPerWeek: 40_000_000,
    imagesPerDay: 75,
    coveredFeePercents: 100,
    fallback: true,
  },
  // Given by the operator, with an agreement of its own; a consumer cannot choose it.
  business: {
    name: 'business',
    title: 'Business',
    monthlyCents: 0,
    requestsPerMinute: null,
    requestsPerDay: null,
    concurrent: null,
    modelTiers: null,
    coveredTiers: [],
    tokensPerWeek: null,
    imagesPerDay: null,
    coveredFeePercents: 0,
    fallback: true,
  },
} as const satisfies Record<string, Plan>;

export type PlanName = keyof typeof PLANS;

/** The plan of this name; an account with a name that is not in the table pays as it goes. */
export function planOf(name: string | undefined): Plan {
  return name !== undefined && Object.hasOwn(PLANS, name) ? PLANS[name as PlanName] : PLANS[DEFAULT_PLAN];
}
