import type { Address, Hex } from '#domain/hex.ts';

/**
 * The calls of the contract that pays (`contracts/src/MerkleDistributor.sol`) that a provider needs, written as the EVM
 * reads them. Three functions are worth no library: the agent stays light, and a provider may send the call with any wallet.
 */

/** The first four bytes of Keccak-256 of `claim(address,address,uint256,bytes32[])`, and of `claimed(address,address)`. */
const CLAIM = 'fabed412';
const CLAIMED = '0c9cbf0e';
/** Of `batchInForce(address)`. */
const IN_FORCE = 'c84c7c97';
const WORD_CHARS = 64;

export function claimCall(claim: {
  token: Address;
  account: Address;
  cumulative: bigint;
  proof: readonly Hex[];
}): Hex {
  const proof = claim.proof.map((each) => each.slice(2).toLowerCase());
  return `0x${CLAIM}${[
    word(claim.token),
    word(claim.account),
    word(claim.cumulative),
    // Where the list begins: after the four words of the head.
    word(4n * 32n),
    word(BigInt(proof.length)),
    ...proof,
  ].join('')}`;
}

export function claimedCall(token: Address, account: Address): Hex {
  return `0x${CLAIMED}${word(token)}${word(account)}`;
}

export function inForceCall(token: Address): Hex {
  return `0x${IN_FORCE}${word(token)}`;
}

/** The number of the batch in force, from the answer to `inForceCall`: root, total, number, moment. Zero when there is none. */
export function inForceNumber(answer: Hex): number {
  const words = answer.slice(2);
  if (words.length !== 4 * WORD_CHARS) throw new Error('The contract does not answer as a distributor does.');
  return Number(BigInt(`0x${words.slice(2 * WORD_CHARS, 3 * WORD_CHARS)}`));
}

function word(value: bigint | Hex): string {
  return (typeof value === 'bigint' ? value.toString(16) : value.slice(2).toLowerCase()).padStart(
    WORD_CHARS,
    '0',
  );
}
