import type { Sql } from '#db/database.ts';
import { ERRORS } from '#wire/errors.ts';
import type { Span } from './facts.ts';

/**
 * A consumer's own minutes of a window, model by model: what its service level is computed from, for whoever wants to compute it
 * again. No word of a prompt is in it, and nobody else's requests.
 */
export interface DataMinute {
  /** Wall milliseconds. */
  readonly at: number;
  /** Null for requests that were refused before it was known which: they count neither way. */
  readonly modelId: string | null;
  /** Those that count, and those of them that failed. */
  readonly requests: number;
  readonly failures: number;
  /** Of the failures: whose fault they were. */
  readonly byProviders: number;
  readonly byMarket: number;
  /** Requests that count neither way: the client left, over a quota, a mistake of the request, or of no known model. */
  readonly notCounted: number;
  /** Milliseconds, exact; null where nothing was answered. */
  readonly ttftP95Ms: number | null;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

export const DATA_DAYS_MAX = 7;
/** More rows than this are not handed out at once. */
const ROWS_MAX = 50_000;

const codes = (whose: 'provider' | 'platform'): string[] =>
  Object.entries(ERRORS)
    .filter(([, row]) => row.spendsBudget && row.whose === whose)
    .map(([code]) => code);
const BY_PROVIDERS = codes('provider');
const BY_MARKET = codes('platform');

/** In the order of time. Undefined where there are more rows than are handed out at once. */
export async function windowData(
  sql: Sql,
  consumerId: string,
  { from, until }: Span,
): Promise<DataMinute[] | undefined> {
  const [since, to] = [new Date(from), new Date(until)];
  const rows = await sql<
    {
      at: Date;
      model: string | null;
      ok: number;
      by_providers: number;
      by_market: number;
      aside: number;
      ttft: number | null;
      input: number;
      output: number;
    }[]
  >`
    with asked as (
      select date_trunc('minute', at, 'UTC') as at, model_id, error_code as code, 1::bigint as requests, ttft_ms,
        input_tokens, output_tokens
      from usage where consumer_id = ${consumerId} and at >= ${since} and at < ${to}
      union all
      select at, model_id, code, requests, null, 0, 0 from consumer_refusals
      where consumer_id = ${consumerId} and at >= ${since} and at < ${to}
      union all
      -- Those of a model are counted above, whatever was kept of them one by one.
      select date_trunc('minute', r.at, 'UTC'), null, r.code, 1, null, 0, 0 from request_refusals r
      where r.consumer_id = ${consumerId} and r.at >= ${since} and r.at < ${to} and r.model_id is null
    )
    select at, model_id as model,
      coalesce(sum(requests) filter (where code is null), 0)::float8 as ok,
      coalesce(sum(requests) filter (where code = any(${BY_PROVIDERS}::text[]) and model_id is not null), 0)::float8 as by_providers,
      coalesce(sum(requests) filter (where code = any(${BY_MARKET}::text[]) and model_id is not null), 0)::float8 as by_market,
      coalesce(sum(requests) filter (
        where model_id is null or (code <> all(${BY_PROVIDERS}::text[]) and code <> all(${BY_MARKET}::text[]))
      ), 0)::float8 as aside,
      percentile_disc(0.95) within group (order by ttft_ms)::float8 as ttft,
      sum(input_tokens)::float8 as input, sum(output_tokens)::float8 as output
    from asked group by at, model_id order by at, model_id collate "C" limit ${ROWS_MAX + 1}`;
  if (rows.length > ROWS_MAX) return undefined;
  return rows.map((row) => ({
    at: row.at.getTime(),
    modelId: row.model,
    requests: row.ok + row.by_providers + row.by_market,
    failures: row.by_providers + row.by_market,
    byProviders: row.by_providers,
    byMarket: row.by_market,
    notCounted: row.aside,
    ttftP95Ms: row.ttft,
    inputTokens: row.input,
    outputTokens: row.output,
  }));
}
