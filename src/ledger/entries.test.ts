import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SPLIT_POLICIES } from '#domain/policy.ts';
import { correctionRecord, usageRecord } from '#support/records.ts';
import { BURN, consumerAccount, FEE, PLANS, providerAccount, TREASURY } from './chart.ts';
import { chargeEntry, correctionEntry, depositEntry, type Entry, grantEntry } from './entries.ts';

const amount = fc.bigInt({ min: 1n, max: 10n ** 30n });
const policy = fc.constantFrom(...Object.keys(SPLIT_POLICIES));
const sum = (entry: Entry): bigint => entry.legs.reduce((total, leg) => total + leg.amount, 0n);
const on = (entry: Entry, account: string): bigint =>
  entry.legs.find((leg) => leg.account === account)?.amount ?? 0n;
const charge = (gross: bigint, version: string): Entry =>
  chargeEntry(usageRecord({ charge: gross, policy: version, consumerId: 'c', providerId: 'p' }));

describe('every entry', () => {
  test('adds up to zero and has no empty leg', () => {
    fc.assert(
      fc.property(amount, policy, fc.bigInt({ min: 1n, max: 10n ** 30n }), (gross, version, part) => {
        const refund = (part % gross) + 1n;
        const event = { id: 'e', at: 0, consumerId: 'c', amount: gross };
        const correction = correctionEntry(
          correctionRecord({ originalCharge: gross, refund, policy: version }),
        );
        for (const entry of [charge(gross, version), correction, grantEntry(event), depositEntry(event)]) {
          expect(sum(entry)).toBe(0n);
          expect(entry.legs.every((leg) => leg.amount !== 0n)).toBe(true);
          expect(new Set(entry.legs.map((leg) => leg.account)).size).toBe(entry.legs.length);
        }
      }),
    );
  });
});

describe('a charge', () => {
  test('is exactly what provider, fee, treasury and burn receive together', () => {
    fc.assert(
      fc.property(amount, policy, (gross, version) => {
        const entry = charge(gross, version);
        expect(-on(entry, consumerAccount('c'))).toBe(gross);
        const received = [providerAccount('p'), FEE, TREASURY, BURN].map((account) => on(entry, account));
        expect(received.reduce((a, b) => a + b)).toBe(gross);
        expect(received.every((part) => part >= 0n)).toBe(true);
      }),
    );
  });

  test('under the standard policy: 5 % fee, then 70, 20 and 10, and the treasury takes what rounding leaves', () => {
    const entry = charge(1_000_003n, 'standard-1');
    expect(Object.fromEntries(entry.legs.map((leg) => [leg.account, leg.amount]))).toEqual({
      'consumer:c': -1_000_003n,
      'platform:fee': 50_000n,
      'provider:p': 665_002n,
      'platform:treasury': 190_001n,
      'platform:burn': 95_000n,
    });
  });

  test('pays provider, fee, treasury and burn the same, whoever pays: the consumer, its plan, or both', () => {
    fc.assert(
      fc.property(amount, amount, policy, (own, covered, version) => {
        const whole = charge(own + covered, version);
        const about = { policy: version, consumerId: 'c', providerId: 'p' };
        const both = chargeEntry(usageRecord({ ...about, charge: own, covered }));
        const plan = chargeEntry(usageRecord({ ...about, charge: 0n, covered: own + covered }));
        for (const account of [providerAccount('p'), FEE, TREASURY, BURN]) {
          expect([on(both, account), on(plan, account)]).toEqual([on(whole, account), on(whole, account)]);
        }
        expect([on(both, consumerAccount('c')), on(both, PLANS)]).toEqual([-own, -covered]);
        expect([on(plan, consumerAccount('c')), on(plan, PLANS)]).toEqual([0n, -own - covered]);
        expect(sum(both) + sum(plan)).toBe(0n);
      }),
    );
  });

  test('of one pico-dollar still balances', () => {
    expect(charge(1n, 'standard-1').legs).toEqual([
      { account: 'consumer:c', amount: -1n },
      { account: 'platform:treasury', amount: 1n },
    ]);
  });
});

describe('a correction', () => {
  test('and its charge are together the entry of the right charge, account by account', () => {
    fc.assert(
      fc.property(amount, policy, fc.bigInt({ min: 0n, max: 10n ** 30n }), (gross, version, part) => {
        const refund = (part % gross) + 1n;
        const wrong = charge(gross, version);
        const fix = correctionEntry(
          correctionRecord({
            originalCharge: gross,
            refund,
            policy: version,
            consumerId: 'c',
            providerId: 'p',
          }),
        );
        const right = gross > refund ? charge(gross - refund, version) : undefined;
        for (const account of [consumerAccount('c'), providerAccount('p'), FEE, TREASURY, BURN]) {
          expect(on(wrong, account) + on(fix, account)).toBe(right ? on(right, account) : 0n);
        }
      }),
    );
  });

  test('larger than its charge is a bug', () => {
    expect(() => correctionEntry(correctionRecord({ originalCharge: 5n, refund: 6n }))).toThrow(
      /part of its charge/,
    );
  });
});
