import type { Address, Hex } from '#domain/hex.ts';

/**
 * The published file of a batch, from which anybody rebuilds its tree and checks it: one JSON object in the first line, then
 * one JSON array for each account, in the order of their addresses. Every line ends with a line feed, nothing is indented,
 * members stand in the order of the types below, addresses are in lower case, amounts are decimal text. So a batch has
 * exactly one file, byte for byte, and the SHA-256 of the file stands on chain beside the root.
 */
export interface ClaimsHeader {
  readonly format: typeof CLAIMS_FORMAT;
  readonly chainId: number;
  /** The distributor that pays. */
  readonly contract: Address;
  readonly token: Address;
  readonly decimals: number;
  /**
   * The pico-dollars (10⁻¹² USD) that a whole token was worth when the batch was made. Rewards are counted in the token
   * itself: then it is 10^decimals.
   */
  readonly picoPerToken: string;
  readonly batch: number;
  /** The UTC day that it settles, `2026-11-26`. */
  readonly day: string;
  /** The last posting of the ledger that counts for it. */
  readonly cut: string;
  /** SHA-256 of the file of the batch before; null for the first. */
  readonly previous: Hex | null;
  readonly count: number;
  readonly increase: string;
  readonly total: string;
  readonly root: Hex;
}

/** Account, cumulative amount, and what this batch adds, in the token's smallest unit. */
export type ClaimLine = readonly [account: Address, cumulative: string, increase: string];

export const CLAIMS_FORMAT = 'cygnet-claims-1';

const CHUNK_CHARS = 65_536;

/** The file's bytes, in pieces. */
export function* encodeClaims(
  header: ClaimsHeader,
  rows: Iterable<{ account: Address; cumulative: bigint; increase: bigint }>,
): Generator<Buffer> {
  // Written out, so that the order of the members never depends on how the header was put together.
  const first: ClaimsHeader = {
    format: header.format,
    chainId: header.chainId,
    contract: header.contract,
    token: header.token,
    decimals: header.decimals,
    picoPerToken: header.picoPerToken,
    batch: header.batch,
    day: header.day,
    cut: header.cut,
    previous: header.previous,
    count: header.count,
    increase: header.increase,
    total: header.total,
    root: header.root,
  };
  let text = `${JSON.stringify(first)}\n`;
  for (const { account, cumulative, increase } of rows) {
    text += `["${account}","${cumulative}","${increase}"]\n`;
    if (text.length >= CHUNK_CHARS) {
      yield Buffer.from(text, 'latin1');
      text = '';
    }
  }
  if (text !== '') yield Buffer.from(text, 'latin1');
}
