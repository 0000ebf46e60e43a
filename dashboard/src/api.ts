import { queryOptions } from '@tanstack/react-query';
import type { DemandAnswer, SessionAnswer, UserAnswer } from '#wire/console.ts';
import type {
  GpuAnswer,
  LeaderboardAnswer,
  NetworkAnswer,
  NetworkHistoryAnswer,
  PlansAnswer,
  PriceHistoryAnswer,
  UtilizationAnswer,
} from '#wire/market.ts';
import type { StatusBody } from '#wire/status.ts';
import { signedIn } from './parts/signed-in.ts';

/**
 * How the pages ask the market. Types are the server's own wire schemas, which its tests hold the answers to, so nothing is
 * checked twice here. The session travels in a cookie that scripts cannot read; what changes something carries the header
 * that no page of another site can set.
 *
 * What several areas ask is in this file; an area's own calls stand in its folder (`pages/<area>/api.ts`).
 */

/** A call that failed: what the server said, and what the reader can do about it. */
export class ApiError extends Error {
  /** 0 where no answer came. */
  readonly status: number;
  readonly code: string;
  /** The field of the request that is at fault, where there is one. */
  readonly param: string | undefined;
  readonly retryAfterS: number | undefined;

  constructor(
    message: string,
    about: { status: number; code: string; param?: string | undefined; retryAfterS?: number | undefined },
  ) {
    super(message);
    this.name = 'ApiError';
    this.status = about.status;
    this.code = about.code;
    this.param = about.param;
    this.retryAfterS = about.retryAfterS;
  }

  /** A wrong password is answered with 401, too, and ends no session. */
  get isSessionOver(): boolean {
    return this.status === 401 && this.code !== 'login_refused' && this.code !== 'second_factor_required';
  }
}

