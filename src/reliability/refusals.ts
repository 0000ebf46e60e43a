import type { Database } from '#db/database.ts';

/**
 * What was refused of each consumer's requests before anybody was asked, by minute and code: these leave no row in the usage
 * list, and a consumer's agreement is about them as well. Counted in memory, like the minutes beside it, and handed over when a
 * minute is over.
 */
export interface RefusedMinute {
  /** Minutes since 1970. */
  readonly minute: number;
  readonly consumerId: string;
  readonly modelId: string;
  readonly code: string;
  requests: number;
}

/** Of one minute: more kinds of refusals than this, of one consumer and of all, are not counted. */
const CELLS_EACH_MAX = 200;
const CELLS_MAX = 100_000;
/** What waits for a database that is away; the oldest are given up first. */
const WAITING_MAX = 200_000;

export class RefusalBook {
  #cells = new Map<string, RefusedMinute>();
  /** By consumer: how many of the cells are its. */
  #kinds = new Map<string, number>();
  #minute = 0;
  #closed: RefusedMinute[] = [];

  note(atMs: number, about: { consumerId: string; modelId: string; code: string }): void {
    this.#turnTo(Math.floor(atMs / 60_000));
    const { consumerId, modelId, code } = about;
    const key = `${consumerId}\n${modelId}\n${code}`;
    const cell = this.#cells.get(key);
    if (cell) cell.requests += 1;
    else {
      const kinds = this.#kinds.get(consumerId) ?? 0;
      if (kinds >= CELLS_EACH_MAX || this.#cells.size >= CELLS_MAX) return;
      this.#kinds.set(consumerId, kinds + 1);
      this.#cells.set(key, { minute: this.#minute, consumerId, modelId, code, requests: 1 });
    }
  }

  /** The minutes that were over at `nowMs` (wall); each is handed out once. */
  takeClosed(nowMs: number): RefusedMinute[] {
    this.#turnTo(Math.floor(nowMs / 60_000));
    const closed = this.#closed;
    this.#closed = [];
    return closed;
  }

  /** Everything, the running minute included: for the end of the process. */
  takeAll(): RefusedMinute[] {
    this.#turnTo(this.#minute + 1);
    return this.takeClosed(0);
  }

  putBack(cells: readonly RefusedMinute[]): void {
    this.#closed = [...cells, ...this.#closed].slice(-WAITING_MAX);
  }

  #turnTo(minute: number): void {
    if (minute <= this.#minute) return;
    this.#closed.push(...this.#cells.values());
    this.#cells.clear();
    this.#kinds.clear();
    this.#minute = minute;
  }
}

/** Keeps what was counted. Twice is as good as once: `instance` counts each minute one time. */
export async function keepRefusals(
  database: Database,
  instance: string,
  cells: readonly RefusedMinute[],
): Promise<void> {
  const { sql } = database;
  for (let from = 0; from < cells.length; from += 1_000) {
    const rows = cells.slice(from, from + 1_000).map((each) => ({
      at: new Date(each.minute * 60_000),
      instance,
      consumer_id: each.consumerId,
      model_id: each.modelId,
      code: each.code,
      requests: each.requests,
    }));
    // oxlint-disable-next-line no-await-in-loop -- a thousand rows a statement.
    await sql`insert into consumer_refusals ${sql(rows)} on conflict do nothing`;
  }
}
