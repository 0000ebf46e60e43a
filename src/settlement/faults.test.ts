import { mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Sender } from '#chain/client.ts';
import { claimIntent, revokeIntent, tokenBalance } from '#chain/distributor.ts';
import { addressOf } from '#chain/local-chain.ts';
import { TransactionTable } from '#chain/transaction-table.ts';
import { MemoryTransactionStore } from '#chain/transactions.ts';
import type { Database } from '#db/database.ts';
import type { Address, Hex } from '#domain/hex.ts';
import { parseUsd } from '#domain/money.ts';
import { dayOf, dayStart } from '#domain/window.ts';
import { type Clock, systemClock } from '#kit/clock.ts';
import { seededRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { MemoryChain } from '#support/memory-chain.ts';
import { Crash, type Crashing, immortal, mortal } from '#support/mortal.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import {
  balanceOf,
  claimsFolder,
  earns,
  isRewarded,
  openSettler,
  providerWith,
} from '#support/settlement.ts';
import { dollarBook, tokenBook } from './payout-book.ts';
import { claimsFileName, readClaims } from './publish.ts';
import { SettlementStore } from './store.ts';
import { MerkleTree } from './tree.ts';

// One day is settled hundreds of times: each time the process dies at another step, before it or after it, and then the
// chain loses its newest blocks. The database and its transactions are real; the chain is one in memory that does what the
// contract does.

/** A reorganisation of twelve blocks is survived. */
const CONFIRMATIONS = 13;
const today = dayOf(systemClock.wallMs());
const clock: Clock = { ...systemClock, wallMs: () => dayStart(today) + 3_600_000 };

/** Databases beside each other, because most of the time goes into waiting for the disk. */
const LANES = 4;

let lanes: FreshDatabase[];
let files: ReturnType<typeof claimsFolder>;
const random = seededRandomness(99);
const secret = (): Sealed<Hex> => new Sealed<Hex>(`0x${random.bytes(32).toString('hex')}`);
const address = (): Address => `0x${random.bytes(20).toString('hex')}`;
let worlds = 0;

beforeAll(async () => {
  lanes = await Promise.all(Array.from({ length: LANES }, () => freshDatabase()));
  files = claimsFolder();
});
afterAll(async () => {
  await Promise.all(lanes.map((lane) => lane.drop()));
  files.remove();
});

/** What a ledger is paid out of: dollars at their price, or units of a token as they are. */
type Ledger = 'dollars' | 'tokens';
const TOKEN_TERMS = { minimum: 1n, picoPerToken: 1_000_000n, decimals: 6 };

/** A world of its own on the shared database: a chain, a contract, two providers that earned yesterday. */
async function worldWith(
  { database }: FreshDatabase,
  earnings: readonly string[],
  ledger: Ledger = 'dollars',
) {
  const [key, guardian, contract, token] = [secret(), secret(), address(), address()] as const;
  const chain = new MemoryChain({
    id: 5_000 + ++worlds,
    distributor: contract,
    token,
    operator: addressOf(key),
    guardian: addressOf(guardian),
    holdings: 10n ** 12n,
    time: BigInt(Math.floor(clock.wallMs() / 1_000)),
  });
  const providers: { id: string; wallet: Address; units: bigint }[] = [];
  for (const usd of earnings) {
    const wallet = address();
    const id = await providerWith(database, wallet, clock.wallMs());
    const units = parseUsd(usd) / 1_000_000n;
    if (ledger === 'dollars') await earns(database, id, parseUsd(usd), clock.wallMs() - 7_200_000);
    else await isRewarded(database, id, units, clock.wallMs() - 7_200_000);
    providers.push({ id, wallet, units });
  }
  const scope = { chainId: chain.id, contract, token };
  const store = new SettlementStore(database, scope, ledger === 'dollars' ? dollarBook : tokenBook('SWAN'));
  const open = (crashing: Crashing = immortal()) =>
    openSettler({
      database,
      chain: mortal(chain, crashing),
      contract,
      token,
      key,
      clock,
      confirmations: CONFIRMATIONS,
      folder: `${files.folder}/${chain.id}`,
      store: mortal(store, crashing),
      transactions: mortal(new TransactionTable(database), crashing),
      ...(ledger === 'tokens' && { terms: TOKEN_TERMS }),
    }).settler;
  return { database, chain, contract, token, guardian, scope, providers, store, ledger, open };
}

type World = Awaited<ReturnType<typeof worldWith>>;

/** Rounds of a process that lives, while blocks come; until the day's batch is in force. */
async function toTheEnd({ open, chain, store }: World, settler = open()): Promise<void> {
  for (let n = 0; n < 40; n++) {
    const { step } = await settler.round();
    if (step === 'settled' && (await store.last())) return;
    chain.mine(CONFIRMATIONS);
    if (step === 'locked') chain.pass(61);
    if (step === 'locked') chain.mine(CONFIRMATIONS);
  }
  throw new Error('It never came to an end.');
}

/** Every wallet claims what its provider earned, once; and then all the books say so. */
async function expectPaidOnce(world: World): Promise<void> {
  const { database, chain, contract, token, scope, providers, store, ledger, open } = world;
  const left = ledger === 'dollars' ? balanceOf : tokensOf;
  const [batch, ...more] = await store.list(10);
  expect(more.filter(({ state }) => state !== 'revoked')).toEqual([]);
  expect(batch?.state).toBe('confirmed');
  if (!batch) return;
  const { rows } = await readClaims(await open().fileOf(batch));
  const tree = new MerkleTree(scope, rows);
  const sender = new Sender({
    chain,
    store: new MemoryTransactionStore(),
    key: world.guardian,
    clock: systemClock,
    settings: { confirmations: 1, maxFeePerGas: 10n ** 13n, replaceAfterMs: 60_000 },
  });
  for (const [i, row] of rows.entries()) {
    const { account, cumulative } = row;
    await sender.send(
      claimIntent({ distributor: contract, token }, { account, cumulative, proof: tree.proofOf(i) }),
    );
  }
  chain.mine(CONFIRMATIONS);
  await open().round();
  for (const { id, wallet, units } of providers) {
    expect(await tokenBalance(chain, token, wallet)).toBe(units);
    expect(await store.standingOf(wallet)).toEqual({ promised: units, claimed: units });
    expect(await left(database, `provider:${id}`)).toBe(0n);
  }
  expect(await left(database, 'platform:claimable')).toBe(0n);
}

