import type { Database, Sql } from '#db/database.ts';
import { Sealed } from '#kit/sealed.ts';
import { noteEvent } from './account-events.ts';
import type { SecretBox } from './secret-box.ts';

/**
 * Debug logs as they are kept: on until a moment, sealed, read by nobody but the consumer's own user, and gone a week after
 * their time at the latest. Every reading is noted in the list of account events.
 */
export class DebugBook {
  readonly #database: Database;
  readonly #box: SecretBox;

  constructor(parts: { database: Database; box: SecretBox }) {
    this.#database = parts.database;
    this.#box = parts.box;
  }

  async standing(consumerId: string): Promise<DebugStanding> {
    const { sql } = this.#database;
    const [row] = await sql<{ debug_until: Date | null; entries: bigint; bytes: bigint }[]>`
      select c.debug_until, count(e.id) as entries, coalesce(sum(octet_length(e.sealed)), 0)::bigint as bytes
      from consumers c left join debug_entries e on e.consumer_id = c.id
      where c.id = ${consumerId} group by c.id`;
    const readings = await sql<{ at: Date; actor: string; detail: { entry?: string; address?: string } }[]>`
      select at, actor, detail from account_events
      where about = ${consumerId} and what = ${READ} order by seq desc limit ${READINGS_LISTED}`;
    return {
      until: row?.debug_until?.getTime(),
      entries: Number(row?.entries ?? 0n),
      bytes: Number(row?.bytes ?? 0n),
      readings: readings.map(({ at, detail }) => ({
        at: at.getTime(),
        entry: detail.entry ?? '',
        address: detail.address ?? '',
      })),
    };
  }

  /** Keeps what is asked from now until `until`; undefined: nothing from now on, and what is kept goes within a week. */
  async set(change: {
    consumerId: string;
    until: number | undefined;
    actor: string;
    at: number;
  }): Promise<void> {
    const { consumerId, until, actor, at } = change;
    await this.#database.transaction(async (sql) => {
      await sql`
        update consumers set debug_until = ${until === undefined ? null : new Date(until)} where id = ${consumerId}`;
      if (until === undefined) {
        await sql`
          update debug_entries set expires_at = ${new Date(at + KEPT_AFTER_MS)}
          where consumer_id = ${consumerId} and expires_at > ${new Date(at + KEPT_AFTER_MS)}`;
      }
      await noteEvent(sql, {
        at,
        actor,
        what: until === undefined ? 'debug-log-off' : 'debug-log-on',
        about: consumerId,
        detail: until === undefined ? {} : { until: new Date(until).toISOString() },
      });
    });
  }

  /** Deletes one entry, or all that were made up to now. Answers how many. */
  async remove(which: { consumerId: string; id?: string; actor: string; at: number }): Promise<number> {
    const { consumerId, id, actor, at } = which;
    return await this.#database.transaction(async (sql) => {
      // Before the deletion: what some process is about to keep waits for this row, and then finds it too old.
      if (id === undefined)
        await sql`update consumers set debug_cleared_at = ${new Date(at)} where id = ${consumerId}`;
      const removed = await sql`
        delete from debug_entries
        where consumer_id = ${consumerId} ${id === undefined ? sql`` : sql`and id = ${id}`} returning id`;
      if (removed.length > 0 || id === undefined)
        await noteEvent(sql, {
          at,
          actor,
          what: 'debug-log-cleared',
          about: consumerId,
          detail: { entries: String(removed.length) },
        });
      return removed.length;
    });
  }

  /** Newest first; older than the entry `before` where that is named. Tells nothing of what was said. */
  async list(which: {
    consumerId: string;
    before?: string | undefined;
    limit: number;
    now: number;
  }): Promise<DebugHead[]> {
    const { consumerId, before, limit, now } = which;
    const { sql } = this.#database;
    const rows = await sql<HeadRow[]>`
      select id, at, endpoint, status, streamed, octet_length(sealed) as bytes, expires_at
      from debug_entries where consumer_id = ${consumerId} and expires_at > ${new Date(now)}
        ${
          before === undefined
            ? sql``
            : sql`and (at, id) < (select b.at, b.id from debug_entries b where b.id = ${before} and b.consumer_id = ${consumerId})`
        }
      order by at desc, id desc limit ${limit}`;
    return rows.map(headOf);
  }

  /** One entry, opened; the reading is noted before it is told. `sealed`: with a secret that is not known here any more. */
  async read(which: {
    consumerId: string;
    id: string;
    actor: string;
    address: string;
    at: number;
  }): Promise<(DebugHead & { text: Sealed<string> }) | 'unknown' | 'sealed'> {
    const { consumerId, id, actor, address, at } = which;
    return await this.#database.transaction(async (sql) => {
      const [row] = await sql<(HeadRow & { secret_id: string; sealed: Buffer })[]>`
        select id, at, endpoint, status, streamed, octet_length(sealed) as bytes, expires_at, secret_id, sealed
        from debug_entries where id = ${id} and consumer_id = ${consumerId} and expires_at > ${new Date(at)}`;
      if (!row) return 'unknown' as const;
      const text = this.#box.open(
        { secretId: row.secret_id, sealed: Buffer.from(row.sealed) },
        contextOf(consumerId, id),
      );
      if (!text) return 'sealed' as const;
      await noteEvent(sql, { at, actor, what: READ, about: consumerId, detail: { entry: id, address } });
      return { ...headOf(row), text };
    });
  }

  /**
   * Keeps one entry of a request that was accepted at `at`, unless its consumer has turned its log off, or emptied it, since.
   * The oldest go where there are more than `ENTRIES_MAX` or they take more than `BYTES_MAX`.
   */
  async keep(entry: {
    id: string;
    consumerId: string;
    at: number;
    endpoint: string;
    status: number;
    streamed: boolean;
    text: Sealed<string>;
  }): Promise<void> {
    const { id, consumerId, endpoint, status, streamed } = entry;
    const { secretId, sealed } = this.#box.seal(entry.text, contextOf(consumerId, id));
    const at = new Date(entry.at);
    await this.#database.transaction(async (sql) => {
      // For share: whoever turns it off or empties it waits until this is in, or is read here as done.
      const [made] = await sql`
        insert into debug_entries (id, consumer_id, at, endpoint, status, streamed, secret_id, sealed, expires_at)
        select ${id}, id, ${at}, ${endpoint}, ${status}, ${streamed}, ${secretId}, ${sealed},
          debug_until + ${`${KEPT_AFTER_MS} milliseconds`}::interval
        from (
          select id, debug_until from consumers
          where id = ${consumerId} and debug_until > ${at}
            and (debug_cleared_at is null or debug_cleared_at < ${at})
          for share
        ) as wanting
        on conflict (id) do nothing returning id`;
      if (made) await trim(sql, consumerId);
    });
  }

  /** Deletes what is past its time. Answers how many. */
  async forget(now: number): Promise<number> {
    const { sql } = this.#database;
    const gone = await sql`delete from debug_entries where expires_at <= ${new Date(now)}`;
    return gone.count;
  }
}

