import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '#kit/package-root.ts';
import { ERRORS, errorBody, errorRow } from './errors.ts';

const page = readFileSync(path.join(packageRoot(), 'docs/errors.md'), 'utf8');

test('the page of errors and the table say the same, row by row', () => {
  const yesNo = (value: boolean): string => (value ? 'yes' : 'no');
  const expected = Object.entries(ERRORS).map(
    ([name, row]) =>
      `| \`${name}\` | ${row.status} | \`${row.type}\` | \`${row.openaiCode}\` | ${row.whose} | ${yesNo(row.spendsBudget)} | ${yesNo(row.retry)} | ${row.sentence} |`,
  );
  const written = page.split('\n').filter((line) => line.startsWith('| `'));
  expect(written).toEqual(expected);
});

test("a caller's mistake never spends our error budget", () => {
  const callers = Object.values(ERRORS).filter(({ whose }) => whose === 'caller');
  expect(callers.length).toBeGreaterThan(0);
  expect(callers.filter(({ spendsBudget }) => spendsBudget)).toEqual([]);
});

test('every code that the chain room throws is in the table', () => {
  const folder = path.join(packageRoot(), 'src/chain');
  const codes = readdirSync(folder)
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .flatMap((name) => [...readFileSync(path.join(folder, name), 'utf8').matchAll(/'(chain-[a-z-]+)'/g)])
    .map(([, code = '']) => code);
  expect(codes.length).toBeGreaterThan(4);
  expect(codes.filter((code) => !Object.hasOwn(ERRORS, code))).toEqual([]);
});

test('a code that is not in the table reads as our own failure', () => {
  expect(errorRow('no-such-code')).toBe(ERRORS.internal);
  expect(errorRow('constructor')).toBe(ERRORS.internal);
});

test('an error body carries the outer text and never anything else', () => {
  expect(errorBody('model-unknown', { param: 'model' })).toEqual({
    error: {
      message: 'This model is not in the catalogue.',
      type: 'invalid_request_error',
      code: 'model_not_found',
      param: 'model',
    },
  });
});
