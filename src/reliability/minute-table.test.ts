import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { seededRandomness } from '#kit/random.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { usageRecord } from '#support/records.ts';
import { errorRow } from '#wire/errors.ts';
import { MinuteBook } from './minute-book.ts';
import { MinuteTable } from './minute-table.ts';

const HOUR_MS = 3_600_000;
const NOON = Date.UTC(2026, 10, 20, 12);
const pro = { tier: 'pro', region: 'eu' } as const;

let fresh: FreshDatabase;
const opened: FreshDatabase[] = [];
beforeEach(async () => {
  fresh = await freshDatabase();
  opened.push(fresh);
});
afterAll(async () => {
  await Promise.all(opened.map((each) => each.drop()));
});

const tableOf = (instance: string): MinuteTable => new MinuteTable({ database: fresh.database, instance });

/** What a process measured: its own book, kept under its own name. */
async function measured(
  instance: string,
  requests: { at: number; ttftMs: number; modelId?: string }[],
): Promise<void> {
  const book = new MinuteBook(errorRow);
  for (const { at, ttftMs, modelId = 'm' } of requests.toSorted((a, b) => a.at - b.at)) {
    book.served(usageRecord({ at, ttftMs, totalMs: ttftMs + 100, modelId }), pro);
  }
  await tableOf(instance).keep(book.takeAll());
}

describe('a window', () => {
  test('adds up minutes and processes; its quantiles are those of all requests, to 1 %', async () => {
    const random = seededRandomness(7);
    const all = Array.from({ length: 4_000 }, () => ({
      at: NOON + Math.floor(random.float() * 2 * HOUR_MS),
      // A long tail, as first tokens have.
      ttftMs: Math.ceil(20 + 2_000 * random.float() ** 6),
    }));
    await measured('a', all.slice(0, 1_500));
    await measured('b', all.slice(1_500));
    const exact = all.map(({ ttftMs }) => ttftMs).toSorted((x, y) => x - y);
    const ask = { from: NOON, until: NOON + 2 * HOUR_MS, by: ['modelId'] } as const;
    const before = await tableOf('c').figures(ask);
    await tableOf('c').rollUp(NOON + 2 * HOUR_MS);
    const [figures] = await tableOf('c').figures(ask);
    expect(figures).toEqual(before[0]);
    expect(figures).toMatchObject({ modelId: 'm', requests: 4_000 });
    for (const percent of [50, 90, 95, 99] as const) {
      const nearest = exact[Math.ceil((percent / 100) * exact.length) - 1] as number;
      const measuredAs = figures?.ttft[`p${percent}`] as number;
      expect(Math.abs(measuredAs - nearest)).toBeLessThanOrEqual(Math.max(1, nearest * 0.01));
    }
  });

  test('begins and ends within an hour that was added up', async () => {
    const minutes = [0, 10, 59, 60, 61, 119, 120, 125].map((minute) => ({
      at: NOON + minute * 60_000,
      ttftMs: 10,
    }));
    await measured('a', minutes);
    await tableOf('a').rollUp(NOON + 4 * HOUR_MS);
    const count = async (from: number, until: number): Promise<number> => {
      const [figures] = await tableOf('a').figures({
        from: NOON + from * 60_000,
        until: NOON + until * 60_000,
        by: [],
      });
      return figures?.requests ?? 0;
    };
    expect(await count(0, 180)).toBe(8);
    expect(await count(10, 121)).toBe(6);
    expect(await count(61, 119)).toBe(1);
    expect(await count(60, 120)).toBe(3);
  });

  test('tells groups apart and leaves others out', async () => {
    await measured('a', [
      { at: NOON, ttftMs: 10, modelId: 'small' },
      { at: NOON, ttftMs: 900, modelId: 'large' },
    ]);
    const figures = await tableOf('a').figures({
      from: NOON,
      until: NOON + HOUR_MS,
      by: ['modelId'],
      only: { modelId: 'large', tier: 'pro' },
    });
    expect(figures.map(({ modelId, ttft }) => [modelId, ttft.p95])).toEqual([
      ['large', expect.closeTo(900, -1)],
    ]);
  });
});

describe('keeping', () => {
  test('the same minute twice is kept once', async () => {
    const book = new MinuteBook(errorRow);
    book.served(usageRecord({ at: NOON }), pro);
    const minutes = book.takeAll();
    await tableOf('a').keep(minutes);
    await tableOf('a').keep(minutes);
    const [figures] = await tableOf('a').figures({ from: NOON, until: NOON + HOUR_MS, by: [] });
    expect(figures?.requests).toBe(1);
  });

  test('a minute that comes late, after its hour was added up, is in the hour after the next round', async () => {
    await measured('a', [{ at: NOON, ttftMs: 10 }]);
    expect(await tableOf('a').rollUp(NOON + 2 * HOUR_MS)).toBe(1);
    await measured('b', [{ at: NOON + 60_000, ttftMs: 10 }]);
    expect(await tableOf('a').rollUp(NOON + 2 * HOUR_MS)).toBe(1);
    expect(await tableOf('a').rollUp(NOON + 2 * HOUR_MS)).toBe(0);
    const [hour] = await fresh.database.sql<{ requests: bigint }[]>`select requests from service_hours`;
    expect(hour?.requests).toBe(2n);
  });

  test('two processes that add up at once, and make the same partitions at once, count once', async () => {
    await Promise.all(['a', 'b', 'c'].map((name) => measured(name, [{ at: NOON, ttftMs: 10 }])));
    await Promise.all(['a', 'b', 'c'].map((name) => tableOf(name).rollUp(NOON + 2 * HOUR_MS)));
    const rows = await fresh.database.sql<{ requests: bigint }[]>`select requests from service_hours`;
    expect(rows.map(({ requests }) => requests)).toEqual([3n]);
  });

  test('minutes go after five weeks and hours after thirteen months, whole partitions at a time', async () => {
    const day = 24 * HOUR_MS;
    await measured('a', [
      { at: NOON, ttftMs: 10 },
      { at: NOON + 35 * day, ttftMs: 10 },
    ]);
    await tableOf('a').rollUp(NOON + 36 * day);
    expect(await tableOf('a').dropOld(NOON + 35 * day)).toEqual([]);
    expect(await tableOf('a').dropOld(NOON + 36 * day)).toEqual(['service_minutes_20261120']);
    const window = { from: NOON, until: NOON + HOUR_MS, by: [] } as const;
    expect((await tableOf('a').figures(window))[0]?.requests).toBe(1);
    expect(await tableOf('a').dropOld(NOON + 500 * day)).toEqual([
      'service_hours_202611',
      'service_hours_202612',
      'service_minutes_20261225',
    ]);
  });
});
