import { encodeFunctionData } from 'viem';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Address, Hex } from '#domain/hex.ts';
import { systemClock } from '#kit/clock.ts';
import type { Sealed } from '#kit/sealed.ts';
import { openTestChain, type TestChain } from '#support/chain.ts';
import { providerCollateralAbi, testTokenAbi } from './artifacts.ts';
import { Sender } from './client.ts';
import { collateralEvents, depositsIn, freezeIntent, pledgeOf, slashIntent } from './collateral.ts';
import {
  batchInForce,
  batchWaiting,
  claimedBy,
  claimIntent,
  distributorEvents,
  fundedWith,
  lastBatchNumber,
  publishIntent,
  revokeIntent,
} from './distributor.ts';
import { addressOf } from './local-chain.ts';
import { type Intent, MemoryTransactionStore } from './transactions.ts';
import { cursorBefore } from './watch.ts';

let node: TestChain;
let snapshot: unknown;
beforeAll(async () => {
  node = await openTestChain();
});
afterAll(() => node.close());
beforeEach(async () => {
  snapshot = await node.ask('evm_snapshot');
});
afterEach(async () => {
  await node.ask('evm_revert', snapshot);
});

/** Sends and waits until it is in a block; its hash. */
async function act(key: Sealed<Hex>, intent: Intent): Promise<Hex> {
  const sender = new Sender({
    chain: node.chain,
    store: new MemoryTransactionStore(),
    key,
    clock: systemClock,
    settings: { confirmations: 1, maxFeePerGas: 10n ** 12n, replaceAfterMs: 60_000 },
  });
  await sender.send(intent);
  const outcome = await sender.settled(intent.id, 5);
  expect(outcome.status).toBe('done');
  return outcome.hash as Hex;
}

const token = (name: 'transfer' | 'approve', to: Address, amount: bigint): Intent => ({
  id: `${name} ${to} ${amount}`,
  to: node.contracts.usdc,
  data: encodeFunctionData({ abi: testTokenAbi, functionName: name, args: [to, amount] }),
});
const balanceOf = (account: Address): Promise<unknown> =>
  node.chain.read({ address: node.contracts.usdc, abi: testTokenAbi, name: 'balanceOf', args: [account] });

describe('the distributor', () => {
  const batch = {
    number: 1,
    root: `0x${'ab'.repeat(32)}`,
    increase: 70n,
    total: 70n,
    claimsHash: `0x${'cd'.repeat(32)}`,
  } as const;

  test('says what is funded, what waits, and what is in force', async () => {
    const place = { distributor: node.contracts.distributor, token: node.contracts.usdc };
    const from = await cursorBefore(node.chain, (await node.chain.head()) + 1n);
    expect(await batchInForce(node.chain, place)).toMatchObject({ number: 0, total: 0n });
    await act(node.keys.operator, token('transfer', place.distributor, 100n));
    expect(await fundedWith(node.chain, place)).toBe(100n);
    await act(node.keys.operator, publishIntent(place, batch));
    expect(await batchWaiting(node.chain, place)).toMatchObject({ number: 1, root: batch.root, total: 70n });
    expect(await batchInForce(node.chain, place)).toMatchObject({ number: 0 });
    await node.pass(61);
    expect(await batchWaiting(node.chain, place)).toMatchObject({ number: 0 });
    expect(await batchInForce(node.chain, place)).toMatchObject({ number: 1, root: batch.root });
    expect(await lastBatchNumber(node.chain, place)).toBe(1);
    await act(node.keys.operator, publishIntent(place, { ...batch, number: 2, increase: 0n }));
    await act(node.keys.guardian, revokeIntent(place, 2));
    expect(await batchWaiting(node.chain, place)).toMatchObject({ number: 0 });
    expect(await lastBatchNumber(node.chain, place)).toBe(2);

    const { events } = await distributorEvents(node.chain, {
      distributor: place.distributor,
      cursor: from,
      confirmations: 1,
    });
    expect(events.map((event) => event.eventName)).toEqual([
      'BatchPublished',
      'BatchPublished',
      'BatchRevoked',
    ]);
    expect(events[0]?.args).toMatchObject({
      number: 1n,
      increase: 70n,
      total: 70n,
      claimsHash: batch.claimsHash,
    });
  });

  test('pays a claim whose tree is its one leaf', async () => {
    const place = { distributor: node.contracts.distributor, token: node.contracts.usdc };
    const account: Address = `0x${'99'.repeat(20)}`;
    const leaf = (await node.chain.read({
      address: place.distributor,
      abi: (await import('./artifacts.ts')).merkleDistributorAbi,
      name: 'leafOf',
      args: [place.token, account, 70n],
    })) as Hex;
    await act(node.keys.operator, token('transfer', place.distributor, 100n));
    await act(node.keys.operator, publishIntent(place, { ...batch, root: leaf }));
    await node.pass(61);
    const [someone] = node.keys.demo;
    await act(someone as Sealed<Hex>, claimIntent(place, { account, cumulative: 70n, proof: [] }));
    expect(await claimedBy(node.chain, place, account)).toBe(70n);
    expect(await balanceOf(account)).toBe(70n);
    expect(await fundedWith(node.chain, place)).toBe(100n);
  });

  test('a batch is one intent however often it is made', () => {
    const place = { distributor: node.contracts.distributor, token: node.contracts.usdc };
    expect(publishIntent(place, batch)).toEqual(publishIntent(place, { ...batch }));
    expect(publishIntent(place, batch).id).not.toBe(publishIntent(place, { ...batch, number: 2 }).id);
  });
});

