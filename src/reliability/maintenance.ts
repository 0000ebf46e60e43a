import type { Sql } from '#db/database.ts';
import type { Exclusion } from './credits.ts';

/**
 * Maintenance that was announced. It is what the status page shows and what the agreement excludes, so a window is called off
 * and never removed: when it was announced, and for when, stays known.
 */
export interface MaintenanceWindow {
  readonly id: string;
  /** `''`: the whole market. */
  readonly modelId: string;
  readonly words: string;
  readonly announcedMs: number;
  readonly fromMs: number;
  readonly untilMs: number;
}

export async function announce(sql: Sql, window: MaintenanceWindow): Promise<void> {
  const { id, modelId, words, announcedMs, fromMs, untilMs } = window;
  await sql`
    insert into maintenance_windows (id, model_id, words, announced_at, from_at, until_at)
    values (${id}, ${modelId}, ${words}, ${new Date(announcedMs)}, ${new Date(fromMs)}, ${new Date(untilMs)})`;
}

/** Calls off what is not over. False when there is no such window, or it is over or called off. */
export async function callOff(sql: Sql, id: string, atMs: number): Promise<boolean> {
  const [row] = await sql`
    update maintenance_windows set removed_at = ${new Date(atMs)}
    where id = ${id} and removed_at is null and until_at > ${new Date(atMs)} returning id`;
  return row !== undefined;
}

/** The windows that end after `sinceMs` and were not called off, in the order of time. */
export async function windowsSince(sql: Sql, sinceMs: number): Promise<MaintenanceWindow[]> {
  const rows = await sql<WindowRow[]>`
    select id, model_id, words, announced_at, from_at, until_at from maintenance_windows
    where removed_at is null and until_at > ${new Date(sinceMs)} order by from_at, id limit 500`;
  return rows.map((row) => ({
    id: row.id,
    modelId: row.model_id,
    words: row.words,
    announcedMs: row.announced_at.getTime(),
    fromMs: row.from_at.getTime(),
    untilMs: row.until_at.getTime(),
  }));
}

/** A window as the agreement reads it, in whole minutes. Whether it was announced in time, the terms decide. */
export function exclusionOf(window: MaintenanceWindow): Exclusion {
  const minute = (ms: number): number => Math.floor(ms / 60_000);
  return {
    id: window.id,
    kind: 'maintenance',
    from: minute(window.fromMs),
    until: Math.ceil(window.untilMs / 60_000),
    evidence: `Announced as ${window.id}: ${window.words}`,
    announced: Math.ceil(window.announcedMs / 60_000),
  };
}

interface WindowRow {
  id: string;
  model_id: string;
  words: string;
  announced_at: Date;
  from_at: Date;
  until_at: Date;
}
