import type { Database, Sql } from '#db/database.ts';
import type { Refusal } from '#domain/refusal.ts';
import { dayOf } from '#domain/window.ts';
import { madeAtMs } from '#kit/id.ts';
import { DayPartitions, daysOf } from './day-partitions.ts';

/** The rows of refused requests, a partition a day, kept as long as those of how requests were served. */
export class RefusalTable {
  readonly #database: Database;
  readonly #partitions: DayPartitions;
  readonly #keptDays: number;

  constructor(database: Database, keptDays: number) {
    this.#database = database;
    this.#partitions = new DayPartitions(database, 'request_refusals');
    this.#keptDays = keptDays;
  }

  /** Writes rows in one statement. Twice is as good as once. */
  async keep(refusals: readonly Refusal[]): Promise<void> {
    await this.#partitions.make(daysOf(refusals.map(({ at }) => at)));
    const list = JSON.stringify(refusals);
    await this.#database.sql`
      insert into request_refusals (
        at, request_id, consumer_id, key_id, tier, model_id, operation, streamed, region, status, code, whose, queue_ms,
        total_ms, tries
      )
      select
        timestamptz 'epoch' + trunc(at) * interval '1 millisecond', id, "consumerId", "keyId", tier, "modelId", operation,
        streamed, region, status, code, whose, "queueMs", "totalMs", tries
      from json_to_recordset(${list}::text::json) as t(
        id text, at double precision, "consumerId" text, "keyId" text, tier text, "modelId" text, operation text,
        streamed boolean, region text, status integer, code text, whose text, "queueMs" double precision,
        "totalMs" double precision, tries jsonb
      )
      on conflict do nothing`;
  }

  /** The refused request of this consumer; undefined when there is no row of it, or it is another's. */
  async find(id: string, consumerId: string): Promise<Refusal | undefined> {
    const { sql } = this.#database;
    const [row] = await sql<RefusalRow[]>`
      select ${refusalColumns(sql)} from request_refusals r
      where ${isRefusal(sql, id)} and r.consumer_id = ${consumerId}`;
    return row && refusalOf(row);
  }

  /** The latest of one consumer, or of all; newest first. */
  async latest(which: { consumerId?: string | undefined; limit: number }): Promise<Refusal[]> {
    const { sql } = this.#database;
    const rows = await sql<RefusalRow[]>`
      select ${refusalColumns(sql)} from request_refusals r
      where ${notUsed(sql)} ${which.consumerId === undefined ? sql`` : sql`and r.consumer_id = ${which.consumerId}`}
      order by r.at desc, r.request_id desc limit ${which.limit}`;
    return rows.map(refusalOf);
  }

  /** Drops the days that are older than anything is kept. Answers their names. */
  async dropOld(nowMs: number): Promise<string[]> {
    return await this.#partitions.dropBefore(dayOf(nowMs) - this.#keptDays);
  }
}

/** An id says when it was made, so that one day or two are looked through for it, and not every one. */
const NEAR_MS = 86_400_000;

/** That `r` is the row of this request. */
export function isRefusal(sql: Sql, id: string) {
  const madeMs = madeAtMs(id);
  if (madeMs === undefined) return sql`false`;
  const [from, until] = [new Date(madeMs - NEAR_MS), new Date(madeMs + NEAR_MS)];
  return sql`r.request_id = ${id} and r.at >= ${from} and r.at < ${until}`;
}

/**
 * That `r` has no usage record. It may have one after all, where a journal failed in the middle of a record and the next life
 * found it whole: then what was used is what happened.
 */
export function notUsed(sql: Sql) {
  return sql`not exists (select from usage used where used.id = r.request_id)`;
}

function refusalColumns(sql: Sql) {
  return sql`r.request_id as id, r.at, r.consumer_id, r.key_id, r.tier, r.model_id, r.operation, r.streamed, r.region,
    r.status, r.code, r.whose, r.queue_ms, r.total_ms, r.tries`;
}

interface RefusalRow {
  id: string;
  at: Date;
  consumer_id: string;
  key_id: string;
  tier: Refusal['tier'];
  model_id: string | null;
  operation: Refusal['operation'];
  streamed: boolean;
  region: string | null;
  status: number;
  code: string;
  whose: Refusal['whose'];
  queue_ms: number | null;
  total_ms: number;
  tries: Refusal['tries'];
}

function refusalOf(row: RefusalRow): Refusal {
  const { id, tier, operation, streamed, region, status, code, whose, tries } = row;
  return {
    id,
    at: row.at.getTime(),
    consumerId: row.consumer_id,
    keyId: row.key_id,
    tier,
    modelId: row.model_id,
    operation,
    streamed,
    region,
    status,
    code,
    whose,
    queueMs: row.queue_ms,
    totalMs: row.total_ms,
    tries,
  };
}
