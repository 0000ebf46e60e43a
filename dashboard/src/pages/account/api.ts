import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';
import type { KeyAnswerBody, MarketFacts } from '#wire/console.ts';
import type {
  DebugEntriesAnswer,
  DebugEntryAnswer,
  DebugLogAnswer,
  FactorAnswer,
  FactorBeginAnswer,
  FactorConfirmedAnswer,
  MovementsAnswer,
  OverviewAnswer,
  RequestAnswer,
  RequestsAnswer,
  SessionsAnswer,
  SessionsEndedAnswer,
  UsageByAnswer,
} from '#wire/dashboard.ts';
import type { DocumentBody } from '#wire/documents.ts';
import type { SlaReportBody } from '#wire/sla.ts';
import { call } from '../../api.ts';

/** What a consumer's pages ask, all of it about the account that is signed in. */
const ME = '/api/v1/user/me';

export type Duration = '24h' | '7d' | '30d' | '90d';

export interface BalanceBody {
  readonly total: string;
  readonly frozen: string;
  readonly available: string;
}
export interface TopUpBody {
  readonly card: { readonly minimum_usd: string; readonly maximum_usd: string } | null;
  readonly crypto: {
    readonly address: string;
    readonly chain_id: number;
    readonly confirmations: number;
    readonly minimum_usd: string;
    readonly swan_bonus_percent: number;
    readonly tokens: readonly {
      readonly symbol: string;
      readonly address: string;
      readonly decimals: number;
    }[];
  } | null;
}
export interface DepositsBody {
  readonly total_deposited_usd: string;
  readonly total_bonus_usd: string;
  readonly total_spent_usd: string;
  readonly deposits: readonly DepositBody[];
}
export interface DepositBody {
  readonly id: string;
  readonly method: string;
  readonly asset: string;
  readonly value_usd: string | null;
  readonly bonus_usd: string;
  readonly status: string;
  readonly received_at: string;
}
export interface PlanBody {
  readonly plan: string;
  readonly title: string;
  readonly monthly_usd: number;
  readonly paid_until: string | null;
  readonly covered_tiers: readonly string[];
  readonly tokens_left_this_week: number | null;
  readonly images_left_today: number | null;
  readonly covered_usd_left: string | null;
}
export interface DocumentSummary {
  readonly number: string;
  readonly document: DocumentBody['document'];
  readonly month: string | null;
  readonly issued_at: string;
  readonly total_usd: string;
}
export type SlaSummary = Pick<
  SlaReportBody,
  | 'month'
  | 'state'
  | 'uptime_ppm'
  | 'unavailable_minutes'
  | 'excluded_minutes'
  | 'fee_usd'
  | 'credit_usd'
  | 'made_at'
>;
export interface KeyLimits {
  name: string;
  models: string[] | null;
  cap_day_usd: string | null;
  cap_month_usd: string | null;
  addresses: string[] | null;
  requests_per_minute: number | null;
  expires_at: string | null;
}
type KeysOfSessions = Pick<SessionsEndedAnswer, 'keys_made' | 'keys_revoked'>;
export interface RequestFilter {
  readonly model?: string | undefined;
  readonly key?: string | undefined;
  readonly outcome?: string | undefined;
  readonly from?: string | undefined;
  readonly until?: string | undefined;
}

/** An address with those of `params` that say something. */
function address(path: string, params: Readonly<Record<string, string | undefined>>): string {
  const said = Object.entries(params).filter((each): each is [string, string] => !!each[1]);
  const query = new URLSearchParams(said).toString();
  return query === '' ? path : `${path}?${query}`;
}

function asked<T>(path: string, more: { everyMs?: number } = {}) {
  return queryOptions({
    queryKey: [path],
    queryFn: ({ signal }) => call<T>('GET', path, { signal }),
    // What was there stays until the answer to another question is.
    placeholderData: keepPreviousData,
    ...(more.everyMs !== undefined && { refetchInterval: more.everyMs }),
  });
}

