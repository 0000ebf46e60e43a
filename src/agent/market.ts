import { Agent, type Dispatcher } from 'undici';
import { z } from 'zod';
import { Sealed } from '#kit/sealed.ts';
import { type WhyPage, whyPageSchema } from './why-page.ts';

/**
 * The market's REST interface as a provider's program calls it: the calls of the Swan agent (its contract, section 2.2) and
 * ours beside them. Written for markets that we do not run: only what is needed is read, flat or in an envelope, and what is
 * missing or strange is undefined rather than a failure. What cannot be done at all is a `MarketError` with a sentence.
 */
export class MarketError extends Error {
  override name = 'MarketError';
  /** The HTTP status; undefined where there was no answer. */
  readonly status: number | undefined;

  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}

const CALL_MS = 15_000;
/** Argon2 and a busy machine take their time. */
const SIGN_IN_MS = 30_000;
const ANSWER_BYTES_MAX = 8 * 1_048_576;

const text = z.string().optional().catch(undefined);
const figure = z.number().optional().catch(undefined);
const flag = z.boolean().optional().catch(undefined);

export const standingSchema = z.looseObject({
  provider_id: text,
  name: text,
  status: text,
  can_connect: flag,
  api_key_valid: flag,
  message: text,
  warning: text,
  next_steps: z.array(z.string()).max(20).optional().catch(undefined),
  step: figure,
  total_steps: figure,
  step_label: text,
  earnings_enabled: flag,
});
export type Standing = z.output<typeof standingSchema>;

const catalogueSchema = z.looseObject({
  list: z.array(
    z.looseObject({
      id: z.string(),
      slug: text,
      name: text,
      category: text,
      active: flag,
      context_length: figure,
      min_vram_gb: figure,
      input_price: figure,
      output_price: figure,
      online_providers: figure,
      requirements: z.record(z.string(), z.unknown()).nullish().catch(undefined),
    }),
  ),
});
export type CatalogueModel = z.output<typeof catalogueSchema>['list'][number];

const demandSchema = z.looseObject({
  models: z.array(
    z.looseObject({
      model_id: z.string(),
      provider_input_price: figure,
      provider_output_price: figure,
      requests_24h: figure,
      online_providers: figure,
      est_daily_earnings: figure,
      est_entrant_daily_earnings: figure,
      demand_trend: text,
      min_vram_gb: figure,
    }),
  ),
});
export type Demand = z.output<typeof demandSchema>['models'][number];

const earningsSchema = z.looseObject({
  total_usd: figure,
  points: z
    .array(
      z.looseObject({
        timestamp: z.string(),
        usd: z.number().catch(0),
        requests: z.number().catch(0),
        tokens_in: z.number().catch(0),
        tokens_out: z.number().catch(0),
        models: z
          .record(z.string(), z.looseObject({ usd: z.number().catch(0), requests: z.number().catch(0) }))
          .catch({}),
      }),
    )
    .catch([]),
});
export type Earnings = z.output<typeof earningsSchema>;

const statsSchema = z.looseObject({
  total_inferences: figure,
  successful_inferences: figure,
  failed_inferences: figure,
  total_tokens: figure,
  total_earnings_usdc: figure,
  uptime_7d_percent: z.number().nullish().catch(undefined),
  last_connected: z.string().nullish().catch(undefined),
});
export type ProviderStats = z.output<typeof statsSchema>;

const detailsSchema = z.looseObject({
  models: z
    .array(
      z.looseObject({
        model_id: z.string(),
        capacity: figure,
        available: flag,
        offered: flag,
        total_requests: figure,
        throughput_tok_per_s: z.number().nullish().catch(undefined),
        recent_success_count: figure,
        recent_failure_count: figure,
        input_price: figure,
        output_price: figure,
      }),
    )
    .catch([]),
});
export type ModelDetails = z.output<typeof detailsSchema>['models'][number];

const meSchema = z.looseObject({
  id: text,
  name: text,
  status: text,
  owner_address: text,
  worker_address: text,
  beneficiary_address: text,
});
export type Me = z.output<typeof meSchema>;

