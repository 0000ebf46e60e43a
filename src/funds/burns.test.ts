import assert from 'node:assert/strict';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Sender } from '#chain/client.ts';
import { TransactionTable } from '#chain/transaction-table.ts';
import { sendIntent } from '#chain/transfers.ts';
import type { Address, Hex } from '#domain/hex.ts';
import { parseUsd } from '#domain/money.ts';
import { systemClock } from '#kit/clock.ts';
import { audit } from '#ledger/audit.ts';
import { openTestChain, type TestChain } from '#support/chain.ts';
import { makeConsumer, makeId } from '#support/parties.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { Sales } from '#support/sales.ts';
import { balanceOf } from '#support/settlement.ts';
import { Burns } from './burns.ts';
import { setRate } from './rates.ts';

// Burns on a real chain. The demo wallets have SWAN.

const DEAD: Address = '0x000000000000000000000000000000000000dead';
const SWAN = 10n ** 18n;
const CONFIRMATIONS = 3;

let fresh: FreshDatabase;
let chain: TestChain;
let burns: Burns;
beforeAll(async () => {
  [fresh, chain] = await Promise.all([freshDatabase(), openTestChain()]);
  burns = burnsOn();
  const consumer = await makeConsumer(fresh.database, parseUsd('1000'));
  // Of a thousand dollars 9.5 % are set aside: 95 dollars.
  await new Sales(fresh.database).sell({ consumerId: consumer.id, charge: parseUsd('1000') });
});
afterAll(async () => {
  const report = await audit(fresh.database);
  await Promise.all([fresh.drop(), chain.close()]);
  assert.deepEqual(report.differences, []);
});

const burnsOn = () =>
  new Burns({
    database: fresh.database,
    chain: {
      chain: chain.chain,
      assets: [{ asset: 'SWAN', token: chain.contracts.swan, decimals: 18 }],
      confirmations: CONFIRMATIONS,
    },
    clock: systemClock,
  });
const due = async () => await balanceOf(fresh.database, 'platform:burn');

/** Sends tokens, and answers the transaction once it is as deep as it must be, or in the newest block. */
async function sends(
  units: bigint,
  {
    to = DEAD,
    token = chain.contracts.swan,
    deep = true,
  }: { to?: Address; token?: Address; deep?: boolean } = {},
): Promise<Hex> {
  const [key] = chain.keys.demo;
  if (!key) throw new Error('The local chain has demo wallets.');
  const settings = { confirmations: 1, maxFeePerGas: 10n ** 15n, replaceAfterMs: 60_000 };
  const store = new TransactionTable(fresh.database);
  const sender = new Sender({ chain: chain.chain, store, key, clock: systemClock, settings });
  const intent = sendIntent(makeId('tx'), { token, to, units });
  await sender.send(intent);
  const { status, hash } = await sender.settled(intent.id, 20);
  expect(status).toBe('done');
  if (deep) await chain.mine(CONFIRMATIONS - 1);
  return hash as Hex;
}

const note = (transaction: Hex, more: Partial<Parameters<Burns['note']>[0]> = {}) =>
  burns.note({ transaction, actor: 'test', ...more });

test('a burn that the chain saw is noted once, however many note it at once, and lowers what is due', async () => {
  const before = await due();
  expect(before).toBe(parseUsd('95'));
  const transaction = await sends(500n * SWAN);
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => note(transaction, { spent: parseUsd('5') })),
  );
  expect(answers.map(({ state }) => state).toSorted()).toEqual([
    ...Array.from({ length: 5 }, () => 'known'),
    'noted',
  ]);
  expect(await due()).toBe(before - parseUsd('5'));
  const [first] = await burns.list(10);
  expect(first).toMatchObject({
    transaction,
    units: 500n * SWAN,
    spent: parseUsd('5'),
    verified: true,
    actor: 'test',
  });
});

test('without a cost it is what was burned at the rate of now; without a rate it is refused', async () => {
  const transaction = await sends(100n * SWAN);
  expect(await note(transaction)).toMatchObject({
    state: 'refused',
    reason: expect.stringContaining('no rate'),
  });
  const at = systemClock.wallMs();
  await setRate(fresh.database, { picoPerToken: parseUsd('0.01'), effectiveAt: at - 1, at });
  expect(await note(transaction)).toMatchObject({ state: 'noted', burn: { spent: parseUsd('1') } });
});

test('the same transaction with other amounts is a conflict, and nothing changes', async () => {
  const transaction = await sends(10n * SWAN);
  await note(transaction, { spent: parseUsd('1') });
  const before = await due();
  await expect(note(transaction, { spent: parseUsd('2') })).rejects.toMatchObject({ code: 'conflict' });
  await expect(note(transaction, { units: 11n * SWAN })).rejects.toMatchObject({ code: 'conflict' });
  expect(await note(transaction, { units: 9n * SWAN })).toMatchObject({ state: 'known' });
  expect(await due()).toBe(before);
});

test('more than is set aside is refused, and nothing is noted', async () => {
  const transaction = await sends(SWAN);
  const answer = await note(transaction, { spent: parseUsd('95') });
  expect(answer).toMatchObject({
    state: 'refused',
    reason: expect.stringContaining('is set aside for burning'),
  });
  expect((await burns.list(100)).map((each) => each.transaction)).not.toContain(transaction);
});

test('a transaction that is too young is refused, and taken when it is deep', async () => {
  const transaction = await sends(SWAN, { deep: false });
  expect(await note(transaction)).toMatchObject({ reason: 'The transaction has 1 of 3 confirmations.' });
  await chain.mine(2);
  expect(await note(transaction)).toMatchObject({ state: 'noted' });
});

test.each([
  [
    'that does not exist',
    async (): Promise<Hex> => `0x${'12'.repeat(32)}`,
    'The transaction is in no block yet.',
  ],
  [
    'to somebody',
    async () => await sends(SWAN, { to: `0x${'77'.repeat(20)}` }),
    'The transaction burned no SWAN.',
  ],
  [
    'of another token',
    async () => await sends(1n, { token: chain.contracts.usdc }),
    'The transaction burned no SWAN.',
  ],
])('a transaction %s is refused', async (_what, made, reason) => {
  expect(await note(await made(), { spent: 1n })).toEqual({ state: 'refused', reason });
});

test('a transaction that burned less than it is said to is refused', async () => {
  const transaction = await sends(SWAN);
  expect(await note(transaction, { units: SWAN + 1n, spent: 1n })).toMatchObject({
    reason: 'The transaction burned less than that.',
  });
  expect(await note(transaction, { units: SWAN, spent: 1n })).toMatchObject({ state: 'noted' });
});

test("an operator's word is taken where it is asked to be, and marked as such", async () => {
  const transaction: Hex = `0x${'34'.repeat(32)}`;
  const unverified = { chainId: 254 };
  expect(await note(transaction, { unverified, spent: 1n })).toMatchObject({
    reason: 'Say how much was burned.',
  });
  expect(await note(transaction, { unverified, units: SWAN, spent: 1n })).toMatchObject({
    state: 'noted',
    burn: { verified: false, chainId: 254 },
  });
});

test('burns are never changed', async () => {
  await expect(fresh.database.sql`update burns set spent = 1`).rejects.toThrow('append-only');
});
