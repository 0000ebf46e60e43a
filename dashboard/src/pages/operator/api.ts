import { keepPreviousData, queryOptions, useQuery, useQueryClient } from '@tanstack/react-query';
import type {
  ApprovalsAnswer,
  BatchAnswer,
  ConsumerAnswer,
  ConsumersAnswer,
  LogAnswer,
  OperatorPricesAnswer,
  ProposalsAnswer,
} from '#wire/dashboard.ts';
import type { FreezesAnswer, OperatorIncident, PostureAnswer } from '#wire/incidents.ts';
import type {
  AuditsAnswer,
  BenchmarkRunAnswer,
  BenchmarksAnswer,
  IncidentsAnswer,
  LikenessAnswer,
  LikenessFindingAnswer,
  LimitsAnswer,
  MaintenanceAnswer,
  ObjectivesAnswer,
  ObjectiveTermsAnswer,
  OperatorAppealsAnswer,
  OperatorCollateralAnswer,
  OperatorEndpointsAnswer,
  OperatorProviderAnswer,
  OperatorProvidersAnswer,
  PostMortemAnswer,
  ReservationsAnswer,
  SlaChargesAnswer,
  SlaEvidenceAnswer,
  SlaExclusionsAnswer,
  SlaReportsAnswer,
  TiersAnswer,
  TreasuryAnswer,
} from '#wire/operator.ts';
import type { SettlementAnswer } from '#wire/settlements.ts';
import { call, type Method } from '../../api.ts';
import { useLiveQueries } from '../../parts/live.ts';

/** What operators ask. Everything is asked anew after anything was done (`useOperate`). */
const BASE = '/api/v1/operator';

function asked<T>(path: string, everyMs = 60_000) {
  return queryOptions({
    queryKey: ['operator', path],
    queryFn: ({ signal }) => call<T>('GET', path, { signal }),
    refetchInterval: everyMs,
    placeholderData: keepPreviousData,
  });
}

function queryText(of: Readonly<Record<string, string | undefined>>): string {
  const set = Object.entries(of).filter((each): each is [string, string] => (each[1] ?? '') !== '');
  return set.length === 0 ? '' : `?${new URLSearchParams(set)}`;
}

export interface RevenueDay {
  readonly day: string;
  readonly paid_requests: number;
  readonly paid_tokens: number;
  readonly paid_usd: string;
  readonly given_usd: string;
  readonly covered_usd: string;
  readonly free_requests: number;
  readonly free_tokens: number;
}
export interface RevenueGpu {
  readonly gpu: string | null;
  readonly nodes: number;
  /** Left out where the agents did not say. */
  readonly gpus?: number;
  readonly requests: number;
  readonly revenue_usd: string;
  readonly earned_usd: string;
  readonly revenue_per_gpu_usd?: string;
}
export interface OperatorRequest {
  readonly id: string;
  readonly at: string;
  readonly model: string | null;
  readonly provider: string | null;
  readonly outcome: string;
  readonly error: string | null;
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly charge_usd: string;
  readonly market_usd: string;
  readonly ttft_ms: number | null;
  readonly total_ms: number;
}
export interface Settlements {
  readonly data: {
    readonly chain_id: number;
    readonly contract: string;
    readonly token: string;
    readonly settlements: readonly SettlementAnswer[];
  };
}

