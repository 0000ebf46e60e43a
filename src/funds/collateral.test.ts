import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { encodeFunctionData, erc20Abi } from 'viem';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { providerCollateralAbi as abi } from '#chain/artifacts.ts';
import { Sender } from '#chain/client.ts';
import { addressOf } from '#chain/local-chain.ts';
import { MemoryTransactionStore } from '#chain/transactions.ts';
import type { Address, Hex } from '#domain/hex.ts';
import { parseUsd } from '#domain/money.ts';
import { createProvider } from '#identity/providers.ts';
import { systemClock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import { silentLog } from '#kit/log.ts';
import { Sealed } from '#kit/sealed.ts';
import { audit } from '#ledger/audit.ts';
import { openTestChain, type TestChain } from '#support/chain.ts';
import { makeId } from '#support/parties.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { trustWallet } from '#support/settlement.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { Collateral, type CollateralChain } from './collateral.ts';
import { REFUND_WAIT_MS } from './pledge.ts';

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
});
afterAll(async () => {
  const report = await audit(fresh.database);
  await fresh.drop();
  assert.deepEqual(report.differences, []);
});

async function makeProviderWith(owner: Address | null): Promise<string> {
  const id = makeId('prov');
  await createProvider(fresh.database, { id, name: id, state: 'active', at: systemClock.wallMs() });
  const purpose = 'owner';
  if (owner) await trustWallet(fresh.database, { providerId: id, purpose, address: owner, at: 0 });
  return id;
}
const account = async (id: string) =>
  (await fresh.database.sql<{ balance: bigint }[]>`select balance from accounts where id = ${id}`)[0]
    ?.balance ?? 0n;
const stateOf = async (id: string) =>
  (await fresh.database.sql<{ state: string }[]>`select state from providers where id = ${id}`)[0]?.state;
const giveBack = async (findingId: string, room: Collateral) =>
  await fresh.database.transaction((sql) => room.giveBack(sql, findingId));
const decideFinding = async (room: Collateral, appeal: Parameters<Collateral['decideFinding']>[1]) =>
  await fresh.database.transaction((sql) => room.decideFinding(sql, appeal));
const refusal = async (work: Promise<unknown>): Promise<string> =>
  await work.then(
    () => 'none',
    (error: unknown) => (error instanceof Fault ? error.code : String(error)),
  );

