import type { EntryKind } from './entries.ts';

/**
 * Which accounts an entry of a kind may touch, and whether it may raise them (`+`), lower them (`-`) or either. Whoever makes
 * entries does not read this; the audit does. So an entry that balances and is nevertheless none of its kind (a deposit out of
 * the fees, a charge that credits its consumer) is found, whatever program wrote it.
 */
export type ShapeLeg = readonly [account: string, direction: '+' | '-' | 'either'];

export const ENTRY_SHAPES: Readonly<Record<EntryKind, readonly ShapeLeg[]>> = {
  charge: [
    ['consumer:', '-'],
    ['platform:plans', '-'],
    ['provider:', '+'],
    ['platform:fee', '+'],
    ['platform:treasury', '+'],
    ['platform:burn', '+'],
  ],
  // The difference of two splits: the part that has the remainder may grow by a unit while the whole shrinks.
  correction: [
    ['consumer:', '+'],
    ['platform:plans', 'either'],
    ['provider:', 'either'],
    ['platform:fee', '-'],
    ['platform:treasury', 'either'],
    ['platform:burn', 'either'],
  ],
  grant: [
    ['consumer:', '+'],
    ['platform:promo', '-'],
  ],
  bonus: [
    ['consumer:', '+'],
    ['platform:promo', '-'],
  ],
  deposit: [
    ['consumer:', '+'],
    ['platform:cash', '-'],
  ],
  withdrawal: [
    ['consumer:', '-'],
    ['platform:cash', '+'],
  ],
  reversal: [
    ['consumer:', '-'],
    ['platform:receivable', '-'],
    ['platform:cash', '+'],
  ],
  reinstatement: [
    ['consumer:', '+'],
    ['platform:receivable', '+'],
    ['platform:cash', '-'],
  ],
  collection: [
    ['consumer:', '-'],
    ['platform:receivable', '+'],
  ],
  'plan-fee': [
    ['consumer:', '-'],
    ['platform:plans', '+'],
  ],
  'sla-credit': [
    ['consumer:', '+'],
    ['platform:slashed', '-'],
    ['platform:sla', '-'],
  ],
  collateral: [
    ['platform:cash', '-'],
    ['collateral:', '+'],
  ],
  'collateral-refund': [
    ['collateral:', '-'],
    ['platform:cash', '+'],
  ],
  // Of tokens the contract took, it holds them for the market: cash outside the ledger.
  slash: [
    ['collateral:', '-'],
    ['platform:cash', '-'],
    ['platform:slashed', '+'],
  ],
  'slash-returned': [
    ['platform:slashed', '-'],
    ['platform:sla', '-'],
    ['collateral:', '+'],
  ],
  payout: [
    ['provider:', '-'],
    ['platform:claimable', '+'],
  ],
  'payout-revoked': [
    ['provider:', '+'],
    ['platform:claimable', '-'],
  ],
  claim: [
    ['platform:claimable', '-'],
    ['platform:cash', '+'],
  ],
  burn: [
    ['platform:burn', '-'],
    ['platform:cash', '+'],
  ],
};
