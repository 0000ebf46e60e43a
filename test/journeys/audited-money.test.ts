import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { encodeFunctionData, erc20Abi } from 'viem';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { providerCollateralAbi } from '#chain/artifacts.ts';
import { Sender } from '#chain/client.ts';
import { reasonOf, slashIntent } from '#chain/collateral.ts';
import { AddressTree, depositKeyFrom, xpubOf } from '#chain/derived-address.ts';
import { addressOf } from '#chain/local-chain.ts';
import { MemoryTransactionStore } from '#chain/transactions.ts';
import { sendIntent } from '#chain/transfers.ts';
import type { Database } from '#db/database.ts';
import type { ChainAsset } from '#domain/chain-settings.ts';
import type { Address, Hex } from '#domain/hex.ts';
import { parseUsd } from '#domain/money.ts';
import { auditFunds } from '#funds/audit.ts';
import { Collateral } from '#funds/collateral.ts';
import { CryptoDeposits } from '#funds/crypto-deposits.ts';
import { DepositAddresses } from '#funds/deposit-addresses.ts';
import { Deposits } from '#funds/deposits.ts';
import { PlanFees } from '#funds/plan-fees.ts';
import { openStrangers, payoutsHeldBy, resolveStranger } from '#funds/strangers.ts';
import { createConsumer } from '#identity/consumers.ts';
import { createProvider } from '#identity/providers.ts';
import { systemClock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import type { Sealed } from '#kit/sealed.ts';
import { auditHolds, noteAudit } from '#settlement/audit-runs.ts';
import { openTestChain, type TestChain } from '#support/chain.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { openSettler, providerWith, trustWallet } from '#support/settlement.ts';

// A market takes money in every way, and gives some back. Then liars change what is kept of it, each in another place, and
// the audit must name the place. And a ledger of yesterday is set before the chain of today.

const CONFIRMATIONS = 3;
const tree = new AddressTree(xpubOf(depositKeyFrom(Buffer.alloc(32, 9))));

let node: TestChain;
let assets: ChainAsset[];
let owner: Address;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'cygnet-audit-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Each part has a chain of its own, with nothing on it. */
async function newChain(): Promise<void> {
  node = await openTestChain();
  const { usdc, usdt } = node.contracts;
  assets = [
    { asset: 'USDC', token: usdc, decimals: 6 },
    { asset: 'USDT', token: usdt, decimals: 6 },
  ];
  owner = addressOf(node.keys.demo[1] as Sealed<Hex>);
}

let sent = 0;
async function call(key: Sealed<Hex>, to: Address, data: Hex): Promise<void> {
  const sender = new Sender({
    chain: node.chain,
    store: new MemoryTransactionStore(),
    key,
    clock: systemClock,
    settings: { confirmations: 1, maxFeePerGas: 10n ** 13n, replaceAfterMs: 60_000 },
  });
  const { id } = await sender.send({ id: `call ${sent++}`, to, data });
  expect((await sender.settled(id, 5)).status).toBe('done');
}
async function pay(to: Address, units: bigint, token = node.contracts.usdc): Promise<void> {
  const intent = sendIntent('', { token, to, units });
  await call(node.keys.demo[0] as Sealed<Hex>, intent.to as Address, intent.data);
}
async function pledge(units: bigint): Promise<void> {
  const { collateral, usdc } = node.contracts;
  const key = node.keys.demo[1] as Sealed<Hex>;
  await call(
    key,
    usdc,
    encodeFunctionData({ abi: erc20Abi, functionName: 'approve', args: [collateral, units] }),
  );
  const data = encodeFunctionData({
    abi: providerCollateralAbi,
    functionName: 'deposit',
    args: [usdc, units],
  });
  await call(key, collateral, data);
}

/** The rooms of one ledger. */
function open(database: Database) {
  const { collateral: contract } = node.contracts;
  const operator = new Sender({
    chain: node.chain,
    store: new MemoryTransactionStore(),
    key: node.keys.operator,
    clock: systemClock,
    settings: { confirmations: 1, maxFeePerGas: 10n ** 13n, replaceAfterMs: 60_000 },
  });
  let made = 0;
  const log = silentLog;
  const clock = systemClock;
  const shared = { chain: node.chain, assets, confirmations: CONFIRMATIONS, firstBlock: 0n };
  return {
    addresses: new DepositAddresses({ database, tree, clock }),
    crypto: new CryptoDeposits({ database, tree, clock, log, ...shared }),
    deposits: new Deposits({ database, clock }),
    plans: new PlanFees({ database, clock, log }),
    collateral: new Collateral({
      database,
      chain: { ...shared, contract, sender: operator },
      clock,
      makeId: (prefix) => `${prefix}_${++made}`,
      log,
    }),
    audit: async () =>
      (await auditFunds({ database, chain: { ...shared, collateral: contract } })).differences,
  };
}

/** What yesterday's backup has: a consumer with an address, a provider with an owner. */
async function yesterday(database: Database) {
  const at = systemClock.wallMs();
  await createConsumer(database, { id: 'con_old', name: 'old', at });
  await createProvider(database, { id: 'prov_old', name: 'old', state: 'active', at });
  await trustWallet(database, { providerId: 'prov_old', purpose: 'owner', address: owner, at });
  const rooms = open(database);
  return { ...rooms, address: await rooms.addresses.of('con_old') };
}

describe('the books of a market that took money in every way', () => {
  let fresh: FreshDatabase;
  let rooms: Awaited<ReturnType<typeof yesterday>>;
  beforeAll(async () => {
    await newChain();
    fresh = await freshDatabase();
    rooms = await yesterday(fresh.database);
    const { deposits, plans, collateral, crypto } = rooms;
    await pay(rooms.address, 25_000_000n);
    await pay(rooms.address, 900_000n, node.contracts.usdt);
    await pledge(20_000_000n);
    await collateral.slash({ id: 'find_0', providerId: 'prov_old', failures: 1, reason: 'slow' });
    await node.mine(CONFIRMATIONS);
    await crypto.round();
    await collateral.round();
    await collateral.slash({ id: 'find_1', providerId: 'prov_old', failures: 2, reason: 'wrong' });
    const bank = { method: 'bank', consumerId: 'con_old', amount: parseUsd('40') } as const;
    await deposits.confirm({ ...bank, reference: 'INV 7' });
    await deposits.withdraw({ consumerId: 'con_old', amount: parseUsd('3'), reference: 'out', reason: '' });
    await plans.choose('con_old', 'pro');
    const announced = await collateral.announceDollars('prov_old', parseUsd('30'));
    await collateral.confirmDollars(announced.id, { reference: 'pledge 1' });
    await collateral.slash({ id: 'find_2', providerId: 'prov_old', failures: 2, reason: 'wrong again' });
    await collateral.requestRefund('prov_old', parseUsd('5'));
    await node.mine(CONFIRMATIONS);
    await crypto.round();
    await collateral.round();
  }, 60_000);
  afterAll(async () => {
    await fresh.drop();
    await node.close();
  });

  test('are in order: every arrival, every pledge, the contract and the chain', async () => {
    expect(await rooms.audit()).toEqual([]);
    const checked = await auditFunds({ database: fresh.database });
    expect(checked).toEqual({ checkedDeposits: 3, checkedPledges: 2, differences: [] });
  });

  const crypto = `(select id from deposits where method = 'crypto' and state = 'booked' limit 1)`;
  const lies: [string, string, string][] = [
    [
      'a deposit that was credited to another',
      `insert into consumers (id, name, created_at) values ('con_liar', 'liar', now());
       update deposits set consumer_id = 'con_liar' where id = ${crypto}`,
      'A deposit and its entry differ.',
    ],
    [
      'a deposit that is worth more than was booked',
      `update deposits set value = value + 1 where id = ${crypto}`,
      'A deposit and its entry differ.',
    ],
    [
      'a credit without a deposit',
      `insert into entries (id, kind, at, accounts, amounts) values ('deposit:31337:0x0:0', 'deposit', now(),
         array['consumer:con_old', 'platform:cash'], array[5, -5])`,
      'A deposit and its entry differ.',
    ],
    [
      'a crypto deposit of more tokens than came',
      `update deposits set units = units + 1 where id = ${crypto}`,
      'A deposit is not what the chain says of its transfer.',
    ],
    [
      'a crypto deposit that never was on the chain',
      `insert into deposits (id, method, consumer_id, asset, units, value, state, received_at, booked_at)
         values ('31337:0x${'ab'.repeat(32)}:0', 'crypto', 'con_old', 'USDC', 7000000, 7000000000000, 'booked', now(), now());
       insert into entries (id, kind, at, accounts, amounts) values ('deposit:31337:0x${'ab'.repeat(32)}:0', 'deposit', now(),
         array['consumer:con_old', 'platform:cash'], array[7000000000000, -7000000000000])`,
      'A deposit was credited that is not on the chain.',
    ],
    [
      'a transfer that was swept under the carpet',
      `delete from deposits where state = 'small'`,
      'A deposit is not what the chain says of its transfer.',
    ],
    [
      'a transfer that was credited a second time under another name',
      `insert into deposits (id, method, consumer_id, asset, units, value, state, received_at, booked_at)
         select id || '0', method, consumer_id, asset, units, value, state, received_at, booked_at from deposits where id = ${crypto};
       insert into entries (id, kind, at, accounts, amounts)
         select id || '0', kind, at, accounts, amounts from entries where id = 'deposit:' || ${crypto}`,
      'A deposit was credited that is not on the chain.',
    ],
    [
      'a bank payment under a name that is not its reference',
      `update deposits set source = 'INV 8' where method = 'bank'`,
      'A deposit does not carry the name of its payment.',
    ],
    [
      'a card payment that no checkout began',
      `insert into deposits (id, method, consumer_id, asset, units, value, state, source, received_at, booked_at)
         values ('card:pi_1', 'card', 'con_old', 'USD', 5, 5, 'booked', 'cs_1', now(), now());
       insert into entries (id, kind, at, accounts, amounts) values ('deposit:card:pi_1', 'deposit', now(),
         array['consumer:con_old', 'platform:cash'], array[5, -5])`,
      'A deposit does not carry the name of its payment.',
    ],
    [
      'a withdrawal that took less than it says',
      `update withdrawals set amount = amount + 1`,
      'A withdrawal and its entry differ.',
    ],
    [
      'a month of a plan that was not paid',
      `update plan_periods set fee = fee + 1`,
      "A plan's month and its entry differ.",
    ],
    [
      'a pledge that grew by itself',
      `update collateral_pledges set locked = locked + 1, deposited = deposited + 1 where scope <> 'usd'`,
      'A pledge is not what its moves make of it.',
    ],
    [
      'a slash of tokens that was made to vanish',
      `delete from collateral_moves where kind = 'slashed' and scope <> 'usd'`,
      'A move of a pledge is not what the contract told.',
    ],
    [
      'a deposit in the contract that never was',
      `insert into collateral_moves (id, scope, holder, kind, amount, at)
         select '31337:0x00:1', scope, holder, kind, amount, at from collateral_moves where kind = 'deposited' and scope <> 'usd'`,
      'A move of a pledge is no event of the contract.',
    ],
    [
      'pledged dollars that nobody paid',
      `update collateral_deposits set amount = amount - 1 where method = 'usd'`,
      'Dollars were pledged without a payment that was confirmed.',
    ],
    [
      'a slash of dollars that the ledger did not see',
      `update collateral_moves set amount = amount + 1 where kind = 'slashed' and scope = 'usd'`,
      'A move of pledged dollars and its entry differ.',
    ],
    [
      'a mark on another chain than the one that is there',
      `update chain_cursors set hash = '0x${'cd'.repeat(32)}' where reader like 'deposits:%' `,
      'The chain that was read is another than the one that is there.',
    ],
  ];
  test.each(lies)('%s is told', async (_name, lie, what) => {
    // The lie is told to a copy, so that the next finds the books in order.
    const liar = await copyOf(fresh);
    try {
      await liar.database.sql.unsafe(`set session_replication_role = replica; ${lie}`);
      const found = await open(liar.database).audit();
      expect(found.map((each) => each.what)).toContain(what);
    } finally {
      await liar.drop();
    }
  });
});

/** A copy of all rows, in a database of its own. */
async function copyOf(of: FreshDatabase): Promise<FreshDatabase> {
  const copy = await freshDatabase();
  const from = of.database.sql;
  const tables = await from<{ name: string }[]>`
    select tablename as name from pg_tables where schemaname = 'public' and tablename not like '%migration%'`;
  const into = copy.another({ maxConnections: 1 });
  await into.sql.unsafe('set session_replication_role = replica');
  for (const { name } of tables) {
    await into.sql.unsafe(`delete from ${name}`);
    const rows = await from.unsafe(`select to_jsonb(t)::text as row from ${name} t`);
    for (const { row } of rows) {
      await into.sql.unsafe(
        `insert into ${name} overriding system value select (jsonb_populate_record(null::${name}, $1::text::jsonb)).*`,
        [row as string],
      );
    }
  }
  for (const table of ['entries', 'collateral_moves']) {
    await into.sql.unsafe(
      `select setval(pg_get_serial_sequence('${table}', 'seq'), (select max(seq) from ${table}))`,
    );
  }
  return copy;
}

describe("a ledger of yesterday before today's chain", () => {
  let lost: FreshDatabase;
  let restored: FreshDatabase;
  let rooms: Awaited<ReturnType<typeof yesterday>>;
  beforeAll(async () => {
    await newChain();
    [lost, restored] = await Promise.all([freshDatabase(), freshDatabase()]);
    const today = await yesterday(lost.database);
    rooms = await yesterday(restored.database);
    assert.equal(rooms.address, today.address);
    // After the backup: another deposit, a new consumer who pays, a pledge, and a slash.
    await createConsumer(lost.database, { id: 'con_new', name: 'new', at: systemClock.wallMs() });
    await pay(today.address, 11_000_000n);
    await pay(await today.addresses.of('con_new'), 12_000_000n);
    await pledge(20_000_000n);
    await node.mine(CONFIRMATIONS);
    await today.collateral.round();
    await today.collateral.slash({ id: 'find_new', providerId: 'prov_old', failures: 2, reason: 'wrong' });
    await node.mine(CONFIRMATIONS);
    await today.crypto.round();
    await today.collateral.round();
    assert.deepEqual(await openStrangers(lost.database.sql, 10), []);
  }, 60_000);
  afterAll(async () => {
    await Promise.all([lost.drop(), restored.drop()]);
    await node.close();
  });

  const settler = () => {
    const { distributor: contract, usdc: token } = node.contracts;
    const { database } = restored;
    const heldBy = async () => (await payoutsHeldBy(database)) ?? (await auditHolds(database));
    return openSettler({
      database,
      chain: node.chain,
      contract,
      token,
      key: node.keys.operator,
      clock: systemClock,
      folder,
      heldBy,
    }).settler;
  };

  test('reads the chain again, and what it forgot stops payouts until it is explained', async () => {
    await rooms.crypto.round();
    await rooms.collateral.round();
    // What it knows the address of comes back by itself, once.
    const listed = await rooms.deposits.list({ consumerId: 'con_old', limit: 10 });
    expect(listed.filter(({ units }) => units === 11_000_000n)).toHaveLength(1);
    const strangers = await openStrangers(restored.database.sql, 10);
    expect(strangers.map(({ what }) => what).toSorted()).toContain('slash');
    expect(strangers.some(({ detail }) => detail.startsWith('12000000 units of USDC'))).toBe(true);
    await rooms.crypto.round();
    await rooms.collateral.round();
    expect(await openStrangers(restored.database.sql, 10)).toEqual(strangers);

    await providerWith(restored.database, owner, systemClock.wallMs());
    await expect(settler().round()).rejects.toMatchObject({ code: 'settlement-stopped' });
    expect((await rooms.audit()).map(({ what }) => what)).toContain(
      'The chain shows what this ledger does not know of. Was a backup restored?',
    );
    for (const { id } of strangers) {
      await expect(settler().round()).rejects.toThrow(/does not know of/);
      const word = { id, resolution: 'lost with the disk; refunded by hand', at: systemClock.wallMs() };
      expect(await resolveStranger(restored.database, word)).toBe('resolved');
      expect(await resolveStranger(restored.database, { ...word, resolution: 'x' })).toBe('known');
    }
    expect(await resolveStranger(restored.database, { id: 'x', resolution: 'x', at: 0 })).toBe('unknown');
    expect((await settler().round()).step).toBe('settled');
  });

  test('an audit that found a difference stops payouts, and one that finds none lets them go on', async () => {
    const run = { occasion: 'command', chainAsked: true, tookMs: 1 } as const;
    const difference = { what: 'A balance is wrong.', where: 'provider:a', found: '1', expected: '2' };
    await noteAudit(restored.database, { ...run, at: 1, balanced: false, differences: [difference] });
    await expect(settler().round()).rejects.toThrow(/A balance is wrong/);
    // An audit that did not ask the chain is no word on the chain.
    await noteAudit(restored.database, { ...run, at: 2, balanced: true, chainAsked: false, differences: [] });
    await expect(settler().round()).rejects.toThrow(/A balance is wrong/);
    await noteAudit(restored.database, { ...run, at: 3, balanced: true, differences: [] });
    expect((await settler().round()).step).toBe('settled');
  });

  test("a slash with another's word for a reason is none of ours", async () => {
    await pledge(5_000_000n);
    const { collateral, usdc: token } = node.contracts;
    const intent = slashIntent(collateral, { account: owner, token, amount: 1n, reason: reasonOf('mine') });
    await call(node.keys.operator, collateral, intent.data);
    await node.mine(CONFIRMATIONS);
    await rooms.collateral.round();
    expect(await payoutsHeldBy(restored.database)).toMatch(/a slash of 1 units of USDC/);
  });
});
