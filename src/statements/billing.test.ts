import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Database, Sql } from '#db/database.ts';
import { nearestCents, type Pico, parseUsd } from '#domain/money.ts';
import { Deposits } from '#funds/deposits.ts';
import { createConsumer } from '#identity/consumers.ts';
import { audit } from '#ledger/audit.ts';
import { writeEntries } from '#ledger/book.ts';
import { planFeeEntry, slaCreditEntry } from '#ledger/funds-entries.ts';
import { makeId } from '#support/parties.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { Sales } from '#support/sales.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import type { CreditNoteBody, InvoiceBody } from '#wire/documents.ts';
import { Billing } from './billing.ts';
import { checkStatements } from './check.ts';

const ISSUER = { name: 'Cygnet', address: ['1 Lake Road'], tax_id: null, note: null };
const OCTOBER = Date.UTC(2026, 9, 15);
const NOVEMBER = Date.UTC(2026, 10, 15);
const NOVEMBER_BEGINS = Date.UTC(2026, 10, 1);
const LATER = Date.UTC(2026, 11, 20);
const MINUTE = 60_000;

let fresh: FreshDatabase;
let sales: Sales;
const open = async (): Promise<void> => {
  fresh = await freshDatabase();
  sales = new Sales(fresh.database);
};
beforeEach(open);
afterEach(async () => {
  const report = await audit(fresh.database);
  const papers = await checkStatements(fresh.database);
  await fresh.drop();
  assert.deepEqual([report.differences, papers], [[], []]);
});

const billingAt = (at: number, database: Database = fresh.database) =>
  new Billing({ database, clock: new VirtualClock(at), issuer: ISSUER });

async function consumer(name = 'A customer', credit = parseUsd('100')): Promise<string> {
  const id = makeId('con');
  await createConsumer(fresh.database, { id, name, at: 0 });
  if (credit > 0n) await sales.book(OCTOBER).grant(id, credit, id);
  return id;
}

async function documentsOf(consumerId: string) {
  const all = await billingAt(0).list({ consumerId, limit: 1_000 });
  return await Promise.all(all.toReversed().map(async ({ number }) => await billingAt(0).find(number)));
}

const invoicesOf = async (consumerId: string) =>
  (await documentsOf(consumerId)).filter((each): each is InvoiceBody => each?.document === 'invoice');
const creditNotesOf = async (consumerId: string) =>
  (await documentsOf(consumerId)).filter((each): each is CreditNoteBody => each?.document === 'credit-note');

async function numbers(): Promise<string[]> {
  return (await billingAt(0).list({ limit: 10_000 })).map(({ number }) => number).toSorted();
}

async function balance(consumerId: string): Promise<Pico> {
  return (await sales.book(0).balance(consumerId)).total;
}

describe('a credit for a missed service level', () => {
  const credit = async (consumerId: string, at: number, amount: Pico) =>
    await fresh.database.transaction((sql) =>
      writeEntries(sql, [
        slaCreditEntry({ consumerId, month: '2026-11', report: 'sla_1', at, amount, fromStakes: 0n }),
      ]),
    );

  test("is a credit note that names its own month's invoice", async () => {
    const id = await consumer();
    await sales.sell({ consumerId: id, at: NOVEMBER, charge: parseUsd('60') });
    await billingAt(Date.UTC(2026, 11, 2)).round();
    await credit(id, Date.UTC(2026, 11, 3), parseUsd('6'));
    await billingAt(Date.UTC(2027, 0, 2)).round();
    const [invoice] = await invoicesOf(id);
    expect(await creditNotesOf(id)).toMatchObject([
      {
        month: '2026-12',
        corrects: invoice?.number,
        corrects_month: '2026-11',
        lines: [{ kind: 'sla-credit', name: 'sla-credit', month: '2026-11', count: 1, amount_usd: '6.00' }],
        total_usd: '6.00',
      },
    ]);
  });

  test('is a movement of the account where its month has no invoice to take it off', async () => {
    const id = await consumer();
    await credit(id, Date.UTC(2026, 11, 3), 500n);
    await sales.sell({ consumerId: id, at: Date.UTC(2026, 11, 4), charge: 100n });
    await billingAt(Date.UTC(2027, 0, 2)).round();
    expect(await creditNotesOf(id)).toEqual([]);
    const [invoice] = await invoicesOf(id);
    expect(invoice?.account.movements).toEqual([
      { kind: 'sla-credit', count: 1, amount_usd: '0.0000000005' },
    ]);
  });
});

