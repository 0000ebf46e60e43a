import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import { locked } from '#kit/file-lock.ts';
import { type Logger, silentLog } from '#kit/log.ts';
import { Rounds } from '#kit/rounds.ts';
import { Sealed } from '#kit/sealed.ts';
import { type Database, databaseGone, openDatabase } from './database.ts';
import { type PostgresServer, serverFolder, startPostgres } from './postgres-server.ts';

/**
 * The database of whoever has none: a PostgreSQL under the data folder, shared by all our processes on that folder. The
 * first one in starts it, the last one out stops it, and one that is killed leaves it to the next. Each process that uses
 * it holds a connection from before it may be relied on until it leaves: that is how the others know. Starting and
 * stopping happen under a lock, so nobody starts what another is stopping, and no two prepare the same folder.
 */
export interface EmbeddedDatabase {
  readonly url: Sealed<string>;
  /** Where its files are: below the data folder, unless the server's user cannot reach that. */
  readonly folder: string;
  /** False when it was found running. */
  readonly started: boolean;
  /** For a process that stays: starts the server again whenever it is found dead, on the same port, until `leave`. */
  keepAlive(log: Logger): void;
  /** Call it last, with your own connections closed. Stops the server unless another process uses it. */
  leave(): Promise<'stopped' | 'left-running'>;
}

/**
 * Told of a step that may take noticeable time: `prepare` (the very first start), `open` (every other), `elsewhere` (the
 * files are kept outside the data folder). The sentence is for people.
 */
export type Progress = (step: 'prepare' | 'open' | 'elsewhere', sentence: string) => void;

const NAME = 'cygnet';
const WATCH_MS = 500;

/**
 * Opens the embedded database of `dataFolder`, making and starting it as needed. Throws a `Fault` whose inner text says what the operator can do.
 */
export async function openEmbeddedDatabase(options: {
  dataFolder: string;
  clock: Clock;
  progress?: Progress;
}): Promise<EmbeddedDatabase> {
  const { dataFolder, clock } = options;
  const progress = options.progress ?? (() => {});
  const lock = path.join(dataFolder, 'postgres.lock');
  try {
    mkdirSync(dataFolder, { recursive: true });
    return await locked({ lock, clock }, async () => {
      const folder = placeFor(dataFolder, progress);
      const fresh = !existsSync(path.join(folder, 'data', 'PG_VERSION'));
      if (fresh) progress('prepare', `Preparing a new database in ${folder} (first start).`);
      else progress('open', 'Opening the database.');
      const server = await startPostgres({ folder, ...(await rememberedPort(folder)) });
      writeFileSync(path.join(folder, 'port'), `${server.port}\n`);
      const presence = await enter(server);
      const revive = (): Promise<unknown> =>
        locked({ lock, clock }, () => startPostgres({ folder, port: server.port }));
      let watch: Rounds | undefined;
      return {
        url: new Sealed(server.urlOf(NAME)),
        folder,
        started: server.started,
        keepAlive: (log) => {
          watch ??= watchOver(presence, { clock, log, revive });
        },
        leave: async () => {
          await watch?.close();
          return await locked({ lock, clock }, () => leave(server, presence));
        },
      };
    });
  } catch (error) {
    const advice = adviceOn(error as NodeJS.ErrnoException, dataFolder);
    throw advice === undefined ? error : new Fault('internal', { inner: advice, cause: error });
  }
}

/** What the operator can do about a failure whose own words do not say it. The texts are those of PostgreSQL's programs. */
function adviceOn({ code, message }: NodeJS.ErrnoException, dataFolder: string): string | undefined {
  if (code === 'EACCES' || code === 'EPERM' || message.includes('Permission denied')) {
    return `${dataFolder} belongs to another user. Run this as the user who made it, or set CYGNET_DATA_DIR to another folder.`;
  }
  if (code === 'EEXIST' || code === 'ENOTDIR') {
    return `${dataFolder} is no folder. Set CYGNET_DATA_DIR to one.`;
  }
  if (message.includes('could not look up effective user ID')) {
    return 'The embedded PostgreSQL cannot run as a user without a name. Give this user an entry in /etc/passwd, or set DATABASE_URL.';
  }
  return undefined;
}

/** Holds a connection to our database, which is made if it is missing. */
async function enter(server: PostgresServer): Promise<Database> {
  const settings = {
    maxConnections: 1,
    log: silentLog,
    applicationName: 'cygnet-presence',
    deadlineMs: 60_000,
  };
  const admin = openDatabase({ ...settings, url: server.url });
  try {
    const [found] = await admin.sql`select 1 from pg_database where datname = ${NAME}`;
    if (!found) await admin.sql.unsafe(`create database ${NAME}`);
  } finally {
    await admin.close();
  }
  const presence = openDatabase({ ...settings, url: server.urlOf(NAME) });
  await presence.sql`select 1`;
  return presence;
}

/** Looks every half second whether the server is there, through the connection that is held anyway. */
function watchOver(
  presence: Database,
  { clock, log, revive }: { clock: Clock; log: Logger; revive: () => Promise<unknown> },
): Rounds {
  return new Rounds(clock, {
    periodMs: WATCH_MS,
    work: async () => {
      try {
        await presence.sql`select 1`;
      } catch (error) {
        if (!databaseGone(error)) throw error;
        log.warn({ err: error }, 'The embedded database is gone; it is started again.');
        await revive();
      }
    },
    failed: (error) => log.error({ err: error }, 'The embedded database could not be started again.'),
  });
}

async function leave(server: PostgresServer, presence: Database): Promise<'stopped' | 'left-running'> {
  let others = 0;
  try {
    const [row] = await presence.sql<{ others: number }[]>`
      select count(*)::integer as others from pg_stat_activity
      where backend_type = 'client backend' and pid <> pg_backend_pid()`;
    others = row?.others ?? 0;
  } catch (error) {
    // A server that died is stopped already, and its log has everything that was committed.
    if (!databaseGone(error)) throw error;
  } finally {
    await presence.close();
  }
  if (others > 0) return 'left-running';
  await server.stop();
  return 'stopped';
}

/**
 * The server's folder: below the data folder where its user can reach that, elsewhere otherwise. Where it went is written
 * down: a folder that becomes reachable (or unreachable) later must not make the market begin again with nothing.
 */
function placeFor(dataFolder: string, progress: Progress): string {
  const note = path.join(dataFolder, 'postgres.location');
  if (existsSync(note)) return readFileSync(note, 'utf8').trim();
  const wished = path.join(dataFolder, 'postgres');
  mkdirSync(wished, { recursive: true });
  const folder = serverFolder(wished);
  if (folder === wished) return folder;
  if (existsSync(path.join(wished, 'data', 'PG_VERSION'))) {
    throw new Fault('internal', {
      inner: `The database in ${wished} can no longer be reached by the user it runs as: a folder above it was closed to others.`,
    });
  }
  progress(
    'elsewhere',
    `The database is kept in ${folder}: started by root it runs as another user, who cannot reach ${wished}.`,
  );
  writeFileSync(note, `${folder}\n`);
  return folder;
}

/** The port of last time, when nobody else has taken it: tools that were pointed at it keep working. */
async function rememberedPort(folder: string): Promise<{ port?: number }> {
  const note = path.join(folder, 'port');
  const port = existsSync(note) ? Number(readFileSync(note, 'utf8')) : 0;
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return {};
  const free = await new Promise<boolean>((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
  return free ? { port } : {};
}