const contractSchema = z.looseObject({
  chains: z
    .array(
      z.looseObject({
        chain_id: figure,
        chain_name: text,
        contract_address: text,
        token_address: text,
        token_symbol: text,
        token_decimals: figure,
        min_collateral: figure,
        rpc_url: text,
        explorer_url: text,
      }),
    )
    .catch([]),
});
export type CollateralChain = z.output<typeof contractSchema>['chains'][number];

const depositSchema = z.looseObject({ id: text, status: text, reason: text, amount: z.string().nullish() });
export type Deposit = z.output<typeof depositSchema>;

const address = z.string().regex(/^0x[0-9a-fA-F]{40}$/);
const settlementsSchema = z.looseObject({
  chain_id: z.number().int().positive(),
  contract: address,
  token: address,
  settlements: z.array(
    z.looseObject({
      batch: z.number().int().positive(),
      day: text,
      state: text,
      decimals: z.number().int().min(0).max(30),
    }),
  ),
});
export type Settlements = z.output<typeof settlementsSchema>;

const proofSchema = z.looseObject({
  batch: z.number().int().positive(),
  account: address,
  cumulative: z.string().regex(/^\d{1,78}$/),
  proof: z.array(z.string().regex(/^0x[0-9a-fA-F]{64}$/)).max(64),
});
export type Proof = z.output<typeof proofSchema>;

const appealSchema = z.looseObject({
  about: z.string(),
  kind: z.string(),
  asked_at: z.string(),
  state: z.string(),
  decided_because: z.string().nullish(),
});
const appealsSchema = z.looseObject({
  appeals: z.array(appealSchema),
  may_appeal: z
    .array(z.looseObject({ about: z.string(), kind: z.string(), at: z.string(), found: z.array(z.string()) }))
    .catch([]),
});
export type Appeals = z.output<typeof appealsSchema>;
const askedSchema = z.looseObject({ ...appealSchema.shape, known: flag });

/** Where things are at a market, as it says itself. */
const factsSchema = z.looseObject({
  version: text,
  api_base: text,
  hub: z.looseObject({ url: z.string().nullish(), port: z.number().int().min(1).max(65_535) }),
});
export type MarketFacts = z.output<typeof factsSchema>;

const sessionSchema = z.looseObject({
  token: z.string().min(1),
  user: z.looseObject({ account_type: text, provider_id: text }).optional().catch(undefined),
});
export interface SignedIn {
  readonly token: Sealed<string>;
  readonly isProvider: boolean;
}

export class Market {
  readonly url: string;
  readonly #base: URL;
  readonly #agent = new Agent({ connect: { timeout: 10_000 }, pipelining: 1 });

  /** `url` with or without `/api/v1`. Throws on what is no http address. */
  constructor(url: string) {
    let base: URL;
    try {
      base = new URL(url);
    } catch {
      throw new MarketError(`${url} is no address of a market, such as https://market.example.`);
    }
    if (base.protocol !== 'http:' && base.protocol !== 'https:')
      throw new MarketError(`${url} is no http:// or https:// address.`);
    base.pathname = base.pathname.replace(/\/+$/, '').replace(/\/api(\/v1)?$/, '');
    base.search = '';
    base.hash = '';
    this.#base = base;
    this.url = base.href.replace(/\/+$/, '');
  }

  /** Whether a market answers here. */
  async health(): Promise<void> {
    await this.#ask('GET', '/api/v1/health', z.unknown());
  }

  /** Where its hub is; undefined at a market that does not say. */
  async facts(): Promise<MarketFacts | undefined> {
    try {
      return await this.#ask('GET', '/api/v1/market', factsSchema);
    } catch {
      return undefined;
    }
  }

  /** Where the provider of this key stands. Answers, and does not throw, for a key that does not hold. */
  async standing(key: Sealed<string>): Promise<Standing> {
    return await this.#ask('GET', '/api/v1/provider/status', standingSchema, { token: key, anyStatus: true });
  }

