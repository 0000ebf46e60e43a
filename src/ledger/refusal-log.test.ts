import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Refusal } from '#domain/refusal.ts';
import { Fault } from '#kit/fault.ts';
import { type Logger, silentLog } from '#kit/log.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { refusalMaker } from '#support/refusals.ts';
import { Sales } from '#support/sales.ts';
import { settlePromises, VirtualClock } from '#support/virtual-clock.ts';
import { ConsumerReading } from './consumer-reading.ts';
import { REFUSAL_BOUNDS } from './refusal-buffer.ts';
import { RefusalLog } from './refusal-log.ts';
import { RefusalTable } from './refusal-table.ts';

const DAY_MS = 86_400_000;
let fresh: FreshDatabase;
let sales: Sales;
let clock: VirtualClock;
let refusal: ReturnType<typeof refusalMaker>;
let seed = 0;
beforeAll(async () => {
  fresh = await freshDatabase();
  sales = new Sales(fresh.database);
});
afterAll(() => fresh.drop());
beforeEach(() => {
  clock = new VirtualClock();
  refusal = refusalMaker(clock, ++seed);
});

const TRY = {
  attemptId: 'att_1',
  modelId: 'a/model',
  providerId: 'prov_1',
  nodeId: 'node_1',
  mode: 'websocket',
  region: null,
  result: 'lost',
  startedMs: 0.5,
  tookMs: 30,
} as const;

/** A table in memory that can be away, or refuse rows. */
function memoryTable() {
  const rows = new Map<string, Refusal>();
  const table = {
    rows,
    statements: [] as number[],
    isAway: false,
    refuses: new Set<string>(),
    keep: async (refusals: readonly Refusal[]) => {
      table.statements.push(refusals.length);
      if (table.isAway) throw new Fault('database-unreachable');
      if (refusals.some(({ id }) => table.refuses.has(id)))
        throw Object.assign(new Error('no'), { code: '23514' });
      for (const each of refusals) rows.set(each.id, each);
    },
    find: async (id: string) => rows.get(id),
    latest: async () => [...rows.values()],
    dropOld: async () => [],
  };
  return table;
}

function loud(): { log: Logger; said: { words: string; about: Record<string, unknown> }[] } {
  const said: { words: string; about: Record<string, unknown> }[] = [];
  const say = (about: Record<string, unknown>, words: string) => void said.push({ words, about });
  return { log: Object.assign(Object.create(silentLog) as Logger, { warn: say, error: say }), said };
}

test('a refused request is found by its id at once, and as it was when it is written', async () => {
  const table = new RefusalTable(fresh.database, 90);
  const log = new RefusalLog({ table, clock, log: silentLog });
  const one = refusal({ queueMs: 12.5, tries: [TRY], modelId: null, region: 'eu-west' });
  log.note(one);
  expect(await log.find(one.id, 'con_1')).toEqual(one);
  expect(await log.find(one.id, 'con_2')).toBeUndefined();
  await log.close();
  expect(await table.find(one.id, 'con_1')).toEqual(one);
  expect(await table.find(one.id, 'con_2')).toBeUndefined();
  expect(await table.find('req_never', 'con_1')).toBeUndefined();
  expect(await table.find('req_ZZZZZZZZZZZZ', 'con_1')).toBeUndefined();
});

test('rows that are written twice, and by two gateways at once, are there once', async () => {
  const tables = [new RefusalTable(fresh.database, 90), new RefusalTable(fresh.database, 90)];
  const rows = Array.from({ length: 1_000 }, () => refusal({ consumerId: 'con_twice' }));
  await Promise.all(tables.map((table) => table.keep(rows)));
  await tables[0]?.keep(rows);
  const [count] = await fresh.database.sql<{ count: bigint }[]>`
    select count(*) from request_refusals where consumer_id = 'con_twice'`;
  expect(count?.count).toBe(1_000n);
});

test('days are partitions, and go when they are older than anything is kept', async () => {
  const table = new RefusalTable(fresh.database, 2);
  const old = refusal({ consumerId: 'con_days' });
  await table.keep([old]);
  await clock.advance(DAY_MS);
  const young = refusal({ consumerId: 'con_days' });
  await table.keep([young]);
  expect(await table.dropOld(old.at + 2 * DAY_MS)).toEqual([]);
  expect(await table.dropOld(old.at + 3 * DAY_MS)).toEqual(['request_refusals_20261120']);
  expect(await table.find(old.id, 'con_days')).toBeUndefined();
  expect(await table.find(young.id, 'con_days')).toEqual(young);
});

