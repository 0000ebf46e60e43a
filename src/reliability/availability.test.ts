import { afterAll, beforeAll, expect, test } from 'vitest';
import { dayOf } from '#domain/window.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { usageRecord } from '#support/records.ts';
import { errorRow } from '#wire/errors.ts';
import { availabilityByDay } from './availability.ts';
import { MinuteBook } from './minute-book.ts';
import { MinuteTable } from './minute-table.ts';

const NOON = Date.UTC(2026, 10, 20, 12);
const MINUTE = 60_000;
const HOUR = 3_600_000;

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
});
afterAll(() => fresh.drop());

const byDay = async () =>
  (await availabilityByDay(fresh.database.sql, new Date(NOON - HOUR), new Date(NOON + 12 * HOUR))).toSorted(
    (a, b) => (a.region < b.region ? -1 : 1),
  );

test('minutes are counted the same before their hour is added up, after it, and when their rows are gone', async () => {
  const book = new MinuteBook(errorRow);
  const served = (minute: number, failed: boolean): void =>
    book.served(
      usageRecord({
        at: NOON + minute * MINUTE,
        modelId: 'm',
        ...(failed && { outcome: 'failed', errorCode: 'provider-failed' }),
      }),
      { tier: 'pro', region: 'eu' },
    );
  // One of twenty is within what an available minute may have, one of nineteen is above it.
  for (let i = 0; i < 20; i++) served(0, i === 0);
  for (let i = 0; i < 19; i++) served(1, i === 0);
  served(2, false);
  // Nobody was reached: that is no region's.
  book.refused(NOON + 3 * MINUTE, { modelId: 'm', tier: 'pro', code: 'model-without-provider' });
  const table = new MinuteTable({ database: fresh.database, instance: 'a' });
  await table.keep(book.takeAll());
  // A failed probe says nothing where customers were served; in minutes of its own it decides, all of them having failed.
  await fresh.database.sql`
    insert into probe_minutes (at, model_id, region, probes, failures)
    select ${new Date(NOON)}::timestamptz + m * interval '1 minute', 'm', '', 2, f
    from (values (2, 2), (10, 2), (11, 1), (90, 2)) as v(m, f)`;

  const expected = [
    { modelId: 'm', region: '', day: dayOf(NOON), measured: 7, unavailable: 4 },
    { modelId: 'm', region: 'eu', day: dayOf(NOON), measured: 3, unavailable: 1 },
  ];
  expect(await byDay()).toEqual(expected);
  await table.rollUp(NOON + 3 * HOUR);
  expect(await byDay()).toEqual(expected);
  await table.dropOld(NOON + 40 * 24 * HOUR);
  expect(await byDay()).toEqual(expected);
});
