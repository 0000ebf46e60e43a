import type { Address, Hex } from '#domain/hex.ts';
import { assert } from '#kit/assert.ts';
import { HASH_BYTES, keccakInto } from './keccak.ts';

/**
 * The tree of a batch: its leaves, its root, and for each leaf the proof that `MerkleDistributor` accepts.
 *
 * A leaf is hashed twice over chain id, contract, token, account and cumulative amount, each as 32 bytes (Solidity's
 * `abi.encode`), so that neither another batch's leaf nor an inner node can pass for it. A pair is hashed in the order of
 * its bytes, so a proof needs no sides. A node without a partner moves up as it is: nothing is hashed with itself, so no
 * two lists of leaves have one root.
 *
 * All hashes lie in one buffer, level after level: 64 bytes for each account, and a proof is looked up, not computed.
 */
export interface LeafScope {
  readonly chainId: number;
  readonly contract: Address;
  readonly token: Address;
}

export interface Leaf {
  readonly account: Address;
  /** In the token's smallest unit, from the first day on. */
  readonly cumulative: bigint;
}

const UINT256_MAX = (1n << 256n) - 1n;
const UINT64_MASK = (1n << 64n) - 1n;

export class MerkleTree {
  readonly #nodes: Buffer;
  /** Where each level begins, counted in nodes; the leaves are the first. */
  readonly #levels: readonly number[];
  readonly size: number;

  /** Leaves keep the order they are given in. There must be one at least. */
  constructor(scope: LeafScope, leaves: readonly Leaf[]) {
    assert(leaves.length > 0, 'a tree has a leaf');
    this.size = leaves.length;
    const levels: number[] = [];
    let total = 0;
    for (let width = leaves.length; ; width = Math.ceil(width / 2)) {
      levels.push(total);
      total += width;
      if (width === 1) break;
    }
    this.#levels = levels;
    this.#nodes = Buffer.allocUnsafe(total * HASH_BYTES);
    hashLeaves(scope, leaves, this.#nodes);
    for (let level = 1; level < levels.length; level++) {
      this.#hashPairs(levels[level - 1] as number, levels[level] as number);
    }
  }

  #hashPairs(from: number, to: number): void {
    const nodes = this.#nodes;
    const pair = Buffer.allocUnsafe(2 * HASH_BYTES);
    let out = to * HASH_BYTES;
    for (let at = from * HASH_BYTES; at < to * HASH_BYTES; at += 2 * HASH_BYTES) {
      const right = at + HASH_BYTES;
      if (right === to * HASH_BYTES) {
        nodes.copy(nodes, out, at, right);
      } else {
        const inOrder = nodes.compare(nodes, right, right + HASH_BYTES, at, right) <= 0;
        nodes.copy(pair, inOrder ? 0 : HASH_BYTES, at, right);
        nodes.copy(pair, inOrder ? HASH_BYTES : 0, right, right + HASH_BYTES);
        keccakInto(pair, nodes, out);
      }
      out += HASH_BYTES;
    }
  }

  get root(): Hex {
    return this.#node(this.#levels.at(-1) as number);
  }

  /** The hash of the leaf at `index`. */
  leaf(index: number): Hex {
    assert(Number.isInteger(index) && index >= 0 && index < this.size, 'the tree has this leaf');
    return this.#node(index);
  }

  /** The siblings from the leaf at `index` up to the root. */
  proofOf(index: number): Hex[] {
    assert(Number.isInteger(index) && index >= 0 && index < this.size, 'the tree has this leaf');
    const proof: Hex[] = [];
    let position = index;
    for (let level = 0; level + 1 < this.#levels.length; level++) {
      const sibling = (this.#levels[level] as number) + (position ^ 1);
      if (sibling < (this.#levels[level + 1] as number)) proof.push(this.#node(sibling));
      position >>= 1;
    }
    return proof;
  }

  #node(at: number): Hex {
    return `0x${this.#nodes.toString('hex', at * HASH_BYTES, (at + 1) * HASH_BYTES)}`;
  }
}

function hashLeaves(scope: LeafScope, leaves: readonly Leaf[], into: Buffer): void {
  const words = Buffer.alloc(5 * 32);
  words.writeBigUInt64BE(BigInt(scope.chainId), 24);
  words.write(scope.contract.slice(2), 32 + 12, 'hex');
  words.write(scope.token.slice(2), 64 + 12, 'hex');
  const inner = Buffer.allocUnsafe(HASH_BYTES);
  leaves.forEach(({ account, cumulative }, i) => {
    assert(cumulative >= 0n && cumulative <= UINT256_MAX, 'an amount fits the chain');
    words.write(account.slice(2), 96 + 12, 'hex');
    let rest = cumulative;
    for (let at = 152; at >= 128; at -= 8) {
      words.writeBigUInt64BE(rest & UINT64_MASK, at);
      rest >>= 64n;
    }
    keccakInto(words, inner, 0);
    keccakInto(inner, into, i * HASH_BYTES);
  });
}