async function tokensOf(database: Database, account: string): Promise<bigint> {
  const [row] = await database.sql<{ balance: bigint }[]>`
    select balance from token_accounts where asset = 'SWAN' and id = ${account}`;
  return row?.balance ?? 0n;
}

/** How many calls a day takes, when nothing dies. */
async function callsOfADay(lane: FreshDatabase): Promise<number> {
  const counting = immortal();
  const world = await worldWith(lane, ['60', '75.25']);
  await toTheEnd(world, world.open(counting));
  await expectPaidOnce(world);
  return counting.calls;
}

test('whatever step a process dies at, and whatever the chain then loses, each provider is paid exactly once', {
  timeout: 600_000,
}, async () => {
  const calls = await callsOfADay(lanes[0] as FreshDatabase);
  expect(calls).toBeGreaterThan(60);
  const steps = Array.from({ length: calls }, (_, i) => i + 1);
  let died = 0;
  const work = async (lane: FreshDatabase): Promise<void> => {
    for (let at = steps.shift(); at !== undefined; at = steps.shift()) {
      const world = await worldWith(lane, ['60', '75.25']);
      const crashing: Crashing = { at, when: at % 2 === 0 ? 'before' : 'after', calls: 0 };
      try {
        await toTheEnd(world, world.open(crashing));
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
        died += 1;
        world.chain.reorganise((at * 5) % CONFIRMATIONS);
      }
      await toTheEnd(world);
      await expectPaidOnce(world);
    }
  };
  await Promise.all(lanes.map(work));
  expect(died).toBe(calls);
});

test('rewards are paid by the same steps, out of their own ledger, and no dollar moves', {
  timeout: 300_000,
}, async () => {
  const lane = lanes[0] as FreshDatabase;
  const dollars = async () =>
    await lane.database.sql`select id, balance from accounts where balance <> 0 order by id`;
  const before = await dollars();
  let died = 0;
  // Dollars are tried at every step; here the steps are the same and some of them will do.
  for (let at = 1; ; at += 7) {
    const world = await worldWith(lane, ['60', '0.25'], 'tokens');
    const crashing: Crashing = { at, when: at % 2 === 0 ? 'before' : 'after', calls: 0 };
    const end = await toTheEnd(world, world.open(crashing)).catch((error: unknown) => error);
    if (end instanceof Crash) world.chain.reorganise((at * 5) % CONFIRMATIONS);
    await toTheEnd(world);
    await expectPaidOnce(world);
    if (end === undefined) break;
    expect(end).toBeInstanceOf(Crash);
    died += 1;
  }
  expect(died).toBeGreaterThan(8);
  expect(await dollars()).toEqual(before);
});

test('rewards of a batch that the guardian revokes go back to their ledger and are paid by the next', async () => {
  const world = await worldWith(lanes[0] as FreshDatabase, ['60', '0.25'], 'tokens');
  const { database, chain, contract, token, guardian, providers, store, open } = world;
  for (let n = 0; (await store.last())?.state !== 'confirmed'; n++) {
    expect(n).toBeLessThan(20);
    await open().round();
    chain.mine(CONFIRMATIONS);
  }
  const [first] = providers;
  expect(await tokensOf(database, `provider:${first?.id}`)).toBe(0n);
  const sender = new Sender({
    chain,
    store: new MemoryTransactionStore(),
    key: guardian,
    clock: systemClock,
    settings: { confirmations: 1, maxFeePerGas: 10n ** 13n, replaceAfterMs: 60_000 },
  });
  await sender.send(revokeIntent({ distributor: contract, token }, 1));
  chain.mine(CONFIRMATIONS);
  await open().carryOn();
  expect(await store.last()).toMatchObject({ number: 1, state: 'revoked' });
  expect(await tokensOf(database, `provider:${first?.id}`)).toBe(first?.units);
  await open().settle(today);
  await toTheEnd(world);
  expect((await store.list(9)).map(({ number, state }) => [number, state])).toEqual([
    [2, 'confirmed'],
    [1, 'revoked'],
  ]);
  await expectPaidOnce(world);
});

test('a claims file that is not the batch is refused before anything is sent', async () => {
  const world = await worldWith(lanes[0] as FreshDatabase, ['60']);
  const store = new SettlementStore(world.database, world.scope);
  // Dies when the batch is made; then somebody writes a file of their own.
  let made = false;
  for (let at = 1; !made; at++) {
    await world
      .open({ at, when: 'after', calls: 0 })
      .round()
      .catch(() => {});
    made = (await store.last()) !== undefined;
  }
  const settlement = await store.last();
  if (!settlement) throw new Error('No batch was made.');
  const { claimsHash } = settlement;
  const file = claimsFileName(world.token, 1);
  mkdirSync(`${files.folder}/${world.chain.id}`, { recursive: true });
  writeFileSync(`${files.folder}/${world.chain.id}/${file}`, '{"format":"mine"}\n');
  await expect(world.open().round()).rejects.toThrow('published with another content');
  expect(await store.last()).toMatchObject({ state: 'pending', claimsHash });
  expect(await world.chain.head()).toBe(0n);
});
