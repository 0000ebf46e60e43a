import { LRUCache } from 'lru-cache';
import type { Database } from '#db/database.ts';
import type { Refusal } from '#domain/refusal.ts';
import type { Serving } from '#domain/serving.ts';
import type { UsageRecord } from '#domain/usage-record.ts';
import { type ServingRow, servingColumns, servingOf } from './usage-list.ts';

/** What one request left behind, as far as it is asked about: what is billed, corrections included. */
export type UsageFacts = Pick<
  UsageRecord,
  | 'id'
  | 'at'
  | 'operation'
  | 'providerId'
  | 'mode'
  | 'streamed'
  | 'errorCode'
  | 'inputTokens'
  | 'outputTokens'
  | 'units'
  | 'seconds'
  | 'attempts'
  | 'ttftMs'
  | 'totalMs'
  | 'charge'
> & {
  readonly outcome: UsageRecord['outcome'] | 'refused';
  /** Null where the request was refused before it was known which. */
  readonly modelId: string | null;
  /** Null for a request of long ago. */
  readonly serving: Serving | null;
};

const REMEMBERED_MAX = 4_096;

/**
 * Single requests, asked for by id right after they were served: until the journal is posted they are found in memory, and
 * afterwards in the book, where corrections are too. What was refused is asked for last: it is no usage.
 */
export class RecentUsage {
  readonly #database: Database;
  readonly #refusals: RefusalsById | undefined;
  readonly #served = new LRUCache<string, UsageRecord>({ max: REMEMBERED_MAX });

  constructor(database: Database, refusals?: RefusalsById) {
    this.#database = database;
    this.#refusals = refusals;
  }

  note(record: UsageRecord): void {
    this.#served.set(record.id, record);
  }

  /** The request of this consumer; undefined when there is none, or it is another's. */
  async find(id: string, consumerId: string): Promise<UsageFacts | undefined> {
    const [row] = await this.#database.sql<Row[]>`
      select u.*, coalesce(c.input_tokens, u.input_tokens) as input, coalesce(c.output_tokens, u.output_tokens) as output,
        u.charge - coalesce(c.refund, 0) as paid, ${servingColumns(this.#database.sql)}
      from usage u left join corrections c on c.request_id = u.id
        left join request_outcomes o on o.request_id = u.id and o.at = u.at
      where u.id = ${id} and u.consumer_id = ${consumerId}`;
    if (row) return factsOf(row);
    const served = this.#served.get(id);
    if (served)
      return served.consumerId === consumerId ? { ...served, serving: served.serving ?? null } : undefined;
    const refused = await this.#refusals?.find(id, consumerId);
    return refused && factsOfRefusal(refused);
  }
}

/** Where refused requests are found. */
export interface RefusalsById {
  find(id: string, consumerId: string): Promise<Refusal | undefined>;
}

/** How a refused request was served: by nobody. */
export function servingOfRefusal({ tier, queueMs, region, tries, whose }: Refusal): Serving {
  return { tier, queueMs, region, tries, whose, fallback: null };
}

function factsOfRefusal(refused: Refusal): UsageFacts {
  const { id, at, modelId, operation, streamed, code, tries, totalMs } = refused;
  return {
    id,
    at,
    modelId,
    operation,
    providerId: null,
    mode: null,
    streamed,
    outcome: 'refused',
    errorCode: code,
    inputTokens: 0,
    outputTokens: 0,
    units: 0,
    seconds: 0,
    attempts: tries.length,
    ttftMs: null,
    totalMs,
    charge: 0n,
    serving: servingOfRefusal(refused),
  };
}

interface Row extends ServingRow {
  id: string;
  at: Date;
  model_id: string;
  operation: UsageRecord['operation'];
  provider_id: string | null;
  mode: UsageRecord['mode'];
  streamed: boolean;
  outcome: UsageRecord['outcome'];
  error_code: string | null;
  units: bigint;
  seconds: bigint;
  attempts: bigint;
  ttft_ms: number | null;
  total_ms: number;
  input: bigint;
  output: bigint;
  paid: bigint;
}

function factsOf(row: Row): UsageFacts {
  return {
    id: row.id,
    at: row.at.getTime(),
    modelId: row.model_id,
    operation: row.operation,
    providerId: row.provider_id,
    mode: row.mode,
    streamed: row.streamed,
    outcome: row.outcome,
    errorCode: row.error_code,
    inputTokens: Number(row.input),
    outputTokens: Number(row.output),
    units: Number(row.units),
    seconds: Number(row.seconds),
    attempts: Number(row.attempts),
    ttftMs: row.ttft_ms,
    totalMs: row.total_ms,
    charge: row.paid,
    serving: servingOf(row),
  };
}
