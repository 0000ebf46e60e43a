import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Sender } from '#chain/client.ts';
import {
  batchWaiting,
  claimIntent,
  lastBatchNumber,
  revokeIntent,
  tokenBalance,
} from '#chain/distributor.ts';
import type { MarketChain } from '#chain/market-chain.ts';
import { MemoryTransactionStore } from '#chain/transactions.ts';
import type { Address } from '#domain/hex.ts';
import { parseUsd } from '#domain/money.ts';
import { dayOf, dayStart } from '#domain/window.ts';
import { type Clock, systemClock } from '#kit/clock.ts';
import { openTestChain, type TestChain } from '#support/chain.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { balanceOf, claimsFolder, earns, openSettler, providerWith } from '#support/settlement.ts';
import { auditMarket } from './audit.ts';
import { readClaims } from './publish.ts';
import { MerkleTree } from './tree.ts';

// A whole life of settlement on a real database and a real node: days follow on each other.

let fresh: FreshDatabase;
let node: TestChain;
let files: ReturnType<typeof claimsFolder>;
let day = dayOf(systemClock.wallMs()) - 10;
const clock: Clock = { ...systemClock, wallMs: () => dayStart(day) + 3_600_000 };

beforeAll(async () => {
  [fresh, node] = await Promise.all([freshDatabase(), openTestChain()]);
  files = claimsFolder();
}, 120_000);
afterAll(async () => {
  await node.close();
  await fresh.drop();
  files.remove();
});

const open = (more: Partial<Parameters<typeof openSettler>[0]> = {}) =>
  openSettler({
    database: fresh.database,
    chain: node.chain,
    contract: node.contracts.distributor,
    token: node.contracts.usdc,
    key: node.keys.operator,
    clock,
    folder: files.folder,
    ...more,
  });

/** Rounds until nothing is under way; chain time passes where a time lock is waited for. */
async function settled(settler = open().settler): Promise<void> {
  for (let n = 0; n < 50; n++) {
    const { step } = await settler.round();
    if (step === 'settled') return;
    if (step === 'locked' || step === 'previous-locked') await node.pass(61);
  }
  throw new Error('It never came to an end.');
}

async function claim(wallet: Address): Promise<string> {
  const { settler, store } = open();
  const last = await store.before(1_000);
  if (!last) throw new Error('There is no batch.');
  const { rows } = await readClaims(await settler.fileOf(last));
  const at = rows.findIndex(({ account }) => account === wallet);
  const proof = new MerkleTree(store.scope, rows).proofOf(at);
  const cumulative = rows[at]?.cumulative ?? 0n;
  const place = { distributor: node.contracts.distributor, token: node.contracts.usdc };
  const sender = new Sender({
    chain: node.chain,
    store: new MemoryTransactionStore(),
    key: node.keys.guardian,
    clock: systemClock,
    settings: { confirmations: 1, maxFeePerGas: 10n ** 13n, replaceAfterMs: 60_000 },
  });
  const { id } = await sender.send(claimIntent(place, { account: wallet, cumulative, proof }));
  return (await sender.settled(id, 5)).status;
}

const wallets = [1, 2, 3].map((i): Address => `0x${`${i}`.repeat(40)}`);
let providers: string[];

test('what providers earned by midnight becomes a batch, is claimed, and every figure is in the ledger', {
  timeout: 120_000,
}, async () => {
  const { database } = fresh;
  const yesterday = clock.wallMs() - 86_400_000;
  providers = [];
  for (const wallet of [wallets[0], wallets[1], null] as const) {
    providers.push(await providerWith(database, wallet ?? null, yesterday));
  }
  const [rich = '', poor = '', homeless = ''] = providers;
  await earns(database, rich, parseUsd('120.0000005'), yesterday);
  await earns(database, poor, parseUsd('49.99'), yesterday);
  await earns(database, homeless, parseUsd('70'), yesterday);
  await earns(database, rich, parseUsd('1000'), clock.wallMs());
  await settled();

  const { store } = open();
  const [batch] = await store.list(5);
  expect(batch).toMatchObject({ number: 1, state: 'confirmed', total: 120_000_000n, attempt: 1 });
  expect(await balanceOf(database, `provider:${rich}`)).toBe(parseUsd('1000.0000005'));
  expect(await balanceOf(database, `provider:${poor}`)).toBe(parseUsd('49.99'));
  expect(await balanceOf(database, `provider:${homeless}`)).toBe(parseUsd('70'));
  expect(await balanceOf(database, 'platform:claimable')).toBe(parseUsd('120'));

  expect(await claim(wallets[0] as Address)).toBe('done');
  await open().settler.round();
  expect(await tokenBalance(node.chain, node.contracts.usdc, wallets[0] as Address)).toBe(120_000_000n);
  expect(await balanceOf(database, 'platform:claimable')).toBe(0n);
  expect(await store.standingOf(wallets[0] as Address)).toEqual({
    promised: 120_000_000n,
    claimed: 120_000_000n,
  });
  // Again and again: nothing more is due for that day.
  await settled();
  expect(
    await lastBatchNumber(node.chain, { distributor: store.scope.contract, token: store.scope.token }),
  ).toBe(1);
});

