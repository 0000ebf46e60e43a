import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Pico, parseUsd } from '#domain/money.ts';
import { SPLIT_POLICIES, type SplitPolicy, shareOut } from '#domain/policy.ts';
import { Deposits } from '#funds/deposits.ts';
import { createConsumer } from '#identity/consumers.ts';
import { bindNode } from '#identity/nodes.ts';
import { audit } from '#ledger/audit.ts';
import { openAccount, writeEntries } from '#ledger/book.ts';
import { slaCreditEntry } from '#ledger/funds-entries.ts';
import { RevenueReading } from '#ledger/revenue-reading.ts';
import { makeId, makeProvider } from '#support/parties.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { Sales } from '#support/sales.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { categoryOf, journalCsv } from './journal.ts';
import { byGpu } from './tables.ts';
import { treasuryBalances, treasuryMovements } from './treasury.ts';

const STANDARD = SPLIT_POLICIES['standard-1'] as SplitPolicy;
const NOVEMBER = Date.UTC(2026, 10, 15, 12);
const DAY = 86_400_000;
const ALL = { from: 0, to: Date.UTC(2030, 0, 1) };

let fresh: FreshDatabase;
let sales: Sales;
let revenue: RevenueReading;
const open = async (): Promise<void> => {
  fresh = await freshDatabase();
  sales = new Sales(fresh.database);
  revenue = new RevenueReading(fresh.database);
};
beforeEach(open);
afterEach(async () => {
  const report = await audit(fresh.database);
  await fresh.drop();
  assert.deepEqual(report.differences, []);
});

async function consumer(credit: Pico = 0n): Promise<string> {
  const id = makeId('con');
  await createConsumer(fresh.database, { id, name: id, at: 0 });
  if (credit > 0n) await sales.book(NOVEMBER).grant(id, credit, id);
  return id;
}

describe('what a provider earned', () => {
  test('is by day, by week from Monday and by month, all in UTC, and no other provider is in it', async () => {
    const id = await consumer(parseUsd('1'));
    const at = (text: string) => ({
      consumerId: id,
      at: Date.parse(text),
      charge: 100n,
      inputTokens: 3,
      outputTokens: 4,
    });
    await sales.sell(
      at('2026-12-31T23:59:59.999Z'),
      at('2027-01-01T00:00:00.000Z'),
      // Sunday of the week that began in the year before, and the Monday after it.
      at('2027-01-03T23:59:59.999Z'),
      { ...at('2027-01-04T00:00:00.000Z'), modelId: 'b/other' },
      { ...at('2027-01-01T00:00:00.000Z'), providerId: 'prov_2' },
      { ...at('2027-01-01T00:00:00.000Z'), outcome: 'broken', charge: 0n },
    );
    const earned = shareOut(100n, STANDARD).provider;
    const row = {
      modelId: 'cygnet/cygnet-nano',
      requests: 1,
      inputTokens: 3,
      outputTokens: 4,
      gross: 100n,
      earned,
    };
    expect(await revenue.earned('prov_1', 'day', ALL)).toEqual([
      { ...row, period: '2026-12-31' },
      { ...row, period: '2027-01-01' },
      { ...row, period: '2027-01-03' },
      { ...row, period: '2027-01-04', modelId: 'b/other' },
    ]);
    const weeks = await revenue.earned('prov_1', 'week', ALL);
    expect(weeks.map(({ period, requests }) => [period, requests])).toEqual([
      ['2026-W53', 3],
      ['2027-W01', 1],
    ]);
    const months = await revenue.earned('prov_1', 'month', ALL);
    expect(months.map(({ period, modelId, requests }) => [period, modelId, requests])).toEqual([
      ['2026-12', 'cygnet/cygnet-nano', 1],
      ['2027-01', 'b/other', 1],
      ['2027-01', 'cygnet/cygnet-nano', 2],
    ]);
    const first = { from: Date.parse('2027-01-01T00:00:00Z'), to: Date.parse('2027-01-02T00:00:00Z') };
    expect(await revenue.earned('prov_1', 'day', first)).toEqual([{ ...row, period: '2027-01-01' }]);
  });

  test('is what the ledger gave it, corrections taken off, to the pico-dollar', async () => {
    const id = await consumer(parseUsd('1'));
    const [sold] = await sales.sell({ consumerId: id, at: NOVEMBER, charge: 1_001n, outputTokens: 20 });
    assert(sold);
    await sales.correct(sold, { at: NOVEMBER + DAY, refund: 333n, outputTokens: 12 });
    const [row] = await revenue.earned('prov_1', 'day', ALL);
    const [account] = await fresh.database.sql<{ balance: Pico }[]>`
      select balance from accounts where id = 'provider:prov_1'`;
    expect(row).toMatchObject({
      period: '2026-11-15',
      gross: 668n,
      earned: account?.balance,
      outputTokens: 12,
    });
  });
});

