import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '#kit/clock.ts';
import { idMaker } from '#kit/id.ts';
import { silentLog } from '#kit/log.ts';
import { packageRoot } from '#kit/package-root.ts';
import { systemRandomness } from '#kit/random.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { audit } from './audit.ts';
import { Book } from './book.ts';
import { Journal } from './journal.ts';
import { openJournalDisk } from './journal-disk.ts';
import { Leases } from './leases.ts';
import { Poster } from './poster.ts';

let fresh: FreshDatabase;
let folder: string;
beforeAll(async () => {
  fresh = await freshDatabase();
  folder = mkdtempSync(path.join(os.tmpdir(), 'cygnet-crash-'));
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await fresh.drop();
});

const KILLS = 5;

/** Runs the writer, kills it without warning after `count` acknowledgements, answers what it acknowledged. */
async function liveAndDie(life: string, count: number): Promise<string[]> {
  const program = path.join(packageRoot(), 'test/support/journal-writer.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', program, folder, life, 'con_crash'], {
    cwd: packageRoot(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
    if (text.split('\n').length > count) child.kill('SIGKILL');
  });
  const [, signal] = await once(child, 'close');
  expect(signal).toBe('SIGKILL');
  return text.split('\n').slice(0, -1);
}

test(`after ${KILLS} kills every acknowledged record is in the ledger exactly once`, async () => {
  const book = new Book({ database: fresh.database, instance: 'crash', clock: systemClock, log: silentLog });
  const leases = new Leases({
    database: fresh.database,
    instance: 'crash',
    makeId: idMaker(systemClock, systemRandomness),
  });
  await book.grant('con_crash', 10_000_000n, 'start');
  await leases.grow('con_crash', { atLeast: 5_000_000n, want: 5_000_000n });
  const acknowledged: string[] = [];
  for (let life = 0; life < KILLS; life++) {
    acknowledged.push(...(await liveAndDie(`life${life}`, 40 + life * 37)));
    const disk = await openJournalDisk(folder);
    const journal = await Journal.open({ disk, clock: systemClock, log: silentLog });
    const parts = {
      journal,
      disk,
      posting: book,
      clock: systemClock,
      random: systemRandomness,
      log: silentLog,
    };
    const poster = new Poster(parts);
    // Every other time the replay itself is cut short after its first posting, and begun anew.
    if (life % 2 === 1) await poster.close();
    const drained = life % 2 === 1 || (await poster.drain(20_000));
    expect(drained).toBe(true);
    await journal.close();
    await poster.close();
  }
  const disk = await openJournalDisk(folder);
  const journal = await Journal.open({ disk, clock: systemClock, log: silentLog });
  const poster = new Poster({
    journal,
    disk,
    posting: book,
    clock: systemClock,
    random: systemRandomness,
    log: silentLog,
  });
  expect(await poster.drain(20_000)).toBe(true);
  await poster.close();

  const rows = await fresh.database.sql<{ id: string }[]>`select id from usage`;
  const posted = new Set(rows.map(({ id }) => id));
  expect(acknowledged.filter((id) => !posted.has(id))).toEqual([]);
  const { total } = await book.balance('con_crash');
  expect(total).toBe(10_000_000n - 3n * BigInt(posted.size));
  await leases.releaseAll();
  expect(await book.balance('con_crash')).toEqual({ total, held: 0n, available: total });
  expect(await audit(fresh.database)).toMatchObject({ balanced: true, rejectedRecords: 0 });
}, 60_000);
