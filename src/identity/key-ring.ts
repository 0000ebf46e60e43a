import type { Database } from '#db/database.ts';
import { type Change, type Follower, follow } from '#db/follower.ts';
import type { KeyRecord } from '#domain/party.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { Rounds } from '#kit/rounds.ts';
import { hashKey, type KeyKind, kindOfKey } from './keys.ts';

/**
 * Every key in memory, so that a request is authenticated without waiting for anybody: one hash and one look-up. Nothing
 * a stranger sends costs a statement, however many keys they try. A key that is made or revoked elsewhere is known here
 * as soon as PostgreSQL has announced it (milliseconds); while the database is away, what was known last holds.
 *
 * A revoked key stays known as revoked for a month, so that its owner is told what happened; then it is unknown.
 */
export class KeyRing {
  readonly #database: Database;
  readonly #clock: Clock;
  /** By the SHA-256 of the key, in hex. */
  #entries = new Map<string, Entry>();
  /** Ids of keys that were revoked, as far as they are remembered. */
  #revoked = new Set<string>();
  /** The database's own time when the last load began; changes since then (and a margin) are recent. */
  #lookedAt: string | undefined;
  #today: number;
  readonly #used = new Set<Entry>();
  #follower: Follower | undefined;
  #marking: Rounds | undefined;

  /** Loads every key and follows changes until `close`. Throws when the database cannot be reached. */
  static async open(options: KeyRingOptions): Promise<KeyRing> {
    const ring = new KeyRing(options);
    ring.#follower = await follow(options.database, {
      channel: 'keys_changed',
      clock: options.clock,
      log: options.log,
      load: (change) => ring.#load(change),
    });
    ring.#marking = new Rounds(options.clock, {
      periodMs: options.markEveryMs ?? 60_000,
      work: () => ring.#markUsed(),
      failed: (error) => options.log.warn({ error }, 'The days on which keys were used could not be noted.'),
    });
    return ring;
  }

  private constructor(options: KeyRingOptions) {
    this.#database = options.database;
    this.#clock = options.clock;
    this.#today = dayOf(options.clock);
  }

  /** Whose key `secret` is. `malformed` when it cannot be a key at all (a typo, another house's key). */
  find(secret: string): KeyRecord | 'unknown' | 'malformed' | 'revoked' {
    if (kindOfKey(secret) === undefined) return 'malformed';
    const entry = this.#entries.get(hashKey(secret));
    if (entry === undefined) return 'unknown';
    if (entry.record.revoked) return 'revoked';
    if (entry.usedOn !== this.#today) {
      entry.usedOn = this.#today;
      this.#used.add(entry);
    }
    return entry.record;
  }

  /** Was this key revoked? For whoever found it valid a while ago. */
  isRevoked(keyId: string): boolean {
    return this.#revoked.has(keyId);
  }

  /** How many keys are known, revoked ones included. */
  get size(): number {
    return this.#entries.size;
  }

  async close(): Promise<void> {
    await this.#marking?.close();
    await this.#follower?.close();
    await this.#markUsed().catch(() => {
      // A mark of use is a convenience; a database that is away must not hold up the shutdown.
    });
  }

  async #load(change: Change): Promise<void> {
    const { sql } = this.#database;
    const [now] = await sql<{ at: string }[]>`select clock_timestamp()::text as at`;
    if (change === 'all') {
      const entries = new Map<string, Entry>();
      const revoked = new Set<string>();
      let after = '';
      for (;;) {
        const rows = await sql<Row[]>`
          ${this.#columns()}
          where id > ${after} and (revoked_at is null or revoked_at > now() - interval '30 days')
          order by id limit ${PAGE}`;
        for (const row of rows) {
          entries.set(row.hash, this.#entry(row));
          if (row.revoked) revoked.add(row.id);
        }
        const last = rows.at(-1);
        if (!last || rows.length < PAGE) break;
        after = last.id;
      }
      this.#entries = entries;
      this.#revoked = revoked;
    } else {
      const rows =
        change === 'recent'
          ? // The margin covers transactions that were open, with their time already taken, when we last looked.
            await sql<Row[]>`
              ${this.#columns()}
              where changed_at > ${this.#lookedAt ?? '-infinity'}::timestamptz - interval '10 minutes'`
          : await sql<Row[]>`${this.#columns()} where id = any(${[...change]})`;
      for (const row of rows) {
        this.#entries.set(row.hash, this.#entry(row));
        if (row.revoked) this.#revoked.add(row.id);
      }
    }
    this.#lookedAt = now?.at;
  }

  #columns() {
    return this.#database.sql`
      select id, kind, owner_id, name, prefix, encode(hash, 'hex') as hash, revoked_at is not null as revoked,
        coalesce(last_used_on - date '1970-01-01', -1) as used_on
      from keys`;
  }

  #entry(row: Row): Entry {
    const record: KeyRecord = Object.freeze({
      id: row.id,
      kind: row.kind,
      ownerId: row.owner_id,
      name: row.name,
      prefix: row.prefix,
      revoked: row.revoked,
    });
    return { record, usedOn: row.used_on };
  }

  async #markUsed(): Promise<void> {
    this.#today = dayOf(this.#clock);
    const entries = [...this.#used];
    this.#used.clear();
    if (entries.length === 0) return;
    try {
      // Rows that another process is marking are its to mark; waiting for them in another order could deadlock.
      await this.#database.sql`
        update keys set last_used_on = ${this.#today}::integer + date '1970-01-01'
        where id in (
          select id from keys
          where id = any(${entries.map((entry) => entry.record.id)})
            and (last_used_on is null or last_used_on < ${this.#today}::integer + date '1970-01-01')
          order by id for update skip locked
        )`;
    } catch (error) {
      for (const entry of entries) this.#used.add(entry);
      throw error;
    }
  }
}

export interface KeyRingOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Logger;
  /** How often the days of use are written down. Default 60,000. */
  readonly markEveryMs?: number;
}

interface Entry {
  readonly record: KeyRecord;
  /** The last day of use that we know of, in days since 1970; -1 for never. */
  usedOn: number;
}

interface Row {
  id: string;
  kind: KeyKind;
  owner_id: string;
  name: string;
  prefix: string;
  hash: string;
  revoked: boolean;
  used_on: number;
}

const PAGE = 5_000;
const DAY_MS = 86_400_000;

function dayOf(clock: Clock): number {
  return Math.floor(clock.wallMs() / DAY_MS);
}