async function trim(sql: Sql, consumerId: string): Promise<void> {
  await sql`
    delete from debug_entries where id in (
      select id from (
        select id, row_number() over newest as position, sum(octet_length(sealed)) over newest as bytes
        from debug_entries where consumer_id = ${consumerId}
        window newest as (order by at desc, id desc)
      ) as counted
      where position > ${ENTRIES_MAX} or bytes > ${BYTES_MAX}
    )`;
}

export interface DebugStanding {
  /** Wall milliseconds; undefined while it is off. May be over. */
  readonly until: number | undefined;
  readonly entries: number;
  readonly bytes: number;
  /** The latest, newest first. */
  readonly readings: readonly { readonly at: number; readonly entry: string; readonly address: string }[];
}

export interface DebugHead {
  readonly id: string;
  readonly at: number;
  readonly endpoint: string;
  readonly status: number;
  readonly streamed: boolean;
  readonly bytes: number;
  readonly expiresAt: number;
}

/** How far ahead a log may be on. */
export const DEBUG_AHEAD_MAX_MS = 72 * 3_600_000;
/** How long entries stay after the log's time. */
const KEPT_AFTER_MS = 7 * 86_400_000;
export const ENTRIES_MAX = 1_000;
const BYTES_MAX = 16_777_216;
const READINGS_LISTED = 20;
const READ = 'debug-log-read';

const contextOf = (consumerId: string, id: string): string => `debug log of ${consumerId}: ${id}`;

interface HeadRow {
  id: string;
  at: Date;
  endpoint: string;
  status: number;
  streamed: boolean;
  bytes: number;
  expires_at: Date;
}

function headOf(row: HeadRow): DebugHead {
  return {
    id: row.id,
    at: row.at.getTime(),
    endpoint: row.endpoint,
    status: row.status,
    streamed: row.streamed,
    bytes: row.bytes,
    expiresAt: row.expires_at.getTime(),
  };
}
