// The promises package-lock.json makes: `npm ci` takes it on every system, and nobody's private mirror is written into it.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { completeLock } from '../scripts/complete-lock.mjs';

const lock = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8'));

test('package-lock.json is complete for every platform (otherwise: npm run lock)', () => {
  const { changes, unsolved } = completeLock(lock);
  expect([...changes, ...unsolved]).toEqual([]);
});

test('package-lock.json names no host to fetch from', () => {
  const named = Object.entries<{ resolved?: string }>(lock.packages).filter(([, entry]) =>
    /^[a-z+]+:\/\//.test(entry.resolved ?? ''),
  );
  expect(named).toEqual([]);
});
