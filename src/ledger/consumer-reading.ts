import type { Database, Sql } from '#db/database.ts';
import type { Pico } from '#domain/money.ts';
import { SPLIT_POLICIES, type SplitPolicy, shareOut } from '#domain/policy.ts';
import type { Serving } from '#domain/serving.ts';
import type { UsageRecord } from '#domain/usage-record.ts';
import type { StatementLine } from './book.ts';
import { consumerAccount } from './chart.ts';
import { type RefusalsById, servingOfRefusal } from './recent-usage.ts';
import { isRefusal, notUsed } from './refusal-table.ts';
import { type ServingRow, servingColumns, servingOf } from './usage-list.ts';

/**
 * What a consumer reads of its own usage: over time, by what it was for, and request by request. Everything is counted from
 * posted rows, corrections included; every question names the consumer, so an answer holds nobody else's rows. Sums are of what
 * was used; requests that were refused are found one by one.
 */
export interface Stretch {
  /** Wall milliseconds; [from, until). */
  readonly from: number;
  readonly until: number;
}

export interface UsageSums {
  readonly requests: number;
  /** Broken and failed ones; they are free. */
  readonly failed: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** What the balance paid, refunds taken off, and what the plan did. */
  readonly spent: Pico;
  readonly covered: Pico;
  readonly ttftP50Ms: number | null;
  readonly ttftP95Ms: number | null;
}

export type UsageGroup = 'model' | 'key' | 'day';

export interface RequestLine {
  readonly id: string;
  readonly at: number;
  readonly keyId: string;
  readonly keyName: string | null;
  /** Null where the request was refused before it was known which. */
  readonly modelId: string | null;
  readonly operation: string;
  readonly outcome: UsageRecord['outcome'] | 'refused';
  readonly errorCode: string | null;
  readonly streamed: boolean;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly spent: Pico;
  readonly ttftMs: number | null;
  readonly totalMs: number;
}

/** One request with everything that its row tells. */
export interface RequestDetail extends RequestLine {
  readonly providerId: string | null;
  readonly mode: 'websocket' | 'external' | null;
  readonly attempts: number;
  readonly units: number;
  readonly seconds: number;
  /** Null for a request that was refused: it has none. */
  readonly price: { readonly id: string; readonly policy: string } | null;
  readonly charged: Pico;
  readonly refunded: Pico;
  readonly covered: Pico;
  /** Null for requests of long ago, whose days were dropped. */
  readonly serving: Serving | null;
  /** Of what was paid in the end, by the balance and by the plan. */
  readonly split: {
    readonly fee: Pico;
    readonly provider: Pico;
    readonly treasury: Pico;
    readonly burn: Pico;
  };
}

export class ConsumerReading {
  readonly #database: Database;
  readonly #refusals: RefusalsById | undefined;

  constructor(database: Database, refusals?: RefusalsById) {
    this.#database = database;
    this.#refusals = refusals;
  }

  /** Sums of a stretch. */
  async sums(consumerId: string, stretch: Stretch): Promise<UsageSums> {
    const { sql } = this.#database;
    const [row] = await sql<SumsRow[]>`${sumColumns(sql)} ${itsRows(sql, consumerId, stretch)}`;
    return sumsOf(row);
  }

  /** The same in stretches of `bucketMs`, counted from 1970; those without a request are not there. */
  async overTime(
    consumerId: string,
    stretch: Stretch,
    bucketMs: number,
  ): Promise<(UsageSums & { at: number })[]> {
    const { sql } = this.#database;
    const rows = await sql<(SumsRow & { bucket: Date })[]>`
      ${sumColumns(sql)},
        date_bin(${`${bucketMs} milliseconds`}::interval, u.at, timestamptz '1970-01-01 00:00:00+00') as bucket
      ${itsRows(sql, consumerId, stretch)} group by bucket order by bucket`;
    return rows.map((row) => ({ at: row.bucket.getTime(), ...sumsOf(row) }));
  }

