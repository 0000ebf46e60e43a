import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { notePresence, uptimesOf } from './presence.ts';

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 10, 20, 1);

let store: FreshDatabase;
beforeAll(async () => {
  store = await freshDatabase();
  const { database } = store;
  for (const [id, since] of [
    ['prov_old', NOW - 100 * DAY],
    ['prov_new', NOW - 3 * DAY],
    ['prov_never', NOW - 100 * DAY],
  ] as const)
    await database.sql`
      insert into providers (id, name, state, state_since, created_at)
      values (${id}, ${id}, 'active', ${new Date(since)}, ${new Date(since)})`;
  // One minute of the market a day, for twenty days.
  for (let day = 0; day < 20; day++) {
    const there = [...(day < 10 ? ['prov_old'] : []), ...(day < 3 ? ['prov_new'] : [])];
    await notePresence(database, NOW - day * DAY, there);
  }
});
afterAll(() => store.drop());

test('uptime is of the minutes in which there was a market, and of days that began after a provider joined', async () => {
  const uptimes = await uptimesOf(store.database, { at: NOW });
  expect(uptimes.get('prov_old')).toEqual({ week: 1, month: 0.5 });
  expect(uptimes.get('prov_new')).toEqual({ week: 1, month: 1 });
  expect(uptimes.has('prov_never')).toBe(false);
});

test('one provider can be asked for alone', async () => {
  const uptimes = await uptimesOf(store.database, { at: NOW, providerId: 'prov_new' });
  expect([...uptimes.keys()]).toEqual(['prov_new']);
});
