import type { Database } from '#db/database.ts';
import type { Pico } from '#domain/money.ts';
import { PROBER } from '#domain/prober.ts';
import { dayName, dayOf } from '#domain/window.ts';

/** Keeps what probes found by the minute, and sees to it that they can pay. */
export class ProbeBook {
  readonly #database: Database;
  readonly #waiting = new Map<string, ProbeMinute>();

  constructor(database: Database) {
    this.#database = database;
  }

  /** Notes a probe in memory; `keepAll` writes it down. */
  note(atMs: number, { modelId, region, ok }: { modelId: string; region: string; ok: boolean }): void {
    const minute = Math.floor(atMs / 60_000) * 60_000;
    const key = `${minute}\n${modelId}\n${region}`;
    const held = this.#waiting.get(key) ?? { at: minute, modelId, region, probes: 0, failures: 0 };
    held.probes += 1;
    if (!ok) held.failures += 1;
    this.#waiting.set(key, held);
  }

  /** Writes down what waits. What cannot be written waits on. */
  async keepAll(): Promise<void> {
    for (const [key, minute] of this.#waiting) {
      this.#waiting.delete(key);
      const { at, modelId, region, probes, failures } = minute;
      try {
        // oxlint-disable-next-line no-await-in-loop -- a handful in a minute.
        await this.#database.sql`
          insert into probe_minutes (at, model_id, region, probes, failures)
          values (${new Date(at)}, ${modelId}, ${region}, ${probes}, ${failures})
          on conflict (at, model_id, region) do update set probes = probe_minutes.probes + excluded.probes,
            failures = probe_minutes.failures + excluded.failures
          -- What reports were made from stays as it was.
          where not exists (
            select from sla_reports where month = to_char(excluded.at at time zone 'UTC', 'YYYY-MM')
          )`;
      } catch (error) {
        if (this.#waiting.size < MINUTES_MAX) this.#waiting.set(key, minute);
        throw error;
      }
    }
  }
}

interface ProbeMinute {
  readonly at: number;
  readonly modelId: string;
  readonly region: string;
  probes: number;
  failures: number;
}

const MINUTES_MAX = 10_000;

/**
 * Gives the prober a day's allowance, once a day whoever does it, unless it still has as much: so probes cost the platform
 * no more than that a day.
 */
export async function fillAllowance(
  book: {
    balance(consumerId: string): Promise<{ total: Pico }>;
    grant(consumerId: string, amount: Pico, id: string): Promise<unknown>;
  },
  about: { daily: Pico; atMs: number },
): Promise<void> {
  const { daily, atMs } = about;
  const { total } = await book.balance(PROBER.ownerId);
  if (total >= daily) return;
  // With the amount in its name: another allowance from today on is another grant.
  await book.grant(PROBER.ownerId, daily, `grant_probes_${dayName(dayOf(atMs))}_${daily}`);
}
