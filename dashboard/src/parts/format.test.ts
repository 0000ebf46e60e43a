import { describe, expect, test } from 'vitest';
import {
  ago,
  duration,
  percent,
  perMillion,
  plural,
  rate,
  short,
  tokens,
  usd,
  usdExact,
  usdFine,
} from './format.ts';

describe('money', () => {
  test.each([
    ['0', '$0.00'],
    ['12', '$12.00'],
    ['1234567.891', '$1,234,567.89'],
    ['0.05', '$0.05'],
    ['0.004', '$0.004'],
    ['0.0000125', '$0.000012'],
    ['0.000000000001', '$0.000000000001'],
    ['-3.5', '−$3.50'],
  ])('%s reads as %s: two decimals, or the first two figures of less than a cent', (amount, text) => {
    expect(usd(amount)).toBe(text);
  });

  test('a number is never read in exponent form', () => {
    expect(usd(0.000000042)).toBe('$0.000000042');
    expect(usd(1e9)).toBe('$1,000,000,000.00');
  });

  test.each([
    ['0.00', '$0.00'],
    ['0.0615925', '$0.0615'],
    ['0.000004', '$0.000004'],
    ['0.5', '$0.50'],
    ['12.3456', '$12.34'],
    ['-0.0615925', '−$0.0615'],
  ])(
    'what one request cost, %s, reads as %s: three figures where it is less than a dollar',
    (amount, text) => {
      expect(usdFine(amount)).toBe(text);
    },
  );

  test('an exact amount loses no digit', () => {
    expect(usdExact('0.000000042')).toBe('$0.000000042');
    expect(usdExact('1000.5')).toBe('$1,000.50');
  });

  test.each([
    ['0.00000005', '$0.05'],
    ['0.0000002', '$0.20'],
    ['0.000000000001', '$0.000001'],
    ['0.00012', '$120.00'],
    ['1', '$1,000,000.00'],
  ])('%s a token is %s a million, exactly', (perToken, text) => {
    expect(perMillion(perToken)).toBe(text);
  });
});

describe('numbers', () => {
  test.each([
    [0, '0'],
    [9_999, '9,999'],
    [10_000, '10k'],
    [12_345, '12.3k'],
    [131_072, '131k'],
    [1_048_576, '1.05M'],
    [100_000_000, '100M'],
    [2.5e12, '2.5T'],
  ])('%d is %s in short', (value, text) => {
    expect(short(value)).toBe(text);
  });

  test('what is not known is a dash, and zero is not unknown', () => {
    expect([duration(null), rate(undefined), percent(null), tokens(null)]).toEqual(['–', '–', '–', '–']);
    expect([duration(0), rate(0), percent(0)]).toEqual(['0 ms', '0.0 tok/s', '0 %']);
  });

  test('a share is never rounded up to a whole that it is not', () => {
    expect(percent(0.99999)).toBe('99.99 %');
    expect(percent(1)).toBe('100 %');
  });

  test.each([
    [42.4, '42 ms'],
    [1_240, '1.24 s'],
    [42_000, '42.0 s'],
    [185_000, '3 min 5 s'],
    [5 * 3_600_000, '5 h 0 min'],
    [50 * 3_600_000, '2 d 2 h'],
  ])('%d ms is %s', (ms, text) => {
    expect(duration(ms)).toBe(text);
  });

  test('one is one, and the rest are many', () => {
    expect([plural(1, 'request'), plural(0, 'request'), plural(1_200, 'request')]).toEqual([
      '1 request',
      '0 requests',
      '1,200 requests',
    ]);
  });

  test('how long ago, and how long until', () => {
    expect(ago(0, 5_000)).toBe('just now');
    expect(ago(0, 61_000)).toBe('1 minute ago');
    expect(ago(2 * 86_400_000, 0)).toBe('in 2 days');
  });
});