describe('what a plan paid for', () => {
  test('is revenue and volume of its own, neither free nor twice', async () => {
    const id = await consumer(0n);
    await sales.book(NOVEMBER).deposit(id, 1_000n, makeId('dep'));
    const about = { consumerId: id, at: NOVEMBER, inputTokens: 1, outputTokens: 1 };
    await sales.sell({ ...about, charge: 0n, covered: 100n, coveredTokens: 2 });
    await sales.sell({ ...about, charge: 30n, covered: 70n, coveredTokens: 1 });
    const [day] = await revenue.volume(ALL);
    expect(day).toMatchObject({
      paid: 30n,
      paidRequests: 1,
      paidTokens: 2,
      given: 0n,
      covered: 170n,
      coveredRequests: 1,
      coveredTokens: 2,
      freeRequests: 0,
      freeTokens: 0,
    });
    const [earned] = await revenue.earned('prov_1', 'month', ALL);
    const share = shareOut(100n, STANDARD).provider;
    expect(earned).toMatchObject({ requests: 2, gross: 200n, earned: 2n * share });
    const [node] = await revenue.byNode(ALL);
    expect(node).toMatchObject({ gross: 200n, earned: 2n * share });
  });
});

describe('volume', () => {
  test('keeps paid, given and free apart; given credit is spent first', async () => {
    const id = await consumer(100n);
    const about = { consumerId: id, at: NOVEMBER, inputTokens: 1, outputTokens: 1 };
    await sales.book(NOVEMBER).deposit(id, 1_000n, 'd');
    await sales.sell({ ...about, charge: 60n });
    await sales.sell({ ...about, charge: 60n });
    await sales.sell(
      { ...about, at: NOVEMBER + DAY, charge: 60n },
      { ...about, at: NOVEMBER + DAY, charge: 0n },
    );
    await sales.sell({ ...about, at: NOVEMBER + DAY, charge: 0n, outcome: 'failed', providerId: null });
    const row = { coveredRequests: 0, coveredTokens: 0, covered: 0n, freeRequests: 0, freeTokens: 0 };
    expect(await revenue.volume(ALL)).toEqual([
      {
        ...row,
        day: '2026-11-15',
        paidRequests: 1,
        paidTokens: 2,
        paid: 20n,
        givenRequests: 1,
        givenTokens: 2,
        given: 100n,
      },
      {
        ...row,
        day: '2026-11-16',
        paidRequests: 1,
        paidTokens: 2,
        paid: 60n,
        givenRequests: 0,
        givenTokens: 0,
        given: 0n,
        freeRequests: 1,
        freeTokens: 2,
      },
    ]);
    // A later day alone says the same: what was given before it is known.
    expect((await revenue.volume({ from: NOVEMBER + DAY / 2, to: ALL.to })).map(({ paid }) => paid)).toEqual([
      60n,
    ]);
  });

  test('whatever was given, paid in and sold in whatever order: paid is what given credit did not cover', async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('give' as const), amount: fc.bigInt(1n, 300n) }),
      fc.record({ do: fc.constant('sell' as const), amount: fc.bigInt(1n, 100n) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 10 }), async (steps) => {
        const id = await consumer();
        await sales.book(NOVEMBER).deposit(id, 10_000n, id);
        let left = 0n;
        let [paid, given] = [0n, 0n];
        for (const [i, { do: what, amount }] of steps.entries()) {
          if (what === 'give') {
            await sales.book(NOVEMBER).grant(id, amount, `${id}:${i}`);
            left += amount;
            continue;
          }
          await sales.sell({ consumerId: id, at: NOVEMBER, charge: amount });
          const covered = left < amount ? left : amount;
          left -= covered;
          given += covered;
          paid += amount - covered;
        }
        const [day] = await revenue.volume(ALL);
        expect([day?.paid ?? 0n, day?.given ?? 0n]).toEqual([paid, given]);
        await fresh.drop();
        await open();
      }),
      { numRuns: 8 },
    );
  });
});

