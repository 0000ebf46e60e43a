import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Pico } from '#domain/money.ts';
import { systemClock } from '#kit/clock.ts';
import { idMaker } from '#kit/id.ts';
import { silentLog } from '#kit/log.ts';
import { systemRandomness } from '#kit/random.ts';
import { ledgerSuite } from '#support/ledger-suite.ts';
import { MemoryLedger } from '#support/memory-ledger.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { correctionOf, usageOf } from '#support/records.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { audit } from './audit.ts';
import { Book, writeEntries } from './book.ts';
import { Leases } from './leases.ts';

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
});
afterAll(async () => {
  await fresh.drop();
});

const makeId = idMaker(systemClock, systemRandomness);
const bookOf = (instance: string): Book =>
  new Book({ database: fresh.database, instance, clock: new VirtualClock(), log: silentLog });
const leasesOf = (instance: string): Leases => new Leases({ database: fresh.database, instance, makeId });

ledgerSuite('postgres', async () => ({
  leasesOf,
  postingOf: bookOf,
  grant: (consumerId, amount, id) => bookOf('a').grant(consumerId, amount, id),
  balance: (consumerId) => bookOf('a').balance(consumerId),
  async on(account) {
    const [row] = await fresh.database.sql<
      { balance: Pico }[]
    >`select balance from accounts where id = ${account}`;
    return row?.balance ?? 0n;
  },
  async rejectedIds() {
    const rows = await fresh.database.sql<{ id: string }[]>`select id from rejected_usage`;
    return rows.map((row) => row.id);
  },
  async differences() {
    return (await audit(fresh.database)).differences.map(({ what, where }) => `${what} ${where}`);
  },
}));

const memory = new MemoryLedger(new VirtualClock());
ledgerSuite('memory', async () => ({
  leasesOf: (instance) => memory.leasesOf(instance),
  postingOf: (instance) => memory.postingOf(instance),
  grant: (consumerId, amount, id) => memory.grant(consumerId, amount, id),
  balance: (consumerId) => memory.balance(consumerId),
  on: async (account) => memory.balances.get(account) ?? 0n,
  rejectedIds: async () => [...memory.rejected.keys()],
  differences: async () => memory.differences(),
}));

test('bug: while a newer version has added columns to the tables, what this one posts is not rejected', async () => {
  const ahead = await freshDatabase();
  try {
    const { database } = ahead;
    for (const table of ['usage', 'corrections']) {
      await database.sql.unsafe(`alter table ${table} add column of_tomorrow text not null default 'none'`);
    }
    const book = new Book({ database, instance: 'a', clock: new VirtualClock(), log: silentLog });
    await book.grant('con_up', 1_000n, 'grant_up');
    await new Leases({ database, instance: 'a', makeId }).grow('con_up', { atLeast: 100n, want: 100n });
    const served = usageOf({ id: 'req_up', consumerId: 'con_up', charge: 60n });
    await book.post([served]);
    const rows = await database.sql<{ id: string; of_tomorrow: string }[]>`select id, of_tomorrow from usage`;
    expect([...rows]).toEqual([{ id: 'req_up', of_tomorrow: 'none' }]);
    expect(await audit(database)).toMatchObject({ rejectedRecords: 0, checkedUsage: 1 });
  } finally {
    await ahead.drop();
  }
});

describe('the tables themselves', () => {
  test('refuse to change, remove or empty what was written', async () => {
    const { sql } = fresh.database;
    await bookOf('t').grant('con_t', 1_000n, 't');
    await leasesOf('t').grow('con_t', { atLeast: 100n, want: 100n });
    await bookOf('t').post([usageOf({ id: 'req_t', consumerId: 'con_t', charge: 10n })]);
    for (const table of ['entries', 'usage']) {
      await expect(sql`update ${sql(table)} set at = now()`).rejects.toThrow(/append-only/);
      await expect(sql`delete from ${sql(table)}`).rejects.toThrow(/append-only/);
      await expect(sql`truncate ${sql(table)} cascade`).rejects.toThrow(/append-only/);
    }
  });

  test.each([
    ['does not balance', ['a', 'b'], [1n, -2n]],
    ['has an empty leg', ['a', 'b', 'c'], [1n, -1n, 0n]],
    ['has more accounts than amounts', ['a', 'b', 'c'], [1n, -1n]],
    ['has one leg', ['a'], [0n]],
    ['has no legs', [], []],
  ])('refuse an entry that %s', async (_why, accounts, amounts) => {
    const { sql } = fresh.database;
    const insert = sql`
      insert into entries (id, kind, at, accounts, amounts)
      values ('bad', 'grant', now(), ${accounts}::text[], ${amounts}::numeric[])`;
    await expect(insert).rejects.toThrow(/entry_balances/);
  });

  test('refuse NaN for a leg', async () => {
    const insert = fresh.database.sql`
      insert into entries (id, kind, at, accounts, amounts)
      values ('bad', 'grant', now(), '{a,b}', '{NaN,NaN}')`;
    await expect(insert).rejects.toThrow(/entry_balances/);
  });

  test('refuse to overdraw a consumer, whatever program asks', async () => {
    const { sql } = fresh.database;
    await bookOf('t').grant('con_guard', 100n, 'guard');
    const account = sql`id = 'consumer:con_guard'`;
    await expect(sql`update accounts set balance = -1 where ${account}`).rejects.toThrow(/never_overdrawn/);
    await expect(sql`update accounts set held = 101 where ${account}`).rejects.toThrow(/never_overdrawn/);
    await expect(sql`update accounts set held = -1 where ${account}`).rejects.toThrow(/never_overdrawn/);
  });
});

