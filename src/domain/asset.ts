import { PICO_PER_USD, type Pico } from './money.ts';

/** What money arrives in. Dollars come by card, bank or PayPal; tokens by a chain. */
export type Asset = 'USDC' | 'USDT' | 'SWAN' | 'USD';
export type TokenAsset = Exclude<Asset, 'USD'>;

/** What one whole token of a stablecoin counts for. SWAN has a rate that the operator sets. */
export const STABLE_RATE: Pico = PICO_PER_USD;

export function isStable(asset: TokenAsset): boolean {
  return asset !== 'SWAN';
}

/** What `units` (the token's smallest) are worth at a rate for one whole token; rounded down. */
export function valueOf(
  units: bigint,
  { decimals, picoPerToken }: { decimals: number; picoPerToken: Pico },
): Pico {
  return (units * picoPerToken) / 10n ** BigInt(decimals);
}

/** What `units` (the smallest) are in whole tokens, in full: `100.5`. */
export function wholeTokens(units: bigint, decimals: number): string {
  const one = 10n ** BigInt(decimals);
  const rest = (units % one).toString().padStart(decimals, '0').replace(/0+$/, '');
  return rest === '' ? `${units / one}` : `${units / one}.${rest}`;
}
