import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { FALL_HALF_LIFE_MS, fallsAt, isFlapping, noFalls, noteFall } from './flapping.ts';

const fallen = (...atMs: number[]) => {
  const falls = noFalls();
  for (const at of atMs) noteFall(falls, at);
  return falls;
};

test('two restarts are forgiven, a third fall within minutes is flapping', () => {
  expect(isFlapping(noFalls(), 0)).toBe(false);
  expect(isFlapping(fallen(0, 0), 0)).toBe(false);
  expect(isFlapping(fallen(0, 30_000, 60_000), 60_000)).toBe(true);
});

test('a fall an hour is no flapping, however long it goes on', () => {
  const falls = noFalls();
  for (let hour = 0; hour < 100; hour++) {
    noteFall(falls, hour * 3_600_000);
    expect(isFlapping(falls, hour * 3_600_000)).toBe(false);
  }
});

test('whoever stays is believed again: half is forgotten every ten minutes, and all within an hour', () => {
  const falls = fallen(0, 0, 0, 0);
  expect(fallsAt(falls, FALL_HALF_LIFE_MS)).toBeCloseTo(2);
  expect(isFlapping(falls, FALL_HALF_LIFE_MS - 1_000)).toBe(true);
  expect(isFlapping(falls, FALL_HALF_LIFE_MS + 1_000)).toBe(false);
  const night = noFalls();
  for (let i = 0; i < 10_000; i++) noteFall(night, i * 1_000);
  expect(isFlapping(night, 10_000_000 + 3_600_000)).toBe(false);
});

test('memory never grows by waiting, and never falls by falling', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(5_000_000), { maxLength: 30 }), fc.nat(5_000_000), (times, wait) => {
      const sorted = times.toSorted((a, b) => a - b);
      const falls = noFalls();
      for (const at of sorted) {
        const before = fallsAt(falls, at);
        noteFall(falls, at);
        expect(fallsAt(falls, at)).toBeGreaterThanOrEqual(Math.min(before, 64));
      }
      const last = sorted.at(-1) ?? 0;
      expect(fallsAt(falls, last + wait)).toBeLessThanOrEqual(fallsAt(falls, last));
    }),
  );
});
