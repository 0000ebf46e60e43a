import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { migrate } from './migrate.ts';

let fresh: FreshDatabase;
let folder: string;
const put = (name: string, sql: string): void => writeFileSync(path.join(folder, name), sql);

beforeEach(async () => {
  fresh = await freshDatabase({ empty: true });
  folder = mkdtempSync(path.join(os.tmpdir(), 'cygnet-migrations-'));
  put('0001-a.sql', 'create table a (id int); insert into a values (1);');
  put('0002-b.sql', 'alter table a add column b text;');
});
afterEach(async () => {
  rmSync(folder, { recursive: true });
  await fresh.drop();
});

test('migrations are applied once each, in order', async () => {
  expect(await migrate(fresh.database, folder)).toEqual(['0001-a.sql', '0002-b.sql']);
  put('0003-c.sql', 'insert into a values (2);');
  expect(await migrate(fresh.database, folder)).toEqual(['0003-c.sql']);
  expect(await migrate(fresh.database, folder)).toEqual([]);
});

test('two processes that start together apply each once', async () => {
  const applied = await Promise.all([migrate(fresh.database, folder), migrate(fresh.another(), folder)]);
  expect(applied.flat().toSorted()).toEqual(['0001-a.sql', '0002-b.sql']);
  expect(await fresh.database.sql`select * from a`).toHaveLength(1);
});

test('a migration that was edited after it was applied is refused', async () => {
  await migrate(fresh.database, folder);
  put('0001-a.sql', 'create table a (id bigint);');
  await expect(migrate(fresh.database, folder)).rejects.toThrow(/0001-a.sql was changed/);
});

test('a migration that fails leaves nothing of itself or of its companions', async () => {
  put('0003-c.sql', 'create table c (id int); select 1/0;');
  await expect(migrate(fresh.database, folder)).rejects.toThrow(/division by zero/);
  const tables = await fresh.database.sql`select tablename from pg_tables where schemaname = 'public'`;
  expect(tables).toHaveLength(0);
});

test('a database of a newer version is refused', async () => {
  await migrate(fresh.database, folder);
  rmSync(path.join(folder, '0002-b.sql'));
  await expect(migrate(fresh.database, folder)).rejects.toThrow(/0002-b.sql/);
});
