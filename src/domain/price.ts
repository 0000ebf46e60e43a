import type { Pico } from './money.ts';
import type { Usage } from './usage.ts';

/**
 * What a unit costs. One micro-dollar per million tokens is one pico-dollar per token, so token prices are whole
 * pico-dollars. A price is a version: a request keeps the one it was admitted with, whatever changes meanwhile.
 */
export type Price = { readonly id: string } & (
  | { readonly unit: 'token'; readonly inputPico: Pico; readonly outputPico: Pico }
  | { readonly unit: 'request'; readonly requestPico: Pico }
);

/** What `usage` costs at `price`: exact, no rounding. */
export function priceOf(usage: Usage, price: Price): Pico {
  if (price.unit === 'request') return price.requestPico;
  return BigInt(usage.inputTokens) * price.inputPico + BigInt(usage.outputTokens) * price.outputPico;
}
