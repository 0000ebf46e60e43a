import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { UsageRecord } from '#domain/usage-record.ts';
import { claimOf, correctionOf, type ExactCount, verdict } from './verdict.ts';

const exact = (
  input: number | undefined,
  output: number | undefined,
  stopTokens = 1,
  complete = true,
): ExactCount => ({
  inputTokens: input,
  outputTokens: output,
  stopTokens,
  complete,
});

describe('claimed against counted', () => {
  const table: [string, [number, number], ExactCount, [number, number], boolean][] = [
    ['an exact claim stands', [100, 50], exact(100, 50), [100, 50], false],
    ['the stop token may be claimed', [100, 51], exact(100, 50), [100, 51], false],
    ['a low claim stands', [90, 10], exact(100, 50), [90, 10], false],
    ['a small excess is not paid and not held against anyone', [104, 54], exact(100, 50), [100, 51], false],
    ['input beyond the tolerance is an over-claim', [105, 50], exact(100, 50), [100, 50], true],
    ['output beyond the tolerance is an over-claim', [100, 55], exact(100, 50), [100, 51], true],
    ['two per cent of a long answer are tolerated', [0, 1_022], exact(0, 1_000, 0), [0, 1_000], false],
    ['and not more', [0, 1_023], exact(0, 1_000, 0), [0, 1_000], true],
    ['of a cut answer more was honestly made', [100, 90], exact(100, 50, 0, false), [100, 50], false],
    [
      'what cannot be counted stands as claimed',
      [500, 900],
      exact(undefined, undefined, 0),
      [500, 900],
      false,
    ],
    ['nothing said, much claimed', [0, 40], exact(0, 0), [0, 1], true],
  ];
  test.each(table)(
    '%s',
    (_, [inputTokens, outputTokens], counted, [billedInput, billedOutput], overclaimed) => {
      expect(verdict({ inputTokens, outputTokens }, counted)).toMatchObject({
        bill: { inputTokens: billedInput, outputTokens: billedOutput },
        overclaimed,
      });
    },
  );
});

test('the bill is never above the claim, never above the count, and says what was cut', () => {
  const tokens = fc.nat(1_000_000);
  const maybe = fc.option(tokens, { nil: undefined });
  fc.assert(
    fc.property(
      tokens,
      tokens,
      maybe,
      maybe,
      fc.nat(8),
      fc.boolean(),
      (inputTokens, outputTokens, input, output, stops, complete) => {
        const { bill, excess } = verdict(
          { inputTokens, outputTokens },
          exact(input, output, stops, complete),
        );
        expect(bill.inputTokens).toBe(Math.min(inputTokens, input ?? Number.POSITIVE_INFINITY));
        expect(bill.outputTokens).toBe(
          Math.min(outputTokens, output === undefined ? Number.POSITIVE_INFINITY : output + stops),
        );
        expect(excess).toBe(inputTokens - bill.inputTokens + outputTokens - bill.outputTokens);
      },
    ),
  );
});

describe('the correction', () => {
  const price = { id: 'price_1', unit: 'token', inputPico: 2n, outputPico: 3n } as const;
  const record = {
    id: 'req_1',
    consumerId: 'c',
    providerId: 'p',
    policy: 'standard-1',
    inputTokens: 100,
    outputTokens: 60,
    claimedInputTokens: 400,
    claimedOutputTokens: null,
    charge: 380n,
  } as UsageRecord;

  test('gives back what was charged beyond the count, under an id that follows from the request', () => {
    expect(correctionOf(record, price, exact(100, 49), 7)).toEqual({
      id: 'fix_req_1',
      at: 7,
      requestId: 'req_1',
      consumerId: 'c',
      providerId: 'p',
      policy: 'standard-1',
      inputTokens: 100,
      outputTokens: 50,
      refund: 30n,
      originalCharge: 380n,
    });
  });

  test('is none when the charge was not too high, or capped below the cost already', () => {
    expect(correctionOf(record, price, exact(200, 200), 7)).toBeUndefined();
    expect(correctionOf({ ...record, charge: 300n }, price, exact(100, 49), 7)).toBeUndefined();
    expect(correctionOf({ ...record, providerId: null }, price, exact(0, 0), 7)).toBeUndefined();
  });

  test('gives the plan back what it paid too much, and the consumer first what the quota would have covered', () => {
    // 120 of 160 tokens were covered: all that was read, and 20 of 60 that were made.
    const covered = { ...record, charge: 120n, covered: 260n, coveredTokens: 120, coveredUnits: 0 };
    const back = (input: number, output: number) => {
      const { refund, coveredRefund } = correctionOf(covered, price, exact(input, output), 7) ?? {};
      return [refund, coveredRefund];
    };
    expect(back(100, 59)).toEqual([undefined, undefined]);
    expect(back(100, 49)).toEqual([30n, 0n]);
    expect(back(100, 9)).toEqual([120n, 30n]);
    // Thirty fewer read: the quota has room for thirty more of those made, which cost more.
    expect(back(70, 59)).toEqual([90n, -30n]);
    const whole = { ...covered, charge: 0n, covered: 380n, coveredTokens: 160 };
    expect(correctionOf(whole, price, exact(100, 49), 7)).toMatchObject({
      refund: 0n,
      coveredRefund: 30n,
      originalCharge: 0n,
      originalCovered: 380n,
    });
  });

  test('judges the provider by its own claim, not by what was billed', () => {
    expect(claimOf(record)).toEqual({ inputTokens: 400, outputTokens: 60 });
  });
});
