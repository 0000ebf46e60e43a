import { type Address, ZERO_ADDRESS } from '#domain/hex.ts';
import type { Pico } from '#domain/money.ts';
import { assert } from '#kit/assert.ts';

/**
 * Who is paid in a batch, how much, and who carries over. Pure: the same balances give the same batch, in the same order,
 * whoever computes it.
 *
 * This is the second of the two places where money is rounded (the other is `domain/split.ts`). A token has a smallest
 * unit, and a provider is paid as many whole units as its balance buys. What they cost, rounded up to a pico-dollar, is
 * what leaves its balance; the rest, less than one unit, stays in it and counts for the next batch.
 */
export interface PayoutTerms {
  /** Below this a balance is carried over. */
  readonly minimum: Pico;
  /** What a whole token is worth; where the ledger counts the token itself, its units in one. */
  readonly picoPerToken: Pico;
  /** The token's decimals: a whole token is 10^decimals units. */
  readonly decimals: number;
}

/** What a provider is owed at the cut, and where it wants it. */
export interface Owed {
  readonly providerId: string;
  readonly owed: Pico;
  readonly wallet?: Address | undefined;
}

export interface Payout {
  readonly providerId: string;
  readonly account: Address;
  readonly units: bigint;
  /** What leaves the provider's balance for them. */
  readonly paid: Pico;
  /** What stays in it: worth less than a unit. */
  readonly remainder: Pico;
}

export interface CarriedOver {
  readonly providerId: string;
  readonly owed: Pico;
  readonly reason: 'in-debt' | 'below-minimum' | 'without-wallet' | 'below-a-unit';
}

/** One account of the batch. Several providers can share it. */
export interface ClaimRow {
  readonly account: Address;
  /** Everything it was ever promised, this batch included. */
  readonly cumulative: bigint;
  /** What this batch adds. Zero for an account that is only carried along. */
  readonly increase: bigint;
}

export interface Batch {
  /** In the order of their providers' ids. */
  readonly payouts: readonly Payout[];
  readonly carriedOver: readonly CarriedOver[];
  /** In the order of their accounts; every account of earlier batches is among them. */
  readonly rows: readonly ClaimRow[];
  /** Sum of the rows' cumulative amounts. */
  readonly total: bigint;
  /** Sum of the rows' increases. Zero when nobody is paid: then there is nothing to publish. */
  readonly increase: bigint;
}

/**
 * @param owed each provider once; balances of zero are passed over
 * @param before the cumulative amounts of the batch before, by account
 */
export function planBatch(
  owed: readonly Owed[],
  before: ReadonlyMap<Address, bigint>,
  terms: PayoutTerms,
): Batch {
  assert(terms.picoPerToken > 0n && terms.minimum >= 0n, 'a token has a price, a minimum is not negative');
  const unitsPerToken = 10n ** BigInt(terms.decimals);
  const payouts: Payout[] = [];
  const carriedOver: CarriedOver[] = [];
  const increases = new Map<Address, bigint>();
  let lastId: string | undefined;
  for (const one of owed.toSorted((a, b) => order(a.providerId, b.providerId))) {
    assert(one.providerId !== lastId, 'each provider is owed once');
    lastId = one.providerId;
    if (one.owed === 0n) continue;
    const units = (one.owed * unitsPerToken) / terms.picoPerToken;
    const reason = refusalOf(one, units, terms);
    if (reason || !one.wallet) {
      carriedOver.push({ providerId: one.providerId, owed: one.owed, reason: reason ?? 'without-wallet' });
      continue;
    }
    const paid = (units * terms.picoPerToken + unitsPerToken - 1n) / unitsPerToken;
    assert(paid <= one.owed, 'nobody is debited more than the balance');
    payouts.push({
      providerId: one.providerId,
      account: one.wallet,
      units,
      paid,
      remainder: one.owed - paid,
    });
    increases.set(one.wallet, (increases.get(one.wallet) ?? 0n) + units);
  }

  const accounts = [...new Set([...before.keys(), ...increases.keys()])].toSorted(order);
  let total = 0n;
  let increase = 0n;
  const rows = accounts.map((account) => {
    const more = increases.get(account) ?? 0n;
    const cumulative = (before.get(account) ?? 0n) + more;
    total += cumulative;
    increase += more;
    return { account, cumulative, increase: more };
  });
  return { payouts, carriedOver, rows, total, increase };
}

function refusalOf(one: Owed, units: bigint, terms: PayoutTerms): CarriedOver['reason'] | undefined {
  if (one.owed < 0n) return 'in-debt';
  if (one.owed < terms.minimum) return 'below-minimum';
  if (!one.wallet || one.wallet === ZERO_ADDRESS) return 'without-wallet';
  return units === 0n ? 'below-a-unit' : undefined;
}

/** By code units: the same on every machine, whatever its language. */
function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