describe('dollars', () => {
  let clock: VirtualClock;
  let room: Collateral;
  let provider: string;
  const open = (database = fresh.database) =>
    new Collateral({ database, chain: undefined, clock, makeId, log: silentLog });
  beforeEach(async () => {
    clock = new VirtualClock();
    room = open();
    provider = await makeProviderWith(null);
  });
  const pledged = async (amount = parseUsd('20')) => {
    const { id } = await room.announceDollars(provider, amount);
    await room.confirmDollars(id, { reference: makeId('ref') });
  };
  const pledge = async () => (await room.pledgesOf(provider))[0];
  const withheldUntil = async () =>
    (
      await fresh.database.sql<{ until: Date | null }[]>`
        select withheld_until as until from providers where id = ${provider}`
    )[0]?.until?.getTime();

  test('that were slashed are given back by a new entry, once, however often it is asked', async () => {
    await pledged();
    const finding = { id: makeId('finding'), providerId: provider, failures: 2, reason: 'r' };
    expect(await giveBack(finding.id, room)).toBeUndefined();
    await room.slash(finding);
    expect(await pledge()).toMatchObject({ locked: parseUsd('18'), slashed: parseUsd('2') });
    const rooms = [1, 2, 3].map(() => open(fresh.another({ maxConnections: 1 })));
    for (const answer of await Promise.all(rooms.map((each) => giveBack(finding.id, each))))
      expect(answer).toEqual({ dollars: parseUsd('2'), tokens: [] });
    expect(await pledge()).toMatchObject({ locked: parseUsd('20'), slashed: 0n });
    expect(await account(`collateral:${provider}`)).toBe(parseUsd('20'));
    const kinds = await fresh.database.sql`
      select kind from entries where id like ${`%${finding.id}%`} order by kind`;
    expect(kinds.map(({ kind }) => kind)).toEqual(['slash', 'slash-returned']);
    // The finding stays judged: to judge it again takes nothing.
    await room.slash(finding);
    expect(await account(`collateral:${provider}`)).toBe(parseUsd('20'));
  });

  test('bug: a judgement that comes after its appeal was granted takes nothing, also when both come at once', async () => {
    await pledged();
    const late = { id: makeId('finding'), providerId: provider, failures: 2, reason: 'r' };
    const appeal = { id: late.id, providerId: provider, reason: 'our outage', actor: 'op', at: 0 };
    const setAside = async (about = appeal) =>
      await fresh.database.transaction((sql) => room.setAside(sql, about));
    expect(await setAside()).toEqual({ dollars: 0n, tokens: [] });
    expect(await room.slash(late)).toEqual({ shareBasisPoints: 0, withholdMs: 0, removes: false });
    expect(await withheldUntil()).toBeUndefined();
    expect(await pledge()).toMatchObject({ locked: parseUsd('20'), slashed: 0n });
    for (let i = 0; i < 10; i++) {
      const both = { ...late, id: makeId('finding') };
      const other = open(fresh.another({ maxConnections: 1 }));
      await Promise.all([other.slash(both), setAside({ ...appeal, id: both.id })]);
      expect(await pledge()).toMatchObject({ locked: parseUsd('20'), slashed: 0n });
      expect(await account(`collateral:${provider}`)).toBe(parseUsd('20'));
    }
  });

  test('count when the operator confirms them, once for each reference', async () => {
    const { id, state } = await room.announceDollars(provider, parseUsd('20'));
    expect(state).toBe('pending');
    expect((await room.standingOf(provider)).enough).toBe(false);
    const reference = makeId('ref');
    const rooms = [1, 2, 3].map(() => open(fresh.another({ maxConnections: 1 })));
    const answers = await Promise.all(rooms.map((each) => each.confirmDollars(id, { reference })));
    expect(answers.toSorted()).toEqual(['confirmed', 'known', 'known']);
    const other = { reference, amount: parseUsd('21') };
    expect(await refusal(room.confirmDollars(id, other))).toBe('conflict');
    expect(await refusal(room.confirmDollars(id, { ...other, amount: 0n }))).toBe('request-invalid');
    expect((await room.standingOf(provider)).enough).toBe(true);
    expect(await account(`collateral:${provider}`)).toBe(parseUsd('20'));
    const { id: second } = await room.announceDollars(provider, parseUsd('20'));
    expect(await refusal(room.confirmDollars(second, { reference }))).toBe('conflict');
    expect(await refusal(room.confirmDollars(id, { reference: makeId('ref') }))).toBe('conflict');
    expect(await room.reject(second, 'never came')).toBe('rejected');
    expect(await refusal(room.confirmDollars(second, { reference: makeId('ref') }))).toBe('conflict');
  });

  test('of two announcements that are confirmed at once with one payment, one is refused and nothing fails', async () => {
    const announced = [];
    for (const amount of ['20', '30']) announced.push(await room.announceDollars(provider, parseUsd(amount)));
    const reference = makeId('ref');
    const answers = await Promise.all(
      announced.map(({ id }) =>
        refusal(open(fresh.another({ maxConnections: 1 })).confirmDollars(id, { reference })),
      ),
    );
    expect(answers.toSorted()).toEqual(['conflict', 'none']);
  });

  test('go back seven days after they were asked for, once', async () => {
    await pledged();
    expect(await room.payRefund(provider, makeId('out'))).toEqual({ refused: 'nothing-waiting' });
    await room.requestRefund(provider);
    expect((await room.standingOf(provider)).enough).toBe(false);
    clock.jumpWall(REFUND_WAIT_MS - 1);
    expect(await room.payRefund(provider, makeId('out'))).toEqual({ refused: 'still-waiting' });
    clock.jumpWall(1);
    const reference = makeId('out');
    const answers = await Promise.all([1, 2].map(() => room.payRefund(provider, reference)));
    expect(answers).toContainEqual({ paid: parseUsd('20'), known: false });
    expect(answers).toContainEqual({ paid: parseUsd('20'), known: true });
    expect(await room.payRefund(provider, makeId('out'))).toEqual({ refused: 'nothing-waiting' });
    expect(await account(`collateral:${provider}`)).toBe(0n);
  });

  test('that wait can be slashed, and then less goes back', async () => {
    await pledged();
    await room.requestRefund(provider);
    const before = await account('platform:slashed');
    const finding = { id: makeId('find'), providerId: provider, failures: 2, reason: 'failed twice' };
    await Promise.all([room.slash(finding), open(fresh.another()).slash(finding), room.slash(finding)]);
    expect(await pledge()).toMatchObject({ waiting: parseUsd('18'), slashed: parseUsd('2') });
    expect((await account('platform:slashed')) - before).toBe(parseUsd('2'));
    clock.jumpWall(REFUND_WAIT_MS);
    expect(await room.payRefund(provider, makeId('out'))).toMatchObject({ paid: parseUsd('18') });
  });

  test('a refund and a slash at once: whichever comes first, nothing is paid twice', async () => {
    await pledged();
    await room.requestRefund(provider);
    clock.jumpWall(REFUND_WAIT_MS);
    const finding = { id: makeId('find'), providerId: provider, failures: 3, reason: 'three times' };
    await Promise.all([open(fresh.another()).payRefund(provider, makeId('out')), room.slash(finding)]);
    const { slashed = 0n, refunded = 0n, locked, waiting } = (await pledge()) ?? {};
    expect(slashed + refunded).toBe(parseUsd('20'));
    expect([locked, waiting]).toEqual([0n, 0n]);
    expect(await account(`collateral:${provider}`)).toBe(0n);
  });

  test('a failure keeps requests away for a day from its judgement, once for each finding', async () => {
    const finding = { id: makeId('find'), providerId: provider, failures: 1, reason: 'wrong answers' };
    await room.slash(finding);
    const until = clock.wallMs() + 86_400_000;
    clock.jumpWall(3_600_000);
    await room.slash(finding);
    expect(await withheldUntil()).toBe(until);
    await room.slash({ ...finding, id: makeId('find'), failures: 2 });
    expect(await withheldUntil()).toBe(until + 3_600_000);
  });

  test('the first failure warns, the third removes', async () => {
    await pledged();
    const slash = (failures: number) =>
      room.slash({ id: makeId('find'), providerId: provider, failures, reason: 'bad' });
    expect((await slash(1)).shareBasisPoints).toBe(0);
    expect(await pledge()).toMatchObject({ slashed: 0n });
    expect(await stateOf(provider)).toBe('active');
    expect(await withheldUntil()).toBe(clock.wallMs() + 86_400_000);
    expect((await slash(3)).removes).toBe(true);
    expect(await pledge()).toMatchObject({ slashed: parseUsd('6') });
    expect(await stateOf(provider)).toBe('removed');
  });

  test('a finding against one provider is none against another', async () => {
    const id = makeId('find');
    await room.slash({ id, providerId: provider, failures: 1, reason: '' });
    const other = await makeProviderWith(null);
    expect(await refusal(room.slash({ id, providerId: other, failures: 1, reason: '' }))).toBe('conflict');
  });

  test('who falls below the minimum is suspended and comes back with the money; others are left alone', async () => {
    await pledged();
    const poor = await makeProviderWith(null);
    const banned = await makeProviderWith(null);
    await fresh.database.sql`
      update providers set state = 'suspended', state_reason = 'fraud' where id = ${banned}`;
    const first = await room.enforce();
    expect(first.suspended).toContain(poor);
    expect(first.suspended).not.toContain(provider);
    expect((await room.enforce()).suspended).not.toContain(poor);
    const { id } = await room.announceDollars(poor, parseUsd('20'));
    await room.confirmDollars(id, { reference: makeId('ref') });
    expect((await room.enforce()).restored).toEqual([poor]);
    expect(await stateOf(banned)).toBe('suspended');
    await room.requestRefund(poor);
    expect((await room.enforce()).suspended).toContain(poor);
  });

  test('a provider that announces without end is stopped', async () => {
    for (let n = 0; n < 20; n++) await room.announceDollars(provider, 1n);
    expect(await refusal(room.announceDollars(provider, 1n))).toBe('conflict');
  });

  test('the database refuses a pledge that gives away more than it got', async () => {
    await pledged();
    const { sql } = fresh.database;
    await expect(
      sql`update collateral_pledges set refunded = refunded + 1 where holder = ${provider}`,
    ).rejects.toThrow(/nothing_leaves_that_was_not_deposited/);
    await expect(sql`delete from collateral_moves`).rejects.toThrow(/append-only/);
  });

  test('in whatever order money comes, is asked back, slashed and paid, the ledger and the pledge agree', async () => {
    type Step = { what: 'deposit' | 'request' | 'cancel' | 'slash' | 'refund' | 'wait'; n: number };
    const step = fc.record({
      what: fc.constantFrom('deposit', 'request', 'cancel', 'slash', 'refund', 'wait'),
      n: fc.integer({ min: 1, max: 4 }),
    }) as fc.Arbitrary<Step>;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14 }), async (steps) => {
        provider = await makeProviderWith(null);
        for (const { what, n } of steps) {
          if (what === 'deposit') await pledged(parseUsd(`${n}`));
          else if (what === 'request') await room.requestRefund(provider, parseUsd(`${n}`));
          else if (what === 'cancel') await room.cancelRefund(provider);
          else if (what === 'refund') await room.payRefund(provider, makeId('out'));
          else if (what === 'wait') clock.jumpWall(n * 2 * 86_400_000);
          else if (n < 3)
            await room.slash({ id: makeId('find'), providerId: provider, failures: n, reason: '' });
          const now = await pledge();
          if (!now) continue;
          expect(now.slashed + now.refunded).toBeLessThanOrEqual(now.deposited);
          expect(await account(`collateral:${provider}`)).toBe(now.locked + now.waiting);
        }
      }),
      { numRuns: 12 },
    );
  }, 60_000);
});

