import type { Pico } from './money.ts';

/**
 * What a provider's work is worth by the hour: pure. Nothing here is promised; it is what the last day was, and what a
 * machine would earn if it did nothing else.
 */
const HOUR_MS = 3_600_000n;

/** What was earned per hour of GPU; undefined where there were no hours. Rounded down: it is for display. */
export function perGpuHour(earned: Pico, gpuMs: number): Pico | undefined {
  const ms = BigInt(Math.max(0, Math.round(gpuMs)));
  return ms === 0n ? undefined : (earned * HOUR_MS) / ms;
}

/**
 * What a model is expected to bring a provider in a day like the last one. Who served any of it expects the share that it
 * had; a newcomer, an even share with those that are online. `earned` is what all its providers were paid.
 */
export function expectedDaily(model: {
  readonly earned: Pico;
  readonly requests: number;
  /** Of those, the provider's own. */
  readonly own: number;
  /** Providers online, without this one. */
  readonly others: number;
}): { readonly amount: Pico; readonly basis: 'own-share' | 'even-share' } {
  const { earned, requests, own, others } = model;
  if (own > 0 && requests > 0)
    return { amount: (earned * BigInt(Math.min(own, requests))) / BigInt(requests), basis: 'own-share' };
  return { amount: earned / BigInt(Math.max(0, others) + 1), basis: 'even-share' };
}

/** What an hour of nothing but generating would bring, of what consumers pay, at this speed and price per token. */
export function fullHour(tokensPerS: number, outputPico: Pico): Pico {
  // Thousandths of a token, so that slow machines are not worth nothing.
  return (BigInt(Math.max(0, Math.round(tokensPerS * 1_000))) * 3_600n * outputPico) / 1_000n;
}
