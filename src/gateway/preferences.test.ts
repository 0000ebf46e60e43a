import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NO_PREFERENCES } from '#domain/preferences.ts';
import { Fault } from '#kit/fault.ts';
import { readPreferences, readShortcut } from './preferences.ts';

function refusal(value: unknown): { code: string; param: string | undefined } {
  try {
    readPreferences(value);
  } catch (error) {
    if (error instanceof Fault) return { code: error.code, param: error.param };
  }
  throw new Error('it was not refused');
}

describe("OpenRouter's provider object", () => {
  test('every field is read', () => {
    expect(
      readPreferences({
        order: ['Acme', 'prov_1'],
        only: ['acme'],
        ignore: ['Other'],
        allow_fallbacks: false,
        require_parameters: true,
        quantizations: ['FP8', 'unknown'],
        sort: { by: 'throughput', partition: 'model' },
        max_price: { prompt: 0.05, completion: '2', request: 0.01 },
        preferred_min_throughput: { p50: 40, p90: 10 },
        preferred_max_latency: 1.5,
        data_collection: 'deny',
        zdr: true,
      }),
    ).toEqual({
      order: ['acme', 'prov_1'],
      only: ['acme'],
      ignore: ['other'],
      allowFallbacks: false,
      requireParameters: true,
      quantizations: ['fp8', 'unknown'],
      sort: 'throughput',
      // Dollars per million tokens are micro-dollars per million tokens, pico-dollars per token.
      maxPrice: { prompt: 50_000n, completion: 2_000_000n, request: 10_000_000_000n },
      minThroughput: 40,
      maxLatencyMs: 1_500,
      denyCollection: true,
      zeroRetention: true,
    });
  });

  test('nothing said means nothing asked for', () => {
    expect(readPreferences({})).toEqual(NO_PREFERENCES);
    expect(readPreferences({ order: null, sort: null })).toEqual(NO_PREFERENCES);
  });

  test.each([
    ['no object', 'fast', 'provider'],
    ['a field of another name', { prefer: 'x' }, 'provider.prefer'],
    ['a field of every object', { constructor: 1 }, 'provider.constructor'],
    ['an order that is no list', { order: 'acme' }, 'provider.order'],
    ['too many names', { only: Array.from({ length: 65 }, () => 'a') }, 'provider.only'],
    ['a strange quantization', { quantizations: ['fp7'] }, 'provider.quantizations'],
    ['a strange order of sorting', { sort: 'random' }, 'provider.sort'],
    ['a negative price', { max_price: { prompt: -1 } }, 'provider.max_price'],
    ['a price that is no number', { max_price: { prompt: '1e3' } }, 'provider.max_price'],
    [
      'an endless speed',
      { preferred_min_throughput: Number.POSITIVE_INFINITY },
      'provider.preferred_min_throughput',
    ],
    ['a word for a truth', { zdr: 'yes' }, 'provider.zdr'],
    ['a strange policy', { data_collection: 'maybe' }, 'provider.data_collection'],
  ])('%s is refused by name', (_what, value, param) => {
    expect(refusal(value)).toEqual({ code: 'request-invalid', param });
  });

  test('whatever comes, it is read or refused', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        let met: unknown;
        try {
          readPreferences(value);
        } catch (error) {
          met = error;
        }
        expect(met === undefined || met instanceof Fault).toBe(true);
      }),
    );
  });

  test('the smallest price is kept, and a limit is never rounded up', () => {
    expect(readPreferences({ max_price: { prompt: 0.000001 } }).maxPrice.prompt).toBe(1n);
    expect(readPreferences({ max_price: { prompt: '0.0000019' } }).maxPrice.prompt).toBe(1n);
  });
});

test('shortcuts behind a model name sort', () => {
  expect(readShortcut('glm-4.7-flash:floor')).toEqual({ model: 'glm-4.7-flash', sort: 'price' });
  expect(readShortcut('glm-4.7-flash:nitro')).toEqual({ model: 'glm-4.7-flash', sort: 'throughput' });
  expect(readShortcut('glm-4.7-flash:other')).toEqual({ model: 'glm-4.7-flash:other', sort: undefined });
});