test('revenue is told by node and by GPU, as the machines registered, external endpoints apart', async () => {
  const { database } = fresh;
  const provider = await makeProvider(database);
  const node = async (nodeId: string, hardware: Record<string, unknown> | null) =>
    await bindNode(database, {
      nodeId,
      providerId: provider.id,
      keyId: provider.keyId,
      name: null,
      hardware,
      at: 0,
    });
  await node('a', { gpu_model: 'NVIDIA H100', gpu_count: 2 });
  await node('b', { gpu_type: 'NVIDIA H100', gpu_count: 'lots' });
  await node('c', null);
  const id = await consumer(parseUsd('1'));
  const about = { consumerId: id, at: NOVEMBER, providerId: provider.id, inputTokens: 0, outputTokens: 1 };
  await sales.sell(
    { ...about, nodeId: 'a', charge: 300n },
    { ...about, nodeId: 'a', charge: 100n },
    { ...about, nodeId: 'b', charge: 50n },
    { ...about, nodeId: 'c', charge: 20n },
    { ...about, nodeId: 'ext_1', mode: 'external', charge: 10n },
  );
  const nodes = await revenue.byNode(ALL);
  expect(
    nodes.map(({ nodeId, mode, gpu, gpus, requests, gross }) => [nodeId, mode, gpu, gpus, requests, gross]),
  ).toEqual([
    ['a', 'websocket', 'NVIDIA H100', 2, 2, 400n],
    ['b', 'websocket', 'NVIDIA H100', 1, 1, 50n],
    ['c', 'websocket', null, 0, 1, 20n],
    ['ext_1', 'external', null, 0, 1, 10n],
  ]);
  const [account] = await database.sql<{ balance: Pico }[]>`
    select balance from accounts where id = ${`provider:${provider.id}`}`;
  expect(nodes.reduce((sum, { earned }) => sum + earned, 0n)).toBe(account?.balance);
  expect(byGpu(nodes).map(({ gpu, gpus, revenuePerGpu }) => [gpu, gpus, revenuePerGpu])).toEqual([
    ['NVIDIA H100', 3, 150n],
    [null, 0, null],
  ]);
});

test('the treasury says what it has and what is due to be burned, and what moved it each month', async () => {
  const id = await consumer(parseUsd('1'));
  const [sold] = await sales.sell(
    { consumerId: id, at: NOVEMBER, charge: 10_000n },
    { consumerId: id, at: NOVEMBER + 30 * DAY, charge: 20_000n },
  );
  assert(sold);
  await sales.correct(sold, { at: NOVEMBER, refund: 5_000n });
  const [first, second] = [shareOut(5_000n, STANDARD), shareOut(20_000n, STANDARD)];
  expect(await treasuryBalances(fresh.database)).toMatchObject({
    treasury: first.treasury + second.treasury,
    burnDue: first.burn + second.burn,
    burned: 0n,
    fees: first.fee + second.fee,
    promo: -parseUsd('1'),
  });
  const moved = await treasuryMovements(fresh.database, ALL);
  const sum = (month: string, account: string): Pico =>
    moved
      .filter((row) => row.month === month && row.account === account)
      .reduce((so, { amount }) => so + amount, 0n);
  expect(sum('2026-11', 'platform:burn')).toBe(first.burn);
  expect(sum('2026-12', 'platform:treasury')).toBe(second.treasury);
});

test('a credit for a missed service level is in the treasury, in the journal, and given money when it is spent', async () => {
  const id = await consumer();
  const { database } = fresh;
  await database.transaction(async (sql) => {
    await openAccount(sql, { account: `consumer:${id}`, kind: 'consumer' });
    const credit = { consumerId: id, month: '2026-10', report: 'sla_1', at: NOVEMBER, fromStakes: 0n };
    await writeEntries(sql, [slaCreditEntry({ ...credit, amount: parseUsd('6') })]);
  });
  await sales.sell({ consumerId: id, at: NOVEMBER, charge: parseUsd('5') });
  expect((await treasuryBalances(database)).sla).toBe(-parseUsd('6'));
  const [day] = await revenue.volume(ALL);
  expect(day).toMatchObject({ paid: 0n, given: parseUsd('5') });
  let text = '';
  for await (const part of journalCsv(database, ALL)) text += part;
  expect(text).toContain(`sla-credit:${id}:2026-10,sla-credit,transfer,consumer:${id},,6.00`);
  expect(text).toContain(`sla-credit:${id}:2026-10,sla-credit,transfer,platform:sla,6.00,`);
});

