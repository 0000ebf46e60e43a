import { describe, expect, it } from 'vitest';
import { testJob } from '#support/test-hub.ts';
import { isAnswerFor } from './answer.ts';

const job = testJob({ operation: 'embeddings', stream: false, expects: { items: 1, dimensions: undefined } });
const isVector = (embedding: unknown): boolean =>
  isAnswerFor({ object: 'list', model: job.modelId, data: [{ index: 0, embedding }] }, job);
/** As models write them: padded, unless three divides their bytes. */
const base64 = (...numbers: number[]): string =>
  Buffer.from(Float32Array.from(numbers).buffer).toString('base64');

describe('a vector in base64', () => {
  it.each([1, 2, 3, 1024])('of %i floats is one', (length) => {
    expect(isVector(base64(...Array.from({ length }, (_, i) => 1 / (i + 3))))).toBe(true);
  });

  it.each([
    ['without its padding', base64(1, 2).replace(/=+$/, '')],
    ['with bits behind its last byte', 'AAAAAB=='],
  ])('%s is one all the same', (_, text) => {
    expect(isVector(text)).toBe(true);
  });

  it.each([
    ['of no float', ''],
    ['of three bytes', 'AAAA'],
    [
      'in the alphabet of addresses',
      base64(-1, 0.1).replaceAll('+', '-').replaceAll('/', '_').replace(/^../, '-_'),
    ],
    ['with a line break', `AAAA\nAA==`],
    ['with text behind its end', 'AAAAAA==AAAA'],
    ['of other signs', '########'],
  ])('%s is none', (_, text) => {
    expect(isVector(text)).toBe(false);
  });
});