describe('an invoice', () => {
  test('has a line for each model, the plan, and the account from the first day to the last', async () => {
    const id = await consumer();
    const about = { consumerId: id, at: NOVEMBER };
    await sales.sell(
      { ...about, modelId: 'a/small', charge: 1_000n, inputTokens: 10, outputTokens: 5 },
      { ...about, modelId: 'a/small', charge: 2_001n, inputTokens: 1, outputTokens: 2 },
      { ...about, modelId: 'b/images', charge: 40_000n, inputTokens: 0, outputTokens: 0, units: 2 },
      { ...about, modelId: 'a/small', outcome: 'broken', charge: 0n },
      { consumerId: id, at: OCTOBER, charge: 7n },
    );
    const start = new Date(NOVEMBER).toISOString();
    await fresh.database.transaction((sql) =>
      writeEntries(sql, [
        planFeeEntry({ id: `${id}:pro:${start}`, at: NOVEMBER, amount: parseUsd('6'), consumerId: id }),
      ]),
    );
    await sales.book(NOVEMBER).deposit(id, parseUsd('20'), 'wire-1');
    await billingAt(LATER).round();
    const [october, november] = await invoicesOf(id);
    expect(october).toMatchObject({ month: '2026-10', total_usd: '0.000000000007' });
    expect(november).toEqual({
      document: 'invoice',
      number: 'INV-000002',
      issued_at: new Date(LATER).toISOString(),
      issuer: ISSUER,
      customer: { id, name: 'A customer' },
      currency: 'USD',
      month: '2026-11',
      lines: [
        {
          kind: 'usage',
          name: 'a/small',
          month: '2026-11',
          count: 2,
          input_tokens: 11,
          output_tokens: 7,
          units: 0,
          seconds: 0,
          amount_usd: '0.000000003001',
        },
        {
          kind: 'usage',
          name: 'b/images',
          month: '2026-11',
          count: 1,
          input_tokens: 0,
          output_tokens: 0,
          units: 2,
          seconds: 0,
          amount_usd: '0.00000004',
        },
        {
          kind: 'plan-fee',
          name: 'pro',
          month: '2026-11',
          count: 1,
          input_tokens: 0,
          output_tokens: 0,
          units: 0,
          seconds: 0,
          amount_usd: '6.00',
        },
      ],
      total_usd: '6.000000043001',
      total_rounded_usd: '6.00',
      account: {
        opening_usd: '99.999999999993',
        movements: [{ kind: 'deposit', count: 1, amount_usd: '20.00' }],
        charged_usd: '6.000000043001',
        credited_usd: '0.00',
        closing_usd: '113.999999956992',
      },
    });
    expect(await balance(id)).toBe(parseUsd('113.999999956992'));
  });

  test('is of the month in UTC, to the millisecond', async () => {
    const id = await consumer();
    await sales.sell(
      { consumerId: id, at: NOVEMBER_BEGINS - 1, charge: 1n },
      { consumerId: id, at: NOVEMBER_BEGINS, charge: 10n },
      { consumerId: id, at: Date.UTC(2026, 11, 1), charge: 100n },
    );
    await billingAt(LATER).round();
    expect((await invoicesOf(id)).map(({ month, total_usd }) => [month, total_usd])).toEqual([
      ['2026-10', '0.000000000001'],
      ['2026-11', '0.00000000001'],
    ]);
  });

  test('is not issued before its month has been over for a quarter of an hour', async () => {
    const id = await consumer();
    await sales.sell({ consumerId: id, at: OCTOBER, charge: 1n });
    expect((await billingAt(NOVEMBER_BEGINS + 15 * MINUTE - 1).round()).months).toEqual([]);
    expect((await billingAt(NOVEMBER_BEGINS + 15 * MINUTE).round()).months).toEqual(['2026-10']);
  });

  test('is not made of a month without charges, and takes no number', async () => {
    const [idle, busy] = [await consumer('Idle'), await consumer('Busy')];
    await sales.sell({ consumerId: busy, at: NOVEMBER, charge: 1n });
    await billingAt(LATER).round();
    expect(await documentsOf(idle)).toEqual([]);
    expect(await numbers()).toEqual(['INV-000001']);
  });

  test('of a market without any entry is none, and no month is closed', async () => {
    expect(await billingAt(LATER).round()).toEqual({ months: [], documents: 0 });
  });

  test('of years to come is not made by a clock that jumped ahead: what is sold then is invoiced in its month', async () => {
    const id = await consumer();
    await sales.sell({ consumerId: id, at: OCTOBER, charge: 1n });
    expect((await billingAt(Date.UTC(2031, 0, 1)).round()).months).toEqual(['2026-10']);
    await sales.sell({ consumerId: id, at: NOVEMBER, charge: 2n });
    await billingAt(LATER).round();
    expect((await invoicesOf(id)).map(({ month }) => month).toSorted()).toEqual(['2026-10', '2026-11']);
  });

  test('is made of the first month with a sale, also where the first entry is labelled with a year to come', async () => {
    const id = await consumer('From tomorrow', 0n);
    await sales.book(Date.UTC(2031, 0, 1)).grant(id, 10n, id);
    await sales.sell({ consumerId: id, at: NOVEMBER, charge: 2n });
    await billingAt(LATER).round();
    expect((await invoicesOf(id)).map(({ month, total_usd }) => [month, total_usd])).toEqual([
      ['2026-11', '0.000000000002'],
    ]);
  });

  test('says how it is when a customer has no name of its own any more, and keeps the name of its day', async () => {
    const id = await consumer('Before');
    await sales.sell({ consumerId: id, at: OCTOBER, charge: 1n });
    await billingAt(NOVEMBER).round();
    await fresh.database.sql`update consumers set name = 'After' where id = ${id}`;
    expect((await invoicesOf(id))[0]?.customer.name).toBe('Before');
  });

  test('cannot be changed, removed or emptied, nor its lines, nor its month', async () => {
    const id = await consumer();
    await sales.sell({ consumerId: id, at: OCTOBER, charge: 1n });
    await billingAt(NOVEMBER).round();
    const { sql } = fresh.database;
    await expect(sql`update documents set total = 0`).rejects.toThrow('append-only');
    await expect(sql`delete from documents`).rejects.toThrow('append-only');
    await expect(sql`truncate documents`).rejects.toThrow('append-only');
    await expect(sql`update billing_lines set amount = 0`).rejects.toThrow('append-only');
    await expect(sql`update billing_months set cut = 0`).rejects.toThrow('never changes');
    await expect(sql`update billing_months set state = 'cut'`).rejects.toThrow('never changes');
    await expect(sql`delete from billing_months`).rejects.toThrow('never changes');
  });
});

