import type { Database } from '#db/database.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { Rounds } from '#kit/rounds.ts';

/**
 * Writes down who was connected, from when to when, and why it ended. The hub tells; nothing waits for the database: what
 * changed is written in rounds, and again with the next one where the database is away. A session that a dead process left
 * open ends where its agent was last heard of.
 */
export class SessionBook {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #instance: string;
  readonly #heard: () => Iterable<Heard>;
  readonly #rounds: Rounds;
  /** By id. */
  readonly #open = new Map<string, { readonly row: Row; readonly linkId: string }>();
  #changed = new Map<string, Row>();
  #sweptAtMs: number | undefined;
  #keeping: Promise<void> = Promise.resolve();

  /** Closes what the last life of this process left open. Throws when the database cannot be reached. */
  static async open(parts: SessionBookParts): Promise<SessionBook> {
    const { database, instance } = parts;
    await database.sql`
      update provider_sessions set ended_at = last_heard_at, why = ${HUB_GONE}
      where ended_at is null and instance = ${instance}`;
    return new SessionBook(parts);
  }

  private constructor({ database, clock, log, instance, heard }: SessionBookParts) {
    this.#database = database;
    this.#clock = clock;
    this.#instance = instance;
    this.#heard = heard;
    this.#rounds = new Rounds(clock, {
      periodMs: ROUND_EVERY_MS,
      work: () => this.keep(),
      failed: (error) => log.warn({ err: error }, 'Sessions of providers could not be written; they wait.'),
    });
  }

  /** An agent registered, or an endpoint answers again. */
  began(session: {
    id: string;
    linkId: string;
    providerId: string;
    nodeId: string;
    mode: Row['mode'];
  }): void {
    const now = new Date(this.#clock.wallMs());
    const row: Row = {
      id: session.id,
      provider_id: session.providerId,
      node_id: session.nodeId,
      mode: session.mode,
      instance: this.#instance,
      connected_at: now,
      last_heard_at: now,
      ended_at: null,
      why: '',
      attempts_lost: 0,
    };
    this.#open.set(row.id, { row, linkId: session.linkId });
    this.#note(row);
  }

  /**
   * A session is over, as far as it was known: `heardAgoMs` is the time since a sign of life, where the silence is what
   * ended it.
   */
  ended(id: string, about: { why: string; attemptsLost: number; heardAgoMs?: number }): void {
    const row = this.#open.get(id)?.row;
    if (!row) return;
    this.#open.delete(id);
    const atMs = Math.max(row.connected_at.getTime(), this.#clock.wallMs() - (about.heardAgoMs ?? 0));
    row.ended_at = new Date(atMs);
    row.last_heard_at = row.ended_at;
    row.why = about.why || 'unknown';
    row.attempts_lost = about.attemptsLost;
    this.#note(row);
  }

  /** Writes what changed, and until when everybody was heard of. One at a time, so that no older word comes last. */
  async keep(): Promise<void> {
    const mine = this.#keeping.then(() => this.#keep());
    this.#keeping = mine.catch(() => {});
    await mine;
  }

  async #keep(): Promise<void> {
    const [nowMs, wallMs] = [this.#clock.nowMs(), this.#clock.wallMs()];
    const heardAtMs = new Map<string, number>();
    for (const { linkId, heardAtMs: atMs } of this.#heard()) heardAtMs.set(linkId, atMs);
    for (const { row, linkId } of this.#open.values()) {
      const at = wallMs - Math.max(0, nowMs - (heardAtMs.get(linkId) ?? Number.NEGATIVE_INFINITY));
      if (at <= row.last_heard_at.getTime()) continue;
      row.last_heard_at = new Date(at);
      this.#note(row);
    }
    const rows = [...this.#changed.values()];
    this.#changed = new Map();
    try {
      for (let from = 0; from < rows.length; from += ROWS_AT_ONCE)
        // oxlint-disable-next-line no-await-in-loop -- one after the other, so as not to take every connection
        await this.#write(rows.slice(from, from + ROWS_AT_ONCE));
      await this.#sweep(nowMs, wallMs);
    } catch (error) {
      // Written twice is as good as once. What changed meanwhile is newer, and is the same row.
      for (const row of rows) this.#note(row);
      throw error;
    }
  }

  /** The latest sessions of a provider, newest first. */
  async of(providerId: string, limit: number): Promise<ProviderSession[]> {
    const rows = await this.#database.sql<Row[]>`
      select * from provider_sessions where provider_id = ${providerId}
      order by connected_at desc, id desc limit ${limit}`;
    return rows.map((row) => ({
      nodeId: row.node_id,
      mode: row.mode,
      connectedAt: row.connected_at.getTime(),
      lastHeardAt: row.last_heard_at.getTime(),
      endedAt: row.ended_at?.getTime(),
      why: row.why,
      attemptsLost: row.attempts_lost,
    }));
  }

  /** For how long nodes of a provider were connected in [from, until), added up; endpoints are no machines of its own. */
  async nodeMs(providerId: string, { from, until }: { from: number; until: number }): Promise<number> {
    const [start, end] = [new Date(from), new Date(until)];
    const [row] = await this.#database.sql<{ ms: number | null }[]>`
      select sum(extract(epoch from least(coalesce(ended_at, last_heard_at), ${end}) - greatest(connected_at, ${start})) * 1000
        )::double precision as ms
      from provider_sessions
      where provider_id = ${providerId} and mode = 'websocket' and connected_at < ${end}
        and coalesce(ended_at, last_heard_at) > ${start}`;
    return row?.ms ?? 0;
  }

  /** Ends every session of this process, and writes them. */
  async close(): Promise<void> {
    await this.#rounds.close();
    for (const id of this.#open.keys()) this.ended(id, { why: 'restarting', attemptsLost: 0 });
    await this.keep();
  }

  #note(row: Row): void {
    this.#changed.delete(row.id);
    this.#changed.set(row.id, row);
    // A database that is away for long costs the oldest news, not memory.
    for (const id of this.#changed.keys()) {
      if (this.#changed.size <= CHANGED_MAX) break;
      this.#changed.delete(id);
    }
  }

  async #write(rows: readonly Row[]): Promise<void> {
    const { sql } = this.#database;
    // As one document: a parameter for each value of a thousand rows held the event loop for tens of milliseconds.
    await sql`
      insert into provider_sessions
        (id, provider_id, node_id, mode, instance, connected_at, last_heard_at, ended_at, why, attempts_lost)
      select id, provider_id, node_id, mode, instance, connected_at, last_heard_at, ended_at, why, attempts_lost
      from jsonb_to_recordset(${sql.json(rows.map(plainRow))}) as s(
        id text, provider_id text, node_id text, mode text, instance text, connected_at timestamptz,
        last_heard_at timestamptz, ended_at timestamptz, why text, attempts_lost integer)
      on conflict (id) do update set last_heard_at = excluded.last_heard_at, ended_at = excluded.ended_at,
        why = excluded.why, attempts_lost = excluded.attempts_lost`;
  }

  /** Closes what other processes left behind, and forgets what is old. A process that comes back writes its own again. */
  async #sweep(nowMs: number, wallMs: number): Promise<void> {
    if (this.#sweptAtMs !== undefined && nowMs - this.#sweptAtMs < SWEEP_EVERY_MS) return;
    const { sql } = this.#database;
    await sql`
      update provider_sessions set ended_at = last_heard_at, why = ${HUB_GONE}
      where ended_at is null and last_heard_at < ${new Date(wallMs - GONE_AFTER_MS)}`;
    await sql`delete from provider_sessions where ended_at < ${new Date(wallMs - KEPT_MS)}`;
    this.#sweptAtMs = nowMs;
  }
}

const ROUND_EVERY_MS = 15_000;
const SWEEP_EVERY_MS = 600_000;
/** Far longer than a round: whoever writes nothing for so long is gone, or cannot reach the database. */
const GONE_AFTER_MS = 600_000;
const KEPT_MS = 90 * 86_400_000;
const ROWS_AT_ONCE = 1_000;
const CHANGED_MAX = 50_000;
const HUB_GONE = 'the market stopped without a word';

export interface SessionBookParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Logger;
  /** Names this process over its lives. */
  readonly instance: string;
  /** Who is here, and when it was last heard of, in monotonic milliseconds. */
  readonly heard: () => Iterable<Heard>;
}

interface Heard {
  readonly linkId: string;
  readonly heardAtMs: number;
}

export interface ProviderSession {
  readonly nodeId: string;
  readonly mode: 'websocket' | 'external';
  /** Wall milliseconds. */
  readonly connectedAt: number;
  readonly lastHeardAt: number;
  /** Undefined while it lasts. */
  readonly endedAt: number | undefined;
  readonly why: string;
  /** Requests that ended with it. */
  readonly attemptsLost: number;
}

interface Row {
  id: string;
  provider_id: string;
  node_id: string;
  mode: 'websocket' | 'external';
  instance: string;
  connected_at: Date;
  last_heard_at: Date;
  ended_at: Date | null;
  why: string;
  attempts_lost: number;
}

function plainRow(row: Row) {
  return {
    ...row,
    connected_at: row.connected_at.toISOString(),
    last_heard_at: row.last_heard_at.toISOString(),
    ended_at: row.ended_at?.toISOString() ?? null,
  };
}
