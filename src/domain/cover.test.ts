import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { coveredOf, NO_COVER, uncovered } from './cover.ts';
import { type Price, priceOf } from './price.ts';

const count = fc.integer({ min: 0, max: 500 });
const usage = fc.record({ inputTokens: count, outputTokens: count, units: count });
const cover = fc.record({ tokens: count, units: count });

test('what is covered and what is left are together what was used', () => {
  fc.assert(
    fc.property(usage, cover, (used, plan) => {
      const left = uncovered(used, plan);
      const took = coveredOf(used, plan);
      expect(left.inputTokens + left.outputTokens + took.tokens).toBe(used.inputTokens + used.outputTokens);
      expect((left.units ?? 0) + took.units).toBe(used.units);
    }),
  );
});

test('whoever uses less never pays more, so what the most would cost is enough to hold', () => {
  const price: Price = { id: 'p', unit: 'token', inputPico: 3n, outputPico: 11n };
  fc.assert(
    fc.property(usage, cover, count, count, (used, plan, lessInput, lessOutput) => {
      const less = {
        inputTokens: Math.max(0, used.inputTokens - lessInput),
        outputTokens: Math.max(0, used.outputTokens - lessOutput),
      };
      expect(priceOf(uncovered(less, plan), price) <= priceOf(uncovered(used, plan), price)).toBe(true);
    }),
  );
});

test.each([
  [{ inputTokens: 10, outputTokens: 20 }, NO_COVER, { inputTokens: 10, outputTokens: 20 }],
  [
    { inputTokens: 10, outputTokens: 20 },
    { tokens: 4, units: 0 },
    { inputTokens: 6, outputTokens: 20 },
  ],
  [
    { inputTokens: 10, outputTokens: 20 },
    { tokens: 29, units: 0 },
    { inputTokens: 0, outputTokens: 1 },
  ],
  [
    { inputTokens: 10, outputTokens: 20 },
    { tokens: 99, units: 0 },
    { inputTokens: 0, outputTokens: 0 },
  ],
])('of %j a quota of %j leaves %j: what was read is covered first', (used, plan, left) => {
  expect(uncovered(used, plan)).toMatchObject(left);
});