  async logIn(email: string, password: Sealed<string>): Promise<SignedIn> {
    return signedIn(
      await this.#ask('POST', '/api/v1/user/login', sessionSchema, {
        body: { email, password: password.open() },
        timeoutMs: SIGN_IN_MS,
      }),
    );
  }

  async signUp(email: string, password: Sealed<string>, displayName: string): Promise<SignedIn> {
    return signedIn(
      await this.#ask('POST', '/api/v1/user/signup', sessionSchema, {
        body: { email, password: password.open(), display_name: displayName },
        timeoutMs: SIGN_IN_MS,
      }),
    );
  }

  /**
   * A key for this machine: the account becomes a provider's by it, or, being one already, gets a further key.
   * `wallet` is set only in the first case.
   */
  async providerKey(
    session: SignedIn,
    about: { name: string; keyName: string; wallet: string | undefined },
  ): Promise<Sealed<string>> {
    if (!session.isProvider) {
      try {
        const made = await this.#ask(
          'POST',
          '/api/v1/consumer/upgrade-to-provider',
          z.looseObject({ provider_api_key: z.string().min(1) }),
          { token: session.token, body: { name: about.name, wallet_address: about.wallet ?? '' } },
        );
        return new Sealed(made.provider_api_key);
      } catch (error) {
        if (!(error instanceof MarketError && error.message.includes('already a provider'))) throw error;
      }
    }
    const made = await this.#ask(
      'POST',
      '/api/v1/user/me/provider-keys',
      z.looseObject({ api_key: z.string().min(1) }),
      { token: session.token, body: { name: about.keyName } },
    );
    return new Sealed(made.api_key);
  }

  /** What is sold. */
  async catalogue(): Promise<CatalogueModel[]> {
    const { list } = await this.#ask('GET', '/api/v1/models?page_size=500', catalogueSchema);
    return list.filter(({ active }) => active !== false);
  }

  async demand(): Promise<Demand[]> {
    return (await this.#ask('GET', '/api/v1/stats/model-demand', demandSchema)).models;
  }

  async me(key: Sealed<string>): Promise<Me> {
    return await this.#ask('GET', '/api/v1/provider/me', meSchema, { token: key });
  }

  async setAddress(
    key: Sealed<string>,
    change: { owner_address?: string; beneficiary_address?: string },
  ): Promise<void> {
    await this.#ask('PUT', '/api/v1/provider/me', z.unknown(), { token: key, body: change });
  }

  async requestApproval(
    key: Sealed<string>,
    about: { provider_name: string; hardware_summary: string; contact_email: string },
  ): Promise<void> {
    await this.#ask('POST', '/api/v1/provider/request-approval', z.unknown(), { token: key, body: about });
  }

  async stats(key: Sealed<string>): Promise<ProviderStats> {
    return await this.#ask('GET', '/api/v1/provider/me/stats', statsSchema, { token: key });
  }

  async earnings(
    key: Sealed<string>,
    duration: '24h' | '7d' | '30d',
    bucket: '1h' | '1d',
  ): Promise<Earnings> {
    const path = `/api/v1/provider/me/earnings/history?duration=${duration}&bucket=${bucket}`;
    return await this.#ask('GET', path, earningsSchema, { token: key });
  }

  async modelDetails(key: Sealed<string>, providerId: string): Promise<ModelDetails[]> {
    const path = `/api/v1/providers/${encodeURIComponent(providerId)}/models/details`;
    return (await this.#ask('GET', path, detailsSchema, { token: key })).models;
  }

  /** Why requests come or do not, for one model or for all. */
  async why(key: Sealed<string>, model?: string): Promise<WhyPage> {
    const query = model === undefined ? '' : `?${new URLSearchParams({ model }).toString()}`;
    return await this.#ask('GET', `/api/v1/provider/why${query}`, whyPageSchema, { token: key });
  }

  async appeals(key: Sealed<string>): Promise<Appeals> {
    return await this.#ask('GET', '/api/v1/provider/appeals', appealsSchema, { token: key });
  }

  async askAppeal(key: Sealed<string>, about: string, reason: string): Promise<z.output<typeof askedSchema>> {
    return await this.#ask('POST', '/api/v1/provider/appeals', askedSchema, {
      token: key,
      body: { about, reason },
    });
  }

  async collateralChains(): Promise<CollateralChain[]> {
    return (await this.#ask('GET', '/api/v1/provider/collateral/contract', contractSchema)).chains;
  }

  async tellDeposit(
    key: Sealed<string>,
    deposit: { tx_hash: string; chain_id?: number } | { amount_usd: string },
  ): Promise<Deposit> {
    return await this.#ask('POST', '/api/v1/provider/collateral/deposit', depositSchema, {
      token: key,
      body: deposit,
    });
  }

  /** The batches of payouts; undefined where the market settles on no chain. */
  async settlements(): Promise<Settlements | undefined> {
    return await absent404(this.#ask('GET', '/api/v1/settlements', settlementsSchema));
  }

  /** What a batch promises to an account; undefined where that is nothing. */
  async proof(batch: number, account: string): Promise<Proof | undefined> {
    return await absent404(this.#ask('GET', `/api/v1/settlements/${batch}/proof/${account}`, proofSchema));
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #ask<T extends z.ZodType>(
    method: 'GET' | 'POST' | 'PUT',
    path: string,
    schema: T,
    about: { token?: Sealed<string>; body?: unknown; timeoutMs?: number; anyStatus?: boolean } = {},
  ): Promise<z.output<T>> {
    const { status, body } = await this.#send(method, path, about);
    if ((status < 200 || status > 299) && !about.anyStatus) throw refusal(this.url, status, body);
    // In an envelope or flat: both are in use.
    const inner = (body as { data?: unknown } | undefined)?.data;
    const parsed = schema.safeParse(inner ?? body);
    if (parsed.success && body !== undefined) return parsed.data;
    throw new MarketError(
      `What ${this.url}${path.split('?')[0]} answers (${status}) is not what a market answers. Is this a market?`,
      status,
    );
  }

  async #send(
    method: 'GET' | 'POST' | 'PUT',
    path: string,
    about: { token?: Sealed<string>; body?: unknown; timeoutMs?: number },
  ): Promise<{ status: number; body: unknown }> {
    const timeoutMs = about.timeoutMs ?? CALL_MS;
    let answer: Dispatcher.ResponseData;
    let whole = '';
    try {
      answer = await this.#agent.request({
        origin: this.#base.origin,
        path: `${this.#base.pathname.replace(/\/+$/, '')}${path}`,
        method,
        headers: {
          accept: 'application/json',
          ...(about.token && { authorization: `Bearer ${about.token.open()}` }),
          ...(about.body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(about.body === undefined ? {} : { body: JSON.stringify(about.body) }),
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
      });
      for await (const piece of answer.body as AsyncIterable<Buffer>) {
        whole += piece.toString();
        if (whole.length > ANSWER_BYTES_MAX) throw new Error('the answer is too large');
      }
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      throw new MarketError(`The market at ${this.url} does not answer: ${code ?? message}.`);
    }
    try {
      return { status: answer.statusCode, body: JSON.parse(whole) as unknown };
    } catch {
      return { status: answer.statusCode, body: undefined };
    }
  }
}

async function absent404<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof MarketError && error.status === 404) return undefined;
    throw error;
  }
}

function signedIn(session: z.output<typeof sessionSchema>): SignedIn {
  const { token, user } = session;
  return {
    token: new Sealed(token),
    isProvider: user?.account_type === 'provider' || Boolean(user?.provider_id),
  };
}

/** The sentence of an error body, in any of the shapes that markets use. */
function refusal(url: string, status: number, body: unknown): MarketError {
  const said = body as { error?: unknown; message?: unknown; msg?: unknown } | undefined;
  const inner = (said?.error as { message?: unknown } | undefined)?.message;
  const sentence = [said?.error, inner, said?.message, said?.msg].find(
    (each) => typeof each === 'string' && each !== '',
  ) as string | undefined;
  return new MarketError(sentence?.slice(0, 500) ?? `The market at ${url} answered ${status}.`, status);
}
