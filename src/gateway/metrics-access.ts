import { createHash, timingSafeEqual } from 'node:crypto';
import { Fault } from '#kit/fault.ts';
import type { Sealed } from '#kit/sealed.ts';
import type { Metrics } from '#reliability/metrics.ts';
import type { AddressedRequest, ClientAddresses } from './client-address.ts';

/** What the gateway needs to show the metrics. */
export interface MetricsRooms {
  readonly page: Metrics;
  readonly token: Sealed<string> | undefined;
}

/**
 * Metrics tell a competitor what a market sells, so they are not public: whoever has the token reads them, and where there
 * is none, this machine alone. A request that came through a proxy is not from this machine, whatever its last hop is; the
 * page then is not there at all. Throws a `Fault` (401, 404).
 */
export function mayReadMetrics(
  request: AddressedRequest,
  token: Sealed<string> | undefined,
  addresses: ClientAddresses,
): void {
  if (token) {
    const { authorization = '' } = request.headers as { authorization?: string };
    const given = /^bearer +(\S+) *$/i.exec(authorization)?.[1] ?? '';
    if (!timingSafeEqual(digest(given), digest(token.open()))) throw new Fault('metrics-token-wrong');
    return;
  }
  const forwarded = request.headers['x-forwarded-for'] ?? request.headers['forwarded'];
  const address = addresses.of(request);
  if (forwarded !== undefined || !(address === '::1' || address.startsWith('127.')))
    throw new Fault('route-unknown');
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