test('how a batch went on is known afterwards: when, by which transactions, and what of it was collected', async () => {
  const { store } = open();
  const batch = await store.find(1);
  const trail = batch && (await store.trailOf(batch));
  expect(trail).toMatchObject({
    inForce: true,
    moves: {
      submitted: expect.any(Number),
      confirmed: expect.any(Number),
      'in-force': expect.any(Number),
    },
    collected: { accounts: 1, of: 1, units: 120_000_000n },
  });
  expect(trail?.moves).not.toHaveProperty('revoked');
  const receipts = await Promise.all((trail?.transactions ?? []).map(({ hash }) => node.chain.receipt(hash)));
  expect(receipts.map((receipt) => receipt?.block)).toEqual(trail?.transactions.map(({ block }) => block));
  expect(trail?.transactions.map(({ purpose, outcome }) => [purpose, outcome])).toEqual([
    ['funding', 'done'],
    ['publishing', 'done'],
  ]);
});

test('two programs that settle the same day at once make one batch', { timeout: 120_000 }, async () => {
  day += 1;
  await earns(fresh.database, providers[1] as string, parseUsd('10'), clock.wallMs() - 7_200_000);
  const workers = [1, 2, 3].map(() => open({ database: fresh.another({ maxConnections: 2 }) }).settler);
  for (let n = 0; n < 6; n++) {
    // One that comes second may find its transaction sent on other terms, and says so; the next round is right again.
    await Promise.allSettled(workers.map((worker) => worker.round()));
    await node.pass(61);
  }
  await settled();
  const { store } = open();
  const batches = await store.list(5);
  expect(batches.map(({ number, increase }) => [number, increase])).toEqual([
    [2, 1_059_990_000n],
    [1, 120_000_000n],
  ]);
  expect(await balanceOf(fresh.database, 'platform:claimable')).toBe(parseUsd('1059.99'));
});

test('a batch that the guardian revokes goes back into the balances and is paid by the next', {
  timeout: 120_000,
}, async () => {
  day += 1;
  const { database } = fresh;
  const [rich = ''] = providers;
  await earns(database, rich, parseUsd('80'), clock.wallMs() - 7_200_000);
  const { settler, store } = open();
  for (let n = 0; (await store.last())?.state !== 'confirmed' || (await store.last())?.number === 2; n++) {
    if (n === 20) throw new Error('It was never published.');
    await settler.round();
  }
  const guardian = new Sender({
    chain: node.chain,
    store: new MemoryTransactionStore(),
    key: node.keys.guardian,
    clock: systemClock,
    settings: { confirmations: 1, maxFeePerGas: 10n ** 13n, replaceAfterMs: 60_000 },
  });
  const place = { distributor: node.contracts.distributor, token: node.contracts.usdc };
  const { id } = await guardian.send(revokeIntent(place, 3));
  expect((await guardian.settled(id, 5)).status).toBe('done');
  await settler.round();
  expect(await store.last()).toMatchObject({ number: 3, state: 'revoked' });
  expect(await balanceOf(database, `provider:${rich}`)).toBe(parseUsd('80.0000005'));
  await settler.settle(day);
  await settled();
  const [next] = await store.list(1);
  expect(next).toMatchObject({ number: 4, state: 'confirmed', increase: 80_000_000n });
  expect(next?.previous).toBe((await store.find(2))?.claimsHash);
  expect(await claim(wallets[0] as Address)).toBe('done');
  expect(await claim(wallets[1] as Address)).toBe('done');
  await settler.round();
  expect(await balanceOf(database, 'platform:claimable')).toBe(0n);
});

