import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import { systemRandomness } from '#kit/random.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { keepKey, makeKey } from './keys.ts';
import { NodeBook } from './node-book.ts';
import { createProvider } from './providers.ts';

let store: FreshDatabase;
beforeAll(async () => {
  store = await freshDatabase();
  for (const id of ['prov_a', 'prov_b']) {
    await createProvider(store.database, { id, name: id, state: 'active', at: 0 });
    const { prefix, hash } = makeKey('provider', systemRandomness);
    await keepKey(store.database, {
      id: `key_${id}`,
      kind: 'provider',
      ownerId: id,
      name: id,
      prefix,
      hash,
      at: 0,
    });
  }
});
afterAll(() => store.drop());

test('an agent that was here before comes back while the database is away; an impostor and a newcomer do not', async () => {
  const pool = store.another();
  const book = new NodeBook({ database: pool, clock: systemClock, log: silentLog });
  expect(await book.bind('node', 'prov_a', 'key_prov_a')).toBe('bound');
  expect(await book.bind('node', 'prov_b', 'key_prov_b')).toBe('foreign');
  await pool.close();
  expect(await book.bind('node', 'prov_a', 'key_other')).toBe('bound');
  expect(await book.bind('node', 'prov_b', 'key_prov_b')).toBe('foreign');
  await expect(book.bind('new', 'prov_a', 'key_prov_a')).rejects.toThrow(/./);
});

test('of many that come at once, one that the database refuses takes nobody with it', async () => {
  const book = new NodeBook({ database: store.database, clock: systemClock, log: silentLog });
  const asked = ['one', 'two', 'three', 'four', 'five'].map((id) =>
    book.bind(id, 'prov_a', id === 'three' ? 'no such key' : 'key_prov_a'),
  );
  const answers = await Promise.allSettled(asked);
  expect(answers.map(({ status }) => status)).toEqual([
    'fulfilled',
    'fulfilled',
    'rejected',
    'fulfilled',
    'fulfilled',
  ]);
});
