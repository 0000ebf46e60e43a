import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLog } from '#kit/log.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { beginLife, gapsIn } from './market-life.ts';

const BEGAN = Date.UTC(2026, 10, 5, 12, 0, 10);
const MINUTE = 60_000;

let fresh: FreshDatabase;
let clock: VirtualClock;
beforeEach(async () => {
  fresh = await freshDatabase();
  clock = new VirtualClock(BEGAN);
});
afterEach(() => fresh.drop());

const begin = (life: string) => beginLife({ database: fresh.database, clock, log: silentLog, life });
const gaps = () => gapsIn(fresh.database.sql, { from: 0, until: clock.wallMs() + MINUTE }, clock.wallMs());

test('the first life of a market begins without a gap, and a restart within a minute leaves none', async () => {
  const first = await begin('a');
  await first.close();
  await clock.advance(MINUTE);
  const second = await begin('b');
  await second.close();
  expect(await gaps()).toEqual([]);
});

test('a restart after more than a minute writes down from when until when the market was down', async () => {
  const first = await begin('a');
  await clock.advance(5 * MINUTE);
  await first.close();
  const fromMs = clock.wallMs();
  await clock.advance(7 * MINUTE);
  const found = await begin('b');
  expect(await gaps()).toEqual([{ fromMs, untilMs: fromMs + 7 * MINUTE }]);
  await found.close();
});

test('of several that begin at once one gap is kept, and while another lives there is none', async () => {
  const first = await begin('a');
  await first.close();
  await clock.advance(3 * MINUTE);
  const all = await Promise.all(['b', 'c', 'd'].map(begin));
  expect(await gaps()).toHaveLength(1);
  await Promise.all(all.slice(1).map((each) => each.close()));
  // Its sign is left at the end, as a round of it would.
  await clock.advance(3 * MINUTE);
  await all[0]?.close();
  const late = await begin('e');
  expect(await gaps()).toHaveLength(1);
  await late.close();
});

test('a gap is kept for good', async () => {
  const first = await begin('a');
  await first.close();
  await clock.advance(3 * MINUTE);
  await (await begin('b')).close();
  await expect(fresh.database.sql`delete from market_gaps`).rejects.toThrow(/append-only/);
});
