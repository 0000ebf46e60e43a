import assert from 'node:assert/strict';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Pico, parseUsd } from '#domain/money.ts';
import { setPlan } from '#identity/consumers.ts';
import { silentLog } from '#kit/log.ts';
import { audit } from '#ledger/audit.ts';
import { makeConsumer, makeId, operatorsBook } from '#support/parties.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { monthAfter, PlanFees } from './plan-fees.ts';

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
});
afterAll(async () => {
  const report = await audit(fresh.database);
  await fresh.drop();
  assert.deepEqual(report.differences, []);
});

let clock: VirtualClock;
let fees: PlanFees;
let consumer: string;
beforeEach(async () => {
  await fresh.database.sql`update consumers set plan = 'pay-as-you-go'`;
  clock = new VirtualClock(Date.UTC(2027, 0, 31, 12));
  fees = openFees();
  ({ id: consumer } = await makeConsumer(fresh.database, 0n));
});
const openFees = () =>
  new PlanFees({ database: fresh.another({ maxConnections: 2 }), clock, log: silentLog });
const give = (amount: Pico) => operatorsBook(fresh.database).deposit(consumer, amount, makeId('dep'));
const balance = async () => (await operatorsBook(fresh.database).balance(consumer)).total;
const pro = () => setPlan(fresh.database, { id: consumer, plan: 'pro', at: clock.wallMs() });

test.each([
  ['2027-01-31T12:00:00Z', '2027-02-28T12:00:00Z'],
  ['2027-02-28T12:00:00Z', '2027-03-28T12:00:00Z'],
  ['2028-01-30T00:00:00Z', '2028-02-29T00:00:00Z'],
  ['2027-12-15T23:59:59Z', '2028-01-15T23:59:59Z'],
])('a month after %s is %s', (from, to) => {
  expect(new Date(monthAfter(Date.parse(from))).toISOString()).toBe(new Date(to).toISOString());
});

test('the fee is taken once a month, however many rounds run at once', async () => {
  await give(parseUsd('20'));
  await pro();
  await Promise.all([fees, openFees(), openFees()].map((each) => each.round()));
  expect(await fees.round()).toEqual({ charged: 0, downgraded: 0 });
  expect(await balance()).toBe(parseUsd('14'));
  clock.jumpWall(Date.UTC(2027, 1, 28, 11) - clock.wallMs());
  expect(await fees.round()).toEqual({ charged: 0, downgraded: 0 });
  clock.jumpWall(3_600_000);
  expect(await fees.round()).toEqual({ charged: 1, downgraded: 0 });
  expect(await balance()).toBe(parseUsd('8'));
});

test('a night that nobody charged leaves no gap, and a long absence is not charged afterwards', async () => {
  await give(parseUsd('100'));
  await pro();
  await fees.round();
  clock.jumpWall(Date.UTC(2027, 2, 1, 12) - clock.wallMs());
  await fees.round();
  expect((await fees.standing(consumer)).paidUntil).toBe(Date.UTC(2027, 2, 28, 12));
  clock.jumpWall(Date.UTC(2027, 8, 1) - clock.wallMs());
  await fees.round();
  expect((await fees.standing(consumer)).paidUntil).toBe(Date.UTC(2027, 9, 1));
  expect(await balance()).toBe(parseUsd('82'));
});

test('who cannot pay goes back to paying as it goes, and nothing is taken', async () => {
  await give(parseUsd('5.99'));
  await pro();
  expect(await fees.round()).toEqual({ charged: 0, downgraded: 1 });
  expect((await fees.standing(consumer)).plan.name).toBe('pay-as-you-go');
  expect(await balance()).toBe(parseUsd('5.99'));
});

test('money that is set aside for requests pays no fee', async () => {
  await give(parseUsd('10'));
  await fresh.database
    .sql`select grow_lease('x', ${consumer}, ${parseUsd('5')}::numeric, ${parseUsd('5')}::numeric, 'c')`;
  expect(await fees.choose(consumer, 'pro')).toBe('short');
  expect((await fees.standing(consumer)).plan.name).toBe('pay-as-you-go');
});

test('choosing a plan pays its first month; leaving and coming back within it pays nothing', async () => {
  await give(parseUsd('10'));
  const answers = await Promise.all([1, 2, 3].map(() => fees.choose(consumer, 'pro')));
  expect(answers).toEqual(['chosen', 'chosen', 'chosen']);
  expect(await balance()).toBe(parseUsd('4'));
  expect(await fees.choose(consumer, 'free')).toBe('chosen');
  expect(await fees.choose(consumer, 'pro')).toBe('chosen');
  expect(await balance()).toBe(parseUsd('4'));
});

test('a clock that is set back takes no second fee', async () => {
  await give(parseUsd('20'));
  await pro();
  await fees.round();
  clock.jumpWall(-3 * 86_400_000);
  await fees.round();
  expect(await balance()).toBe(parseUsd('14'));
});
