import { execFile } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Mutant } from './mutate.ts';

/**
 * Puts one mutant in the place of its contract, in a folder of its own, and runs the contract's tests there: first those
 * that are quick, and the calls in random order only where nothing noticed.
 */
export type Fate =
  /** A test failed, as it must; its name. */
  | { readonly became: 'killed'; readonly by: string }
  /** The compiler refused it: no mutant at all. */
  | { readonly became: 'stillborn' }
  /** Every test passed. */
  | { readonly became: 'alive' };

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FORGE = path.join(ROOT, 'node_modules/@foundry-rs/forge/bin.mjs');

/** Not optimised, because that takes most of the time; what a contract does is the same. */
const SETTINGS = { FOUNDRY_OPTIMIZER: 'false', FOUNDRY_FUZZ_RUNS: '128' };

export const CONTRACTS = ['MerkleDistributor', 'ProviderCollateral', 'TestToken'];

/** The quick tests of each; the calls in random order come after them. */
const TESTS: Readonly<Record<string, readonly string[]>> = {
  MerkleDistributor: ['MerkleDistributor.t.sol', 'Vectors.t.sol'],
  ProviderCollateral: ['ProviderCollateral.t.sol'],
  TestToken: ['MerkleDistributor.t.sol', 'ProviderCollateral.t.sol'],
};

export function sourceOf(contract: string): string {
  return readFileSync(path.join(ROOT, `contracts/src/${contract}.sol`), 'utf8');
}

export async function tryMutant(mutant: Mutant): Promise<Fate> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'cygnet-mutant-'));
  try {
    layOut(folder, mutant);
    const quick = await forge(folder, ['--fail-fast']);
    if (quick.became !== 'alive' || mutant.contract === 'TestToken') return quick;
    const randomCalls = `contracts/test/${mutant.contract}.invariant.t.sol`;
    cpSync(path.join(ROOT, randomCalls), path.join(folder, randomCalls));
    return await forge(folder, ['--match-test', 'invariant_', '--fail-fast']);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function layOut(folder: string, { contract, source }: Mutant): void {
  cpSync(path.join(ROOT, 'contracts'), path.join(folder, 'contracts'), { recursive: true });
  writeFileSync(path.join(folder, `contracts/src/${contract}.sol`), source);
  // What is not run is not compiled either.
  for (const file of readdirSync(path.join(folder, 'contracts/test'))) {
    if (file.endsWith('.sol') && !TESTS[contract]?.includes(file))
      rmSync(path.join(folder, 'contracts/test', file));
  }
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'));
  mkdirSync(path.join(folder, 'test'));
  cpSync(path.join(ROOT, 'test/vectors'), path.join(folder, 'test/vectors'), { recursive: true });
  const settings = readFileSync(path.join(ROOT, 'foundry.toml'), 'utf8')
    .replace(/^(out|cache_path|failure_persist_dir) = "node_modules\/.cache\/cygnet-forge/gm, '$1 = "build')
    .replace('solc = "scripts/solc.mjs"', `solc = "${path.join(ROOT, 'scripts/solc.mjs')}"`);
  writeFileSync(path.join(folder, 'foundry.toml'), settings);
}

interface Report {
  readonly [suite: string]: {
    readonly test_results: Readonly<Record<string, { readonly status: string }>>;
  };
}

function forge(folder: string, more: string[]): Promise<Fate> {
  const args = [FORGE, 'test', '--root', folder, '--json', ...more];
  const options = { cwd: folder, env: { ...process.env, ...SETTINGS }, maxBuffer: 1 << 28 };
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, options, (_error, stdout, stderr) => {
      if (!stdout.startsWith('{')) {
        if (/Compiler run failed/.test(stdout + stderr)) resolve({ became: 'stillborn' });
        else reject(new Error(`${stderr}${stdout}`.slice(-2_000)));
        return;
      }
      const failed = Object.values(JSON.parse(stdout) as Report).flatMap(({ test_results: results }) =>
        Object.entries(results).flatMap(([name, { status }]) => (status === 'Failure' ? [name] : [])),
      );
      resolve(failed[0] === undefined ? { became: 'alive' } : { became: 'killed', by: failed[0] });
    });
  });
}
