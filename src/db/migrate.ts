import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Fault } from '#kit/fault.ts';
import { packageRoot } from '#kit/package-root.ts';
import type { Database } from './database.ts';

/** Any constant does, as long as every process uses the same: it names the lock under which migrations run. */
const LOCK = 0x6379676e;

/**
 * Brings the schema up to date: applies each `NNNN-name.sql` of `folder` (default: our own migrations) that was not
 * applied yet, in order of name, all in one transaction. Two processes may start together: the second waits, then finds
 * nothing to do. Forward only; a migration that was applied and then edited is refused, and so is a database that knows
 * migrations this program does not (it belongs to a newer version). Answers the names that were applied now.
 */
export async function migrate(
  database: Database,
  folder: string = path.join(packageRoot(), 'src/db/migrations'),
): Promise<string[]> {
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.sql'))
    .toSorted()
    .map((name) => {
      // A checkout on Windows may end lines otherwise; it is the same migration.
      const text = readFileSync(path.join(folder, name), 'utf8').replaceAll('\r\n', '\n');
      return { name, text, sha256: createHash('sha256').update(text).digest('hex') };
    });
  return await database.transaction(async (sql) => {
    await sql`select pg_advisory_xact_lock(${LOCK})`;
    await sql`
      create table if not exists migrations (
        name text primary key,
        sha256 text not null,
        applied_at timestamptz not null default now()
      )`;
    const applied = new Map<string, string>();
    for (const row of await sql<{ name: string; sha256: string }[]>`select name, sha256 from migrations`) {
      applied.set(row.name, row.sha256);
    }
    const fresh: string[] = [];
    for (const { name, text, sha256 } of files) {
      const known = applied.get(name);
      applied.delete(name);
      if (known === sha256) continue;
      if (known !== undefined) {
        throw new Fault('internal', {
          inner: `The migration ${name} was changed after it was applied. Add a new one.`,
        });
      }
      await sql.unsafe(text).simple();
      await sql`insert into migrations (name, sha256) values (${name}, ${sha256})`;
      fresh.push(name);
    }
    const [foreign] = applied.keys();
    if (foreign !== undefined) {
      throw new Fault('internal', {
        inner: `The database has the migration ${foreign}, which this version lacks.`,
      });
    }
    return fresh;
  });
}
