import { openDatabase } from '#db/database.ts';
import { systemClock } from '#kit/clock.ts';
import { idMaker } from '#kit/id.ts';
import { silentLog } from '#kit/log.ts';
import { systemRandomness } from '#kit/random.ts';
import { Book } from '#ledger/book.ts';
import { Leases } from '#ledger/leases.ts';
import { makeConsumer } from '#support/parties.ts';
import { usageOf } from '#support/records.ts';

/**
 * Posts so many usage rows as a gateway posts its journal after the database was away: one batch after the other.
 *
 * usage: tsx post.ts <rows> <provider>, the database in DATABASE_URL; prints `@@posting` and `@@posted` and ends
 */
const [rows, providerId] = [Number(process.argv[2]), process.argv[3] ?? ''];
const BATCH = 2_000;
const makeId = idMaker(systemClock, systemRandomness);
const instance = 'inst_flush';
const database = openDatabase({
  url: process.env['DATABASE_URL'] ?? '',
  log: silentLog,
  deadlineMs: 120_000,
});
const book = new Book({ database, instance, clock: systemClock, log: silentLog });
const leases = new Leases({ database, instance, makeId });
const consumers = await Promise.all(Array.from({ length: 50 }, () => makeConsumer(database, 10n ** 18n)));
for (const { id } of consumers) await leases.grow(id, { atLeast: 4n * 10n ** 17n, want: 4n * 10n ** 17n });
console.log('@@posting');
for (let n = 0; n < rows; n += BATCH) {
  const batch = Array.from({ length: BATCH }, (_, i) =>
    usageOf({
      id: makeId('req'),
      consumerId: consumers[i % consumers.length]?.id ?? '',
      providerId,
      charge: 1_234_567n,
    }),
  );
  await book.post(batch);
}
console.log('@@posted');
await database.close();
