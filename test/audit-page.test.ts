// docs/audit/check.md tells auditors how to recompute the books by SQL. Every query of the page is run here on a ledger
// that has served, and again on one that somebody falsified.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readCatalogueFile, seedCatalogue } from '#catalogue/seed.ts';
import type { Database } from '#db/database.ts';
import { systemClock } from '#kit/clock.ts';
import { idMaker } from '#kit/id.ts';
import { silentLog } from '#kit/log.ts';
import { packageRoot } from '#kit/package-root.ts';
import { systemRandomness } from '#kit/random.ts';
import { Book } from '#ledger/book.ts';
import { Leases } from '#ledger/leases.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { correctionOf, usageOf } from '#support/records.ts';

const page = readFileSync(path.join(packageRoot(), 'docs/audit/check.md'), 'utf8');
const queries = [...page.matchAll(/```sql\n([\s\S]*?)```/g)]
  .flatMap(([, block = '']) => block.split(/;\s*\n/))
  .map((query) => query.trim())
  .filter((query) => query !== '');

let fresh: FreshDatabase;
let auditor: Database;

beforeAll(async () => {
  fresh = await freshDatabase();
  auditor = fresh.another({ maxConnections: 1 });
  const { database } = fresh;
  await seedCatalogue(database, { catalogue: readCatalogueFile(), at: Date.UTC(2026, 10, 20) });
  const clock = systemClock;
  const book = new Book({ database, clock, log: silentLog, instance: 'test' });
  await database.sql`insert into consumers (id, name, created_at) values ('con_1', 'demo', now())`;
  await book.grant('con_1', 1_000_000_000n, 'first');
  const leases = new Leases({ database, instance: 'test', makeId: idMaker(clock, systemRandomness) });
  await leases.grow('con_1', { atLeast: 10_000_000n, want: 100_000_000n });
  const priceId = 'price_first_cygnet-nano';
  await book.post([
    usageOf({ id: 'req_1', priceId, charge: 4_500_000n }),
    usageOf({ id: 'req_2', priceId, charge: 4_499_999n }),
    usageOf({ id: 'req_3', priceId, charge: 0n, outcome: 'broken', errorCode: 'provider-cut-off' }),
    correctionOf({ requestId: 'req_1', refund: 1_000_000n, originalCharge: 4_500_000n }),
  ]);
});
afterAll(() => fresh.drop());

/** The queries of the page whose answer is neither "no rows" nor 0. The one that lists a consumer's postings is no check. */
async function complaints(): Promise<string[]> {
  const found: string[] = [];
  for (const query of queries) {
    const rows = [...(await auditor.sql.unsafe(query))] as Record<string, unknown>[];
    const quiet = rows.every((row) => Object.values(row).every((value) => String(value) === '0'));
    if (!quiet && !query.includes('over (order by seq)')) found.push(query);
  }
  return found;
}

test('the auditor’s page has its queries, and they find nothing wrong with a sound ledger', async () => {
  expect(queries.length).toBeGreaterThan(9);
  expect(await complaints()).toEqual([]);
});

test('the list of one consumer ends with its balance', async () => {
  const list = queries.find((query) => query.includes('over (order by seq)')) as string;
  const rows = await auditor.sql.unsafe<{ balance: bigint }[]>(list);
  const [account] = await fresh.database.sql<{ balance: bigint }[]>`
    select balance from accounts where id = 'consumer:con_1'`;
  expect(rows).toHaveLength(4);
  expect(rows.at(-1)?.balance).toBe(account?.balance);
});

test('a balance that somebody raised is found by the sum of all and by the account', async () => {
  await fresh.database.sql`update accounts set balance = balance + 1 where id = 'provider:prov_1'`;
  const found = await complaints();
  await fresh.database.sql`update accounts set balance = balance - 1 where id = 'provider:prov_1'`;
  expect(found).toHaveLength(2);
  expect(found[0]).toBe('select sum(balance) from accounts');
  expect(found[1]).toContain('as rebuilt');
});

test('a charge that was shared out otherwise, or is not the request’s, is found', async () => {
  const { sql } = fresh.database;
  await sql`alter table entries disable trigger entries_are_kept`;
  const change = async (consumer: string, fee: string): Promise<string[]> => {
    const accounts = ['consumer:con_1', 'platform:fee'];
    await sql`update entries set accounts = ${accounts}, amounts = ${[consumer, fee]}::numeric[] where id = 'charge:req_2'`;
    return await complaints();
  };
  expect((await change('-4499999', '4499999')).some((query) => query.includes('with parts as'))).toBe(true);
  expect((await change('-5', '5')).some((query) => query.includes('as posted'))).toBe(true);
});
