import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Serving } from '#domain/serving.ts';
import { type Logger, silentLog } from '#kit/log.ts';
import { makeId } from '#support/parties.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { usageOf } from '#support/records.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { Book } from './book.ts';
import { Leases } from './leases.ts';
import { partsOf } from './outcome-table.ts';
import { decodeRecord, encodeRecord } from './record-text.ts';
import { latestUsage } from './usage-list.ts';

const DAY_MS = 86_400_000;
const clock = new VirtualClock();
const today = clock.wallMs();
let fresh: FreshDatabase;
let book: Book;
beforeAll(async () => {
  fresh = await freshDatabase();
  book = new Book({ database: fresh.database, instance: 'a', clock, log: silentLog });
});
afterAll(() => fresh.drop());

const serving: Serving = {
  tier: 'hobby',
  queueMs: 12.5,
  region: 'eu-west',
  tries: [
    {
      attemptId: 'att_0',
      modelId: 'cygnet/cygnet-nano',
      providerId: 'prov_0',
      nodeId: 'node_0',
      mode: 'websocket',
      region: null,
      result: 'lost',
      startedMs: 12.5,
      tookMs: 30,
    },
  ],
  whose: 'provider',
  fallback: 'endpoint',
};

test('a row of how it was served that the database refuses costs no charge, and is kept with its reason', async () => {
  const { database } = fresh;
  const consumerId = 'con_refused';
  await book.deposit(consumerId, 1_000n, 'dep_refused');
  const leases = new Leases({ database, instance: 'a', makeId });
  await leases.grow(consumerId, { atLeast: 1_000n, want: 1_000n });
  const about = { consumerId, at: today, charge: 100n, serving };
  const lines = Array.from({ length: 10 }, (_, i) => usageOf({ ...about, id: `req_row_${i}` }));
  const bad = usageOf({ ...about, id: 'req_row_bad', serving: { ...serving, whose: 'nobody' as 'caller' } });
  const said: object[] = [];
  const log = Object.assign(Object.create(silentLog) as Logger, {
    error: (what: object) => said.push(what),
  });
  const loud = new Book({ database, instance: 'a', clock, log });
  for (const _ of ['once', 'again'])
    await loud.post([...lines.slice(0, 5), bad, ...lines.slice(5)].slice(0, 10));
  expect((await book.balance(consumerId)).total).toBe(0n);
  const kept = await database.sql`select request_id, instance, reason, record from rejected_outcomes`;
  expect(kept).toEqual([
    {
      request_id: 'req_row_bad',
      instance: 'a',
      reason: 'refused by the database (23514)',
      record: encodeRecord(bad),
    },
  ]);
  expect(said).toEqual([{ record: 'req_row_bad', reason: 'refused by the database (23514)' }]);
  const ids = lines.slice(0, 9).map(({ record }) => record.id);
  expect(await rows([...ids, 'req_row_bad'])).toHaveLength(9);
  expect(await database.sql`select from rejected_usage`).toHaveLength(0);
});

test('a day for which no place can be made costs no charge either', async () => {
  const { database } = fresh;
  // In the place where the day's rows would be kept is something else.
  const day = new Date(today + 86_400_000);
  await database.sql.unsafe(
    `create table request_outcomes_${day.toISOString().slice(0, 10).replaceAll('-', '')} (id int)`,
  );
  const line = usageOf({ id: 'req_no_day', at: day.getTime(), consumerId: 'con_day', charge: 0n, serving });
  await book.post([line]);
  expect(await database.sql`select id from usage where id = 'req_no_day'`).toHaveLength(1);
  expect(await database.sql`select record from rejected_outcomes where request_id = 'req_no_day'`).toEqual([
    { record: encodeRecord(line) },
  ]);
});

async function rows(ids: readonly string[]) {
  const { sql } = fresh.database;
  return [...(await sql`select request_id, tier from request_outcomes where request_id = any(${[...ids]})`)];
}

test('what was served is told with how it was served, by the journal and by the book, repeated or not', async () => {
  const line = usageOf({ id: 'req_how', at: today, consumerId: 'con_how', charge: 0n, serving });
  const read = decodeRecord(encodeRecord(line));
  expect(read).toEqual(line);
  await book.post([read]);
  await book.post([read]);
  const [found, ...more] = await latestUsage(fresh.database, { consumerId: 'con_how', limit: 5 });
  expect(more).toEqual([]);
  expect(found?.serving).toEqual(serving);
  expect(await rows(['req_how'])).toHaveLength(1);
});

test('a journal of the version before is posted as ever; how it was served nobody knows', async () => {
  // As that version wrote it.
  const old =
    '{"kind":"usage","record":{"id":"req_old","at":1763600000000,"consumerId":"con_old","keyId":"key_1",' +
    '"modelId":"m","operation":"chat/completions","providerId":"prov_1","nodeId":"node_1","attemptId":"att_1",' +
    '"mode":"websocket","streamed":true,"outcome":"completed","errorCode":null,"inputTokens":10,"outputTokens":20,' +
    '"units":0,"seconds":0,"claimedInputTokens":10,"claimedOutputTokens":20,"events":21,"bytes":2048,"attempts":1,' +
    '"ttftMs":12.5,"totalMs":340.25,"priceId":"price_1","policy":"standard-1","charge":"0"}}';
  await book.post([decodeRecord(old)]);
  const [found] = await latestUsage(fresh.database, { consumerId: 'con_old', limit: 5 });
  expect(found).toMatchObject({ id: 'req_old', outputTokens: 20, serving: null });
});

test('the two parts of a payment add up to it, before and after a correction', () => {
  for (const policy of ['standard-1', 'bootstrap-1']) {
    for (const gross of [0n, 1n, 999n, 123_456_789n]) {
      const { provider, market } = partsOf(gross, policy);
      expect(provider + market).toBe(gross);
    }
  }
});

test.each([
  ['a text that no database stores', { ...serving, region: 'a\0b' }, today],
  ['half a character', { ...serving, region: '\ud800' }, today],
  ['a day that would be dropped at once', serving, today - 91 * DAY_MS],
  ['a time that is not to come for long', serving, today + 400 * DAY_MS],
  [
    'attempts without end',
    { ...serving, tries: Array.from({ length: 900 }, () => serving.tries[0]!) },
    today,
  ],
])('%s holds up no money', async (what, about, at) => {
  const id = `req_${what.length}`;
  await book.post([usageOf({ id, at, consumerId: 'con_odd', charge: 0n, serving: about })]);
  const [kept] = await fresh.database.sql`select id from usage where id = ${id}`;
  expect(kept).toBeDefined();
  expect(await rows([id])).toEqual([]);
});

test('days that are over are dropped whole, once they are older than anything is kept; the money stays', async () => {
  const ids = [0, 5, 89].map((days) => `req_ago_${days}`);
  await book.post(
    [0, 5, 89].map((days, at) =>
      usageOf({
        id: ids[at] as string,
        at: today - days * DAY_MS,
        consumerId: 'con_ago',
        charge: 0n,
        serving,
      }),
    ),
  );
  expect(await rows(ids)).toHaveLength(3);
  expect(await book.outcomes.dropOld(today)).toEqual([]);
  expect(await book.outcomes.dropOld(today + 3 * DAY_MS)).toHaveLength(1);
  expect(
    (await rows(ids)).map((row) => String(row['request_id'])).toSorted((a, b) => a.localeCompare(b)),
  ).toEqual(['req_ago_0', 'req_ago_5']);
  const [all] = await fresh.database.sql`select count(*)::int as n from usage where consumer_id = 'con_ago'`;
  expect(all?.['n']).toBe(3);
});
