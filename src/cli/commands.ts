import type { Command } from 'commander';

/**
 * Every command on one page: its name, what it is for, and the file that completes it with arguments and actions. A
 * command's file is loaded only when that command is called.
 */
export interface CommandEntry {
  readonly summary: string;
  readonly load: () => Promise<(command: Command) => void>;
}

export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  start: {
    summary: 'run a whole market here: database, gateway, hub, and an agent with the shipped model',
    load: async () => (await import('./start.ts')).start,
  },
  serve: {
    summary: 'run the market alone, its log on stdout: for servers',
    load: async () => (await import('./serve.ts')).serve,
  },
  demo: {
    summary:
      'watch a market at work for half a minute: agents, requests, a failure, the books; leaves nothing behind',
    load: async () => (await import('./demo.ts')).demo,
  },
  agent: {
    summary: 'serve models to a market, as a provider',
    load: async () => (await import('./agent.ts')).agent,
  },
  keys: {
    summary: 'make, limit, rotate, list and revoke keys',
    load: async () => (await import('./keys.ts')).keys,
  },
  consumers: {
    summary: 'add and list who pays for inference',
    load: async () => (await import('./consumers.ts')).consumers,
  },
  providers: {
    summary: 'add, list, approve and suspend who is paid for inference',
    load: async () => (await import('./providers.ts')).providers,
  },
  endpoints: {
    summary: 'add, list, check and remove external endpoints, used when no agent can serve',
    load: async () => (await import('./endpoints.ts')).endpoints,
  },
  operator: {
    summary: 'make the first operator, list operators, and show what they did',
    load: async () => (await import('./operator.ts')).operator,
  },
  users: {
    summary: 'list who signs in, and make operators',
    load: async () => (await import('./users.ts')).users,
  },
  tiers: {
    summary: 'show and set what each tier of accounts gets',
    load: async () => (await import('./tiers.ts')).tiers,
  },
  reserve: {
    summary: 'keep places at a model for a Business consumer',
    load: async () => (await import('./reserve.ts')).reserve,
  },
  models: { summary: 'list what is sold', load: async () => (await import('./models.ts')).models },
  price: {
    summary: "set a model's price, or show its history",
    load: async () => (await import('./price.ts')).price,
  },
  balance: { summary: 'show what a consumer has', load: async () => (await import('./balance.ts')).balance },
  credit: { summary: 'give a consumer credit', load: async () => (await import('./credit.ts')).credit },
  deposits: {
    summary: 'book, list, price and pay back money of consumers; sweep deposit addresses',
    load: async () => (await import('./deposits.ts')).deposits,
  },
  collateral: {
    summary: 'see, confirm, refund and slash what providers pledge',
    load: async () => (await import('./collateral.ts')).collateral,
  },
  benchmarks: {
    summary: 'see what nodes answered, let them be asked now, decide appeals',
    load: async () => (await import('./benchmarks.ts')).benchmarks,
  },
  usage: {
    summary: 'list the latest requests and what they cost',
    load: async () => (await import('./usage.ts')).usage,
  },
  invoices: {
    summary: 'issue, list and show invoices, credit notes and receipts (PDF, CSV)',
    load: async () => (await import('./invoices.ts')).invoices,
  },
  earnings: {
    summary: 'show what a provider earned by day, week or month (CSV)',
    load: async () => (await import('./earnings.ts')).earnings,
  },
  revenue: {
    summary: 'show paid, given and free volume by day, and revenue by node and GPU (CSV)',
    load: async () => (await import('./revenue.ts')).revenue,
  },
  export: {
    summary: "write the accountant's journal of a range of days (CSV)",
    load: async () => (await import('./export.ts')).exportJournal,
  },
  treasury: {
    summary: 'show the treasury and what is due to be burned; note burns',
    load: async () => (await import('./treasury.ts')).treasury,
  },
  audit: {
    summary: 'rebuild every balance from the entries, compare batches with the chain',
    load: async () => (await import('./audit.ts')).audit,
  },
  settle: {
    summary: 'pay providers through a day, now (an open market does it each night)',
    load: async () => (await import('./settle.ts')).settle,
  },
  settlements: {
    summary: 'list batches of payouts, and show whom one pays',
    load: async () => (await import('./settlements.ts')).settlements,
  },
  rewards: {
    summary: 'set the daily pool of SWAN, reward days, and show what providers got',
    load: async () => (await import('./rewards.ts')).rewards,
  },
  claim: {
    summary: "collect what a provider's wallet was promised",
    load: async () => (await import('./claim.ts')).claim,
  },
  wallet: {
    summary: "prove that a wallet is a provider's, by its signature",
    load: async () => (await import('./wallet.ts')).wallet,
  },
  plan: {
    summary: 'plan capacity and cost, from figures or from what was measured',
    load: async () => (await import('./plan.ts')).plan,
  },
  freeze: {
    summary: 'freeze changes to the market by hand, and lift that again',
    load: async () => (await import('./freeze.ts')).freeze,
  },
  objectives: {
    summary:
      'show how each tier, model and region did against its objectives, what is left of the error budgets, and set objectives',
    load: async () => (await import('./objectives.ts')).objectives,
  },
  incidents: {
    summary: 'list, open, annotate, silence and end incidents; draft post-mortems',
    load: async () => (await import('./incidents.ts')).incidents,
  },
  sla: {
    summary: 'settle service levels, show reports, enter what does not count',
    load: async () => (await import('./sla.ts')).sla,
  },
  maintenance: {
    summary: 'announce, list and call off maintenance',
    load: async () => (await import('./maintenance.ts')).maintenance,
  },
  verify: {
    summary: 'check a published claims file, by itself and against the chain',
    load: async () => (await import('./verify.ts')).verify,
  },
};
