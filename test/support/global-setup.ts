import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';
import { openDatabase } from '#db/database.ts';
import { migrate } from '#db/migrate.ts';
import { type PostgresServer, startPostgres, stopPostgresIn } from '#db/postgres-server.ts';
import { silentLog } from '#kit/log.ts';

/**
 * One PostgreSQL for the whole test run, started when the first test asks for a database (a run that needs none pays
 * nothing) and stopped at its end. Test processes ask by connecting to a local port; the answer is the server's address,
 * and by then the database `base` exists, with every migration applied, for `test/support/postgres.ts` to copy.
 */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PREFIX = 'cygnet-test-postgres-';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The port that answers with the address of the test run's PostgreSQL. */
    postgresDeskPort: number;
    /** The port that answers with the path of the built program, built anew if a source is younger. */
    programDeskPort: number;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  let folder: string | undefined;
  let starting: Promise<PostgresServer> | undefined;

  const start = async (): Promise<PostgresServer> => {
    await removeLeftovers();
    folder = mkdtempSync(path.join(os.tmpdir(), `${PREFIX}${process.pid}-`));
    // mkdtemp makes it ours alone; the server's user must pass through.
    const home = path.join(folder, 'home');
    chmodSync(folder, 0o755);
    const server = await startPostgres({ folder: home, durable: false, maxConnections: 200 });
    const admin = openDatabase({ url: server.url, maxConnections: 1, log: silentLog });
    await admin.sql`create database base`;
    await admin.close();
    const base = openDatabase({ url: server.urlOf('base'), maxConnections: 1, log: silentLog });
    await migrate(base, { url: server.urlOf('base') });
    await base.close();
    return server;
  };

  const postgresDesk = await openDesk(async () => {
    starting ??= start();
    return { url: (await starting).url };
  });
  project.provide('postgresDeskPort', postgresDesk.port);

  let building: Promise<void> | undefined;
  const programDesk = await openDesk(async () => {
    building ??= buildIfStale();
    await building;
    return { program: path.join(ROOT, 'dist', 'cygnet.mjs') };
  });
  project.provide('programDeskPort', programDesk.port);

  return async () => {
    postgresDesk.close();
    programDesk.close();
    const server = await starting?.catch(() => undefined);
    await server?.stop();
    if (folder) rmSync(folder, { recursive: true, force: true });
  };
}

/** Answers whoever connects with what `work` found, as JSON; with its error, where it failed. */
async function openDesk(work: () => Promise<object>): Promise<{ port: number; close(): void }> {
  const desk = createServer((socket) => {
    socket.on('error', () => {});
    work().then(
      (found) => socket.end(JSON.stringify(found)),
      (error) => socket.end(JSON.stringify({ error: String(error?.stack ?? error) })),
    );
  });
  await new Promise<void>((resolve) => desk.listen(0, '127.0.0.1', resolve));
  return { port: (desk.address() as { port: number }).port, close: () => desk.close() };
}

/** Builds the programs unless they are younger than every source. */
async function buildIfStale(): Promise<void> {
  const built = path.join(ROOT, 'dist', 'cygnet.mjs');
  const builtAtMs = existsSync(built) ? statSync(built).mtimeMs : 0;
  const stale = ['src', 'dashboard'].some((folder) =>
    readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' }).some(
      (source) => statSync(path.join(ROOT, folder, source)).mtimeMs > builtAtMs,
    ),
  );
  if (stale) await promisify(execFile)(process.execPath, [path.join(ROOT, 'scripts', 'build.mjs')]);
}

/** Stops and removes the servers of test runs that were killed. */
async function removeLeftovers(): Promise<void> {
  for (const name of readdirSync(os.tmpdir())) {
    const owner = name.startsWith(PREFIX) ? Number(name.slice(PREFIX.length).split('-')[0]) : undefined;
    if (!owner || alive(owner)) continue;
    const left = path.join(os.tmpdir(), name);
    await stopPostgresIn(path.join(left, 'home')).catch(() => {});
    rmSync(left, { recursive: true, force: true });
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
