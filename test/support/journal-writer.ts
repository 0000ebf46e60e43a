import { systemClock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import { Journal } from '#ledger/journal.ts';
import { openJournalDisk } from '#ledger/journal-disk.ts';
import { usageOf } from './records.ts';

/**
 * A program to be killed: appends records to the journal of a folder without end, and names each on its output once it
 * was acknowledged. Arguments: folder, name of this life, consumer.
 */
const [folder, life, consumerId] = process.argv.slice(2) as [string, string, string];
const disk = await openJournalDisk(folder);
const journal = await Journal.open({ disk, clock: systemClock, log: silentLog, segmentSizeMax: 20_000 });
for (let n = 0; ; n += 10) {
  const ids = Array.from({ length: 10 }, (_, i) => `req_${life}_${n + i}`);
  await Promise.all(
    ids.map(async (id) => {
      await journal.append(usageOf({ id, consumerId, charge: 3n }));
      process.stdout.write(`${id}\n`);
    }),
  );
}
