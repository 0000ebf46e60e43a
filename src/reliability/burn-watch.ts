import type { TierName } from '#domain/tier.ts';
import { type BurnAlert, burnAlerts } from './burn-alerts.ts';
import type { Blame } from './minute-book.ts';
import { OBJECTIVES } from './objectives.ts';
import { RecentCounts } from './recent-counts.ts';

/** An error budget that burns, and whose. */
export interface TierAlert extends BurnAlert {
  readonly tier: TierName;
}

/** Three days of each tier's requests and failures, for the rules of `burn-alerts.ts`. */
export class BurnWatch {
  readonly #nowMs: () => number;
  readonly #blameOf: (code: string) => Blame;
  readonly #tiers: ReadonlyMap<TierName, RecentCounts>;

  constructor(parts: { nowMs: () => number; blameOf: (code: string) => Blame }) {
    this.#nowMs = parts.nowMs;
    this.#blameOf = parts.blameOf;
    const tiers = Object.keys(OBJECTIVES) as TierName[];
    this.#tiers = new Map(tiers.map((tier) => [tier, new RecentCounts({ slotS: 30, spanS: 3 * 86_400 })]));
  }

  /** A request ended: with a code of the error table, or well. */
  note(tier: TierName, code: string | null): void {
    const blame = code === null ? undefined : this.#blameOf(code);
    // A mistake of the caller's says nothing of the service, and what is too much is counted apart.
    if (blame && !blame.spendsBudget && blame.status >= 400 && blame.status < 500) return;
    this.#tiers.get(tier)?.add(this.#nowMs(), { requests: 1, failures: blame?.spendsBudget ? 1 : 0 });
  }

  alerts(): TierAlert[] {
    const nowMs = this.#nowMs();
    return [...this.#tiers].flatMap(([tier, counts]) =>
      burnAlerts((seconds) => counts.over(nowMs, seconds), OBJECTIVES[tier].availability).map((alert) => ({
        ...alert,
        tier,
      })),
    );
  }
}
