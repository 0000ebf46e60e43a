import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openDatabase } from '#db/database.ts';
import { migrate } from '#db/migrate.ts';
import { startPostgres } from '#db/postgres-server.ts';
import { systemClock } from '#kit/clock.ts';
import { idMaker } from '#kit/id.ts';
import { silentLog } from '#kit/log.ts';
import { systemRandomness } from '#kit/random.ts';
import { Book } from '#ledger/book.ts';
import { Holds } from '#ledger/holds.ts';
import { Journal } from '#ledger/journal.ts';
import { openJournalDisk } from '#ledger/journal-disk.ts';
import { Leases } from '#ledger/leases.ts';
import { usageOf } from '#support/records.ts';

/**
 * What the money costs: `npx tsx bench/ledger.ts`. CPU of one journal append at about 5,000 a second, of one reserve and
 * settle, and rows a second of posting in batches of 2,000 to a PostgreSQL with fsync on. CPU is this process's, all
 * threads.
 */
const makeId = idMaker(systemClock, systemRandomness);
const folder = mkdtempSync(path.join(os.tmpdir(), 'cygnet-bench-'));
chmodSync(folder, 0o755);
const CONSUMERS = 50;
const record = () => {
  const n = Math.floor(systemRandomness.float() * CONSUMERS);
  return usageOf({
    id: makeId('req'),
    consumerId: `con_${n}`,
    providerId: `prov_${n % 7}`,
    charge: 1_234_567n,
  });
};
const cpuMs = (since?: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
};

// The journal: 25 appends every 5 ms.
const disk = await openJournalDisk(path.join(folder, 'journal'));
const journal = await Journal.open({ disk, clock: systemClock, log: silentLog, sizeMax: 2 ** 40 });
const waits: number[] = [];
const made = Array.from({ length: 25_000 }, record);
const fromCpu = process.cpuUsage();
const from = performance.now();
let appended: Promise<unknown>[] = [];
for (let n = 0; n < made.length; n += 25) {
  const due = from + (n / 25) * 5;
  if (performance.now() < due) await new Promise((resolve) => setTimeout(resolve, due - performance.now()));
  for (const line of made.slice(n, n + 25)) {
    const at = performance.now();
    appended.push(journal.append(line).then(() => void waits.push(performance.now() - at)));
  }
}
await Promise.all(appended);
appended = [];
const took = performance.now() - from;
const cpu = cpuMs(fromCpu);
waits.sort((a, b) => a - b);
console.log(
  `journal: ${Math.round(made.length / (took / 1000))} appends/s, ${((cpu * 1000) / made.length).toFixed(1)} µs CPU each,` +
    ` wait p50 ${waits[waits.length >> 1]?.toFixed(2)} ms, p99 ${waits[Math.floor(waits.length * 0.99)]?.toFixed(2)} ms`,
);
await journal.close();

// The book.
const server = await startPostgres({ folder: path.join(folder, 'postgres') });
const database = openDatabase({ url: server.url, log: silentLog });
await migrate(database, { url: server.url });
const book = new Book({ database, instance: 'bench', clock: systemClock, log: silentLog });
const leases = new Leases({ database, instance: 'bench', makeId });
for (let n = 0; n < CONSUMERS; n++) {
  await book.grant(`con_${n}`, 10n ** 18n, `bench_${n}`);
  await leases.grow(`con_${n}`, { atLeast: 4n * 10n ** 17n, want: 4n * 10n ** 17n });
}
const batches = Array.from({ length: 12 }, () => Array.from({ length: 2_000 }, record));
for (const batch of batches.slice(0, 2)) await book.post(batch);
const postCpu = process.cpuUsage();
const postFrom = performance.now();
for (const batch of batches.slice(2)) await book.post(batch);
const postTook = performance.now() - postFrom;
console.log(
  `post: ${Math.round(20_000 / (postTook / 1000))} records/s in batches of 2,000, ${((cpuMs(postCpu) * 1000) / 20_000).toFixed(1)} µs CPU of ours each`,
);
const againFrom = performance.now();
for (const batch of batches.slice(2)) await book.post(batch);
console.log(
  `post again (all known): ${Math.round(20_000 / ((performance.now() - againFrom) / 1000))} records/s`,
);

// The holds.
const holds = new Holds({ store: leases, clock: systemClock, log: silentLog });
await holds.reserve('con_1', 1_000n);
const rounds = 1_000_000;
const holdCpu = process.cpuUsage();
for (let i = 0; i < rounds; i++) {
  if (holds.reserve('con_1', 1_000n) === true) holds.release('con_1', 1_000n);
}
console.log(`holds: ${((cpuMs(holdCpu) * 1e6) / rounds).toFixed(0)} ns CPU for a reserve and a settle`);
await holds.close();
await database.close();
await server.stop();
rmSync(folder, { recursive: true, force: true });
