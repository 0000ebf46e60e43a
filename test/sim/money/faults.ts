import type { Chance } from '../chance.ts';

/** What goes wrong around money: with processes, the database, the server of the chain, the chain itself, and the clock. */
export const MONEY_FAULTS = [
  'process-killed',
  'killed-before-a-step',
  'killed-after-a-step',
  'database-refuses',
  'database-answer-unheard',
  'chain-away',
  'chain-lags',
  'chain-reorganised',
  'chain-congested',
  'gas-dear',
  'receipt-lost',
  'sending-lost',
  'sending-unheard',
  'sending-twice',
  'wall-clock-jumps',
  'settled-by-hand',
  'batch-revoked',
  'refund-races-slash',
  'finding-repeated',
  'payment-repeated',
  'rate-changes',
] as const;
export type MoneyFault = (typeof MONEY_FAULTS)[number];

/** How likely each is, whenever it could strike, when it happens at all in a world. */
const PER_CHANCE: Readonly<Record<MoneyFault, number>> = {
  'process-killed': 0.01,
  'killed-before-a-step': 0.008,
  'killed-after-a-step': 0.008,
  'database-refuses': 0.006,
  'database-answer-unheard': 0.006,
  'chain-away': 0.01,
  'chain-lags': 0.012,
  'chain-reorganised': 0.05,
  'chain-congested': 0.012,
  'gas-dear': 0.012,
  'receipt-lost': 0.05,
  'sending-lost': 0.1,
  'sending-unheard': 0.1,
  'sending-twice': 0.1,
  'wall-clock-jumps': 0.012,
  'settled-by-hand': 0.03,
  'batch-revoked': 0.04,
  'refund-races-slash': 0.03,
  'finding-repeated': 0.3,
  'payment-repeated': 0.3,
  'rate-changes': 0.03,
};

/** Every world leaves some faults out and exaggerates others. */
export function drawMoneyFaults(chance: Chance): Readonly<Partial<Record<MoneyFault, number>>> {
  const rates: Partial<Record<MoneyFault, number>> = {};
  for (const fault of MONEY_FAULTS) {
    if (!chance.yes(0.3)) rates[fault] = PER_CHANCE[fault] * chance.one([0.5, 1, 1, 3]);
  }
  return rates;
}

/** Ways to break the world of money on purpose, each with the promises that it breaks. */
export const MONEY_SABOTAGES = {
  'posts-a-payout-twice': ['I10'],
  'pays-what-was-paid': ['I10'],
  'promises-what-is-not-funded': ['I10'],
  'funds-a-batch-twice': ['I10'],
  'loses-a-claim': ['I10'],
  'loses-a-slash-to-a-refund': ['I11'],
  'slashes-a-finding-twice': ['I11'],
  'refunds-at-once': ['I11'],
  'prices-at-another-time': ['I4'],
  // What was read is in no block any more: the reading stops, and says so.
  'credits-what-is-not-deep': ['I3', 'bug'],
} as const satisfies Record<string, readonly string[]>;
export type MoneySabotage = keyof typeof MONEY_SABOTAGES;
