import type { Database } from '#db/database.ts';
import type { Pico } from '#domain/money.ts';
import type { UsageRecord } from '#domain/usage-record.ts';

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
      u.charge - coalesce(c.refund, 0) as charge, coalesce(c.refund, 0)::numeric as refund
    from usage u left join corrections c on c.request_id = u.id
    ${which.consumerId === undefined ? sql`` : sql`where u.consumer_id = ${which.consumerId}`}
    order by u.at desc, u.id desc limit ${which.limit}`;
  return rows.map((row) => ({
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
  }));
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

interface Row {
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
