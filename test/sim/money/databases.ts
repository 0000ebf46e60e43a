import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Database, openDatabase } from '#db/database.ts';
import { migrate } from '#db/migrate.ts';
import { startPostgres } from '#db/postgres-server.ts';
import { silentLog } from '#kit/log.ts';

/** Databases for worlds that are lived through outside a test run: one each, on a server that lives as long as they do. */
export interface Databases {
  fresh(name: string): Promise<{ database: Database; drop: () => Promise<void> }>;
  close(): Promise<void>;
}

export async function openDatabases(): Promise<Databases> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'cygnet-sim-postgres-'));
  // The server's user must pass through.
  chmodSync(folder, 0o755);
  const server = await startPostgres({ folder: path.join(folder, 'home'), durable: false });
  const admin = openDatabase({ url: server.url, maxConnections: 1, log: silentLog, deadlineMs: 60_000 });
  await admin.sql`create database base`;
  const base = openDatabase({ url: server.urlOf('base'), maxConnections: 1, log: silentLog });
  await migrate(base, { url: server.urlOf('base') });
  await base.close();
  return {
    async fresh(name) {
      await admin.sql.unsafe(`create database ${name} template base`);
      const database = openDatabase({ url: server.urlOf(name), log: silentLog });
      return {
        database,
        drop: async () => {
          await database.close();
          await admin.sql.unsafe(`drop database ${name} with (force)`);
        },
      };
    },
    async close() {
      await admin.close();
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
