import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { inject } from 'vitest';
import { type Database, openDatabase } from '#db/database.ts';
import { silentLog } from '#kit/log.ts';

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
  const serverUrl = await askDesk();
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

async function askDesk(): Promise<string> {
  const answer = await new Promise<string>((resolve, reject) => {
    let text = '';
    connect(inject('postgresDeskPort'), '127.0.0.1')
      .setEncoding('utf8')
      .on('data', (part) => {
        text += part;
      })
      .on('error', reject)
      .on('end', () => resolve(text));
  });
  const { url, error } = JSON.parse(answer) as { url?: string; error?: string };
  if (!url) throw new Error(`The test run's PostgreSQL did not start: ${error}`);
  return url;
}
