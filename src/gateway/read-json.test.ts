import { expect, test } from 'vitest';
import { z } from 'zod';
import { Fault } from '#kit/fault.ts';
import { DEFAULT_BODY_LIMITS } from './body.ts';
import { readBySchema } from './read-json.ts';
import { READERS } from './readers.ts';

test('a body with a hundred thousand wrong things is refused at the first of them', () => {
  let looked = 0;
  const wrong = z.unknown().refine(
    () => {
      looked += 1;
      return false;
    },
    { abort: true },
  );
  const schema = z.looseObject({ input: z.union([z.string(), z.array(wrong), z.array(wrong)]) });
  const fault = readBySchema(Buffer.from(`{"input":[${Array(100_000).fill(1).join(',')}]}`), schema);
  expect(fault).toMatchObject({ code: 'request-invalid', param: 'input' });
  expect(looked).toBe(2);
});

test('metadata with more members than anybody needs is refused before they are looked at', () => {
  const metadata = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`k${i}`, i]));
  const bytes = Buffer.from(JSON.stringify({ model: 'm', input: 'x', metadata }));
  const fault = READERS.responses(bytes, DEFAULT_BODY_LIMITS) as Fault;
  expect(fault).toBeInstanceOf(Fault);
  expect(fault).toMatchObject({ code: 'request-invalid', param: 'metadata' });
  expect(fault.outer).toContain('at most 64');
});

test.each([
  ['text', { prompt: [] }, /^'prompt' is not valid: expected a text, 1 to 128 texts, or the same as tokens/],
  [
    'embeddings',
    { input: [-1] },
    /^'input' is not valid: expected a text, 1 to 2048 texts, or the same as tokens/,
  ],
] as const)(
  'what %s may take in several forms is refused with these forms, not with "invalid input"',
  (reader, body, sentence) => {
    const bytes = Buffer.from(JSON.stringify({ model: 'm', ...body }));
    expect((READERS[reader](bytes, DEFAULT_BODY_LIMITS) as Fault).outer).toMatch(sentence);
  },
);
