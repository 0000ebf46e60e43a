import { describe, expect, test } from 'vitest';
import { type Price, priceOf } from './price.ts';

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
