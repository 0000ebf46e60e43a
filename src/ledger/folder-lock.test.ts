import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

test.runIf(process.platform === 'linux')(
  'bug: the lock of a process that was killed, and that its parent does not bury, is taken over',
  async () => {
    // The shell becomes a program that never asks after the child that it had. The child ends once that is so: before, the
    // shell itself might bury it.
    const child = 'until [ "$(cat /proc/$PPID/comm)" = sleep ]; do :; done';
    const parent = spawn('sh', ['-c', 'sh -c "$1" & echo $!; exec sleep 60', 'sh', child]);
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(line.toString());
    const fields = (): string[] => {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    };
    await expect.poll(() => fields()[0], { interval: 5 }).toBe('Z');
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    writeFileSync(path.join(folder, 'owner.lock'), JSON.stringify({ pid, born: `${boot}/${fields()[19]}` }));
    expect(lockFolder(folder)).not.toThrow();
    parent.kill('SIGKILL');
    await once(parent, 'exit');
  },
);

test('a lock that a crash left unreadable is taken over', () => {
  writeFileSync(path.join(folder, 'owner.lock'), '{"pid":');
  expect(lockFolder(folder)).not.toThrow();
});
