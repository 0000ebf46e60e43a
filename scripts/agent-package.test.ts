import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packageRoot } from '#kit/package-root.ts';
import { librariesOf, makeAgentPackage } from './agent-package.mjs';

let folder: string;
let made: Awaited<ReturnType<typeof makeAgentPackage>>;
beforeAll(async () => {
  folder = path.join(mkdtempSync(path.join(tmpdir(), 'cygnet-agent-package-')), 'agent');
  made = await makeAgentPackage(packageRoot(), folder);
});
afterAll(() => rmSync(path.dirname(folder), { recursive: true, force: true }));

test('the agent needs these libraries and no others: no database, no chain, no web server', () => {
  expect(Object.keys(made.manifest.dependencies)).toEqual([
    '@clack/prompts',
    'commander',
    'pino',
    'smol-toml',
    'undici',
    'ws',
    'zod',
  ]);
  expect(Object.keys(made.manifest.optionalDependencies)).toEqual(['node-llama-cpp']);
  expect(made.manifest.peerDependenciesMeta).toEqual({ viem: { optional: true } });
  for (const version of Object.values(made.manifest.dependencies)) expect(version).toMatch(/^\d+\.\d+\.\d+$/);
});

test('the agent itself is small', () => {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.mjs'),
  );
  const bytes = files.reduce((sum, file) => sum + statSync(path.join(folder, file)).size, 0);
  expect(bytes).toBeLessThan(400_000);
});

test('with just these libraries beside it, and nothing of the market, it runs', () => {
  const modules = path.join(folder, 'node_modules');
  for (const name of Object.keys(made.manifest.dependencies)) {
    mkdirSync(path.dirname(path.join(modules, name)), { recursive: true });
    symlinkSync(path.join(packageRoot(), 'node_modules', name), path.join(modules, name));
  }
  const agent = (...words: string[]) =>
    execFileSync(process.execPath, [path.join(folder, 'agent.mjs'), ...words], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], CYGNET_AGENT_FOLDER: path.join(folder, 'state') },
    });
  expect(agent('--help')).toContain('setup');
  expect(JSON.parse(agent('status', '--json'))).toMatchObject({ agent: null });
  expect(() => agent('run')).toThrow('cygnet agent setup');
  const { version } = JSON.parse(readFileSync(path.join(packageRoot(), 'package.json'), 'utf8'));
  expect(made.manifest.version).toBe(version);
});

test('a library is known by its name, whatever part of it is imported', () => {
  const imports = ['node:fs', '@a/b/c.js', '@a/b', 'd/e', 'd'].map((each) => ({
    path: each,
    external: true,
  }));
  expect(librariesOf({ outputs: { x: { imports: [...imports, { path: 'chunk.mjs' }] } } })).toEqual([
    '@a/b',
    'd',
  ]);
});
