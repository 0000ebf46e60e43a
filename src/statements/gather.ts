import type { Sql } from '#db/database.ts';
import { assert } from '#kit/assert.ts';

/**
 * Makes the lines of a closed month out of the ledger, once, within the caller's transaction. The month has every entry that
 * is labelled before its end and was there at its cut, less what the month before has: cuts and ends both only grow, so the
 * months take the ledger apart without a rest and without anything twice.
 *
 * What a correction gives back of a charge of this month is taken off that charge's line; of an earlier month's it is a
 * refund for that month. (Where clocks disagree so much that the charge is labelled later than this month, it is taken off
 * here and charged there.)
 *
 * A credit of a service level agreement is a refund for its own month, where that month has an invoice to take it off, and a
 * movement otherwise.
 */
export async function gatherLines(sql: Sql, month: string): Promise<void> {
  const [row] = await sql<{ ends_at: Date; cut: bigint; state: string }[]>`
    select ends_at, cut, state from billing_months where month = ${month} for update`;
  assert(row, 'a month is closed before its lines are gathered');
  if (row.state !== 'cut') return;
  const [before] = await sql<{ ends_at: Date; cut: bigint }[]>`
    select ends_at, cut from billing_months where month < ${month} order by month desc limit 1`;
  const to = row.ends_at;
  const from = before?.ends_at ?? new Date(0);
  const seen = before?.cut ?? 0n;
  await sql`
    insert into billing_lines
      (month, consumer_id, kind, name, of_month, count, input_tokens, output_tokens, units, seconds, amount)
    with facts as (
      select e.id, e.kind, e.at, substr(leg.account, 10) as consumer_id, leg.amount
      from entries e cross join lateral unnest(e.accounts, e.amounts) as leg(account, amount)
      where leg.account like 'consumer:%' and e.at < ${to} and e.seq > ${seen} and e.seq <= ${row.cut}
      union all
      select e.id, e.kind, e.at, substr(leg.account, 10), leg.amount
      from entries e cross join lateral unnest(e.accounts, e.amounts) as leg(account, amount)
      where leg.account like 'consumer:%' and e.at >= ${from} and e.at < ${to} and e.seq <= ${seen}
    ), parts as (
      select f.consumer_id, 'usage' as kind, coalesce(u.model_id, 'unknown') as name, f.at as of_at, null as billed,
        1 as count, u.input_tokens as input, u.output_tokens as output, u.units, u.seconds, f.amount
      from facts f left join usage u on u.id = substr(f.id, 8) where f.kind = 'charge'
      union all
      select f.consumer_id, case when b.month is distinct from ${month} and b.month is not null then 'refund' else 'usage' end,
        coalesce(u.model_id, 'unknown'), coalesce(charge.at, f.at),
        case when b.month is distinct from ${month} then b.month end,
        case when b.month is distinct from ${month} and b.month is not null then 1 else 0 end,
        c.input_tokens - u.input_tokens, c.output_tokens - u.output_tokens, 0, 0, f.amount
      from facts f
      left join corrections c on c.request_id = substr(f.id, 12)
      left join usage u on u.id = c.request_id
      left join entries charge on charge.id = 'charge:' || substr(f.id, 12)
      left join lateral (
        select m.month from billing_months m where m.ends_at > charge.at and m.cut >= charge.seq order by m.ends_at limit 1
      ) b on true
      where f.kind = 'correction'
      union all
      select f.consumer_id, 'plan-fee', split_part(f.id, ':', 3), f.at, null, 1, 0, 0, 0, 0, f.amount
      from facts f where f.kind = 'plan-fee'
      union all
      select f.consumer_id, case when d.number is null then 'movement' else 'refund' end, f.kind, f.at,
        case when d.number is not null then right(f.id, 7) end, 1, 0, 0, 0, 0, f.amount
      from facts f left join documents d on d.subject = 'invoice:' || f.consumer_id || ':' || right(f.id, 7)
      where f.kind = 'sla-credit'
      union all
      select f.consumer_id, 'movement', f.kind, f.at, null, 1, 0, 0, 0, 0, f.amount
      from facts f where f.kind not in ('charge', 'correction', 'plan-fee', 'sla-credit')
    )
    select ${month}, consumer_id, kind, name, coalesce(billed, to_char(of_at at time zone 'UTC', 'YYYY-MM')),
      sum(count), coalesce(sum(input), 0), coalesce(sum(output), 0), coalesce(sum(units), 0), coalesce(sum(seconds), 0),
      sum(amount)
    from parts group by 2, 3, 4, 5`;
  await sql`update billing_months set state = 'gathered' where month = ${month}`;
}
