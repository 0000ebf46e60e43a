import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { billedUsage, inputCeiling, type Served } from './bill.ts';

const whole: Served = {
  stated: { inputTokens: 20, outputTokens: 10 },
  cutShort: false,
  passedTokens: 10,
  passedContentBytes: 40,
  inputCeiling: 100,
  promptBytes: 60,
  choices: 1,
  outputCeiling: 50,
};

describe('what is billed', () => {
  test.each<[string, Partial<Served>, { inputTokens: number; outputTokens: number }]>([
    ['an honest statement stands', {}, { inputTokens: 20, outputTokens: 10 }],
    [
      'a prompt cannot be more tokens than its bytes allow',
      { stated: { inputTokens: 9_999, outputTokens: 10 } },
      { inputTokens: 100, outputTokens: 10 },
    ],
    [
      'an answer cannot be more tokens than the consumer allowed',
      { stated: { inputTokens: 20, outputTokens: 9_999 }, passedContentBytes: 1e6 },
      { inputTokens: 20, outputTokens: 50 },
    ],
    [
      'an answer cannot be more tokens than it has bytes, the end marker aside',
      { stated: { inputTokens: 20, outputTokens: 49 } },
      { inputTokens: 20, outputTokens: 41 },
    ],
    [
      'a stated zero is a value',
      { stated: { inputTokens: 0, outputTokens: 0 } },
      { inputTokens: 0, outputTokens: 0 },
    ],
    [
      'without a statement our own count stands',
      { stated: undefined },
      { inputTokens: 15, outputTokens: 10 },
    ],
    [
      'who leaves pays for what was passed on, not for what was generated',
      { cutShort: true, passedTokens: 4 },
      { inputTokens: 20, outputTokens: 4 },
    ],
    [
      'who leaves before anything was passed on pays nothing',
      { cutShort: true, passedTokens: 0 },
      { inputTokens: 0, outputTokens: 0 },
    ],
  ])('%s', (_promise, change, billed) => {
    expect(billedUsage({ ...whole, ...change })).toEqual(billed);
  });

  test('nothing that is stated can exceed what was held', () => {
    const count = fc.nat({ max: 1_000_000 });
    fc.assert(
      fc.property(count, count, count, count, fc.boolean(), (input, output, passed, bytes, cutShort) => {
        const served = {
          ...whole,
          stated: { inputTokens: input, outputTokens: output },
          passedTokens: passed,
          passedContentBytes: bytes,
          cutShort,
        };
        const billed = billedUsage(served);
        expect(billed.inputTokens).toBeLessThanOrEqual(served.inputCeiling);
        expect(billed.outputTokens).toBeLessThanOrEqual(bytes + 1);
        expect(billed.outputTokens).toBeLessThanOrEqual(cutShort ? passed : served.outputCeiling);
      }),
    );
  });

  test('the ceiling of a prompt leaves room for the template and stops at the context', () => {
    expect(inputCeiling({ promptBytes: 100, messageCount: 2, mediaParts: 0 }, null)).toBe(132);
    expect(inputCeiling({ promptBytes: 100_000, messageCount: 2, mediaParts: 0 }, 512)).toBe(512);
  });
});
