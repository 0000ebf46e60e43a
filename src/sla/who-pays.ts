import type { Pico } from '#domain/money.ts';
import { assert } from '#kit/assert.ts';
import type { SlaResult } from '#reliability/credits.ts';
import type { ErrorCode } from '#wire/errors.ts';

/**
 * Who pays a credit: pure. A minute is proven a provider's when every request of the consumer that failed in it failed at this
 * one provider, by a failure that only a provider can make, and without another provider having been tried before; a stream
 * that broke after it had begun is the provider's who was streaming. Such a minute's part of the credit is asked of the
 * provider's pledge. Everything else is the market's: minutes in which nobody was there to ask, in which several failed, in
 * which only probes looked, and slow hours, whose cause may lie on either side.
 *
 * The part for availability is divided evenly among the minutes that earned it. A provider's share is rounded down, here and
 * nowhere else; the market pays what is left over.
 */
export const PROVEN_BY: readonly ErrorCode[] = ['provider-cut-off', 'provider-failed', 'provider-too-slow'];

export interface ProviderShare {
  readonly providerId: string;
  /** Minutes that are proven its fault, of those that earned the credit. */
  readonly minutes: number;
  readonly share: Pico;
}

/** `provenBy`: minutes whose failures are proven one provider's, with its id. Shares come in the order of ids. */
export function providerShares(
  result: SlaResult,
  provenBy: ReadonlyMap<number, string>,
): readonly ProviderShare[] {
  const excluded = new Set(result.excluded.map(({ minute }) => minute));
  const counted = result.unavailable.filter((minute) => !excluded.has(minute));
  const minutesOf = new Map<string, number>();
  for (const minute of counted) {
    const providerId = provenBy.get(minute);
    if (providerId !== undefined) minutesOf.set(providerId, (minutesOf.get(providerId) ?? 0) + 1);
  }
  const earned = result.availabilityBasisPoints + result.latencyBasisPoints;
  if (result.credit === 0n || result.availabilityBasisPoints === 0) return [];
  const shares = [...minutesOf]
    .map(([providerId, minutes]) => ({
      providerId,
      minutes,
      share:
        (result.credit * BigInt(result.availabilityBasisPoints) * BigInt(minutes)) /
        (BigInt(earned) * BigInt(counted.length)),
    }))
    .filter(({ share }) => share > 0n)
    .toSorted((a, b) => (a.providerId < b.providerId ? -1 : 1));
  assert(
    shares.reduce((sum, { share }) => sum + share, 0n) <= result.credit,
    'shares are parts of the credit',
  );
  return shares;
}
