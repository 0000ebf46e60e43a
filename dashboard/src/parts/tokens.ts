/** The token that each series of batches is paid in. */
export const TOKENS: Readonly<Record<string, string>> = { USD: 'USDC', SWAN: 'SWAN' };

/** The series, by the names that people know them by. */
export const SERIES_CHOICE = [
  { value: 'USD', label: 'Earnings' },
  { value: 'SWAN', label: 'Rewards' },
] as const;

/** An amount of a token's smallest unit as people read it: `61.5`. Exact, without trailing zeros beyond `least`. */
export function tokenAmount(units: string | bigint, decimals: number, least = 2): string {
  const amount = `${units}`;
  const digits = amount.replace('-', '').padStart(decimals + 1, '0');
  const whole = digits.slice(0, digits.length - decimals).replace(/\B(?=(\d{3})+$)/g, ',');
  const rest = decimals === 0 ? '' : digits.slice(-decimals).replace(/0+$/, '').padEnd(least, '0');
  return `${amount.startsWith('-') ? '−' : ''}${whole}${rest === '' ? '' : `.${rest}`}`;
}

const SHOWN_DECIMALS = 6;

/** The same to read at a glance: what is below a millionth is left out. */
export function tokenShort(units: string | bigint, decimals: number): string {
  const left = Math.max(0, decimals - SHOWN_DECIMALS);
  const shown = BigInt(units) / 10n ** BigInt(left);
  return shown === 0n && BigInt(units) > 0n ? '< 0.000001' : tokenAmount(shown, decimals - left);
}
