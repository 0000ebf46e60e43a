import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { usageRecord } from '#support/records.ts';
import { errorRow } from '#wire/errors.ts';
import { MinuteBook } from './minute-book.ts';
import { MinuteTable } from './minute-table.ts';
import { objectivesOf } from './objective-report.ts';

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
});
afterAll(() => fresh.drop());

const FROM = Date.UTC(2026, 10, 10);
const MINUTE_MS = 60_000;

test('each tier, model and region against its objectives: minutes, times, errors, and what is left of the budget', async () => {
  const book = new MinuteBook(errorRow);
  const serve = (minute: number, region: string, more: Parameters<typeof usageRecord>[0]): void =>
    book.served(usageRecord({ modelId: 'm', at: FROM + minute * MINUTE_MS, ...more }), {
      tier: 'pro',
      region,
    });
  for (let minute = 0; minute < 100; minute++) {
    for (let i = 0; i < 9; i++) serve(minute, 'eu', { ttftMs: 400 });
    serve(minute, 'us', { ttftMs: 2_400 });
  }
  // Ten minutes in which us fails: one request in ten, so everywhere they are unavailable too.
  for (let minute = 100; minute < 110; minute++) {
    for (let i = 0; i < 9; i++) serve(minute, 'eu', { ttftMs: 400 });
    serve(minute, 'us', { outcome: 'failed', errorCode: 'provider-failed', ttftMs: null });
  }
  await new MinuteTable({ database: fresh.database, instance: 'life' }).keep(book.takeAll());

  const rows = await objectivesOf(fresh.database, { from: FROM, until: FROM + 30 * 86_400_000 });
  expect(rows.map(({ tier, modelId, region }) => [tier, modelId, region])).toEqual([
    ['pro', '', ''],
    ['pro', 'm', ''],
    ['pro', 'm', 'eu'],
    ['pro', 'm', 'us'],
  ]);
  const of = (region: string) => {
    const row = rows.find((each) => each.modelId === 'm' && each.region === region);
    const named = row?.indicators.map(({ name, measured, met }) => [name, { measured, met }] as const);
    return { row, ...Object.fromEntries(named ?? []) } as Record<
      string,
      { measured: number; met: boolean }
    > & {
      row: typeof row;
    };
  };
  expect(of('').row?.requests).toBe(1_100);
  expect(of('')['availability']).toEqual({ measured: 100 / 110, met: false });
  expect(of('eu')['availability']).toEqual({ measured: 1, met: true });
  expect(of('us')['availability']).toEqual({ measured: 100 / 110, met: false });
  expect(of('eu')['ttft-p95']).toMatchObject({ met: true });
  expect(of('us')['ttft-p95']).toMatchObject({ met: false });
  expect(of('')['server-errors']).toEqual({ measured: 10 / 1_100, met: false });
  expect(of('eu')['too-many']).toEqual({ measured: 0, met: true });
  // Of thirty days 43.2 minutes may be lost.
  expect(of('').row?.budget.allowed).toBeCloseTo(43.2);
  expect(of('').row?.budget.left).toBeCloseTo(33.2);
});

test('where nothing was asked, nothing is said', async () => {
  expect(await objectivesOf(fresh.database, { from: 0, until: MINUTE_MS })).toEqual([]);
});
