import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Price, priceOf } from './price.ts';
import { TIER_NAMES, TIERS, tierOfPlan, tierPrice } from './tier.ts';

const token: Price = { id: 'p', unit: 'token', inputPico: 3n, outputPico: 10_001n };

test('a factor of 10,000 is the very price, and others are exact to a pico-dollar a unit, never below', () => {
  expect(tierPrice(token, 10_000)).toBe(token);
  expect(tierPrice(token, 12_500)).toEqual({ id: 'p', unit: 'token', inputPico: 4n, outputPico: 12_502n });
  expect(tierPrice({ id: 'q', unit: 'request', requestPico: 8n, minutePico: 60n }, 15_000)).toEqual({
    id: 'q',
    unit: 'request',
    requestPico: 12n,
    minutePico: 90n,
  });
  const amount = fc.bigInt({ min: 0n, max: 10n ** 12n });
  fc.assert(
    fc.property(
      amount,
      amount,
      fc.integer({ min: 10_000, max: 100_000 }),
      (inputPico, outputPico, factor) => {
        const price: Price = { id: 'p', unit: 'token', inputPico, outputPico };
        const usage = { inputTokens: 17, outputTokens: 5 };
        const [was, is] = [priceOf(usage, price), priceOf(usage, tierPrice(price, factor))];
        const exact = was * BigInt(factor);
        expect(is * 10_000n >= exact && (is - 22n) * 10_000n < exact).toBe(true);
      },
    ),
  );
});

test('an ask that is not above the listed price is not above it at any factor', () => {
  const dear = { ...token, inputPico: 7n };
  for (const factor of [10_000, 10_001, 33_333]) {
    const [ask, listed] = [tierPrice(token, factor), tierPrice(dear, factor)] as [typeof dear, typeof dear];
    expect(ask.inputPico <= listed.inputPico).toBe(true);
  }
});

test('each tier leaves those below it less of a busy model, and none is sold below the price', () => {
  const weights = TIER_NAMES.map((name) => TIERS[name].weight);
  expect(weights).toEqual(weights.toSorted((a, b) => a - b));
  expect(TIER_NAMES.map((name) => TIERS[name].priceFactor)).toEqual([10_000, 10_000, 10_000]);
});

test.each([
  ['free', 'hobby'],
  ['pay-as-you-go', 'pro'],
  ['pro', 'pro'],
  ['business', 'business'],
  [undefined, 'pro'],
])('an account with the plan %s is served as %s', (plan, tier) => {
  expect(tierOfPlan(plan)).toBe(tier);
});
