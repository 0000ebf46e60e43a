import { type Shares, split } from '#domain/split.ts';
import { monthsAfter } from '#domain/window.ts';
import { assert } from '#kit/assert.ts';
import { type Exclusion, type Market, scoresOf, uptimeOf, WHOLE, type Work } from './score.ts';

/**
 * Sharing out a day's pool, in a token's smallest unit. Pure. Every share is rounded down, and the reserve owns what is
 * left: what rounding leaves, and what nobody qualified for. So the shares and the reserve are the pool, exactly.
 *
 * - Phase 1: 75 % is basic income, less what the market was busy with; 25 % goes by contribution.
 * - Phase 2: 50 % is basic income for those who were there 95 % of the week, by how much; 50 % goes by contribution.
 * - Phase 3: 90 % goes by contribution; 10 % is the availability bonus, whole for 120 hours in the week.
 *
 * Basic income and bonus are shared by hardware tier. Each share is paid at 80 %, and locked at 20 % until its day.
 */
export type Phase = 1 | 2 | 3;

export interface Terms {
  /** Units of a day. Zero: nobody is given anything, and the scores are kept all the same. */
  readonly pool: bigint;
  readonly phase: Phase;
  /** How much of its basic income a phase pays, in basis points: it ends by steps. */
  readonly ubiBps: number;
}

export interface Share {
  readonly providerId: string;
  readonly excluded: Exclusion | undefined;
  readonly score: bigint;
  readonly weight: bigint;
  readonly ubi: bigint;
  readonly contribution: bigint;
  readonly bonus: bigint;
  /** The sum of these three, by when it can be paid out. */
  readonly liquid: bigint;
  readonly locked: bigint;
}

const PARTS: Readonly<Record<Phase, { ubi: number; contribution: number; bonus: number }>> = {
  1: { ubi: 7_500, contribution: 2_500, bonus: 0 },
  2: { ubi: 5_000, contribution: 5_000, bonus: 0 },
  3: { ubi: 0, contribution: 9_000, bonus: 1_000 },
};
const VESTING = { liquid: 8_000, locked: 2_000 } as const satisfies Shares;
const VESTING_MONTHS = 3;
const BASIC_UPTIME_MIN = (WHOLE * 95n) / 100n;
const BONUS_MINUTES = 120n * 60n;

/**
 * @param works each provider once
 * @param utilisation how busy the market was, of `WHOLE`
 */
export function shareOutPool(
  terms: Terms,
  works: readonly Work[],
  market: Market & { readonly utilisation: bigint },
): { shares: Share[]; reserve: bigint } {
  const { pool, phase } = terms;
  assert(
    new Set(works.map(({ providerId }) => providerId)).size === works.length,
    'each provider comes once',
  );
  assert(market.utilisation >= 0n && market.utilisation <= WHOLE, 'a market is at most wholly busy');
  const scores = scoresOf(works, market);
  const parts = split(pool, PARTS[phase], 'contribution');
  const idle = phase === 1 ? WHOLE - market.utilisation : WHOLE;
  const ubi = (parts.ubi * BigInt(terms.ubiBps) * idle) / (10_000n * WHOLE);
  const tier = (i: number): bigint => (scores[i]?.excluded ? 0n : (works[i]?.tier ?? 0n));
  const tiers = works.reduce((sum, _, i) => sum + tier(i), 0n);
  const weights = scores.reduce((sum, { weight }) => sum + weight, 0n);

  let reserve = pool;
  const shares = works.map((work, i): Share => {
    const { providerId, excluded, score, weight } = scores[i] as (typeof scores)[number];
    const share = {
      ubi: (portion(ubi, tier(i), tiers) * basicOf(phase, uptimeOf(work, market))) / WHOLE,
      contribution: portion(parts.contribution, weight, weights),
      bonus: portion(parts.bonus * least(work.minutes7d, BONUS_MINUTES), tier(i), tiers * BONUS_MINUTES),
    };
    const amount = share.ubi + share.contribution + share.bonus;
    reserve -= amount;
    return { providerId, excluded, score, weight, ...share, ...split(amount, VESTING, 'liquid') };
  });
  assert(reserve >= 0n, 'no more is given than there is');
  return { shares, reserve };
}

/** From this day on what is locked of a day's reward can be paid out: the same day of the month, three months later. */
export function vestsOn(day: number): number {
  return monthsAfter(day, VESTING_MONTHS);
}

function basicOf(phase: Phase, uptime: bigint): bigint {
  if (phase !== 2) return WHOLE;
  return uptime < BASIC_UPTIME_MIN ? 0n : uptime;
}

function portion(amount: bigint, weight: bigint, weights: bigint): bigint {
  return weights === 0n ? 0n : (amount * weight) / weights;
}

const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);
