import type { Database } from '#db/database.ts';
import { dayName, dayOf } from '#domain/window.ts';
import type { Clock } from '#kit/clock.ts';

/**
 * How many attempts each provider served and failed of each model, by day. Counted where attempts end, so a request that
 * another provider saved counts against whoever failed it. Kept in memory and written in rounds: what a crash loses is the
 * last of them.
 */
export class AttemptTable {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #life: string;
  /** This life's counts, by day, provider and model. */
  readonly #counts = new Map<string, Count>();
  #changed = new Set<string>();

  constructor(parts: { database: Database; clock: Clock; life: string }) {
    this.#database = parts.database;
    this.#clock = parts.clock;
    this.#life = parts.life;
  }

  /** An attempt ended in a way that says something about whoever made it. Costs a look-up. */
  note(providerId: string, modelId: string, served: boolean): void {
    const day = dayName(dayOf(this.#clock.wallMs()));
    const key = `${day}\n${providerId}\n${modelId}`;
    let count = this.#counts.get(key);
    if (!count) {
      // Providers and models are ours to make, so this bounds nothing but a mistake.
      if (this.#counts.size >= COUNTS_MAX) return;
      count = { day, providerId, modelId, served: 0, failed: 0 };
      this.#counts.set(key, count);
    }
    if (served) count.served += 1;
    else count.failed += 1;
    this.#changed.add(key);
  }

  /** Writes what changed. Again is as good as once. */
  async keep(): Promise<void> {
    const changed = this.#changed;
    this.#changed = new Set();
    const rows = [...changed].map((key) => {
      const { day, providerId, modelId, served, failed } = this.#counts.get(key) as Count;
      return { day, life: this.#life, provider_id: providerId, model_id: modelId, served, failed };
    });
    const { sql } = this.#database;
    try {
      for (let from = 0; from < rows.length; from += ROWS_AT_ONCE)
        // oxlint-disable-next-line no-await-in-loop -- one after the other, so as not to take every connection
        await sql`
          insert into provider_attempts ${sql(rows.slice(from, from + ROWS_AT_ONCE))}
          on conflict (day, provider_id, model_id, life) do update
          set served = excluded.served, failed = excluded.failed`;
    } catch (error) {
      for (const key of changed) this.#changed.add(key);
      throw error;
    }
    // A day that is over and written changes no more.
    const today = dayName(dayOf(this.#clock.wallMs()));
    for (const [key, { day }] of this.#counts)
      if (day < today && !this.#changed.has(key)) this.#counts.delete(key);
  }

  /** The counts of each provider in the days [from, until), numbered from 1970, by day. */
  async byDay({ from, until }: { from: number; until: number }): Promise<AttemptDay[]> {
    const rows = await this.#database.sql<
      { day: string; provider_id: string; served: bigint; failed: bigint }[]
    >`
      select day::text, provider_id, sum(served)::bigint as served, sum(failed)::bigint as failed
      from provider_attempts where day >= ${dayName(from)} and day < ${dayName(until)}
      group by day, provider_id`;
    return rows.map((row) => ({
      day: row.day,
      providerId: row.provider_id,
      served: Number(row.served),
      failed: Number(row.failed),
    }));
  }

  /** A provider's counts by model since a day, numbered from 1970. */
  async byModel(providerId: string, from: number): Promise<AttemptModel[]> {
    const rows = await this.#database.sql<{ model_id: string; served: bigint; failed: bigint }[]>`
      select model_id, sum(served)::bigint as served, sum(failed)::bigint as failed
      from provider_attempts where provider_id = ${providerId} and day >= ${dayName(from)}
      group by model_id order by model_id`;
    return rows.map((row) => ({
      modelId: row.model_id,
      served: Number(row.served),
      failed: Number(row.failed),
    }));
  }

  /** Forgets days before this one. */
  async dropBefore(day: number): Promise<void> {
    await this.#database.sql`delete from provider_attempts where day < ${dayName(day)}`;
  }
}

const ROWS_AT_ONCE = 1_000;
const COUNTS_MAX = 200_000;

interface Count {
  readonly day: string;
  readonly providerId: string;
  readonly modelId: string;
  served: number;
  failed: number;
}

export interface AttemptDay {
  readonly day: string;
  readonly providerId: string;
  readonly served: number;
  readonly failed: number;
}

export interface AttemptModel {
  readonly modelId: string;
  readonly served: number;
  readonly failed: number;
}
