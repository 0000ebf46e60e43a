import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Address, ZERO_ADDRESS } from '#domain/hex.ts';
import { parseUsd } from '#domain/money.ts';
import { type Owed, type PayoutTerms, planBatch } from './batch.ts';

const account = (i: number): Address => `0x${i.toString(16).padStart(40, '0')}`;
const usdc: PayoutTerms = { minimum: parseUsd('50'), picoPerToken: parseUsd('1'), decimals: 6 };
const swan: PayoutTerms = { minimum: parseUsd('50'), picoPerToken: parseUsd('0.0123'), decimals: 18 };
const owed = (providerId: string, usd: string, wallet: Address | undefined = account(1)): Owed => ({
  providerId,
  owed: parseUsd(usd),
  wallet,
});

describe('who is paid and who carries over', () => {
  const table: [string, Owed, string][] = [
    ['exactly the minimum', owed('a', '50'), 'paid 50000000'],
    ['a pico-dollar less', owed('a', '49.999999999999'), 'below-minimum'],
    ['in debt', owed('a', '-0.01'), 'in-debt'],
    ['no wallet', { providerId: 'a', owed: parseUsd('500') }, 'without-wallet'],
    ['the zero address', owed('a', '500', ZERO_ADDRESS), 'without-wallet'],
    ['a wallet, below the minimum and none', { providerId: 'a', owed: 1n }, 'below-minimum'],
    ['a fraction of a unit', owed('a', '50.0000009'), 'paid 50000000'],
    ['nothing', owed('a', '0'), 'passed over'],
  ];
  test.each(table)('%s', (_, one, expected) => {
    const { payouts, carriedOver } = planBatch([one], new Map(), usdc);
    const said = payouts[0] ? `paid ${payouts[0].units}` : (carriedOver[0]?.reason ?? 'passed over');
    expect(said).toBe(expected);
  });

  test('without a minimum, less than a unit still carries over', () => {
    const { carriedOver } = planBatch([owed('a', '0.0000009')], new Map(), { ...usdc, minimum: 0n });
    expect(carriedOver).toEqual([{ providerId: 'a', owed: 900_000n, reason: 'below-a-unit' }]);
  });
});

test('what a unit is too coarse for stays with its provider, by name', () => {
  const { payouts } = planBatch([owed('a', '50.000000999999')], new Map(), usdc);
  expect(payouts).toEqual([
    { providerId: 'a', account: account(1), units: 50_000_000n, paid: parseUsd('50'), remainder: 999_999n },
  ]);
});

test('a token worth less than a pico-dollar a unit debits no more than the balance', () => {
  const { payouts } = planBatch([owed('a', '100')], new Map(), swan);
  expect(payouts[0]?.units).toBe(8_130_081_300_813_008_130_081n);
  expect(payouts[0]?.paid).toBe(parseUsd('100'));
  expect(payouts[0]?.remainder).toBe(0n);
});

test('providers that share a wallet share a row, and accounts of earlier batches stay', () => {
  const before = new Map([
    [account(3), 7n],
    [account(1), 5n],
  ]);
  const batch = planBatch(
    [owed('b', '60', account(2)), owed('a', '50', account(1)), owed('c', '70', account(2))],
    before,
    usdc,
  );
  expect(batch.rows).toEqual([
    { account: account(1), cumulative: 50_000_005n, increase: 50_000_000n },
    { account: account(2), cumulative: 130_000_000n, increase: 130_000_000n },
    { account: account(3), cumulative: 7n, increase: 0n },
  ]);
  expect(batch.payouts.map(({ providerId }) => providerId)).toEqual(['a', 'b', 'c']);
  expect([batch.total, batch.increase]).toEqual([180_000_012n, 180_000_000n]);
});

test('a provider that comes twice is a bug, not a payment', () => {
  expect(() => planBatch([owed('a', '50'), owed('a', '60')], new Map(), usdc)).toThrow(
    'each provider is owed once',
  );
});

const provider = fc.record({
  owed: fc.bigInt({ min: -(10n ** 15n), max: 10n ** 18n }),
  wallet: fc.option(fc.integer({ min: 0, max: 12 }).map(account), { nil: undefined }),
});
const terms = fc.record({
  minimum: fc.bigInt({ min: 0n, max: 10n ** 15n }),
  picoPerToken: fc.bigInt({ min: 1n, max: 10n ** 16n }),
  decimals: fc.integer({ min: 0, max: 24 }),
});
const market = fc.tuple(
  fc.array(provider, { maxLength: 40 }),
  fc.uniqueArray(
    fc.tuple(fc.integer({ min: 1, max: 20 }).map(account), fc.bigInt({ min: 1n, max: 10n ** 30n })),
    {
      selector: ([wallet]) => wallet,
    },
  ),
  terms,
);

test('nothing is lost and nothing is paid twice, whatever the balances and the price', () => {
  fc.assert(
    fc.property(market, ([providers, earlier, sale]) => {
      const list = providers.map((one, i) => ({ providerId: `prov_${i}`, ...one }));
      const before = new Map(earlier);
      const batch = planBatch(list, before, sale);
      const sum = (amounts: bigint[]): bigint => amounts.reduce((a, b) => a + b, 0n);

      // Every pico-dollar is paid, stays as a remainder, or is carried over.
      expect(
        sum(batch.payouts.map((one) => one.paid + one.remainder)) +
          sum(batch.carriedOver.map((one) => one.owed)),
      ).toBe(sum(list.map((one) => one.owed)));
      for (const one of batch.payouts) {
        expect(one.remainder).toBeGreaterThanOrEqual(0n);
        expect(one.paid).toBeGreaterThan(0n);
        // The units are worth no more than what was debited, and less than a pico-dollar below it.
        const worth = one.units * sale.picoPerToken;
        const scale = 10n ** BigInt(sale.decimals);
        expect(worth).toBeLessThanOrEqual(one.paid * scale);
        expect(one.paid * scale - worth).toBeLessThan(scale);
        // One more unit would cost more than the balance.
        expect((one.units + 1n) * sale.picoPerToken).toBeGreaterThan((one.paid + one.remainder) * scale);
      }
      expect(batch.increase).toBe(sum(batch.payouts.map((one) => one.units)));
      expect(batch.total).toBe(sum([...before.values()]) + batch.increase);
      expect(batch.total).toBe(sum(batch.rows.map((row) => row.cumulative)));
      for (const row of batch.rows) {
        expect(row.cumulative).toBe((before.get(row.account) ?? 0n) + row.increase);
      }
      expect(batch.rows.map((row) => row.account)).toEqual(
        [...new Set(batch.rows.map((row) => row.account))].toSorted(),
      );
      for (const wallet of before.keys()) expect(batch.rows.some((row) => row.account === wallet)).toBe(true);
    }),
  );
});

test('the order in which balances are read changes nothing', () => {
  fc.assert(
    fc.property(market, fc.infiniteStream(fc.nat()), ([providers, earlier, sale], chance) => {
      const list = providers.map((one, i) => ({ providerId: `prov_${i}`, ...one }));
      const shuffled = list
        .map((one) => [chance.next().value as number, one] as const)
        .toSorted(([a], [b]) => a - b)
        .map(([, one]) => one);
      expect(planBatch(shuffled, new Map(earlier.toReversed()), sale)).toEqual(
        planBatch(list, new Map(earlier), sale),
      );
    }),
  );
});
