import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '#kit/package-root.ts';
import { CHART } from './chart.ts';

test('docs/money.md shows the chart of accounts as it is', () => {
  const page = readFileSync(path.join(packageRoot(), 'docs/money.md'), 'utf8');
  const rows = [
    ...page.matchAll(/^\| `((?:consumer|provider|collateral|platform):[^`]*)` \| (\w+) \| (.*) \|$/gm),
  ];
  const shown = rows.map(([, account, raisedBy, meaning]) => [
    (account as string).replace('<id>', ''),
    { raisedBy, meaning },
  ]);
  expect(Object.fromEntries(shown)).toEqual(CHART);
});
