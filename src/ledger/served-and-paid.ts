import type { Sql } from '#db/database.ts';

/**
 * The two tables from which every account of earnings is made: `served`, the requests of a stretch of time that were
 * answered or cut short by their client, corrections included (what was paid for one, by its consumer and by a plan, is its
 * `gross`), and `paid`, what the ledger gave their providers. To be put after `with`.
 */
export function servedAndPaid(sql: Sql, about: { from: number; to: number; providerId?: string }) {
  const provider =
    about.providerId === undefined
      ? sql`u.provider_id is not null`
      : sql`u.provider_id = ${about.providerId}`;
  return sql`
    served as materialized (
      select u.id, u.at, u.provider_id, u.node_id, u.mode, u.model_id,
        u.charge + u.covered - coalesce(c.refund + c.covered_refund, 0) as gross,
        coalesce(c.input_tokens, u.input_tokens) as input, coalesce(c.output_tokens, u.output_tokens) as output
      from usage u left join corrections c on c.request_id = u.id
      where ${provider} and u.at >= ${new Date(about.from)} and u.at < ${new Date(about.to)}
        and u.outcome in ('completed', 'cancelled')
    ), paid as (
      select s.id, sum(leg.amount) as earned
      from served s
      join entries e on e.id = any(array['charge:' || s.id, 'correction:' || s.id])
      cross join unnest(e.accounts, e.amounts) as leg(account, amount)
      where leg.account = 'provider:' || s.provider_id
      group by s.id
    )`;
}
