import { formatUsd } from '#domain/money.ts';
import type { KeyRecord } from '#domain/party.ts';
import type { PlaceVerdict, RateVerdict } from './limits.ts';
import type { Headers } from './reply.ts';
import type { CapsLeft } from './spend-caps.ts';

/**
 * Limits and what is left of them, as headers. The rate comes twice: in the names of the Swan contract
 * (`x-ratelimit-remaining`) and in OpenAI's (`x-ratelimit-remaining-requests`). Caps are dollars.
 */
export function rateHeaders(rate: RateVerdict): string[] {
  const limit = String(rate.limit);
  const remaining = String(rate.remaining);
  const reset = String(rate.resetS);
  return [
    'x-ratelimit-limit',
    limit,
    'x-ratelimit-remaining',
    remaining,
    'x-ratelimit-reset',
    reset,
    'x-ratelimit-limit-requests',
    limit,
    'x-ratelimit-remaining-requests',
    remaining,
    'x-ratelimit-reset-requests',
    `${reset}s`,
  ];
}

export function placeHeaders(place: PlaceVerdict): Headers {
  return [
    'x-ratelimit-limit-concurrent',
    String(place.limit),
    'x-ratelimit-remaining-concurrent',
    String(place.remaining),
  ];
}

/** The spend caps of a key; nothing for a key without one. */
export function capHeaders(key: KeyRecord, left: CapsLeft | undefined): Headers {
  if (!left || !key.scope) return [];
  const headers: string[] = [];
  const { capDay, capMonth } = key.scope;
  if (capDay !== null && left.day !== null)
    headers.push('x-key-cap-day-usd', usd(capDay), 'x-key-remaining-day-usd', usd(left.day));
  if (capMonth !== null && left.month !== null)
    headers.push('x-key-cap-month-usd', usd(capMonth), 'x-key-remaining-month-usd', usd(left.month));
  return headers;
}

function usd(amount: bigint): string {
  return formatUsd(amount).slice(1);
}
