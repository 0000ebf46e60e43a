import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { usageRecord } from '#support/records.ts';
import { errorRow } from '#wire/errors.ts';
import { MinuteBook } from './minute-book.ts';
import { MinuteTable } from './minute-table.ts';
import { objectivesOf } from './objective-report.ts';
import { objectivesAt, setObjectives, versionsOf } from './objective-terms.ts';
import { OBJECTIVES } from './objectives.ts';

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

test('a change of objectives judges no minute before it, and the same minutes are told for each stretch', async () => {
  const { database } = fresh;
  const at = FROM + 50 * MINUTE_MS - 20_000;
  const version = await setObjectives(
    database,
    'pro',
    { ttftP95Ms: 300, availabilityPpm: 990_000 },
    { actor: 'test', at },
  );
  expect(version).toMatchObject({ fromMs: FROM + 50 * MINUTE_MS, figures: { serverErrorsPpm: 2_000 } });
  const rows = await objectivesOf(database, { from: FROM, until: FROM + 100 * MINUTE_MS });
  const eu = rows.filter(({ region }) => region === 'eu');
  const shown = eu.map(({ from, until, requests, indicators, budget }) => ({
    minutes: [(from - FROM) / MINUTE_MS, (until - FROM) / MINUTE_MS],
    requests,
    ttft: indicators.find(({ name }) => name === 'ttft-p95'),
    allowed: budget.allowed,
  }));
  expect(shown).toMatchObject([
    { minutes: [0, 50], requests: 450, ttft: { target: 1_500, met: true } },
    { minutes: [50, 100], requests: 450, ttft: { target: 300, met: false } },
  ]);
  expect(shown[0]?.allowed).toBeCloseTo(0.05);
  expect(shown[1]?.allowed).toBeCloseTo(0.5);
});

test('objectives are history: set twice in a minute the later one holds, and none is changed or dropped', async () => {
  const { database } = fresh;
  const at = FROM + 60 * MINUTE_MS;
  const by = { actor: 'test', at };
  await Promise.all([
    setObjectives(database, 'business', { ttftP95Ms: 900 }, by),
    setObjectives(database, 'business', { tooManyPpm: 5_000 }, by),
  ]);
  const versions = await versionsOf(database.sql);
  expect(objectivesAt(versions, 'business', at)).toMatchObject({ ttftP95Ms: 900, tooMany: 0.005 });
  expect(objectivesAt(versions, 'business', at - 1)).toEqual(OBJECTIVES.business);
  expect(objectivesAt(versions, 'hobby', at)).toEqual(OBJECTIVES.hobby);
  // A clock that went back: it holds from when the last one did, never before.
  const back = await setObjectives(database, 'business', { ttftP95Ms: 800 }, { ...by, at: at - 600_000 });
  expect(back.fromMs).toBe(at);
  await expect(database.sql`update objective_terms set ttft_p95_ms = 1`).rejects.toThrow(/history/);
  await expect(database.sql`delete from objective_terms`).rejects.toThrow(/history/);
  await expect(setObjectives(database, 'pro', { ttlt512P95Ms: 100 }, by)).rejects.toMatchObject({
    code: 'request-invalid',
  });
});

test('where nothing was asked, nothing is said', async () => {
  expect(await objectivesOf(fresh.database, { from: 0, until: MINUTE_MS })).toEqual([]);
});
