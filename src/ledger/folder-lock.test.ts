import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockFolder } from './folder-lock.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'cygnet-lock-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('a folder has one owner at a time', () => {
  const unlock = lockFolder(folder);
  expect(() => lockFolder(folder)).toThrow(new RegExp(`Process ${process.pid} already runs a market on`));
  unlock();
  expect(readdirSync(folder)).toEqual([]);
  expect(lockFolder(folder)).not.toThrow();
});

test('the lock of a process that died is taken over', async () => {
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  writeFileSync(path.join(folder, 'owner.lock'), JSON.stringify({ pid: child.pid, born: '' }));
  expect(lockFolder(folder)).not.toThrow();
});

test.runIf(process.platform === 'linux')('an id that came round again does not count as the owner', () => {
  writeFileSync(
    path.join(folder, 'owner.lock'),
    JSON.stringify({ pid: process.pid, born: 'another boot/1' }),
  );
  expect(lockFolder(folder)).not.toThrow();
});

test('a lock that a crash left unreadable is taken over', () => {
  writeFileSync(path.join(folder, 'owner.lock'), '{"pid":');
  expect(lockFolder(folder)).not.toThrow();
});
