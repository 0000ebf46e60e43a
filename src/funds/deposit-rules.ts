import { type Asset, valueOf } from '#domain/asset.ts';
import { PICO_PER_USD, type Pico } from '#domain/money.ts';
import type { SplitPolicy } from '#domain/policy.ts';

/** What counts as a deposit and for how much. Pure. */
export interface DepositTerms {
  /** Below it a transfer is kept and not credited. */
  readonly cryptoMinimum: Pico;
  /** The least a card is charged, in US cents. */
  readonly cardMinimumCents: number;
  /** What a deposit in SWAN is credited on top, in basis points of its value. */
  readonly swanBonusBasisPoints: number;
}

export const DEPOSIT_TERMS: DepositTerms = {
  cryptoMinimum: PICO_PER_USD,
  cardMinimumCents: 500,
  swanBonusBasisPoints: 2_000,
};

/**
 * The terms of a market that shares payments out under `policy`. Credit that was given on top must not come back as a
 * provider's earnings: whoever buys from itself with it would be paid more than it brought. So the bonus is at most what
 * the market keeps of such a round: (1 + bonus) × the provider's part stays below one.
 */
export function termsUnder(policy: SplitPolicy, terms: DepositTerms = DEPOSIT_TERMS): DepositTerms {
  // In parts of 10^8, and at least one, so that nothing is divided by zero.
  const provider = Math.max(1, (10_000 - policy.feeBasisPoints) * policy.shares.provider);
  const most = Math.max(0, Math.ceil(1e12 / provider) - 10_000 - 1);
  return { ...terms, swanBonusBasisPoints: Math.min(terms.swanBonusBasisPoints, most) };
}

/** The most that one card payment may be: what Stripe accepts. */
export const CARD_MAXIMUM_CENTS = 99_999_999;

export type DepositVerdict =
  | { readonly state: 'booked'; readonly value: Pico; readonly bonus: Pico }
  | { readonly state: 'small'; readonly value: Pico; readonly bonus: Pico }
  | { readonly state: 'unpriced'; readonly value: null; readonly bonus: Pico };

/** What a transfer is worth. `picoPerToken` is undefined while the operator has set no rate. */
export function judgeTransfer(
  transfer: { asset: Exclude<Asset, 'USD'>; units: bigint; decimals: number },
  { picoPerToken, terms }: { picoPerToken: Pico | undefined; terms: DepositTerms },
): DepositVerdict {
  if (picoPerToken === undefined) return { state: 'unpriced', value: null, bonus: 0n };
  const value = valueOf(transfer.units, { decimals: transfer.decimals, picoPerToken });
  if (value < terms.cryptoMinimum) return { state: 'small', value, bonus: 0n };
  return { state: 'booked', value, bonus: bonusOf(transfer.asset, value, terms) };
}

/** What is credited on top of a deposit of this value; rounded down. */
export function bonusOf(asset: Asset, value: Pico, terms: DepositTerms): Pico {
  return asset === 'SWAN' ? (value * BigInt(terms.swanBonusBasisPoints)) / 10_000n : 0n;
}

/** A reference of a payment as people write it down, without spaces around; undefined when it is none. */
export function properReference(text: string): string | undefined {
  const reference = text.trim();
  return /^[\x21-\x7e](?:[\x20-\x7e]{0,98}[\x21-\x7e])?$/.test(reference) ? reference : undefined;
}
