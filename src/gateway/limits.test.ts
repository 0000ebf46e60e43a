import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { WHOLE_SCOPE } from '#domain/key-scope.ts';
import { type LimitedKey, MemoryLimits } from './limits.ts';

const KEY: LimitedKey = { id: 'key_1', ownerId: 'cons_1' };
const OTHER: LimitedKey = { id: 'key_2', ownerId: 'cons_2' };

const settings = {
  requestsPerMinute: { llm: 200, image: 60, embedding: 500, other: 200 },
  concurrentPerKey: 3,
};

describe('requests a minute', () => {
  test('a whole minute of requests may come at once, the next one is refused with the time to wait', () => {
    const limits = new MemoryLimits(settings);
    for (let i = 0; i < 200; i++) expect(limits.takeRequest(KEY, 'llm', 1000).allowed).toBe(true);
    const refused = limits.takeRequest(KEY, 'llm', 1000);
    expect(refused).toMatchObject({ allowed: false, limit: 200, remaining: 0, retryAfterS: 1 });
  });

  test('the allowance comes back evenly', () => {
    const limits = new MemoryLimits(settings);
    for (let i = 0; i < 200; i++) limits.takeRequest(KEY, 'llm', 0);
    expect(limits.takeRequest(KEY, 'llm', 299).allowed).toBe(false);
    expect(limits.takeRequest(KEY, 'llm', 300).allowed).toBe(true);
    expect(limits.takeRequest(KEY, 'llm', 301).allowed).toBe(false);
  });

  test('keys and categories do not share, but multimodal counts as llm', () => {
    const limits = new MemoryLimits(settings);
    for (let i = 0; i < 200; i++) limits.takeRequest(KEY, 'multimodal', 0);
    expect(limits.takeRequest(KEY, 'llm', 0).allowed).toBe(false);
    expect(limits.takeRequest(KEY, 'image', 0).allowed).toBe(true);
    expect(limits.takeRequest(OTHER, 'llm', 0).allowed).toBe(true);
  });

  test('no stretch of requests passes more than the burst and what time gave back', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 5000, noNaN: true }), { maxLength: 600 }), (gaps) => {
        const limits = new MemoryLimits(settings);
        let nowMs = 0;
        let passed = 0;
        for (const gap of gaps) {
          nowMs += gap;
          const verdict = limits.takeRequest(KEY, 'image', nowMs);
          if (verdict.allowed) passed += 1;
          expect(verdict.remaining).toBeGreaterThanOrEqual(0);
          expect(passed).toBeLessThanOrEqual(60 + nowMs / 1000 + 1);
        }
      }),
    );
  });
});

describe('requests at once', () => {
  test('one more than allowed is refused until one leaves', () => {
    const limits = new MemoryLimits(settings);
    expect([1, 2, 3, 4].map(() => limits.enter(KEY).allowed)).toEqual([true, true, true, false]);
    limits.leave(KEY);
    expect(limits.enter(KEY).allowed).toBe(true);
  });
});

describe('an account', () => {
  test('gains little by making many keys', () => {
    const limits = new MemoryLimits(settings);
    let passed = 0;
    for (let key = 0; key < 50; key++) {
      for (let i = 0; i < 60; i++) {
        const verdict = limits.takeRequest({ id: `key_${key}`, ownerId: 'cons_1' }, 'image', 0);
        if (verdict.allowed) passed += 1;
        expect(verdict.allowed ? 'account' : verdict.of).toBe('account');
      }
    }
    expect(passed).toBe(300);
    // Nor at once.
    const places = Array.from({ length: 50 }, (_, key) => ({ id: `key_${key}`, ownerId: 'cons_1' }));
    const entered = places.flatMap((key) => [1, 2, 3].map(() => limits.enter(key)));
    expect(entered.filter((place) => place.allowed)).toHaveLength(15);
    expect(entered.at(-1)).toEqual({ allowed: false, of: 'account', limit: 15, remaining: 0 });
  });

  test('a request that one limit refuses takes nothing from the others', () => {
    const limits = new MemoryLimits(settings);
    for (let i = 0; i < 60; i++) limits.takeRequest(KEY, 'image', 0);
    for (let i = 0; i < 1_000; i++) limits.takeRequest(KEY, 'image', 0);
    const sibling = limits.takeRequest({ ...KEY, id: 'key_sibling' }, 'image', 0);
    expect(sibling).toMatchObject({ allowed: true, of: 'key', remaining: 59 });
  });
});

describe('a plan', () => {
  const free: LimitedKey = { ...KEY, plan: 'free' };

  test('limits the minute, over all categories and keys', () => {
    const limits = new MemoryLimits(settings);
    for (let i = 0; i < 10; i++) {
      const verdict = limits.takeRequest({ ...free, id: `key_${i}` }, i % 2 ? 'llm' : 'embedding', 0);
      expect(verdict).toMatchObject({ allowed: true, of: 'plan', limit: 10, remaining: 9 - i });
    }
    expect(limits.takeRequest(free, 'image', 0)).toMatchObject({
      allowed: false,
      of: 'plan',
      retryAfterS: 6,
    });
  });

  test('limits the day', () => {
    const limits = new MemoryLimits(settings);
    let passed = 0;
    for (let minute = 0; minute < 60; minute++) {
      for (let i = 0; i < 10; i++) if (limits.takeRequest(free, 'llm', minute * 60_000).allowed) passed += 1;
    }
    // A hundred at once, and an hour's share of another hundred.
    expect(passed).toBe(104);
    expect(limits.takeRequest(free, 'llm', 3_600_000 - 1)).toMatchObject({ of: 'plan-day', limit: 100 });
  });

  test('limits the requests at once', () => {
    const limits = new MemoryLimits(settings);
    expect([1, 2, 3].map((i) => limits.enter({ ...free, id: `key_${i}` }).allowed)).toEqual([
      true,
      true,
      false,
    ]);
    expect(limits.enter(free)).toEqual({ allowed: false, of: 'plan', limit: 2, remaining: 0 });
  });

  test('that nobody knows pays as it goes', () => {
    const limits = new MemoryLimits(settings);
    expect(limits.takeRequest({ ...KEY, plan: 'constructor' }, 'llm', 0)).toMatchObject({ limit: 200 });
  });
});

test('a key may have a rate of its own, over all categories', () => {
  const limits = new MemoryLimits(settings);
  const mine: LimitedKey = { ...KEY, scope: { ...WHOLE_SCOPE, requestsPerMinute: 2 } };
  expect(['llm', 'image', 'llm'].map((each) => limits.takeRequest(mine, each as 'llm', 0).allowed)).toEqual([
    true,
    true,
    false,
  ]);
  expect(limits.takeRequest(mine, 'llm', 0)).toMatchObject({ of: 'key-scope', limit: 2, retryAfterS: 30 });
});
