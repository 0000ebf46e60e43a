import type { Model } from '#domain/model.ts';
import { formatUsd, type Pico } from '#domain/money.ts';
import { type SplitPolicy, shareOut } from '#domain/policy.ts';
import type { Price } from '#domain/price.ts';

/** Money as JSON numbers of dollars, where the Swan contract wants numbers. For display: sums are made before this. */
export function dollars(amount: Pico): number {
  return Number(formatUsd(amount).replace('$', ''));
}

/** A price in dollars per 1,000,000 tokens, or per request. */
export function amountsOf(price: Price): Pick<Prices, 'input_price' | 'output_price' | 'request_price'> {
  if (price.unit === 'request')
    return { input_price: 0, output_price: 0, request_price: dollars(price.requestPico) };
  return {
    input_price: dollars(price.inputPico * MILLION),
    output_price: dollars(price.outputPico * MILLION),
    request_price: 0,
  };
}

/** The list price of a model, and what of it its provider is paid: dollars per 1,000,000 tokens, or per request. */
export function pricesOf(model: Model, policy: SplitPolicy): Prices {
  const paid = (pico: Pico): number => dollars(shareOut(pico, policy).provider);
  const { price } = model;
  if (price.unit === 'request') {
    return {
      ...FREE,
      request_price: dollars(price.requestPico),
      provider_request_price: paid(price.requestPico),
    };
  }
  const [input, output] = [price.inputPico * MILLION, price.outputPico * MILLION];
  return {
    ...FREE,
    input_price: dollars(input),
    output_price: dollars(output),
    provider_input_price: paid(input),
    provider_output_price: paid(output),
  };
}

export interface Prices {
  readonly input_price: number;
  readonly output_price: number;
  readonly provider_input_price: number;
  readonly provider_output_price: number;
  readonly request_price: number;
  readonly provider_request_price: number;
}

const MILLION = 1_000_000n;
const FREE: Prices = {
  input_price: 0,
  output_price: 0,
  provider_input_price: 0,
  provider_output_price: 0,
  request_price: 0,
  provider_request_price: 0,
};
