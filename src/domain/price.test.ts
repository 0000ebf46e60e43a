import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Amounts, asksMore, type Price, priceOf } from './price.ts';

const tokens: Price = { id: 'p', unit: 'token', inputPico: 50_000n, outputPico: 200_000n };
const images: Price = { id: 'p', unit: 'request', requestPico: 3_000_000_000n };
const sound: Price = {
  id: 'p',
  unit: 'request',
  requestPico: 3_000_000_000n,
  minutePico: 3_000_000_000n,
};

describe('what something costs', () => {
  test.each<[string, Parameters<typeof priceOf>[0], Price, bigint]>([
    ['tokens cost by the token', { inputTokens: 10, outputTokens: 3 }, tokens, 1_100_000n],
    [
      'four images cost four times one',
      { inputTokens: 0, outputTokens: 0, units: 4 },
      images,
      12_000_000_000n,
    ],
    ['nothing delivered costs nothing', { inputTokens: 0, outputTokens: 0 }, images, 0n],
    [
      'a short recording costs the price of a piece',
      { inputTokens: 0, outputTokens: 0, units: 1, seconds: 7 },
      sound,
      3_000_000_000n,
    ],
    [
      'a long one costs by its seconds',
      { inputTokens: 0, outputTokens: 0, units: 1, seconds: 90 },
      sound,
      4_500_000_000n,
    ],
    [
      'a fraction of a pico-dollar is dropped, never added',
      { inputTokens: 0, outputTokens: 0, units: 1, seconds: 61 },
      { ...sound, requestPico: 0n, minutePico: 1n },
      1n,
    ],
  ])('%s', (_promise, usage, price, cost) => {
    expect(priceOf(usage, price)).toBe(cost);
  });
});

describe('an ask', () => {
  test.each<[string, Amounts, Amounts, boolean]>([
    ['as high as the list is not above it', tokens, tokens, false],
    [
      'that is dearer in one of the two is above it',
      { ...tokens, inputPico: 50_001n, outputPico: 0n },
      tokens,
      true,
    ],
    [
      'that is dearer in the other is above it',
      { ...tokens, inputPico: 0n, outputPico: 200_001n },
      tokens,
      true,
    ],
    ['by another unit is above it', { unit: 'request', requestPico: 0n }, tokens, true],
    [
      'by another unit is above it, the other way round',
      { ...tokens, inputPico: 0n, outputPico: 0n },
      images,
      true,
    ],
    ['by the piece may be where the list is by the minute', images, sound, false],
    ['by the minute may not be where the list is by the piece', { ...sound, minutePico: 0n }, images, true],
    ['dearer by the minute is above it', { ...sound, minutePico: 3_000_000_001n }, sound, true],
  ])('%s', (_what, ask, listed, more) => {
    expect(asksMore(ask, listed)).toBe(more);
  });

  test('that is not above the list never costs more, whatever is used', () => {
    const pico = fc.bigInt({ min: 0n, max: 5n });
    const minute = fc.option(pico, { nil: undefined });
    const amounts = fc.oneof(
      fc.record({ unit: fc.constant('token' as const), inputPico: pico, outputPico: pico }),
      fc.record({ unit: fc.constant('request' as const), requestPico: pico, minutePico: minute }),
    );
    const count = fc.nat(200);
    const usage = fc.record({ inputTokens: count, outputTokens: count, units: count, seconds: count });
    fc.assert(
      fc.property(amounts, amounts, usage, (ask, listed, used) => {
        fc.pre(!asksMore(ask, listed));
        expect(priceOf(used, { id: 'a', ...ask }) <= priceOf(used, { id: 'l', ...listed })).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});
