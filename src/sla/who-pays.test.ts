import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseUsd } from '#domain/money.ts';
import { SPLIT_POLICIES, type SplitPolicy, shareOut } from '#domain/policy.ts';
import { bonusOf, termsUnder } from '#funds/deposit-rules.ts';
import { slaCredits } from '#reliability/credits.ts';
import { STANDARD_SLA } from '#reliability/sla-terms.ts';
import { ERRORS } from '#wire/errors.ts';
import { PROVEN_BY, providerShares } from './who-pays.ts';

/** November 2026: 43,200 minutes. */
const FROM = Date.UTC(2026, 10, 1) / 60_000;

function month(about: { down: number[]; fee?: bigint; excluded?: [number, number]; slow?: boolean }) {
  const { down, fee = parseUsd('600'), excluded, slow = false } = about;
  return slaCredits(
    {
      from: FROM,
      until: FROM + 43_200,
      minutes: down.map((at) => ({
        minute: FROM + at,
        requests: 1,
        failures: 1,
        probes: 0,
        probeFailures: 0,
      })),
      hours: slow
        ? [500, 501, 502].map((hour) => ({ hour: FROM / 60 + hour, requests: 20, ttftP95Ms: 9_000 }))
        : [],
      exclusions: excluded
        ? [
            {
              id: 'exc_1',
              kind: 'force-majeure',
              from: FROM + excluded[0],
              until: FROM + excluded[1],
              evidence: 'inc_1',
            },
          ]
        : [],
      fee,
    },
    STANDARD_SLA,
  );
}
const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);
const proven = (...of: [string, number[]][]): Map<number, string> =>
  new Map(of.flatMap(([id, minutes]) => minutes.map((at) => [FROM + at, id] as const)));

describe('shares of a credit', () => {
  test('are by minutes, rounded down to a pico-dollar; what nobody is proven to owe is nobody’s share', () => {
    const result = month({ down: range(0, 87) });
    expect(providerShares(result, proven(['prov_b', range(0, 60)], ['prov_a', range(60, 7)]))).toEqual([
      { providerId: 'prov_a', minutes: 7, share: 4_827_586_206_896n },
      { providerId: 'prov_b', minutes: 60, share: 41_379_310_344_827n },
    ]);
  });

  test('of a capped credit with slow hours are of its part for availability alone', () => {
    // 173 minutes are five steps begun, less the one within the promise: 20 %; three slow hours: 5 %. Of $150 that is $120.
    const result = month({ down: range(0, 173), slow: true });
    expect(result).toMatchObject({ availabilityBasisPoints: 2_000, latencyBasisPoints: 500 });
    expect(providerShares(result, proven(['prov_a', range(0, 173)]))).toEqual([
      { providerId: 'prov_a', minutes: 173, share: parseUsd('120') },
    ]);
  });

  test('are of no minute that was excluded, and of no month without a credit', () => {
    const all = proven(['prov_a', range(0, 100)]);
    const result = month({ down: range(0, 100), excluded: [0, 50] });
    expect(providerShares(result, all)).toMatchObject([{ minutes: 50, share: parseUsd('30') }]);
    expect(providerShares(month({ down: range(0, 43) }), all)).toEqual([]);
  });

  test('add up to no more than the credit, and miss it by less than a pico-dollar each', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 44, max: 400 }),
        fc.bigInt({ min: 1n, max: 10n ** 16n }),
        fc.integer({ min: 1, max: 9 }),
        (count, fee, providers) => {
          const result = month({ down: range(0, count), fee });
          const provenBy = new Map(
            range(0, count).map((at) => [FROM + at, `prov_${at % providers}`] as const),
          );
          const shares = providerShares(result, provenBy);
          const sum = shares.reduce((total, { share }) => total + share, 0n);
          expect(sum <= result.credit).toBe(true);
          expect(result.credit - sum < BigInt(providers)).toBe(true);
        },
      ),
    );
  });
});

test('only what the error table calls a provider’s fault proves one', () => {
  expect(PROVEN_BY.every((code) => ERRORS[code].whose === 'provider' && ERRORS[code].spendsBudget)).toBe(
    true,
  );
});

test('whoever pays in, is served by itself and lets itself be credited, gets out less than it paid in', () => {
  const policy = SPLIT_POLICIES['standard-1'] as SplitPolicy;
  const paid = parseUsd('1000');
  const bonus = bonusOf('SWAN', paid, termsUnder(policy));
  // A credit is of what was paid in, never of a bonus or of a credit.
  const credit = (paid * BigInt(STANDARD_SLA.capBasisPoints)) / 10_000n;
  expect(shareOut(paid + bonus + credit, policy).provider < paid).toBe(true);
});
