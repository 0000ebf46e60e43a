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
  'collateral:': { raisedBy: 'credit', meaning: 'pledged by a provider in dollars; never below zero' },
  'platform:fee': { raisedBy: 'credit', meaning: 'the fee taken from each charge' },
  'platform:treasury': { raisedBy: 'credit', meaning: "the treasury's share of each charge" },
  'platform:burn': { raisedBy: 'credit', meaning: 'set aside for buying back and burning SWAN' },
  'platform:promo': { raisedBy: 'debit', meaning: 'credit given away for trying the market' },
  'platform:claimable': { raisedBy: 'credit', meaning: 'paid out on chain, for providers to claim' },
  'platform:receivable': {
    raisedBy: 'debit',
    meaning: 'card money that went back and that consumers still owe',
  },
  'platform:plans': {
    raisedBy: 'credit',
    meaning: 'monthly fees of plans, less what plans paid for requests',
  },
  'platform:slashed': { raisedBy: 'credit', meaning: 'collateral taken from providers that failed' },
  'platform:sla': {
    raisedBy: 'debit',
    meaning: 'credits for missed service levels that no provider paid for, or that were given back to it',
  },
  'platform:cash': { raisedBy: 'debit', meaning: 'money received outside the ledger' },
} as const satisfies Record<string, AccountType>;

/** Of tokens that are booked in their own unit (`token-book.ts`): tables of their own, and the same signs. */
export const TOKEN_CHART = {
  'provider:': { raisedBy: 'credit', meaning: 'rewarded to a provider and not yet paid out' },
  'vesting:': { raisedBy: 'credit', meaning: 'rewarded to a provider and locked until its day' },
  'platform:reserve': {
    raisedBy: 'credit',
    meaning: 'allotted and given to nobody: the remainder of every day',
  },
  'platform:claimable': { raisedBy: 'credit', meaning: 'paid out on chain, for providers to claim' },
  'platform:cash': { raisedBy: 'debit', meaning: 'tokens of the market outside the ledger' },
} as const satisfies Record<string, AccountType>;

export const FEE = 'platform:fee';
export const TREASURY = 'platform:treasury';
export const BURN = 'platform:burn';
export const PROMO = 'platform:promo';
export const CLAIMABLE = 'platform:claimable';
export const RECEIVABLE = 'platform:receivable';
export const PLANS = 'platform:plans';
export const SLASHED = 'platform:slashed';
export const SLA = 'platform:sla';
export const CASH = 'platform:cash';
export const RESERVE = 'platform:reserve';

export function consumerAccount(consumerId: string): string {
  return `consumer:${consumerId}`;
}

export function providerAccount(providerId: string): string {
  return `provider:${providerId}`;
}

export function collateralAccount(providerId: string): string {
  return `collateral:${providerId}`;
}

export function vestingAccount(providerId: string): string {
  return `vesting:${providerId}`;
}
