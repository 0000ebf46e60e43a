import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { type Clock, pause, systemClock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import { type Logger, silentLog } from '#kit/log.ts';
import { packageRoot } from '#kit/package-root.ts';
import { type Database, openDatabase, type Sql } from './database.ts';

/**
 * Brings the schema up to date while gateways of the version before go on serving from it.
 *
 * Each `NNNN-name.sql` is applied once, in order of name, forward only, on a connection of its own that no deadline of serving
 * ends. A file is one transaction; where it would keep a large table locked for long, a line `-- Step` divides it into several,
 * and `-- Step, outside a transaction` begins one whose statements run one by one (`create index concurrently`), each of which
 * must bear to be repeated. What is done is noted step by step, so whoever comes after a crash goes on where it ended.
 *
 * A change of a table that others use must wait for them, and everybody who comes later waits behind it. So no step waits for
 * a lock longer than `LOCK_WAIT`: it gives up, lets the others through, and tries again, `TRIES` times.
 */

/** Any constant does, as long as every process uses the same: it names the lock under which migrations run. */
const LOCK = 0x6379676e;
const LOCK_WAIT = '2s';
const TRIES = 100;
const BETWEEN_TRIES_MS = 1_000;
const DAY_MS = 86_400_000;

/** By name: texts that a migration had before, which come to the same schema. */
const FORMER: Readonly<Record<string, string>> = {
  '0030-agreements.sql': 'cd9e40be4c1e384ed48534a86b6749d591711d5b0a69dce43f499ccc59d9c289',
  '0033-request-outcomes.sql': '1dfec21bb575ef62dfc2bd4812363638dfe4827fb4160fa4ffdd07b7d0024fe5',
};

interface Migration {
  readonly name: string;
  readonly sha256: string;
  readonly steps: readonly Step[];
}

interface Step {
  /** As it is noted: the migration's own name for the last one. */
  readonly name: string;
  readonly text: string;
  readonly alone: boolean;
}

export interface MigrateOptions {
  /** Where the connection of its own goes: that of `database`. */
  readonly url: string;
  /** Our own migrations where it is left out. */
  readonly folder?: string;
  readonly clock?: Clock;
  readonly log?: Logger;
}

/**
 * Applies what is missing and answers the names of the migrations that were applied now. Two processes may start together: the
 * second waits, then finds nothing to do. Refused are a migration that was changed after it was applied, and a database that
 * knows migrations which this program does not (it belongs to a newer version).
 */
export async function migrate(database: Database, options: MigrateOptions): Promise<string[]> {
  const { url, folder = path.join(packageRoot(), 'src/db/migrations') } = options;
  const { clock = systemClock, log = silentLog } = options;
  const files = readMigrations(folder);
  // Nearly every start finds everything there, and asks no more than this.
  const [table] = await database.sql<{ there: boolean }[]>`
    select to_regclass('migrations') is not null as there`;
  if (table?.there && missingOf(files, await notedIn(database.sql)).length === 0) return [];
  const own = openDatabase({
    url,
    log,
    clock,
    maxConnections: 1,
    applicationName: 'cygnet migrations',
    statementTimeoutMs: 0,
    deadlineMs: DAY_MS,
  });
  try {
    // Asked for again and again: whoever waited inside a statement would be waited for by `create index concurrently`.
    while (!(await lockIn(own.sql))) await pause(clock, BETWEEN_TRIES_MS / 4);
    await own.sql`
      create table if not exists migrations (
        name text primary key,
        sha256 text not null,
        applied_at timestamptz not null default now()
      )`;
    const missing = missingOf(files, await notedIn(own.sql));
    for (const { migration, steps } of missing) {
      // oxlint-disable-next-line no-await-in-loop -- one builds on the other.
      for (const step of steps) await apply(own, { migration, step, clock, log });
    }
    return missing.map(({ migration }) => migration.name);
  } finally {
    await own.close();
  }
}

function readMigrations(folder: string): Migration[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.sql'))
    .toSorted()
    .map((name) => {
      // A checkout on Windows may end lines otherwise; it is the same migration.
      const text = readFileSync(path.join(folder, name), 'utf8').replaceAll('\r\n', '\n');
      const parts = text.split(/^(?=-- Step)/m);
      const steps = parts.map((part, i) => ({
        name: i === parts.length - 1 ? name : `${name} step ${i + 1}`,
        text: part,
        alone: part.startsWith('-- Step, outside a transaction'),
      }));
      return { name, sha256: sha256Of(text), steps };
    });
}

async function notedIn(sql: Sql): Promise<Map<string, string>> {
  const rows = await sql<{ name: string; sha256: string }[]>`select name, sha256 from migrations`;
  return new Map(rows.map((row) => [row.name, row.sha256]));
}

/** What is not noted yet, step by step. Throws where what is noted is not ours. */
function missingOf(
  files: readonly Migration[],
  noted: ReadonlyMap<string, string>,
): { migration: Migration; steps: Step[] }[] {
  const ours = new Set(files.flatMap(({ steps }) => steps.map(({ name }) => name)));
  for (const name of noted.keys()) {
    if (!ours.has(name))
      throw new Fault('internal', {
        inner: `The database has the migration ${name}, which this version lacks.`,
      });
  }
  return files.flatMap((migration) => {
    const { name, sha256, steps } = migration;
    const done = noted.get(name);
    if (done === sha256 || (done !== undefined && done === FORMER[name])) return [];
    const changed = steps.some((step) => (noted.get(step.name) ?? sha256) !== sha256);
    if (changed)
      throw new Fault('internal', {
        inner: `The migration ${name} was changed after it was applied. Add a new one.`,
      });
    return [{ migration, steps: steps.filter((step) => !noted.has(step.name)) }];
  });
}

async function apply(
  database: Database,
  about: { migration: Migration; step: Step; clock: Clock; log: Logger },
): Promise<void> {
  const { migration, step, clock, log } = about;
  for (let tries = 1; ; tries++) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- a try follows the one before.
      await (step.alone ? applyAlone(database, migration, step) : applyWhole(database, migration, step));
      return;
    } catch (error) {
      if (!isLocked(error) || tries === TRIES) throw error;
      if (tries % 10 === 1)
        log.warn(
          { migration: step.name, tries },
          'A table that a migration changes is in use; it tries again.',
        );
      // oxlint-disable-next-line no-await-in-loop -- whoever waited behind it goes first.
      await pause(clock, BETWEEN_TRIES_MS);
    }
  }
}

