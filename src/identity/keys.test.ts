import { inspect } from 'node:util';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seededRandomness, systemRandomness } from '#kit/random.ts';
import { hashKey, kindOfKey, makeKey } from './keys.ts';

const anyKey = fc
  .tuple(fc.constantFrom('consumer' as const, 'provider' as const), fc.integer())
  .map(([kind, seed]) => ({ kind, key: makeKey(kind, seededRandomness(seed)) }));

describe('a key', () => {
  test('has the documented shape, its kind and its displayed prefix', () => {
    fc.assert(
      fc.property(anyKey, ({ kind, key }) => {
        const text = key.secret.open();
        expect(text).toMatch(kind === 'consumer' ? /^sk-swan-[0-9a-f]{48}$/ : /^sk-prov-[0-9a-f]{48}$/);
        expect(kindOfKey(text)).toBe(kind);
        expect(text.slice(8, 16)).toBe(key.prefix);
        expect(key.hash).toBe(hashKey(text));
      }),
    );
  });

  test('follows the published checksum: CRC-32 of what stands before it', () => {
    // Computed with another implementation of CRC-32 (Python's zlib).
    expect(kindOfKey('sk-swan-0123456789abcdef0123456789abcdef01234567fbd99d61')).toBe('consumer');
  });

  test('with any one character changed is not a key', () => {
    fc.assert(
      fc.property(
        anyKey,
        fc.nat(55),
        fc.constantFrom(...'0123456789abcdefgG -'.split('')),
        ({ key }, at, other) => {
          const text = key.secret.open();
          fc.pre(text[at] !== other);
          expect(kindOfKey(text.slice(0, at) + other + text.slice(at + 1))).toBeUndefined();
        },
      ),
    );
  });

  test('with two neighbours swapped is not a key', () => {
    fc.assert(
      fc.property(anyKey, fc.nat(54), ({ key }, at) => {
        const text = key.secret.open();
        fc.pre(text[at] !== text[at + 1]);
        expect(kindOfKey(text.slice(0, at) + text[at + 1] + text[at] + text.slice(at + 2))).toBeUndefined();
      }),
    );
  });

  test('of one kind does not pass as the other', () => {
    const text = makeKey('consumer', systemRandomness).secret.open();
    expect(kindOfKey(text.replace('sk-swan-', 'sk-prov-'))).toBeUndefined();
  });

  test('is not shown by printing what holds it', () => {
    const key = makeKey('consumer', systemRandomness);
    expect(inspect(key) + JSON.stringify(key)).not.toContain(key.secret.open());
  });
});

test('no text at all makes the check throw', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      expect(kindOfKey(text)).toBeUndefined();
    }),
  );
});
