import type { Sql } from '#db/database.ts';
import { type TierName, tierOfPlan } from '#domain/tier.ts';
import { monthName, monthStart } from '#domain/window.ts';
import type { Stretch } from '#reliability/credits.ts';
import { SLA_OF_TIER, type SlaTerms } from '#reliability/sla-terms.ts';
import { contractIn } from './contracts.ts';

/**
 * What was agreed with a consumer for a month: by its contract, where it has one, for the whole month; else by the tier of its
 * plan, minute by minute. The plan of a minute is the one at its beginning, from the changes that are kept; where that promises
 * nothing, a plan that was paid for and still runs does. Minutes with neither are not part of the agreement: they count neither
 * way. The terms are those of the tier that most minutes had; of two with as many, the later one's.
 */
export interface Agreed {
  readonly tier: TierName;
  readonly terms: SlaTerms;
  /** Minutes since 1970 that nothing was agreed for, in order. */
  readonly notAgreed: readonly Stretch[];
}

/** As it stood at `asOfMs`. Undefined where nothing was agreed for any minute, or there is no such consumer. */
export async function agreedIn(
  sql: Sql,
  consumerId: string,
  month: number,
  asOfMs: number,
): Promise<Agreed | undefined> {
  const span = { fromMs: monthStart(month), untilMs: monthStart(month + 1) };
  const [row] = await sql<{ plan: string }[]>`select plan from consumers where id = ${consumerId}`;
  if (!row) return undefined;
  const changes = await sql<{ at: Date; before: string; after: string }[]>`
    select at, before, after from plan_changes where consumer_id = ${consumerId} order by at, seq`;
  const paid = await sql<{ plan: string; starts_at: Date; ends_at: Date }[]>`
    select plan, starts_at, ends_at from plan_periods
    where consumer_id = ${consumerId} and starts_at < ${new Date(span.untilMs)} and ends_at > ${new Date(span.fromMs)}
    order by starts_at`;
  const { tier, notAgreed, any } = tierOverTime({
    ...span,
    plan: row.plan,
    changes: changes.map(({ at, before, after }) => ({ atMs: at.getTime(), before, after })),
    paid: paid.map(({ plan, starts_at, ends_at }) => ({
      plan,
      fromMs: starts_at.getTime(),
      untilMs: ends_at.getTime(),
    })),
  });
  const contract = await contractIn(sql, consumerId, monthName(month), asOfMs);
  if (contract) return { tier, terms: contract, notAgreed: [] };
  const terms = SLA_OF_TIER[tier];
  return any && terms ? { tier, terms, notAgreed } : undefined;
}

export interface PlanHistory {
  readonly fromMs: number;
  readonly untilMs: number;
  /** The plan of now. */
  readonly plan: string;
  /** Every change that is known, in order. */
  readonly changes: readonly { readonly atMs: number; readonly before: string; readonly after: string }[];
  /** Paid periods that touch the span. */
  readonly paid: readonly { readonly plan: string; readonly fromMs: number; readonly untilMs: number }[];
}

/** Pure. `any`: some minute of the span was promised something. `tier`: of the most minutes that were, else of the last. */
export function tierOverTime(history: PlanHistory): {
  tier: TierName;
  notAgreed: Stretch[];
  any: boolean;
} {
  const { fromMs, untilMs, changes, paid } = history;
  const bounds = [
    fromMs,
    ...changes.map(({ atMs }) => atMs),
    ...paid.flatMap((each) => [each.fromMs, each.untilMs]),
    untilMs,
  ]
    .filter((at) => at >= fromMs && at <= untilMs)
    .toSorted((a, b) => a - b);
  const minutesOf = new Map<TierName, number>();
  const notAgreed: { from: number; until: number }[] = [];
  let last: TierName = tierOfPlan(history.plan);
  for (let i = 1; i < bounds.length; i++) {
    // A minute belongs to what held when it began.
    const from = Math.ceil((bounds[i - 1] as number) / 60_000);
    const until = Math.ceil((bounds[i] as number) / 60_000);
    if (until <= from) continue;
    last = tierAt(history, bounds[i - 1] as number);
    const before = notAgreed.at(-1);
    if (SLA_OF_TIER[last]) minutesOf.set(last, (minutesOf.get(last) ?? 0) + until - from);
    else if (before?.until === from) before.until = until;
    else notAgreed.push({ from, until });
  }
  let [tier, most] = [last, 0];
  for (const [each, minutes] of minutesOf) if (minutes >= most) [tier, most] = [each, minutes];
  return { tier, notAgreed, any: most > 0 };
}

function tierAt({ plan, changes, paid }: PlanHistory, atMs: number): TierName {
  const made = changes.findLast((each) => each.atMs <= atMs);
  const tier = tierOfPlan(made?.after ?? changes[0]?.before ?? plan);
  if (SLA_OF_TIER[tier]) return tier;
  const paidFor = paid.findLast((each) => each.fromMs <= atMs && each.untilMs > atMs);
  return paidFor ? tierOfPlan(paidFor.plan) : tier;
}
