import postgres from 'postgres';
import { atMost, type Clock, systemClock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { Logger } from '#kit/log.ts';
import { PoolSockets } from './pool-sockets.ts';
import { termInForce, termOver } from './round-terms.ts';

/**
 * The one way to PostgreSQL. Amounts travel exactly: `numeric` and `int8` columns are read as `bigint`, and a `bigint`
 * (or an array of them) may be a parameter of any size. Nothing here waits for ever: a server that refuses, vanishes or
 * stands still ends in a `Fault('database-unreachable')` after `deadlineMs` at the latest. That fault is ours alone; the
 * room that asked says what it means for the caller.
 */
export interface Database {
  /** The tagged template of postgres.js: `await database.sql\`select … ${value}\``. */
  readonly sql: Sql;
  /** Runs `work` in one transaction on one connection; commits when it resolves, rolls back when it throws. */
  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  /**
   * Hears notifications of `channel` for as long as the database is open, across reconnects. `listening` runs at first
   * and after each reconnect: what was notified in between was missed, so whoever caches must look again then.
   */
  listen(
    channel: string,
    heard: (payload: string) => void,
    listening?: () => void,
  ): Promise<{ stop: () => Promise<void> }>;
  /** For whoever leaves: what is asked from now on is waited for at most `withinMs`. */
  hurry(withinMs: number): void;
  /** Lets running statements end (at most two seconds), then closes every connection. */
  close(): Promise<void>;
}

/** What statements are written with. Within `transaction`, use the one handed in. */
export type Sql = postgres.ISql<{ bigint: bigint; numeric: bigint }>;

export interface DatabaseOptions {
  /** `postgres://user:password@host:port/name`. */
  url: string;
  log: Logger;
  /** Default 10. */
  maxConnections?: number;
  /** Shown in `pg_stat_activity`. */
  applicationName?: string;
  /** How long a connection attempt may take, in milliseconds. Default 5,000. */
  connectTimeoutMs?: number;
  /** How long the server works on one statement before it gives up by itself. Default 10,000. */
  statementTimeoutMs?: number;
  /** How long we wait for one statement or one whole transaction, whatever the server does. Default 15,000. */
  deadlineMs?: number;
  clock?: Clock;
}

type Query = postgres.PendingQuery<postgres.Row[]> & {
  executed: boolean;
  handle: (this: unknown) => unknown;
  resolve: (this: void, value: unknown) => void;
  reject: (this: void, error: unknown) => void;
};

const STOP_LISTENING_MS = 1_000;

/** A transaction under way. Once its connection is gone, nothing more may be sent on it. */
interface Transaction {
  lost: boolean;
}

/** SQLSTATE classes and driver codes that say "no server there", as opposed to "the server said no". */
const GONE =
  /^(08...|57P0[123]|53300|CONNECT_TIMEOUT|CONNECTION_\w+|ECONN\w+|ENOTFOUND|EAI_AGAIN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOENT)$/;

/** Opens a pool. No connection is made before the first statement. */
export function openDatabase(options: DatabaseOptions): Database {
  const clock = options.clock ?? systemClock;
  const deadlineMs = options.deadlineMs ?? 15_000;
  /** How long whoever asks now waits. */
  let waitMs = deadlineMs;
  const exact = { serialize: (value: unknown) => String(value), parse: parseWhole };
  const sockets = new PoolSockets(clock, deadlineMs);
  // The driver's types do not know this option.
  const dialled = { socket: (server: Parameters<PoolSockets['dial']>[0]) => sockets.dial(server) };
  const raw = postgres(options.url, {
    ...dialled,
    max: options.maxConnections ?? 10,
    connect_timeout: (options.connectTimeoutMs ?? 5_000) / 1000,
    backoff: (attempt) => Math.min(0.5, 0.05 * 2 ** Math.min(attempt, 8)),
    // An idle connection that a proxy or firewall dropped silently is found within a minute.
    keep_alive: 30,
    onnotice: (notice) => options.log.debug({ code: notice['code'] }, 'The database left a notice.'),
    connection: {
      application_name: options.applicationName ?? 'cygnet',
      statement_timeout: options.statementTimeoutMs ?? 10_000,
      // Whoever began a transaction has given up by then, and it may be that nothing of him arrives: nobody waits for its locks.
      idle_in_transaction_session_timeout: Math.min(deadlineMs, 30_000),
      // A server that a silent network has cut from us finds out within a minute, and keeps neither the session nor its locks for hours.
      tcp_keepalives_idle: 30,
      tcp_keepalives_interval: 10,
      tcp_keepalives_count: 3,
      tcp_user_timeout: 30_000,
    },
    types: {
      bigint: { to: 20, from: [20], ...exact },
      numeric: { to: 1700, from: [1700], ...exact },
    },
  });

  const guarded = (query: Query, transaction?: Transaction): Query => {
    const { handle, resolve, reject } = query;
    // A query runs when it is first awaited; only then does its time begin.
    const handleInTime = (): unknown => {
      if (!query.executed) {
        sockets.look();
        const timer = clock.after(waitMs, () => {
          sockets.giveUp();
          query.reject(new Fault('database-unreachable', { inner: 'No answer from the database in time.' }));
        });
        const resolveInTime = (value: unknown): void => {
          timer.cancel();
          resolve(value);
        };
        const rejectInTime = (error: unknown): void => {
          timer.cancel();
          if (transaction && isGone(error)) transaction.lost = true;
          reject(asFault(error));
        };
        query.resolve = resolveInTime;
        query.reject = rejectInTime;
      }
      return handle.call(query);
    };
    query.handle = handleInTime;
    return query;
  };

  const guard = (sql: object, transaction?: Transaction): Sql =>
    new Proxy(sql, {
      apply(target, self, args: unknown[]) {
        if (transaction?.lost) throw lostFault();
        termInForce();
        for (let i = 1; i < args.length; i++) args[i] = widen(args[i]);
        const made = Reflect.apply(target as () => unknown, self, args);
        return made instanceof Promise ? guarded(made as Query, transaction) : made;
      },
      get(target, name) {
        const value = Reflect.get(target, name);
        if (name === 'savepoint' && transaction) {
          return (work: (sql: Sql) => Promise<unknown>) =>
            value(async (inner: object) => {
              try {
                return await work(guard(inner, transaction));
              } catch (error) {
                // As for the whole transaction below: nothing may be sent on a connection that is gone.
                if (transaction.lost) return await new Promise<never>(() => {});
                throw error;
              }
            });
        }
        if (name === 'unsafe') {
          return (...args: unknown[]) => {
            if (transaction?.lost) throw lostFault();
            return guarded(value(...args), transaction);
          };
        }
        return value;
      },
    }) as Sql;

  /** A whole number of any size: left to the server's own idea of the column's type, where the driver would say int8. */
  const widen = (value: unknown): unknown => {
    if (typeof value === 'bigint') return raw.typed(String(value) as never, 0);
    if (Array.isArray(value) && !('raw' in value) && typeof value.find((v) => v !== null) === 'bigint') {
      return raw.typed(value as never, 0);
    }
    return value;
  };

  const sql = guard(raw);
  return {
    sql,
    async transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
      let late = false;
      const transaction: Transaction = { lost: false };
      const run = async (): Promise<T> => {
        try {
          const made = await raw.begin(async (inner) => {
            let done: T;
            try {
              const guardedSql = guard(inner, transaction);
              const term = termInForce();
              if (term) await holdTo(guardedSql, term);
              done = await work(guardedSql);
            } catch (error) {
              // The driver would send its rollback down a connection that is closed, and fail in a way that ends the
              // process (3.4.9). It is told nothing, and ends this itself when the connection is closed.
              if (transaction.lost) return await new Promise<never>(() => {});
              throw error;
            }
            // Whoever waited was told that it failed; committing now would make that a lie.
            if (late) throw new Fault('database-unreachable', { inner: 'The transaction came too late.' });
            return done;
          });
          return made as T;
        } catch (error) {
          // It may have been lost between two statements: none must follow.
          transaction.lost = true;
          throw asFault(error);
        } finally {
          timer.cancel();
        }
      };
      let refuse = (_error: Fault): void => {};
      const deadline = new Promise<never>((_resolve, reject) => {
        refuse = reject;
      });
      // The server's own rollback follows when the connection answers again or dies.
      sockets.look();
      const timer = clock.after(waitMs, () => {
        late = true;
        sockets.giveUp();
        refuse(new Fault('database-unreachable', { inner: 'No end of the transaction in time.' }));
      });
      return await Promise.race([run(), deadline]);
    },
    async listen(channel, heard, listening) {
      try {
        const listener = await raw.listen(channel, heard, listening);
        return {
          stop: async () => {
            // Where no server is left to be told, nothing is heard any more either.
            await atMost(
              clock,
              STOP_LISTENING_MS,
              listener.unlisten().catch(() => {}),
            );
          },
        };
      } catch (error) {
        throw asFault(error);
      }
    },
    hurry(withinMs) {
      waitMs = Math.min(waitMs, withinMs);
    },
    async close() {
      await raw.end({ timeout: 2 });
      // One that nothing passes would hold the process up until the system gives it up.
      sockets.close();
    },
  };
}

