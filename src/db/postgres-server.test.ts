import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLog } from '#kit/log.ts';
import { openDatabase } from './database.ts';
import { serverFolder, startPostgres, stopPostgresIn } from './postgres-server.ts';

let parent: string;
let folder: string;
beforeEach(() => {
  parent = mkdtempSync(path.join(os.tmpdir(), 'cygnet-server-'));
  chmodSync(parent, 0o755);
  folder = path.join(parent, 'postgres');
});
afterEach(async () => {
  await stopPostgresIn(folder);
  rmSync(parent, { recursive: true, force: true });
});

test('a server is started once, found running by whoever comes next, and keeps its data when it is stopped', async () => {
  const first = await startPostgres({ folder, durable: false });
  const database = openDatabase({ url: first.url, log: silentLog });
  await database.sql`create table kept (id int)`;
  await database.close();
  const second = await startPostgres({ folder, durable: false });
  expect({ ...second, urlOf: 0, stop: 0 }).toEqual({ ...first, started: false, urlOf: 0, stop: 0 });
  await second.stop();
  const third = await startPostgres({ folder, durable: false });
  expect(third.started).toBe(true);
  const again = openDatabase({ url: third.url, log: silentLog });
  expect(await again.sql`select * from kept`).toHaveLength(0);
  await again.close();
});

test('what a killed initialisation left does not block the next', async () => {
  mkdirSync(path.join(folder, 'data.new', 'base'), { recursive: true });
  mkdirSync(path.join(folder, 'data'), { recursive: true });
  const server = await startPostgres({ folder, durable: false });
  expect(server.started).toBe(true);
});

test('nobody without the password gets in', async () => {
  const server = await startPostgres({ folder, durable: false });
  const url = new URL(server.url);
  url.password = 'guess';
  const database = openDatabase({ url: url.href, log: silentLog });
  await expect(database.sql`select 1`).rejects.toMatchObject({ code: '28P01' });
  await database.close();
});

test.runIf(process.getuid?.() === 0)('a folder that the server cannot reach is moved where it can', () => {
  chmodSync(parent, 0o700);
  expect(serverFolder(folder)).toMatch(/^\/var\/lib\/cygnet\/postgres-[0-9a-f]{12}$/);
  chmodSync(parent, 0o755);
  expect(serverFolder(folder)).toBe(folder);
});
