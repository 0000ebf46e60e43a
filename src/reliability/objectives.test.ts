import { describe, expect, test } from 'vitest';
import { burnRate, minuteBudget, OBJECTIVES, outputBudgetOf } from './objectives.ts';

describe('the error budget', () => {
  test('99.9 % of a month of 43,800 minutes leaves 43.8 to spend', () => {
    const budget = minuteBudget(0.999, 43_800, 10);
    expect(budget.allowed).toBeCloseTo(43.8, 9);
    expect(budget.left).toBeCloseTo(33.8, 9);
  });

  test('says by how much it is overspent', () => {
    expect(minuteBudget(0.999, 43_800, 50).left).toBeCloseTo(-6.2, 9);
  });

  test('refuses more spent minutes than the period has', () => {
    expect(() => minuteBudget(0.999, 60, 61)).toThrow(/room/);
  });
});

describe('the burn rate', () => {
  const table: [string, { requests: number; failures: number }, number][] = [
    ['nothing asked', { requests: 0, failures: 0 }, 0],
    ['all well', { requests: 1_000, failures: 0 }, 0],
    ['one in a thousand spends the budget exactly', { requests: 1_000, failures: 1 }, 1],
    ['one in twenty', { requests: 1_000, failures: 50 }, 50],
    ['a complete outage', { requests: 10, failures: 10 }, 1_000],
  ];
  test.each(table)('%s', (_, counts, rate) => {
    const allowed = counts.requests * (1 - 0.999);
    expect(burnRate({ failures: counts.failures, allowed })).toBeCloseTo(rate, 6);
  });
});

test('answers are compared with others of their size', () => {
  expect([1, 256, 257, 512, 513].map(outputBudgetOf)).toEqual([256, 256, 512, 512, undefined]);
});

test('a better tier is never promised less', () => {
  const { hobby, pro, business } = OBJECTIVES;
  for (const [worse, better] of [
    [hobby, pro],
    [pro, business],
  ] as const) {
    expect(better.availability).toBeGreaterThanOrEqual(worse.availability);
    expect(better.ttftP95Ms).toBeLessThanOrEqual(worse.ttftP95Ms);
    expect(better.ttltP95Ms[256]).toBeLessThanOrEqual(worse.ttltP95Ms[256]);
    expect(better.serverErrors).toBeLessThanOrEqual(worse.serverErrors);
    expect(better.tooMany).toBeLessThanOrEqual(worse.tooMany);
  }
});
