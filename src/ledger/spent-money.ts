import type { Sql } from '#db/database.ts';
import { consumerAccount } from './chart.ts';

/**
 * In which order a consumer's money is spent: what the market gave comes first, whatever it gave it for, and only then what
 * was paid in. This is the one place that says which money was paid in. Who asks what an account really paid (service
 * levels, revenue) asks here, so that no credit of the market's earns another.
 *
 * Given: grants, bonuses of deposits and credits for missed service levels. Spent on: requests, less what was given back of
 * them, and fees of plans. Nothing is divided, so nothing is rounded: each pico-dollar that was spent was either given or
 * paid in.
 *
 * How it is counted. In the order of the ledger, all that was spent less all that was given is how much paid money was needed
 * so far. Only where that is higher than ever before, paid money was spent; what was given later pays for what comes later.
 * Money that went out again (a withdrawal, a card payment that was taken back) never makes room for credit: what is given
 * stays to be spent first.
 */
export interface SpentBy {
  /** One consumer by its id, or those of a subquery in brackets, `(select …)`. */
  readonly consumers: string | ReturnType<Sql>;
  /** What is labelled before this, wall milliseconds. */
  readonly until: number;
  /** As the ledger stood when this was its last entry; as it stands where it is left out. */
  readonly cut?: bigint | undefined;
}

/**
 * The tables of the rule, to be put after `with`. `spent` has a row for each request that was charged and each fee of a plan:
 * `consumer_id`, `at`, `charge` (less what was given back), `tokens`, `plan_fee` (whether it is one), and of the charge `paid`.
 */
export function spentMoney(sql: Sql, { consumers: who, until, cut }: SpentBy) {
  const to = new Date(until);
  const one = typeof who === 'string';
  const consumers = one ? sql`(${who})` : who;
  const ofOne = one ? sql`and e.accounts @> array[${consumerAccount(who)}]::text[]` : sql``;
  const there = cut === undefined ? sql`` : sql`and e.seq <= ${cut}`;
  const givenBack =
    cut === undefined
      ? sql``
      : sql`and exists (select from entries e where e.id = 'correction:' || c.request_id and e.seq <= ${cut})`;
  return sql`
    moves as (
      select substr(leg.account, 10) as consumer_id, e.seq, null::timestamptz as at, 0::numeric as charge,
        0::bigint as tokens, false as plan_fee, -leg.amount as moved
      from entries e cross join unnest(e.accounts, e.amounts) as leg(account, amount)
      where e.kind in ('grant', 'bonus', 'sla-credit') and leg.account like 'consumer:%'
        and substr(leg.account, 10) in ${consumers} ${ofOne} ${there}
      union all
      select u.consumer_id, e.seq, u.at, u.charge - coalesce(c.refund, 0),
        coalesce(c.input_tokens, u.input_tokens) + coalesce(c.output_tokens, u.output_tokens), false,
        u.charge - coalesce(c.refund, 0)
      from usage u join entries e on e.id = 'charge:' || u.id
      left join corrections c on c.request_id = u.id ${givenBack}
      where u.consumer_id in ${consumers} and u.charge > 0 and u.at < ${to} ${there}
      union all
      select p.consumer_id, e.seq, p.starts_at, p.fee, 0, true, p.fee
      from plan_periods p join entries e on e.id = 'plan-fee:' || p.consumer_id || ':' || p.plan || ':'
        || to_char(p.starts_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
      where p.consumer_id in ${consumers} and p.starts_at < ${to} ${there}
    ), running as (
      select *, sum(moved) over (partition by consumer_id order by seq) as needed from moves
    ), highest as (
      select *, greatest(0, max(needed) over (partition by consumer_id order by seq)) as paid_so_far from running
    ), spent as (
      select consumer_id, at, charge, tokens, plan_fee,
        paid_so_far - coalesce(lag(paid_so_far) over (partition by consumer_id order by seq), 0) as paid
      from highest where at is not null
    )`;
}