export const account = {
  overview: (duration: Duration) =>
    asked<OverviewAnswer>(`${ME}/overview?duration=${duration}`, { everyMs: 30_000 }),
  usageBy: (group: UsageByAnswer['group'], stretch: { from?: string; until?: string } = {}) =>
    asked<UsageByAnswer>(address(`${ME}/usage/by`, { group, ...stretch })),
  requests: (filter: RequestFilter) =>
    infiniteQueryOptions({
      queryKey: [`${ME}/requests`, filter],
      initialPageParam: '',
      queryFn: ({ signal, pageParam }) =>
        call<RequestsAnswer>(
          'GET',
          address(`${ME}/requests`, { ...filter, before: pageParam, limit: '20' }),
          { signal },
        ),
      getNextPageParam: (last) => last.next ?? undefined,
    }),
  latest: () => asked<RequestsAnswer>(`${ME}/requests?limit=6`, { everyMs: 15_000 }),
  request: (id: string) =>
    queryOptions({
      queryKey: [`${ME}/requests`, id],
      queryFn: ({ signal }) =>
        call<RequestAnswer>('GET', `${ME}/requests/${encodeURIComponent(id)}`, { signal }),
    }),
  keys: () => asked<{ keys: KeyAnswerBody[] }>(`${ME}/keys`),
  balance: () => asked<BalanceBody>(`${ME}/balance`, { everyMs: 30_000 }),
  topUp: () => asked<TopUpBody>(`${ME}/topup`),
  facts: () => asked<MarketFacts>('/api/v1/market'),
  deposits: () => asked<DepositsBody>(`${ME}/deposits?limit=200`, { everyMs: 30_000 }),
  documents: () => asked<{ documents: DocumentSummary[] }>(`${ME}/invoices?limit=200`),
  document: (number: string) =>
    queryOptions({
      queryKey: [`${ME}/invoices`, number],
      queryFn: ({ signal }) =>
        call<DocumentBody>('GET', `${ME}/invoices/${encodeURIComponent(number)}`, { signal }),
    }),
  movements: () => asked<MovementsAnswer>(`${ME}/movements`),
  plan: () => asked<PlanBody>(`${ME}/plan`),
  slaReports: () => asked<{ reports: SlaSummary[]; so_far: SlaSummary | null }>('/api/v1/sla/reports'),
  slaReport: (month: string) =>
    queryOptions({
      queryKey: ['/api/v1/sla/reports', month],
      queryFn: ({ signal }) =>
        call<SlaReportBody>('GET', `/api/v1/sla/reports/${encodeURIComponent(month)}`, { signal }),
    }),
  factor: () => asked<FactorAnswer>(`${ME}/second-factor`),
  sessions: () => asked<SessionsAnswer>(`${ME}/sessions`),
  debugLog: () => asked<DebugLogAnswer>(`${ME}/debug-log`),
  debugEntries: () => asked<DebugEntriesAnswer>(`${ME}/debug-log/entries?limit=20`),
  // Each reading is noted, so it is done when somebody asks, and not again by itself.
  debugEntry: (id: string) =>
    queryOptions({
      queryKey: [`${ME}/debug-log/entries`, id],
      queryFn: ({ signal }) =>
        call<DebugEntryAnswer>('GET', `${ME}/debug-log/entries/${encodeURIComponent(id)}`, { signal }),
      staleTime: Number.POSITIVE_INFINITY,
    }),
};

export const files = {
  usageBy: (group: string, stretch: { from?: string; until?: string }) =>
    address(`${ME}/usage/by`, { group, ...stretch, format: 'csv' }),
  movements: `${ME}/movements?format=csv&limit=5000`,
  document: (number: string, format: 'csv' | 'pdf') =>
    `${ME}/invoices/${encodeURIComponent(number)}?format=${format}`,
  receipt: (deposit: string, format: 'csv' | 'pdf') =>
    `${ME}/deposits/${encodeURIComponent(deposit)}/receipt?format=${format}`,
  slaReport: (month: string, format: 'html' | 'pdf') => `/api/v1/sla/reports/${month}.${format}`,
};

/** What changes something. Each throws `ApiError`. */
export const change = {
  makeKey: (body: KeyLimits) => call<{ api_key: string; key: KeyAnswerBody }>('POST', `${ME}/keys`, { body }),
  keepKey: (id: string, body: KeyLimits) =>
    call<{ key: KeyAnswerBody }>('PATCH', `${ME}/keys/${id}`, { body }),
  rotateKey: (id: string, overlapHours: number) =>
    call<{ api_key: string; id: string; old_key_works_until: string }>('POST', `${ME}/keys/${id}/rotate`, {
      body: { overlap_hours: overlapHours },
    }),
  revokeKey: (id: string) => call('DELETE', `${ME}/keys/${id}`),
  payByCard: (amount_usd: string) =>
    call<{ id: string; url: string }>('POST', `${ME}/topup/card`, { body: { amount_usd } }),
  /** Of a market that is only tried. */
  testTokens: () => call('POST', `${ME}/test-tokens`, { body: {} }),
  choosePlan: (plan: string) => call('PUT', `${ME}/plan`, { body: { plan } }),
  revokeKeysSince: (since: string) =>
    call<{ revoked: string[] }>('POST', `${ME}/keys/revocations`, { body: { since } }),
  password: (present_password: string, new_password: string, revoke_keys: boolean) =>
    call<KeysOfSessions>('PUT', `${ME}/password`, { body: { present_password, new_password, revoke_keys } }),
  beginFactor: (password: string) =>
    call<FactorBeginAnswer>('POST', `${ME}/second-factor`, { body: { password } }),
  confirmFactor: (password: string, code: string, revoke_keys: boolean) =>
    call<FactorConfirmedAnswer>('POST', `${ME}/second-factor/confirm`, {
      body: { password, code, revoke_keys },
    }),
  removeFactor: (password: string, code: string) =>
    call('DELETE', `${ME}/second-factor`, { body: { password, code } }),
  keepDebugLog: (until: string) => call('PUT', `${ME}/debug-log`, { body: { until } }),
  endDebugLog: () => call('DELETE', `${ME}/debug-log`),
  emptyDebugLog: () => call('DELETE', `${ME}/debug-log/entries`),
  endSession: (id: string, revokeKeys: boolean) =>
    call<KeysOfSessions>('DELETE', `${ME}/sessions/${id}?revoke_keys=${revokeKeys}`),
  endOtherSessions: (revokeKeys: boolean) =>
    call<SessionsEndedAnswer>('DELETE', `${ME}/sessions?revoke_keys=${revokeKeys}`),
};
