import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDatabase } from '#db/database.ts';
import { migrate } from '#db/migrate.ts';
import { startPostgres, stopPostgresIn } from '#db/postgres-server.ts';
import { systemClock } from '#kit/clock.ts';
import { idMaker } from '#kit/id.ts';
import { silentLog } from '#kit/log.ts';
import { systemRandomness } from '#kit/random.ts';
import { MemoryDisk } from '#support/memory-disk.ts';
import { usageOf } from '#support/records.ts';
import { audit } from './audit.ts';
import { Book } from './book.ts';
import { Holds } from './holds.ts';
import { Journal } from './journal.ts';
import { Leases } from './leases.ts';
import { Poster } from './poster.ts';

let parent: string;
let folder: string;
beforeAll(() => {
  parent = mkdtempSync(path.join(os.tmpdir(), 'cygnet-outage-'));
  chmodSync(parent, 0o755);
  folder = path.join(parent, 'postgres');
});
afterAll(async () => {
  await stopPostgresIn(folder);
  rmSync(parent, { recursive: true, force: true });
});

test('while the database is stopped the lease serves, and afterwards everything is posted once and adds up', async () => {
  const server = await startPostgres({ folder, durable: false });
  const database = openDatabase({ url: server.url, log: silentLog });
  await migrate(database, { url: server.url });
  const makeId = idMaker(systemClock, systemRandomness);
  const book = new Book({ database, instance: 'gw', clock: systemClock, log: silentLog });
  const leases = new Leases({ database, instance: 'gw', makeId });
  const holds = new Holds({ store: leases, clock: systemClock, log: silentLog });
  const disk = new MemoryDisk();
  const journal = await Journal.open({ disk, clock: systemClock, log: silentLog });
  const poster = new Poster({
    journal,
    disk,
    posting: book,
    clock: systemClock,
    random: systemRandomness,
    log: silentLog,
  });
  await book.grant('con_o', 1_000_000n, 'start');
  let charged = 0n;
  const serve = async (): Promise<unknown> => {
    const reply = await holds.reserve('con_o', 100n);
    if (reply !== true) return reply;
    await journal.append(usageOf({ id: makeId('req'), consumerId: 'con_o', charge: 60n }));
    holds.settle('con_o', 100n, 60n);
    charged += 60n;
    return true;
  };

  expect(await serve()).toBe(true);
  expect(await poster.drain(10_000)).toBe(true);
  await server.stop();
  const replies: unknown[] = [];
  for (let i = 0; i < 150; i++) replies.push(await serve());
  expect(replies.slice(0, 60).every((reply) => reply === true)).toBe(true);
  expect(replies.at(-1)).toBe('unavailable');
  expect(await poster.drain(100)).toBe(false);
  expect(journal.healthy).toBe(true);

  await startPostgres({ folder, port: server.port, durable: false });
  expect(await poster.drain(10_000)).toBe(true);
  expect(await serve()).toBe(true);
  expect(await poster.drain(10_000)).toBe(true);
  await holds.close();
  const total = 1_000_000n - charged;
  expect(await book.balance('con_o')).toEqual({ total, held: 0n, available: total });
  expect(await audit(database)).toMatchObject({ balanced: true, rejectedRecords: 0 });
  await poster.close();
  await database.close();
}, 60_000);
