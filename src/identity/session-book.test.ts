import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { silentLog } from '#kit/log.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { createProvider } from './providers.ts';
import { SessionBook } from './session-book.ts';

let store: FreshDatabase;
beforeAll(async () => {
  store = await freshDatabase();
  await createProvider(store.database, { id: 'prov_a', name: 'a', state: 'active', at: 0 });
});
afterAll(() => store.drop());

let clock: VirtualClock;
let here: { linkId: string; heardAtMs: number }[];
beforeEach(async () => {
  clock = new VirtualClock();
  here = [];
  await store.database.sql`truncate provider_sessions`;
});

const open = (instance = 'inst_1', database = store.database) =>
  SessionBook.open({ database, clock, log: silentLog, instance, heard: () => here });
const began = (book: SessionBook, id: string) =>
  book.began({ id, linkId: id, providerId: 'prov_a', nodeId: `node-${id}`, mode: 'websocket' });
const START = Date.UTC(2026, 10, 20);

test('a session is written with its beginning, its end and why it ended', async () => {
  const book = await open();
  began(book, 'link_1');
  await clock.advance(90_000);
  book.ended('link_1', { why: 'the socket closed', attemptsLost: 2 });
  await book.keep();
  expect(await book.of('prov_a', 10)).toEqual([
    {
      nodeId: 'node-link_1',
      mode: 'websocket',
      connectedAt: START,
      lastHeardAt: START + 90_000,
      endedAt: START + 90_000,
      why: 'the socket closed',
      attemptsLost: 2,
    },
  ]);
  await book.close();
});

test('who fell silent was there until it was last heard of, not until that was noticed', async () => {
  const book = await open();
  began(book, 'link_1');
  await clock.advance(120_000);
  book.ended('link_1', { why: 'no heartbeat', attemptsLost: 0, heardAgoMs: 80_000 });
  await book.keep();
  expect(await book.of('prov_a', 1)).toMatchObject([{ endedAt: START + 40_000 }]);
  await book.close();
});

test('what a killed market left open ends where its agents were last heard of, and says so', async () => {
  const killed = await open();
  began(killed, 'link_1');
  began(killed, 'link_2');
  await clock.advance(60_000);
  here = [
    { linkId: 'link_1', heardAtMs: 55_000 },
    { linkId: 'link_2', heardAtMs: 31_000 },
  ];
  await killed.keep();
  // Killed here. The next life comes an hour later.
  await clock.advance(3_600_000);
  here = [];
  const next = await open();
  const all = await next.of('prov_a', 10);
  expect(all.map(({ endedAt }) => endedAt)).toEqual([START + 31_000, START + 55_000]);
  expect(new Set(all.map(({ why }) => why))).toEqual(new Set(['the market stopped without a word']));
  await next.close();
});

test('the sessions of another process are left alone while it writes, and closed when it is silent for long', async () => {
  const other = await open('inst_2');
  began(other, 'link_2');
  await other.keep();
  const book = await open('inst_1');
  await book.keep();
  expect(await book.of('prov_a', 1)).toMatchObject([{ endedAt: undefined }]);
  for (let looks = 0; looks < 2; looks++) {
    await clock.advance(700_000);
    await book.keep();
  }
  expect(await book.of('prov_a', 1)).toMatchObject([
    { endedAt: START, why: expect.stringMatching(/stopped/) },
  ]);
  // It was only cut off from the database: what it writes then holds.
  here = [{ linkId: 'link_2', heardAtMs: 1_390_000 }];
  await other.keep();
  expect(await book.of('prov_a', 1)).toMatchObject([{ endedAt: undefined, why: '' }]);
  await other.close();
  await book.close();
  expect(await book.of('prov_a', 1)).toMatchObject([{ why: 'restarting' }]);
});

test('while the table is away nobody waits and nothing is lost: what happened is written when it is back', async () => {
  const { sql } = store.database;
  const book = await open();
  await sql`alter table provider_sessions rename to elsewhere`;
  began(book, 'link_9');
  await expect(book.keep()).rejects.toThrow(/provider_sessions/);
  await clock.advance(5_000);
  book.ended('link_9', { why: 'the socket closed', attemptsLost: 0 });
  await sql`alter table elsewhere rename to provider_sessions`;
  await book.keep();
  expect(await book.of('prov_a', 1)).toMatchObject([{ connectedAt: START, endedAt: START + 5_000 }]);
  await book.close();
});

test('hours of nodes are those within the window, node by node, and none of endpoints', async () => {
  const book = await open();
  began(book, 'link_1');
  book.began({ id: 'ext_1', linkId: 'ext_1', providerId: 'prov_a', nodeId: 'ext_1', mode: 'external' });
  await clock.advance(60_000);
  began(book, 'link_2');
  await clock.advance(60_000);
  for (const id of ['link_1', 'link_2', 'ext_1'])
    book.ended(id, { why: 'the socket closed', attemptsLost: 0 });
  await book.keep();
  const ms = (from: number, until: number) =>
    book.nodeMs('prov_a', { from: START + from, until: START + until });
  expect(await ms(0, 120_000)).toBe(180_000);
  expect(await ms(90_000, 600_000)).toBe(60_000);
  expect(await ms(600_000, 900_000)).toBe(0);
  await book.close();
});

test('a session that ends twice, or never began here, ends once', async () => {
  const book = await open();
  began(book, 'link_1');
  book.ended('link_1', { why: 'the socket closed', attemptsLost: 0 });
  book.ended('link_1', { why: 'replaced', attemptsLost: 9 });
  book.ended('link_0', { why: 'replaced', attemptsLost: 9 });
  await book.keep();
  expect(await book.of('prov_a', 10)).toMatchObject([{ why: 'the socket closed', attemptsLost: 0 }]);
  await book.close();
});
