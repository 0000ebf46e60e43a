import assert from 'node:assert/strict';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Pico, parseUsd } from '#domain/money.ts';
import { Fault } from '#kit/fault.ts';
import { audit } from '#ledger/audit.ts';
import { makeConsumer, makeId, operatorsBook } from '#support/parties.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { Sales } from '#support/sales.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { DEPOSIT_TERMS, judgeTransfer, properReference } from './deposit-rules.ts';
import { Deposits, receive } from './deposits.ts';
import { rateAt, rateHistory, setRate } from './rates.ts';

describe('what a transfer is worth', () => {
  const CENT: Pico = parseUsd('0.01');
  test.each([
    // asset, units, decimals, rate, state, value, bonus
    ['USDC', 1_000_000n, 6, parseUsd('1'), 'booked', parseUsd('1'), 0n],
    ['USDC', 999_999n, 6, parseUsd('1'), 'small', parseUsd('0.999999'), 0n],
    ['USDT', 1n, 6, parseUsd('1'), 'small', 1_000_000n, 0n],
    ['USDC', 10n ** 18n, 18, parseUsd('1'), 'booked', parseUsd('1'), 0n],
    ['SWAN', 100n * 10n ** 18n, 18, CENT, 'booked', parseUsd('1'), parseUsd('0.2')],
    ['SWAN', 100n * 10n ** 18n - 1n, 18, CENT, 'small', parseUsd('1') - 1n, 0n],
    ['SWAN', 10_000n * 10n ** 18n, 18, CENT, 'booked', parseUsd('100'), parseUsd('20')],
    ['SWAN', 1n, 18, CENT, 'small', 0n, 0n],
    ['SWAN', 10n ** 30n, 18, undefined, 'unpriced', null, 0n],
  ] as const)('%s, %d units of %d decimals', (asset, units, decimals, picoPerToken, state, value, bonus) => {
    const verdict = judgeTransfer({ asset, units, decimals }, { picoPerToken, terms: DEPOSIT_TERMS });
    expect(verdict).toEqual({ state, value, bonus });
  });

  test.each([
    ['INV 2026-7', 'INV 2026-7'],
    ['  x  ', 'x'],
    ['', undefined],
    ['   ', undefined],
    ['a\nb', undefined],
    ['a'.repeat(101), undefined],
    ['ü', undefined],
  ])('the reference %j reads as %j', (text, reference) => {
    expect(properReference(text)).toBe(reference);
  });
});