export const operator = {
  approvals: () => asked<ApprovalsAnswer>(`${BASE}/approvals`, 15_000),
  collateral: () => asked<OperatorCollateralAnswer>(`${BASE}/collateral`, 15_000),
  providers: () => asked<OperatorProvidersAnswer>(`${BASE}/providers`, 10_000),
  provider: (id: string) =>
    asked<OperatorProviderAnswer>(`${BASE}/providers/${encodeURIComponent(id)}`, 10_000),
  consumers: (of: { q?: string; suspended?: string; before?: string }) =>
    asked<ConsumersAnswer>(`${BASE}/consumers${queryText(of)}`),
  consumer: (id: string) => asked<ConsumerAnswer>(`${BASE}/consumers/${encodeURIComponent(id)}`),
  requestsOf: (consumer: string) =>
    asked<{ requests: OperatorRequest[] }>(`${BASE}/requests${queryText({ consumer, limit: '25' })}`),
  prices: (model: string) => asked<OperatorPricesAnswer>(`${BASE}/prices/${model}`),
  proposals: () => asked<ProposalsAnswer>(`${BASE}/price-proposals`, 30_000),
  endpoints: () => asked<OperatorEndpointsAnswer>(`${BASE}/endpoints`, 15_000),
  incidents: (days = '90') => asked<IncidentsAnswer>(`${BASE}/incidents${queryText({ days })}`, 15_000),
  incident: (id: string) => asked<OperatorIncident>(`${BASE}/incidents/${encodeURIComponent(id)}`, 15_000),
  postMortem: (id: string) =>
    asked<PostMortemAnswer>(`${BASE}/incidents/${encodeURIComponent(id)}/post-mortem`),
  posture: () => asked<PostureAnswer>(`${BASE}/posture`, 15_000),
  freezes: () => asked<FreezesAnswer>(`${BASE}/freezes`, 15_000),
  objectiveTerms: (tier: string) =>
    asked<ObjectiveTermsAnswer>(`${BASE}/tiers/${encodeURIComponent(tier)}/objectives`),
  objectives: () => asked<ObjectivesAnswer>(`${BASE}/objectives`, 300_000),
  maintenance: () => asked<MaintenanceAnswer>(`${BASE}/maintenance`),
  settlements: (asset: string) =>
    asked<Settlements>(`/api/v1/settlements${queryText({ asset: asset === 'USD' ? undefined : asset })}`),
  settlement: (batch: string, asset: string) =>
    asked<BatchAnswer>(
      `${BASE}/settlements/${encodeURIComponent(batch)}${queryText({ asset: asset === 'USD' ? undefined : asset })}`,
    ),
  treasury: () => asked<TreasuryAnswer>(`${BASE}/treasury`),
  revenue: () => asked<{ days: RevenueDay[] }>(`${BASE}/revenue`, 300_000),
  gpus: () => asked<{ gpus: RevenueGpu[] }>(`${BASE}/revenue?by=gpu`, 300_000),
  audits: () => asked<AuditsAnswer>(`${BASE}/audits`),
  limits: () => asked<LimitsAnswer>(`${BASE}/limits`, 3_600_000),
  tiers: () => asked<TiersAnswer>(`${BASE}/tiers`),
  reservations: () => asked<ReservationsAnswer>(`${BASE}/reservations`),
  slaReports: (month: string) => asked<SlaReportsAnswer>(`${BASE}/sla/reports${queryText({ month })}`),
  slaCharges: () => asked<SlaChargesAnswer>(`${BASE}/sla/charges`),
  slaEvidence: (finding: string) =>
    asked<SlaEvidenceAnswer>(`${BASE}/sla/charges/${encodeURIComponent(finding)}`, 3_600_000),
  slaExclusions: (month: string) =>
    asked<SlaExclusionsAnswer>(`${BASE}/sla/exclusions${queryText({ month })}`),
  benchmarks: () => asked<BenchmarksAnswer>(`${BASE}/benchmarks?limit=200`, 30_000),
  likeness: () => asked<LikenessAnswer>(`${BASE}/likeness?limit=200`, 30_000),
  likenessOf: (finding: string) =>
    asked<LikenessFindingAnswer>(`${BASE}/likeness/${encodeURIComponent(finding)}`),
  appeals: () => asked<OperatorAppealsAnswer>(`${BASE}/appeals`, 30_000),
  benchmark: (id: string) => asked<BenchmarkRunAnswer>(`${BASE}/benchmarks/${encodeURIComponent(id)}`),
  log: (of: {
    about?: string;
    actor?: string;
    what?: string;
    outcome?: string;
    before?: string;
    limit?: string;
  }) => asked<LogAnswer>(`${BASE}/log${queryText(of)}`, 15_000),
};

/** Does something in an operator's name (`path` after `/api/v1/operator`), and has everything asked anew. */
export function useOperate(): <T>(
  method: Exclude<Method, 'GET'>,
  path: string,
  body?: unknown,
) => Promise<T> {
  const queries = useQueryClient();
  return async <T>(method: Exclude<Method, 'GET'>, path: string, body?: unknown): Promise<T> => {
    try {
      return await call<T>(method, `${BASE}${path}`, body === undefined ? {} : { body });
    } finally {
      await queries.invalidateQueries({ queryKey: ['operator'] });
    }
  };
}

const STALE = { operator: ['operator'], incidents: ['operator'], settlement: ['operator'] } as const;

/** Listens for what concerns operators. */
export function useOperatorLive(): 'connecting' | 'live' | 'broken' {
  return useLiveQueries('/api/v1/events?topics=operator,incidents,settlement', STALE);
}

/** Batches of an asset, newest first; `none` where this market makes no such batches. */
export function useBatches(asset: string) {
  const limits = useQuery(operator.limits());
  const settles = limits.data?.settles.some((each) => each === asset);
  const query = useQuery({ ...operator.settlements(asset), enabled: settles === true });
  return { query, none: settles === false, failed: limits.isError };
}