describe('what comes late', () => {
  test('a request that was written after the cut stands on the next invoice, under its own month', async () => {
    const id = await consumer();
    await sales.sell({ consumerId: id, at: OCTOBER, charge: 1n });
    await billingAt(NOVEMBER).round();
    await sales.sell(
      { consumerId: id, at: OCTOBER, charge: 20n },
      { consumerId: id, at: NOVEMBER, charge: 300n },
    );
    await billingAt(LATER).round();
    const [, november] = await invoicesOf(id);
    expect(november?.lines.map(({ month, amount_usd }) => [month, amount_usd])).toEqual([
      ['2026-10', '0.00000000002'],
      ['2026-11', '0.0000000003'],
    ]);
  });

  test('a correction within the month is taken off its line', async () => {
    const id = await consumer();
    const [sold] = await sales.sell({ consumerId: id, at: NOVEMBER, charge: 100n, outputTokens: 20 });
    assert(sold);
    await sales.correct(sold, { at: NOVEMBER + MINUTE, refund: 40n, outputTokens: 12 });
    await billingAt(LATER).round();
    const [invoice] = await invoicesOf(id);
    expect(invoice?.lines).toHaveLength(1);
    expect(invoice?.lines[0]).toMatchObject({ count: 1, output_tokens: 12, amount_usd: '0.00000000006' });
    expect(await creditNotesOf(id)).toEqual([]);
  });

  test('a correction of an earlier month is a credit note for its invoice', async () => {
    const id = await consumer();
    const [sold] = await sales.sell({ consumerId: id, at: OCTOBER, charge: 100n, outputTokens: 20 });
    assert(sold);
    await billingAt(NOVEMBER).round();
    await sales.correct(sold, { at: NOVEMBER, refund: 40n, outputTokens: 12 });
    await sales.sell({ consumerId: id, at: NOVEMBER, charge: 7n });
    await billingAt(LATER).round();
    const [, november] = await invoicesOf(id);
    expect(november).toMatchObject({
      total_usd: '0.000000000007',
      account: { credited_usd: '0.00000000004' },
    });
    expect(await creditNotesOf(id)).toMatchObject([
      {
        number: 'CN-000001',
        month: '2026-11',
        corrects: 'INV-000001',
        corrects_month: '2026-10',
        total_usd: '0.00000000004',
        lines: [{ name: 'cygnet/cygnet-nano', count: 1, output_tokens: -8, amount_usd: '0.00000000004' }],
      },
    ]);
  });

  test('a correction that a clock labelled before its request is in the books all the same', async () => {
    const id = await consumer();
    const [sold] = await sales.sell({ consumerId: id, at: NOVEMBER_BEGINS, charge: 100n });
    assert(sold);
    await sales.correct(sold, { at: NOVEMBER_BEGINS - 1, refund: 40n });
    await billingAt(LATER).round();
    expect((await invoicesOf(id)).map(({ total_usd }) => total_usd)).toEqual([
      '-0.00000000004',
      '0.0000000001',
    ]);
  });
});

