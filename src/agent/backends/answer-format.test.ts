import { describe, expect, it } from 'vitest';
import { readAnswerFormat, schemaForGrammar } from './answer-format.ts';

const withSchema = (schema: unknown) => ({ type: 'json_schema', json_schema: { name: 'x', schema } });

describe('the format of an answer', () => {
  it('is text where nothing is said', () => {
    for (const value of [undefined, null, { type: 'text' }]) expect(readAnswerFormat(value)).toBeUndefined();
  });

  it('may be any JSON, or JSON of a schema', () => {
    expect(readAnswerFormat({ type: 'json_object' })).toEqual({ kind: 'json' });
    const schema = { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] };
    expect(readAnswerFormat(withSchema(schema))).toEqual({ kind: 'schema', schema });
  });

  it.each([
    ['an unknown type', { type: 'xml' }, 'json_schema'],
    ['a text', 'json', 'json_schema'],
    ['no schema', { type: 'json_schema' }, 'json_schema'],
    ['a pattern', withSchema({ type: 'string', pattern: '^a' }), '"pattern"'],
    [
      'a bound',
      withSchema({ type: 'object', properties: { n: { type: 'integer', minimum: 1 } } }),
      'schema.n',
    ],
    ['an unknown type within', withSchema({ type: 'array', items: { type: 'date' } }), 'schema.items'],
    ['nothing at all', withSchema({}), 'does not say'],
    ['a list for a schema', withSchema({ type: 'object', properties: { a: [] } }), 'no schema'],
    [
      'a schema without an end',
      withSchema(
        Array.from({ length: 100 }).reduce((inner) => ({ type: 'array', items: inner }), { type: 'null' }),
      ),
      'too deep',
    ],
  ])('is refused by name where it is %s', (_what, value, words) => {
    expect(readAnswerFormat(value)).toEqual({ refusal: expect.stringContaining(words) });
  });

  it('reaches the grammar in its own words, and names of properties stay names', () => {
    expect(
      schemaForGrammar({
        $schema: 'x',
        title: 'T',
        type: 'object',
        properties: {
          title: { anyOf: [{ type: 'string' }, { type: 'null' }], default: null },
          required: { enum: [1] },
        },
        required: ['title'],
      }),
    ).toEqual({
      type: 'object',
      properties: { title: { oneOf: [{ type: 'string' }, { type: 'null' }] }, required: { enum: [1] } },
    });
  });
});
