import { expect, test } from 'vitest';
import { tokenAmount, tokenShort } from '../../parts/tokens.ts';
import { periodsBetween, sumUsd, tokenUnits } from './figures.ts';

test('tokens are written exactly, and read back as they were typed', () => {
  expect(tokenAmount('61500000', 6)).toBe('61.50');
  expect(tokenAmount('1', 6)).toBe('0.000001');
  expect(tokenAmount('1234567000000', 6)).toBe('1,234,567.00');
  expect(tokenUnits('61.5', 6)).toBe(61_500_000n);
  expect(tokenUnits('0.0000001', 6)).toBeUndefined();
  expect(tokenUnits('-1', 6)).toBeUndefined();
  expect(tokenUnits('1e3', 6)).toBeUndefined();
});

test('tokens with many decimals are shown to a millionth, rounded down, and never as nothing', () => {
  expect(tokenShort(12_345_678_900_000_000_000_001n, 18)).toBe('12,345.6789');
  expect(tokenShort(1_999_999_999_999_999_999n, 18)).toBe('1.999999');
  expect(tokenShort('1', 18)).toBe('< 0.000001');
  expect(tokenShort('0', 18)).toBe('0.00');
  expect(tokenShort('61500000', 6)).toBe('61.50');
});

test('dollars are added up without losing a digit', () => {
  expect(sumUsd(['0.000000000001', '1', '-0.5'])).toBe('0.500000000001');
});

test('weeks are those of ISO 8601, also where the year ends', () => {
  expect(periodsBetween('2026-12-30', '2027-01-05', 'week').map(({ name }) => name)).toEqual([
    '2026-W53',
    '2027-W01',
  ]);
  expect(periodsBetween('2026-11-30', '2026-12-01', 'month')).toEqual([
    { name: '2026-11', at: Date.UTC(2026, 10, 1) },
    { name: '2026-12', at: Date.UTC(2026, 11, 1) },
  ]);
  expect(periodsBetween('2026-11-25', '2026-11-27', 'day')).toHaveLength(3);
});
