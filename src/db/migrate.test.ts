import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Logger, silentLog } from '#kit/log.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { openDatabase } from './database.ts';
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
  expect(await migrate(fresh.database, { url: fresh.url, folder })).toEqual(['0001-a.sql', '0002-b.sql']);
  put('0003-c.sql', 'insert into a values (2);');
  expect(await migrate(fresh.database, { url: fresh.url, folder })).toEqual(['0003-c.sql']);
  expect(await migrate(fresh.database, { url: fresh.url, folder })).toEqual([]);
});

test('two processes that start together apply each once', async () => {
  const applied = await Promise.all([
    migrate(fresh.database, { url: fresh.url, folder }),
    migrate(fresh.another(), { url: fresh.url, folder }),
  ]);
  expect(applied.flat().toSorted()).toEqual(['0001-a.sql', '0002-b.sql']);
  expect(await fresh.database.sql`select * from a`).toHaveLength(1);
});

test('a migration that was edited after it was applied is refused', async () => {
  await migrate(fresh.database, { url: fresh.url, folder });
  put('0001-a.sql', 'create table a (id bigint);');
  await expect(migrate(fresh.database, { url: fresh.url, folder })).rejects.toThrow(/0001-a.sql was changed/);
});

test('a migration that fails leaves nothing of itself, and those before it stay', async () => {
  put('0003-c.sql', 'create table c (id int); select 1/0;');
  await expect(migrate(fresh.database, { url: fresh.url, folder })).rejects.toThrow(/division by zero/);
  const tables = await fresh.database
    .sql`select tablename from pg_tables where schemaname = 'public' order by 1`;
  expect(tables).toEqual([{ tablename: 'a' }, { tablename: 'migrations' }]);
  put('0003-c.sql', 'create table c (id int);');
  expect(await migrate(fresh.database, { url: fresh.url, folder })).toEqual(['0003-c.sql']);
});

test('a migration in steps goes on where it ended, also behind an index that was left half made', async () => {
  const steps = (third: string) => `create table c (id int); insert into c values (1);
-- Step: more of it.
alter table c add column d int;
-- Step, outside a transaction. An index.
drop index concurrently if exists c_by_id;
create unique index concurrently c_by_id on c (id);
-- Step: the end.
${third}
`;
  put('0003-c.sql', steps('select 1/(select count(*) from c where d = 7);'));
  await expect(migrate(fresh.database, { url: fresh.url, folder })).rejects.toThrow(/division by zero/);
  const noted = async () =>
    (await fresh.database.sql<{ name: string }[]>`select name from migrations order by name`).map(
      ({ name }) => name,
    );
  expect(await noted()).toEqual([
    '0001-a.sql',
    '0002-b.sql',
    '0003-c.sql step 1',
    '0003-c.sql step 2',
    '0003-c.sql step 3',
  ]);
  await fresh.database.sql`update c set d = 7`;
  // As if the process had died while it made the index.
  await fresh.database.sql`delete from migrations where name = '0003-c.sql step 3'`;
  expect(await migrate(fresh.database, { url: fresh.url, folder })).toEqual(['0003-c.sql']);
  expect(await noted()).toEqual(['0001-a.sql', '0002-b.sql', '0003-c.sql']);
  expect(await fresh.database.sql`select * from c`).toHaveLength(1);
});

test('no statement deadline of serving ends a migration', async () => {
  const hurried = openDatabase({
    url: fresh.url,
    log: silentLog,
    statementTimeoutMs: 2_000,
    deadlineMs: 2_000,
  });
  put('0003-c.sql', 'select pg_sleep(2.5);');
  expect(await migrate(hurried, { url: fresh.url, folder })).toHaveLength(3);
  await hurried.close();
});

test('a table in use is waited for without holding up those who come later', async () => {
  await migrate(fresh.database, { url: fresh.url, folder });
  put('0003-c.sql', 'alter table a add column c text;');
  const { sql } = fresh.database;
  const reader = fresh.another();
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let reading = (): void => {};
  const isReading = new Promise<void>((resolve) => {
    reading = resolve;
  });
  const held = reader.transaction(async (own) => {
    await own`select * from a`;
    reading();
    await released;
  });
  await isReading;
  const said: string[] = [];
  let waits = (): void => {};
  const waiting = new Promise<void>((resolve) => {
    waits = resolve;
  });
  const log = Object.assign(Object.create(silentLog) as Logger, {
    warn: (_about: object, sentence: string) => {
      said.push(sentence);
      waits();
    },
  });
  const migrated = migrate(fresh.database, { url: fresh.url, folder, log });
  await waiting;
  // The reader still reads, the migration has let go: whoever comes now is answered.
  expect(await sql`select id from a`).toHaveLength(1);
  await sql`insert into a values (2)`;
  release();
  await held;
  expect(await migrated).toEqual(['0003-c.sql']);
  expect(said).toContain('A table that a migration changes is in use; it tries again.');
});

test('a database that was migrated by a former text of ours is up to date', async () => {
  const { database, url } = fresh;
  await migrate(database, { url });
  await database.sql`
    update migrations set sha256 = 'cd9e40be4c1e384ed48534a86b6749d591711d5b0a69dce43f499ccc59d9c289' where name = '0030-agreements.sql'`;
  expect(await migrate(database, { url })).toEqual([]);
});

test('a database of a newer version is refused', async () => {
  await migrate(fresh.database, { url: fresh.url, folder });
  rmSync(path.join(folder, '0002-b.sql'));
  await expect(migrate(fresh.database, { url: fresh.url, folder })).rejects.toThrow(/0002-b.sql/);
});
