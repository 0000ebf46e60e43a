import assert from 'node:assert/strict';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Sender } from '#chain/client.ts';
import { AddressTree, depositKeyFrom, xpubOf } from '#chain/derived-address.ts';
import { openChain } from '#chain/rpc.ts';
import { MemoryTransactionStore } from '#chain/transactions.ts';
import { sendIntent } from '#chain/transfers.ts';
import type { Database } from '#db/database.ts';
import type { ChainAsset } from '#domain/chain-settings.ts';
import type { Address } from '#domain/hex.ts';
import { parseUsd } from '#domain/money.ts';
import { systemClock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import { silentLog } from '#kit/log.ts';
import { audit } from '#ledger/audit.ts';
import { openMeddlingRpc, openTestChain, type TestChain } from '#support/chain.ts';
import { makeConsumer, operatorsBook } from '#support/parties.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { CryptoDeposits } from './crypto-deposits.ts';
import { DepositAddresses } from './deposit-addresses.ts';
import { Deposits } from './deposits.ts';
import { setRate } from './rates.ts';

const CONFIRMATIONS = 3;
const tree = new AddressTree(xpubOf(depositKeyFrom(Buffer.alloc(32, 7))));

let fresh: FreshDatabase;
let node: TestChain;
let assets: ChainAsset[];
beforeAll(async () => {
  [fresh, node] = await Promise.all([freshDatabase(), openTestChain()]);
  const { usdc, usdt, swan } = node.contracts;
  assets = [
    { asset: 'USDC', token: usdc, decimals: 6 },
    { asset: 'USDT', token: usdt, decimals: 6 },
    { asset: 'SWAN', token: swan, decimals: 18 },
  ];
}, 60_000);
afterAll(async () => {
  const report = await audit(fresh.database);
  await node.close();
  await fresh.drop();
  assert.deepEqual(report.differences, []);
});

let consumer: string;
let address: Address;
beforeEach(async () => {
  ({ id: consumer } = await makeConsumer(fresh.database, 0n));
  address = await addresses().of(consumer);
});

const addresses = (database: Database = fresh.database) =>
  new DepositAddresses({ database, tree, clock: systemClock });
const watcher = (
  database: Database = fresh.database,
  more: { chain?: TestChain['chain']; blocksMax?: number } = {},
) =>
  new CryptoDeposits({
    database,
    chain: node.chain,
    assets,
    confirmations: CONFIRMATIONS,
    firstBlock: 0n,
    clock: systemClock,
    log: silentLog,
    ...more,
  });
const balance = async () => (await operatorsBook(fresh.database).balance(consumer)).total;
const listed = async () =>
  await new Deposits({ database: fresh.database, clock: systemClock }).list({
    consumerId: consumer,
    limit: 20,
  });

let sent = 0;
/** A demo wallet sends tokens; the transaction is in a block of its own. */
async function send(token: Address, units: bigint, to = address): Promise<void> {
  const sender = new Sender({
    chain: node.chain,
    store: new MemoryTransactionStore(),
    key: node.keys.demo[0] as TestChain['keys']['operator'],
    clock: systemClock,
    settings: { confirmations: 1, maxFeePerGas: 10n ** 13n, replaceAfterMs: 60_000 },
  });
  const { id } = await sender.send(sendIntent(`deposit ${sent++}`, { token, to, units }));
  expect((await sender.settled(id, 5)).status).toBe('done');
}

test('tokens become balance when they are three blocks deep, once', async () => {
  await watcher().round();
  await send(node.contracts.usdc, 25_000_000n);
  await node.mine(1);
  await watcher().round();
  expect(await balance()).toBe(0n);
  await node.mine(1);
  expect(await watcher().round()).toBe(1);
  expect(await watcher().round()).toBe(0);
  expect(await balance()).toBe(parseUsd('25'));
});

test('each token counts for what it is: dollars, SWAN at the rate of its block with a fifth on top, dust for nothing', async () => {
  const { usdc, usdt, swan } = node.contracts;
  await send(swan, 10n ** 18n);
  await node.mine(3);
  await watcher().round();
  expect((await listed()).map(({ state }) => state)).toEqual(['unpriced']);
  const chainNowMs = Number((await node.chain.block(await node.chain.head()))?.timestamp ?? 0n) * 1_000;
  await setRate(fresh.database, {
    picoPerToken: parseUsd('0.02'),
    effectiveAt: chainNowMs + 1,
    at: systemClock.wallMs(),
  });
  await node.pass(2);
  await send(usdc, 1_000_000n);
  await send(usdt, 999_999n);
  await send(swan, 1_000n * 10n ** 18n);
  await node.mine(3);
  expect(await watcher().round()).toBe(2);
  expect(await balance()).toBe(parseUsd('1') + parseUsd('24'));
  const states = (await listed()).map(({ asset, state, bonus }) => `${asset} ${state} ${bonus}`).toSorted();
  expect(states).toEqual(['SWAN booked 4000000000000', 'SWAN unpriced 0', 'USDC booked 0', 'USDT small 0']);
});

test("a token that the market does not take, and an address that is nobody's, credit nobody", async () => {
  const { usdc, usdt } = node.contracts;
  const only = new CryptoDeposits({
    database: fresh.database,
    chain: node.chain,
    confirmations: CONFIRMATIONS,
    firstBlock: 0n,
    assets: assets.filter(({ asset }) => asset === 'USDC'),
    clock: systemClock,
    log: silentLog,
  });
  await send(usdt, 50_000_000n);
  await send(usdc, 50_000_000n, `0x${'5e'.repeat(20)}`);
  await node.mine(3);
  await only.round();
  expect(await balance()).toBe(0n);
  // Taken later, it is read from where the reading of that token stands.
  await watcher().round();
  expect(await balance()).toBe(parseUsd('50'));
});

test('a deposit that a reorganisation undoes is never seen, and one that comes again is credited once', async () => {
  await watcher().round();
  await send(node.contracts.usdc, 7_000_000n);
  await node.mine(1);
  await watcher().round();
  await node.reorganise(2);
  await node.mine(5);
  await watcher().round();
  expect(await balance()).toBe(0n);
  await send(node.contracts.usdc, 7_000_000n);
  await node.mine(3);
  await watcher().round();
  expect(await balance()).toBe(parseUsd('7'));
});

test('a process that dies between seeing and booking has booked nothing, and the next books all', async () => {
  await watcher().round();
  await send(node.contracts.usdc, 3_000_000n);
  await node.mine(3);
  let dies = true;
  const dying: Database = {
    ...fresh.database,
    sql: fresh.database.sql,
    transaction: (work) =>
      fresh.database.transaction(async (sql) => {
        const done = await work(sql);
        if (dies) throw new Error('killed before the commit');
        return done;
      }),
  };
  await expect(watcher(dying).round()).rejects.toThrow('killed');
  expect(await balance()).toBe(0n);
  dies = false;
  await watcher(dying).round();
  expect(await balance()).toBe(parseUsd('3'));
});

test('of many watchers at once one books, whatever pieces they read in', async () => {
  await watcher().round();
  for (let n = 0; n < 4; n++) await send(node.contracts.usdc, 2_000_000n);
  await node.mine(4);
  const pools = [1, 2, 3, 7].map((blocksMax) => watcher(fresh.another({ maxConnections: 2 }), { blocksMax }));
  await Promise.all(pools.map((each) => each.round()));
  await watcher().round();
  expect(await balance()).toBe(parseUsd('8'));
  expect(await listed()).toHaveLength(4);
});

test('a server that shows blocks which do not fit together stops the reading, and nothing is credited', async () => {
  await watcher().round();
  await send(node.contracts.usdc, 4_000_000n);
  await node.mine(3);
  const rpc = await openMeddlingRpc(node.url);
  try {
    const chain = await openChain({ urls: [node.url, rpc.url], chainId: node.chain.id });
    rpc.meddle.set('eth_getLogs', () => []);
    await expect(watcher(fresh.database, { chain }).round()).rejects.toThrow(Fault);
    expect(await balance()).toBe(0n);
    rpc.meddle.clear();
    await watcher(fresh.database, { chain }).round();
    expect(await balance()).toBe(parseUsd('4'));
  } finally {
    await rpc.close();
  }
});

test('a consumer has one address for ever, also when it is asked for by many at once', async () => {
  const { id } = await makeConsumer(fresh.database, 0n);
  const pools = Array.from({ length: 6 }, () => addresses(fresh.another({ maxConnections: 1 })));
  const given = await Promise.all(pools.map((each) => each.of(id)));
  expect(new Set(given).size).toBe(1);
  expect(await addresses().of(id)).toBe(given[0]);
  expect(given[0]).not.toBe(address);
});
