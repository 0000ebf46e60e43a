/**
 * Numbers as people read them: a unit beside each, as many digits as help, and never an exponent. Money comes as the
 * server's decimal texts and is cut here, not computed with; only what is a number on the wire is rounded as one.
 */

const WHOLE = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 0 });

/** What stands where nothing is known. */
export const NOTHING = '–';

/** 1,234,567 */
export function whole(value: number): string {
  return WHOLE.format(value);
}

/** 1.23M; exact below ten thousand. */
export function short(value: number): string {
  if (Math.abs(value) < 10_000) return WHOLE.format(value);
  for (const [size, letter] of SIZES)
    if (Math.abs(value) >= size) return `${threeDigits(value / size)}${letter}`;
  return WHOLE.format(value);
}

const SIZES = [
  [1e12, 'T'],
  [1e9, 'B'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const;

function threeDigits(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2).replace(/\.0+$|(\.\d*[1-9])0+$/, '$1');
}

/**
 * Dollars from a decimal text or a number: two decimals, and for less than a cent as many as show its first two figures.
 * `$0.00` only for nothing.
 */
export function usd(amount: string | number): string {
  const text = typeof amount === 'number' ? plain(amount) : amount;
  const negative = text.startsWith('-');
  const [wholePart = '0', decimals = ''] = text.replace(/^-/, '').split('.');
  const grouped = wholePart.replace(/\B(?=(\d{3})+$)/g, ',');
  const firstFigure = decimals.search(/[1-9]/);
  const shown =
    wholePart === '0' && firstFigure >= 2
      ? decimals.slice(0, firstFigure + 2).replace(/0+$/, '')
      : decimals.slice(0, 2).padEnd(2, '0');
  return `${negative ? '−' : ''}$${grouped}.${shown}`;
}

/** The same with three figures where it is less than a dollar: what one request cost. */
export function usdFine(amount: string): string {
  const [wholePart = '0', decimals = ''] = amount.replace(/^-/, '').split('.');
  const firstFigure = decimals.search(/[1-9]/);
  if (wholePart !== '0' || firstFigure < 0) return usd(amount);
  return usdExact(`${amount.startsWith('-') ? '-' : ''}0.${decimals.slice(0, firstFigure + 3)}`);
}

/** All decimals that there are, for bills: `$0.000000042`. */
export function usdExact(amount: string): string {
  const [wholePart = '0', decimals = ''] = amount.replace(/^-/, '').split('.');
  const grouped = wholePart.replace(/\B(?=(\d{3})+$)/g, ',');
  return `${amount.startsWith('-') ? '−' : ''}$${grouped}.${decimals.replace(/0+$/, '').padEnd(2, '0')}`;
}

/** A price per token, as the dollars of a million of them. Exact: the point moves six places. */
export function perMillion(perToken: string): string {
  const [wholePart = '0', decimals = ''] = perToken.split('.');
  const digits = decimals.padEnd(6, '0');
  const moved = `${wholePart}${digits.slice(0, 6)}`.replace(/^0+(?=\d)/, '');
  return price(`${moved}.${digits.slice(6)}`);
}

/** A price: no digit of it is lost, two decimals at least. */
export function price(amount: string): string {
  return usdExact(amount);
}

/** A number as a plain decimal, never in exponent form. */
function plain(value: number): string {
  return value.toFixed(12).replace(/\.?0+$/, '') || '0';
}

/** 870 ms, 1.24 s, 3 min 5 s. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return NOTHING;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.round((ms % 60_000) / 1_000)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Tokens a second. */
export function rate(perSecond: number | null | undefined): string {
  if (perSecond === null || perSecond === undefined) return NOTHING;
  return `${perSecond.toFixed(perSecond < 100 ? 1 : 0)} tok/s`;
}

/** 99.95 %: never rounded up to a whole that it is not. */
export function percent(share: number | null | undefined, digits = 2): string {
  if (share === null || share === undefined) return NOTHING;
  const factor = 10 ** digits;
  return `${(Math.floor(share * 100 * factor + 1e-9) / factor).toString()} %`;
}

/** 131072 as 131k, 1048576 as 1.05M: what fits into a model. */
export function tokens(count: number | null | undefined): string {
  return count === null || count === undefined || count === 0 ? NOTHING : short(count);
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${whole(count)} ${count === 1 ? one : many}`;
}

/** How long ago an instant was, or how long until it comes. */
export function ago(atMs: number, nowMs: number): string {
  const distance = Math.abs(nowMs - atMs);
  const words = AGO.find(([size]) => distance >= size);
  if (!words) return atMs > nowMs ? 'in a moment' : 'just now';
  const [size, unit] = words;
  const count = Math.floor(distance / size);
  return atMs > nowMs ? `in ${plural(count, unit)}` : `${plural(count, unit)} ago`;
}

const AGO = [
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
  [10_000, 'second'],
] as const;