describe('a deposit of collateral', () => {
  const depositor = (): Sealed<Hex> => node.keys.demo[0] as Sealed<Hex>;
  const deposit = async (amount: bigint): Promise<Hex> => {
    await act(depositor(), token('approve', node.contracts.collateral, amount));
    return await act(depositor(), {
      id: `deposit ${amount}`,
      to: node.contracts.collateral,
      data: encodeFunctionData({
        abi: providerCollateralAbi,
        functionName: 'deposit',
        args: [node.contracts.usdc, amount],
      }),
    });
  };
  const finding = (transaction: Hex): ReturnType<typeof depositsIn> =>
    depositsIn(node.chain, { collateral: node.contracts.collateral, transaction, confirmations: 3 });

  test('counts when its block is deep enough, with account, token and what arrived', async () => {
    const hash = await deposit(20_000_000n);
    expect(await finding(hash)).toEqual({ state: 'shallow', depth: 1 });
    await node.mine(2);
    expect(await finding(hash)).toEqual({
      state: 'deposited',
      deposits: [
        {
          id: expect.stringMatching(new RegExp(`^${hash}:\\d+$`)),
          account: addressOf(depositor()),
          token: node.contracts.usdc,
          received: 20_000_000n,
        },
      ],
    });
  });

  test('that a reorganisation took away is absent', async () => {
    const hash = await deposit(20_000_000n);
    await node.reorganise(1);
    await node.mine(3);
    expect(await finding(hash)).toEqual({ state: 'absent' });
  });

  test('is not what another contract says, and not a plain transfer', async () => {
    // A token transfer to the contract is no deposit: nobody is credited.
    const plain = await act(depositor(), token('transfer', node.contracts.collateral, 5n));
    await node.mine(3);
    expect(await finding(plain)).toEqual({ state: 'other' });
    // A real deposit, in a contract that is not ours.
    const hash = await deposit(7n);
    await node.mine(3);
    expect(
      await depositsIn(node.chain, {
        collateral: node.contracts.distributor,
        transaction: hash,
        confirmations: 3,
      }),
    ).toEqual({ state: 'other' });
    expect(await finding(`0x${'12'.repeat(32)}`)).toEqual({ state: 'absent' });
  });

  test('can be slashed once for a reason, frozen, and followed by events', async () => {
    const { collateral, usdc } = node.contracts;
    const account = addressOf(depositor());
    const from = await cursorBefore(node.chain, (await node.chain.head()) + 1n);
    await deposit(100n);
    const slash = { account, token: usdc, amount: 10n, reason: `0x${'01'.repeat(32)}` } as const;
    await act(node.keys.operator, slashIntent(collateral, slash));
    await expect(act(node.keys.operator, slashIntent(collateral, slash))).rejects.toMatchObject({
      code: 'chain-reverted',
    });
    expect(await pledgeOf(node.chain, { collateral, token: usdc, account })).toEqual({
      locked: 90n,
      waiting: 0n,
      refundableAt: 0,
    });
    const { timestamp } = (await node.chain.block(await node.chain.head())) as { timestamp: bigint };
    await act(
      node.keys.operator,
      freezeIntent(collateral, { account, until: Number(timestamp) + 86_400, dispute: 'dis_1' }),
    );
    const { events } = await collateralEvents(node.chain, { collateral, cursor: from, confirmations: 1 });
    expect(events.map((event) => event.eventName)).toEqual(['Deposited', 'Slashed', 'AccountFrozen']);
  });
});
