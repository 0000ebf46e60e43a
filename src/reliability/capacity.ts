import { assert } from '#kit/assert.ts';

/**
 * How many GPUs a demand needs. GPUs are counted, so results are whole numbers; the raw figure stays beside them, because
 * 1.99 and 1.01 both round to 2 and say different things.
 */
export interface Demand {
  /** Requests per second at the peak that is planned for. */
  readonly requestsPerS: number;
  /** Average tokens of a prompt and of an answer. */
  readonly promptTokens: number;
  readonly outputTokens: number;
}

export interface Supply {
  /** Tokens per second and GPU, measured with this model, these lengths and this load. */
  readonly tokensPerSPerGpu: number;
  /** Share of that which real traffic gets out of a batch, above 0 and at most 1. */
  readonly batchEfficiency: number;
}

export interface Margins {
  /** For spikes, retries and the tail: 1.3 to 1.5 are usual, 1 is none. */
  readonly headroom: number;
  /** GPUs that the largest single provider (or region) holds and takes away when it fails; 0 plans for no failure. */
  readonly largestLoss: number;
}

export interface CapacityPlan {
  /** GPUs that the average load keeps busy, not rounded. */
  readonly busy: number;
  /** Whole GPUs for that. */
  readonly least: number;
  /** Whole GPUs with headroom. */
  readonly active: number;
  /** And with what may be lost at once: after the loss, `active` are left. */
  readonly total: number;
  /** Share of all GPUs that the average load keeps busy. */
  readonly utilisation: number;
}

/** `requests/s × (prompt + output) ÷ (tokens/s per GPU × batch efficiency)`, rounded up after the headroom. */
export function planCapacity(demand: Demand, supply: Supply, margins: Margins): CapacityPlan {
  const { requestsPerS, promptTokens, outputTokens } = demand;
  const { tokensPerSPerGpu, batchEfficiency } = supply;
  assert(requestsPerS >= 0 && promptTokens >= 0 && outputTokens >= 0, 'a demand is not negative');
  assert(tokensPerSPerGpu > 0, 'a GPU makes tokens');
  assert(batchEfficiency > 0 && batchEfficiency <= 1, 'batch efficiency is a share');
  assert(margins.headroom >= 1, 'headroom is at least 1');
  assert(Number.isInteger(margins.largestLoss) && margins.largestLoss >= 0, 'GPUs are lost whole');
  const busy = (requestsPerS * (promptTokens + outputTokens)) / (tokensPerSPerGpu * batchEfficiency);
  const active = wholeGpus(busy * margins.headroom);
  const total = active + margins.largestLoss;
  return { busy, least: wholeGpus(busy), active, total, utilisation: total === 0 ? 0 : busy / total };
}

/** Rounded up; what floating point leaves over (1.0000000000000002) is no GPU. */
function wholeGpus(gpus: number): number {
  return Math.ceil(Number(gpus.toPrecision(12)));
}

/** One tier's part of a demand, and what share of spikes it is planned to survive. */
export interface TierDemand extends Demand, Margins {
  readonly tier: string;
}

/**
 * Tiers are planned one by one and added up: an average over all of them would let one tier's queue be another's outage.
 */
export function planTiers(
  tiers: readonly TierDemand[],
  supply: Supply,
): { tiers: (CapacityPlan & { tier: string })[]; total: number } {
  const plans = tiers.map((each) => ({ tier: each.tier, ...planCapacity(each, supply, each) }));
  return { tiers: plans, total: plans.reduce((sum, { total }) => sum + total, 0) };
}