describe('a receipt', () => {
  test('is issued for each booked deposit, once, whoever asks first', async () => {
    const id = await consumer('Payer', 0n);
    const deposits = new Deposits({ database: fresh.database, clock: new VirtualClock(NOVEMBER) });
    await deposits.confirm({ method: 'bank', consumerId: id, amount: parseUsd('50'), reference: 'INV 7' });
    const asked = await billingAt(NOVEMBER).receiptFor('bank:INV 7', id);
    expect(asked).toMatchObject({ document: 'receipt', number: 'REC-000001', total_usd: '50.00' });
    await deposits.confirm({ method: 'paypal', consumerId: id, amount: parseUsd('1'), reference: 'x' });
    await Promise.all([billingAt(LATER).issueReceipts(), billingAt(LATER).issueReceipts()]);
    expect(await numbers()).toEqual(['REC-000001', 'REC-000002']);
    expect(await billingAt(LATER).receiptFor('bank:INV 7', id)).toEqual(asked);
  });

  test('of another, of none, and of a deposit that waits, is none', async () => {
    const id = await consumer('Payer', 0n);
    const deposits = new Deposits({ database: fresh.database, clock: new VirtualClock(NOVEMBER) });
    await deposits.confirm({ method: 'bank', consumerId: id, amount: parseUsd('50'), reference: 'r' });
    await fresh.database.sql`
      insert into deposits (id, method, consumer_id, asset, units, state, received_at)
      values ('waits', 'crypto', ${id}, 'SWAN', 1, 'unpriced', now())`;
    const billing = billingAt(NOVEMBER);
    expect(await billing.receiptFor('bank:r', await consumer('Other'))).toBeUndefined();
    expect(await billing.receiptFor('bank:none', id)).toBeUndefined();
    expect(await billing.receiptFor('waits', id)).toBeUndefined();
    expect(await numbers()).toEqual([]);
  });
});