describe('tokens', () => {
  let node: TestChain;
  beforeAll(async () => {
    node = await openTestChain();
  }, 60_000);
  afterAll(async () => {
    await node.close();
  });

  const CONFIRMATIONS = 3;
  let wallets = 0;
  let wallet: Sealed<Hex>;
  let owner: Address;
  let provider: string;
  let room: Collateral;

  const senderOf = (key: Sealed<Hex>) =>
    new Sender({
      chain: node.chain,
      store: new MemoryTransactionStore(),
      key,
      clock: systemClock,
      settings: { confirmations: 1, maxFeePerGas: 10n ** 13n, replaceAfterMs: 60_000 },
    });
  let sent = 0;
  async function call(key: Sealed<Hex>, to: Address, data: Hex): Promise<Hex> {
    const sender = senderOf(key);
    const { id } = await sender.send({ id: `call ${sent++}`, to, data });
    const { status, hash } = await sender.settled(id, 5);
    expect(status).toBe('done');
    return hash as Hex;
  }
  const pact = (name: 'deposit' | 'requestRefund', token: Address, amount: bigint) =>
    encodeFunctionData({ abi, functionName: name, args: [token, amount] });
  async function deposit(amount: bigint, token = node.contracts.usdc, key = wallet): Promise<Hex> {
    const { collateral } = node.contracts;
    const approval = encodeFunctionData({
      abi: erc20Abi,
      functionName: 'approve',
      args: [collateral, amount],
    });
    await call(key, token, approval);
    return await call(key, collateral, pact('deposit', token, amount));
  }
  function open(more: Partial<CollateralChain> = {}): Collateral {
    const { usdc, swan, collateral } = node.contracts;
    const chain: CollateralChain = {
      chain: node.chain,
      contract: collateral,
      assets: [
        { asset: 'USDC', token: usdc, decimals: 6 },
        { asset: 'SWAN', token: swan, decimals: 18 },
      ],
      confirmations: CONFIRMATIONS,
      firstBlock: 0n,
      sender: new Sender({
        chain: node.chain,
        store: new MemoryTransactionStore(),
        key: node.keys.operator,
        clock: systemClock,
        settings: { confirmations: 1, maxFeePerGas: 10n ** 13n, replaceAfterMs: 60_000 },
      }),
      ...more,
    };
    return new Collateral({ database: fresh.database, chain, clock: systemClock, makeId, log: silentLog });
  }
  beforeEach(async () => {
    wallet = new Sealed<Hex>(`0x${(++wallets).toString(16).padStart(64, '5')}`);
    owner = addressOf(wallet);
    await node.ask('anvil_setBalance', owner, '0x56bc75e2d63100000');
    const { usdc, usdt, swan } = node.contracts;
    for (const [token, amount] of [
      [usdc, 100_000_000n],
      [usdt, 100_000_000n],
      [swan, 10n ** 22n],
    ] as const) {
      const data = encodeFunctionData({ abi: erc20Abi, functionName: 'transfer', args: [owner, amount] });
      await call(node.keys.demo[0] as Sealed<Hex>, token, data);
    }
    provider = await makeProviderWith(owner);
    room = open();
  });
  const pledge = async () => (await room.pledgesOf(provider))[0];

  test('a deposit, a slash that overtakes the refund, seven days, and the refund: the contract and we agree', {
    timeout: 60_000,
  }, async () => {
    const { usdc, collateral } = node.contracts;
    const transaction = await deposit(20_000_000n);
    expect(await room.submit(provider, { transaction })).toMatchObject({ state: 'pending' });
    expect((await room.standingOf(provider)).enough).toBe(false);
    await node.mine(CONFIRMATIONS);
    await room.round();
    const [proof] = await room.depositsOf(provider);
    expect(proof).toMatchObject({ state: 'confirmed', asset: 'USDC', amount: 20_000_000n });
    expect((await room.standingOf(provider)).enough).toBe(true);
    expect(await room.submit(provider, { transaction })).toMatchObject({ id: proof?.id, state: 'confirmed' });
    expect(await pledge()).toMatchObject({ locked: 20_000_000n, deposited: 20_000_000n });

    await call(wallet, collateral, pact('requestRefund', usdc, 15_000_000n));
    await node.mine(CONFIRMATIONS);
    await room.round();
    expect(await pledge()).toMatchObject({ locked: 5_000_000n, waiting: 15_000_000n });

    const before = await account('platform:slashed');
    const finding = { id: makeId('find'), providerId: provider, failures: 3, reason: 'failed thrice' };
    await room.slash(finding);
    await room.slash(finding);
    await node.mine(CONFIRMATIONS);
    await room.round();
    expect(await pledge()).toMatchObject({ locked: 0n, waiting: 14_000_000n, slashed: 6_000_000n });
    expect((await account('platform:slashed')) - before).toBe(parseUsd('6'));

    await node.pass(7 * 86_400);
    await call(wallet, collateral, encodeFunctionData({ abi, functionName: 'refund', args: [usdc] }));
    await node.mine(CONFIRMATIONS);
    await room.round();
    await room.round();
    expect(await pledge()).toMatchObject({
      deposited: 20_000_000n,
      locked: 0n,
      waiting: 0n,
      slashed: 6_000_000n,
      refunded: 14_000_000n,
      refundableAt: undefined,
    });
  });

  test('that a slash took are told to the last unit when an appeal is granted, and dollars beside them go back, once', {
    timeout: 60_000,
  }, async () => {
    await deposit(20_000_000n);
    const { id: dollarsId } = await room.announceDollars(provider, parseUsd('20'));
    await room.confirmDollars(dollarsId, { reference: makeId('ref') });
    await node.mine(CONFIRMATIONS);
    await room.round();
    const finding = { id: makeId('find'), providerId: provider, failures: 2, reason: 'failed twice' };
    await room.slash(finding);
    const wish = { id: finding.id, reason: 'our outage', actor: 'test', at: systemClock.wallMs() };
    const decision = { ...wish, decision: 'granted' } as const;
    expect(await decideFinding(room, decision)).toBe('decided');
    // Before the chain's word is deep enough only the dollars are known; the same again tells the tokens as well.
    expect(await giveBack(finding.id, room)).toEqual({ dollars: parseUsd('2'), tokens: [] });
    await node.mine(CONFIRMATIONS);
    await room.round();
    const told = { asset: 'USDC', amount: 2_000_000n, account: owner };
    expect(await decideFinding(room, decision)).toBe('known');
    expect(await giveBack(finding.id, room)).toEqual({ dollars: parseUsd('2'), tokens: [told] });
    const pledges = async () =>
      (await room.pledgesOf(provider)).map(({ asset, locked, slashed }) => [asset, locked, slashed]);
    expect(new Set(await pledges())).toEqual(
      new Set([
        ['USDC', 18_000_000n, 2_000_000n],
        ['USD', parseUsd('20'), 0n],
      ]),
    );
    // The operator pays what was told, and the provider pledges it anew: it has as much at work as before.
    const pay = encodeFunctionData({
      abi: erc20Abi,
      functionName: 'transfer',
      args: [told.account, told.amount],
    });
    await call(node.keys.demo[0] as Sealed<Hex>, node.contracts.usdc, pay);
    await deposit(told.amount);
    await node.mine(CONFIRMATIONS);
    await room.round();
    expect(await pledges()).toContainEqual(['USDC', 20_000_000n, 2_000_000n]);
    expect(await decideFinding(room, { ...wish, decision: 'rejected' })).toEqual({ decidedAs: 'granted' });
    expect(await decideFinding(room, { ...decision, id: 'find_never' })).toBe('unknown');
  });

  test('a transaction of somebody else, or that deposits nothing, proves nothing', async () => {
    const stranger = await makeProviderWith(`0x${makeId('x').length.toString(16).padStart(40, 'd')}`);
    const transaction = await deposit(20_000_000n);
    const data = encodeFunctionData({ abi: erc20Abi, functionName: 'transfer', args: [owner, 1n] });
    const plain = await call(wallet, node.contracts.usdc, data);
    await node.mine(CONFIRMATIONS);
    expect(await room.submit(stranger, { transaction })).toMatchObject({
      state: 'rejected',
      reason: 'The deposit is of another account than the owner address.',
    });
    expect(await room.submit(provider, { transaction: plain })).toMatchObject({ state: 'rejected' });
    expect(await room.submit(provider, { transaction: `0x${'0'.repeat(64)}` })).toMatchObject({
      state: 'pending',
      reason: 'The transaction is in no block yet.',
    });
    // The liar was no hindrance to the owner.
    expect(await room.submit(provider, { transaction })).toMatchObject({ state: 'confirmed' });
    expect((await room.pledgesOf(stranger)).length).toBe(0);
  });

  test('a provider without an owner address, and another chain, are refused at once', async () => {
    const homeless = await makeProviderWith(null);
    const transaction: Hex = `0x${'1'.repeat(64)}`;
    expect(await refusal(room.submit(homeless, { transaction }))).toBe('conflict');
    expect(await refusal(room.submit(provider, { transaction, chainId: 1 }))).toBe('thing-unknown');
  });

  test('a token that this market does not take counts for nothing', async () => {
    const transaction = await deposit(50_000_000n, node.contracts.usdt);
    await node.mine(CONFIRMATIONS);
    await room.round();
    expect(await room.submit(provider, { transaction })).toMatchObject({
      state: 'rejected',
      reason: 'This market does not take that token.',
    });
    expect((await room.standingOf(provider)).covered).toBe(0n);
  });

  test('SWAN and USDC add up, and a deposit that a reorganisation undid never counted', async () => {
    await deposit(10_000_000n);
    await deposit(2_500n * 10n ** 18n, node.contracts.swan);
    await node.mine(CONFIRMATIONS);
    await room.round();
    expect((await room.standingOf(provider)).covered).toBe(10_000n);
    const undone = await deposit(10_000_000n);
    await node.mine(1);
    await room.round();
    await node.reorganise(2);
    await node.mine(CONFIRMATIONS + 2);
    await room.round();
    expect((await room.standingOf(provider)).covered).toBe(10_000n);
    expect(await room.submit(provider, { transaction: undone })).toMatchObject({ state: 'pending' });
  });

  test('of many readers at once each event is kept once', async () => {
    await deposit(20_000_000n);
    await node.mine(CONFIRMATIONS);
    await Promise.all([open(), open(), open()].map((each) => each.round()));
    expect(await pledge()).toMatchObject({ deposited: 20_000_000n });
  });
});