/** What to do about an error, in one sentence. */
export function adviceOn(error: unknown): string {
  if (!(error instanceof ApiError))
    return 'Reload the page. If it happens again, tell whoever runs this market.';
  const { status, retryAfterS } = error;
  if (status === 0) return 'Check your connection, then try again.';
  if (status === 401)
    return error.isSessionOver ? 'Sign in again.' : 'Change what you entered, then try again.';
  if (status === 402) return 'Add money to the balance, then try again.';
  if (status === 403) return 'Ask whoever runs this market to give your account that role.';
  if (status === 404) return 'It may have been removed. Go back and look again.';
  if (status === 429)
    return retryAfterS === undefined
      ? 'Wait a moment, then try again.'
      : `Wait ${retryAfterS} ${retryAfterS === 1 ? 'second' : 'seconds'}, then try again.`;
  if (status >= 500) return 'This is not your fault. Try again in a moment.';
  return 'Change what you entered, then try again.';
}

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** One call. Throws `ApiError`. */
export async function call<T>(
  method: Method,
  path: string,
  about: { body?: unknown; key?: string | undefined; signal?: AbortSignal | undefined } = {},
): Promise<T> {
  const answer = await send(method, path, about);
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

/** The same for an answer that is read as it comes; its body is not read yet. Throws `ApiError`. */
export async function send(
  method: Method,
  path: string,
  about: { body?: unknown; key?: string | undefined; signal?: AbortSignal | undefined } = {},
): Promise<Response> {
  const { body, key, signal } = about;
  let answer: Response;
  try {
    answer = await fetch(path, {
      method,
      headers: {
        accept: 'application/json',
        ...(method !== 'GET' && { 'x-cygnet-request': '1' }),
        ...(body !== undefined && !(body instanceof FormData) && { 'content-type': 'application/json' }),
        ...(key !== undefined && { authorization: `Bearer ${key}` }),
      },
      ...(body !== undefined && { body: body instanceof FormData ? body : JSON.stringify(body) }),
      ...(signal && { signal }),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError('The market did not answer.', { status: 0, code: 'unreachable' });
  }
  if (answer.ok) return answer;
  const error = await errorOf(answer);
  if (error.isSessionOver && key === undefined) signedIn.forget();
  throw error;
}

/** The market writes errors as `{error: {message}}` and, for Swan's agent, as `{error: text}`. */
async function errorOf(answer: Response): Promise<ApiError> {
  const body = (await answer.json().catch(() => ({}))) as {
    error?: string | { message?: string; code?: string; param?: string | null };
    code?: string;
  };
  const said =
    typeof body.error === 'object' ? body.error : { message: body.error, code: body.code, param: null };
  const wait = Number(answer.headers.get('retry-after') ?? Number.NaN);
  return new ApiError(said.message ?? `The market answered with status ${answer.status}.`, {
    status: answer.status,
    code: said.code ?? 'unknown',
    param: said.param ?? undefined,
    retryAfterS: Number.isFinite(wait) ? wait : undefined,
  });
}

interface Envelope<T> {
  readonly data: T;
}

/** A call whose answer comes in an envelope, as the public ones do. */
async function opened<T>(path: string, signal: AbortSignal): Promise<T> {
  return (await call<Envelope<T>>('GET', path, { signal })).data;
}

/** A public figure, asked for again every `everyMs` while it is looked at. */
function figure<T extends Envelope<unknown>>(path: string, everyMs = 30_000) {
  return queryOptions({
    queryKey: [path],
    queryFn: ({ signal }) => opened<T['data']>(path, signal),
    refetchInterval: everyMs,
  });
}

/** A model as `/v1/models` shows it (`src/wire/openai/models.ts`). */
export interface MarketModel {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly category: 'llm' | 'image' | 'audio' | 'embedding' | 'multimodal';
  readonly context_length: number | null;
  readonly max_output_tokens: number | null;
  /** Dollars as decimal texts: per token (prompt, completion), per piece (request), per minute of sound (minute). */
  readonly pricing: Readonly<Record<string, string>>;
  readonly available: boolean;
  readonly providers: number;
}

/** What anyone may ask. */
export const market = {
  models: () =>
    queryOptions({
      queryKey: ['/v1/models'],
      queryFn: async ({ signal }) =>
        (await call<{ data: MarketModel[] }>('GET', '/v1/models', { signal })).data,
      refetchInterval: 15_000,
    }),
  status: () =>
    queryOptions({
      queryKey: ['/status.json'],
      queryFn: ({ signal }) => call<StatusBody>('GET', '/status.json', { signal }),
      refetchInterval: 30_000,
    }),
  demand: () => figure<DemandAnswer>('/api/v1/stats/model-demand'),
  network: () => figure<NetworkAnswer>('/api/v1/stats/network'),
  history: () => figure<NetworkHistoryAnswer>('/api/v1/stats/network/history', 300_000),
  gpus: () => figure<GpuAnswer>('/api/v1/stats/gpu'),
  utilization: () => figure<UtilizationAnswer>('/api/v1/stats/utilization', 5_000),
  leaderboard: () => figure<LeaderboardAnswer>('/api/v1/stats/leaderboard'),
  plans: () => figure<PlansAnswer>('/api/v1/plans', 3_600_000),
  prices: (modelId: string) =>
    figure<PriceHistoryAnswer>(`/api/v1/models/${encodeURIComponent(modelId)}/prices`, 300_000),
};

export type User = UserAnswer;

/** Who is signed in; null where nobody is. Asked only of browsers that have signed in before. */
export const me = () =>
  queryOptions({
    queryKey: ['/api/v1/user/me'],
    queryFn: async ({ signal }): Promise<User | null> => {
      if (!signedIn.before()) return null;
      try {
        return await call<User>('GET', '/api/v1/user/me', { signal });
      } catch (error) {
        if (error instanceof ApiError && error.status === 401) return null;
        throw error;
      }
    },
    staleTime: 60_000,
  });

export const session = {
  /** Throws with code `second_factor_required` where `code` is missing. */
  async signIn(body: { email: string; password: string; code?: string }): Promise<SessionAnswer> {
    const answer = await call<SessionAnswer>('POST', '/api/v1/user/login', { body });
    signedIn.note();
    return answer;
  },
  async signUp(body: { email: string; password: string; display_name?: string }): Promise<SessionAnswer> {
    const answer = await call<SessionAnswer>('POST', '/api/v1/user/signup', { body });
    signedIn.note();
    return answer;
  },
  async signOut(): Promise<void> {
    await call('POST', '/api/v1/user/logout');
    signedIn.forget();
  },
};
