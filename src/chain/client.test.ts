import { encodeFunctionData } from 'viem';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Hex } from '#domain/hex.ts';
import { systemClock } from '#kit/clock.ts';
import { Sealed } from '#kit/sealed.ts';
import { type MeddlingRpc, openMeddlingRpc, openTestChain, type TestChain } from '#support/chain.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { testTokenAbi } from './artifacts.ts';
import { Sender, type SenderSettings } from './client.ts';
import { addressOf } from './local-chain.ts';
import { type Chain, openChain } from './rpc.ts';
import { type Intent, MemoryTransactionStore, type TransactionStore } from './transactions.ts';

let node: TestChain;
let rpc: MeddlingRpc;
let snapshot: unknown;
let clock: VirtualClock;
let store: MemoryTransactionStore;

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
  clock = new VirtualClock();
  store = new MemoryTransactionStore();
});
afterEach(async () => {
  rpc.meddle.clear();
  await node.ask('evm_setAutomine', true);
  await node.ask('anvil_dropAllTransactions');
  await node.ask('evm_revert', snapshot);
});

const GWEI = 10n ** 9n;
const settings: SenderSettings = { confirmations: 12, maxFeePerGas: 100n * GWEI, replaceAfterMs: 60_000 };
const open = (urls = [rpc.url]): Promise<Chain> => openChain({ urls, chainId: 31_337, timeoutMs: 5_000 });

async function senderOf(
  parts: {
    chain?: Chain;
    store?: TransactionStore;
    key?: Sealed<Hex>;
    settings?: Partial<SenderSettings>;
    beforeFinal?: () => Promise<void>;
  } = {},
): Promise<Sender> {
  return new Sender({
    chain: parts.chain ?? (await open()),
    store: parts.store ?? store,
    key: parts.key ?? node.keys.operator,
    clock,
    settings: { ...settings, ...parts.settings },
    ...(parts.beforeFinal && { beforeFinal: parts.beforeFinal }),
  });
}

const receiver = `0x${'77'.repeat(20)}` as const;
const transfer = (id: string, amount: bigint): Intent => ({
  id,
  to: node.contracts.usdc,
  data: encodeFunctionData({ abi: testTokenAbi, functionName: 'transfer', args: [receiver, amount] }),
});
const received = async (): Promise<unknown> =>
  node.chain.read({ address: node.contracts.usdc, abi: testTokenAbi, name: 'balanceOf', args: [receiver] });

test('an intent is stored with its signed transaction before it is sent', async () => {
  const order: string[] = [];
  const watched = new MemoryTransactionStore();
  const add = watched.add.bind(watched);
  watched.add = async (transaction) => {
    order.push(`stored ${transaction.versions.length} signed`);
    return await add(transaction);
  };
  rpc.meddle.set('eth_sendRawTransaction', (_, forward) => {
    order.push('sent');
    return forward();
  });
  await (await senderOf({ store: watched })).send(transfer('a', 5n));
  expect(order).toEqual(['stored 1 signed', 'sent']);
});

test('an intent is final when its block is deep enough, and no earlier', async () => {
  const final: string[] = [];
  const sender = await senderOf({
    beforeFinal: async () => void final.push('made durable'),
  });
  await sender.send(transfer('a', 5n));
  await node.mine(10);
  expect(await sender.advance()).toMatchObject({ finished: [], open: 1 });
  await node.mine(1);
  const { finished, open: left } = await sender.advance();
  expect(finished).toMatchObject([{ id: 'a', outcome: { status: 'done' } }]);
  expect(final).toEqual(['made durable']);
  expect(left).toBe(0);
  expect(await received()).toBe(5n);
});

describe('the same id', () => {
  test('is done once, however often it is asked for', async () => {
    const sender = await senderOf();
    const first = await sender.send(transfer('a', 5n));
    expect(await sender.send(transfer('a', 5n))).toEqual(first);
    await node.mine(12);
    await sender.advance();
    expect((await sender.send(transfer('a', 5n))).outcome?.status).toBe('done');
    expect(await received()).toBe(5n);
  });

  test('with other terms is refused', async () => {
    const sender = await senderOf();
    await sender.send(transfer('a', 5n));
    await expect(sender.send(transfer('a', 6n))).rejects.toThrow('sent before with other terms');
  });

  test('from two processes at once is done once, and twenty others each once', async () => {
    const senders = [await senderOf(), await senderOf()];
    const ids = Array.from({ length: 20 }, (_, i) => `intent ${i}`);
    await Promise.all(ids.flatMap((id) => senders.map((sender) => sender.send(transfer(id, 1n)))));
    await node.mine(12);
    await senders[0]?.advance();
    const all = await Promise.all(ids.map((id) => store.find(id)));
    expect(all.map((one) => one?.outcome?.status)).toEqual(ids.map(() => 'done'));
    expect(new Set(all.map((one) => one?.nonce)).size).toBe(20);
    expect(await received()).toBe(20n);
  });
});

