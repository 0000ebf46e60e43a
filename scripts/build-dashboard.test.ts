import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { BUDGET, firstLoad, overBudget } from './build-dashboard.mjs';

const file = (fileName: string, more: { isEntry?: boolean; imports?: string[] } = {}) => ({
  fileName,
  content: `// ${fileName}\n`.repeat(50),
  isEntry: false,
  imports: [],
  ...more,
});

test('the first load is the entry and what it imports, and not a page that is loaded when it is wanted', () => {
  const entry = file('entry.js', { isEntry: true, imports: ['react.js', 'shared.js'] });
  const react = file('react.js');
  const shared = file('shared.js', { imports: ['react.js'] });
  const page = file('page.js', { imports: ['shared.js'] });
  const style = file('style.css');
  const size = (each: { content: string }) => gzipSync(each.content, { level: 9 }).length;
  expect(firstLoad([entry, react, shared, page, style])).toEqual({
    script: size(entry) + size(react) + size(shared),
    style: size(style),
  });
});

test('a first load above its budget is refused, and says by how much', () => {
  expect(overBudget({ script: BUDGET.script, style: BUDGET.style })).toEqual([]);
  expect(overBudget({ script: BUDGET.script + 1, style: 0 })).toEqual([
    expect.stringContaining(`${BUDGET.script + 1} bytes of compressed script`),
  ]);
});
