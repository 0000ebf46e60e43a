import type { Pico } from '#domain/money.ts';
import { SPLIT_POLICIES, type SplitPolicy, shareOut } from '#domain/policy.ts';
import type { CorrectionRecord, UsageRecord } from '#domain/usage-record.ts';
import { assert } from '#kit/assert.ts';
import {
  BURN,
  CASH,
  CLAIMABLE,
  consumerAccount,
  FEE,
  PLANS,
  PROMO,
  providerAccount,
  TREASURY,
} from './chart.ts';

/**
 * Business events as balanced entries. Pure: nothing here knows a database. An entry's legs add up to zero, none of them
 * is zero, and no account appears twice. Its id follows from the event's, so the same event is the same entry.
 */
export interface Entry {
  readonly id: string;
  readonly kind: EntryKind;
  /** Wall milliseconds. A label. */
  readonly at: number;
  readonly legs: readonly Leg[];
  readonly memo: Readonly<Record<string, string>>;
}

export type EntryKind =
  | 'charge'
  | 'correction'
  | 'grant'
  | 'deposit'
  | 'payout'
  | 'payout-revoked'
  | 'claim'
  | 'bonus'
  | 'withdrawal'
  | 'reversal'
  | 'reinstatement'
  | 'collection'
  | 'plan-fee'
  | 'collateral'
  | 'collateral-refund'
  | 'slash'
  | 'slash-returned'
  | 'burn'
  | 'sla-credit';

/** A credit when positive, a debit when negative (see `chart.ts`). */
export interface Leg {
  readonly account: string;
  readonly amount: Pico;
}

/**
 * Charges a served request and shares the money out under the policy it was admitted with. The consumer pays, its plan does,
 * or each a part; whoever is paid gets the same.
 */
export function chargeEntry(record: UsageRecord): Entry {
  const { covered = 0n } = record;
  assert(record.charge >= 0n && covered >= 0n && record.charge + covered > 0n, 'a charge is more than zero');
  assert(record.providerId !== null, 'a charge names who is paid');
  const parts = shareOut(record.charge + covered, policyOf(record.policy));
  return entry({
    id: `charge:${record.id}`,
    kind: 'charge',
    at: record.at,
    legs: [
      { account: consumerAccount(record.consumerId), amount: -record.charge },
      { account: PLANS, amount: -covered },
      { account: providerAccount(record.providerId), amount: parts.provider },
      { account: FEE, amount: parts.fee },
      { account: TREASURY, amount: parts.treasury },
      { account: BURN, amount: parts.burn },
    ],
    memo: { request: record.id, price: record.priceId, policy: record.policy },
  });
}

/**
 * Takes part of a charge back. Each leg is the difference between sharing out what was charged and what should have been,
 * so that charge and correction together are exactly the entry of the right charge.
 */
export function correctionEntry(record: CorrectionRecord): Entry {
  const { refund, originalCharge, coveredRefund = 0n, originalCovered = 0n } = record;
  assert(refund >= 0n && refund <= originalCharge, 'a refund is part of its charge');
  const back = refund + coveredRefund;
  const gross = originalCharge + originalCovered;
  assert(back > 0n && back <= gross, 'what goes back is part of what was paid');
  const policy = policyOf(record.policy);
  const was = shareOut(gross, policy);
  const should = shareOut(gross - back, policy);
  return entry({
    id: `correction:${record.requestId}`,
    kind: 'correction',
    at: record.at,
    legs: [
      { account: consumerAccount(record.consumerId), amount: refund },
      { account: PLANS, amount: coveredRefund },
      { account: providerAccount(record.providerId), amount: should.provider - was.provider },
      { account: FEE, amount: should.fee - was.fee },
      { account: TREASURY, amount: should.treasury - was.treasury },
      { account: BURN, amount: should.burn - was.burn },
    ],
    memo: { request: record.requestId, policy: record.policy },
  });
}

/** Credit that the market gives away. `id` is the giver's: the same grant twice is one grant. */
export function grantEntry(grant: { id: string; at: number; consumerId: string; amount: Pico }): Entry {
  return received(grant, 'grant', PROMO);
}

/** Money that arrived outside the ledger. `id` is the payment's: the same payment twice is one deposit. */
export function depositEntry(deposit: { id: string; at: number; consumerId: string; amount: Pico }): Entry {
  return received(deposit, 'deposit', CASH);
}

/** What a provider is paid in a settlement: from its balance to what is claimable on chain. */
export function payoutEntry(payout: SettledPayout): Entry {
  assert(payout.paid > 0n, 'a payout is more than zero');
  return entry({
    id: `payout:${payout.settlementId}:${payout.providerId}`,
    kind: 'payout',
    at: payout.at,
    legs: [
      { account: providerAccount(payout.providerId), amount: -payout.paid },
      { account: CLAIMABLE, amount: payout.paid },
    ],
    memo: { settlement: payout.settlementId, account: payout.account, units: payout.units.toString() },
  });
}

/** Undoes the payout of a settlement that was revoked on chain before anybody could claim it. */
export function revokedPayoutEntry(payout: SettledPayout): Entry {
  const { legs, memo } = payoutEntry(payout);
  return entry({
    id: `payout-revoked:${payout.settlementId}:${payout.providerId}`,
    kind: 'payout-revoked',
    at: payout.at,
    legs: legs.map(({ account, amount }) => ({ account, amount: -amount })),
    memo,
  });
}

export interface SettledPayout {
  readonly settlementId: string;
  readonly providerId: string;
  readonly account: string;
  /** In the token's smallest unit. */
  readonly units: bigint;
  readonly paid: Pico;
  readonly at: number;
}

/** Tokens that left for a wallet. `paid` is what the payouts that it collected had cost. */
export function claimEntry(claim: {
  eventId: string;
  account: string;
  units: bigint;
  paid: Pico;
  at: number;
}): Entry {
  assert(claim.paid > 0n, 'a claim is more than zero');
  return entry({
    id: `claim:${claim.eventId}`,
    kind: 'claim',
    at: claim.at,
    legs: [
      { account: CLAIMABLE, amount: -claim.paid },
      { account: CASH, amount: claim.paid },
    ],
    memo: { account: claim.account, units: claim.units.toString() },
  });
}

function received(
  event: { id: string; at: number; consumerId: string; amount: Pico },
  kind: 'grant' | 'deposit',
  from: string,
): Entry {
  assert(event.amount > 0n, 'received money is more than zero');
  return entry({
    id: `${kind}:${event.id}`,
    kind,
    at: event.at,
    legs: [
      { account: consumerAccount(event.consumerId), amount: event.amount },
      { account: from, amount: -event.amount },
    ],
    memo: {},
  });
}

function policyOf(version: string): SplitPolicy {
  const policy = Object.hasOwn(SPLIT_POLICIES, version) ? SPLIT_POLICIES[version] : undefined;
  assert(policy, 'a split policy is one of the table');
  return policy;
}

/** An entry of these legs, without those that are zero. */
export function entry(draft: Entry): Entry {
  const legs = draft.legs.filter((leg) => leg.amount !== 0n);
  assert(legs.reduce((sum, leg) => sum + leg.amount, 0n) === 0n, 'the legs of an entry add up to zero');
  return { ...draft, legs };
}
