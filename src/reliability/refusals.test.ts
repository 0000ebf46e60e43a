import { afterAll, beforeAll, expect, test } from 'vitest';
import { silentLog } from '#kit/log.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { openReliability } from './open.ts';
import { keepRefusals, RefusalBook } from './refusals.ts';

const NOON = Date.UTC(2026, 10, 20, 12);
const MINUTE = 60_000;
const about = { consumerId: 'con_1', modelId: 'm', code: 'model-without-provider' };

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
});
afterAll(() => fresh.drop());

const rows = async () =>
  await fresh.database.sql<{ at: Date; consumer_id: string; code: string; requests: bigint }[]>`
    select at, consumer_id, code, requests from consumer_refusals order by at, consumer_id, code`;

test('what a market refused is kept by consumer, minute and code, the running minute at its end', async () => {
  const clock = new VirtualClock(NOON);
  const { database } = fresh;
  const room = openReliability({ database, clock, log: silentLog, life: 'life_1', gauges: [] });
  const refused = { ...about, tier: 'pro' } as const;
  room.refused(refused);
  room.refused(refused);
  room.refused({ ...refused, consumerId: 'con_2', code: 'rate-limited' });
  await clock.advance(MINUTE);
  room.refused(refused);
  await room.close();
  expect(await rows()).toEqual([
    { at: new Date(NOON), consumer_id: 'con_1', code: 'model-without-provider', requests: 2n },
    { at: new Date(NOON), consumer_id: 'con_2', code: 'rate-limited', requests: 1n },
    { at: new Date(NOON + MINUTE), consumer_id: 'con_1', code: 'model-without-provider', requests: 1n },
  ]);
});

test('a minute that is kept twice by one process counts once, and by two processes twice', async () => {
  const minute = NOON / MINUTE + 100;
  const cell = { ...about, minute, requests: 3 };
  await keepRefusals(fresh.database, 'a', [cell]);
  await keepRefusals(fresh.database, 'a', [cell]);
  await keepRefusals(fresh.database, 'b', [cell]);
  const [sum] = await fresh.database.sql<{ requests: bigint }[]>`
    select sum(requests)::bigint as requests from consumer_refusals where at = ${new Date(minute * MINUTE)}`;
  expect(sum?.requests).toBe(6n);
});

test('what could not be kept waits, and is handed out again', () => {
  const book = new RefusalBook();
  book.note(NOON, about);
  const taken = book.takeClosed(NOON + MINUTE);
  expect(taken).toMatchObject([{ ...about, requests: 1 }]);
  expect(book.takeClosed(NOON + MINUTE)).toEqual([]);
  book.putBack(taken);
  expect(book.takeAll()).toEqual(taken);
});

test('a consumer who is refused in a thousand ways leaves room for what others are refused', () => {
  const book = new RefusalBook();
  for (let i = 0; i < 1_000; i++) book.note(NOON, { ...about, modelId: `m${i}` });
  book.note(NOON, { ...about, consumerId: 'con_2' });
  const taken = book.takeAll();
  expect(taken).toHaveLength(201);
  expect(taken.at(-1)).toMatchObject({ consumerId: 'con_2', requests: 1 });
});