describe('statements', () => {
  test('show the latest movements of one consumer, newest first', async () => {
    const book = bookOf('s');
    await book.grant('con_s', 1_000n, 's1');
    await book.deposit('con_s', 500n, 's2');
    await leasesOf('s').grow('con_s', { atLeast: 100n, want: 100n });
    await book.post([usageOf({ id: 'req_s', consumerId: 'con_s', charge: 10n })]);
    const lines = await book.statement('con_s', 2);
    expect(lines.map(({ id, amount }) => [id, amount])).toEqual([
      ['charge:req_s', -10n],
      ['deposit:s2', 500n],
    ]);
  });
});

describe('the audit', () => {
  test('finds a balance that somebody changed behind the book, and a lease out of thin air', async () => {
    const { sql } = fresh.database;
    await bookOf('x').grant('con_x', 1_000n, 'x');
    expect((await audit(fresh.database)).balanced).toBe(true);
    await sql`update accounts set balance = balance + 1 where id = 'consumer:con_x'`;
    await sql`insert into leases values ('x', 'con_x', 5, '', 0)`;
    const report = await audit(fresh.database);
    expect(report.balanced).toBe(false);
    expect(report.differences.map(({ what }) => what).toSorted()).toEqual([
      'A balance is not the sum of its entries.',
      'All balances together are not zero.',
      'What is held is not the sum of the leases.',
    ]);
    await sql`delete from leases where instance = 'x'`;
    await sql`update accounts set balance = balance - 1 where id = 'consumer:con_x'`;
  });

  test('finds a charged request without its charge', async () => {
    const { sql } = fresh.database;
    await sql.unsafe(`
      insert into usage (id, at, consumer_id, key_id, model_id, provider_id, streamed, outcome, input_tokens, output_tokens,
        events, bytes, attempts, total_ms, price_id, policy, charge)
      values ('req_lost', now(), 'con_x', 'k', 'm', 'p', true, 'completed', 1, 1, 1, 1, 1, 1, 'p', 'standard-1', 7)`);
    const report = await audit(fresh.database);
    expect(report.differences).toEqual([
      {
        what: 'A charged request and its charge differ.',
        where: 'charge:req_lost',
        found: 'null',
        expected: '7',
      },
    ]);
  });
});

describe('entries that balance and are wrong', () => {
  /** Writes an entry and moves its accounts, as a program that errs would. */
  async function erring(
    id: string,
    kind: string,
    legs: readonly (readonly [string, bigint])[],
  ): Promise<void> {
    const [accounts, amounts] = [legs.map(([account]) => account), legs.map(([, amount]) => amount)];
    await fresh.database.transaction(async (sql) => {
      await sql`
        insert into entries (id, kind, at, accounts, amounts)
        values (${id}, ${kind}, now(), ${accounts}::text[], ${amounts}::numeric[])`;
      await sql`
        update accounts a set balance = a.balance + t.amount
        from unnest(${accounts}::text[], ${amounts}::numeric[]) as t(id, amount) where a.id = t.id`;
    });
  }
  const found = async (id: string) =>
    (await audit(fresh.database)).differences.filter(({ where }) => where === id).map(({ what }) => what);

  beforeAll(async () => {
    for (const id of ['con_shape', 'con_other']) await bookOf('t').grant(id, 1_000n, `shape_${id}`);
    await leasesOf('t').grow('con_shape', { atLeast: 500n, want: 500n });
    const shared = { consumerId: 'con_shape', providerId: 'prov_shape', charge: 101n };
    await bookOf('t').post([usageOf({ ...shared, id: 'req_shape' })]);
  });

  test('the audit finds nothing where nothing is wrong', async () => {
    expect(await found('charge:req_shape')).toEqual([]);
  });

  test.each<[string, string, readonly (readonly [string, bigint])[], string]>([
    [
      'a deposit out of the fees',
      'deposit',
      [
        ['consumer:con_shape', 1n],
        ['platform:fee', -1n],
      ],
      'An entry touches what none of its kind does.',
    ],
    [
      'a grant that takes from its consumer',
      'grant',
      [
        ['consumer:con_shape', -1n],
        ['platform:promo', 1n],
      ],
      'An entry touches what none of its kind does.',
    ],
    [
      'money that went from one consumer to another',
      'withdrawal',
      [
        ['consumer:con_shape', -2n],
        ['consumer:con_other', -1n],
        ['platform:cash', 3n],
      ],
      'An entry is of two parties of one sort.',
    ],
  ])('the audit finds %s', async (id, kind, legs, what) => {
    await erring(id, kind, legs);
    expect(await found(id)).toEqual([what]);
  });

  test('the audit finds a charge that was shared out otherwise than its policy says, by a pico-dollar', async () => {
    await erring('correction:req_shape', 'correction', [
      ['provider:prov_shape', 1n],
      ['platform:treasury', -1n],
    ]);
    expect(await found('charge:req_shape')).toEqual(['A request was not shared out by its policy.']);
  });
});