describe('deposits by the operator', () => {
  let fresh: FreshDatabase;
  let deposits: Deposits;
  let consumer: string;
  const clock = new VirtualClock();
  beforeAll(async () => {
    fresh = await freshDatabase();
    deposits = new Deposits({ database: fresh.database, clock });
  });
  beforeEach(async () => {
    ({ id: consumer } = await makeConsumer(fresh.database, 0n));
  });
  afterAll(async () => {
    const report = await audit(fresh.database);
    await fresh.drop();
    assert.deepEqual(report.differences, []);
  });
  const balance = async () => await operatorsBook(fresh.database).balance(consumer);
  const confirm = (more: { amount?: Pico; reference: string; consumerId?: string }) =>
    deposits.confirm({ method: 'bank', consumerId: consumer, amount: parseUsd('50'), ...more });

  test('a payment is booked once under its reference, however many confirm it at once', async () => {
    const reference = makeId('ref');
    const answers = await Promise.all(Array.from({ length: 8 }, () => confirm({ reference })));
    expect(answers.filter((answer) => answer === 'booked')).toHaveLength(1);
    expect((await balance()).total).toBe(parseUsd('50'));
  });

  test('the reference of another payment is refused', async () => {
    const reference = makeId('ref');
    await confirm({ reference });
    const other = await makeConsumer(fresh.database, 0n);
    await expect(confirm({ reference, amount: parseUsd('51') })).rejects.toThrow(Fault);
    await expect(confirm({ reference, consumerId: other.id })).rejects.toThrow(Fault);
    expect((await balance()).total).toBe(parseUsd('50'));
  });

  test('a bank and PayPal may have the same reference', async () => {
    const reference = makeId('ref');
    await confirm({ reference });
    await deposits.confirm({ method: 'paypal', consumerId: consumer, amount: parseUsd('2'), reference });
    expect((await balance()).total).toBe(parseUsd('52'));
    expect(await deposits.totals(consumer)).toEqual({ deposited: parseUsd('52'), bonus: 0n, spent: 0n });
  });

  test('a deposit that waits is booked once by the word of the operator, SWAN with its bonus', async () => {
    const id = `1:${makeId('tx')}:0`;
    await fresh.database.transaction((sql) =>
      receive(sql, clock.wallMs(), {
        id,
        method: 'crypto',
        consumerId: consumer,
        asset: 'SWAN',
        units: 5n,
        value: null,
        bonus: 0n,
        state: 'unpriced',
        source: '0x',
        receivedAt: clock.wallMs(),
      }),
    );
    expect((await balance()).total).toBe(0n);
    expect(await deposits.book(id)).toBe('unpriced');
    const answers = await Promise.all([1, 2, 3].map(() => deposits.book(id, parseUsd('10'))));
    expect(answers.filter((answer) => answer === 'booked')).toHaveLength(1);
    await expect(deposits.book(id, parseUsd('11'))).rejects.toThrow(/another value/);
    expect(await deposits.book('1:none:0')).toBe('unknown');
    expect((await balance()).total).toBe(parseUsd('12'));
  });

  test('a deposit never changes once it is booked', async () => {
    const reference = makeId('ref');
    await confirm({ reference });
    const { sql } = fresh.database;
    const id = `bank:${reference}`;
    await expect(sql`update deposits set value = 1 where id = ${id}`).rejects.toThrow(/never changes/);
    await expect(sql`delete from deposits where id = ${id}`).rejects.toThrow(/never changes/);
    await expect(sql`truncate deposits cascade`).rejects.toThrow(/append-only/);
  });

  test('unused balance is paid back, never what is set aside, and once for each reference', async () => {
    await confirm({ reference: makeId('ref') });
    await fresh.database.sql`
      select grow_lease('other', ${consumer}, ${parseUsd('20')}::numeric, ${parseUsd('20')}::numeric, 'c1')`;
    const withdraw = (amount: Pico, reference: string) =>
      deposits.withdraw({ consumerId: consumer, amount, reference, reason: 'asked for it' });
    expect(await withdraw(parseUsd('30') + 1n, makeId('wd'))).toEqual({
      short: true,
      available: parseUsd('30'),
    });
    const reference = makeId('wd');
    const answers = await Promise.all([1, 2, 3].map(() => withdraw(parseUsd('20'), reference)));
    expect(answers.filter((answer) => answer === 'withdrawn')).toHaveLength(1);
    expect(answers.filter((answer) => answer === 'known')).toHaveLength(2);
    await expect(withdraw(parseUsd('1'), reference)).rejects.toThrow(Fault);
    const racing = await Promise.all([1, 2, 3].map(() => withdraw(parseUsd('6'), makeId('wd'))));
    expect(racing.filter((answer) => answer === 'withdrawn')).toHaveLength(1);
    expect(await balance()).toEqual({
      total: parseUsd('24'),
      held: parseUsd('20'),
      available: parseUsd('4'),
    });
  });

  test('bug: what the market gave is not paid out, whatever was spent before', async () => {
    const { id } = await makeConsumer(fresh.database, parseUsd('5'));
    const sales = new Sales(fresh.database);
    const withdraw = (amount: string) =>
      deposits.withdraw({ consumerId: id, amount: parseUsd(amount), reference: makeId('wd'), reason: '' });
    expect(await withdraw('1')).toEqual({ short: true, available: 0n });
    await confirm({ consumerId: id, amount: parseUsd('10'), reference: makeId('ref') });
    expect(await withdraw('11')).toEqual({ short: true, available: parseUsd('10') });
    // Given money is spent first, so what was paid in is still there.
    await sales.sell({ consumerId: id, at: clock.wallMs(), charge: parseUsd('3') });
    expect(await withdraw('11')).toEqual({ short: true, available: parseUsd('10') });
    await sales.sell({ consumerId: id, at: clock.wallMs(), charge: parseUsd('3') });
    expect(await withdraw('4')).toBe('withdrawn');
    // Given later is no more paid in than given before.
    await operatorsBook(fresh.database).grant(id, parseUsd('7'), makeId('grant'));
    expect(await withdraw('6')).toEqual({ short: true, available: parseUsd('5') });
    expect(await withdraw('5')).toBe('withdrawn');
    expect(await withdraw('0.01')).toEqual({ short: true, available: 0n });
  });

  test('a rate counts from its moment on and is never rewritten', async () => {
    const { database } = fresh;
    const at = clock.wallMs();
    expect(await rateAt(database.sql, 'SWAN', at)).toBeUndefined();
    expect(await rateAt(database.sql, 'USDC', at)).toBe(parseUsd('1'));
    expect(await setRate(database, { picoPerToken: 5n, effectiveAt: at, at })).toBe('set');
    expect(await setRate(database, { picoPerToken: 7n, effectiveAt: at + 1_000, at })).toBe('set');
    expect(await setRate(database, { picoPerToken: 8n, effectiveAt: at + 1_000, at })).toBe('taken');
    expect(await rateAt(database.sql, 'SWAN', at - 1)).toBeUndefined();
    expect(await rateAt(database.sql, 'SWAN', at + 999)).toBe(5n);
    expect(await rateAt(database.sql, 'SWAN', at + 1_000)).toBe(7n);
    expect((await rateHistory(database, 10)).map(({ picoPerToken }) => picoPerToken)).toEqual([7n, 5n]);
  });
});
