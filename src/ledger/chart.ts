/**
 * The chart of accounts. The ledger is seen from the market: what it owes (to consumers, to providers) and what it earned
 * are raised by a credit, what it received or gave away is raised by a debit. A posting's sign says which: positive is a
 * credit. So the balance of a consumer who can still spend is positive, that of `platform:cash` is negative, and all
 * balances together are zero at any time.
 */
export interface AccountType {
  readonly raisedBy: 'credit' | 'debit';
  readonly meaning: string;
}

/** By account, or by prefix where there is one account per party. */
export const CHART = {
  'consumer:': { raisedBy: 'credit', meaning: 'prepaid money of a consumer; never below what is held of it' },
  'provider:': { raisedBy: 'credit', meaning: 'earned by a provider and not yet paid out' },
  'platform:fee': { raisedBy: 'credit', meaning: 'the fee taken from each charge' },
  'platform:treasury': { raisedBy: 'credit', meaning: "the treasury's share of each charge" },
  'platform:burn': { raisedBy: 'credit', meaning: 'set aside for buying back and burning SWAN' },
  'platform:promo': { raisedBy: 'debit', meaning: 'credit given away for trying the market' },
  'platform:claimable': { raisedBy: 'credit', meaning: 'paid out on chain, for providers to claim' },
  'platform:cash': { raisedBy: 'debit', meaning: 'money received outside the ledger' },
} as const satisfies Record<string, AccountType>;

export const FEE = 'platform:fee';
export const TREASURY = 'platform:treasury';
export const BURN = 'platform:burn';
export const PROMO = 'platform:promo';
export const CLAIMABLE = 'platform:claimable';
export const CASH = 'platform:cash';

export function consumerAccount(consumerId: string): string {
  return `consumer:${consumerId}`;
}

export function providerAccount(providerId: string): string {
  return `provider:${providerId}`;
}
