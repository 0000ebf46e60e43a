import type { Pico } from './money.ts';
import { split } from './split.ts';

/**
 * How a consumer's payment is shared out: a versioned policy, recorded on each charge. A fee comes first, from the
 * gross; the rest is divided between provider, treasury and the buyback-and-burn of SWAN. Changing a policy means adding
 * a version: charges made under an old one must stay recomputable for ever.
 */
export interface SplitPolicy {
  /** Recorded on the charge. Never reused for other shares. */
  readonly version: string;
  /** Of the gross, in basis points. Rounded down: what rounding leaves over stays with the net. */
  readonly feeBasisPoints: number;
  /** Of the net, in basis points. */
  readonly shares: { readonly provider: number; readonly treasury: number; readonly burn: number };
  /** Who receives what rounding the shares leaves over. */
  readonly remainderTo: 'provider' | 'treasury' | 'burn';
}

export const SPLIT_POLICIES: Readonly<Record<string, SplitPolicy>> = {
  'standard-1': {
    version: 'standard-1',
    feeBasisPoints: 500,
    shares: { provider: 7_000, treasury: 2_000, burn: 1_000 },
    remainderTo: 'treasury',
  },
  'bootstrap-1': {
    version: 'bootstrap-1',
    feeBasisPoints: 500,
    shares: { provider: 10_000, treasury: 0, burn: 0 },
    remainderTo: 'provider',
  },
};

/** A payment, shared out. The four parts add up to the gross. */
export interface Shared {
  fee: Pico;
  provider: Pico;
  treasury: Pico;
  burn: Pico;
}

/** Shares out `gross` (≥ 0) under `policy`. */
export function shareOut(gross: Pico, policy: SplitPolicy): Shared {
  const { fee, net } = split(
    gross,
    { fee: policy.feeBasisPoints, net: 10_000 - policy.feeBasisPoints },
    'net',
  );
  return { fee, ...split(net, policy.shares, policy.remainderTo) };
}
