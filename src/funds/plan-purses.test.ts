import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { parseUsd } from '#domain/money.ts';
import { silentLog } from '#kit/log.ts';
import { makeConsumer, makeId } from '#support/parties.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { PlanFees } from './plan-fees.ts';
import { PlanPurses } from './plan-purses.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
let fresh: FreshDatabase;
const opened: PlanPurses[] = [];
let clock: VirtualClock;
let consumer: string;
beforeAll(async () => {
  fresh = await freshDatabase();
});
afterAll(async () => {
  await Promise.all(opened.map((each) => each.close()));
  await fresh.drop();
});
beforeEach(async () => {
  clock = new VirtualClock(Date.UTC(2027, 0, 10, 12));
  ({ id: consumer } = await makeConsumer(fresh.database, parseUsd('60')));
});

const buy = () => new PlanFees({ database: fresh.database, clock, log: silentLog }).choose(consumer, 'pro');
async function open(): Promise<PlanPurses> {
  const purses = await PlanPurses.open({ database: fresh.another(), clock, log: silentLog });
  opened.push(purses);
  return purses;
}
/** A request that the plan paid for. */
async function covered(usd: string, at = clock.wallMs()): Promise<void> {
  await fresh.database.sql`
    insert into usage (
      id, at, consumer_id, key_id, model_id, operation, provider_id, streamed, outcome, input_tokens, output_tokens,
      units, seconds, events, bytes, attempts, total_ms, price_id, policy, charge, covered, covered_tokens
    ) values (
      ${makeId('req')}, ${new Date(at)}, ${consumer}, 'key_1', 'm', 'chat/completions', 'prov_x', false, 'completed', 0, 0,
      0, 0, 0, 0, 1, 1, 'p', 'standard-1', 0, ${parseUsd(usd)}, 1
    )`;
}

test('a period that is paid for has a purse of its fee, in every process, and nobody else has one', async () => {
  const [here, there] = [await open(), await open()];
  expect(here.of(consumer)).toBeUndefined();
  expect(await buy()).toBe('chosen');
  for (const purses of [here, there]) {
    await expect
      .poll(() => purses.of(consumer))
      .toMatchObject({ most: parseUsd('6'), spent: 0n, reserved: 0n });
  }
  expect(here.of('con_other')).toBeUndefined();
});

test('what it paid for before this process began is read, and what an earlier period paid for is not', async () => {
  await covered('1', clock.wallMs() - DAY);
  await buy();
  await covered('2.5');
  expect((await open()).of(consumer)?.spent).toBe(parseUsd('2.5'));
});

test('reading again never lowers what is known in memory: a request may be served and not posted', async () => {
  const purses = await open();
  await buy();
  await purses.look(consumer);
  const purse = purses.of(consumer);
  if (purse) purse.spent = parseUsd('3');
  await covered('2');
  await purses.look(consumer);
  expect(purses.of(consumer)).toBe(purse);
  expect(purse?.spent).toBe(parseUsd('3'));
  await covered('2');
  await purses.look(consumer);
  expect(purse?.spent).toBe(parseUsd('4'));
});

test('the next period has a purse of its own; one that nobody followed serves an hour longer and no more', async () => {
  const purses = await open();
  await buy();
  await purses.look(consumer);
  const first = purses.of(consumer);
  clock.jumpWall((first?.endsAt ?? 0) - clock.wallMs() + HOUR - 1);
  expect(purses.of(consumer)).toBe(first);
  clock.jumpWall(1);
  expect(purses.of(consumer)).toBeUndefined();
  await buy();
  await purses.look(consumer);
  expect(purses.of(consumer)).toMatchObject({ startsAt: first?.endsAt, spent: 0n });
});
