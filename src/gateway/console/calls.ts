import type { z } from 'zod';
import * as c from '#wire/console.ts';
import * as d from '#wire/dashboard.ts';
import { documentSchema } from '#wire/documents.ts';
import * as m from '#wire/market.ts';
import { slaReportSchema } from '#wire/sla.ts';

/**
 * What each call of the management API is for, in a sentence, and the schema of its answer, where the answer has one. Who may
 * call it, what it takes and how its errors look is said by the route itself. A test holds this list and the routes together.
 */
export interface Call {
  readonly summary: string;
  readonly answer?: z.ZodType;
}

export const CALLS: Readonly<Record<string, Call>> = {
  'POST /api/v1/user/signup': {
    summary: 'Open an account: its first key, and a session.',
    answer: c.sessionAnswer,
  },
  'POST /api/v1/user/login': { summary: 'Sign in.', answer: c.sessionAnswer },
  'POST /api/v1/user/logout': { summary: 'End this session.' },
  'GET /api/v1/user/me': { summary: 'Who I am, and my roles.', answer: c.userAnswer },
  'PUT /api/v1/user/me/password': { summary: 'Set a new password; every other session ends.' },
  'GET /api/v1/user/me/second-factor': {
    summary: 'Whether signing in takes a second factor.',
    answer: d.factorAnswer,
  },
  'POST /api/v1/user/me/second-factor': {
    summary: 'Begin a second factor: its secret, this once.',
    answer: d.factorBeginAnswer,
  },
  'POST /api/v1/user/me/second-factor/confirm': {
    summary: 'Turn the second factor on: recovery codes, this once.',
    answer: d.factorConfirmedAnswer,
  },
  'DELETE /api/v1/user/me/second-factor': { summary: 'Turn the second factor off.' },
  'GET /api/v1/user/me/sessions': { summary: 'Where I am signed in.', answer: d.sessionsAnswer },
  'DELETE /api/v1/user/me/sessions/:id': {
    summary: 'End one session; with `revoke_keys`, and the keys that were made in it.',
  },
  'DELETE /api/v1/user/me/sessions': {
    summary: 'End every session but this one; with `revoke_keys`, and the keys that were made in them.',
    answer: d.sessionsEndedAnswer,
  },
  'POST /api/v1/consumer/upgrade-to-provider': {
    summary: 'Become a provider; the older address of the same call.',
    answer: c.upgradeAnswer,
  },
  'POST /api/v1/user/upgrade-to-provider': {
    summary: 'Become a provider, with its first key.',
    answer: c.upgradeAnswer,
  },
  'POST /api/v1/user/me/provider-keys': { summary: 'Make a provider key.', answer: c.newProviderKeyAnswer },
  'GET /api/v1/user/me/keys': { summary: 'My consumer keys, with what is left of their caps.' },
  'GET /api/v1/user/me/provider-keys': { summary: 'My provider keys.' },
  'POST /api/v1/user/me/keys': { summary: 'Make a consumer key; its secret, this once.' },
  'GET /api/v1/user/me/keys/:id': { summary: 'One key.', answer: c.keyAnswer },
  'PATCH /api/v1/user/me/keys/:id': { summary: "Change a key's name, scope or expiry.", answer: c.keyAnswer },
  'POST /api/v1/user/me/keys/:id/rotate': {
    summary: 'Make a successor of a key; the old one stays valid for an overlap.',
  },
  'POST /api/v1/user/me/keys/revocations': {
    summary: 'Revoke every key of mine that was made since a moment, for good.',
    answer: c.revocationsAnswer,
  },
  'DELETE /api/v1/user/me/keys/:id': { summary: 'Revoke a key, for good.' },
  'GET /api/v1/key': { summary: 'What this key may do, and what is left of its caps.' },
  'GET /api/v1/user/me/balance': { summary: 'My balance, and what of it is held.' },
  'GET /api/v1/user/me/usage': { summary: 'My latest requests, in short.' },
  'GET /api/v1/operator/requests': { summary: 'Requests of everybody.' },
  'GET /api/v1/user/me/overview': {
    summary: 'My spend, tokens, requests, failures and times, bucket by bucket.',
    answer: d.overviewAnswer,
  },
  'GET /api/v1/user/me/usage/by': { summary: 'The same sums by model, key or day.', answer: d.usageByAnswer },
  'GET /api/v1/user/me/requests': { summary: 'My requests, page by page.', answer: d.requestsAnswer },
  'GET /api/v1/user/me/requests/:id': {
    summary: 'One request: its attempts, times, charge and split.',
    answer: d.requestAnswer,
  },
  'GET /api/v1/user/me/movements': {
    summary: 'My account: deposits, credits, fees, and usage by day.',
    answer: d.movementsAnswer,
  },
  'GET /api/v1/user/me/debug-log': {
    summary: 'Whether what I ask and am answered is kept, and until when.',
    answer: d.debugLogAnswer,
  },
  'PUT /api/v1/user/me/debug-log': {
    summary: 'Keep it, until a moment at most 72 hours ahead.',
    answer: d.debugLogAnswer,
  },
  'DELETE /api/v1/user/me/debug-log': { summary: 'Keep nothing from now on.', answer: d.debugLogAnswer },
  'GET /api/v1/user/me/debug-log/entries': {
    summary: 'What is kept, page by page, without what was said.',
    answer: d.debugEntriesAnswer,
  },
  'DELETE /api/v1/user/me/debug-log/entries': { summary: 'Delete all that is kept.' },
  'GET /api/v1/user/me/debug-log/entries/:id': {
    summary: 'One entry, with what was asked and answered, redacted.',
    answer: d.debugEntryAnswer,
  },
  'DELETE /api/v1/user/me/debug-log/entries/:id': { summary: 'Delete one entry.' },
  'GET /api/v1/events': { summary: 'News as they come, as server-sent events.' },
  'GET /api/v1/plans': { summary: 'The plans, with what each covers and costs.', answer: m.plansAnswer },
  'GET /api/v1/operator/tiers': { summary: 'The terms of every tier.' },
  'PATCH /api/v1/operator/tiers/:name': { summary: 'Change the terms of a tier.' },
  'GET /api/v1/operator/tiers/:name/objectives': {
    summary: 'The objectives of a tier, and every version that held.',
  },
  'PATCH /api/v1/operator/tiers/:name/objectives': {
    summary: 'Set objectives of a tier from the next minute on.',
  },
  'GET /api/v1/operator/reservations': { summary: 'Places that are kept for consumers.' },
  'POST /api/v1/operator/reservations': { summary: 'Keep places for a consumer.' },
  'DELETE /api/v1/operator/reservations/:id': { summary: 'Keep them no longer.' },
  'POST /api/v1/provider/signup': { summary: 'Open a provider account.', answer: c.providerSignUpAnswer },
  'POST /api/v1/provider/request-approval': { summary: 'Ask to be let in.', answer: c.approvalAnswer },
  'GET /api/v1/provider/asks': {
    summary: 'What I ask for models, where that is below the list.',
    answer: c.asksAnswer,
  },
  'PUT /api/v1/provider/asks': {
    summary: 'Ask less for a model, or the listed price again.',
    answer: c.asksAnswer,
  },
  'GET /api/v1/provider/me': {
    summary: 'What the market knows of me as a provider.',
    answer: c.providerAnswer,
  },
  'PUT /api/v1/provider/me': {
    summary: 'Change my name, description or addresses.',
    answer: c.providerAnswer,
  },
  'GET /api/v1/user/me/topup': { summary: 'How to pay in.' },
  'POST /api/v1/user/me/topup/card': { summary: "Open a checkout at the card's service." },
  'GET /api/v1/user/me/deposits': { summary: 'What arrived.' },
  'GET /api/v1/user/me/plan': { summary: 'My plan, and what of it is left.' },
  'PUT /api/v1/user/me/plan': { summary: 'Choose another plan.' },
  'GET /api/v1/provider/collateral/contract': {
    summary: 'Where collateral is paid in.',
    answer: c.collateralContractAnswer,
  },
  'GET /api/v1/provider/collateral': { summary: 'What I pledged, and when a refund is due.' },
  'POST /api/v1/provider/collateral/deposit': { summary: 'Announce collateral.' },
  'POST /api/v1/provider/collateral/refund': { summary: 'Ask for collateral back.' },
  'DELETE /api/v1/provider/collateral/refund': { summary: 'Ask for it no longer.' },
  'GET /api/v1/provider/wallet': { summary: 'Wallets that I proved.' },
  'POST /api/v1/provider/wallet/challenge': {
    summary: 'A text to sign with a wallet (Sign-In with Ethereum).',
  },
  'POST /api/v1/provider/wallet/prove': { summary: 'Prove a wallet by its signature.' },
  'GET /api/v1/provider/endpoints': { summary: 'My external endpoints.' },
  'POST /api/v1/provider/endpoints': { summary: 'Add an external endpoint.', answer: c.endpointAnswer },
  'POST /api/v1/provider/endpoints/:id/check': { summary: 'Look now whether an endpoint is well.' },
  'PUT /api/v1/provider/endpoints/:id/ask': { summary: 'Set what an endpoint asks.' },
  'DELETE /api/v1/provider/endpoints/:id': { summary: 'Remove an endpoint.' },
  'GET /api/v1/provider/me/stats': {
    summary: 'What I served and earned, in all and lately.',
    answer: c.providerStatsAnswer,
  },
  'GET /api/v1/provider/me/earnings/history': {
    summary: 'My earnings as points of a chart.',
    answer: c.earningsAnswer,
  },
  'GET /api/v1/providers/:id/models/details': {
    summary: 'What a provider serves, and how it fares with each.',
    answer: c.providerModelsAnswer,
  },
  'POST /api/v1/user/me/test-tokens': {
    summary: 'On a market that is only tried: test tokens for a wallet, or for my balance.',
  },
  'GET /api/v1/market': { summary: 'Where this market is, and its version.' },
  'GET /api/v1/models/:id/prices': {
    summary: "A model's prices over time, by short name.",
    answer: m.priceHistoryAnswer,
  },
  'GET /api/v1/models/:org/:name/prices': {
    summary: "A model's prices over time.",
    answer: m.priceHistoryAnswer,
  },
  'GET /api/v1/models': { summary: 'What can be called, with demand.', answer: c.modelListAnswer },
  'GET /api/v1/models/catalog': { summary: 'The catalogue, as agents read it.', answer: c.catalogueAnswer },
  'GET /api/v1/models/:id/files': {
    summary: 'Files of a model for agents, by short name.',
    answer: c.modelFilesAnswer,
  },
  'GET /api/v1/models/:org/:name/files': {
    summary: 'Files of a model for agents.',
    answer: c.modelFilesAnswer,
  },
  'GET /api/v1/stats/model-demand': {
    summary: 'What is asked for, and what of it is served.',
    answer: c.demandAnswer,
  },
  'GET /api/v1/stats/network/history': { summary: 'The network by day.', answer: m.networkHistoryAnswer },
  'GET /api/v1/stats/network': { summary: 'The network now.', answer: m.networkAnswer },
  'GET /api/v1/dashboard/summary': { summary: 'The network in one glance.' },
  'GET /api/v1/stats/leaderboard': {
    summary: 'Providers in the order of their scores.',
    answer: m.leaderboardAnswer,
  },
  'GET /api/v1/stats/gpu': { summary: 'Which accelerators there are.', answer: m.gpuAnswer },
  'GET /api/v1/stats/utilization': { summary: 'How busy they are.', answer: m.utilizationAnswer },
  'GET /api/v1/provider/why': { summary: 'Why there is traffic, or none.', answer: c.whyAnswer },
  'GET /api/v1/operator/providers/:id/why': {
    summary: 'Why a provider has traffic, or none.',
    answer: c.whyAnswer,
  },
  'GET /api/v1/provider/me/health': {
    summary: 'How I fare, model by model, and my sessions.',
    answer: c.providerHealthAnswer,
  },
  'GET /api/v1/operator/providers/:id/health': {
    summary: 'How a provider fares.',
    answer: c.providerHealthAnswer,
  },
  'GET /api/v1/provider/economics': {
    summary: 'What each model brings, and would bring.',
    answer: c.economicsAnswer,
  },
  'GET /api/v1/operator/providers/:id/economics': {
    summary: 'What each model brings a provider.',
    answer: c.economicsAnswer,
  },
  'GET /api/v1/provider/me/rewards': {
    summary: 'SWAN by day, with what it was judged by.',
    answer: c.rewardsAnswer,
  },
  'GET /api/v1/provider/me/nodes': {
    summary: 'My machines: hardware, models, health, in flight.',
    answer: d.nodesAnswer,
  },
  'GET /api/v1/provider/me/standing': {
    summary: 'My rank and score, and the parts of it.',
    answer: d.standingAnswer,
  },
  'GET /api/v1/provider/me/payouts': {
    summary: 'What each batch paid me, what is claimed, and the proof for the contract.',
    answer: d.payoutsAnswer,
  },
  'GET /api/v1/provider/me/onboarding': {
    summary: 'The steps to the first earning.',
    answer: d.onboardingAnswer,
  },
  'GET /api/v1/settlements': { summary: 'Batches of payouts, newest first.' },
  'GET /api/v1/settlements/:batch': { summary: 'One batch.' },
  'GET /api/v1/settlements/:batch/claims': { summary: 'Its claims file, byte for byte.' },
  'GET /api/v1/settlements/:batch/proof/:account': {
    summary: 'The proof that a batch promises an account something.',
  },
  'GET /api/v1/user/me/invoices': { summary: 'My invoices, credit notes and receipts.' },
  'GET /api/v1/user/me/invoices/:number': {
    summary: 'One of them, as JSON, CSV or PDF.',
    answer: documentSchema,
  },
  'GET /api/v1/user/me/deposits/:id/receipt': {
    summary: 'The receipt of a deposit, as JSON, CSV or PDF.',
    answer: documentSchema,
  },
  'GET /api/v1/provider/me/earnings': { summary: 'My earnings by day, week or month.' },
  'GET /api/v1/operator/invoices': { summary: 'Documents of everybody.' },
  'GET /api/v1/operator/invoices/:number': { summary: 'One of them.', answer: documentSchema },
  'GET /api/v1/operator/treasury': { summary: 'What the market holds, and for whom.' },
  'GET /api/v1/operator/revenue': { summary: 'What was sold, and how it was shared.' },
  'GET /api/v1/operator/journal': { summary: 'Entries of the ledger, for an accountant.' },
  'GET /api/v1/sla/reports': { summary: 'My reports of service levels.' },
  'GET /api/v1/sla/reports/:month': {
    summary: 'One of them, as JSON, page or PDF.',
    answer: slaReportSchema,
  },
  'GET /api/v1/sla/data': { summary: 'My minutes, as agreements count them.' },
  'GET /api/v1/provider/me/sla-charges': { summary: 'What missed service levels took from my pledge.' },
  'GET /api/v1/provider/me/sla-charges/:finding': {
    summary: 'The minutes that such a charge rests on, and how requests failed in them.',
  },
  'GET /api/v1/operator/sla/reports': { summary: 'Reports of everybody.' },
  'GET /api/v1/operator/sla/reports/:consumer/:month': { summary: 'One of them.', answer: slaReportSchema },
  'GET /api/v1/operator/sla/charges': { summary: 'What missed service levels took from pledges.' },
  'GET /api/v1/operator/sla/charges/:finding': { summary: 'The minutes that such a charge rests on.' },
  'POST /api/v1/operator/sla/charges/:finding/appeal': { summary: 'Decide an appeal against such a charge.' },
  'GET /api/v1/operator/sla/exclusions': { summary: 'Stretches that do not count.' },
  'POST /api/v1/operator/sla/exclusions': {
    summary: 'Enter a stretch that does not count, with its evidence.',
  },
  'DELETE /api/v1/operator/sla/exclusions/:id': { summary: 'Withdraw it.' },
  'GET /api/v1/operator/providers': { summary: 'All providers.' },
  'POST /api/v1/operator/audits': { summary: 'Audit the books and the chain now.' },
  'GET /api/v1/operator/audits': { summary: 'Audits of the books, and what nobody can place.' },
  'POST /api/v1/operator/providers/:id/status': { summary: 'Approve, suspend or remove a provider.' },
  'GET /api/v1/operator/consumers': { summary: 'Consumers, by name or address.', answer: d.consumersAnswer },
  'GET /api/v1/operator/consumers/:id': {
    summary: 'One consumer, with its month and its deposits.',
    answer: d.consumerAnswer,
  },
  'POST /api/v1/operator/consumers/:id/suspension': {
    summary: "Refuse a consumer's keys, or serve them again.",
  },
  'POST /api/v1/operator/consumers/:id/credit': { summary: 'Give credit, once for a reference.' },
  'POST /api/v1/operator/consumers/:id/payments': { summary: 'Book money that came by bank or PayPal.' },
  'PUT /api/v1/operator/consumers/:id/plan': { summary: 'Put a consumer on a plan without a fee.' },
  'GET /api/v1/operator/log': { summary: 'What operators did.', answer: d.logAnswer },
  'GET /api/v1/operator/approvals': { summary: 'Who waits to be let in.', answer: d.approvalsAnswer },
  'GET /api/v1/operator/endpoints': { summary: 'Every external endpoint, with its health.' },
  'POST /api/v1/operator/settlements': {
    summary: 'Pay out now, through a day that may be today; or see what that would pay.',
  },
  'GET /api/v1/operator/settlements/:batch': {
    summary: 'A batch step by step, and what its verifier found.',
    answer: d.batchAnswer,
  },
  'GET /api/v1/operator/collateral': { summary: 'Pledges in dollars that wait.' },
  'POST /api/v1/operator/collateral/:id/confirm': { summary: 'They came.' },
  'POST /api/v1/operator/collateral/:id/reject': { summary: 'They did not.' },
  'GET /api/v1/operator/burns': { summary: 'SWAN that was burned.' },
  'POST /api/v1/operator/burns': { summary: 'Note a burn by its transaction.' },
  'GET /api/v1/operator/limits': { summary: 'Limits, tiers, plans and split, as they are set.' },
  'GET /api/v1/operator/prices/:id': {
    summary: "A model's price versions, by short name.",
    answer: d.operatorPricesAnswer,
  },
  'GET /api/v1/operator/prices/:org/:name': {
    summary: "A model's price versions.",
    answer: d.operatorPricesAnswer,
  },
  'GET /api/v1/operator/price-proposals': {
    summary: 'Prices that wait to be confirmed.',
    answer: d.proposalsAnswer,
  },
  'POST /api/v1/operator/price-proposals': {
    summary: 'Propose a price: what is odd about it, and the token that confirms it.',
    answer: d.proposalAnswer,
  },
  'POST /api/v1/operator/price-proposals/:id/confirm': {
    summary: 'Set the price.',
    answer: d.priceSetAnswer,
  },
  'DELETE /api/v1/operator/price-proposals/:id': { summary: 'Withdraw the proposal.' },
  'GET /api/v1/provider/benchmarks': { summary: 'My benchmarks, and their history.' },
  'GET /api/v1/operator/benchmarks': { summary: 'Benchmarks of everybody.' },
  'GET /api/v1/operator/benchmarks/:id': { summary: 'One benchmark, with its papers.' },
  'POST /api/v1/operator/benchmarks/:id/appeal': { summary: 'Decide an appeal against a failed benchmark.' },
  'GET /api/v1/operator/appeals': { summary: 'Appeals that wait.', answer: c.appealsAnswer },
  'POST /api/v1/operator/appeals/:id': { summary: 'Decide one.' },
  'GET /api/v1/provider/appeals': { summary: 'My appeals, and what I may appeal against.' },
  'POST /api/v1/provider/appeals': {
    summary: 'Appeal against a failed benchmark or a finding.',
    answer: c.appealAsked,
  },
  'POST /api/v1/operator/providers/:id/benchmark': { summary: "Have a provider's nodes benchmarked soon." },
  'GET /api/v1/operator/incidents': { summary: 'Incidents, open and past.' },
  'POST /api/v1/operator/incidents': { summary: 'Open an incident by hand.' },
  'GET /api/v1/operator/incidents/:id': { summary: 'One incident, with its timeline.' },
  'POST /api/v1/operator/incidents/:id/notes': {
    summary: 'Say something of an incident, to everybody or to operators.',
  },
  'POST /api/v1/operator/incidents/:id/silence': { summary: 'Stop its alerts for a while.' },
  'POST /api/v1/operator/incidents/:id/resolve': { summary: 'Close it.' },
  'GET /api/v1/operator/incidents/:id/post-mortem': {
    summary: 'The draft of its post-mortem, or the published one.',
  },
  'POST /api/v1/operator/incidents/:id/post-mortem': { summary: 'Publish its post-mortem.' },
  'GET /api/v1/operator/freezes': { summary: 'Freezes of changes that operators declared.' },
  'POST /api/v1/operator/freezes': { summary: 'Freeze changes by hand.' },
  'DELETE /api/v1/operator/freezes/:id': { summary: 'Lift a freeze.' },
  'GET /api/v1/operator/maintenance': { summary: 'Maintenance that was announced.' },
  'POST /api/v1/operator/maintenance': { summary: 'Announce maintenance.' },
  'DELETE /api/v1/operator/maintenance/:id': { summary: 'Call announced maintenance off.' },
  'GET /api/v1/operator/objectives': { summary: 'Objectives, and what is left of their error budgets.' },
  'GET /api/v1/operator/posture': { summary: 'What is shed or routed elsewhere now, and why.' },
  'POST /api/v1/operator/providers/:id/endpoints': { summary: 'Add an external endpoint for a provider.' },
  'POST /api/v1/operator/endpoints/:id/check': { summary: 'Look now whether an endpoint is well.' },
  'PUT /api/v1/operator/endpoints/:id/ask': { summary: 'Set what an endpoint asks.' },
  'DELETE /api/v1/operator/endpoints/:id': { summary: 'Remove an endpoint.' },
  'GET /api/v1/operator/providers/:id': { summary: 'One provider.' },
  'POST /api/v1/operator/sla/runs': {
    summary: 'Close a month of service levels, or try what it would come to.',
  },
  'POST /api/v1/operator/strangers/:id/explanation': {
    summary: 'Say what money was that nobody could place.',
  },
  'GET /api/v1/operator/likeness': {
    summary: 'Nodes whose answers are unlike those of others, and what is known of each.',
  },
  'GET /api/v1/operator/likeness/:id': { summary: 'One such finding, with the answers that were compared.' },
  'POST /api/v1/operator/likeness/:id/clear': { summary: 'Set such a finding aside.' },
  'GET /api/v1/health': { summary: 'Whether the market is well. 503 when it is not.' },
  'GET /api/v1/provider/status': {
    summary: "How a provider's agent stands, as agents ask: with a provider key.",
    answer: c.providerStatusAnswer,
  },
  'POST /api/v1/webhooks/stripe': { summary: "News of payments, signed by the card's service." },
  'GET /api/v1/openapi.json': { summary: 'This document.' },
  'GET /api/v1/docs': { summary: 'This document, to read.' },
};
