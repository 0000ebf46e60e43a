import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  FORGET_MS,
  FRESH_MS,
  NEUTRAL_SUCCESS,
  newRecord,
  noteClaim,
  noteOutcome,
  noteTokensPerSecond,
  noteTtft,
  successAt,
} from './score.ts';

test('one outcome moves the success rate by a tenth of the way', () => {
  const record = newRecord();
  noteOutcome(record, true, 5);
  expect(record).toMatchObject({ outcomes: 1, lastOutcomeMs: 5 });
  expect(record.success).toBeCloseTo(NEUTRAL_SUCCESS + 0.1 * (1 - NEUTRAL_SUCCESS), 12);
  noteOutcome(record, false, 6);
  expect(record.success).toBeCloseTo((NEUTRAL_SUCCESS + 0.1 * (1 - NEUTRAL_SUCCESS)) * 0.9, 12);
});

test('silence forgets: nothing in the first minute, half after ten more, in the end all of it', () => {
  const record = { ...newRecord(), success: 0.2, lastOutcomeMs: 0, outcomes: 50 };
  expect(successAt(record, FRESH_MS)).toBe(0.2);
  expect(successAt(record, FRESH_MS + FORGET_MS)).toBeCloseTo((0.2 + NEUTRAL_SUCCESS) / 2, 12);
  expect(successAt(record, 1e12)).toBeCloseTo(NEUTRAL_SUCCESS, 3);
});

test('the success rate stays between 0 and 1 and silence only draws it towards neutral', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.boolean(), fc.nat(3_600_000)), { maxLength: 60 }),
      fc.nat(1e9),
      (outcomes, silenceMs) => {
        const record = newRecord();
        let nowMs = 0;
        for (const [succeeded, waitMs] of outcomes) {
          nowMs += waitMs;
          noteOutcome(record, succeeded, nowMs);
          expect(record.success).toBeGreaterThanOrEqual(0);
          expect(record.success).toBeLessThanOrEqual(1);
        }
        const later = successAt(record, nowMs + silenceMs);
        expect(Math.abs(later - NEUTRAL_SUCCESS)).toBeLessThanOrEqual(
          Math.abs(record.success - NEUTRAL_SUCCESS) + 1e-12,
        );
        expect((later - NEUTRAL_SUCCESS) * (record.success - NEUTRAL_SUCCESS)).toBeGreaterThanOrEqual(0);
      },
    ),
  );
});

test('the first speed is taken as it is, later ones by a fifth, and what is no speed is not taken', () => {
  const record = newRecord();
  noteTtft(record, 100);
  noteTtft(record, 200);
  for (const wrong of [-1, Number.NaN, Number.POSITIVE_INFINITY]) noteTtft(record, wrong);
  expect(record.ttftMs).toBeCloseTo(120, 12);
  noteTokensPerSecond(record, 50);
  noteTokensPerSecond(record, 0);
  expect(record.tokensPerSecond).toBeCloseTo(40, 12);
});

test('an over-claim is remembered until honest claims outweigh it', () => {
  const record = newRecord();
  noteClaim(record, true);
  expect(record.overclaim).toBeCloseTo(0.2, 12);
  for (let i = 0; i < 20; i++) noteClaim(record, false);
  expect(record.overclaim).toBeLessThan(0.01);
});
