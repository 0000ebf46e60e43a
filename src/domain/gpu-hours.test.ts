import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectedDaily, fullHour, perGpuHour } from './gpu-hours.ts';
import { parseUsd } from './money.ts';

const HOUR = 3_600_000;

describe('revenue per GPU-hour', () => {
  test('is what was earned over the hours that the machines were there', () => {
    expect(perGpuHour(parseUsd('12'), 24 * HOUR)).toBe(parseUsd('0.5'));
    expect(perGpuHour(parseUsd('12'), 8 * 24 * HOUR)).toBe(parseUsd('0.0625'));
    expect(perGpuHour(0n, HOUR)).toBe(0n);
  });

  test('is unknown for who was not there, not free and not endless', () => {
    expect(perGpuHour(parseUsd('12'), 0)).toBeUndefined();
  });

  test('of a full hour is tokens a second at the price of a token', () => {
    // 1,600 tokens/s at $0.36 per million: 5.76 million tokens.
    expect(fullHour(1_600, 360_000n)).toBe(parseUsd('2.0736'));
    expect(fullHour(0.5, 360_000n)).toBe(360_000n * 1_800n);
  });
});

describe('expected daily earnings', () => {
  test.each([
    ['a quarter of the requests were its own', { requests: 100, own: 25, others: 7 }, '10', 'own-share'],
    ['a newcomer beside three', { requests: 100, own: 0, others: 3 }, '10', 'even-share'],
    ['alone, and nobody served', { requests: 0, own: 0, others: 0 }, '40', 'even-share'],
  ] as const)('%s', (_what, about, amount, basis) => {
    expect(expectedDaily({ earned: parseUsd('40'), ...about })).toEqual({ amount: parseUsd(amount), basis });
  });

  test('of all who served never exceed what was earned', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 10n ** 15n }),
        fc.array(fc.integer({ min: 1, max: 1_000 }), { minLength: 1, maxLength: 20 }),
        (earned, served) => {
          const requests = served.reduce((sum, own) => sum + own, 0);
          const all = served.map((own) =>
            expectedDaily({ earned, requests, own, others: served.length - 1 }),
          );
          const sum = all.reduce((total, { amount }) => total + amount, 0n);
          expect(sum).toBeLessThanOrEqual(earned);
          expect(earned - sum).toBeLessThan(BigInt(served.length));
        },
      ),
    );
  });
});
