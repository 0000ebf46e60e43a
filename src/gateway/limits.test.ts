import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MemoryLimits } from './limits.ts';

const settings = {
  requestsPerMinute: { llm: 200, image: 60, embedding: 500, other: 200 },
  concurrentPerKey: 3,
};

describe('requests a minute', () => {
  test('a whole minute of requests may come at once, the next one is refused with the time to wait', () => {
    const limits = new MemoryLimits(settings);
    for (let i = 0; i < 200; i++) expect(limits.takeRequest('key_1', 'llm', 1000).allowed).toBe(true);
    const refused = limits.takeRequest('key_1', 'llm', 1000);
    expect(refused).toMatchObject({ allowed: false, limit: 200, remaining: 0, retryAfterS: 1 });
  });

  test('the allowance comes back evenly', () => {
    const limits = new MemoryLimits(settings);
    for (let i = 0; i < 200; i++) limits.takeRequest('key_1', 'llm', 0);
    expect(limits.takeRequest('key_1', 'llm', 299).allowed).toBe(false);
    expect(limits.takeRequest('key_1', 'llm', 300).allowed).toBe(true);
    expect(limits.takeRequest('key_1', 'llm', 301).allowed).toBe(false);
  });

  test('keys and categories do not share, but multimodal counts as llm', () => {
    const limits = new MemoryLimits(settings);
    for (let i = 0; i < 200; i++) limits.takeRequest('key_1', 'multimodal', 0);
    expect(limits.takeRequest('key_1', 'llm', 0).allowed).toBe(false);
    expect(limits.takeRequest('key_1', 'image', 0).allowed).toBe(true);
    expect(limits.takeRequest('key_2', 'llm', 0).allowed).toBe(true);
  });

  test('no stretch of requests passes more than the burst and what time gave back', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 5000, noNaN: true }), { maxLength: 600 }), (gaps) => {
        const limits = new MemoryLimits(settings);
        let nowMs = 0;
        let passed = 0;
        for (const gap of gaps) {
          nowMs += gap;
          const verdict = limits.takeRequest('key_1', 'image', nowMs);
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
    expect([1, 2, 3, 4].map(() => limits.enter('key_1'))).toEqual([true, true, true, false]);
    limits.leave('key_1');
    expect(limits.enter('key_1')).toBe(true);
  });
});
