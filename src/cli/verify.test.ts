import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Sender } from '#chain/client.ts';
import { publishIntent } from '#chain/distributor.ts';
import { MemoryTransactionStore } from '#chain/transactions.ts';
import { systemClock } from '#kit/clock.ts';
import { packageRoot } from '#kit/package-root.ts';
import { publishClaims } from '#settlement/publish.ts';
import { MerkleTree } from '#settlement/tree.ts';
import { openTestChain, type TestChain } from '#support/chain.ts';
import { CLAIMS_FORMAT } from '#wire/claims.ts';

let node: TestChain;
let folder: string;
let file: string;

beforeAll(async () => {
  node = await openTestChain();
  folder = await mkdtemp(path.join(os.tmpdir(), 'cygnet-verify-'));
  const { distributor, usdc } = node.contracts;
  const scope = { chainId: node.chain.id, contract: distributor, token: usdc };
  // Nothing is promised: what is compared is what was announced.
  const rows = [{ account: `0x${'11'.repeat(20)}`, cumulative: 0n, increase: 0n }] as const;
  const root = new MerkleTree(scope, rows).root;
  const published = await publishClaims(
    folder,
    {
      format: CLAIMS_FORMAT,
      ...scope,
      decimals: 6,
      picoPerToken: '1000000000000',
      batch: 1,
      day: '2026-11-26',
      cut: '1',
      previous: null,
      count: 1,
      increase: '0',
      total: '0',
      root,
    },
    rows,
  );
  file = published.file;
  const sender = new Sender({
    chain: node.chain,
    store: new MemoryTransactionStore(),
    key: node.keys.operator,
    clock: systemClock,
    settings: { confirmations: 1, maxFeePerGas: 10n ** 12n, replaceAfterMs: 60_000 },
  });
  await sender.send(
    publishIntent(
      { distributor, token: usdc },
      { number: 1, root, increase: 0n, total: 0n, claimsHash: published.hash },
    ),
  );
});
afterAll(async () => {
  await node.close();
  await rm(folder, { recursive: true, force: true });
});

/** Runs the program as it is shipped. */
function cygnet(...words: string[]): Promise<{ code: number; out: string; error: string }> {
  const program = path.join(packageRoot(), 'dist/cygnet.mjs');
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...words], (failure, out, error) => {
      resolve({ code: failure ? Number(failure.code) : 0, out, error });
    });
  });
}

test('a right file is right, by itself and against the chain, for people and for programs', async () => {
  const alone = await cygnet('verify', file);
  expect(alone).toMatchObject({ code: 0, error: '' });
  expect(alone.out).toContain('Right: batch 1 of');
  expect(alone.out).toContain('Not compared with the chain');
  const compared = await cygnet(
    'verify',
    file,
    '--rpc',
    node.url,
    '--contract',
    node.contracts.distributor,
    '--json',
  );
  expect(compared.code).toBe(0);
  expect(JSON.parse(compared.out)).toMatchObject({ ok: true, findings: [], batch: 1, total: '0' });
});

test('a file with another byte is wrong against the chain, and the command ends with 1', async () => {
  const changed = path.join(folder, 'changed.jsonl');
  await writeFile(changed, (await readFile(file, 'utf8')).replace('"cut":"1"', '"cut":"2"'));
  const { code, out } = await cygnet('verify', changed, '--rpc', node.url);
  expect(code).toBe(1);
  expect(out).toContain('WRONG');
  expect(out).toContain('and on chain it is');
});

test.each([
  ['a batch that was never announced', ['"batch":1', '"batch":7'], 'never announced batch 7'],
  ['another chain', ['"chainId":31337', '"chainId":254'], 'on chain 31337'],
  ['no claims file', ['"contract"', '"kontrakt"'], 'is no claims file'],
])('%s is said so', async (_, [from = '', to = ''], sentence) => {
  const changed = path.join(folder, 'other.jsonl');
  await writeFile(changed, (await readFile(file, 'utf8')).replace(from, to));
  const { code, error } = await cygnet('verify', changed, '--rpc', node.url);
  expect(code).toBe(1);
  expect(error).toContain(sentence);
});

test('a file of another contract than the one I know is refused', async () => {
  const { code, error } = await cygnet('verify', file, '--contract', `0x${'22'.repeat(20)}`);
  expect(code).toBe(1);
  expect(error).toContain(`The file is of the contract ${node.contracts.distributor}`);
});

test('a file that is not there is said so', async () => {
  expect(await cygnet('verify', path.join(folder, 'none'))).toMatchObject({
    code: 1,
    error: expect.stringContaining('cannot be read'),
  });
});