  /** The same by model, by key or by day: what was spent most on comes first, days in their order. */
  async grouped(
    consumerId: string,
    stretch: Stretch,
    by: UsageGroup,
  ): Promise<(UsageSums & { id: string; name: string | null })[]> {
    const { sql } = this.#database;
    const column =
      by === 'model'
        ? sql`u.model_id`
        : by === 'key'
          ? sql`u.key_id`
          : sql`to_char(u.at at time zone 'UTC', 'YYYY-MM-DD')`;
    const rows = await sql<(SumsRow & { id: string; name: string | null })[]>`
      select g.*, ${by === 'key' ? sql`(select k.name from keys k where k.id = g.id)` : sql`null::text`} as name
      from (
        ${sumColumns(sql)}, ${column} as id ${itsRows(sql, consumerId, stretch)} group by ${column}
      ) as g
      order by ${by === 'day' ? sql`g.id` : sql`g.spent + g.covered desc, g.requests desc, g.id`} limit ${GROUPS_MAX}`;
    return rows.map((row) => ({ id: row.id, name: row.name, ...sumsOf(row) }));
  }

  /** Requests, newest first, of those named, refused ones among them; older than `before` (a request's id) where that is given. */
  async requests(
    consumerId: string,
    which: Stretch & {
      modelId?: string | undefined;
      keyId?: string | undefined;
      outcome?: string | undefined;
      before?: string | undefined;
      limit: number;
    },
  ): Promise<RequestLine[]> {
    const { sql } = this.#database;
    const { modelId, keyId, outcome, before, limit } = which;
    const last =
      before === undefined
        ? undefined
        : sql`(
            select b.at, b.id from usage b where b.id = ${before} and b.consumer_id = ${consumerId}
            union all
            select r.at, r.request_id from request_refusals r
            where ${isRefusal(sql, before)} and r.consumer_id = ${consumerId} and ${notUsed(sql)}
          )`;
    const used = sql`
      ${lineColumns(sql)} ${itsRows(sql, consumerId, which)}
        ${modelId === undefined ? sql`` : sql`and u.model_id = ${modelId}`}
        ${keyId === undefined ? sql`` : sql`and u.key_id = ${keyId}`}
        ${outcome === undefined ? sql`` : sql`and u.outcome = ${outcome}`}
        ${last ? sql`and (u.at, u.id) < ${last}` : sql``}
      order by u.at desc, u.id desc limit ${limit}`;
    const refused = sql`
      ${refusedColumns(sql)}
      where r.consumer_id = ${consumerId} and r.at >= ${new Date(which.from)} and r.at < ${new Date(which.until)}
        and ${notUsed(sql)}
        ${modelId === undefined ? sql`` : sql`and r.model_id = ${modelId}`}
        ${keyId === undefined ? sql`` : sql`and r.key_id = ${keyId}`}
        ${last ? sql`and (r.at, r.request_id) < ${last}` : sql``}
      order by r.at desc, r.request_id desc limit ${limit}`;
    if (outcome === 'refused') return (await sql<LineRow[]>`${refused}`).map(lineOf);
    if (outcome !== undefined) return (await sql<LineRow[]>`${used}`).map(lineOf);
    const rows = await sql<LineRow[]>`
      select * from ((${used}) union all (${refused})) as rows order by at desc, id desc limit ${limit}`;
    return rows.map(lineOf);
  }

  /** One request of this consumer. Another's reads like one that was never made. */
  async request(consumerId: string, id: string): Promise<RequestDetail | undefined> {
    const { sql } = this.#database;
    const [row] = await sql<DetailRow[]>`
      ${lineColumns(sql)}, u.provider_id, u.mode, u.attempts, u.units, u.seconds, u.price_id, u.policy, u.charge, u.covered,
        coalesce(c.refund, 0)::numeric as refund, coalesce(c.covered_refund, 0)::numeric as covered_refund,
        ${servingColumns(sql)}
      from usage u left join corrections c on c.request_id = u.id
        left join request_outcomes o on o.request_id = u.id and o.at = u.at
      where u.id = ${id} and u.consumer_id = ${consumerId}`;
    if (!row) return await this.#refused(consumerId, id);
    const covered = row.covered - row.covered_refund;
    return {
      ...lineOf(row),
      providerId: row.provider_id,
      mode: row.mode,
      attempts: Number(row.attempts),
      units: Number(row.units),
      seconds: Number(row.seconds),
      price: { id: row.price_id, policy: row.policy },
      charged: row.charge,
      refunded: row.refund,
      covered,
      serving: servingOf(row),
      split: shareOut(row.charge - row.refund + covered, SPLIT_POLICIES[row.policy] as SplitPolicy),
    };
  }

