import { formatUsd, type Pico } from './money.ts';
import type { Usage } from './usage.ts';

/**
 * What a unit costs. One micro-dollar per million tokens is one pico-dollar per token, so token prices are whole
 * pico-dollars. A price is a version: a request keeps the one it was admitted with, whatever changes meanwhile.
 *
 * `request` prices are per piece: an image made, a recording transcribed. Where sound also has a price per minute, a
 * recording costs by its length, and at least the price of a piece.
 */
export type Price = { readonly id: string } & Amounts;

/** An amount per unit, in pico-dollars. */
export type Amounts =
  | { readonly unit: 'token'; readonly inputPico: Pico; readonly outputPico: Pico }
  | { readonly unit: 'request'; readonly requestPico: Pico; readonly minutePico?: Pico | undefined };

/**
 * Could any usage cost more at `ask` than at `listed`? An ask by another unit, or by the minute where the list has no
 * minutes, cannot be compared and counts as more.
 */
export function asksMore(ask: Amounts, listed: Amounts): boolean {
  if (ask.unit === 'token')
    return listed.unit !== 'token' || ask.inputPico > listed.inputPico || ask.outputPico > listed.outputPico;
  if (listed.unit !== 'request' || ask.requestPico > listed.requestPico) return true;
  return ask.minutePico !== undefined && ask.minutePico > (listed.minutePico ?? -1n);
}

/** What `usage` costs at `price`: exact, but for the seconds of a minute, where a fraction of a pico-dollar is dropped. */
export function priceOf(usage: Usage, price: Price): Pico {
  if (price.unit === 'token')
    return BigInt(usage.inputTokens) * price.inputPico + BigInt(usage.outputTokens) * price.outputPico;
  const byPiece = BigInt(usage.units ?? 0) * price.requestPico;
  if (price.minutePico === undefined || usage.seconds === undefined) return byPiece;
  const byTime = (BigInt(usage.seconds) * price.minutePico) / 60n;
  return byTime > byPiece ? byTime : byPiece;
}

/** A price as people read it. */
export function priceText(price: Amounts): string {
  if (price.unit === 'request') {
    const byTime =
      price.minutePico === undefined ? '' : `, or ${formatUsd(price.minutePico)} a minute if more`;
    return `${formatUsd(price.requestPico)} a request${byTime}`;
  }
  const [input, output] = [price.inputPico, price.outputPico].map((pico) => formatUsd(pico * 1_000_000n));
  return `${input} in, ${output} out per million tokens`;
}
