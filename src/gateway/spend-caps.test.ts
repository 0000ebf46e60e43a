import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { WHOLE_SCOPE } from '#domain/key-scope.ts';
import type { KeyRecord } from '#domain/party.ts';
import { silentLog } from '#kit/log.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { CappedHolds, MemoryCaps, type ReadSpending } from './spend-caps.ts';

const NOON = Date.UTC(2026, 10, 20, 12);
const DAY = 86_400_000;
const nothing: ReadSpending = async () => new Map();

function key(caps: { day?: bigint; month?: bigint }, more: Partial<KeyRecord> = {}): KeyRecord {
  return {
    id: 'key_1',
    kind: 'consumer',
    ownerId: 'cons_1',
    name: 'k',
    prefix: '00000000',
    revoked: false,
    scope: { ...WHOLE_SCOPE, capDay: caps.day ?? null, capMonth: caps.month ?? null },
    ...more,
  };
}

const { scope: _none, ...uncapped } = key({});
const open = (clock: VirtualClock, keys: KeyRecord[], read = nothing) =>
  MemoryCaps.open({ clock, log: silentLog, read, keys });

describe('a cap of a day', () => {
  test('is never passed, however requests overlap, whatever each costs in the end, over days', async () => {
    const steps = fc.array(
      fc.record({
        ask: fc.bigInt(1n, 40n),
        cost: fc.bigInt(0n, 40n),
        end: fc.nat(5),
        wait: fc.constantFrom(0, 0, 0, DAY / 5),
      }),
      { maxLength: 120 },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const clock = new VirtualClock(NOON);
        const mine = key({ day: 100n, month: 250n });
        const caps = await open(clock, [mine]);
        const spent = new Map<number, bigint>();
        let month = 0n;
        const running: { ask: bigint; cost: bigint }[] = [];
        const finish = (job: { ask: bigint; cost: bigint }): void => {
          const charged = job.cost < job.ask ? job.cost : job.ask;
          caps.settle(mine, job.ask, charged);
          const day = Math.floor(clock.wallMs() / DAY);
          spent.set(day, (spent.get(day) ?? 0n) + charged);
          month += charged;
        };
        for (const { ask, cost, end, wait } of all) {
          await clock.advance(wait);
          // The property is about one month: the walk of days stays inside it.
          if (clock.wallMs() > NOON + 8 * DAY) break;
          if (caps.reserve(mine, ask) === true) running.push({ ask, cost });
          if (end < running.length) finish(running.splice(end, 1)[0] as { ask: bigint; cost: bigint });
        }
        for (const job of running) finish(job);
        for (const sum of spent.values()) expect(sum).toBeLessThanOrEqual(100n);
        expect(month).toBeLessThanOrEqual(250n);
      }),
      { numRuns: 200 },
    );
  });

  test('is named when it refuses, and so is that of the month', async () => {
    const mine = key({ day: 10n, month: 15n });
    const clock = new VirtualClock(NOON);
    const caps = await open(clock, [mine]);
    expect(caps.reserve(mine, 11n)).toBe('day');
    expect(caps.reserve(mine, 10n)).toBe(true);
    expect(caps.left(mine)).toEqual({ day: 0n, month: 5n });
    caps.settle(mine, 10n, 9n);
    expect(caps.left(mine)).toEqual({ day: 1n, month: 6n });
    await clock.advance(DAY);
    expect(caps.left(mine)).toEqual({ day: 10n, month: 6n });
    expect(caps.reserve(mine, 7n)).toBe('month');
    await clock.advance(30 * DAY);
    expect(caps.left(mine)).toEqual({ day: 10n, month: 15n });
  });

  test('of zero allows nothing', async () => {
    const mine = key({ day: 0n });
    expect((await open(new VirtualClock(NOON), [mine])).reserve(mine, 1n)).toBe('day');
  });

  test('a clock that is set back gives no cap a second time', async () => {
    const mine = key({ day: 10n });
    const clock = new VirtualClock(NOON);
    const caps = await open(clock, [mine]);
    expect(caps.reserve(mine, 10n)).toBe(true);
    caps.settle(mine, 10n, 10n);
    clock.jumpWall(-DAY);
    expect(caps.reserve(mine, 1n)).toBe('day');
  });
});

