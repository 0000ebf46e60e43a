// Runs the Solidity tests of contracts/test with forge and shows each as a test of this run: units, hostile tokens, the
// shared vectors, 120,000 calls in random order against each contract's own books, and the branches that they reach.

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FORGE = path.join(ROOT, 'node_modules/@foundry-rs/forge/bin.mjs');
const scratch = mkdtempSync(path.join(os.tmpdir(), 'cygnet-forge-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

interface ForgeTest {
  status: 'Success' | 'Failure' | 'Skipped';
  reason: string | null;
  kind: { Invariant?: { calls: number } };
}

function forge(args: string[], env: Record<string, string> = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { cwd: ROOT, env: { ...process.env, ...env }, maxBuffer: 1 << 28 };
    execFile(process.execPath, [FORGE, ...args], options, (error, stdout, stderr) => {
      // Failing tests are told one by one, from the report. The program's exit code does not tell.
      const reported = args.includes('--json') ? stdout.startsWith('{') : !error;
      if (reported) resolve(stdout);
      else reject(new Error(`${stderr}${stdout}`.slice(-4000)));
    });
  });
}

const report = JSON.parse(await forge(['test', '--json'])) as Record<
  string,
  { test_results: Record<string, ForgeTest> }
>;

const inWords = (name: string): string =>
  name.replace(/^(test|invariant)_|\(.*\)$/g, '').replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

describe.each(Object.entries(report))('%s', (_, { test_results: results }) => {
  test.each(Object.entries(results).map(([name, result]) => [inWords(name), result] as const))(
    '%s',
    (_name, result) => {
      expect(result.reason).toBeNull();
      expect(result.status).toBe('Success');
    },
  );
});

test('every contract is tested, and by at least 100,000 calls in random order', () => {
  const suites = Object.keys(report).map((suite) => suite.slice(suite.lastIndexOf(':') + 1));
  expect(suites.toSorted()).toEqual([
    'MerkleDistributorInvariantTest',
    'MerkleDistributorTest',
    'ProviderCollateralInvariantTest',
    'ProviderCollateralTest',
    'VectorsTest',
  ]);
  const calls = Object.values(report).flatMap(({ test_results: results }) =>
    Object.values(results).map(({ kind }) => kind.Invariant?.calls ?? 0),
  );
  expect(calls.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(100_000);
});

test('the unit tests reach every branch of every contract', { timeout: 120_000 }, async () => {
  const file = path.join(scratch, 'lcov.info');
  const only = ['--no-match-test', 'invariant', '--no-match-coverage', '^contracts/test/'];
  await forge(['coverage', ...only, '--report', 'lcov', '--report-file', file], {
    FOUNDRY_OUT: path.join(scratch, 'out'),
    FOUNDRY_CACHE_PATH: path.join(scratch, 'cache'),
  });
  const lines = readFileSync(file, 'utf8').split('\n');
  const source = (line: number): string | undefined =>
    lines.slice(0, line).findLast((text) => text.startsWith('SF:'));
  // BRDA:<line>,<block>,<branch>,<times taken>
  const branches = lines.flatMap((text, i) => {
    const match = /^BRDA:(\d+),\d+,\d+,(.+)$/.exec(text);
    return match ? [{ where: `${source(i)}:${match[1]}`, taken: match[2] }] : [];
  });
  expect(branches.length).toBeGreaterThanOrEqual(26);
  expect(branches.filter(({ taken }) => taken === '0' || taken === '-')).toEqual([]);
});