describe('what dies on the way', () => {
  test('a crash between storing and sending is healed by the next round of the next process', async () => {
    rpc.meddle.set('eth_sendRawTransaction', () => null);
    await (await senderOf()).send(transfer('a', 5n));
    expect(await received()).toBe(0n);
    rpc.meddle.clear();
    const next = await senderOf();
    await next.advance();
    await node.mine(12);
    expect((await next.advance()).finished).toMatchObject([{ id: 'a', outcome: { status: 'done' } }]);
    expect(await received()).toBe(5n);
  });

  test('a server that accepts and answers with an error changes nothing', async () => {
    rpc.meddle.set('eth_sendRawTransaction', async (_, forward) => {
      await forward();
      throw new Error('nonce too low');
    });
    const sender = await senderOf();
    await sender.send(transfer('a', 5n));
    await sender.send(transfer('a', 5n));
    await node.mine(12);
    expect((await sender.advance()).finished).toMatchObject([{ outcome: { status: 'done' } }]);
    expect(await received()).toBe(5n);
  });

  test('a server that answers yes and sends nothing is asked again', async () => {
    let lost = 0;
    rpc.meddle.set('eth_sendRawTransaction', (_, forward) =>
      lost++ < 2 ? `0x${'00'.repeat(32)}` : forward(),
    );
    const sender = await senderOf();
    await sender.send(transfer('a', 5n));
    await sender.advance();
    await sender.advance();
    await node.mine(12);
    expect((await sender.advance()).finished).toMatchObject([{ outcome: { status: 'done' } }]);
  });

  test('while no server answers nothing is sent and nothing is lost', async () => {
    const gone = await openMeddlingRpc(node.url);
    const chain = await open([gone.url]);
    const sender = await senderOf({ chain });
    await sender.send(transfer('a', 5n));
    await gone.close();
    await expect(sender.send(transfer('b', 5n))).rejects.toMatchObject({ code: 'chain-unreachable' });
    await expect(sender.advance()).rejects.toMatchObject({ code: 'chain-unreachable' });
    expect(await store.find('b')).toBeUndefined();
    const next = await senderOf();
    await node.mine(12);
    expect((await next.advance()).finished).toMatchObject([{ id: 'a', outcome: { status: 'done' } }]);
  });

  test.each([1, 5, 11])(
    'a reorganisation of %i blocks brings it back, and it happens once',
    async (depth) => {
      const sender = await senderOf();
      await sender.send(transfer('a', 5n));
      await node.mine(depth - 1);
      await node.reorganise(depth);
      expect(await received()).toBe(0n);
      expect(await sender.advance()).toMatchObject({ finished: [], open: 1 });
      await node.mine(12);
      expect((await sender.advance()).finished).toMatchObject([{ outcome: { status: 'done' } }]);
      expect(await received()).toBe(5n);
    },
  );

  test('a store that fails after signing leaves nothing sent', async () => {
    const failing = new MemoryTransactionStore();
    failing.add = () => Promise.reject(new Error('disk full'));
    const sender = await senderOf({ store: failing });
    await expect(sender.send(transfer('a', 5n))).rejects.toThrow('disk full');
    expect(await received()).toBe(0n);
    expect(rpc.calls.at(-1)).not.toBe('eth_sendRawTransaction');
  });
});

describe('what is stuck', () => {
  beforeEach(async () => {
    await node.ask('evm_setAutomine', false);
  });

  test('is signed anew with the same nonce and a higher fee, and happens once', async () => {
    const sender = await senderOf();
    const first = await sender.send(transfer('a', 5n));
    await clock.advance(59_999);
    await sender.advance();
    expect((await store.find('a'))?.versions.length).toBe(1);
    await clock.advance(1);
    await sender.advance();
    const after = await store.find('a');
    expect(after?.nonce).toBe(first.nonce);
    expect(after?.versions.length).toBe(2);
    const [old, raised] = after?.versions ?? [];
    expect(raised?.maxFeePerGas).toBeGreaterThanOrEqual(((old?.maxFeePerGas ?? 0n) * 9n) / 8n);
    expect(raised?.maxPriorityFeePerGas).toBeGreaterThanOrEqual(
      ((old?.maxPriorityFeePerGas ?? 0n) * 9n) / 8n,
    );
    await node.mine(12);
    expect((await sender.advance()).finished).toMatchObject([
      { outcome: { status: 'done', hash: raised?.hash } },
    ]);
    expect(await received()).toBe(5n);
  });

  test('can still happen in its first version', async () => {
    const sender = await senderOf();
    const first = await sender.send(transfer('a', 5n));
    rpc.meddle.set('eth_sendRawTransaction', () => {
      throw new Error('replacement transaction underpriced');
    });
    await clock.advance(60_000);
    await sender.advance();
    expect((await store.find('a'))?.versions.length).toBe(2);
    await node.mine(12);
    expect((await sender.advance()).finished).toMatchObject([
      { outcome: { status: 'done', hash: first.versions[0]?.hash } },
    ]);
  });

  test('never offers more than the limit', async () => {
    const limit = 4n * GWEI;
    const sender = await senderOf({ settings: { maxFeePerGas: limit } });
    await sender.send(transfer('a', 5n));
    for (let round = 0; round < 25; round++) {
      await clock.advance(60_000);
      await sender.advance();
    }
    const fees = (await store.find('a'))?.versions.map((one) => one.maxFeePerGas) ?? [];
    expect(fees.length).toBeLessThan(25);
    for (const fee of fees) expect(fee).toBeLessThanOrEqual(limit);
  });

  test('holds nobody up who comes after it for longer than it waits', async () => {
    const sender = await senderOf();
    for (const id of ['a', 'b', 'c']) await sender.send(transfer(id, 1n));
    await node.mine(12);
    expect((await sender.advance()).finished.map(({ id }) => id)).toEqual(['a', 'b', 'c']);
  });
});

