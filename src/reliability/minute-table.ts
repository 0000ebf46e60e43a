import type { Database, Sql } from '#db/database.ts';
import { dayName, dayOf, dayStart, monthOf, monthStart } from '#domain/window.ts';
import { keepAvailability } from './availability.ts';
import type { Cell, ClosedMinute, Durations, Group } from './minute-book.ts';
import { CELL_COUNTS, CELL_DURATIONS } from './minute-book.ts';
import { encodeDurations, MergedDurations } from './sketch.ts';

/**
 * Keeps the minutes of every process, adds up whole hours, drops what is old, and answers what happened in any window.
 * Hours are made again whenever one of their minutes came late, so a database that was away leaves no gap in them.
 */
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const MINUTES_KEPT_DAYS = 35;
const HOURS_KEPT_MONTHS = 13;
/** Any number that nobody else locks by. */
const LOCK = 8_231_001;

export type GroupName = keyof Group;

export interface ServiceWindow {
  /** Wall milliseconds; whole minutes count. */
  readonly from: number;
  readonly until: number;
  /** What to tell apart. */
  readonly by: readonly GroupName[];
  /** Only these. */
  readonly only?: Partial<Group> | undefined;
}

/** What one group did in a window. */
export interface ServiceFigures extends Partial<Group>, Record<CountName, number> {
  readonly ttft: Percentiles;
  readonly ttlt256: Percentiles;
  readonly ttlt512: Percentiles;
  readonly queue: Percentiles;
  /** Of the answers with a first token, between first and last; null where there were none. */
  readonly tokensPerS: number | null;
}

/** Milliseconds, to 1 %; null where nothing was measured. */
export interface Percentiles {
  readonly count: number;
  readonly p50: number | null;
  readonly p90: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
}

type CountName = (typeof CELL_COUNTS)[number];
type Row = Record<ColumnName, string | bigint | number | null>;
type ColumnName = (typeof COLUMNS)[keyof typeof COLUMNS];

const COLUMNS = {
  modelId: 'model_id',
  tier: 'tier',
  region: 'region',
  providerId: 'provider_id',
  mode: 'mode',
  requests: 'requests',
  failures: 'failures',
  tooMany: 'too_many',
  disconnects: 'disconnects',
  cancelled: 'cancelled',
  retries: 'retries',
  fallbacks: 'fallbacks',
  inputTokens: 'input_tokens',
  outputTokens: 'output_tokens',
  generationMs: 'generation_ms',
  ttft: 'ttft',
  ttlt256: 'ttlt256',
  ttlt512: 'ttlt512',
  queue: 'queue',
} as const satisfies Record<keyof Cell, string>;
const GROUPS = ['modelId', 'tier', 'region', 'providerId', 'mode'] as const;

export class MinuteTable {
  readonly #database: Database;
  readonly #instance: string;
  /** Partitions that are known to exist. */
  readonly #made = new Set<string>();

  constructor(parts: { database: Database; instance: string }) {
    this.#database = parts.database;
    this.#instance = parts.instance;
  }

  /** Keeps closed minutes. Twice is as good as once. */
  async keep(minutes: readonly ClosedMinute[]): Promise<void> {
    const rows = minutes.flatMap(({ minute, cells }) =>
      cells.map((cell) => ({
        at: new Date(minute * MINUTE_MS),
        instance: this.#instance,
        ...rowOf(cell, (name) => encodeDurations(cell[name])),
      })),
    );
    if (rows.length === 0) return;
    await this.#makeDays(minutes.map(({ minute }) => dayOf(minute * MINUTE_MS)));
    const { sql } = this.#database;
    for (let from = 0; from < rows.length; from += 1_000) {
      await sql`insert into service_minutes ${sql(rows.slice(from, from + 1_000))} on conflict do nothing`;
    }
  }

