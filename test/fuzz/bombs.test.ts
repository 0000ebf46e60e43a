import { describe, expect, test } from 'vitest';
import { DEFAULT_BODY_LIMITS } from '#gateway/body.ts';
import { READERS, type ReaderName } from '#gateway/readers.ts';
import { Fault } from '#kit/fault.ts';

// Single bodies that are built to exhaust whoever reads them: up to the 10 MB that a body may have.

const MB_10 = 10_000_000;
const DEEP = 200_000;
const nested = (open: string, close: string) => open.repeat(DEEP) + close.repeat(DEEP);
const many = (item: string, bytes: number) =>
  `[${Array.from({ length: Math.floor(bytes / (item.length + 1)) }, () => item).join(',')}]`;

/** A body that is valid for every reader but for one member. */
const around = (name: string, value: string): string => {
  const rest = {
    model: 'm',
    max_tokens: 1,
    messages: [{ role: 'user', content: 'x' }],
    prompt: 'x',
    input: 'x',
  } as Record<string, unknown>;
  delete rest[name];
  return `{${JSON.stringify(rest).slice(1, -1)},${JSON.stringify(name)}:${value}}`;
};

const MAIN: Readonly<Record<ReaderName, string>> = {
  chat: 'messages',
  text: 'prompt',
  embeddings: 'input',
  images: 'prompt',
  messages: 'messages',
  responses: 'input',
};

describe.each(Object.entries(MAIN) as [ReaderName, string][])('the reader of %s', (reader, main) => {
  const read = (body: string): string => {
    const answer = READERS[reader](Buffer.from(body), DEFAULT_BODY_LIMITS);
    return answer instanceof Fault ? answer.code : 'read';
  };

  test.each<[string, string, readonly string[]]>([
    ['200,000 arrays in each other', around(main, nested('[', ']')), ['request-invalid']],
    [
      '200,000 objects in each other',
      around(main, nested('{"a":', '}').replace(':}', ':1}')),
      ['request-invalid'],
    ],
    ['200,000 levels in a field that nobody knows', around('unknown', nested('[', ']')), ['request-invalid']],
    ['200,000 levels that never close', `{"model":${'['.repeat(DEEP)}`, ['body-not-json']],
    ['a million nulls', around(main, many('null', 5_000_000)), ['request-invalid']],
    ['a million empty objects', around(main, many('{}', 3_000_000)), ['request-invalid']],
    ['a million empty arrays', around(main, many('[]', 3_000_000)), ['request-invalid']],
    ['a million fractions', around(main, many('0.5', 4_000_000)), ['request-invalid']],
    ['a million numbers below zero', around(main, many('-1', 3_000_000)), ['request-invalid']],
    [
      'a hundred thousand of the same name',
      `{${'"model":"m",'.repeat(100_000)}${around(main, '"x"').slice(1)}`,
      ['read', 'request-invalid'],
    ],
    ['numbers no double holds', around('max_tokens', '1e999'), ['request-invalid', 'read']],
    [
      'a number of a million digits',
      around('max_tokens', '9'.repeat(1_000_000)),
      ['request-invalid', 'read'],
    ],
    [
      '__proto__ with members',
      around('__proto__', '{"model":"m","stream":true}'),
      ['read', 'request-invalid'],
    ],
    ['half a surrogate pair', around(main, '"\\ud800"'), ['read', 'request-invalid']],
    ['10 MB of one letter', around(main, `"${'a'.repeat(MB_10)}"`), ['read', 'request-invalid']],
    ['10 MB of spaces', `${' '.repeat(MB_10)}{}`, ['request-invalid']],
    ['nothing', '', ['body-not-json']],
  ])('answers %s', { timeout: 120_000 }, (_, body, codes) => {
    expect(codes).toContain(read(body));
    expect(({} as Record<string, unknown>)['stream']).toBeUndefined();
  });
});
