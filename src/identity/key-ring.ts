import type { Database } from '#db/database.ts';
import { type Change, type Follower, follow } from '#db/follower.ts';
import { isWhole, type KeyScope } from '#domain/key-scope.ts';
import type { KeyAnswer, KeyRecord } from '#domain/party.ts';
import { DEFAULT_PLAN } from '#domain/plan.ts';
import { dayOf } from '#domain/window.ts';
import { type Clock, pause } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { Rounds } from '#kit/rounds.ts';
import { hashKey, type KeyKind, kindOfKey, scopeOfRow } from './keys.ts';

/**
 * Every key in memory, so that a request is authenticated without waiting for anybody: one hash and one look-up. No request
 * of a stranger costs a statement, however many keys they try, and agents with unknown keys cost one a second. A key that is made or revoked elsewhere is known here
 * as soon as PostgreSQL has announced it (milliseconds); while the database is away, what was known last holds.
 *
 * A revoked or expired key stays known as such for forty days, so that its owner is told what happened; then it is unknown.
 * (Longer than a month: what a key spent is counted by month, its predecessors' spending included.)
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
  /** The expiry of keys that have one, by id. */
  readonly #ends = new Map<string, number>();
  readonly #watchers = new Set<(key: KeyRecord) => void>();
  /** Hashes of unknown keys that agents showed, until they are looked for. */
  readonly #wanted = new Set<string>();
  #seeking: Promise<void> | undefined;
  #soughtAtMs = Number.NEGATIVE_INFINITY;
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
    this.#today = dayOf(options.clock.wallMs());
  }

  /** Whose key `secret` is. `malformed` when it cannot be a key at all (a typo, another house's key). */
  find(secret: string): KeyAnswer {
    if (kindOfKey(secret) === undefined) return 'malformed';
    const entry = this.#entries.get(hashKey(secret));
    if (entry === undefined) return 'unknown';
    const { record } = entry;
    if (record.revoked) return 'revoked';
    if (record.expiresAt !== undefined && record.expiresAt <= this.#clock.wallMs()) return 'expired';
    if (entry.suspended) return 'suspended';
    if (entry.usedOn !== this.#today) {
      entry.usedOn = this.#today;
      this.#used.add(entry);
    }
    return record;
  }

  /** Was this key revoked, or has it expired? For whoever found it valid a while ago. */
  isRevoked(keyId: string): boolean {
    if (this.#revoked.has(keyId)) return true;
    const end = this.#ends.get(keyId);
    return end !== undefined && end <= this.#clock.wallMs();
  }

  /** Every key that is neither revoked nor forgotten. */
  *valid(): IterableIterator<KeyRecord> {
    for (const { record } of this.#entries.values()) if (!record.revoked) yield record;
  }

  /** Learns of keys that were made or changed a moment ago, before whoever did it is told that it is done. */
  async look(keyIds: readonly string[]): Promise<void> {
    await this.#follower?.look(keyIds);
  }

  /**
   * Looks for a key that `find` does not know, since news of it may be under way. However many are looked for, it is one
   * statement a second; more than a thousand within a second are not looked for. Rejects when the database is away.
   */
  async seek(secret: string): Promise<void> {
    if (kindOfKey(secret) === undefined) return;
    if (this.#wanted.size >= WANTED_MAX) return;
    const hash = hashKey(secret);
    this.#wanted.add(hash);
    // The one that is under way when this begins may have been asked already.
    while (this.#wanted.has(hash)) {
      this.#seeking ??= this.#seek().finally(() => {
        this.#seeking = undefined;
      });
      await this.#seeking;
    }
  }

  async #seek(): Promise<void> {
    const waitMs = this.#soughtAtMs + SEEK_EVERY_MS - this.#clock.nowMs();
    if (waitMs > 0) await pause(this.#clock, waitMs);
    this.#soughtAtMs = this.#clock.nowMs();
    const wanted = [...this.#wanted];
    this.#wanted.clear();
    const { sql } = this.#database;
    const found = await sql<{ id: string }[]>`
      select id from keys where hash in (select decode(hex, 'hex') from unnest(${wanted}::text[]) as hex)`;
    if (found.length > 0) await this.look(found.map(({ id }) => id));
  }

  /** The ids of the keys of each family that has more members than its first. */
  families(): Map<string, string[]> {
    const families = new Map<string, string[]>();
    for (const { record } of this.#entries.values()) {
      if (record.familyId === undefined) continue;
      const members = families.get(record.familyId);
      if (members) members.push(record.id);
      else families.set(record.familyId, [record.familyId, record.id]);
    }
    return families;
  }

  /** Tells `changed` each key that was loaded after the start: new, changed, or merely looked at again. */
  watch(changed: (key: KeyRecord) => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  /** How many keys are known, revoked ones included. */
  get size(): number {
    return this.#entries.size;
  }

  async close(): Promise<void> {
    this.#watchers.clear();
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
          where k.id > ${after} and (k.revoked_at is null or k.revoked_at > now() - interval '40 days')
            and (k.expires_at is null or k.expires_at > now() - interval '40 days')
          order by k.id limit ${PAGE}`;
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
              where k.changed_at > ${this.#lookedAt ?? '-infinity'}::timestamptz - interval '10 minutes'`
          : await sql<Row[]>`${this.#columns()} where k.id = any(${[...change]})`;
      for (const row of rows) {
        this.#entries.set(row.hash, this.#entry(row));
        if (row.revoked) this.#revoked.add(row.id);
      }
    }
    this.#lookedAt = now?.at;
  }

  #columns() {
    return this.#database.sql`
      select k.id, k.kind, k.owner_id, k.name, k.prefix, encode(k.hash, 'hex') as hash,
        k.revoked_at is not null as revoked, coalesce(k.last_used_on - date '1970-01-01', -1) as used_on,
        k.family_id, k.expires_at, k.models, k.categories, k.cap_day_pico, k.cap_month_pico, k.addresses,
        k.requests_per_minute, c.plan, c.suspended_at is not null as suspended, c.debug_until
      from keys k left join consumers c on c.id = k.consumer_id`;
  }

  #entry(row: Row): Entry {
    const scope = scopeOfRow(row);
    const record: KeyRecord = Object.freeze({
      id: row.id,
      kind: row.kind,
      ownerId: row.owner_id,
      name: row.name,
      prefix: row.prefix,
      revoked: row.revoked,
      ...(row.family_id !== null && { familyId: row.family_id }),
      ...(!isWhole(scope) && { scope: Object.freeze(scope) }),
      ...(row.expires_at !== null && { expiresAt: row.expires_at.getTime() }),
      ...(row.plan !== null && row.plan !== DEFAULT_PLAN && { plan: row.plan }),
      ...(row.debug_until !== null && { debugUntil: row.debug_until.getTime() }),
    });
    if (record.expiresAt === undefined) this.#ends.delete(row.id);
    else this.#ends.set(row.id, record.expiresAt);
    for (const changed of this.#watchers) changed(record);
    return { record, usedOn: row.used_on, suspended: row.suspended };
  }

  async #markUsed(): Promise<void> {
    this.#today = dayOf(this.#clock.wallMs());
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
  /** Its consumer is. */
  readonly suspended: boolean;
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
  family_id: string | null;
  expires_at: Date | null;
  models: string[] | null;
  categories: KeyScope['categories'];
  cap_day_pico: bigint | null;
  cap_month_pico: bigint | null;
  addresses: string[] | null;
  requests_per_minute: number | null;
  plan: string | null;
  suspended: boolean;
  debug_until: Date | null;
}

const PAGE = 5_000;
const SEEK_EVERY_MS = 1_000;
const WANTED_MAX = 1_000;
