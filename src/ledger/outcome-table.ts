import type { Database } from '#db/database.ts';
import { SPLIT_POLICIES, type SplitPolicy, shareOut } from '#domain/policy.ts';
import type { UsageRecord } from '#domain/usage-record.ts';
import { dayOf, dayStart } from '#domain/window.ts';
import { DayPartitions, daysOf } from './day-partitions.ts';

/**
 * How requests were served, a row each, kept for a number of days. A row is written in the transaction that posts its usage,
 * and nothing about it can hold that up: what could not be stored is left out, and so is what would be dropped at once. What the database refuses
 * all the same, the book keeps apart (`rejected_outcomes`).
 */
const DEFAULT_KEPT_DAYS = 90;
const TEXT_MAX = 20_000;
/** Clocks of two gateways differ; nothing is served further ahead than this. */
const DAYS_AHEAD = 2;

export class OutcomeTable {
  readonly #partitions: DayPartitions;
  readonly #keptDays: number;

  constructor(database: Database, keptDays: number = DEFAULT_KEPT_DAYS) {
    this.#partitions = new DayPartitions(database, 'request_outcomes');
    this.#keptDays = keptDays;
  }

  /** Those of `records` that leave a row, with the partitions for them made. `nowMs` is wall time. */
  async ready(records: readonly UsageRecord[], nowMs: number): Promise<ReadonlySet<string>> {
    const today = dayOf(nowMs);
    const kept = records.filter(({ at, serving }) => {
      const day = dayOf(at);
      return serving && day >= today - this.#keptDays && day <= today + DAYS_AHEAD;
    });
    await this.#partitions.make(daysOf(kept.map(({ at }) => at)));
    return new Set(kept.map(({ id }) => id));
  }

  /** Drops the days that are older than anything is kept. Answers their names. */
  async dropOld(nowMs: number): Promise<string[]> {
    const first = dayOf(nowMs) - this.#keptDays;
    return await this.#partitions.dropBefore(
      first,
      (sql) => sql`delete from rejected_outcomes where at < ${new Date(dayStart(first))}`,
    );
  }
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