test('bug: a repeat with fewer legs than the entry has is refused, and so is a correction that gives a plan more than it paid', async () => {
  const { database } = fresh;
  await bookOf('t').grant('con_legs', 100n, 'legs');
  const legs = [
    { account: 'consumer:con_legs', amount: 1n },
    { account: 'platform:promo', amount: -1n },
    { account: 'platform:cash', amount: 1n },
    { account: 'platform:fee', amount: -1n },
  ];
  const entry = { id: 'grant:long', kind: 'grant' as const, at: 0, memo: {} };
  await database.transaction((sql) => writeEntries(sql, [{ ...entry, legs }]));
  const again = database.transaction((sql) => writeEntries(sql, [{ ...entry, legs: legs.slice(0, 2) }]));
  await expect(again).rejects.toThrow('exists with other amounts or parties');

  const parties = { consumerId: 'con_legs', providerId: 'prov_legs' };
  await leasesOf('t').grow('con_legs', { atLeast: 50n, want: 50n });
  await bookOf('t').post([usageOf({ ...parties, id: 'req_legs', charge: 50n })]);
  const lie = { ...parties, requestId: 'req_legs', refund: 0n, originalCharge: 50n, originalCovered: 0n };
  await bookOf('t').post([correctionOf({ ...lie, coveredRefund: 50n })]);
  expect(await database.sql`select reason from rejected_usage where id = 'fix_req_legs'`).toEqual([
    { reason: 'the refund is not a part of the charge' },
  ]);
});

test('what a plan covers leaves its account and no lease, once; a lie about it is rejected and moves nothing', async () => {
  const [consumerId, providerId] = ['con_plan', 'prov_plan'];
  const parties = { consumerId, providerId };
  const about = { ...parties, charge: 0n, covered: 1_000n, coveredTokens: 30 };
  const on = async (account: string) =>
    (await fresh.database.sql<{ balance: Pico }[]>`select balance from accounts where id = ${account}`)[0]
      ?.balance ?? 0n;
  await bookOf('a').grant(consumerId, 5n, 'g_plan');
  const plans = await on('platform:plans');
  const served = usageOf({ ...about, id: 'req_plan' });
  await Promise.all([bookOf('a').post([served]), bookOf('b').post([served]), bookOf('c').post([served])]);
  expect(await on('platform:plans')).toBe(plans - 1_000n);
  expect(await on(`provider:${providerId}`)).toBe(665n);
  await bookOf('a').post([
    correctionOf({
      ...parties,
      requestId: 'req_plan',
      refund: 0n,
      originalCharge: 0n,
      coveredRefund: 400n,
      originalCovered: 1_000n,
    }),
  ]);
  expect(await on('platform:plans')).toBe(plans - 600n);
  expect(await on(`consumer:${consumerId}`)).toBe(5n);
  await bookOf('a').post([
    usageOf({ ...about, id: 'req_lie_1', outcome: 'broken' }),
    usageOf({ ...about, id: 'req_lie_2', providerId: null }),
    usageOf({ ...about, id: 'req_lie_3', covered: -5n }),
    usageOf({ ...about, id: 'req_lie_4', coveredTokens: 0.5 }),
    correctionOf({
      ...parties,
      requestId: 'req_plan_2',
      refund: 5n,
      originalCharge: 1n,
      coveredRefund: 1n,
      originalCovered: 9n,
    }),
  ]);
  expect(await on('platform:plans')).toBe(plans - 600n);
  const rejected = await fresh.database.sql<{ id: string }[]>`
    select id from rejected_usage where id like 'req_lie%' or id = 'fix_req_plan_2'`;
  expect(rejected).toHaveLength(5);
  const { differences } = await audit(fresh.database);
  expect(differences.filter(({ where }) => where.includes('plan'))).toEqual([]);
});
