import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Address, type Hex, parseAddress } from '#domain/hex.ts';
import vectors from '../../test/vectors/settlement.json' with { type: 'json' };
import { keccakInto } from './keccak.ts';
import { type Leaf, MerkleTree } from './tree.ts';

const scope = {
  chainId: 254,
  contract: `0x${'c0'.repeat(20)}`,
  token: `0x${'70'.repeat(20)}`,
} as const;
const account = (i: number): Address => `0x${i.toString(16).padStart(40, '0')}`;
const leavesOf = (amounts: readonly bigint[]): Leaf[] =>
  amounts.map((cumulative, i) => ({ account: account(i + 1), cumulative }));

/** As the contract does: from the leaf upwards, each pair in the order of its bytes. */
function climb(leaf: Hex, proof: readonly Hex[]): Hex {
  let node = Buffer.from(leaf.slice(2), 'hex');
  for (const sibling of proof.map((hex) => Buffer.from(hex.slice(2), 'hex'))) {
    const next = Buffer.alloc(32);
    keccakInto(
      Buffer.concat(Buffer.compare(node, sibling) <= 0 ? [node, sibling] : [sibling, node]),
      next,
      0,
    );
    node = next;
  }
  return `0x${node.toString('hex')}`;
}

test('the hash is Keccak-256', () => {
  const hash = Buffer.alloc(32);
  keccakInto(new Uint8Array(), hash, 0);
  expect(hash.toString('hex')).toBe('c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470');
});

describe('leaves, roots and proofs are those that Solidity checks', () => {
  test.each(vectors.cases.map((one) => [one.size, one] as const))('%i leaves', (_, one) => {
    const tree = new MerkleTree(
      {
        chainId: one.chainId,
        contract: parseAddress(one.contract) as Address,
        token: parseAddress(one.token) as Address,
      },
      one.leaves.map((leaf) => ({
        account: parseAddress(leaf.account) as Address,
        cumulative: BigInt(leaf.cumulative),
      })),
    );
    expect(tree.root).toBe(one.root);
    expect(one.leaves.map((_leaf, i) => tree.leaf(i))).toEqual(one.leaves.map(({ leaf }) => leaf));
    expect(one.leaves.map((_leaf, i) => tree.proofOf(i))).toEqual(one.leaves.map(({ proof }) => proof));
  });
});

const amounts = fc.array(fc.bigInt({ min: 0n, max: (1n << 256n) - 1n }), { minLength: 1, maxLength: 70 });

test('every leaf proves, and no leaf proves with the proof of another', () => {
  fc.assert(
    fc.property(amounts, (list) => {
      const tree = new MerkleTree(scope, leavesOf(list));
      list.forEach((_, i) => {
        expect(climb(tree.leaf(i), tree.proofOf(i))).toBe(tree.root);
      });
      for (let i = 1; i < list.length; i++) {
        expect(climb(tree.leaf(i), tree.proofOf(i - 1))).not.toBe(tree.root);
      }
    }),
  );
});

test('another amount, account, order, length, chain, contract or token is another root', () => {
  fc.assert(
    fc.property(amounts, fc.nat(), (list, at) => {
      const root = new MerkleTree(scope, leavesOf(list)).root;
      const i = at % list.length;
      const others = [
        new MerkleTree(scope, leavesOf(list.with(i, (list[i] as bigint) ^ 1n))),
        new MerkleTree(
          scope,
          leavesOf(list).with(i, { account: account(999), cumulative: list[i] as bigint }),
        ),
        new MerkleTree(scope, leavesOf([...list, 0n])),
        new MerkleTree(scope, [...leavesOf(list), ...leavesOf(list).slice(-1)]),
        new MerkleTree({ ...scope, chainId: 1 }, leavesOf(list)),
        new MerkleTree({ ...scope, contract: scope.token }, leavesOf(list)),
        new MerkleTree({ ...scope, token: scope.contract }, leavesOf(list)),
      ];
      for (const other of others) expect(other.root).not.toBe(root);
    }),
    { numRuns: 50 },
  );
});

test('what cannot be on chain is refused: no leaves, too large an amount, a leaf that is not there', () => {
  expect(() => new MerkleTree(scope, [])).toThrow('a tree has a leaf');
  expect(() => new MerkleTree(scope, leavesOf([1n << 256n]))).toThrow('an amount fits the chain');
  expect(() => new MerkleTree(scope, leavesOf([-1n]))).toThrow('an amount fits the chain');
  const tree = new MerkleTree(scope, leavesOf([1n, 2n]));
  expect(() => tree.proofOf(2)).toThrow('the tree has this leaf');
  expect(() => tree.leaf(-1)).toThrow('the tree has this leaf');
});

test('addresses are one text however they were spelt', () => {
  expect(parseAddress('0xC0FFEE0000000000000000000000000000000AbC')).toBe(
    '0xc0ffee0000000000000000000000000000000abc',
  );
  for (const wrong of ['', '0x', `0x${'a'.repeat(39)}`, `0x${'g'.repeat(40)}`, 'a'.repeat(42)]) {
    expect(parseAddress(wrong)).toBeUndefined();
  }
});