  /** Adds up the hours that are over and have minutes that were not added yet. Answers how many hours. */
  async rollUp(nowMs: number): Promise<number> {
    return await this.#database.transaction(async (sql) => {
      await sql`select pg_advisory_xact_lock(${LOCK})`;
      const due = await sql<{ hour: Date }[]>`
        select distinct date_trunc('hour', at, 'UTC') as hour from service_minutes
        where not rolled and at < ${new Date(Math.floor(nowMs / HOUR_MS) * HOUR_MS)} order by hour limit 48`;
      for (const { hour } of due) {
        const until = new Date(hour.getTime() + HOUR_MS);
        await makePartition(sql, monthPartition(hour.getTime()));
        const rows = await sql<Row[]>`select * from service_minutes where at >= ${hour} and at < ${until}`;
        const hours = [...mergedBy(rows, GROUPS).values()].map((merged) => ({
          at: hour,
          ...rowOf({ ...merged.group, ...merged.counts } as Group & Record<CountName, number>, (name) =>
            merged.durations[name].encode(),
          ),
        }));
        await sql`delete from service_hours where at = ${hour}`;
        if (hours.length > 0) await sql`insert into service_hours ${sql(hours)}`;
        await keepAvailability(sql, hour, until);
        await sql`update service_minutes set rolled = true where at >= ${hour} and at < ${until} and not rolled`;
      }
      return due.length;
    });
  }

  /** Drops partitions that are older than anything is kept. Answers their names. */
  async dropOld(nowMs: number): Promise<string[]> {
    const firstDay = `service_minutes_${dayName(dayOf(nowMs) - MINUTES_KEPT_DAYS).replaceAll('-', '')}`;
    const firstMonth = monthPartition(monthStart(monthOf(nowMs) - HOURS_KEPT_MONTHS)).name;
    return await this.#database.transaction(async (sql) => {
      await sql`select pg_advisory_xact_lock(${LOCK})`;
      const partitions = await sql<{ name: string }[]>`
        select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent in ('service_minutes'::regclass, 'service_hours'::regclass) order by name`;
      const old = partitions
        .map(({ name }) => name)
        .filter((name) => name < (name.startsWith('service_minutes_') ? firstDay : firstMonth));
      for (const name of old) {
        await sql`drop table ${sql(name)}`;
        this.#made.delete(name);
      }
      return old;
    });
  }

  /** What happened in a window, by group. Hours where they are added up, minutes elsewhere. */
  async figures({ from, until, by, only = {} }: ServiceWindow): Promise<ServiceFigures[]> {
    const { sql } = this.#database;
    const [unrolled] = await sql<{ at: Date | null }[]>`
      select min(at) as at from service_minutes where not rolled and at >= ${new Date(from)}`;
    const rolledUntil = Math.min(until, unrolled?.at?.getTime() ?? until);
    const firstHour = Math.ceil(from / HOUR_MS) * HOUR_MS;
    const lastHour = Math.max(firstHour, Math.floor(rolledUntil / HOUR_MS) * HOUR_MS);
    const wanted = GROUPS.filter((name) => only[name] !== undefined).reduce(
      (text, name) => sql`${text} and ${sql(COLUMNS[name])} = ${only[name] as string}`,
      sql``,
    );
    const [hours, minutes] = await Promise.all([
      sql<Row[]>`
        select * from service_hours where at >= ${new Date(firstHour)} and at < ${new Date(lastHour)} ${wanted}`,
      sql<Row[]>`
        select * from service_minutes
        where at >= ${new Date(from)} and at < ${new Date(until)}
          and not (at >= ${new Date(firstHour)} and at < ${new Date(lastHour)}) ${wanted}`,
    ]);
    return [...mergedBy([...hours, ...minutes], by).values()].map(figuresOf);
  }

  async #makeDays(days: readonly number[]): Promise<void> {
    for (const day of new Set(days)) {
      const name = `service_minutes_${dayName(day).replaceAll('-', '')}`;
      if (this.#made.has(name)) continue;
      const span = { of: 'service_minutes', name, from: dayStart(day), until: dayStart(day + 1) };
      await this.#database.transaction(async (sql) => {
        await sql`select pg_advisory_xact_lock(${LOCK})`;
        await makePartition(sql, span);
      });
      this.#made.add(name);
    }
  }
}

interface Partition {
  readonly of: string;
  readonly name: string;
  readonly from: number;
  readonly until: number;
}

function monthPartition(atMs: number): Partition {
  const month = monthOf(atMs);
  const name = `service_hours_${dayName(dayOf(monthStart(month)))
    .slice(0, 7)
    .replace('-', '')}`;
  return { of: 'service_hours', name, from: monthStart(month), until: monthStart(month + 1) };
}

/** Names and bounds are ours; a definition takes no parameters. */
async function makePartition(sql: Sql, { of, name, from, until }: Partition): Promise<void> {
  const [first, last] = [from, until].map((at) => new Date(at).toISOString());
  await sql.unsafe(
    `create table if not exists ${name} partition of ${of} for values from ('${first}') to ('${last}')`,
  );
}

function rowOf(
  cell: Group & Record<CountName, number>,
  sketch: (name: keyof Durations) => string | undefined,
): Record<string, string | number | null> {
  const row: Record<string, string | number | null> = {};
  for (const name of GROUPS) row[COLUMNS[name]] = cell[name];
  for (const name of CELL_COUNTS) row[COLUMNS[name]] = cell[name];
  for (const name of CELL_DURATIONS) row[COLUMNS[name]] = sketch(name) ?? null;
  return row;
}

interface Merged {
  readonly group: Partial<Group>;
  readonly counts: Record<CountName, number>;
  readonly durations: Record<keyof Durations, MergedDurations>;
}

function mergedBy(rows: readonly Row[], by: readonly GroupName[]): Map<string, Merged> {
  const groups = new Map<string, Merged>();
  for (const row of rows) {
    const key = by.map((name) => row[COLUMNS[name]]).join('\n');
    let merged = groups.get(key);
    if (!merged) {
      merged = {
        group: Object.fromEntries(by.map((name) => [name, row[COLUMNS[name]]])),
        counts: Object.fromEntries(CELL_COUNTS.map((name) => [name, 0])) as Record<CountName, number>,
        durations: Object.fromEntries(CELL_DURATIONS.map((name) => [name, new MergedDurations()])) as Record<
          keyof Durations,
          MergedDurations
        >,
      };
      groups.set(key, merged);
    }
    for (const name of CELL_COUNTS) merged.counts[name] += Number(row[COLUMNS[name]]);
    for (const name of CELL_DURATIONS) {
      const encoded = row[COLUMNS[name]];
      if (typeof encoded === 'string') merged.durations[name].add(encoded);
    }
  }
  return groups;
}

function figuresOf({ group, counts, durations }: Merged): ServiceFigures {
  const { outputTokens, generationMs } = counts;
  return {
    ...group,
    ...counts,
    ttft: percentilesOf(durations.ttft),
    ttlt256: percentilesOf(durations.ttlt256),
    ttlt512: percentilesOf(durations.ttlt512),
    queue: percentilesOf(durations.queue),
    tokensPerS: generationMs > 0 ? (outputTokens * 1_000) / generationMs : null,
  };
}

function percentilesOf(durations: MergedDurations): Percentiles {
  return {
    count: durations.count,
    p50: durations.percentile(50),
    p90: durations.percentile(90),
    p95: durations.percentile(95),
    p99: durations.percentile(99),
  };
}
