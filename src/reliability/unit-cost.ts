import { assert } from '#kit/assert.ts';

/**
 * What a million tokens cost whoever rents the GPU, and what is left of a price. These are plans, not bookings: plain
 * numbers in dollars. What was really earned and paid is the ledger's business.
 */
export interface CostInputs {
  /** Dollars per GPU and hour. */
  readonly gpuUsdPerHour: number;
  /** Tokens per second and GPU, measured. */
  readonly tokensPerSPerGpu: number;
  /** Share of an hour in which it makes them, above 0 and at most 1. */
  readonly utilisation: number;
  /** Everything else, in dollars per million tokens: servers, bandwidth, retries, support, fees, idle reserves. */
  readonly overheadUsdPerMillion: number;
}

export interface UnitCost {
  readonly tokensPerHour: number;
  readonly gpuUsdPerMillion: number;
  readonly usdPerMillion: number;
}

/** `G ÷ (R·U·3600) · 10⁶ + O`. */
export function unitCost(inputs: CostInputs): UnitCost {
  const { gpuUsdPerHour, tokensPerSPerGpu, utilisation, overheadUsdPerMillion } = inputs;
  assert(gpuUsdPerHour >= 0 && overheadUsdPerMillion >= 0, 'a cost is not negative');
  assert(tokensPerSPerGpu > 0, 'a GPU makes tokens');
  assert(utilisation > 0 && utilisation <= 1, 'utilisation is a share');
  const tokensPerHour = tokensPerSPerGpu * utilisation * 3_600;
  const gpuUsdPerMillion = (gpuUsdPerHour / tokensPerHour) * 1_000_000;
  return { tokensPerHour, gpuUsdPerMillion, usdPerMillion: gpuUsdPerMillion + overheadUsdPerMillion };
}

/** The share of a price that is left after cost, below zero when it sells at a loss; undefined for a price of nothing. */
export function grossMargin(priceUsdPerMillion: number, costUsdPerMillion: number): number | undefined {
  assert(priceUsdPerMillion >= 0, 'a price is not negative');
  if (priceUsdPerMillion === 0) return undefined;
  return (priceUsdPerMillion - costUsdPerMillion) / priceUsdPerMillion;
}

/** The price that leaves a margin (a share below 1) above cost. */
export function priceForMargin(costUsdPerMillion: number, margin: number): number {
  assert(margin < 1, 'a margin is less than the whole price');
  return costUsdPerMillion / (1 - margin);
}
