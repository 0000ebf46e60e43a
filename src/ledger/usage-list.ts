import type { Database } from '#db/database.ts';
import type { Pico } from '#domain/money.ts';
import type { Serving, Try } from '#domain/serving.ts';
import type { UsageRecord } from '#domain/usage-record.ts';
import { partsOf } from './outcome-table.ts';

/** What one request consumed and cost, as its consumer or an operator sees it. */
export interface UsageLine
  extends Pick<UsageRecord, 'id' | 'consumerId' | 'modelId' | 'providerId' | 'outcome'> {
  /** Wall milliseconds. */
  readonly at: number;
  readonly errorCode: string | null;
  /** What is billed, corrections included. */
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** What the consumer paid in the end: the charge less what a correction gave back. */
  readonly charge: Pico;
  /** What a correction gave back; zero where there was none. */
  readonly refund: Pico;
  readonly ttftMs: number | null;
  readonly totalMs: number;
  /** Null for requests of long ago, whose days were dropped. */
  readonly serving: Serving | null;
  /** Of what was paid in the end, by the consumer and by its plan together: its provider's part, and the market's. */
  readonly providerPart: Pico;
  readonly marketPart: Pico;
}

/** The latest requests of one consumer, or of all; newest first, at most `limit`. */
export async function latestUsage(
  database: Database,
  which: { consumerId?: string | undefined; limit: number },
): Promise<UsageLine[]> {
  const { sql } = database;
  const rows = await sql<Row[]>`
    select u.id, u.at, u.consumer_id, u.model_id, u.provider_id, u.outcome, u.error_code, u.ttft_ms, u.total_ms,
      coalesce(c.input_tokens, u.input_tokens) as input_tokens,
      coalesce(c.output_tokens, u.output_tokens) as output_tokens,
      u.charge - coalesce(c.refund, 0) as charge, coalesce(c.refund, 0)::numeric as refund,
      u.charge + u.covered - coalesce(c.refund + c.covered_refund, 0) as gross, u.policy, ${servingColumns(sql)}
    from usage u left join corrections c on c.request_id = u.id
      left join request_outcomes o on o.request_id = u.id and o.at = u.at
    ${which.consumerId === undefined ? sql`` : sql`where u.consumer_id = ${which.consumerId}`}
    order by u.at desc, u.id desc limit ${which.limit}`;
  return rows.map((row) => {
    const parts = partsOf(row.gross, row.policy);
    return {
      id: row.id,
      at: row.at.getTime(),
      consumerId: row.consumer_id,
      modelId: row.model_id,
      providerId: row.provider_id,
      outcome: row.outcome,
      errorCode: row.error_code,
      inputTokens: Number(row.input_tokens),
      outputTokens: Number(row.output_tokens),
      charge: row.charge,
      refund: row.refund,
      ttftMs: row.ttft_ms,
      totalMs: row.total_ms,
      serving: servingOf(row),
      providerPart: parts.provider,
      marketPart: parts.market,
    };
  });
}

/** How a request was served, of the rows `o`. */
export function servingColumns(sql: Database['sql']) {
  return sql`o.tier, o.region, o.queue_ms, o.whose, o.fallback, o.tries`;
}

export interface ServingRow {
  tier: Serving['tier'] | null;
  region: string | null;
  queue_ms: number | null;
  whose: Serving['whose'];
  fallback: Serving['fallback'];
  tries: readonly Try[] | null;
}

export function servingOf(row: ServingRow): Serving | null {
  const { tier, tries } = row;
  if (tier === null || tries === null) return null;
  const { region, queue_ms: queueMs, whose, fallback } = row;
  return { tier, queueMs, region, tries, whose, fallback };
}

/** Whether a key, made at `since` (wall milliseconds), has ever asked for anything that got as far as a provider. */
export async function boughtWith(
  database: Database,
  which: { keyId: string; consumerId: string; since: number },
): Promise<boolean> {
  const [found] = await database.sql`
    select id from usage
    where consumer_id = ${which.consumerId} and at >= ${new Date(which.since)} and key_id = ${which.keyId} limit 1`;
  return found !== undefined;
}

interface Row extends ServingRow {
  gross: bigint;
  policy: string;
  id: string;
  at: Date;
  consumer_id: string;
  model_id: string;
  provider_id: string | null;
  outcome: UsageRecord['outcome'];
  error_code: string | null;
  input_tokens: bigint;
  output_tokens: bigint;
  charge: bigint;
  refund: bigint;
  ttft_ms: number | null;
  total_ms: number;
}
