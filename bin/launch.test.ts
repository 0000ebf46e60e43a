import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { packageRoot } from '#kit/package-root.ts';
import { nodeProblem } from './check-node.mjs';

const run = promisify(execFile);
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A checkout after `npm ci` and before any build. */
function freshCheckout(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'cygnet-checkout-'));
  folders.push(folder);
  for (const part of ['bin', 'src', 'scripts', 'package.json', 'tsconfig.json']) {
    cpSync(path.join(packageRoot(), part), path.join(folder, part), { recursive: true });
  }
  symlinkSync(path.join(packageRoot(), 'node_modules'), path.join(folder, 'node_modules'), 'junction');
  return folder;
}

test('npx cygnet works right after npm ci: what it starts is built first, and says nothing on stdout', async () => {
  const folder = freshCheckout();
  const env = { ...process.env, npm_config_cache: path.join(folder, 'npm-cache') };
  const npx = process.platform === 'win32' ? 'npx.cmd' : 'npx';
  const options = { cwd: folder, env, shell: process.platform === 'win32' };
  expect((await run(npx, ['cygnet', '--version'], options)).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  expect(existsSync(path.join(folder, 'dist', 'agent.mjs'))).toBe(true);
  expect((await run(npx, ['cygnet-agent', '--help'], options)).stdout).toContain('cygnet-agent');
});

test('a checkout without its libraries is told what to run', async () => {
  const folder = freshCheckout();
  rmSync(path.join(folder, 'node_modules'));
  const ended = await run(process.execPath, ['bin/cygnet.mjs', 'balance'], { cwd: folder }).catch(
    (error: { code: number; stderr: string }) => error,
  );
  expect(ended).toMatchObject({
    code: 1,
    stderr: 'The libraries of Cygnet are missing here. Run `npm ci` first.\n',
  });
});

test('an old Node.js is told which one is needed, before anything else can fail', async () => {
  expect(nodeProblem('20.18.3')).toContain('20.19 or newer; this is 20.18.3');
  expect(nodeProblem('18.20.0')).toBeDefined();
  expect(['20.19.0', '22.0.0', '24.1.0'].map(nodeProblem)).toEqual([undefined, undefined, undefined]);

  const old = 'Object.defineProperty(process, "versions", { value: { node: "18.0.0" } })';
  const words = ['--import', `data:text/javascript,${encodeURIComponent(old)}`, 'bin/cygnet.mjs', 'start'];
  const ended = await run(process.execPath, words, { cwd: packageRoot() }).catch(
    (error: { code: number; stderr: string }) => error,
  );
  expect(ended).toMatchObject({
    code: 1,
    stderr: 'Cygnet needs Node.js 20.19 or newer; this is 18.0.0.\n',
  });
});