test('on a chain that makes blocks with transactions alone, a batch is in force when its time lock is over', {
  timeout: 60_000,
}, async () => {
  day += 1;
  await earns(fresh.database, providers[0] as string, parseUsd('90'), clock.wallMs() - 7_200_000);
  for (let n = 0; (await open().settler.round()).step !== 'locked'; n++) {
    if (n === 20) throw new Error('It was never published.');
  }
  const { store } = open();
  const place = { distributor: store.scope.contract, token: store.scope.token };
  const { activeAt } = await batchWaiting(node.chain, place);
  // Time passes, and nobody sends a transaction: the newest block stays the one in which the batch was published.
  await node.ask('evm_increaseTime', 61);
  const head = await node.chain.head();
  const at = (wallS: number) => ({ ...clock, wallMs: () => wallS * 1_000 });
  const makeBlock = (): Promise<void> => node.pass(0);
  expect((await open({ clock: at(activeAt) }).settler.carryOn()).step).toBe('locked');
  expect((await open({ clock: at(activeAt - 1), makeBlock }).settler.carryOn()).step).toBe('locked');
  expect(await node.chain.head()).toBe(head);
  const { settler } = open({ clock: at(activeAt), makeBlock });
  expect((await settler.carryOn()).step).toBe('settled');
  // One block was enough, and no more are made.
  await settler.carryOn();
  expect(await node.chain.head()).toBe(head + 1n);
});

test('a file is written with the same bytes again, however often it is lost', async () => {
  const { settler, store } = open();
  const [batch] = await store.list(1);
  if (!batch) throw new Error('There is no batch.');
  const bytes = readFileSync(await settler.fileOf(batch));
  files.remove();
  expect(readFileSync(await settler.fileOf(batch))).toEqual(bytes);
});

test('bug: the audit of a ledger older than the chain failed where the node had no state of its last block, and said nothing', {
  timeout: 60_000,
}, async () => {
  const restored = await freshDatabase();
  try {
    const { store } = open({ database: restored.database });
    // A node that was started anew knows the state of the newest blocks only; it refuses others as it does those to come.
    store.cursor = async () => ({ block: 1_000_000_000n, hash: `0x${'0'.repeat(64)}` }) as never;
    const chain = { chain: node.chain, firstBlock: 0n, assets: [] as MarketChain['assets'] } as MarketChain;
    const found = await auditMarket({ database: restored.database, store, chain });
    expect(found.differences).toContainEqual(
      expect.objectContaining({ what: 'The chain has another number of batches. Was a backup restored?' }),
    );
  } finally {
    await restored.drop();
  }
});

test('bug: papers and burns that are not the ledger were no difference of the audit', async () => {
  const empty = await freshDatabase();
  try {
    const { database } = empty;
    expect((await auditMarket({ database })).differences).toEqual([]);
    const lost = { what: 'A burn and its entry differ.', where: 'burn:1', found: 'null', expected: '1' };
    expect(await auditMarket({ database, papers: async () => [lost] })).toMatchObject({
      balanced: false,
      differences: [lost],
    });
  } finally {
    await empty.drop();
  }
});

test('a ledger restored from an older backup is told by the chain, and pays nothing', {
  timeout: 60_000,
}, async () => {
  const restored = await freshDatabase();
  try {
    const { settler } = open({ database: restored.database });
    const provider = await providerWith(restored.database, wallets[2] as Address, clock.wallMs());
    await earns(restored.database, provider, parseUsd('500'), clock.wallMs() - 86_400_000);
    await expect(settler.round()).rejects.toMatchObject({
      code: 'settlement-stopped',
      message: expect.stringContaining('was a backup restored?'),
    });
    await expect(settler.settle(day)).rejects.toMatchObject({ code: 'settlement-stopped' });
    expect(await balanceOf(restored.database, `provider:${provider}`)).toBe(parseUsd('500'));
  } finally {
    await restored.drop();
  }
});
