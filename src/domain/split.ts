import { assert } from '#kit/assert.ts';

/**
 * Dividing an amount by shares. This is one of the two places in the house where money is rounded (the other is the
 * payout): every part but the remainder's owner is rounded down, and the owner takes what is left, so the parts always
 * add up to the whole.
 */

/** Shares in basis points (1/10,000) by name. They add up to 10,000. */
export type Shares = Readonly<Record<string, number>>;

/**
 * Divides `amount` (≥ 0) by `shares`; `remainderTo` names the share that also receives what rounding leaves over (fewer
 * units than there are shares).
 */
export function split<S extends Shares>(
  amount: bigint,
  shares: S,
  remainderTo: keyof S,
): Record<keyof S, bigint> {
  assert(amount >= 0n, 'a divided amount is not negative');
  const names = Object.keys(shares) as (keyof S)[];
  const total = names.reduce((sum, name) => sum + (shares[name] as number), 0);
  assert(total === 10_000, 'shares add up to 10,000 basis points');
  const parts = {} as Record<keyof S, bigint>;
  let left = amount;
  for (const name of names) {
    const part = (amount * BigInt(shares[name] as number)) / 10_000n;
    parts[name] = part;
    left -= part;
  }
  parts[remainderTo] += left;
  return parts;
}
