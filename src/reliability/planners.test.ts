import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { planCapacity, planTiers } from './capacity.ts';
import { grossMargin, priceForMargin, unitCost } from './unit-cost.ts';

const demand = { requestsPerS: 2, promptTokens: 600, outputTokens: 250 };
const supply = { tokensPerSPerGpu: 1_500, batchEfficiency: 0.75 };
const cost = { gpuUsdPerHour: 2.8, tokensPerSPerGpu: 1_600, utilisation: 0.6, overheadUsdPerMillion: 0.25 };

describe('capacity', () => {
  test('the worked example: 2 requests a second of 600 + 250 tokens at 1,500 tokens/s and 0.75 need 1.51, so 2', () => {
    const plan = planCapacity(demand, supply, { headroom: 1.3, largestLoss: 0 });
    expect(plan.busy.toFixed(2)).toBe('1.51');
    expect(plan).toMatchObject({ least: 2, active: 2, total: 2 });
  });

  test('more headroom and a failing provider ask for more', () => {
    expect(planCapacity(demand, supply, { headroom: 1.5, largestLoss: 1 })).toMatchObject({
      active: 3,
      total: 4,
    });
  });

  test('what floating point leaves over is no GPU', () => {
    const exact = { requestsPerS: 0.1 * 3, promptTokens: 10, outputTokens: 0 };
    expect(
      planCapacity(exact, { tokensPerSPerGpu: 3, batchEfficiency: 1 }, { headroom: 1, largestLoss: 0 }),
    ).toMatchObject({ active: 1 });
  });

  test('tiers are planned one by one', () => {
    const plan = planTiers(
      [
        { tier: 'hobby', ...demand, headroom: 1, largestLoss: 0 },
        { tier: 'business', ...demand, headroom: 1.5, largestLoss: 1 },
      ],
      supply,
    );
    expect(plan.tiers.map(({ tier, total }) => [tier, total])).toEqual([
      ['hobby', 2],
      ['business', 4],
    ]);
    expect(plan.total).toBe(6);
  });

  test('what is planned carries the load, also after the loss it was planned for', () => {
    fc.assert(
      fc.property(
        fc.record({
          requestsPerS: fc.double({ min: 0.001, max: 1e4, noNaN: true }),
          promptTokens: fc.integer({ min: 0, max: 100_000 }),
          outputTokens: fc.integer({ min: 0, max: 16_384 }),
        }),
        fc.double({ min: 1, max: 3, noNaN: true }),
        fc.integer({ min: 0, max: 64 }),
        (asked, headroom, largestLoss) => {
          const plan = planCapacity(asked, supply, { headroom, largestLoss });
          const tokensPerS = asked.requestsPerS * (asked.promptTokens + asked.outputTokens);
          const left = plan.total - largestLoss;
          expect(left * 1_500 * 0.75 * (1 + 1e-9)).toBeGreaterThanOrEqual(tokensPerS);
          expect(plan.active).toBeGreaterThanOrEqual(plan.least);
        },
      ),
    );
  });

  test('nonsense is refused', () => {
    const margins = { headroom: 1.3, largestLoss: 0 };
    expect(() => planCapacity(demand, { ...supply, tokensPerSPerGpu: 0 }, margins)).toThrow(/makes tokens/);
    expect(() => planCapacity(demand, { ...supply, batchEfficiency: 1.1 }, margins)).toThrow(/is a share/);
    expect(() => planCapacity(demand, supply, { headroom: 0.9, largestLoss: 0 })).toThrow(/at least 1/);
    expect(() => planCapacity({ ...demand, requestsPerS: Number.NaN }, supply, margins)).toThrow(
      /not negative/,
    );
  });
});

describe('unit cost', () => {
  test('the worked example: $2.80 an hour, 1,600 tokens/s, 60 % and $0.25 of overhead make $0.81 + $0.25 = $1.06', () => {
    const result = unitCost(cost);
    expect(result.tokensPerHour).toBeCloseTo(3_456_000, 3);
    expect(result.gpuUsdPerMillion.toFixed(2)).toBe('0.81');
    expect(result.usdPerMillion.toFixed(2)).toBe('1.06');
  });

  test('an idle GPU costs the same for fewer tokens: half the use doubles its part', () => {
    const half = unitCost({ ...cost, utilisation: 0.3 });
    expect(half.gpuUsdPerMillion).toBeCloseTo(2 * unitCost(cost).gpuUsdPerMillion, 9);
  });

  test('a price for a margin leaves that margin', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.001, max: 1e4, noNaN: true }),
        fc.double({ min: -2, max: 0.95, noNaN: true }),
        (usd, margin) => {
          expect(grossMargin(priceForMargin(usd, margin), usd)).toBeCloseTo(margin, 6);
        },
      ),
    );
  });

  test('what is given away has no margin', () => {
    expect(grossMargin(0, 1)).toBeUndefined();
    expect(grossMargin(1, 2)).toBe(-1);
  });
});
