// What a day's settlement costs: `npx tsx bench/settlement.ts [providers]` (a million unless said otherwise). From balances
// to batch, tree, every proof, the published file, and its independent check; time and the most memory that the process had.

import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseUsd } from '#domain/money.ts';
import { seededRandomness } from '#kit/random.ts';
import { type Owed, planBatch } from '#settlement/batch.ts';
import { publishClaims } from '#settlement/publish.ts';
import { MerkleTree } from '#settlement/tree.ts';
import { verifyClaims } from '#settlement/verify.ts';
import { CLAIMS_FORMAT } from '#wire/claims.ts';

const providers = Number(process.argv[2] ?? 1_000_000);
const random = seededRandomness(1);
const began = performance.now();

async function timed<T>(what: string, work: () => T | Promise<T>): Promise<T> {
  const from = performance.now();
  const cpu = process.cpuUsage();
  const result = await work();
  const used = process.cpuUsage(cpu);
  const cpuS = ((used.user + used.system) / 1e6).toFixed(1);
  console.log(`${what.padEnd(28)} ${((performance.now() - from) / 1000).toFixed(1)} s, ${cpuS} s CPU`);
  return result;
}

const owed: Required<Owed>[] = Array.from({ length: providers }, (_, i) => ({
  providerId: `prov_${i}`,
  owed: parseUsd('50') + BigInt(Math.floor(random.float() * 1e15)),
  wallet: `0x${random.bytes(20).toString('hex')}`,
}));
const before = new Map(owed.filter((_, i) => i % 2 === 0).map((one) => [one.wallet, 123_456_789n]));
const terms = { minimum: parseUsd('50'), picoPerToken: parseUsd('1'), decimals: 6 };
const scope = {
  chainId: 254,
  contract: `0x${'c0'.repeat(20)}`,
  token: `0x${'70'.repeat(20)}`,
} as const;

const batch = await timed('batch', () => planBatch(owed, before, terms));
const tree = await timed('tree', () => new MerkleTree(scope, batch.rows));
const proofs = await timed('every proof', () => {
  let hashes = 0;
  for (let i = 0; i < tree.size; i++) hashes += tree.proofOf(i).length;
  return hashes;
});
const folder = await mkdtemp(path.join(os.tmpdir(), 'cygnet-bench-'));
try {
  const published = await timed('claims file', () =>
    publishClaims(
      folder,
      {
        format: CLAIMS_FORMAT,
        ...scope,
        decimals: 6,
        picoPerToken: terms.picoPerToken.toString(),
        batch: 2,
        day: '2026-11-26',
        cut: '1',
        previous: `0x${'11'.repeat(32)}`,
        count: batch.rows.length,
        increase: batch.increase.toString(),
        total: batch.total.toString(),
        root: tree.root,
      },
      batch.rows,
    ),
  );
  const verdict = await timed('independent check', () => verifyClaims(published.file));
  if (!verdict.ok) throw new Error(verdict.findings.join('\n'));
  if (verdict.root !== tree.root || verdict.total !== batch.total) throw new Error('The verifier differs.');
  const all = ((performance.now() - began) / 1000).toFixed(1);
  const memoryMiB = Math.round(process.resourceUsage().maxRSS / 1024);
  console.log(`${batch.rows.length} accounts, ${proofs} hashes in proofs, file ${published.bytes} bytes`);
  console.log(`in all ${all} s, at most ${memoryMiB} MiB`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
