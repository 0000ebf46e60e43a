import { describe, expect, test } from 'vitest';
import { NO_PREFERENCES, type Preferences } from '#domain/preferences.ts';
import type { Price } from '#domain/price.ts';
import { candidate } from '#support/candidate.ts';
import { narrow, wishedRank } from './narrow.ts';

const price: Price = { id: 'price_1', unit: 'token', inputPico: 50n, outputPico: 200n };
const cheap: Price = { id: 'ask_1', unit: 'token', inputPico: 20n, outputPico: 100n };

const fleet = [
  candidate('a', {
    quantization: 'fp8',
    dataPolicy: 'zero-retention',
    parameters: new Set(['tools', 'seed']),
  }),
  candidate('b', { quantization: 'int4', dataPolicy: 'no-collection', ask: cheap }),
  candidate('c', {}),
];

const left = (wish: Partial<Preferences>, parameters: string[] = []): unknown => {
  const narrowed = narrow(fleet, { ...NO_PREFERENCES, ...wish }, { price, parameters });
  return 'emptiedBy' in narrowed ? narrowed : narrowed.candidates.map(({ id }) => id[0]).join('');
};

describe('what preferences leave', () => {
  test.each<[string, Partial<Preferences>, string]>([
    ['without any, everybody', {}, 'abc'],
    ['only the named', { only: ['a', 'provider-c'] }, 'ac'],
    ['not the ignored', { ignore: ['b'] }, 'ac'],
    ['an order alone rules nobody out', { order: ['b'] }, 'abc'],
    ['an order without fallbacks does', { order: ['b'], allowFallbacks: false }, 'b'],
    ['the stated quantizations', { quantizations: ['fp8', 'int4'] }, 'ab'],
    ['unknown is a quantization of its own', { quantizations: ['unknown'] }, 'c'],
    ['who promised not to collect', { denyCollection: true }, 'ab'],
    ['who promised to keep nothing', { zeroRetention: true }, 'a'],
    [
      'who asks no more for a prompt',
      { maxPrice: { prompt: 20n, completion: undefined, request: undefined } },
      'b',
    ],
    [
      'a price exactly at the limit is within it',
      { maxPrice: { prompt: 50n, completion: 200n, request: undefined } },
      'abc',
    ],
  ])('%s', (_promise, wish, expected) => expect(left(wish)).toBe(expected));

  test('a price limit is compared with what the caller pays in its tier, to the pico-dollar', () => {
    const within = (maxPrice: Preferences['maxPrice'], priceFactor: number, asks: Price = price): boolean =>
      'candidates' in
      narrow(
        [candidate('a', {})],
        { ...NO_PREFERENCES, maxPrice },
        { price: asks, priceFactor, parameters: [] },
      );
    const limit = { prompt: 50n, completion: 200n, request: undefined };
    expect(within(limit, 10_000)).toBe(true);
    // 50 × 1.0001 is rounded up to 51.
    expect(within(limit, 10_001)).toBe(false);
    expect(within({ ...limit, prompt: 51n, completion: 201n }, 10_001)).toBe(true);
    expect(within({ ...limit, prompt: 51n }, 10_001)).toBe(false);
    const image: Price = { id: 'price_2', unit: 'request', requestPico: 100n };
    expect(within({ ...limit, request: 149n }, 15_000, image)).toBe(false);
    expect(within({ ...limit, request: 150n }, 15_000, image)).toBe(true);
    // Who asks less than the list may pass where the list does not.
    const cheaper = narrow(
      fleet,
      { ...NO_PREFERENCES, maxPrice: limit },
      { price, priceFactor: 20_000, parameters: [] },
    );
    expect('candidates' in cheaper && cheaper.candidates.map(({ id }) => id[0])).toEqual(['b']);
  });

  test('parameters that every server knows need not be stated, others must', () => {
    expect(left({ requireParameters: true }, ['model', 'messages', 'temperature'])).toBe('abc');
    expect(left({ requireParameters: true }, ['messages', 'tools'])).toBe('a');
    expect(left({ requireParameters: true }, ['tools', 'logprobs'])).toEqual({
      emptiedBy: 'require_parameters',
    });
  });

  test.each<[Partial<Preferences>, string]>([
    [{ only: ['nobody'] }, 'only'],
    [{ ignore: ['a', 'b', 'c'] }, 'ignore'],
    [{ order: ['x'], allowFallbacks: false }, 'order'],
    [{ quantizations: ['fp4'] }, 'quantizations'],
    [{ ignore: ['a', 'b'], denyCollection: true }, 'data_collection'],
    [{ ignore: ['a'], zeroRetention: true }, 'zdr'],
    [{ maxPrice: { prompt: 1n, completion: undefined, request: undefined } }, 'max_price'],
  ])('the filter that left nobody is named: %o', (wish, emptiedBy) =>
    expect(left(wish)).toEqual({ emptiedBy }),
  );

  test('where nobody was before, no filter is blamed', () => {
    expect(narrow([], { ...NO_PREFERENCES, only: ['a'] }, { price, parameters: [] })).toEqual({
      candidates: [],
    });
  });
});

describe('who is wished first', () => {
  const rank = (name: string, wish: Partial<Preferences>, record = {}): number =>
    wishedRank(candidate(name, { record }), { ...NO_PREFERENCES, ...wish });

  test('the places of an order, then everybody else', () => {
    const order = ['b', 'a'];
    expect(rank('b', { order })).toBeLessThan(rank('a', { order }));
    expect(rank('a', { order })).toBeLessThan(rank('c', { order }));
    expect(rank('c', { order })).toBe(rank('d', { order }));
  });

  test('who is known to be slow stands behind, who is not known does not', () => {
    expect(rank('a', { minThroughput: 30 }, { tokensPerSecond: 29 })).toBeGreaterThan(
      rank('a', { minThroughput: 30 }),
    );
    expect(rank('a', { minThroughput: 30 }, { tokensPerSecond: 30 })).toBe(rank('a', {}));
    expect(rank('a', { maxLatencyMs: 500 }, { ttftMs: 501 })).toBeGreaterThan(
      rank('a', { maxLatencyMs: 500 }),
    );
  });
});