describe('issuing', () => {
  async function manyConsumers(count: number): Promise<string[]> {
    const ids = [];
    for (let i = 0; i < count; i++) {
      const id = await consumer(`Customer ${i}`);
      ids.push(id);
      await sales.sell(
        { consumerId: id, at: OCTOBER, charge: BigInt(i + 1) },
        { consumerId: id, at: NOVEMBER, charge: 1_000n },
      );
    }
    return ids;
  }

  test('by several processes at once issues each document once, and numbers without a gap', async () => {
    await manyConsumers(12);
    const pools = Array.from({ length: 4 }, () => fresh.another());
    await Promise.all(pools.map((database) => billingAt(LATER, database).round()));
    const wanted = Array.from({ length: 24 }, (_, i) => `INV-${`${i + 1}`.padStart(6, '0')}`);
    expect(await numbers()).toEqual(wanted);
    const [last] = await fresh.database.sql`select last from document_series where kind = 'invoice'`;
    expect(last).toEqual({ last: 24n });
  });

  test('that dies at any statement or right after a commit is finished by the next', async () => {
    let points = 0;
    for (let alive = false; !alive; points += LANES) {
      const lanes = Array.from({ length: LANES }, (_, lane) => diesAt(points + lane));
      alive = (await Promise.all(lanes)).includes('alive');
    }
    expect(points).toBeGreaterThan(24);
  }, 120_000);
});

/** Databases beside each other, because most of the time goes into waiting for the disk. */
const LANES = 4;

/** Issues two months of a ledger of its own with a process that dies at the n-th point, if there are so many. */
async function diesAt(point: number): Promise<'dead' | 'alive'> {
  const own = await freshDatabase();
  try {
    const { database } = own;
    const id = makeId('con');
    const selling = new Sales(database);
    await createConsumer(database, { id, name: 'Customer', at: 0 });
    await selling.book(OCTOBER).grant(id, parseUsd('1'), id);
    await selling.sell(
      { consumerId: id, at: OCTOBER, charge: 1n },
      { consumerId: id, at: NOVEMBER, charge: 2n },
    );
    const numbersOf = async () =>
      (await billingAt(0, database).list({ limit: 10 })).map(({ number }) => number).toSorted();
    let end: 'dead' | 'alive' = 'alive';
    try {
      await billingAt(LATER, mortal(database, { at: point, calls: 0 })).round();
    } catch (error) {
      assert(error instanceof Crash);
      end = 'dead';
      // Whatever is there is a beginning of the series.
      const made = await numbersOf();
      assert.deepEqual(made, ['INV-000001', 'INV-000002'].slice(0, made.length));
      await billingAt(LATER, database).round();
    }
    expect(await numbersOf()).toEqual(['INV-000001', 'INV-000002']);
    const months = await database.sql`select month, state from billing_months order by month`;
    expect([...months]).toEqual([
      { month: '2026-10', state: 'issued' },
      { month: '2026-11', state: 'issued' },
    ]);
    return end;
  } finally {
    await own.drop();
  }
}

test('whatever somebody falsified in the papers is found', async () => {
  const id = await consumer();
  await sales.sell({ consumerId: id, at: OCTOBER, charge: 5n });
  const deposits = new Deposits({ database: fresh.database, clock: new VirtualClock(OCTOBER) });
  await deposits.confirm({ method: 'bank', consumerId: id, amount: 7n, reference: 'r' });
  await billingAt(NOVEMBER).round();
  const { sql } = fresh.database;
  await sql`alter table documents disable trigger documents_are_kept`;
  await sql`alter table billing_lines disable trigger billing_lines_are_kept`;
  const found = async () => (await checkStatements(fresh.database)).map(({ what }) => what);
  await sql`update documents set total = total + 1`;
  expect(await found()).toEqual([
    'Documents are not the lines of their month.',
    'A receipt is not its deposit.',
  ]);
  await sql`update documents set total = total - 1`;
  await sql`update billing_lines set amount = amount + 1 where kind = 'movement' and name = 'grant'`;
  expect(await found()).toEqual(['The months of a consumer are not what was posted by the last cut.']);
  await sql`update billing_lines set amount = amount - 1 where kind = 'movement' and name = 'grant'`;
  await sql`update document_series set last = last + 1 where kind = 'invoice'`;
  expect(await found()).toEqual(['A number of the series is missing.']);
  await sql`update document_series set last = last - 1 where kind = 'invoice'`;
  await sql`
    insert into burns (id, chain_id, transaction, units, spent, verified, actor, at)
    values ('254:x', 254, ${`0x${'00'.repeat(32)}`}, 1, 1, false, 'somebody', now())`;
  expect(await found()).toEqual(['A burn and its entry differ.']);
  await sql`alter table burns disable trigger burns_are_kept`;
  await sql`delete from burns`;
});

