import { afterAll, beforeAll, expect, test } from 'vitest';
import { AddressTree, depositKeyFrom, xpubOf } from '#chain/derived-address.ts';
import { addressOf } from '#chain/local-chain.ts';
import { TransactionTable } from '#chain/transaction-table.ts';
import { unitsOf } from '#chain/transfers.ts';
import type { ChainAsset } from '#domain/chain-settings.ts';
import type { Address, Hex } from '#domain/hex.ts';
import { type Clock, systemClock } from '#kit/clock.ts';
import { seededRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { MemoryChain } from '#support/memory-chain.ts';
import { Crash, type Crashing, immortal, mortal } from '#support/mortal.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { sweep } from './sweep.ts';

// One collection of deposits is made hundreds of times: each time the process dies at another step, before it or after it,
// and then the chain loses its newest blocks. The database and its transactions are real; the chain is one in memory.

/** A reorganisation of two blocks is survived; `src/settlement/faults.test.ts` has deeper ones. */
const CONFIRMATIONS = 3;
const LANES = 4;
const KEY = depositKeyFrom(Buffer.alloc(32, 9));
const TREE = new AddressTree(xpubOf(KEY));
const random = seededRandomness(41);
const address = (): Address => `0x${random.bytes(20).toString('hex')}`;

let lanes: FreshDatabase[];
beforeAll(async () => {
  lanes = await Promise.all(Array.from({ length: LANES }, () => freshDatabase()));
});
afterAll(async () => {
  await Promise.all(lanes.map((lane) => lane.drop()));
});

let worlds = 0;

/** Lots at two addresses, in two tokens; the addresses have no ether. */
function worldWith({ database }: FreshDatabase, count = 3) {
  const operatorKey = new Sealed<Hex>(`0x${random.bytes(32).toString('hex')}`);
  const operator = addressOf(operatorKey);
  const [usdc, swan, to] = [address(), address(), address()];
  const chain = new MemoryChain({
    id: 7_000 + ++worlds,
    distributor: address(),
    token: usdc,
    tokens: new Map([[swan, 18]]),
    operator,
    guardian: operator,
    holdings: 10n ** 12n,
    ether: (account) => (account === operator ? 10n ** 21n : 0n),
    time: 1_700_000_000n,
  });
  const addresses = [0, 1].map((index) => ({
    index,
    address: TREE.address(index),
    consumerId: `con_${index}`,
  }));
  const lots = [
    { at: addresses[0]?.address as Address, token: usdc, units: 5_000_000n },
    { at: addresses[0]?.address as Address, token: swan, units: 7n * 10n ** 18n },
    { at: addresses[1]?.address as Address, token: usdc, units: 1_250_001n },
  ].slice(0, count);
  for (const { at, token, units } of lots) chain.give(token, at, units);
  chain.mine(CONFIRMATIONS);
  const assets: ChainAsset[] = [
    { asset: 'USDC', token: usdc, decimals: 6 },
    { asset: 'SWAN', token: swan, decimals: 18 },
  ];
  // Whoever waits sees a block come.
  const clock: Clock = {
    ...systemClock,
    after: (_delayMs, run) => {
      chain.mine();
      setImmediate(run);
      return { cancel: () => {} };
    },
  };
  const run = (crashing: Crashing = immortal()) =>
    sweep({
      chain: mortal(chain, crashing),
      tree: TREE,
      key: KEY,
      operatorKey,
      store: mortal(new TransactionTable(database), crashing),
      clock,
      settings: { confirmations: CONFIRMATIONS, maxFeePerGas: 10n ** 13n, replaceAfterMs: 60_000 },
      addresses,
      assets,
      to,
      pollMs: 1,
      beforeFinal: mortal({ persist: async () => {} }, crashing).persist,
    });
  return { chain, run, lots, usdc, swan, to, operator, addresses };
}

type World = ReturnType<typeof worldWith>;

/** Everything is at its destination, once, and nobody else has more or less than before. */
async function expectSweptOnce({ chain, lots, usdc, swan, to, operator, addresses }: World): Promise<void> {
  // Deep enough that no reorganisation takes it back.
  chain.mine(CONFIRMATIONS);
  for (const token of [usdc, swan]) {
    const sum = lots.reduce((all, lot) => (lot.token === token ? all + lot.units : all), 0n);
    expect(await unitsOf(chain, { token, account: to })).toBe(sum);
    for (const { address: account } of addresses) expect(await unitsOf(chain, { token, account })).toBe(0n);
  }
  expect(await unitsOf(chain, { token: usdc, account: operator })).toBe(10n ** 12n);
  // One transfer for each lot, and no gas was given that was not needed: at most one gift for each.
  for (const { address: account } of addresses) {
    expect(await chain.nonce(account)).toBe(lots.filter(({ at }) => at === account).length);
  }
  expect(await chain.nonce(operator)).toBeLessThanOrEqual(lots.length);
  expect(chain.waiting).toEqual([]);
}

test('what lies at deposit addresses is collected, with the gas that it takes, and a second run finds nothing', async () => {
  const world = worldWith(lanes[0] as FreshDatabase);
  const swept = await world.run();
  expect(swept.map(({ consumerId, asset, units }) => `${consumerId} ${asset} ${units}`)).toEqual([
    'con_0 USDC 5000000',
    'con_0 SWAN 7000000000000000000',
    'con_1 USDC 1250001',
  ]);
  expect(await world.run()).toEqual([]);
  await expectSweptOnce(world);
});

test('whatever step a collection dies at, and whatever the chain then loses, each lot arrives exactly once', {
  timeout: 600_000,
}, async () => {
  const counting = immortal();
  await worldWith(lanes[0] as FreshDatabase, 2).run(counting);
  expect(counting.calls).toBeGreaterThan(60);
  const steps = Array.from({ length: counting.calls }, (_, i) => i + 1);
  let died = 0;
  const work = async (lane: FreshDatabase): Promise<void> => {
    for (let at = steps.shift(); at !== undefined; at = steps.shift()) {
      const world = worldWith(lane, 2);
      const crashing: Crashing = { at, when: at % 2 === 0 ? 'before' : 'after', calls: 0 };
      await world.run(crashing).catch((error: unknown) => {
        if (!(error instanceof Crash)) throw error;
        died += 1;
      });
      // Some of the transactions that fall out of their blocks are forgotten, and some come again.
      world.chain.reorganise(at % CONFIRMATIONS, (hash) => BigInt(hash) % 2n === 0n);
      await world.run();
      await expectSweptOnce(world);
    }
  };
  await Promise.all(lanes.map(work));
  expect(died).toBe(counting.calls);
});
