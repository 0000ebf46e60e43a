import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { dayOf } from '#domain/window.ts';
import { silentLog } from '#kit/log.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { AttemptTable } from './attempts.ts';
import { Standings } from './standings.ts';

const DAY = 86_400_000;

let store: FreshDatabase;
beforeAll(async () => {
  store = await freshDatabase();
});
afterAll(() => store.drop());

let clock: VirtualClock;
let uptime: Map<string, { month: number | undefined }>;
let behind: ReadonlyMap<string, string>;
beforeEach(async () => {
  clock = new VirtualClock();
  uptime = new Map();
  behind = new Map();
  await store.database.sql`truncate provider_attempts`;
});

const counting = (life = 'life_1', database = store.database) => new AttemptTable({ database, clock, life });
const judging = (attempts: AttemptTable, since = 0) =>
  new Standings({
    clock,
    log: silentLog,
    attempts,
    providers: async () => ['prov_good', 'prov_poor'].map((id) => ({ id, since })),
    uptimes: async () => uptime,
    putBehind: (reasons) => {
      behind = reasons;
    },
  });
function serves(
  attempts: AttemptTable,
  providerId: string,
  counts: { served: number; failed: number },
): void {
  for (let i = 0; i < counts.served; i++) attempts.note(providerId, 'model', true);
  for (let i = 0; i < counts.failed; i++) attempts.note(providerId, 'model', false);
}

test('who fails more than one attempt in five is put behind, and taken back when a month of sound service is over', async () => {
  const attempts = counting();
  const standings = judging(attempts);
  serves(attempts, 'prov_good', { served: 100, failed: 2 });
  serves(attempts, 'prov_poor', { served: 60, failed: 40 });
  await standings.round();
  expect([...behind.keys()]).toEqual(['prov_poor']);
  expect(behind.get('prov_poor')).toBe('60 % of its requests of 30 days succeeded, and 80 % should');
  expect(standings.of('prov_good')).toMatchObject({ behind: false, success: 100 / 102 });
  clock.jumpWall(31 * DAY);
  serves(attempts, 'prov_poor', { served: 30, failed: 0 });
  await attempts.keep();
  await standings.judge();
  expect(behind.size).toBe(0);
  await standings.close();
});

test('the reasons are those of whoever is active long enough: nobody is judged in its first week', async () => {
  const attempts = counting();
  const standings = judging(attempts, clock.wallMs() - 6 * DAY);
  serves(attempts, 'prov_poor', { served: 0, failed: 40 });
  uptime = new Map([['prov_poor', { month: 0.1 }]]);
  await standings.round();
  expect(behind.size).toBe(0);
  expect(standings.of('prov_poor')).toMatchObject({ inGrace: true, behind: false });
  expect(standings.of('prov_poor')?.misses).toHaveLength(2);
  await standings.close();
});

test('lives of processes add up, and what is written twice counts once', async () => {
  const [one, two] = [counting('life_1'), counting('life_2')];
  serves(one, 'prov_good', { served: 3, failed: 1 });
  serves(two, 'prov_good', { served: 5, failed: 0 });
  for (const attempts of [one, two, one, two]) await attempts.keep();
  one.note('prov_good', 'model', true);
  await one.keep();
  const today = dayOf(clock.wallMs());
  expect(await one.byDay({ from: today, until: today + 1 })).toMatchObject([{ served: 9, failed: 1 }]);
  expect(await two.byModel('prov_good', today)).toEqual([{ modelId: 'model', served: 9, failed: 1 }]);
});

test('what could not be written is written when the table is there again', async () => {
  const { sql } = store.database;
  const attempts = counting();
  serves(attempts, 'prov_good', { served: 2, failed: 1 });
  await sql`alter table provider_attempts rename to elsewhere`;
  await expect(attempts.keep()).rejects.toThrow(/provider_attempts/);
  await sql`alter table elsewhere rename to provider_attempts`;
  await attempts.keep();
  expect(await attempts.byModel('prov_good', 0)).toEqual([{ modelId: 'model', served: 2, failed: 1 }]);
});