describe("the accountant's journal", () => {
  const journal = async (range = ALL): Promise<string[][]> => {
    let text = '';
    for await (const part of journalCsv(fresh.database, range)) text += part;
    return text
      .trimEnd()
      .split('\r\n')
      .map((row) => row.split(','));
  };

  test('has every leg of the range once, in the order of writing, and balances', async () => {
    const id = await consumer(parseUsd('1'));
    const clock = new VirtualClock(NOVEMBER);
    await new Deposits({ database: fresh.database, clock }).confirm({
      method: 'bank',
      consumerId: id,
      amount: parseUsd('50'),
      reference: 'r1',
    });
    // More than one page.
    for (let i = 0; i < 3; i++) {
      await sales.sell(
        ...Array.from({ length: 900 }, (_, j) => ({
          consumerId: id,
          at: NOVEMBER + j,
          charge: BigInt(1_000 + i),
        })),
      );
    }
    await sales.sell({ consumerId: id, at: NOVEMBER + 40 * DAY, charge: 7n });
    const rows = await journal({ from: NOVEMBER, to: NOVEMBER + DAY });
    const [titles, ...rest] = rows;
    expect(titles).toEqual([
      'seq',
      'at',
      'entry',
      'kind',
      'category',
      'account',
      'debit_usd',
      'credit_usd',
      'asset',
      'units',
    ]);
    const legs = rest.filter(([first]) => first !== 'total');
    const totals = rest.filter(([first]) => first === 'total');
    const [wanted] = await fresh.database.sql<{ count: bigint; debit: Pico }[]>`
      select count(*) as count, sum(-amount) filter (where amount < 0) as debit from postings
      where at >= ${new Date(NOVEMBER)} and at < ${new Date(NOVEMBER + DAY)}`;
    expect(legs).toHaveLength(Number(wanted?.count));
    expect(legs.map(([seq]) => Number(seq))).toEqual(
      legs.map(([seq]) => Number(seq)).toSorted((a, b) => a - b),
    );
    const column = (of: string[][], at: number): Pico =>
      of.reduce((sum, row) => sum + parseUsd(row[at] || '0'), 0n);
    expect(column(legs, 6)).toBe(wanted?.debit);
    expect(column(legs, 7)).toBe(wanted?.debit);
    const all = totals.at(-1);
    expect([all?.[4], parseUsd(all?.[6] ?? ''), parseUsd(all?.[7] ?? '')]).toEqual([
      'all',
      wanted?.debit,
      wanted?.debit,
    ]);
    for (const [, , , , category, , debit = '', credit = ''] of totals.slice(0, -1)) {
      const own = legs.filter((row) => row[4] === category);
      expect([column(own, 6), column(own, 7)]).toEqual([parseUsd(debit), parseUsd(credit)]);
    }
    expect(await journal({ from: NOVEMBER, to: NOVEMBER + DAY })).toEqual(rows);
  });

  test('of a range without entries is its titles and zeros', async () => {
    expect(await journal()).toEqual([
      ['seq', 'at', 'entry', 'kind', 'category', 'account', 'debit_usd', 'credit_usd', 'asset', 'units'],
      ['total', '', '', '', 'all', '', '0.00', '0.00', '', ''],
    ]);
  });

  test.each([
    ['charge', 'platform:fee', null, 'fee'],
    ['charge', 'consumer:con_1', null, 'transfer'],
    ['correction', 'platform:fee', null, 'fee'],
    ['plan-fee', 'platform:plans', null, 'fee'],
    ['deposit', 'consumer:con_1', null, 'receipt'],
    ['deposit', 'consumer:con_1', 'SWAN', 'conversion'],
    ['bonus', 'consumer:con_1', 'SWAN', 'transfer'],
    ['burn', 'platform:burn', 'SWAN', 'conversion'],
    ['collateral', 'platform:cash', null, 'receipt'],
    ['payout', 'platform:claimable', 'payout token', 'payout'],
    ['claim', 'platform:cash', 'payout token', 'payout'],
    ['withdrawal', 'platform:cash', null, 'payout'],
    ['reversal', 'platform:receivable', null, 'payout'],
    ['slash', 'platform:slashed', null, 'transfer'],
    ['grant', 'platform:promo', null, 'transfer'],
    ['sla-credit', 'platform:sla', null, 'transfer'],
  ] as const)('%s on %s, in %s, is a %s', (kind, account, asset, category) => {
    expect(categoryOf(kind, account, asset)).toBe(category);
  });
});
