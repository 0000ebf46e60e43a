// Writes test/vectors/settlement.json: leaves, roots and proofs that TypeScript (src/settlement/tree.test.ts) and Solidity
// (contracts/test/Vectors.t.sol) both check. Run with `npx tsx scripts/settlement-vectors.ts` after the format of a leaf
// changes; never to make a failing test pass.

import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { Address } from '#domain/hex.ts';
import { MerkleTree } from '#settlement/tree.ts';

const address = (name: string): Address =>
  `0x${createHash('sha256').update(name).digest('hex').slice(0, 40)}`;
const AMOUNTS = [1n, 0n, 50_000_000n, (1n << 64n) - 1n, 1n << 64n, (1n << 128n) + 7n, (1n << 256n) - 1n];

const cases = [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 33].map((size, i) => {
  const scope = {
    chainId: [1, 254, 31_337, 20_241_133][i % 4] as number,
    contract: address(`contract ${i}`),
    token: address(`token ${i}`),
  };
  const leaves = Array.from({ length: size }, (_, at) => ({
    account: address(`account ${i} ${at}`),
    cumulative: AMOUNTS[(at + i) % AMOUNTS.length] as bigint,
  }));
  const tree = new MerkleTree(scope, leaves);
  return {
    ...scope,
    root: tree.root,
    size,
    leaves: leaves.map(({ account, cumulative }, at) => ({
      account,
      cumulative: cumulative.toString(),
      leaf: tree.leaf(at),
      proof: tree.proofOf(at),
    })),
  };
});

writeFileSync(
  new URL('../test/vectors/settlement.json', import.meta.url),
  `${JSON.stringify({ size: cases.length, cases }, null, 2)}\n`,
);
