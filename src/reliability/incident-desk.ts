import type { Database } from '#db/database.ts';
import { type ChangeFreeze, declareFreeze, freezesSince, liftFreeze } from './change-freeze.ts';
import { type Impact, impactOf } from './impact.ts';
import { type Incident, IncidentBook, type TimelineStep } from './incident-book.ts';
import { announce, callOff, type MaintenanceWindow, windowsSince } from './maintenance.ts';
import { draftPostMortem } from './post-mortem.ts';
import { STANDARD_SLA } from './sla-terms.ts';

/** What an operator does about incidents and maintenance over the management API, as it is done by command. */
export class IncidentDesk {
  readonly book: IncidentBook;
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
    this.book = new IncidentBook(database);
  }

  /** What an incident did, and the draft that says so. */
  async postMortem(
    incident: Incident,
    nowMs: number,
  ): Promise<{ draft: string; impact: Impact; steps: TimelineStep[] }> {
    const steps = await this.book.steps([incident.id]);
    const impact = await impactOf(this.#database, incident, nowMs);
    return { draft: draftPostMortem({ incident, steps, impact }), impact, steps };
  }

  /** Freezes that were in force after `sinceMs`. */
  async freezes(sinceMs: number): Promise<ChangeFreeze[]> {
    return await freezesSince(this.#database.sql, sinceMs);
  }

  async declareFreeze(freeze: Parameters<typeof declareFreeze>[1]): Promise<void> {
    await declareFreeze(this.#database.sql, freeze);
  }

  /** False when there is no such freeze in force. */
  async liftFreeze(id: string, by: { actor: string; atMs: number }): Promise<boolean> {
    return await liftFreeze(this.#database.sql, id, by);
  }

  /** Windows that end after `sinceMs`. */
  async windows(sinceMs: number): Promise<MaintenanceWindow[]> {
    return await windowsSince(this.#database.sql, sinceMs);
  }

  /** Announces a window. True when it was announced early enough for the agreement to exclude it. */
  async announce(window: MaintenanceWindow): Promise<boolean> {
    await announce(this.#database.sql, window);
    return window.fromMs - window.announcedMs >= STANDARD_SLA.maintenance.noticeMinutes * 60_000;
  }

  /** False when there is no such window that could be called off. */
  async callOff(id: string, atMs: number): Promise<boolean> {
    return await callOff(this.#database.sql, id, atMs);
  }
}