/**
 * Runs `work` within the caller's transaction so that what it did is undone alone when it throws, and the transaction goes on. Use
 * the one handed in.
 */
export async function savepoint<T>(sql: Sql, work: (sql: Sql) => Promise<T>): Promise<T> {
  return (await (sql as object as postgres.TransactionSql).savepoint(work as never)) as T;
}

/** Locks the term that a transaction belongs to, until its end. Throws when the term is over. */
async function holdTo(sql: Sql, { name, number }: { name: string; number: bigint }): Promise<void> {
  const [row] = await sql`select from round_terms where name = ${name} and term = ${number} for key share`;
  if (!row) throw termOver(name);
}

/** True when the database could not be reached or did not answer: the work may or may not have been done. */
export function databaseGone(error: unknown): boolean {
  return error instanceof Fault && error.code === 'database-unreachable';
}

function isGone(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return !(error instanceof Fault) && typeof code === 'string' && GONE.test(code);
}

function lostFault(): Fault {
  return new Fault('database-unreachable', { inner: 'The connection of this transaction is gone.' });
}

function asFault(error: unknown): unknown {
  if (!isGone(error)) return error;
  const { code } = error as { code: string };
  // The driver's message names host and port; it stays inside.
  return new Fault('database-unreachable', {
    inner: `The database cannot be reached (${code}).`,
    cause: error,
  });
}

function parseWhole(text: string): bigint {
  if (/^-?\d+$/.test(text)) return BigInt(text);
  throw new RangeError(
    `A number with a fraction was read from SQL: ${text}. Cast it to text or double precision.`,
  );
}
