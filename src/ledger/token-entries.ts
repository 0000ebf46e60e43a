import { assert } from '#kit/assert.ts';
import { CASH, providerAccount, RESERVE, vestingAccount } from './chart.ts';
import { type Entry, entry } from './entries.ts';

/**
 * What is done with a token that the market rewards, as entries in that token's smallest unit. Pure, and under the rules of
 * `entries.ts`. Payouts and claims of tokens are the entries of dollars (`payoutEntry`, `claimEntry`) in the other book.
 */
export type TokenEntry = Omit<Entry, 'kind'> & { readonly kind: TokenEntryKind };

export type TokenEntryKind = 'allotment' | 'reward' | 'vested' | 'payout' | 'payout-revoked' | 'claim';

/** Sets a day's pool aside. */
export function allotmentEntry({ day, at, pool }: { day: string; at: number; pool: bigint }): TokenEntry {
  return moved({ id: `allotment:${day}`, kind: 'allotment', at }, [
    { account: CASH, amount: -pool },
    { account: RESERVE, amount: pool },
  ]);
}

/** Gives a provider its share of a day's pool: one part to be paid out, the other locked. */
export function rewardEntry(share: {
  day: string;
  at: number;
  providerId: string;
  liquid: bigint;
  locked: bigint;
}): TokenEntry {
  const { day, at, providerId, liquid, locked } = share;
  assert(liquid >= 0n && locked >= 0n && liquid + locked > 0n, 'a reward is more than zero');
  return moved({ id: `reward:${day}:${providerId}`, kind: 'reward', at }, [
    { account: RESERVE, amount: -(liquid + locked) },
    { account: providerAccount(providerId), amount: liquid },
    { account: vestingAccount(providerId), amount: locked },
  ]);
}

/** What was locked of a day's reward can be paid out. */
export function vestedEntry(share: {
  day: string;
  at: number;
  providerId: string;
  locked: bigint;
}): TokenEntry {
  const { day, at, providerId, locked } = share;
  assert(locked > 0n, 'what vests is more than zero');
  return moved({ id: `vested:${day}:${providerId}`, kind: 'vested', at }, [
    { account: vestingAccount(providerId), amount: -locked },
    { account: providerAccount(providerId), amount: locked },
  ]);
}

function moved(about: { id: string; kind: TokenEntryKind; at: number }, legs: Entry['legs']): TokenEntry {
  // The legs are checked there, and nothing else looks at the kind.
  return { ...entry({ ...about, kind: 'payout', legs, memo: {} }), kind: about.kind };
}
