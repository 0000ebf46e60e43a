import { queryOptions } from '@tanstack/react-query';
import type {
  AppealAnswer,
  AppealsAnswer,
  AsksAnswer,
  CollateralContractAnswer,
  EconomicsAnswer,
  EndpointAnswer,
  MarketFacts,
  ProviderHealthAnswer,
  RewardsAnswer,
  UpgradeAnswer,
  WhyAnswer,
} from '#wire/console.ts';
import type { NodesAnswer, OnboardingAnswer, PayoutsAnswer, StandingAnswer } from '#wire/dashboard.ts';
import type { SlaEvidenceAnswer } from '#wire/operator.ts';
import type {
  BenchmarksAnswer,
  CollateralAnswer,
  CollateralDepositAnswer,
  EarningsStatementAnswer,
  SlaChargesAnswer,
  WalletAnswer,
  WalletChallengeAnswer,
  WalletProofAnswer,
} from '#wire/provider.ts';
import { call } from '../../api.ts';

/** What a provider's pages ask. Each answer is kept under its address, so that whoever changes something names what is stale. */
function ask<T>(path: string, everyMs: number | false = 30_000) {
  return queryOptions({
    queryKey: [path],
    queryFn: ({ signal }) => call<T>('GET', path, { signal }),
    refetchInterval: everyMs,
  });
}

/** The same of an answer in an envelope. */
function opened<T extends { data: unknown }>(path: string, everyMs: number | false = 30_000) {
  return queryOptions({
    queryKey: [path],
    queryFn: async ({ signal }): Promise<T['data']> => (await call<T>('GET', path, { signal })).data,
    refetchInterval: everyMs,
  });
}

/** What `claim` of the contract is called with. */
export type Proof = NonNullable<PayoutsAnswer['claim']>;

/** Which series of batches: of what was earned, or of rewards. */
export type Series = PayoutsAnswer['asset'];

export const SERIES: readonly Series[] = ['USD', 'SWAN'];

export type Period = 'day' | 'week' | 'month';

/** Days that each look reaches back, today included. */
export const REACH: Readonly<Record<Period, number>> = { day: 30, week: 84, month: 365 };

export function earningsPath(period: Period, from: string, format?: 'csv'): string {
  return `/api/v1/provider/me/earnings?period=${period}&from=${from}${format ? `&format=${format}` : ''}`;
}

export const provider = {
  onboarding: () => ask<OnboardingAnswer>('/api/v1/provider/me/onboarding', 10_000),
  nodes: () => ask<NodesAnswer>('/api/v1/provider/me/nodes', 10_000),
  health: (duration: '24h' | '7d' | '30d') =>
    ask<ProviderHealthAnswer>(`/api/v1/provider/me/health?duration=${duration}`, 60_000),
  standing: () => ask<StandingAnswer>('/api/v1/provider/me/standing', 300_000),
  rewards: () => ask<RewardsAnswer>('/api/v1/provider/me/rewards?limit=30', 300_000),
  /** Of rewards no event tells. */
  payouts: (series: Series) =>
    ask<PayoutsAnswer>(`/api/v1/provider/me/payouts?asset=${series}`, series === 'SWAN' ? 10_000 : 30_000),
  earnings: (period: Period, from: string) =>
    ask<EarningsStatementAnswer>(earningsPath(period, from), 120_000),
  economics: () => ask<EconomicsAnswer>('/api/v1/provider/economics', 10_000),
  asks: () => ask<AsksAnswer>('/api/v1/provider/asks', false),
  why: () => ask<WhyAnswer>('/api/v1/provider/why', 10_000),
  benchmarks: () => opened<BenchmarksAnswer>('/api/v1/provider/benchmarks?limit=200', 60_000),
  endpoints: () => ask<{ endpoints: EndpointAnswer[] }>('/api/v1/provider/endpoints', 15_000),
  appeals: () => ask<AppealsAnswer>('/api/v1/provider/appeals', 60_000),
  wallet: () => opened<WalletAnswer>('/api/v1/provider/wallet', 60_000),
  collateral: () => opened<CollateralAnswer>('/api/v1/provider/collateral', 15_000),
  contract: () => opened<CollateralContractAnswer>('/api/v1/provider/collateral/contract', false),
  charges: () => ask<SlaChargesAnswer>('/api/v1/provider/me/sla-charges', 300_000),
  evidence: (finding: string) =>
    ask<SlaEvidenceAnswer>(`/api/v1/provider/me/sla-charges/${encodeURIComponent(finding)}`, false),
  facts: () => ask<MarketFacts>('/api/v1/market', false),
};

/** What a provider does. */
export const act = {
  upgrade: (name: string) =>
    call<UpgradeAnswer>('POST', '/api/v1/user/upgrade-to-provider', { body: { name } }),
  newKey: (name: string) =>
    call<{ api_key: string }>('POST', '/api/v1/user/me/provider-keys', { body: { name } }),
  requestApproval: (body: { provider_name: string; hardware_summary: string; contact_email: string }) =>
    call('POST', '/api/v1/provider/request-approval', { body }),
  setAsk: (model: string, askFor: Readonly<Record<string, string>> | null) =>
    call<AsksAnswer>('PUT', '/api/v1/provider/asks', { body: { model, ask: askFor } }),
  appeal: (about: string, reason: string) =>
    call<AppealAnswer>('POST', '/api/v1/provider/appeals', { body: { about, reason } }),
  /** Of a market that is only tried. */
  testTokens: (address: string) => call('POST', '/api/v1/user/me/test-tokens', { body: { address } }),
  challenge: async (purpose: 'owner' | 'beneficiary', address: string) =>
    (
      await call<WalletChallengeAnswer>('POST', '/api/v1/provider/wallet/challenge', {
        body: { purpose, address },
      })
    ).data,
  prove: async (nonce: string, signature: string) =>
    (await call<WalletProofAnswer>('POST', '/api/v1/provider/wallet/prove', { body: { nonce, signature } }))
      .data,
  tellDeposit: async (body: { tx_hash: string; chain_id?: number } | { amount_usd: string }) =>
    (await call<CollateralDepositAnswer>('POST', '/api/v1/provider/collateral/deposit', { body })).data,
  requestRefund: (amountUsd?: string) =>
    call('POST', '/api/v1/provider/collateral/refund', {
      body: amountUsd === undefined ? {} : { amount_usd: amountUsd },
    }),
  cancelRefund: () => call('DELETE', '/api/v1/provider/collateral/refund'),
  /** What the contract takes for an account, by the batch that it pays from. */
  proof: async (series: Series, batch: number, account: string) =>
    (await call<{ data: Proof }>('GET', `/api/v1/settlements/${batch}/proof/${account}?asset=${series}`))
      .data,
};

/** What the pages show of payouts, of both series. */
export const allPayouts = SERIES.map((series) => provider.payouts(series));
