import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import { packageRoot } from '#kit/package-root.ts';
import { openDatabase } from './database.ts';
import { type EmbeddedDatabase, openEmbeddedDatabase, type Progress } from './embedded.ts';
import { serverFolder, stopPostgresIn } from './postgres-server.ts';

let dataFolder: string;
beforeAll(() => {
  dataFolder = mkdtempSync(path.join(os.tmpdir(), 'cygnet-embedded-'));
  chmodSync(dataFolder, 0o755);
});
afterAll(async () => {
  await stopPostgresIn(serverFolder(path.join(dataFolder, 'postgres')));
  rmSync(dataFolder, { recursive: true, force: true });
});

const open = (progress?: Progress): Promise<EmbeddedDatabase> =>
  openEmbeddedDatabase({ dataFolder, clock: systemClock, ...(progress && { progress }) });

async function ask<T>(embedded: EmbeddedDatabase, question: string): Promise<T[]> {
  const database = openDatabase({ url: embedded.url.open(), log: silentLog, maxConnections: 1 });
  try {
    return [...(await database.sql.unsafe<(T & object)[]>(question))] as T[];
  } finally {
    await database.close();
  }
}

test('the first start makes a database, the next one finds its data, and a dead holder’s lock stops neither', async () => {
  const told: string[] = [];
  const first = await open((step) => told.push(step));
  expect(first.started).toBe(true);
  expect(told).toEqual(['prepare']);
  await ask(first, 'create table kept (n integer); insert into kept values (7)');
  expect(statSync(path.join(first.folder, 'secret')).mode & 0o077).toBe(0);
  expect(await first.leave()).toBe('stopped');

  writeFileSync(path.join(dataFolder, 'postgres.lock'), '999999999\n');
  const second = await open((step) => told.push(step));
  expect(told.at(-1)).toBe('open');
  expect(await ask(second, 'select n from kept')).toEqual([{ n: 7 }]);
  expect(new URL(second.url.open()).port).toBe(new URL(first.url.open()).port);
  expect(await second.leave()).toBe('stopped');
});

test('of several that open at once one starts it, and the last to leave stops it', async () => {
  const opened = await Promise.all([open(), open(), open()]);
  expect(opened.filter((each) => each.started)).toHaveLength(1);
  const left: string[] = [];
  for (const each of opened) left.push(await each.leave());
  expect(left).toEqual(['left-running', 'left-running', 'stopped']);
});

test('what a killed process leaves running is found and used by the next', async () => {
  const holder = path.join(packageRoot(), 'test', 'support', 'hold-embedded-database.mjs');
  const child = spawn(process.execPath, ['--import', 'tsx', holder, dataFolder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  const next = await open();
  expect(next.started).toBe(false);
  expect(await ask(next, 'select n from kept')).toEqual([{ n: 7 }]);
  expect(await next.leave()).toBe('stopped');
});

test('a data folder that is a file is refused in words', async () => {
  const file = path.join(dataFolder, 'file');
  writeFileSync(file, '');
  await expect(openEmbeddedDatabase({ dataFolder: file, clock: systemClock })).rejects.toThrow(
    `${file} is no folder. Set CYGNET_DATA_DIR to one.`,
  );
});
