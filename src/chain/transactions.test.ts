import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Address, Hex } from '#domain/hex.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { TransactionTable } from './transaction-table.ts';
import { MemoryTransactionStore, type StoredTransaction, type TransactionStore } from './transactions.ts';

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
});
afterAll(() => fresh.drop());

let made = 0;
const account = (): Address => `0x${(++made).toString(16).padStart(40, '0')}`;
const hash = (): Hex => `0x${(++made).toString(16).padStart(64, '0')}`;
const version = (signedAtMs = 1_795_000_000_123): StoredTransaction['versions'][number] => ({
  hash: hash(),
  raw: '0x02f8',
  maxFeePerGas: 3_000_000_007n,
  maxPriorityFeePerGas: (1n << 200n) + 1n,
  signedAtMs,
});
const transaction = (from: Address, nonce: number, id = `id ${++made}`): StoredTransaction => ({
  id,
  chainId: 254,
  from,
  nonce,
  to: account(),
  data: '0xa9059cbb',
  value: (1n << 255n) + 3n,
  gas: 60_000n,
  versions: [version()],
  outcome: undefined,
});

const stores: [string, () => TransactionStore[]][] = [
  [
    'in memory',
    () => {
      const store = new MemoryTransactionStore();
      return [store, store];
    },
  ],
  ['in the database', () => [new TransactionTable(fresh.database), new TransactionTable(fresh.another())]],
];

describe.each(stores)('a store %s', (_, open) => {
  const pair = (): [TransactionStore, TransactionStore] => open() as [TransactionStore, TransactionStore];

  test('answers exactly what was put in, also to another process', async () => {
    const [one, other] = pair();
    const whole = transaction(account(), 7);
    const deployment = { ...transaction(account(), 0), to: undefined };
    expect(await one.add(whole)).toBe(true);
    expect(await one.add(deployment)).toBe(true);
    expect(await other.find(whole.id)).toEqual(whole);
    expect(await other.find(deployment.id)).toEqual(deployment);
    expect(await other.find('nothing')).toBeUndefined();
  });

  test('takes an id once and a nonce once', async () => {
    const [one, other] = pair();
    const from = account();
    const first = transaction(from, 1);
    expect(await one.add(first)).toBe(true);
    expect(await other.add({ ...transaction(from, 2), id: first.id })).toBe(false);
    expect(await other.add(transaction(from, 1))).toBe(false);
    expect(await other.add({ ...transaction(from, 1), chainId: 1 })).toBe(true);
    expect(await other.add(transaction(account(), 1))).toBe(true);
    expect(await one.find(first.id)).toEqual(first);
  });

  test('gives a nonce that many want to one of them', async () => {
    const [one, other] = pair();
    const from = account();
    const wishes = Array.from({ length: 20 }, (_wish, i) => (i % 2 ? one : other).add(transaction(from, 5)));
    const answers = await Promise.all(wishes);
    expect(answers.filter(Boolean).length).toBe(1);
    expect((await one.open(254, from)).length).toBe(1);
  });

  test('knows the last nonce and what is open, by account and chain', async () => {
    const [one, other] = pair();
    const from = account();
    expect(await one.lastNonce(254, from)).toBeUndefined();
    const list = [transaction(from, 12), transaction(from, 3), transaction(from, 7)];
    for (const each of list) await one.add(each);
    await one.finish(list[0]?.id ?? '', { status: 'displaced' });
    expect(await other.lastNonce(254, from)).toBe(12);
    expect((await other.open(254, from)).map(({ nonce }) => nonce)).toEqual([3, 7]);
    expect(await other.open(1, from)).toEqual([]);
  });

  test('adds a version after those that were known, by whoever is first', async () => {
    const [one, other] = pair();
    const first = transaction(account(), 1);
    await one.add(first);
    const [a, b] = [version(2), version(3)];
    const answers = await Promise.all([one.addVersion(first.id, 1, a), other.addVersion(first.id, 1, b)]);
    expect(answers.filter(Boolean).length).toBe(1);
    const stored = await one.find(first.id);
    expect(stored?.versions).toEqual([...first.versions, answers[0] ? a : b]);
    expect(await one.addVersion('nothing', 0, version())).toBe(false);
  });

  test('gives an outcome once, and no version after it', async () => {
    const [one, other] = pair();
    const first = transaction(account(), 1);
    await one.add(first);
    const outcome = { status: 'done', hash: hash(), block: 1n << 60n, created: account() } as const;
    expect(await one.finish(first.id, outcome)).toBe(true);
    expect(await other.finish(first.id, { status: 'reverted' })).toBe(false);
    expect((await other.find(first.id))?.outcome).toEqual(outcome);
    expect(await other.addVersion(first.id, 1, version())).toBe(false);
    expect(await other.finish('nothing', outcome)).toBe(false);
  });
});

test('the database itself refuses to change or forget what was signed', async () => {
  const table = new TransactionTable(fresh.database);
  const first = transaction(account(), 1);
  await table.add(first);
  const { sql } = fresh.database;
  for (const attempt of [
    () => sql`update transactions set nonce = 9 where id = ${first.id}`,
    () => sql`update transactions set outcome = 'done', data = '0x' where id = ${first.id}`,
    () => sql`delete from transaction_versions where transaction_id = ${first.id}`,
    () => sql`update transaction_versions set raw = '0x' where transaction_id = ${first.id}`,
    () => sql`delete from transactions where id = ${first.id}`,
    () => sql`truncate transactions, transaction_versions`,
  ]) {
    await expect(attempt()).rejects.toMatchObject({ code: '23001' });
  }
  expect(await table.find(first.id)).toEqual(first);
});
