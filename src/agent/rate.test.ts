import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Rate } from './rate.ts';

const taken = (rate: Rate, nowMs: number): boolean => {
  if (!rate.hasRoom(nowMs)) return false;
  rate.take();
  return true;
};

test('without a limit everything passes', () => {
  const rate = new Rate(undefined, 0);
  for (let i = 0; i < 1_000; i++) expect(taken(rate, 0)).toBe(true);
});

test('a tenth of a minute passes at once, and then one at a time', () => {
  const rate = new Rate(60, 0);
  expect([0, 0, 0, 0, 0, 0, 0].map((at) => taken(rate, at))).toEqual([...Array(6).fill(true), false]);
  expect(taken(rate, 999)).toBe(false);
  expect(taken(rate, 1_000)).toBe(true);
  expect(taken(rate, 1_001)).toBe(false);
});

test('one a minute is one a minute', () => {
  const rate = new Rate(1, 0);
  expect([taken(rate, 0), taken(rate, 59_999), taken(rate, 60_000)]).toEqual([true, false, true]);
});

test('a change holds at once, and gives nothing away', () => {
  const rate = new Rate(600, 0);
  rate.change(10, 0);
  expect([taken(rate, 0), taken(rate, 0)]).toEqual([true, false]);
  rate.change(undefined, 0);
  expect(taken(rate, 0)).toBe(true);
});

test('no minute ever holds more than a tenth above the limit', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 500 }),
      fc.array(fc.integer({ min: 0, max: 5_000 }), { maxLength: 400 }),
      (perMinute, gapsMs) => {
        const rate = new Rate(perMinute, 0);
        let atMs = 0;
        const passed: number[] = [];
        for (const gapMs of gapsMs) {
          atMs += gapMs;
          if (taken(rate, atMs)) passed.push(atMs);
        }
        for (const from of passed) {
          const within = passed.filter((each) => each >= from && each < from + 60_000).length;
          expect(within).toBeLessThanOrEqual(perMinute + Math.max(1, perMinute / 10));
        }
      },
    ),
  );
});
