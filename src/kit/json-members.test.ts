import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { withMembers } from './json-members.ts';

const change = (json: string, drop: string[], set: Record<string, unknown> = {}): string | undefined =>
  withMembers(Buffer.from(json), { drop: new Set(drop), set })?.toString();

describe('members are changed and everything else stays byte for byte', () => {
  const table: [string, string[], Record<string, unknown>, string][] = [
    ['{"a":1,"b":2,"c":3}', ['b'], {}, '{"a":1,"c":3}'],
    ['{"a":1}', ['a'], {}, '{}'],
    ['{}', ['a'], {}, '{}'],
    ['{}', [], { a: [1] }, '{"a":[1]}'],
    ['{"a":1,"b":2}', [], { a: 9 }, '{"b":2,"a":9}'],
    ['{"a":1}', [], { a: undefined }, '{}'],
    ['{"a":1,"a":2,"b":3}', ['a'], {}, '{"b":3}'],
    [' \n{ "a" : 1 ,\t"b" : [ 1 , {"a":2} ] } \n', ['a'], {}, '{"b" : [ 1 , {"a":2} ]}'],
    [
      '{"a":"x\\"}],","b":12345678901234567890.50}',
      [],
      { c: 1 },
      '{"a":"x\\"}],","b":12345678901234567890.50,"c":1}',
    ],
    ['{"\\u0061":1,"b":2}', ['a'], {}, '{"b":2}'],
    ['{"a":"\\\\","b":"\\\\\\"","c":3}', ['c'], {}, '{"a":"\\\\","b":"\\\\\\""}'],
    ['{"__proto__":{"x":1},"b":2}', ['b'], {}, '{"__proto__":{"x":1}}'],
    ['{"__proto__":{"x":1},"b":2}', ['__proto__'], {}, '{"b":2}'],
  ];
  test.each(table)('%s without %j with %j', (json, drop, set, expected) => {
    expect(change(json, drop, set)).toBe(expected);
  });
});

test('parsed, the result is the parsed object changed', () => {
  const names = fc.constantFrom('a', 'b', 'c', 'é"\\', 'toString');
  const json = fc.oneof(fc.jsonValue(), fc.string({ unit: 'binary' }));
  fc.assert(
    fc.property(
      fc.dictionary(names, json),
      fc.array(names),
      fc.dictionary(names, json),
      fc.constantFrom(0, 2),
      (object, drop, set, indent) => {
        const expected: Record<string, unknown> = {};
        for (const [name, value] of Object.entries(object)) {
          if (!(drop as string[]).includes(name)) expected[name] = JSON.parse(JSON.stringify(value));
        }
        Object.assign(expected, JSON.parse(JSON.stringify(set)));
        expect(JSON.parse(change(JSON.stringify(object, null, indent), drop, set) as string)).toEqual(
          expected,
        );
      },
    ),
  );
});

test('whatever the bytes are, it ends and does not throw', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        fc.string().map((text) => Buffer.from(`{${text}`)),
      ),
      (bytes) => {
        expect(() => withMembers(Buffer.from(bytes), { drop: new Set(['a']), set: { b: 1 } })).not.toThrow();
      },
    ),
  );
});

test('depth and length cost linear time', () => {
  const deep = `{"a":${'['.repeat(200_000)}${']'.repeat(200_000)},"b":1}`;
  expect(change(deep, ['a'])).toBe('{"b":1}');
  const escaped = `{"a":"${'\\\\'.repeat(500_000)}","b":1}`;
  expect(change(escaped, ['a'])).toBe('{"b":1}');
  const quotes = `{"a":"${'\\"'.repeat(500_000)}","b":1}`;
  expect(change(quotes, ['a'])).toBe('{"b":1}');
});
