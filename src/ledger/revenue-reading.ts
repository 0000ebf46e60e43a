import type { Database } from '#db/database.ts';
import type { Pico } from '#domain/money.ts';
import { servedAndPaid } from './served-and-paid.ts';
import { spentMoney } from './spent-money.ts';

/**
 * What was sold, from rows that were posted: what each provider earned, what came in by machine, and what of it was paid
 * for. A request counts when it was served, corrections included. Everything here reads a whole range: give a database with
 * a deadline of minutes.
 */
export type Period = 'day' | 'week' | 'month';

/** From the beginning of one instant to before another, wall milliseconds. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

export interface Earned {
  /** `2026-11-26`, `2026-W48` (of ISO 8601, from Monday), `2026-11`; all in UTC. */
  readonly period: string;
  readonly modelId: string;
  readonly requests: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** What consumers and their plans paid, and what of it is the provider's. */
  readonly gross: Pico;
  readonly earned: Pico;
}

export interface NodeRevenue {
  readonly providerId: string;
  readonly nodeId: string | null;
  readonly mode: 'websocket' | 'external' | null;
  /** As the machine last said; null where it said none. */
  readonly gpu: string | null;
  readonly gpus: number;
  readonly requests: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly gross: Pico;
  readonly earned: Pico;
}

/**
 * Volume of a day, kept apart. *Paid* is money that consumers paid in; *given* is credit of the market's (demo credit,
 * bonuses, credits for missed service levels), which is always spent first; *covered* is what plans paid out of their fees; *free* is what was served without
 * any of these. A request of which any part was charged counts as paid or given, whatever a plan covered of the rest.
 */
export interface DayVolume {
  readonly day: string;
  readonly paidRequests: number;
  readonly paidTokens: number;
  readonly paid: Pico;
  readonly givenRequests: number;
  readonly givenTokens: number;
  readonly given: Pico;
  readonly coveredRequests: number;
  readonly coveredTokens: number;
  readonly covered: Pico;
  readonly freeRequests: number;
  readonly freeTokens: number;
}

const LABELS = { day: 'YYYY-MM-DD', week: 'IYYY-"W"IW', month: 'YYYY-MM' } as const;

export class RevenueReading {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** What a provider earned, by period and model; only where it did. */
  async earned(providerId: string, period: Period, range: Range): Promise<Earned[]> {
    const { sql } = this.#database;
    const rows = await sql<(Sums & { period: string; model_id: string })[]>`
      with ${servedAndPaid(sql, { ...range, providerId })}
      select to_char(s.at at time zone 'UTC', ${LABELS[period]}) as period, s.model_id,
        count(*) as requests, sum(s.input)::bigint as input, sum(s.output)::bigint as output,
        sum(s.gross)::numeric as gross, coalesce(sum(p.earned), 0)::numeric as earned
      from served s left join paid p on p.id = s.id
      group by 1, 2 order by 1, s.model_id collate "C"`;
    return rows.map((row) => ({ period: row.period, modelId: row.model_id, ...sumsOf(row) }));
  }

  /** What each machine and each external endpoint brought in, most first. */
  async byNode(range: Range): Promise<NodeRevenue[]> {
    const { sql } = this.#database;
    const rows = await sql<
      (Sums & {
        provider_id: string;
        node_id: string | null;
        mode: NodeRevenue['mode'];
        gpu: string | null;
        gpus: string | null;
      })[]
    >`
      with ${servedAndPaid(sql, range)}, sums as (
        select s.provider_id, s.node_id, s.mode, count(*) as requests, sum(s.input)::bigint as input,
          sum(s.output)::bigint as output, sum(s.gross)::numeric as gross, coalesce(sum(p.earned), 0)::numeric as earned
        from served s left join paid p on p.id = s.id group by 1, 2, 3
      )
      select s.*, nullif(coalesce(n.hardware->>'gpu_model', n.hardware->>'gpu_type'), '') as gpu,
        n.hardware->>'gpu_count' as gpus
      from sums s left join nodes n on n.node_id = s.node_id
      order by s.gross desc, s.provider_id, s.node_id, s.mode`;
    return rows.map((row) => ({
      providerId: row.provider_id,
      nodeId: row.node_id,
      mode: row.mode,
      gpu: row.gpu,
      gpus: row.gpu === null ? 0 : countOf(row.gpus),
      ...sumsOf(row),
    }));
  }