test('whatever is sold, corrected, paid in and written late: the documents are the ledger, to the last pico-dollar', async () => {
  const at = fc.integer({ min: Date.UTC(2026, 8, 28), max: Date.UTC(2026, 11, 3) });
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('sell' as const),
        who: fc.nat(2),
        model: fc.nat(2),
        at,
        charge: fc.bigInt(0n, 10n ** 13n),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('correct' as const),
        which: fc.nat(),
        at,
        refund: fc.bigInt(1n, 10n ** 13n),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('deposit' as const),
        who: fc.nat(2),
        at,
        amount: fc.bigInt(1n, 10n ** 13n),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('round' as const), at }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
      const consumers = [await consumer(), await consumer(), await consumer()];
      const sold: Awaited<ReturnType<Sales['sell']>> = [];
      const given = new Map<string, Pico>();
      for (const each of steps) {
        if (each.do === 'sell') {
          const consumerId = consumers[each.who] as string;
          sold.push(
            ...(await sales.sell({
              consumerId,
              modelId: `m/${each.model}`,
              at: each.at,
              charge: each.charge,
            })),
          );
        } else if (each.do === 'deposit') {
          await sales.book(each.at).deposit(consumers[each.who] as string, each.amount, makeId('dep'));
        } else if (each.do === 'correct') {
          const of = sold[each.which % Math.max(1, sold.length)];
          if (!of || of.charge === 0n || given.has(of.id)) continue;
          const refund = each.refund < of.charge ? each.refund : of.charge;
          given.set(of.id, refund);
          await sales.correct(of, { at: each.at, refund });
        } else {
          await billingAt(each.at).round();
        }
      }
      // What came late stands on the invoice of the next month in which anybody trades.
      await sales.sell({
        consumerId: await consumer(),
        modelId: 'm/0',
        at: Date.UTC(2026, 11, 31),
        charge: 1n,
      });
      await billingAt(Date.UTC(2027, 0, 2)).round();
      expect((await audit(fresh.database)).differences).toEqual([]);
      expect(await checkStatements(fresh.database)).toEqual([]);
      for (const id of consumers) {
        const charges = sold.filter(({ consumerId }) => consumerId === id);
        const charged = charges.reduce(
          (sum, { charge, id: request }) => sum + charge - (given.get(request) ?? 0n),
          0n,
        );
        const invoices = await invoicesOf(id);
        const notes = await creditNotesOf(id);
        for (const each of [...invoices, ...notes]) {
          const lines = each.lines.reduce((sum, { amount_usd }) => sum + parseUsd(amount_usd), 0n);
          expect(lines).toBe(parseUsd(each.total_usd));
          expect(parseUsd(each.total_rounded_usd)).toBe(nearestCents(lines));
        }
        const sum = (all: { total_usd: string }[]): Pico =>
          all.reduce((so, { total_usd }) => so + parseUsd(total_usd), 0n);
        expect(sum(invoices) - sum(notes)).toBe(charged);
        const [lines] = await fresh.database.sql<{ sum: Pico }[]>`
          select coalesce(sum(amount), 0)::numeric as sum from billing_lines where consumer_id = ${id}`;
        expect(lines?.sum).toBe(await balance(id));
      }
      await fresh.drop();
      await open();
    }),
    { numRuns: 12 },
  );
});

class Crash extends Error {}

/** The same database, whose process dies before the n-th statement, or after a commit. */
function mortal(database: Database, crashing: { at: number; calls: number }): Database {
  const dying = (sql: Sql): Sql =>
    new Proxy(sql, {
      apply(target, self, args: unknown[]) {
        const [first] = args;
        if (!Array.isArray(first) || !('raw' in first)) return Reflect.apply(target as never, self, args);
        const call = crashing.calls++;
        if (call === crashing.at) throw new Crash();
        return Reflect.apply(target as never, self, args);
      },
    });
  return {
    ...database,
    sql: dying(database.sql),
    transaction: async (work) => {
      const done = await database.transaction(async (sql) => await work(dying(sql)));
      if (crashing.calls++ === crashing.at) throw new Crash();
      return done;
    },
  };
}
