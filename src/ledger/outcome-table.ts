import type { Database } from '#db/database.ts';
import { SPLIT_POLICIES, type SplitPolicy, shareOut } from '#domain/policy.ts';
import type { UsageRecord } from '#domain/usage-record.ts';
import { dayName, dayOf, dayStart } from '#domain/window.ts';

/**
 * How requests were served, a row each, kept for a number of days. A row is written in the transaction that posts its usage,
 * and nothing about it can hold that up: what could not be stored is left out, and so is what would be dropped at once. What the database refuses
 * all the same, the book keeps apart (`rejected_outcomes`).
 */
const DEFAULT_KEPT_DAYS = 90;
/** Any number that nobody else locks by. */
const LOCK = 8_231_014;
const TEXT_MAX = 20_000;
/** Clocks of two gateways differ; nothing is served further ahead than this. */
const DAYS_AHEAD = 2;

export class OutcomeTable {
  readonly #database: Database;
  readonly #keptDays: number;
  /** Days whose partition is known to exist. */
  readonly #made = new Set<number>();

  constructor(database: Database, keptDays: number = DEFAULT_KEPT_DAYS) {
    this.#database = database;
    this.#keptDays = keptDays;
  }

  /** Those of `records` that leave a row, with the partitions for them made. `nowMs` is wall time. */
  async ready(records: readonly UsageRecord[], nowMs: number): Promise<ReadonlySet<string>> {
    const today = dayOf(nowMs);
    const ids = new Set<string>();
    const days = new Set<number>();
    for (const record of records) {
      const day = dayOf(record.at);
      if (!record.serving || day < today - this.#keptDays || day > today + DAYS_AHEAD) continue;
      ids.add(record.id);
      days.add(day);
    }
    for (const day of days) {
      // oxlint-disable-next-line no-await-in-loop -- once a day.
      if (!this.#made.has(day)) await this.#make(day);
    }
    return ids;
  }

  /** Drops the days that are older than anything is kept. Answers their names. */
  async dropOld(nowMs: number): Promise<string[]> {
    const first = dayOf(nowMs) - this.#keptDays;
    return await this.#database.transaction(async (sql) => {
      await sql`select pg_advisory_xact_lock(${LOCK})`;
      const rows = await sql<{ name: string }[]>`
        select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'request_outcomes'::regclass order by name`;
      const old = rows.map(({ name }) => name).filter((name) => name < partitionOf(first));
      for (const name of old) {
        // oxlint-disable-next-line no-await-in-loop -- one statement a table.
        await sql`drop table ${sql(name)}`;
      }
      await sql`delete from rejected_outcomes where at < ${new Date(dayStart(first))}`;
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
        `create table if not exists ${partitionOf(day)} partition of request_outcomes
         for values from ('${from}') to ('${until}')`,
      );
    });
    this.#made.add(day);
  }
}

function partitionOf(day: number): string {
  return `request_outcomes_${dayName(day).replaceAll('-', '')}`;
}

/**
 * What a posted record needs to leave a row, as members of its text: its shares of what was paid. Undefined when its text
 * cannot be stored, and then nothing of how it was served may go to the database.
 */
export function outcomeMembers(record: UsageRecord, text: string): string | undefined {
  if (text.length > TEXT_MAX || unstorable(text)) return undefined;
  const { provider, market } = partsOf(record.charge + (record.covered ?? 0n), record.policy);
  return `"providerPart":"${provider}","marketPart":"${market}"`;
}

/** PostgreSQL reads neither NUL nor half a character out of a JSON text. */
export function unstorable(text: string): boolean {
  return text.includes('\\u') && /\\u(?:0000|d[89a-f])/.test(text);
}

/** What of a payment its provider got, and what the market kept. */
export function partsOf(gross: bigint, policy: string): { provider: bigint; market: bigint } {
  const shared = shareOut(gross, SPLIT_POLICIES[policy] as SplitPolicy);
  return { provider: shared.provider, market: gross - shared.provider };
}
