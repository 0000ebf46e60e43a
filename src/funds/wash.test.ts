import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PLANS } from '#domain/plan.ts';
import { SPLIT_POLICIES, type SplitPolicy, shareOut } from '#domain/policy.ts';
import { bonusOf, DEPOSIT_TERMS, termsUnder } from './deposit-rules.ts';

// Wash traffic: a consumer and a provider of one owner. What comes back is never what was paid.

const POLICIES = Object.values(SPLIT_POLICIES).map((policy): [string, SplitPolicy] => [
  policy.version,
  policy,
]);
/** Below this many pico-dollars the fee of a charge rounds to nothing. */
const DUST = 20n;
const charge = fc.bigInt({ min: 0n, max: 10n ** 15n });

describe.each(POLICIES)('under %s, who buys from itself', (_version, policy) => {
  test('loses on every charge at least the fee, and on none does it gain', () => {
    fc.assert(
      fc.property(charge, (gross) => {
        const { fee, provider } = shareOut(gross, policy);
        expect(provider).toBeLessThanOrEqual(gross - fee);
        expect(gross >= DUST && provider >= gross).toBe(false);
        expect(fee).toBe((gross * BigInt(policy.feeBasisPoints)) / 10_000n);
      }),
    );
  });

  test('has less after every further request, however many there are and whatever each costs', () => {
    fc.assert(
      fc.property(fc.array(charge, { minLength: 1, maxLength: 50 }), (charges) => {
        let [paid, earned] = [0n, 0n];
        for (const gross of charges) {
          paid += gross;
          earned += shareOut(gross, policy).provider;
          expect(earned).toBeLessThanOrEqual(paid);
        }
        // One that costs something at all is enough to lose.
        expect(charges.some((gross) => gross >= DUST) && earned >= paid).toBe(false);
      }),
    );
  });

  test('does not gain by credit that is given on top of a deposit in SWAN either', () => {
    const terms = termsUnder(policy);
    fc.assert(
      fc.property(fc.bigInt({ min: 10n ** 9n, max: 10n ** 18n }), (deposit) => {
        const credit = deposit + bonusOf('SWAN', deposit, terms);
        // All of it spent at once, which rounds least.
        expect(shareOut(credit, policy).provider).toBeLessThan(deposit);
      }),
    );
  });

  test('does not gain by a plan that is paid for with such credit', () => {
    const terms = termsUnder(policy);
    for (const { monthlyCents, coveredFeePercents } of Object.values(PLANS)) {
      const fee = BigInt(monthlyCents) * 10n ** 10n;
      // The least deposit that credits the fee.
      const deposit = (fee * 10_000n) / BigInt(10_000 + terms.swanBonusBasisPoints);
      const covered = (fee * BigInt(coveredFeePercents)) / 100n;
      expect(shareOut(covered, policy).provider).toBeLessThanOrEqual(deposit);
    }
  });
});

test('the bonus is the published one where the split allows it, and less where it would be money for nothing', () => {
  const bonusUnder = (name: string) => termsUnder(SPLIT_POLICIES[name] as SplitPolicy).swanBonusBasisPoints;
  expect(bonusUnder('standard-1')).toBe(DEPOSIT_TERMS.swanBonusBasisPoints);
  expect(bonusUnder('bootstrap-1')).toBe(526);
});