describe('what goes wrong on chain', () => {
  test('a call that would fail is refused before anything is signed', async () => {
    const sender = await senderOf();
    await expect(sender.send(transfer('a', 10n ** 30n))).rejects.toMatchObject({ code: 'chain-reverted' });
    expect(await store.find('a')).toBeUndefined();
  });

  test('a call that fails on chain is told apart from one that was done', async () => {
    await node.ask('evm_setAutomine', false);
    const sender = await senderOf();
    // Each would do alone; together they are more than the account has.
    rpc.meddle.set('eth_estimateGas', () => '0x186a0');
    await sender.send(transfer('a', 600_000_000_000n));
    await sender.send(transfer('b', 600_000_000_000n));
    await node.mine(12);
    expect((await sender.advance()).finished).toMatchObject([
      { id: 'a', outcome: { status: 'done' } },
      { id: 'b', outcome: { status: 'reverted' } },
    ]);
  });

  test('a nonce that somebody else used is found once it is deep, and not before', async () => {
    rpc.meddle.set('eth_sendRawTransaction', () => null);
    const sender = await senderOf();
    await sender.send(transfer('a', 5n));
    rpc.meddle.clear();
    const thief = new Sender({
      chain: await open([node.url]),
      store: new MemoryTransactionStore(),
      key: node.keys.operator,
      clock: systemClock,
      settings,
    });
    await thief.send(transfer('theft', 7n));
    expect((await sender.advance()).finished).toEqual([]);
    await node.mine(12);
    expect((await sender.advance()).finished).toEqual([{ id: 'a', outcome: { status: 'displaced' } }]);
  });
});

describe('servers that lie', () => {
  test('a server on another chain is refused at the start, and when it changes its chain', async () => {
    await expect(openChain({ urls: [node.url], chainId: 254 })).rejects.toThrow('on chain 31337');
    const sender = await senderOf();
    rpc.meddle.set('eth_chainId', () => '0xfe');
    await expect(sender.send(transfer('a', 5n))).rejects.toMatchObject({ code: 'chain-disagrees' });
    await expect(sender.advance()).rejects.toMatchObject({ code: 'chain-disagrees' });
    expect(await store.find('a')).toBeUndefined();
  });

  test('a receipt that only one of two servers has gives no outcome', async () => {
    const sender = await senderOf({ chain: await open([rpc.url, node.url]) });
    await node.ask('evm_setAutomine', false);
    const { versions } = await sender.send(transfer('a', 5n));
    await node.mine(12);
    rpc.meddle.set('eth_getTransactionReceipt', async (_, forward) => ({
      ...((await forward()) as object),
      status: '0x0',
    }));
    await expect(sender.advance()).rejects.toMatchObject({ code: 'chain-disagrees' });
    expect((await store.find('a'))?.outcome).toBeUndefined();
    rpc.meddle.clear();
    expect((await sender.advance()).finished).toMatchObject([{ outcome: { hash: versions[0]?.hash } }]);
  });

  test('a receipt of a block that is no longer in the chain gives no outcome', async () => {
    const sender = await senderOf();
    await sender.send(transfer('a', 5n));
    await node.mine(12);
    rpc.meddle.set('eth_getTransactionReceipt', async (_, forward) => ({
      ...((await forward()) as object),
      blockHash: `0x${'11'.repeat(32)}`,
    }));
    expect((await sender.advance()).finished).toEqual([]);
  });

  test('a server that is ahead makes nothing final before the other has it', async () => {
    const sender = await senderOf({ chain: await open([rpc.url, node.url]) });
    await sender.send(transfer('a', 5n));
    rpc.meddle.set('eth_blockNumber', () => '0xffff');
    expect(await sender.advance()).toMatchObject({ finished: [], open: 1 });
  });

  test('a dishonest fee is cut at the limit', async () => {
    rpc.meddle.set('eth_maxPriorityFeePerGas', () => `0x${(10n ** 18n).toString(16)}`);
    const { versions } = await (await senderOf()).send(transfer('a', 5n));
    expect(versions[0]?.maxFeePerGas).toBe(settings.maxFeePerGas);
    expect(versions[0]?.maxPriorityFeePerGas).toBeLessThanOrEqual(settings.maxFeePerGas);
  });
});

test('a key is never printed', async () => {
  const sender = await senderOf({ key: new Sealed(node.keys.operator.open()) });
  expect(JSON.stringify(sender)).not.toContain(node.keys.operator.open().slice(2));
  expect(sender.address).toBe(addressOf(node.keys.operator));
});
