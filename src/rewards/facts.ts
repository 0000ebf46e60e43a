import type { Sql } from '#db/database.ts';
import { PROBER } from '#domain/prober.ts';
import { dayName, dayStart } from '#domain/window.ts';
import { type Market, WHOLE, type Work } from './score.ts';

/**
 * What the market has measured of its providers by the end of a day, as the score wants it. Counted from posted usage and
 * from noted minutes; nothing is estimated, and nothing that an agent says of itself counts.
 *
 * An inference counts when it was completed over an agent's connection, cost something after corrections, and was paid for
 * by somebody else: not by the provider's own user, not by the market's probes, and not by a consumer who was given more than
 * it paid in. Given is what the market gave (grants, bonuses, credits for missed service levels: as `ledger/spent-money.ts`
 * has it); what was paid back, and card money that was taken back, was not paid in, also where it is still owed. So a reward
 * costs whoever wants to buy it the market's share of every request.
 *
 * Usage that is posted late (out of the journal of a process that died) is missing in its own day and counts in the six that
 * follow.
 */
export interface Facts {
  /** In the order of their ids. */
  readonly works: readonly Work[];
  readonly market: Market & { readonly utilisation: bigint };
}

const WEEK = 7;
const MONTH = 30;

export async function factsOf(sql: Sql, day: number): Promise<Facts> {
  const [weekFrom, monthFrom, last] = [dayName(day - WEEK + 1), dayName(day - MONTH + 1), dayName(day)];
  const [from, to] = [new Date(dayStart(day - WEEK + 1)), new Date(dayStart(day + 1))];
  const [market] = await sql<{ minutes7d: bigint; minutes30d: bigint; models: bigint }[]>`
    select coalesce(sum(bit_count(minutes)) filter (where day >= ${weekFrom}), 0)::bigint as "minutes7d",
      coalesce(sum(bit_count(minutes)), 0)::bigint as "minutes30d",
      (select count(*) from models where active) as models
    from market_minutes where day >= ${monthFrom} and day <= ${last}`;
  const rows = await sql<(Work & { busyMs: bigint })[]>`
    with received as (
      select consumer_id, sum(paid) as paid, sum(given) as given from (
        select substr(leg.account, 10) as consumer_id, leg.amount as paid, 0::numeric as given
        from entries e, unnest(e.accounts, e.amounts) as leg(account, amount)
        where e.kind in ('deposit', 'withdrawal') and e.at < ${to} and leg.account like 'consumer:%'
        union all
        select substr(leg.account, 10), 0, leg.amount
        from entries e, unnest(e.accounts, e.amounts) as leg(account, amount)
        where e.kind in ('grant', 'bonus', 'sla-credit') and e.at < ${to} and leg.account like 'consumer:%'
        union all
        select consumer_id, -amount, 0 from card_reversals where not reinstated and at < ${to}
      ) as moves group by consumer_id
    ),
    done as (
      select u.provider_id, u.model_id, u.outcome, u.total_ms,
        coalesce(c.input_tokens, u.input_tokens) + coalesce(c.output_tokens, u.output_tokens) as tokens,
        u.outcome = 'completed' and u.charge > coalesce(c.refund, 0)
          and coalesce(r.paid, 0) > 0 and r.paid >= coalesce(r.given, 0) as counts
      from usage u
      left join corrections c on c.request_id = u.id
      left join received r on r.consumer_id = u.consumer_id
      where u.at >= ${from} and u.at < ${to} and u.provider_id is not null and u.mode = 'websocket'
        and u.consumer_id <> ${PROBER.ownerId}
        and not exists (
          select from users own where own.consumer_id = u.consumer_id and own.provider_id = u.provider_id
        )
    ),
    work as (
      select provider_id, count(*) filter (where counts) as inferences,
        sum(tokens) filter (where counts) as tokens,
        count(distinct model_id) filter (where counts) as models,
        count(*) filter (where outcome in ('completed', 'cancelled')) as succeeded,
        count(*) filter (where outcome in ('broken', 'failed')) as failed,
        avg(total_ms) filter (where counts) as latency, sum(total_ms) as busy
      from done group by provider_id
    ),
    presence as (
      select p.provider_id,
        sum(bit_count(p.minutes & m.minutes)) filter (where p.day >= ${weekFrom}) as week,
        sum(bit_count(p.minutes & m.minutes)) as month
      from provider_minutes p join market_minutes m on m.day = p.day
      where p.day >= ${monthFrom} and p.day <= ${last}
      group by p.provider_id
    )
    select p.id as "providerId", p.state = 'active' as active,
      coalesce((
        select tier from reward_tiers t where t.provider_id = p.id and t.set_at < ${to} order by seq desc limit 1
      ), 100)::bigint as tier,
      coalesce(w.inferences, 0)::bigint as inferences, coalesce(w.tokens, 0)::bigint as tokens,
      coalesce(w.succeeded, 0)::bigint as succeeded, coalesce(w.failed, 0)::bigint as failed,
      round(coalesce(w.latency, 0))::bigint as "latencyMs", coalesce(w.models, 0)::bigint as models,
      coalesce(s.week, 0)::bigint as "minutes7d", coalesce(s.month, 0)::bigint as "minutes30d",
      round(coalesce(w.busy, 0))::bigint as "busyMs"
    from providers p left join work w on w.provider_id = p.id left join presence s on s.provider_id = p.id
    where w.provider_id is not null or s.week > 0
    order by p.id collate "C"`;
  let busyMs = 0n;
  let thereMs = 0n;
  for (const row of rows) {
    busyMs += row.busyMs;
    thereMs += row.minutes7d * 60_000n;
  }
  const utilisation = busyMs >= thereMs ? (thereMs === 0n ? 0n : WHOLE) : (busyMs * WHOLE) / thereMs;
  return {
    works: rows,
    market: {
      minutes7d: market?.minutes7d ?? 0n,
      minutes30d: market?.minutes30d ?? 0n,
      models: market?.models ?? 0n,
      // Kept in millionths: what is stored is what was computed with.
      utilisation: utilisation - (utilisation % (WHOLE / 1_000_000n)),
    },
  };
}
