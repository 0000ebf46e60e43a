import { afterAll, beforeAll, expect, test } from 'vitest';
import { readCatalogueFile, seedCatalogue } from '#catalogue/seed.ts';
import { readConfig } from '#config/config.ts';
import { silentLog } from '#kit/log.ts';
import { systemRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { fillMonth, hasTraded, type MonthFigures } from './demo-month.ts';

let fresh: FreshDatabase;
let month: MonthFigures;
let tradedBefore: boolean;
const fill = () =>
  fillMonth({
    config: readConfig({}, {}),
    database: fresh.database,
    chain: undefined,
    clock: new VirtualClock(Date.UTC(2026, 11, 9, 15, 20)),
    random: systemRandomness,
    log: silentLog,
    seed: 7,
    password: new Sealed('a month that adds up'),
    days: 30,
    requests: 150,
    say: () => undefined,
  });
beforeAll(async () => {
  fresh = await freshDatabase();
  await seedCatalogue(fresh.database, { catalogue: readCatalogueFile(), at: Date.UTC(2026, 10, 20) });
  tradedBefore = await hasTraded(fresh.database);
  month = await fill();
}, 240_000);
afterAll(() => fresh.drop());

test('the books of a demo month balance', () => {
  expect(month.audit.differences).toEqual([]);
  expect(month.audit.rejectedRecords).toBe(0);
  expect(month.audit.checkedUsage).toBe(month.requests);
  expect(month.charged).toBeGreaterThan(0n);
});

test.each([
  ['users', 12],
  ['keys', 15],
  ['nodes', 9],
  ['deposits', 5],
  ['documents', 6],
  ['prices', 30],
  ['corrections', 1],
  ['request_outcomes', 200],
  ['service_minutes', 200],
  ['service_hours', 200],
  ['provider_attempts', 60],
  ['provider_sessions', 100],
  ['provider_minutes', 100],
  ['benchmark_runs', 100],
  ['reward_days', 29],
  ['sla_reports', 1],
  ['consumer_refusals', 80],
  ['appeals', 1],
  ['operator_actions', 8],
  ['operator_outcomes', 8],
  ['card_checkouts', 1],
  ['incidents', 4],
  ['incident_steps', 9],
  ['maintenance_windows', 1],
  ['collateral_deposits', 6],
  ['plan_periods', 1],
] as const)('a demo month has something in %s', async (table, least) => {
  const { sql } = fresh.database;
  const [row] = await sql<{ rows: bigint }[]>`select count(*) as rows from ${sql(table)}`;
  expect(Number(row?.rows)).toBeGreaterThanOrEqual(least);
});

test('on most days of a demo month every model answers, and the days that are bad had an incident', async () => {
  const { sql } = fresh.database;
  const days = await sql<{ model_id: string; good: boolean; told: boolean }[]>`
    with by_day as (
      select model_id, at::date as day, count(*) filter (where outcome in ('failed', 'broken')) as failed, count(*) as asked
      from usage group by model_id, at::date
    )
    select model_id, failed * 1000 <= asked as good,
      exists (select from incidents i where i.model_id = d.model_id and i.opened_at::date = d.day) as told
    from by_day d`;
  const bad = days.filter(({ good }) => !good);
  expect(bad.length / days.length).toBeLessThan(0.03);
  expect(bad.filter(({ told }) => told).length).toBeGreaterThan(0);
});

test('a demo month gives back what a service level promised, and pays in by bank, card and PayPal', async () => {
  const { sql } = fresh.database;
  const credits = await sql`select from sla_reports where credit > 0`;
  expect(credits).toHaveLength(1);
  const methods = await sql<{ method: string }[]>`select distinct method from deposits order by method`;
  expect(methods.map(({ method }) => method)).toEqual(['bank', 'card', 'paypal']);
});

test('every day of a demo month has requests, of every consumer in the end, and some that failed', async () => {
  const { sql } = fresh.database;
  const [row] = await sql<{ days: bigint; consumers: bigint; failed: bigint }[]>`
    select count(distinct at::date) as days, count(distinct consumer_id) as consumers,
      count(*) filter (where outcome in ('failed', 'broken')) as failed
    from usage`;
  expect(Number(row?.days)).toBe(30);
  expect(Number(row?.consumers)).toBe(5);
  expect(Number(row?.failed)).toBeGreaterThan(0);
});

test('a market in which nobody traded may be filled, and a filled one is told from it', async () => {
  expect(tradedBefore).toBe(false);
  expect(await hasTraded(fresh.database)).toBe(true);
  await expect(fill()).rejects.toThrow('demo month');
});