async function applyWhole(database: Database, { name, sha256 }: Migration, step: Step): Promise<void> {
  await database.transaction(async (sql) => {
    await keepLock(sql);
    await sql.unsafe(`set local lock_timeout = '${LOCK_WAIT}'`);
    await sql.unsafe(step.text).simple();
    await sql`insert into migrations (name, sha256) values (${step.name}, ${sha256})`;
    if (step.name === name) await sql`delete from migrations where starts_with(name, ${`${name} step `})`;
  });
}

/** Its statements keep nobody waiting for long, so they may wait themselves. */
async function applyAlone(database: Database, { sha256 }: Migration, step: Step): Promise<void> {
  const { sql } = database;
  await keepLock(sql);
  for (const statement of step.text.split(/;\s*$/m)) {
    // oxlint-disable-next-line no-await-in-loop -- in their order.
    if (statement.replaceAll(/^--.*$/gm, '').trim() !== '') await sql.unsafe(statement);
  }
  await sql`insert into migrations (name, sha256) values (${step.name}, ${sha256})`;
}

/** The lock is the connection's; one that was made anew has it no more. */
async function keepLock(sql: Sql): Promise<void> {
  if (!(await lockIn(sql))) throw new Fault('internal', { inner: 'Another process migrates by now.' });
}

async function lockIn(sql: Sql): Promise<boolean> {
  const [row] = await sql<{ ours: boolean }[]>`select pg_try_advisory_lock(${LOCK}) as ours`;
  return row?.ours === true;
}

/** A lock was not had in time, or two waited for each other. */
function isLocked(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === '55P03' || code === '40P01';
}

function sha256Of(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