describe('what was spent before', () => {
  test('counts after a restart', async () => {
    const mine = key({ day: 10n, month: 100n });
    const caps = await open(new VirtualClock(NOON), [mine], async (ids, window) => {
      expect(ids).toEqual(['key_1']);
      expect(window).toEqual({
        daySince: Date.UTC(2026, 10, 20),
        monthSince: Date.UTC(2026, 10, 1),
        before: undefined,
      });
      return new Map([['key_1', { day: 8n, month: 90n }]]);
    });
    expect(caps.left(mine)).toEqual({ day: 2n, month: 10n });
    expect(caps.reserve(mine, 3n)).toBe('day');
  });

  test('counts for a key that gets its cap while it runs: what it spent here, what it spent before, what it has under way', async () => {
    const clock = new VirtualClock(NOON);
    const caps = await open(clock, [], async (_ids, { before }) => {
      expect(before).toBe(NOON);
      return new Map([['key_1', { day: 3n, month: 3n }]]);
    });
    expect(caps.reserve(uncapped, 4n)).toBe(true);
    caps.settle(uncapped, 4n, 2n);
    expect(caps.reserve(uncapped, 5n)).toBe(true);
    const mine = key({ day: 12n });
    // 3 before, 2 here, 5 under way: 2 are left.
    const answers = await Promise.all([
      caps.reserve(mine, 3n),
      caps.reserve(mine, 2n),
      caps.reserve(mine, 1n),
    ]);
    expect(answers).toEqual(['day', true, 'day']);
  });

  test('that cannot be read refuses, and is read anew at the next request', async () => {
    let away = true;
    const caps = await open(new VirtualClock(NOON), [], async () => {
      if (away) throw new Error('away');
      return new Map();
    });
    const mine = key({ day: 5n });
    expect(await caps.reserve(mine, 1n)).toBe('unavailable');
    away = false;
    expect(await caps.reserve(mine, 1n)).toBe(true);
    expect(caps.left(mine)).toEqual({ day: 4n, month: null });
  });
});

test('a key and its successors share one purse', async () => {
  const old = key({ day: 10n });
  const next = key({ day: 10n }, { id: 'key_2', familyId: 'key_1' });
  const caps = await open(new VirtualClock(NOON), [old, next]);
  expect(caps.reserve(old, 6n)).toBe(true);
  expect(caps.reserve(next, 6n)).toBe('day');
  expect(caps.reserve(next, 4n)).toBe(true);
  caps.settle(next, 4n, 4n);
  caps.settle(old, 6n, 6n);
  caps.refunded('key_2', NOON, 3n);
  expect(caps.left(old)).toEqual({ day: 3n, month: null });
});

describe('holds behind a cap', () => {
  test('a promise that the balance does not back takes nothing from the cap', async () => {
    const mine = key({ day: 10n });
    const caps = await open(new VirtualClock(NOON), [mine]);
    for (const verdict of ['short', 'unavailable'] as const) {
      const holds = new CappedHolds(
        { reserve: async () => verdict, settle: () => {}, release: () => {} },
        caps,
      );
      expect(await holds.reserve('cons_1', 7n, mine)).toBe(verdict);
    }
    const broken = new CappedHolds(
      { reserve: () => Promise.reject(new Error('away')), settle: () => {}, release: () => {} },
      caps,
    );
    await expect(broken.reserve('cons_1', 7n, mine)).rejects.toThrow('away');
    expect(caps.left(mine)).toEqual({ day: 10n, month: null });
  });

  test('a cap that refuses leaves the balance alone', async () => {
    const mine = key({ month: 5n });
    let asked = 0;
    const holds = new CappedHolds(
      {
        reserve: () => {
          asked++;
          return true;
        },
        settle: () => {},
        release: () => {},
      },
      await open(new VirtualClock(NOON), [mine]),
    );
    expect(await holds.reserve('cons_1', 6n, mine)).toBe('cap-month');
    expect(asked).toBe(0);
    expect(holds.reserve('cons_1', 5n, mine)).toBe(true);
    holds.release('cons_1', 5n, mine);
    expect(holds.capsLeft(mine)).toEqual({ day: null, month: 5n });
  });
});
