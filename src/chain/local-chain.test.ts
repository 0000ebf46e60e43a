import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Hex } from '#domain/hex.ts';
import { systemClock } from '#kit/clock.ts';
import { systemRandomness } from '#kit/random.ts';
import { askNode } from '#support/chain.ts';
import { testTokenAbi } from './artifacts.ts';
import { addressOf, type LocalChain, openLocalChain } from './local-chain.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'cygnet-local-chain-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const open = (): Promise<LocalChain> =>
  openLocalChain({ folder, clock: systemClock, random: systemRandomness });
const usdOf = (local: LocalChain, account: string): Promise<unknown> =>
  local.chain.read({
    address: local.contracts.usdc,
    abi: testTokenAbi,
    name: 'balanceOf',
    args: [account as `0x${string}`],
  });
const pidOf = (): number =>
  (JSON.parse(readFileSync(path.join(folder, 'node.json'), 'utf8')) as { pid: number }).pid;
const ended = async (pid: number): Promise<void> => {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise(setImmediate);
  }
};

test('the first start deploys the contracts and funds the operator and the demo wallets', async () => {
  const local = await open();
  try {
    expect(local.started).toBe(true);
    for (const address of Object.values(local.contracts))
      expect((await local.chain.code(address))?.length).toBeGreaterThan(100);
    for (const key of [local.keys.operator, ...local.keys.demo]) {
      expect(await local.chain.balance(addressOf(key))).toBeGreaterThan(0n);
      expect(await usdOf(local, addressOf(key))).toBe(1_000_000_000_000n);
    }
    expect(statSync(path.join(folder, 'keys.json')).mode & 0o077).toBe(0);
    expect(String(local.keys.operator)).toBe('[sealed]');
  } finally {
    await local.stop();
  }
});

test('a later start finds chain, contracts and keys as they were, and adds nothing', async () => {
  const before = await open();
  await askNode(before.url, 'anvil_mine', ['0x5']);
  const height = await before.chain.head();
  const operator = addressOf(before.keys.operator);
  const block = await before.chain.block(height - 2n);
  const tokens = [before.contracts.usdc, before.contracts.swan];
  const logs = await before.chain.logs({ addresses: tokens, from: 0n, to: height });
  const receipt = await before.chain.receipt(logs[0]?.transaction as Hex);
  expect(receipt?.succeeded).toBe(true);
  await before.stop();
  const after = await open();
  try {
    expect(await after.chain.head()).toBe(height);
    expect(await after.chain.block(height - 2n)).toEqual(block);
    expect(await after.chain.logs({ addresses: tokens, from: 0n, to: height })).toEqual(logs);
    expect(await after.chain.receipt(logs[0]?.transaction as Hex)).toEqual(receipt);
    expect(after.contracts).toEqual(before.contracts);
    expect(addressOf(after.keys.operator)).toBe(operator);
    expect(await usdOf(after, operator)).toBe(1_000_000_000_000n);
  } finally {
    await after.stop();
  }
});

test('a node that is killed loses only what was not persisted', async () => {
  const before = await open();
  await askNode(before.url, 'anvil_mine', ['0x3']);
  const kept = await before.chain.head();
  await before.persist();
  await askNode(before.url, 'anvil_mine', ['0x3']);
  const pid = pidOf();
  process.kill(pid, 'SIGKILL');
  await ended(pid);
  const after = await open();
  try {
    expect(after.started).toBe(true);
    expect(await after.chain.head()).toBe(kept);
  } finally {
    await after.stop();
  }
});

test('a node that outlived its owner is found and used', async () => {
  const first = await open();
  const second = await open();
  expect(second.started).toBe(false);
  expect(second.url).toBe(first.url);
  await second.stop();
});

describe('a start that was killed between two deployments', () => {
  test('is finished by the next, with the same addresses', async () => {
    const fresh = mkdtempSync(path.join(os.tmpdir(), 'cygnet-local-chain-'));
    const options = { folder: fresh, clock: systemClock, random: systemRandomness };
    try {
      const whole = await openLocalChain(options);
      // Back to the moment after the second deployment.
      const admin = addressOf(whole.keys.admin);
      const height = await whole.chain.head();
      await askNode(whole.url, 'anvil_rollback', [Number(height) - 2]);
      await askNode(whole.url, 'anvil_dropAllTransactions', []);
      expect(await whole.chain.nonce(admin)).toBe(2);
      const again = await openLocalChain(options);
      try {
        expect(again.contracts).toEqual(whole.contracts);
        expect((await again.chain.code(again.contracts.collateral))?.length).toBeGreaterThan(100);
        expect(await usdOf(again, addressOf(again.keys.operator))).toBe(1_000_000_000_000n);
      } finally {
        await again.stop();
      }
    } finally {
      rmSync(fresh, { recursive: true, force: true });
    }
  });
});

test('two processes that start at once share one node', async () => {
  const [one, other] = await Promise.all([open(), open()]);
  expect(one.url).toBe(other.url);
  expect(one.started).toBe(!other.started);
  await one.stop();
});
