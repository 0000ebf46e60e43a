import type { Database } from '#db/database.ts';
import type { Pico } from '#domain/money.ts';
import { providerAccount } from './chart.ts';
import { servedAndPaid } from './served-and-paid.ts';
import { latestUsage, type UsageLine } from './usage-list.ts';

/**
 * What the usage list and the entries say about keys, providers and models. Everything here is counted from rows that were
 * posted; nothing is estimated. A request *succeeded* when its answer was completed or its consumer left; corrections are
 * included wherever tokens or money are summed.
 */
export class MarketReading {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** What plans covered since the beginning of a week (tokens) and of a day (pieces), by consumer. */
  async covered(window: {
    weekSince: number;
    daySince: number;
  }): Promise<Map<string, { tokens: number; units: number }>> {
    const rows = await this.#database.sql<{ consumer: string; tokens: bigint; units: bigint }[]>`
      select consumer_id as consumer, sum(covered_tokens)::bigint as tokens,
        coalesce(sum(covered_units) filter (where at >= ${new Date(window.daySince)}), 0)::bigint as units
      from usage
      where at >= ${new Date(Math.min(window.weekSince, window.daySince))}
        and (covered_tokens > 0 or covered_units > 0)
      group by consumer_id`;
    return new Map(
      rows.map(({ consumer, tokens, units }) => [consumer, { tokens: Number(tokens), units: Number(units) }]),
    );
  }

  /** What was charged through each of these keys since the beginning of a day and of a month, refunds taken off. */
  async spentByKeys(
    keyIds: readonly string[],
    window: { daySince: number; monthSince: number; before: number | undefined },
  ): Promise<Map<string, { day: Pico; month: Pico }>> {
    const { sql } = this.#database;
    const { before } = window;
    const rows = await sql<{ key_id: string; day: Pico; month: Pico }[]>`
      select u.key_id,
        coalesce(
          sum(u.charge - coalesce(c.refund, 0)) filter (where u.at >= ${new Date(window.daySince)}), 0
        )::numeric as day,
        sum(u.charge - coalesce(c.refund, 0))::numeric as month
      from usage u left join corrections c on c.request_id = u.id
      where u.key_id = any(${[...keyIds]}) and u.at >= ${new Date(window.monthSince)} and u.charge > 0
        ${before === undefined ? sql`` : sql`and u.at < ${new Date(before)}`}
      group by u.key_id`;
    return new Map(rows.map(({ key_id, day, month }) => [key_id, { day, month }]));
  }

  /** What was charged through these keys since an instant, by the gateway that served it; of `own`, before `ownBefore`. */
  async spentByInstance(
    keyIds: readonly string[],
    window: { since: number; own: string; ownBefore: number },
  ): Promise<Map<string, Pico>> {
    const rows = await this.#database.sql<{ instance: string; spent: Pico }[]>`
      select coalesce(u.instance, '') as instance, sum(u.charge - coalesce(c.refund, 0))::numeric as spent
      from usage u left join corrections c on c.request_id = u.id
      where u.key_id = any(${[...keyIds]}) and u.at >= ${new Date(window.since)} and u.charge > 0
        and (u.instance is distinct from ${window.own} or u.at < ${new Date(window.ownBefore)})
      group by 1`;
    return new Map(rows.map(({ instance, spent }) => [instance, spent]));
  }

  /** What a consumer's plan covered since an instant, by the gateway that served it; of `own`, before `ownBefore`. */
  async coveredByInstance(
    consumerId: string,
    window: { since: number; own: string; ownBefore: number },
  ): Promise<Map<string, { tokens: number; units: number; worth: Pico }>> {
    const rows = await this.#database.sql<{ instance: string; tokens: bigint; units: bigint; worth: Pico }[]>`
      select coalesce(instance, '') as instance, sum(covered_tokens)::bigint as tokens,
        sum(covered_units)::bigint as units, sum(covered)::numeric as worth
      from usage
      where consumer_id = ${consumerId} and at >= ${new Date(window.since)}
        and (covered_tokens > 0 or covered_units > 0)
        and (instance is distinct from ${window.own} or at < ${new Date(window.ownBefore)})
      group by 1`;
    return new Map(
      rows.map(({ instance, tokens, units, worth }) => [
        instance,
        { tokens: Number(tokens), units: Number(units), worth },
      ]),
    );
  }

  /** The latest requests of a consumer, or of all, newest first. */
  async usageOf(consumerId: string | undefined, limit: number): Promise<UsageLine[]> {
    return await latestUsage(this.#database, { consumerId, limit });
  }

  /** All that a provider ever did. */
  async providerTotals(providerId: string): Promise<ProviderTotals> {
    const { sql } = this.#database;
    const account = providerAccount(providerId);
    const [[work], [money]] = await Promise.all([
      sql<Work[]>`
        ${workColumns(sql)}
        from usage u left join corrections c on c.request_id = u.id where u.provider_id = ${providerId}`,
      sql<{ earned: Pico }[]>`
        select coalesce(sum(leg.amount), 0)::numeric as earned
        from entries e, unnest(e.accounts, e.amounts) as leg(account, amount)
        where e.accounts @> array[${account}::text] and e.kind in ('charge', 'correction')
          and leg.account = ${account}`,
    ]);
    return { ...workOf(work), earned: money?.earned ?? 0n };
  }

  /** What a provider earned in each stretch of `bucketMs` (counted from 1970) of [from, to), by model; only where it did. */
  async earnings(
    providerId: string,
    window: { from: number; to: number; bucketMs: number },
  ): Promise<EarningsBucket[]> {
    const { sql } = this.#database;
    const rows = await sql<
      {
        bucket: bigint;
        model_id: string;
        requests: bigint;
        input: bigint;
        output: bigint;
        earned: Pico;
      }[]
    >`
      with ${servedAndPaid(sql, { ...window, providerId })}
      select floor(extract(epoch from s.at) * 1000 / ${window.bucketMs}::double precision)::bigint as bucket, s.model_id,
        count(*) as requests, sum(s.input)::bigint as input, sum(s.output)::bigint as output,
        coalesce(sum(p.earned), 0)::numeric as earned
      from served s left join paid p on p.id = s.id
      group by 1, 2 order by 1, 2`;
    return rows.map((row) => ({
      at: Number(row.bucket) * window.bucketMs,
      modelId: row.model_id,
      requests: Number(row.requests),
      inputTokens: Number(row.input),
      outputTokens: Number(row.output),
      earned: row.earned,
    }));
  }

  /** What a provider did for each model: ever, and since `recent`. */
  async providerModels(providerId: string, recent: number): Promise<ProviderModelWork[]> {
    const { sql } = this.#database;
    const rows = await sql<
      (Work & {
        model_id: string;
        recent_success: bigint;
        recent_failure: bigint;
        last_at: Date;
        throughput: number | null;
      })[]
    >`
      ${workColumns(sql)}, u.model_id, max(u.at) as last_at,
        count(*) filter (where u.at >= ${new Date(recent)} and u.outcome in ('completed', 'cancelled')) as recent_success,
        count(*) filter (where u.at >= ${new Date(recent)} and u.outcome in ('broken', 'failed')) as recent_failure,
        (sum(u.output_tokens) filter (where ${timed(sql)} and u.at >= ${new Date(recent)}) * 1000
          / nullif(sum(u.total_ms - u.ttft_ms) filter (where ${timed(sql)} and u.at >= ${new Date(recent)}), 0)
        )::double precision as throughput
      from usage u left join corrections c on c.request_id = u.id
      where u.provider_id = ${providerId} group by u.model_id order by u.model_id`;
    return rows.map((row) => ({
      ...workOf(row),
      modelId: row.model_id,
      recentSuccess: Number(row.recent_success),
      recentFailure: Number(row.recent_failure),
      lastAt: row.last_at.getTime(),
      tokensPerSecond: row.throughput,
    }));
  }

  /** What was asked of each model in the day before `now`, and in the day before that. */
  async demand(now: number): Promise<ModelDemand[]> {
    const [day, before] = [new Date(now - DAY_MS), new Date(now - 2 * DAY_MS)];
    const rows = await this.#database.sql<
      {
        model_id: string;
        requests: bigint;
        requests_before: bigint;
        tokens: bigint | null;
        revenue: Pico | null;
        latency: number | null;
        p50: bigint | null;
        p95: bigint | null;
        longest: bigint | null;
        total_p95: bigint | null;
        long: bigint;
      }[]
    >`
      select u.model_id,
        count(*) filter (where u.at >= ${day}) as requests,
        count(*) filter (where u.at < ${day}) as requests_before,
        sum(u.input_tokens + u.output_tokens) filter (where u.at >= ${day})::bigint as tokens,
        sum(u.charge - coalesce(c.refund, 0)) filter (where u.at >= ${day})::numeric as revenue,
        avg(u.total_ms) filter (where u.at >= ${day} and u.outcome = 'completed') as latency,
        percentile_disc(0.5) within group (order by u.input_tokens) filter (where ${read(this.#database.sql, day)}) as p50,
        percentile_disc(0.95) within group (order by u.input_tokens) filter (where ${read(this.#database.sql, day)}) as p95,
        max(u.input_tokens) filter (where ${read(this.#database.sql, day)}) as longest,
        percentile_disc(0.95) within group (order by u.input_tokens + u.output_tokens)
          filter (where ${read(this.#database.sql, day)}) as total_p95,
        count(*) filter (where u.at >= ${day} and u.input_tokens > ${LONG_CONTEXT_TOKENS}) as long
      from usage u left join corrections c on c.request_id = u.id
      where u.at >= ${before} and u.at < ${new Date(now)}
      group by u.model_id`;
    return rows.map((row) => ({
      modelId: row.model_id,
      requests: Number(row.requests),
      requestsBefore: Number(row.requests_before),
      tokens: Number(row.tokens ?? 0n),
      revenue: row.revenue ?? 0n,
      latencyMs: row.latency,
      promptP50: whole(row.p50),
      promptP95: whole(row.p95),
      promptMax: whole(row.longest),
      totalP95: whole(row.total_p95),
      longContext: Number(row.long),
    }));
  }

  /** What was asked on each of the last `count` days (UTC), today included; oldest first, also where nothing was. */
  async days(now: number, count: number): Promise<MarketDay[]> {
    const since = (Math.floor(now / DAY_MS) - count + 1) * DAY_MS;
    const rows = await this.#database.sql<
      { day: bigint; requests: bigint; tokens: bigint; paid: bigint; revenue: Pico }[]
    >`
      select floor(extract(epoch from u.at) / 86400)::bigint as day, count(*) as requests,
        sum(u.input_tokens + u.output_tokens)::bigint as tokens,
        coalesce(sum(u.input_tokens + u.output_tokens - u.covered_tokens) filter (where u.charge > 0), 0)::bigint as paid,
        sum(u.charge - coalesce(c.refund, 0))::numeric as revenue
      from usage u left join corrections c on c.request_id = u.id
      where u.at >= ${new Date(since)} and u.at <= ${new Date(now)}
      group by 1`;
    const byDay = new Map(rows.map((row) => [Number(row.day) * DAY_MS, row]));
    return Array.from({ length: count }, (_, place) => {
      const at = since + place * DAY_MS;
      const row = byDay.get(at);
      return {
        at,
        requests: Number(row?.requests ?? 0n),
        tokens: Number(row?.tokens ?? 0n),
        paidTokens: Math.max(0, Number(row?.paid ?? 0n)),
        revenue: row?.revenue ?? 0n,
      };
    });
  }

  /** What each provider did since an instant, most requests first, at most `limit`. */
  async leaders(since: number, limit: number): Promise<(ProviderWork & { providerId: string })[]> {
    const { sql } = this.#database;
    const rows = await sql<(Work & { provider_id: string; latency: number | null; models: bigint })[]>`
      ${workColumns(sql)}, u.provider_id, count(distinct u.model_id) as models,
        avg(u.total_ms) filter (where u.outcome = 'completed') as latency
      from usage u left join corrections c on c.request_id = u.id
      where u.at >= ${new Date(since)} and u.provider_id is not null
      group by u.provider_id order by count(*) desc, u.provider_id limit ${limit}`;
    return rows.map((row) => ({
      ...workOf(row),
      providerId: row.provider_id,
      models: Number(row.models),
      latencyMs: row.latency,
    }));
  }
}

/** A prompt of more tokens than this counts as long. */
const LONG_CONTEXT_TOKENS = 32_768;
const DAY_MS = 86_400_000;

export interface WorkDone {
  readonly requests: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

interface ProviderWork extends WorkDone {
  readonly models: number;
  /** The mean of completed requests; null when there was none. */
  readonly latencyMs: number | null;
}

interface ProviderTotals extends WorkDone {
  readonly earned: Pico;
}

export interface EarningsBucket {
  /** Its beginning, wall milliseconds. */
  readonly at: number;
  readonly modelId: string;
  readonly requests: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly earned: Pico;
}

export interface ProviderModelWork extends WorkDone {
  readonly modelId: string;
  readonly recentSuccess: number;
  readonly recentFailure: number;
  readonly lastAt: number;
  /** Output tokens a second between the first and the last of streamed answers lately; null when there was none. */
  readonly tokensPerSecond: number | null;
}

interface MarketDay {
  /** Its beginning, wall milliseconds. */
  readonly at: number;
  readonly requests: number;
  readonly tokens: number;
  readonly paidTokens: number;
  readonly revenue: Pico;
}

export interface ModelDemand {
  readonly modelId: string;
  readonly requests: number;
  readonly requestsBefore: number;
  readonly tokens: number;
  readonly revenue: Pico;
  readonly latencyMs: number | null;
  readonly promptP50: number | null;
  readonly promptP95: number | null;
  readonly promptMax: number | null;
  readonly totalP95: number | null;
  readonly longContext: number;
}

interface Work {
  requests: bigint;
  succeeded: bigint;
  input: bigint;
  output: bigint;
}

type Fragments = Database['sql'];

function workColumns(sql: Fragments) {
  return sql`
    select count(*) as requests, count(*) filter (where u.outcome in ('completed', 'cancelled')) as succeeded,
      coalesce(sum(coalesce(c.input_tokens, u.input_tokens)), 0)::bigint as input,
      coalesce(sum(coalesce(c.output_tokens, u.output_tokens)), 0)::bigint as output`;
}

/** Requests whose time between first and last token says something. */
function timed(sql: Fragments) {
  return sql`u.outcome = 'completed' and u.streamed and u.ttft_ms is not null and u.total_ms > u.ttft_ms`;
}

/** Requests of the last day whose prompt was counted. */
function read(sql: Fragments, since: Date) {
  return sql`u.at >= ${since} and u.input_tokens > 0`;
}

function workOf(row: Work | undefined): WorkDone {
  const requests = Number(row?.requests ?? 0n);
  const succeeded = Number(row?.succeeded ?? 0n);
  return {
    requests,
    succeeded,
    failed: requests - succeeded,
    inputTokens: Number(row?.input ?? 0n),
    outputTokens: Number(row?.output ?? 0n),
  };
}

function whole(value: bigint | null): number | null {
  return value === null ? null : Number(value);
}
