import { encodeFunctionData } from 'viem';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { systemClock } from '#kit/clock.ts';
import { type MeddlingRpc, openMeddlingRpc, openTestChain, type TestChain } from '#support/chain.ts';
import { testTokenAbi } from './artifacts.ts';
import { Sender } from './client.ts';
import { openChain } from './rpc.ts';
import { MemoryTransactionStore } from './transactions.ts';
import { type Cursor, cursorBefore, readEvents } from './watch.ts';

let node: TestChain;
let rpc: MeddlingRpc;
let snapshot: unknown;
beforeAll(async () => {
  node = await openTestChain();
  rpc = await openMeddlingRpc(node.url);
});
afterAll(async () => {
  await rpc.close();
  await node.close();
});
beforeEach(async () => {
  snapshot = await node.ask('evm_snapshot');
});
afterEach(async () => {
  rpc.meddle.clear();
  await node.ask('evm_revert', snapshot);
});

const receiver = `0x${'77'.repeat(20)}` as const;
let transfers = 0;

/** A transfer in a block of its own. */
async function transfer(amount: bigint, token = node.contracts.usdc): Promise<void> {
  const sender = new Sender({
    chain: node.chain,
    store: new MemoryTransactionStore(),
    key: node.keys.operator,
    clock: systemClock,
    settings: { confirmations: 1, maxFeePerGas: 10n ** 12n, replaceAfterMs: 60_000 },
  });
  const data = encodeFunctionData({ abi: testTokenAbi, functionName: 'transfer', args: [receiver, amount] });
  await sender.send({ id: `transfer ${transfers++}`, to: token, data });
}

/** Reads on until nothing more is deep enough; the amounts seen. */
async function readAll(from: Cursor, blocksMax = 2_000): Promise<{ amounts: bigint[]; cursor: Cursor }> {
  const chain = await openChain({ urls: [rpc.url], chainId: 31_337 });
  const amounts: bigint[] = [];
  let cursor = from;
  for (;;) {
    const reading = await readEvents(chain, {
      addresses: [node.contracts.usdc],
      abi: testTokenAbi,
      cursor,
      confirmations: 12,
      blocksMax,
    });
    for (const event of reading.events) if (event.eventName === 'Transfer') amounts.push(event.args.value);
    cursor = reading.cursor;
    if (reading.behind === 0n) return { amounts, cursor };
  }
}

const start = async (): Promise<Cursor> => cursorBefore(node.chain, (await node.chain.head()) + 1n);

test('an event is seen when its block is deep enough, once', async () => {
  const from = await start();
  await transfer(1n);
  await node.mine(10);
  const early = await readAll(from);
  expect(early.amounts).toEqual([]);
  await node.mine(1);
  const late = await readAll(early.cursor);
  expect(late.amounts).toEqual([1n]);
  await node.mine(20);
  expect((await readAll(late.cursor)).amounts).toEqual([]);
});

test('events come in order, and those of other contracts not at all', async () => {
  const from = await start();
  for (const amount of [3n, 1n, 2n]) {
    await transfer(amount);
    await transfer(9n, node.contracts.usdt);
  }
  await node.mine(12);
  expect((await readAll(from)).amounts).toEqual([3n, 1n, 2n]);
});

test.each([1, 6, 11])('a reorganisation of %i blocks neither repeats nor invents an event', async (depth) => {
  const from = await start();
  await transfer(1n);
  await node.mine(11);
  const first = await readAll(from);
  expect(first.amounts).toEqual([1n]);
  await node.reorganise(depth);
  await transfer(2n);
  await node.mine(12);
  const second = await readAll(first.cursor);
  expect(second.amounts).toEqual([2n]);
});

test('an event that a reorganisation took away is never seen', async () => {
  const from = await start();
  await transfer(1n);
  await node.mine(5);
  const { cursor } = await readAll(from);
  await node.reorganise(6);
  await node.mine(20);
  expect((await readAll(cursor)).amounts).toEqual([]);
});

test('a reorganisation below what was read stops the reading', async () => {
  const from = await start();
  await transfer(1n);
  await node.mine(11);
  const { cursor } = await readAll(from);
  await node.reorganise(12);
  await node.mine(12);
  await expect(readAll(cursor)).rejects.toMatchObject({ code: 'chain-reorganised' });
});

test('a chain that became shorter than what was read stops the reading', async () => {
  const from = await start();
  await node.mine(30);
  const { cursor } = await readAll(from);
  await node.ask('anvil_rollback', 25);
  await expect(readAll(cursor)).rejects.toMatchObject({ code: 'chain-reorganised' });
});

test('many blocks are read in pages, and nothing between them is lost', async () => {
  const from = await start();
  for (const amount of [1n, 2n, 3n]) {
    await transfer(amount);
    await node.mine(29);
  }
  await node.mine(12);
  rpc.calls.length = 0;
  expect((await readAll(from, 30)).amounts).toEqual([1n, 2n, 3n]);
  expect(rpc.calls.filter((call) => call === 'eth_getLogs').length).toBe(4);
});

test('events out of order, of other blocks, or of a chain rebuilt meanwhile are refused', async () => {
  const from = await start();
  await transfer(1n);
  await transfer(2n);
  await node.mine(12);
  type Logs = { blockNumber: string }[];
  rpc.meddle.set('eth_getLogs', async (_, forward) => ((await forward()) as Logs).toReversed());
  await expect(readAll(from)).rejects.toMatchObject({ code: 'chain-disagrees' });
  rpc.meddle.set('eth_getLogs', async (_, forward) =>
    ((await forward()) as Logs).map((log) => ({ ...log, blockNumber: '0x1' })),
  );
  await expect(readAll(from)).rejects.toMatchObject({ code: 'chain-disagrees' });
  let asked = 0;
  rpc.meddle.set('eth_getLogs', (_, forward) => forward());
  rpc.meddle.set('eth_getBlockByNumber', async (_, forward) => {
    const block = (await forward()) as { hash: string };
    return ++asked === 3 ? { ...block, hash: `0x${'11'.repeat(32)}` } : block;
  });
  await expect(readAll(from)).rejects.toMatchObject({ code: 'chain-disagrees' });
});

test('an event that one of two servers hides is not passed over', async () => {
  const from = await start();
  await transfer(1n);
  await node.mine(12);
  rpc.meddle.set('eth_getLogs', () => []);
  const chain = await openChain({ urls: [rpc.url, node.url], chainId: 31_337 });
  const reading = readEvents(chain, {
    addresses: [node.contracts.usdc],
    abi: testTokenAbi,
    cursor: from,
    confirmations: 12,
  });
  await expect(reading).rejects.toMatchObject({ code: 'chain-disagrees' });
});
