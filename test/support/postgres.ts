import { randomBytes } from 'node:crypto';
import { inject } from 'vitest';
import { type Database, openDatabase } from '#db/database.ts';
import { silentLog } from '#kit/log.ts';
import { askDesk } from './desk.ts';

/** A database of one's own on the test run's PostgreSQL. */
export interface FreshDatabase {
  readonly url: string;
  readonly database: Database;
  /** Opens another pool on it, as another process would. */
  another(options?: { maxConnections?: number; deadlineMs?: number }): Database;
  /** Closes every pool and removes the database. */
  drop(): Promise<void>;
}

/** Makes a database with the whole schema, or (`empty`) with nothing. Takes about a tenth of a second; one per test file. */
export async function freshDatabase(options: { empty?: boolean } = {}): Promise<FreshDatabase> {
  const { url: serverUrl } = await askDesk<{ url: string }>(inject('postgresDeskPort'));
  const name = `test_${randomBytes(8).toString('hex')}`;
  const admin = openDatabase({ url: serverUrl, maxConnections: 1, log: silentLog, deadlineMs: 60_000 });
  await admin.sql.unsafe(`create database ${name} template ${options.empty ? 'template0' : 'base'}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const pools: Database[] = [];
  const another: FreshDatabase['another'] = (more = {}) => {
    const pool = openDatabase({ url: url.href, log: silentLog, ...more });
    pools.push(pool);
    return pool;
  };
  return {
    url: url.href,
    database: another(),
    another,
    async drop() {
      await Promise.all(pools.map((pool) => pool.close()));
      await admin.sql.unsafe(`drop database ${name} with (force)`);
      await admin.close();
    },
  };
}
