import { assert } from '#kit/assert.ts';
import { burnRate, type Counts } from './objectives.ts';

/**
 * When a burning error budget is worth waking somebody. Several windows and several rates at once (Google, Site Reliability
 * Workbook, chapter 5, "multiwindow, multi-burn-rate alerts"): the long window proves that it matters, the short one that
 * it still goes on, so an alert ends soon after the trouble does.
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

export interface BurnAlert {
  readonly rule: BurnRule;
  /** How fast the long and the short window burn. */
  readonly longRate: number;
  readonly shortRate: number;
}

/** Counts of a window, and how much of it was counted at all: less than all of it soon after a start. */
export interface WindowCounts extends Counts {
  readonly coveredS: number;
}

/**
 * The rules that hold. `countsOver(seconds)` answers the counts of the last so many seconds. Of a window that was not
 * counted from its beginning, the rest is taken to have been as busy and free of failures: three unlucky requests after a
 * start are no three days of trouble.
 */
export function burnAlerts(
  countsOver: (seconds: number) => WindowCounts,
  objective: number,
  rules: readonly BurnRule[] = BURN_RULES,
): BurnAlert[] {
  const alerts: BurnAlert[] = [];
  for (const rule of rules) {
    assert(rule.shortS < rule.longS, 'the short window lies within the long one');
    const long = filled(countsOver(rule.longS), rule.longS);
    const short = filled(countsOver(rule.shortS), rule.shortS);
    if (long.failures < FAILURES_MIN || short.failures === 0) continue;
    const longRate = burnRate(long, objective);
    const shortRate = burnRate(short, objective);
    if (longRate >= rule.rate && shortRate >= rule.rate) alerts.push({ rule, longRate, shortRate });
  }
  return alerts;
}

function filled({ requests, failures, coveredS }: WindowCounts, seconds: number): Counts {
  return { requests: coveredS > 0 ? requests * Math.max(1, seconds / coveredS) : requests, failures };
}
