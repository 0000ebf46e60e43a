import type { TierName } from '#domain/tier.ts';
import { assert } from '#kit/assert.ts';

/**
 * What a tier is promised to reach, and the arithmetic of its error budget. Arithmetic only: counts in, shares out. What
 * is promised to a customer with money behind it is a service level *agreement* (`sla-terms.ts`); these are the targets that
 * we hold ourselves to, so that the agreement is never the first to notice.
 */
export interface Objectives {
  /** Share of one-minute intervals that are available in a calendar month; below 1. */
  readonly availability: number;
  /** 95th percentile of the time to the first token, milliseconds. */
  readonly ttftP95Ms: number;
  /** 95th percentile of the time to the last token, by the most tokens that were generated. */
  readonly ttltP95Ms: Readonly<Record<OutputBudget, number>>;
  /** Share of requests that end with a status of 500 and above, or break in mid-stream. */
  readonly serverErrors: number;
  /** Share of requests that are refused with 429. Counted apart: it is a question of capacity, not of faults. */
  readonly tooMany: number;
}

/** Answers are compared at fixed sizes: a longer answer is no slower service. */
export type OutputBudget = 256 | 512;

/** An answer of so many tokens belongs to the smallest budget that holds it; undefined when it is longer than all. */
export function outputBudgetOf(outputTokens: number): OutputBudget | undefined {
  return outputTokens <= 256 ? 256 : outputTokens <= 512 ? 512 : undefined;
}

/**
 * By tier, as a market begins; its operator may set others (`objective-terms.ts`). Hobby shares what is left over and is promised
 * less.
 */
export const OBJECTIVES = {
  hobby: {
    availability: 0.995,
    ttftP95Ms: 4_000,
    ttltP95Ms: { 256: 20_000, 512: 35_000 },
    serverErrors: 0.01,
    tooMany: 0.05,
  },
  pro: {
    availability: 0.999,
    ttftP95Ms: 1_500,
    ttltP95Ms: { 256: 8_000, 512: 14_000 },
    serverErrors: 0.002,
    tooMany: 0.01,
  },
  business: {
    availability: 0.999,
    ttftP95Ms: 1_200,
    ttltP95Ms: { 256: 8_000, 512: 14_000 },
    serverErrors: 0.002,
    tooMany: 0.01,
  },
} as const satisfies Readonly<Record<TierName, Objectives>>;

/** The objectives of each tier as they stand now. */
export type ObjectivesOf = (tier: TierName) => Objectives;

/** As a market begins. */
export const firstObjectives: ObjectivesOf = (tier) => OBJECTIVES[tier];

/** Requests of one window, told apart by what they say about the service. */
export interface Counts {
  /** All that count: a caller's own mistake (4xx) is not among them. */
  readonly requests: number;
  /** Those whose row of the error table spends the error budget. */
  readonly failures: number;
}

/**
 * How fast the error budget burns: 1 spends exactly the whole budget over the period of the objective, 1000 is a complete
 * outage under a target of 99.9 % (Google, Site Reliability Workbook, ch. 5). `allowed` is how many of the requests might
 * fail by the objective that held for each.
 */
export function burnRate({ failures, allowed }: { failures: number; allowed: number }): number {
  assert(allowed >= 0 && failures >= 0, 'nobody is allowed less than nothing');
  return failures === 0 ? 0 : failures / allowed;
}

/** A month's budget in minutes and what is left of it: 99.9 % of 43,800 minutes leaves 43.8 to spend. */
export interface MinuteBudget {
  readonly minutes: number;
  readonly allowed: number;
  readonly spent: number;
  /** Negative when more was spent than there was. */
  readonly left: number;
}

/** @param minutes the length of the period; @param spent unavailable minutes in it so far */
export function minuteBudget(objective: number, minutes: number, spent: number): MinuteBudget {
  assert(spent >= 0 && spent <= minutes, 'a period has room for what was spent of it');
  const allowed = minutes * (1 - objective);
  return { minutes, allowed, spent, left: allowed - spent };
}
