import type { Database, Sql } from '#db/database.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { Rounds } from '#kit/rounds.ts';

/**
 * When the whole market was down. A market that is down measures nothing, and what nobody measured counts as available; so each
 * process leaves a sign of life, and the first one to open after more than a minute without any from anybody writes the gap
 * down, for good. A process that runs without its database cannot leave a sign, and is not down for that: gaps are only looked
 * for when a process begins, and a request that was served in one outweighs it (`sla/facts.ts`).
 */
const BEAT_MS = 15_000;
const GAP_OVER_MS = 60_000;
/** Lives that ended so long ago say nothing that a later one does not. */
const FORGOTTEN_AFTER_MS = 7 * 86_400_000;
const LOCK = 'signs of life';

export interface MarketGap {
  /** Wall milliseconds: the last sign of life, and the first after it. */
  readonly fromMs: number;
  readonly untilMs: number;
}

/** Notes the gap before this life, if there was one, and leaves signs from now on. `close` leaves the last. */
export async function beginLife(parts: {
  database: Database;
  clock: Clock;
  log: Logger;
  life: string;
}): Promise<{ close(): Promise<void> }> {
  const { database, clock, log, life } = parts;
  const beganMs = clock.wallMs();
  const gap = await database.transaction(async (sql) => {
    await sql`select pg_advisory_xact_lock(hashtextextended(${LOCK}, 0))`;
    const found = await gapBefore(sql, beganMs);
    if (found) {
      await sql`
        insert into market_gaps (from_at, until_at, life, found_at)
        values (${new Date(found.fromMs)}, ${new Date(found.untilMs)}, ${life}, ${new Date(beganMs)})
        on conflict do nothing`;
    }
    await sql`
      insert into market_lives (life, began_at, last_at)
      values (${life}, ${new Date(beganMs)}, ${new Date(beganMs)})`;
    await sql`delete from market_lives where last_at < ${new Date(beganMs - FORGOTTEN_AFTER_MS)}`;
    return found;
  });
  if (gap) log.warn({ from: iso(gap.fromMs), until: iso(gap.untilMs) }, 'The market was down.');
  const beat = async (): Promise<void> => {
    await database.sql`
      update market_lives set last_at = greatest(last_at, ${new Date(clock.wallMs())}) where life = ${life}`;
  };
  const failed = (error: unknown): void => log.warn({ err: error }, 'A sign of life could not be left.');
  const rounds = new Rounds(clock, { periodMs: BEAT_MS, work: beat, failed });
  return {
    close: async () => {
      await rounds.close();
      await beat().catch(failed);
    },
  };
}

async function gapBefore(sql: Sql, nowMs: number): Promise<MarketGap | undefined> {
  const [last] = await sql<{ at: Date | null }[]>`select max(last_at) as at from market_lives`;
  if (!last?.at) return undefined;
  const fromMs = last.at.getTime();
  return nowMs - fromMs > GAP_OVER_MS ? { fromMs, untilMs: nowMs } : undefined;
}

/** The gaps that were found by `asOfMs` and touch the span, in the order of time. */
export async function gapsIn(
  sql: Sql,
  { from, until }: { from: number; until: number },
  asOfMs: number,
): Promise<MarketGap[]> {
  const rows = await sql<{ from_at: Date; until_at: Date }[]>`
    select from_at, until_at from market_gaps
    where from_at < ${new Date(until)} and until_at > ${new Date(from)} and found_at <= ${new Date(asOfMs)}
    order by from_at`;
  return rows.map((row) => ({ fromMs: row.from_at.getTime(), untilMs: row.until_at.getTime() }));
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
