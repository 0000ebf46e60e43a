import type { Pico } from '#domain/money.ts';
import { assert } from '#kit/assert.ts';
import {
  BURN,
  CASH,
  collateralAccount,
  consumerAccount,
  PLANS,
  PROMO,
  RECEIVABLE,
  SLA,
  SLASHED,
} from './chart.ts';
import { type Entry, entry } from './entries.ts';

/** What `src/funds` does with money, as entries. Pure, like `entries.ts`. Ids follow from the event's. */

interface Event {
  readonly id: string;
  /** Wall milliseconds. */
  readonly at: number;
  readonly amount: Pico;
}

/** Credit on top of a deposit, given by the market. `id` is the deposit's. */
export function bonusEntry({ id, at, amount, consumerId }: Event & { consumerId: string }): Entry {
  return moved('bonus', { id, at }, { from: PROMO, to: consumerAccount(consumerId), amount });
}

/** Unused balance paid back. `id` is the reference of the payment. */
export function withdrawalEntry({ id, at, amount, consumerId }: Event & { consumerId: string }): Entry {
  return moved('withdrawal', { id, at }, { from: consumerAccount(consumerId), to: CASH, amount });
}

/**
 * Card money that went back to its owner. The consumer gives back what it has (`taken`), the rest is owed.
 */
export function reversalEntry(event: Event & { consumerId: string; taken: Pico }): Entry {
  const { id, at, amount, consumerId, taken } = event;
  assert(amount > 0n && taken >= 0n && taken <= amount, 'what is taken is part of what went back');
  return entry({
    id: `reversal:${id}`,
    kind: 'reversal',
    at,
    legs: [
      { account: consumerAccount(consumerId), amount: -taken },
      { account: RECEIVABLE, amount: taken - amount },
      { account: CASH, amount },
    ],
    memo: {},
  });
}

/** Undoes a reversal, with what was collected for it since. */
export function reinstatementEntry(event: Event & { consumerId: string; taken: Pico }): Entry {
  const { legs } = reversalEntry(event);
  const { id, at } = event;
  return entry({
    id: `reinstatement:${id}`,
    kind: 'reinstatement',
    at,
    legs: legs.map((leg) => ({ ...leg, amount: -leg.amount })),
    memo: {},
  });
}

/** A part of what a consumer owed for a reversal. `id` names the reversal and what was taken before. */
export function collectionEntry({ id, at, amount, consumerId }: Event & { consumerId: string }): Entry {
  return moved('collection', { id, at }, { from: consumerAccount(consumerId), to: RECEIVABLE, amount });
}

export function planFeeEntry({ id, at, amount, consumerId }: Event & { consumerId: string }): Entry {
  return moved('plan-fee', { id, at }, { from: consumerAccount(consumerId), to: PLANS, amount });
}

/** Dollars that a provider pledged. */
export function collateralEntry({ id, at, amount, providerId }: Event & { providerId: string }): Entry {
  return moved('collateral', { id, at }, { from: CASH, to: collateralAccount(providerId), amount });
}

/** Dollars that a provider got back of its pledge. `id` is the reference of the payment. */
export function collateralRefundEntry({ id, at, amount, providerId }: Event & { providerId: string }): Entry {
  return moved('collateral-refund', { id, at }, { from: collateralAccount(providerId), to: CASH, amount });
}

/** Pledged dollars that are taken; or, without a provider, what the contract took and holds for the market. */
export function slashEntry({
  id,
  at,
  amount,
  providerId,
}: Event & { providerId: string | undefined }): Entry {
  const from = providerId === undefined ? CASH : collateralAccount(providerId);
  return moved('slash', { id, at }, { from, to: SLASHED, amount });
}

/**
 * Slashed dollars that go back to a provider's pledge. `id` is the finding's. What was taken for a credit is in
 * `platform:slashed` no more, since the credit was paid out of it (`slaCreditEntry`): the market bears it then.
 */
export function slashReturnedEntry({
  id,
  at,
  amount,
  providerId,
  paidCredit,
}: Event & { providerId: string; paidCredit: boolean }): Entry {
  const from = paidCredit ? SLA : SLASHED;
  return moved('slash-returned', { id, at }, { from, to: collateralAccount(providerId), amount });
}

/** What was spent to buy back SWAN and burn it, out of what is set aside for it. `id` names the transaction. */
export function burnEntry({ id, at, amount }: Event): Entry {
  return moved('burn', { id, at }, { from: BURN, to: CASH, amount });
}

/**
 * Credit of a month in which an agreement was missed: once for a consumer and month. `fromStakes` of it was taken from
 * providers for their part in it, in entries of their own; the market pays the rest.
 */
export function slaCreditEntry(credit: {
  consumerId: string;
  /** `2026-11` */
  month: string;
  report: string;
  at: number;
  amount: Pico;
  fromStakes: Pico;
}): Entry {
  const { consumerId, month, report, at, amount, fromStakes } = credit;
  assert(amount > 0n && fromStakes >= 0n && fromStakes <= amount, 'stakes pay a part of a credit');
  return entry({
    id: `sla-credit:${consumerId}:${month}`,
    kind: 'sla-credit',
    at,
    legs: [
      { account: consumerAccount(consumerId), amount },
      { account: SLASHED, amount: -fromStakes },
      { account: SLA, amount: fromStakes - amount },
    ],
    memo: { report, month },
  });
}

function moved(
  kind: Entry['kind'],
  { id, at }: { id: string; at: number },
  { from, to, amount }: { from: string; to: string; amount: Pico },
): Entry {
  assert(amount > 0n, 'moved money is more than zero');
  return entry({
    id: `${kind}:${id}`,
    kind,
    at,
    legs: [
      { account: from, amount: -amount },
      { account: to, amount },
    ],
    memo: {},
  });
}