  /** Volume day by day (UTC); only days on which something was served. */
  async volume(range: Range): Promise<DayVolume[]> {
    const [from, to] = [new Date(range.from), new Date(range.to)];
    const { sql } = this.#database;
    const rows = await sql<
      {
        day: string;
        paid_requests: bigint;
        paid_tokens: bigint;
        paid: Pico;
        given_requests: bigint;
        given_tokens: bigint;
        given: Pico;
        covered_requests: bigint;
        covered_tokens: bigint;
        covered: Pico;
        free_requests: bigint;
        free_tokens: bigint;
      }[]
    >`
      with active as materialized (
        select distinct consumer_id from usage where at >= ${from} and at < ${to}
      ), ${spentMoney(sql, { consumers: sql`(select consumer_id from active)`, until: range.to })},
      served as (
        select at, paid, charge - paid as given, 0 as covered, tokens,
          case when charge > 0 then 'charged' else 'free' end as kind
        from spent where at >= ${from} and at < ${to} and not plan_fee
        union all
        select u.at, 0, 0, u.covered - coalesce(c.covered_refund, 0),
          case when u.charge > 0 then 0
            else coalesce(c.input_tokens, u.input_tokens) + coalesce(c.output_tokens, u.output_tokens) end,
          case when u.charge > 0 then 'counted' else 'covered' end
        from usage u left join corrections c on c.request_id = u.id
        where u.covered > 0 and u.at >= ${from} and u.at < ${to}
        union all
        select at, 0, 0, 0, input_tokens + output_tokens, 'free' from usage
        where charge = 0 and covered = 0 and outcome in ('completed', 'cancelled') and at >= ${from} and at < ${to}
      )
      select to_char(at at time zone 'UTC', 'YYYY-MM-DD') as day,
        count(*) filter (where paid > 0) as paid_requests,
        coalesce(sum(tokens) filter (where paid > 0), 0)::bigint as paid_tokens,
        coalesce(sum(paid), 0)::numeric as paid,
        count(*) filter (where kind = 'charged' and paid = 0) as given_requests,
        coalesce(sum(tokens) filter (where kind = 'charged' and paid = 0), 0)::bigint as given_tokens,
        coalesce(sum(given), 0)::numeric as given,
        count(*) filter (where kind = 'covered') as covered_requests,
        coalesce(sum(tokens) filter (where kind = 'covered'), 0)::bigint as covered_tokens,
        coalesce(sum(covered), 0)::numeric as covered,
        count(*) filter (where kind = 'free') as free_requests,
        coalesce(sum(tokens) filter (where kind = 'free'), 0)::bigint as free_tokens
      from served group by 1 order by 1`;
    return rows.map((row) => ({
      day: row.day,
      paidRequests: Number(row.paid_requests),
      paidTokens: Number(row.paid_tokens),
      paid: row.paid,
      givenRequests: Number(row.given_requests),
      givenTokens: Number(row.given_tokens),
      given: row.given,
      coveredRequests: Number(row.covered_requests),
      coveredTokens: Number(row.covered_tokens),
      covered: row.covered,
      freeRequests: Number(row.free_requests),
      freeTokens: Number(row.free_tokens),
    }));
  }
}

interface Sums {
  requests: bigint;
  input: bigint;
  output: bigint;
  gross: Pico;
  earned: Pico;
}

function sumsOf(row: Sums) {
  return {
    requests: Number(row.requests),
    inputTokens: Number(row.input),
    outputTokens: Number(row.output),
    gross: row.gross,
    earned: row.earned,
  };
}

/** How many GPUs a machine says it has; one where it names a GPU and no count that could be. */
function countOf(said: string | null): number {
  const count = Number(said);
  return Number.isInteger(count) && count >= 1 && count <= 1_024 ? count : 1;
}