test("a consumer's list has refused requests in their place, page by page, and by what they were", async () => {
  const { database } = fresh;
  const reading = new ConsumerReading(database);
  const consumerId = 'con_pages';
  const made: string[] = [];
  const refusals: Refusal[] = [];
  for (let i = 0; i < 7; i++) {
    await clock.advance(1_000);
    if (i % 2 === 0) {
      const each = refusal({ consumerId, modelId: i === 0 ? null : 'a/model' });
      refusals.push(each);
      made.unshift(each.id);
    } else {
      const { id } = refusal();
      await sales.sell({ id, consumerId, at: clock.wallMs(), modelId: 'a/model', charge: 0n });
      made.unshift(id);
    }
  }
  await new RefusalTable(database, 90).keep(refusals);
  const stretch = { from: 0, until: clock.wallMs() + 1 };
  const seen: string[] = [];
  for (let before: string | undefined; ; ) {
    const page = await reading.requests(consumerId, { ...stretch, before, limit: 2 });
    seen.push(...page.map(({ id }) => id));
    before = page.at(-1)?.id;
    if (page.length < 2) break;
  }
  expect(seen).toEqual(made);
  const all = { ...stretch, limit: 50 };
  const refused = await reading.requests(consumerId, { ...all, outcome: 'refused' });
  expect(refused.map(({ id }) => id)).toEqual(refusals.map(({ id }) => id).toReversed());
  expect(refused.at(-1)).toMatchObject({
    modelId: null,
    outcome: 'refused',
    errorCode: 'rate-limited',
    spent: 0n,
  });
  expect(await reading.requests(consumerId, { ...all, outcome: 'completed' })).toHaveLength(3);
  expect(await reading.requests(consumerId, { ...all, modelId: 'a/model' })).toHaveLength(6);
  expect(await reading.requests('con_else', all)).toEqual([]);
  expect(await reading.sums(consumerId, stretch)).toMatchObject({ requests: 3 });
});

test('a request that was noted as refused and turns out to have been used is told as it was used', async () => {
  const reading = new ConsumerReading(fresh.database);
  const consumerId = 'con_doubt';
  const one = refusal({ consumerId, code: 'ledger-unavailable' });
  await new RefusalTable(fresh.database, 90).keep([one]);
  await sales.sell({ id: one.id, consumerId, at: one.at, modelId: 'a/model', charge: 0n });
  const listed = await reading.requests(consumerId, { from: 0, until: one.at + 1, limit: 9 });
  expect(listed).toMatchObject([{ id: one.id, outcome: 'completed' }]);
});

test('while the database is away memory is bounded and the rest is counted; when it is back rows flow again', async () => {
  const table = memoryTable();
  const { log: told, said } = loud();
  const log = new RefusalLog({ table, clock, log: told });
  table.isAway = true;
  let noted = 0;
  for (let second = 0; second < 600; second++) {
    for (let i = 0; i < 100; i++, noted++) log.note(refusal({ consumerId: `con_${i % 40}` }));
    await clock.advance(1_000);
  }
  const away = log.counts();
  expect(away).toMatchObject({ written: 0, waiting: REFUSAL_BOUNDS.rowsMax, notStored: 0 });
  expect(away.noRoom).toBeGreaterThan(0);
  expect(said.filter(({ words }) => words.includes('they wait'))).toHaveLength(1);

  table.isAway = false;
  await clock.advance(2_000);
  expect(log.counts()).toMatchObject({ written: REFUSAL_BOUNDS.rowsMax, waiting: 0 });
  expect(Math.max(...table.statements)).toBe(1_000);
  log.note(refusal({ consumerId: 'con_new' }));
  noted += 1;
  await log.close();
  const counts = log.counts();
  expect(table.rows.size).toBe(counts.written);
  expect(Object.values(counts).reduce((sum, each) => sum + each, 0)).toBe(noted);
  const last = said.findLast(({ words }) => words.includes('counted'));
  expect(last?.about).toMatchObject({ noRoom: counts.noRoom, overRate: counts.overRate });
  const sumTold = said.reduce((sum, { about }) => sum + Number(about['more'] ?? 0), 0);
  expect(sumTold).toBe(noted - counts.written);
});

test('a row that the table refuses holds up no other, and is counted', async () => {
  const table = memoryTable();
  const { log: told, said } = loud();
  const log = new RefusalLog({ table, clock, log: told });
  const rows = Array.from({ length: 50 }, () => refusal());
  for (const row of rows) log.note(row);
  table.refuses.add(rows[17]?.id ?? '');
  await clock.advance(2_000);
  expect(log.counts()).toMatchObject({ written: 49, waiting: 0, notStored: 1 });
  expect(said).toMatchObject([{ about: { request: rows[17]?.id } }]);
  await log.close();
});

test('what waits when the process ends is written, or counted and told where that cannot be', async () => {
  const table = memoryTable();
  const { log: told, said } = loud();
  const log = new RefusalLog({ table, clock, log: told });
  log.note(refusal());
  table.isAway = true;
  await log.close();
  expect(log.counts()).toMatchObject({ waiting: 0, notStored: 1 });
  expect(said.at(-1)?.about).toMatchObject({ more: 1, notStored: 1 });
});

test('what came without a key is counted by its code, and leaves nothing else', async () => {
  const table = memoryTable();
  const log = new RefusalLog({ table, clock, log: silentLog });
  for (const code of ['key-unknown', 'key-unknown', 'key-missing']) log.withoutKey(code);
  await settlePromises();
  await log.close();
  expect([...log.countsWithoutKey()]).toEqual([
    ['key-unknown', 2],
    ['key-missing', 1],
  ]);
  expect(table.rows.size).toBe(0);
});
