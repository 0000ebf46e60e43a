/**
 * Exact money. The house has one scale for US dollars: the pico-dollar, 10⁻¹² USD, held in a `bigint`. It is chosen so
 * that a price of one micro-dollar per million tokens is exactly one pico-dollar per token: `tokens × price` never
 * rounds. Nothing here is a floating-point number.
 */

/** An amount in pico-USD (10⁻¹² US dollars). */
export type Pico = bigint;

export const PICO_PER_USD: Pico = 1_000_000_000_000n;
const PICO_PER_CENT: Pico = PICO_PER_USD / 100n;

/**
 * Reads a decimal amount of dollars such as `0.05` or `-3`. At most twelve decimals; no exponents, no separators.
 * Throws `RangeError` quoting the text otherwise.
 */
export function parseUsd(text: string): Pico {
  const match = /^(-?)(\d{1,12})(?:\.(\d{1,12}))?$/.exec(text);
  if (!match) throw new RangeError(`Not an amount of dollars: ${JSON.stringify(text.slice(0, 40))}`);
  const [, sign, whole, decimals = ''] = match;
  const amount = BigInt(whole as string) * PICO_PER_USD + BigInt(decimals.padEnd(12, '0'));
  return sign ? -amount : amount;
}

/** Writes an amount in full, without losing a digit: `$0.000000042`, at least two decimals. */
export function formatUsd(amount: Pico): string {
  const sign = amount < 0n ? '-' : '';
  const size = amount < 0n ? -amount : amount;
  const decimals = (size % PICO_PER_USD).toString().padStart(12, '0').replace(/0+$/, '').padEnd(2, '0');
  return `${sign}$${size / PICO_PER_USD}.${decimals}`;
}

/** The same without the sign of the currency, for JSON and for tables of programs: `0.000000042`. */
export function decimalUsd(amount: Pico): string {
  return formatUsd(amount).replace('$', '');
}

/** The nearest whole cents, half a cent away from zero: for people who book in cents. Nothing is paid by it. */
export function nearestCents(amount: Pico): Pico {
  const half = PICO_PER_CENT / 2n;
  const size = amount < 0n ? -amount : amount;
  const cents = ((size + half) / PICO_PER_CENT) * PICO_PER_CENT;
  return amount < 0n ? -cents : cents;
}

/** The smaller of two amounts. */
export function least(a: Pico, b: Pico): Pico {
  return a < b ? a : b;
}
