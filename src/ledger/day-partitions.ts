import type { Database, Sql } from '#db/database.ts';
import { dayName, dayOf, dayStart } from '#domain/window.ts';

/**
 * The partitions of a table that is kept by days: made by the process that needs one, and dropped whole when it is old, because
 * deleting rows would leave the work to the vacuum.
 */
/** Any number that nobody else locks by. */
const LOCK = 8_231_014;

export class DayPartitions {
  readonly #database: Database;
  readonly #table: string;
  /** Days whose partition is known to exist. */
  readonly #made = new Set<number>();

  /** `table` is a name of ours. */
  constructor(database: Database, table: string) {
    this.#database = database;
    this.#table = table;
  }

  /** Makes the partitions of these days, where they are missing. */
  async make(days: Iterable<number>): Promise<void> {
    for (const day of days) {
      // oxlint-disable-next-line no-await-in-loop -- once a day.
      if (!this.#made.has(day)) await this.#make(day);
    }
  }

  /** Drops what was before `first`, and does `more` in the same transaction. Answers the names of what was dropped. */
  async dropBefore(first: number, more?: (sql: Sql) => Promise<unknown>): Promise<string[]> {
    return await this.#database.transaction(async (sql) => {
      await sql`select pg_advisory_xact_lock(${LOCK})`;
      const rows = await sql<{ name: string }[]>`
        select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = ${this.#table}::regclass order by name`;
      const old = rows.map(({ name }) => name).filter((name) => name < this.#partitionOf(first));
      for (const name of old) {
        // oxlint-disable-next-line no-await-in-loop -- one statement a table.
        await sql`drop table ${sql(name)}`;
      }
      await more?.(sql);
      for (const day of this.#made) if (day < first) this.#made.delete(day);
      return old;
    });
  }

  async #make(day: number): Promise<void> {
    const [from, until] = [day, day + 1].map((each) => new Date(dayStart(each)).toISOString());
    await this.#database.transaction(async (sql) => {
      await sql`select pg_advisory_xact_lock(${LOCK})`;
      // Names and bounds are ours; a definition takes no parameters.
      await sql.unsafe(
        `create table if not exists ${this.#partitionOf(day)} partition of ${this.#table}
         for values from ('${from}') to ('${until}')`,
      );
    });
    this.#made.add(day);
  }

  #partitionOf(day: number): string {
    return `${this.#table}_${dayName(day).replaceAll('-', '')}`;
  }
}

/** The days of these moments (wall milliseconds), each once. */
export function daysOf(moments: Iterable<number>): Set<number> {
  const days = new Set<number>();
  for (const at of moments) days.add(dayOf(at));
  return days;
}