  async #refused(consumerId: string, id: string): Promise<RequestDetail | undefined> {
    const refused = await this.#refusals?.find(id, consumerId);
    if (!refused) return undefined;
    const { at, keyId, modelId, operation, streamed, code, totalMs, tries } = refused;
    const [key] = await this.#database.sql<{ name: string }[]>`select name from keys where id = ${keyId}`;
    return {
      id,
      at,
      keyId,
      keyName: key?.name ?? null,
      modelId,
      operation,
      outcome: 'refused',
      errorCode: code,
      streamed,
      inputTokens: 0,
      outputTokens: 0,
      spent: 0n,
      ttftMs: null,
      totalMs,
      providerId: null,
      mode: null,
      attempts: tries.length,
      units: 0,
      seconds: 0,
      price: null,
      charged: 0n,
      refunded: 0n,
      covered: 0n,
      serving: servingOfRefusal(refused),
      split: { fee: 0n, provider: 0n, treasury: 0n, burn: 0n },
    };
  }

  /** What several consumers have, and what they spent in a stretch; those that never had anything are not there. */
  async balances(
    consumerIds: readonly string[],
    { from, until }: Stretch,
  ): Promise<Map<string, { total: Pico; held: Pico; spent: Pico }>> {
    const rows = await this.#database.sql<{ id: string; balance: Pico; held: Pico; spent: Pico }[]>`
      select c.id, coalesce(a.balance, 0)::numeric as balance, coalesce(a.held, 0)::numeric as held,
        coalesce((
          select sum(u.charge - coalesce(x.refund, 0)) from usage u left join corrections x on x.request_id = u.id
          where u.consumer_id = c.id and u.at >= ${new Date(from)} and u.at < ${new Date(until)}
        ), 0)::numeric as spent
      from unnest(${[...consumerIds]}::text[]) as c(id) left join accounts a on a.id = 'consumer:' || c.id`;
    return new Map(rows.map(({ id, balance, held, spent }) => [id, { total: balance, held, spent }]));
  }

  /** What several consumers asked for in a stretch; those that asked for nothing have zeros. */
  async totals(
    consumerIds: readonly string[],
    { from, until }: Stretch,
  ): Promise<Map<string, { requests: number; failed: number; tokens: number; spent: Pico }>> {
    const rows = await this.#database.sql<
      { id: string; requests: bigint; failed: bigint; tokens: bigint; spent: Pico }[]
    >`
      select w.id, count(u.id) as requests, count(u.id) filter (where u.outcome in ('broken', 'failed')) as failed,
        coalesce(sum(u.input_tokens + u.output_tokens), 0)::bigint as tokens,
        coalesce(sum(u.charge - coalesce(c.refund, 0)), 0)::numeric as spent
      from unnest(${[...consumerIds]}::text[]) as w(id)
      left join usage u on u.consumer_id = w.id and u.at >= ${new Date(from)} and u.at < ${new Date(until)}
      left join corrections c on c.request_id = u.id
      group by w.id`;
    return new Map(
      rows.map(({ id, requests, failed, tokens, spent }) => [
        id,
        { requests: Number(requests), failed: Number(failed), tokens: Number(tokens), spent },
      ]),
    );
  }

  /** Movements of its account in a stretch, charges summed up by day, newest first; at most `limit`. */
  async movements(consumerId: string, { from, until }: Stretch, limit: number): Promise<StatementLine[]> {
    const account = consumerAccount(consumerId);
    return await this.#database.sql<StatementLine[]>`
      with moved as (
        select e.seq, e.id, e.kind, e.at, leg.amount
        from entries e, unnest(e.accounts, e.amounts) as leg(account, amount)
        where e.accounts @> array[${account}::text] and leg.account = ${account}
          and e.at >= ${new Date(from)} and e.at < ${new Date(until)}
      ), told as (
        select id, kind, at, amount from moved where kind not in ('charge', 'correction')
        union all
        select 'usage:' || to_char(at at time zone 'UTC', 'YYYY-MM-DD'), 'charge', max(at), sum(amount)::numeric
        from moved where kind in ('charge', 'correction') group by 1
      )
      select id, kind, at, amount from told order by at desc, id limit ${limit}`;
  }
}

const GROUPS_MAX = 1_000;

interface SumsRow {
  requests: bigint;
  failed: bigint;
  input_tokens: bigint;
  output_tokens: bigint;
  spent: Pico;
  covered: Pico;
  p50: number | null;
  p95: number | null;
}

function sumColumns(sql: Sql) {
  return sql`
    select count(*) as requests, count(*) filter (where u.outcome in ('broken', 'failed')) as failed,
      coalesce(sum(coalesce(c.input_tokens, u.input_tokens)), 0)::bigint as input_tokens,
      coalesce(sum(coalesce(c.output_tokens, u.output_tokens)), 0)::bigint as output_tokens,
      coalesce(sum(u.charge - coalesce(c.refund, 0)), 0)::numeric as spent,
      coalesce(sum(u.covered - coalesce(c.covered_refund, 0)), 0)::numeric as covered,
      percentile_cont(0.5) within group (order by u.ttft_ms) as p50,
      percentile_cont(0.95) within group (order by u.ttft_ms) as p95`;
}

function itsRows(sql: Sql, consumerId: string, { from, until }: Stretch) {
  return sql`
    from usage u left join corrections c on c.request_id = u.id
    where u.consumer_id = ${consumerId} and u.at >= ${new Date(from)} and u.at < ${new Date(until)}`;
}

function lineColumns(sql: Sql) {
  return sql`
    select u.id, u.at, u.key_id, (select k.name from keys k where k.id = u.key_id) as key_name, u.model_id, u.operation,
      u.outcome, u.error_code, u.streamed, coalesce(c.input_tokens, u.input_tokens) as input_tokens,
      coalesce(c.output_tokens, u.output_tokens) as output_tokens, u.charge - coalesce(c.refund, 0) as spent,
      u.ttft_ms, u.total_ms`;
}

/** The columns of `lineColumns`, of a request that was refused. */
function refusedColumns(sql: Sql) {
  return sql`
    select r.request_id as id, r.at, r.key_id, (select k.name from keys k where k.id = r.key_id) as key_name, r.model_id,
      r.operation, 'refused' as outcome, r.code as error_code, r.streamed, 0::bigint as input_tokens,
      0::bigint as output_tokens, 0::numeric as spent, null::double precision as ttft_ms, r.total_ms
    from request_refusals r`;
}

function sumsOf(row: SumsRow | undefined): UsageSums {
  return {
    requests: Number(row?.requests ?? 0n),
    failed: Number(row?.failed ?? 0n),
    inputTokens: Number(row?.input_tokens ?? 0n),
    outputTokens: Number(row?.output_tokens ?? 0n),
    spent: row?.spent ?? 0n,
    covered: row?.covered ?? 0n,
    ttftP50Ms: whole(row?.p50),
    ttftP95Ms: whole(row?.p95),
  };
}

const whole = (ms: number | null | undefined): number | null =>
  ms === null || ms === undefined ? null : Math.round(ms);

interface LineRow {
  id: string;
  at: Date;
  key_id: string;
  key_name: string | null;
  model_id: string | null;
  operation: string;
  outcome: UsageRecord['outcome'] | 'refused';
  error_code: string | null;
  streamed: boolean;
  input_tokens: bigint;
  output_tokens: bigint;
  spent: Pico;
  ttft_ms: number | null;
  total_ms: number;
}

interface DetailRow extends LineRow, ServingRow {
  provider_id: string | null;
  mode: 'websocket' | 'external' | null;
  attempts: bigint;
  units: bigint;
  seconds: bigint;
  price_id: string;
  policy: string;
  charge: Pico;
  covered: Pico;
  refund: Pico;
  covered_refund: Pico;
}

function lineOf(row: LineRow): RequestLine {
  return {
    id: row.id,
    at: row.at.getTime(),
    keyId: row.key_id,
    keyName: row.key_name,
    modelId: row.model_id,
    operation: row.operation,
    outcome: row.outcome,
    errorCode: row.error_code,
    streamed: row.streamed,
    inputTokens: Number(row.input_tokens),
    outputTokens: Number(row.output_tokens),
    spent: row.spent,
    ttftMs: row.ttft_ms,
    totalMs: row.total_ms,
  };
}
