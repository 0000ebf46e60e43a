// The promises package-lock.json makes: `npm ci` takes it on every system, nobody's private mirror is written
// into it, and an install on the oldest Node.js we support has nothing to warn of.

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

test('no package wants a newer Node.js than we do, so that npm ci warns of nothing', () => {
  const ours = majorOf(lock.packages[''].engines.node);
  const demanding = Object.entries<{ engines?: { node?: string } }>(lock.packages).filter(
    ([, { engines }]) => majorOf(engines?.node) > ours,
  );
  expect(ours).toBe(20);
  expect(demanding.map(([place]) => place)).toEqual([]);
});

/** The least major version that a plain `>=` range admits; 0 for ranges of another form, which name what they support. */
function majorOf(range = ''): number {
  return Number(/^>=\s*(\d+)[\d.]*$/.exec(range)?.[1] ?? 0);
}
