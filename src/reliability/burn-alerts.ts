import { assert } from '#kit/assert.ts';
import { burnRate, type Counts } from './objectives.ts';

/**
 * When a burning error budget is worth waking somebody. Several windows and several rates at once (Google, Site Reliability
 * Workbook, chapter 5, "multiwindow, multi-burn-rate alerts"): the long window proves that it matters, the short one that
 * it still goes on, so an alert ends soon after the trouble does.
 *
 * A group with little traffic would burn its budget by one unlucky request. So the failures of the long window must also be
 * more than chance makes of a service that keeps its objective: that lets a few requests an hour prove little, and changes
 * nothing where there are many.
 *
 * The rules are pure: the counts of the windows go in, the alerts that hold come out. Who keeps the counts
 * (`recent-counts.ts`) decides how fine they are.
 */
export interface BurnRule {
  readonly name: string;
  /** `page` wakes somebody; `ticket` waits for the morning. */
  readonly severity: 'page' | 'ticket';
  readonly longS: number;
  readonly shortS: number;
  /** Both windows must burn at least this fast. */
  readonly rate: number;
}

/**
 * Of a 30 days' budget the rules let 1.4 %, 2 %, 5 % and 10 % burn before they fire. The first is ours: by the workbook's
 * three, chance alone decides whether a market with one request a second pages within 20 minutes when one in twenty fails.
 */
export const BURN_RULES: readonly BurnRule[] = [
  { name: 'sharp', severity: 'page', longS: 1_800, shortS: 300, rate: 20 },
  { name: 'fast', severity: 'page', longS: 3_600, shortS: 300, rate: 14.4 },
  { name: 'steady', severity: 'page', longS: 6 * 3_600, shortS: 1_800, rate: 6 },
  { name: 'slow', severity: 'ticket', longS: 3 * 86_400, shortS: 6 * 3_600, rate: 1 },
];

/** Fewer failures than this prove nothing, whatever share of the requests they are. */
const FAILURES_MIN = 3;
/** Of a single model, region or consumer: one moment's trouble makes a client try again a few times. */
export const FAILURES_MIN_OF_GROUP = 6;
/** How unlikely the failures of the long window must be where the objective is just kept: its natural logarithm. */
const CHANCE_MAX = Math.log(1e-5);

export interface BurnAlert {
  readonly rule: BurnRule;
  /** How fast the long and the short window burn. */
  readonly longRate: number;
  readonly shortRate: number;
}

/** Counts, and how many of the requests might fail by the objective that held for each. */
export interface BudgetCounts extends Counts {
  readonly allowed: number;
}

/** Counts of a window, and how much of it was counted at all: less than all of it soon after a start. */
export interface WindowCounts extends BudgetCounts {
  readonly coveredS: number;
}

/**
 * The rules that hold. `countsOver(seconds)` answers the counts of the last so many seconds. Of a window that was not
 * counted from its beginning, the rest is taken to have been as busy and free of failures: three unlucky requests after a
 * start are no three days of trouble.
 */
export function burnAlerts(
  countsOver: (seconds: number) => WindowCounts,
  failuresMin: number = FAILURES_MIN,
): BurnAlert[] {
  const alerts: BurnAlert[] = [];
  for (const rule of BURN_RULES) {
    assert(rule.shortS < rule.longS, 'the short window lies within the long one');
    const long = filled(countsOver(rule.longS), rule.longS);
    if (long.failures < failuresMin || isChance(long)) continue;
    const short = filled(countsOver(rule.shortS), rule.shortS);
    if (short.failures === 0) continue;
    const longRate = burnRate(long);
    const shortRate = burnRate(short);
    if (longRate >= rule.rate && shortRate >= rule.rate) alerts.push({ rule, longRate, shortRate });
  }
  return alerts;
}

/**
 * Whether so many failures are to be expected now and then where the objective is just kept. Failures are taken to come one
 * by one (Poisson); Chernoff's bound of its tail errs to the side of chance.
 */
function isChance({ failures, allowed }: BudgetCounts): boolean {
  if (failures <= allowed) return true;
  return failures - allowed + failures * Math.log(allowed / failures) > CHANCE_MAX;
}

function filled({ requests, failures, allowed, coveredS }: WindowCounts, seconds: number): BudgetCounts {
  const times = coveredS > 0 ? Math.max(1, seconds / coveredS) : 1;
  return { requests: requests * times, failures, allowed: allowed * times };
}
