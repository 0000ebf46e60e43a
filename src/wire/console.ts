import { z } from 'zod';
import { parseUsd } from '#domain/money.ts';
import type { Amounts } from '#domain/price.ts';
import { parseDay } from '#domain/window.ts';
import { requirementsSchema } from './requirements.ts';

/**
 * The management API under `/api/v1`: what people's browsers, the Swan agent and our dashboard send, and what they get.
 * Requests are checked by these schemas; fields that are not in them are dropped, so nothing can be set that is not named
 * here. Answers are written to match the schemas, which tests and the dashboard read them with. Shapes and phrases that
 * the Swan agent depends on are its contract's, section 2.2.
 */

// ------------------------------------------------------------------------------------------------ what visitors send

/** One line of a person's text: trimmed, no control characters. */
const line = (most: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(most)
    .regex(/^[^\p{Cc}]*$/u, 'has control characters');

const email = z
  .string()
  .trim()
  .max(254)
  .regex(/^[^\s@]+@[^\s@]+\.[^\s@]+$/, 'is not an e-mail address')
  .regex(/^[^\p{Cc}]*$/u, 'has control characters');
/** Long enough to be worth hashing, short enough to be hashed. */
const newPassword = z.string().min(8, 'has fewer than 8 characters').max(200);
const password = z.string().min(1).max(200);
const NO_ADDRESS = 'is not an address: 0x and 40 hex digits';
/** Nobody has its key: what is paid to it is lost, and nothing can be proven of it. */
const ZERO_REFUSED = 'is the zero address, which is nobody’s';
const ZERO = /^0x0{40}$/;
/** An address on an EVM chain, lower-cased; empty means none. */
const address = z
  .string()
  .trim()
  .regex(/^0x[0-9a-fA-F]{40}$/, NO_ADDRESS)
  .refine((text) => !ZERO.test(text), ZERO_REFUSED)
  .transform((text) => text.toLowerCase());
const addressOrNone = z
  .string(NO_ADDRESS)
  .trim()
  .regex(/^(0x[0-9a-fA-F]{40})?$/, NO_ADDRESS)
  .refine((text) => !ZERO.test(text), ZERO_REFUSED)
  .nullish()
  .transform((text) => (text ? text.toLowerCase() : null));

const NO_DOLLARS = 'is not an amount of dollars such as 5 or 0.25';
/** An amount of dollars as a decimal text or a plain number of at most twelve decimals. */
const dollars = z
  .union([z.string(), z.number().nonnegative().max(1e9)], NO_DOLLARS)
  .transform((value) => (typeof value === 'number' ? decimal(value) : value.trim()))
  .refine((text) => /^\d{1,9}(\.\d{1,12})?$/.test(text), NO_DOLLARS);

export const logInRequest = z.object({
  email: z.string().max(300),
  password,
  /** Of whoever has a second factor: of the authenticator, or a recovery code. */
  code: z.string().max(40).optional(),
});
export const signUpRequest = z.object({
  email,
  password: newPassword,
  display_name: line(64).optional(),
});
export const passwordRequest = z.object({
  present_password: password,
  new_password: newPassword,
  /** Also revoke the keys that were made in the sessions that it ends. */
  revoke_keys: z.boolean().default(false),
});
/** Revokes every living key that was made at this moment or later. */
export const revocationsRequest = z.object({
  since: z.iso.datetime({ offset: true }).transform((text) => Date.parse(text)),
});
export const upgradeRequest = z.object({
  name: line(64),
  wallet_address: addressOrNone,
  worker_address: addressOrNone,
  beneficiary_address: addressOrNone,
  description: z.string().max(2_000).default(''),
});
export const providerKeyRequest = z.object({ name: line(64).default('Key') });
/** A wallet's text is asked for, and then its signature is handed in. */
export const walletChallengeRequest = z.object({
  purpose: z.enum(['owner', 'beneficiary']),
  address: address.transform((text) => text as `0x${string}`),
});
export const walletProofRequest = z.object({
  nonce: z.string().regex(/^[0-9a-z]{16,64}$/),
  // Of a key 65 bytes; a wallet that is a contract may want more.
  signature: z
    .string()
    .max(8_194)
    .regex(/^0x(?:[0-9a-fA-F]{2})+$/)
    .transform((text) => text as `0x${string}`),
});

export const providerSignUpRequest = z.object({ name: line(64), owner_address: address });
export const approvalRequest = z.object({
  provider_name: line(200),
  hardware_summary: z.string().max(2_000).default(''),
  contact_email: email,
});
export const providerChangeRequest = z
  .object({
    beneficiary_address: address.optional(),
    owner_address: address.optional(),
    worker_address: address.optional(),
  })
  .refine((change) => Object.values(change).some((value) => value !== undefined), 'names nothing to change');

const category = z.enum(['llm', 'image', 'audio', 'embedding', 'multimodal']);
/** Limits of a key; null takes a limit away, a field that is left out changes nothing. */
const keyLimits = {
  models: z.array(line(200)).min(1).max(200).nullable(),
  categories: z.array(category).min(1).max(5).nullable(),
  cap_day_usd: dollars.nullable(),
  cap_month_usd: dollars.nullable(),
  addresses: z.array(z.string().max(60)).min(1).max(100).nullable(),
  requests_per_minute: z.number().int().min(1).max(1_000_000_000).nullable(),
  expires_at: z.iso.datetime({ offset: true }).nullable(),
};
const someLimits = z.object(keyLimits).partial();
export const keyRequest = z.object({ name: line(200).default('Key'), ...someLimits.shape });
export const keyChangeRequest = z.object({ name: line(200).optional(), ...someLimits.shape });
export const rotationRequest = z.object({
  /** How long the old key goes on working: at most 30 days; zero ends it at once. */
  overlap_hours: z
    .number()
    .min(0)
    .max(24 * 30)
    .default(24),
});
export const providerMoveRequest = z.object({
  state: z.enum(['under_review', 'approved', 'activating', 'active', 'suspended', 'removed']),
  reason: z.string().max(1_000).default(''),
});

/** What the operator decides about a failed benchmark. */
export const appealRequest = z.object({
  decision: z.enum(['granted', 'rejected']),
  reason: z.string().max(1_000),
});
/** Why the operator clears what was found of a node's likeness. */
export const clearRequest = z.object({ reason: z.string().trim().min(1).max(1_000) });
/** What a provider appeals against: a failed run, or a finding or a charge that took from its pledge. */
export const appealWish = z.object({ about: line(200), reason: z.string().trim().min(1).max(1_000) });
/** Whose turns come now: of one node or model, or all of them. */
export const benchmarkRequest = z.object({
  node_id: z.string().max(200).optional(),
  model_id: z.string().max(200).optional(),
});
/** Dollars per million tokens, in whole pico-dollars per token. */
const perMillion = dollars
  .transform((text) => parseUsd(text))
  .refine((pico) => pico % 1_000_000n === 0n, 'has more than six decimals')
  .transform((pico) => pico / 1_000_000n);
const perPiece = dollars.transform((text) => parseUsd(text));
/** What a provider asks for a model. */
const askPrice = z.union(
  [
    z.strictObject({ input_price: perMillion, output_price: perMillion }).transform(
      ({ input_price, output_price }): Amounts => ({
        unit: 'token',
        inputPico: input_price,
        outputPico: output_price,
      }),
    ),
    z.strictObject({ request_price: perPiece, minute_price: perPiece.optional() }).transform(
      ({ request_price, minute_price }): Amounts => ({
        unit: 'request',
        requestPico: request_price,
        ...(minute_price !== undefined && { minutePico: minute_price }),
      }),
    ),
  ],
  'is not a price: input_price and output_price in dollars per million tokens (at most six decimals), or request_price',
);
export const askRequest = z.object({ model: line(200), ask: askPrice.nullable() });

/** An external endpoint to be registered. */
export const endpointRequest = z.object({
  name: line(200),
  url: z.string().min(1).max(500),
  api_key: z
    .string()
    .regex(
      /^[\x21\x23-\x5b\x5d-\x7e]{1,500}$/,
      'is not a key: 1 to 500 printable characters, without spaces or quotes',
    )
    .optional(),
  /** The most requests at once. */
  capacity: z.number().int().min(1).max(4_096).default(10),
  models: z
    .array(
      z.union([
        line(200).transform((model) => ({
          model,
          upstream_name: undefined,
          operations: undefined,
          ask: undefined,
        })),
        z.object({
          model: line(200),
          upstream_name: line(200).optional(),
          operations: z.array(z.string().max(40)).min(1).max(5).optional(),
          ask: askPrice.optional(),
        }),
      ]),
    )
    .min(1)
    .max(256),
});

/** A page of a list. */
export const pageQuery = z.object({
  page: z.coerce.number().int().min(1).max(100_000).default(1),
  page_size: z.coerce.number().int().min(1).max(500).default(50),
  category: category.optional().catch(undefined),
});
/** Dollars by card. */
export const cardCheckoutRequest = z.object({ amount_usd: dollars });
export const planRequest = z.object({ plan: z.enum(['free', 'pay-as-you-go', 'pro']) });
/** Tokens that were sent to the contract, told by the transaction; or dollars that are to come another way. */
export const collateralDepositRequest = z.union(
  [
    z.object({
      tx_hash: z
        .string()
        .trim()
        .regex(/^0x[0-9a-fA-F]{64}$/, 'is not a transaction: 0x and 64 hex digits')
        .transform((text): `0x${string}` => text.toLowerCase() as `0x${string}`),
      chain_id: z.number().int().positive().optional(),
    }),
    z.object({ amount_usd: dollars }),
  ],
  'needs a tx_hash (0x and 64 hex digits), or an amount_usd such as 5 or 0.25',
);
export const collateralRefundRequest = z.object({ amount_usd: dollars.optional() });

export const demandQuery = z.object({ category: z.string().max(40).optional() });
export const historyQuery = z.object({
  duration: z.enum(['24h', '7d', '30d']).default('24h'),
  bucket: z.enum(['1h', '1d']).optional(),
});
/** Which series of batches: payouts of earnings, or with `SWAN` those of rewards. */
export const settlementQuery = z.object({ asset: z.enum(['USD', 'SWAN']).default('USD') });
export const healthQuery = z.object({ duration: z.enum(['24h', '7d', '30d']).default('24h') });
export const economicsQuery = z.object({
  gpus_per_node: z.coerce.number().int().min(1).max(1_024).default(1),
});
export const whyQuery = z.object({ model: line(200).optional() });
export const listQuery = z.object({ limit: z.coerce.number().int().min(1).max(1_000).default(100) });

export const requestsQuery = z.object({
  ...listQuery.shape,
  consumer: z.string().max(200).optional(),
  /** Whether refused ones are among them. */
  refused: z.enum(['true', 'false']).default('true'),
});

const limitUpTo = (most: number) => z.number().int().min(1).max(most).nullable();

/** Terms of a tier; what is left out stays, and `null` takes a limit away. */
export const tierRequest = z
  .object({
    prompt_tokens_max: limitUpTo(100_000_000),
    output_tokens_max: limitUpTo(100_000_000),
    concurrent: limitUpTo(1_000_000),
    burst: limitUpTo(1_000_000),
    weight: z.number().int().min(1).max(1_000),
    queue_deadline_ms: z.number().int().min(0).max(600_000),
    retries_max: z.number().int().min(0).max(20).nullable(),
    smaller_model: z.enum(['before', 'after', 'never']),
    price_factor: z.number().int().min(10_000).max(1_000_000),
  })
  .partial()
  .strict();

/** Objectives of a tier to set; what is not named stays. Shares in parts per million. */
export const objectivesRequest = z
  .object({
    availability_ppm: z.number().int().min(500_000).max(999_999),
    ttft_p95_ms: z.number().int().min(1).max(600_000),
    ttlt_256_p95_ms: z.number().int().min(1).max(600_000),
    ttlt_512_p95_ms: z.number().int().min(1).max(600_000),
    server_errors_ppm: z.number().int().min(0).max(1_000_000),
    too_many_ppm: z.number().int().min(0).max(1_000_000),
  })
  .partial()
  .strict();

/** Places that are kept: a number of requests at once, or a share in basis points. */
export const reservationRequest = z
  .object({
    consumer: z.string().min(1).max(200),
    model: z.string().min(1).max(200),
    slots: z.number().int().min(1).max(100_000).optional(),
    share_basis_points: z.number().int().min(1).max(9_000).optional(),
    release_idle_s: z.number().int().min(1).max(86_400).nullable().default(null),
  })
  .strict()
  .refine((each) => (each.slots === undefined) !== (each.share_basis_points === undefined), {
    message: "needs either 'slots' or 'share_basis_points'",
    path: ['slots'],
  });

/** A day in UTC, such as `2026-11-26`; read as days since 1970. */
const day = z.string().transform((text, context) => {
  const read = parseDay(text);
  if (read === undefined) context.addIssue({ code: 'custom', message: 'is not a day such as 2026-11-26' });
  return read ?? 0;
});
const INSTANT_REFUSED = 'is not a time with its zone such as 2026-11-26T09:00Z';
const DAYS_MAX = 400;
/** Days, both included; the last thirty where they are left out. */
const range = { from: day.optional(), to: day.optional() };
const ordered = ({ from, to }: { from?: number | undefined; to?: number | undefined }): boolean =>
  from === undefined || to === undefined || (from <= to && to - from < DAYS_MAX);
const RANGE_REFUSED = `is no range: from is not after to, and it has at most ${DAYS_MAX} days`;
const tableFormat = { format: z.enum(['json', 'csv']).default('json') };

export const documentQuery = z.object({ format: z.enum(['json', 'csv', 'pdf']).default('json') });
const month = z.string().regex(/^\d{4}-(0[1-9]|1[0-2])$/, 'is not a month such as 2026-11');
export const documentsQuery = z.object({ ...listQuery.shape, month: month.optional() });
export const allDocumentsQuery = z.object({
  ...documentsQuery.shape,
  consumer: z.string().max(200).optional(),
});
/** A moment with its zone, such as `2026-11-26T09:00Z`; read as wall milliseconds. */
const instant = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2})$/, INSTANT_REFUSED)
  .transform((text, context) => {
    const read = Date.parse(text);
    if (Number.isNaN(read)) context.addIssue({ code: 'custom', message: INSTANT_REFUSED });
    return read;
  });
export const slaReportQuery = z.object({ format: z.enum(['json', 'html', 'pdf']).default('json') });
export const slaDataQuery = z
  .object({ from: instant, until: instant, ...tableFormat })
  .refine(({ from, until }) => until > from, 'is no window: until comes after from');
export const slaExclusionsQuery = z.object({ month: month.optional() });
export const slaExclusionRequest = z
  .strictObject({
    consumer: z.string().max(200).default(''),
    kind: z.enum(['customer-network', 'over-quota', 'force-majeure', 'above-tier-limits', 'misuse']),
    from: instant,
    until: instant,
    evidence: z.string().trim().min(1).max(1_000),
  })
  .refine(({ from, until }) => until > from, 'is no stretch: until comes after from');
export const slaAppealRequest = z.strictObject({
  decision: z.enum(['granted', 'rejected']),
  reason: z.string().trim().min(1).max(1_000),
});
export const rangeQuery = z.object(range).refine(ordered, RANGE_REFUSED);
export const providerEarningsQuery = z
  .object({ ...range, ...tableFormat, period: z.enum(['day', 'week', 'month']).default('day') })
  .refine(ordered, RANGE_REFUSED);
export const revenueQuery = z
  .object({ ...range, ...tableFormat, by: z.enum(['day', 'node', 'gpu']).default('day') })
  .refine(ordered, RANGE_REFUSED);

export type KeyLimitsRequest = z.output<typeof someLimits>;

/** A number as a plain decimal, never in exponent form. */
function decimal(value: number): string {
  return value.toFixed(12).replace(/\.?0+$/, '');
}

// --------------------------------------------------------------------------------------------------- what they get

const count = z.number().int().nonnegative();
const usd = z.number().nonnegative();
const time = z.iso.datetime();

/** Decimal texts of dollars, per million tokens or per request. */
const askAmounts = z.union([
  z.strictObject({ input_price: z.string(), output_price: z.string() }),
  z.strictObject({ request_price: z.string(), minute_price: z.string().optional() }),
]);
/** What the agents of a provider ask, where that is not the listed price. */
export const asksAnswer = z.strictObject({
  asks: z.array(z.strictObject({ model: z.string(), ask: askAmounts })),
});
export type AsksAnswer = z.infer<typeof asksAnswer>;

/** One external endpoint. Its key is never in it. */
export const endpointAnswer = z.strictObject({
  id: z.string(),
  name: z.string(),
  url: z.string(),
  has_key: z.boolean(),
  capacity: count,
  models: z.array(
    z.strictObject({
      model: z.string(),
      upstream_name: z.string(),
      operations: z.array(z.string()),
      /** Decimal texts of dollars, per million tokens or per request; null: the listed price. */
      ask: askAmounts.nullable(),
      /** Whether the endpoint lists it; null while that is not known. */
      listed: z.boolean().nullable(),
    }),
  ),
  health: z.enum(['unchecked', 'healthy', 'unhealthy']),
  because: z.string().nullable(),
  checked_at: time.nullable(),
  created_at: time,
});
export type EndpointAnswer = z.infer<typeof endpointAnswer>;

/** Call 1: flat, no envelope, also with status 401. */
export const providerStatusAnswer = z.strictObject({
  provider_id: z.string(),
  name: z.string(),
  status: z.string(),
  can_connect: z.boolean(),
  api_key_valid: z.boolean(),
  message: z.string(),
  warning: z.string().optional(),
  next_steps: z.array(z.string()),
  step: count,
  total_steps: count,
  step_label: z.string(),
  earnings_enabled: z.boolean(),
  error: z.string().optional(),
});

export const userAnswer = z.strictObject({
  id: z.string(),
  email: z.string(),
  display_name: z.string(),
  account_type: z.enum(['consumer', 'provider']),
  provider_id: z.string().optional(),
  roles: z.array(z.enum(['consumer', 'provider', 'operator'])),
});
/** Calls 2 and 3. */
export const sessionAnswer = z.strictObject({
  token: z.string().min(1),
  expires_at: time,
  user: userAnswer,
  api_key: z.string().optional(),
});
/** Call 4. */
export const upgradeAnswer = z.strictObject({
  provider_id: z.string(),
  provider_api_key: z.string().min(1),
  provider_key_prefix: z.string(),
  status: z.string(),
  can_connect: z.boolean(),
  message: z.string(),
  next_steps: z.array(z.string()),
});
/** Call 5. */
export const newProviderKeyAnswer = z.strictObject({
  api_key: z.string().min(1),
  provider_id: z.string(),
  message: z.string(),
});
/** Call 6. */
export const providerSignUpAnswer = z.strictObject({
  provider_id: z.string(),
  api_key: z.string().min(1),
  key_prefix: z.string(),
  status: z.string(),
  can_connect: z.boolean(),
  message: z.string(),
  warning: z.string().optional(),
  next_steps: z.array(z.string()),
});
/** Call 7. */
export const approvalAnswer = z.strictObject({
  provider_id: z.string(),
  status: z.string(),
  message: z.string(),
  requested_at: time,
});
/** Call 8. */
export const providerAnswer = z.strictObject({
  id: z.string(),
  name: z.string(),
  status: z.string(),
  owner_address: z.string(),
  worker_address: z.string(),
  beneficiary_address: z.string(),
  description: z.string(),
  created_at: time,
});

const envelope = <T extends z.ZodType>(data: T) =>
  z.strictObject({ code: z.literal(0), msg: z.string(), data });

/** Call 10. */
export const collateralContractAnswer = envelope(
  z.strictObject({
    chains: z.array(
      z.strictObject({
        chain_id: count,
        chain_name: z.string(),
        contract_address: z.string(),
        token_address: z.string(),
        token_symbol: z.string(),
        token_decimals: count,
        min_collateral: usd,
        rpc_url: z.string(),
        explorer_url: z.string(),
        faucet_url: z.string(),
      }),
    ),
  }),
);
/** Call 12. */
export const modelListAnswer = envelope(
  z.strictObject({
    list: z.array(
      z.strictObject({
        id: z.string(),
        slug: z.string(),
        name: z.string(),
        category: z.string(),
        active: z.boolean(),
        tier: z.string(),
        context_length: count,
        min_vram_gb: count,
        input_price: usd,
        output_price: usd,
        request_price: usd,
        online_providers: count,
        /** What its operator pins it to; null: to nothing. */
        requirements: requirementsSchema.nullable(),
      }),
    ),
    total: count,
    page: count,
    page_size: count,
  }),
);
/** Call 13. */
export const catalogueAnswer = envelope(
  z.strictObject({
    models: z.array(
      z.strictObject({
        model_id: z.string(),
        name: z.string(),
        category: z.string(),
        file_count: count,
        total_size_bytes: count,
        weight_source_url: z.string().optional(),
      }),
    ),
    total: count,
  }),
);
/** Call 14. */
export const modelFilesAnswer = envelope(
  z.strictObject({
    model_id: z.string(),
    files: z.array(
      z.strictObject({
        filename: z.string(),
        hash: z.string(),
        algorithm: z.string(),
        size_bytes: count,
        url: z.string(),
      }),
    ),
    total_size_bytes: count,
    file_count: count,
  }),
);
/** Call 15; section 2.4. Prices are dollars per 1,000,000 tokens. Null where nothing was measured. */
export const demandAnswer = envelope(
  z.strictObject({
    models: z.array(
      z.strictObject({
        model_id: z.string(),
        model_name: z.string(),
        category: z.string(),
        tier: z.string(),
        input_price: usd,
        output_price: usd,
        provider_input_price: usd,
        provider_output_price: usd,
        request_price: usd,
        provider_request_price: usd,
        online_providers: count,
        requests_24h: count,
        tokens_24h: count,
        revenue_24h: usd,
        avg_latency_ms: z.number().nonnegative().nullable(),
        demand_trend: z.enum(['up', 'down', 'stable']),
        demand_change_pct: z.number(),
        min_vram_gb: count,
        vram_known: z.boolean(),
        est_daily_earnings: usd,
        est_entrant_daily_earnings: usd,
        entrant_basis: z.string(),
        plan_covered: z.boolean(),
        subscription_share: z.number(),
        long_context_share: z.number(),
        context_length: count,
        prompt_tokens_p50: count.nullable(),
        prompt_tokens_p95: count.nullable(),
        prompt_tokens_max: count.nullable(),
        total_tokens_p95: count.nullable(),
      }),
    ),
  }),
);
/** Call 16. `uptime_7d_percent` is null while the market has measured nothing of those days. */
export const providerStatsAnswer = z.strictObject({
  total_inferences: count,
  successful_inferences: count,
  failed_inferences: count,
  total_input_tokens: count,
  total_output_tokens: count,
  total_tokens: count,
  total_earnings_usdc: usd,
  uptime_7d_percent: z.number().nullable(),
  last_connected: time.nullable(),
});
const earned = {
  usd,
  pay_as_you_go_usd: usd,
  subscription_usd: usd,
  tokens_in: count,
  tokens_out: count,
  requests: count,
};
/** Call 17; section 2.5. */
export const earningsAnswer = z.strictObject({
  points: z.array(
    z.strictObject({ timestamp: time, ...earned, models: z.record(z.string(), z.strictObject(earned)) }),
  ),
  currency: z.literal('USD'),
  bucket_seconds: count,
  duration_seconds: count,
  from: time,
  to: time,
  total_usd: usd,
  total_pay_as_you_go_usd: usd,
  total_subscription_usd: usd,
  subscription_pro_rate: z.record(z.string(), z.unknown()),
});
/** Call 18; section 2.6. */
export const providerModelsAnswer = z.strictObject({
  models: z.array(
    z.strictObject({
      model_id: z.string(),
      model_name: z.string(),
      context_length: count,
      context_source: z.string(),
      input_price: usd,
      output_price: usd,
      capacity: count,
      available: z.boolean(),
      total_requests: count,
      total_tokens: count,
      throughput_tok_per_s: z.number().nonnegative().nullable(),
      plan_covered: z.boolean(),
      recent_success_count: count,
      recent_failure_count: count,
      success_count: count,
      failure_count: count,
      last_request_at: time.optional(),
      offered: z.boolean(),
    }),
  ),
});

/** What a provider's models bring, from real demand. Amounts are dollars, for display. */
export const economicsAnswer = z.strictObject({
  provider_id: z.string(),
  /** Of the last 24 hours. */
  earned_usd: usd,
  gpu_hours: z.number().nonnegative(),
  gpus_per_node: count,
  usd_per_gpu_hour: usd.nullable(),
  models: z.array(
    z.strictObject({
      model_id: z.string(),
      offered: z.boolean(),
      /** What consumers pay you for: your ask, else the list. */
      price: z.strictObject({ input_price: usd, output_price: usd, request_price: usd }),
      /** Of all providers of the model, and yours. */
      requests_24h: count,
      own_requests_24h: count,
      paid_to_providers_24h_usd: usd,
      own_earned_24h_usd: usd,
      online_providers: count,
      expected_daily_usd: usd,
      expected_basis: z.enum(['own-share', 'even-share']),
      demand_trend: z.enum(['up', 'down', 'stable']),
      /** An hour of nothing but generating, at the speed measured: your part of it. Null where no speed is known. */
      full_hour_usd: usd.nullable(),
      tokens_per_s: z.number().nonnegative().nullable(),
    }),
  ),
});
export type EconomicsAnswer = z.output<typeof economicsAnswer>;

const share = z.number().min(0).max(1).nullable();
/** How a provider fares: what it is judged by, model by model, and its latest sessions. */
export const providerHealthAnswer = z.strictObject({
  provider_id: z.string(),
  uptime_7d: share,
  uptime_30d: share,
  /** Of attempts in 30 days; null where there were none, or nothing was judged yet. */
  success_30d: share,
  /** Success, the newer the heavier, times uptime. */
  score: share,
  /** It stands behind others because of `misses`, unless it is in its first week. */
  behind: z.boolean(),
  in_grace: z.boolean(),
  misses: z.array(z.string()),
  window_s: count,
  models: z.array(
    z.strictObject({
      model_id: z.string(),
      /** Attempts in whole days; requests in the window. */
      attempts_served: count,
      attempts_failed: count,
      requests: count,
      failures: count,
      disconnects: count,
      success_rate: share,
      ttft_p50_ms: count.nullable(),
      ttft_p95_ms: count.nullable(),
      ttft_p99_ms: count.nullable(),
      tokens_per_s: z.number().nonnegative().nullable(),
    }),
  ),
  sessions: z.array(
    z.strictObject({
      node_id: z.string(),
      mode: z.enum(['websocket', 'external']),
      connected_at: time,
      last_heard_at: time,
      ended_at: time.nullable(),
      why: z.string().nullable(),
      requests_lost: count,
    }),
  ),
});
export type ProviderHealthAnswer = z.output<typeof providerHealthAnswer>;

const gateView = z.strictObject({
  gate: z.string(),
  /** Null where an earlier step leaves nothing to look at. */
  passes: z.boolean().nullable(),
  found: z.string(),
  wanted: z.string(),
});
const amount = z.strictObject({ input_price: usd, output_price: usd, request_price: usd });
const routingFigures = {
  success_rate: z.number(),
  ttft_ms: z.number().nonnegative().nullable(),
  tokens_per_s: z.number().nonnegative().nullable(),
  load: z.number().nonnegative(),
  overclaim: z.number(),
  price: amount,
};
/** Where things are at this market, for programs that know only its address. */
export const marketFacts = z.strictObject({
  version: z.string(),
  /** The absolute address of this API; null where the operator has not named the market's public address. */
  api_base: z.url().nullable(),
  hub: z.strictObject({
    /** What agents dial; null where the operator has not named it: then it is this host, at `port`. */
    url: z.string().nullable(),
    port: z.number().int(),
    /** Whether the port itself speaks TLS. */
    tls: z.boolean(),
  }),
  sign_up: z.enum(['open', 'closed']),
  /** The chain of a market that is only tried, on its own machine; null everywhere else. */
  trial: z.strictObject({ chain_id: z.number().int(), rpc_url: z.url() }).nullable(),
});
/** Test tokens, for a wallet or (without an address) for one's own balance. */
export const testTokensRequest = z.strictObject({
  address: z
    .string()
    .regex(/^0x[0-9a-fA-F]{40}$/, 'is no address')
    .optional(),
});
const appealKind = z.enum(['benchmark', 'slash', 'service-level']);
const appealAnswer = z.strictObject({
  about: z.string(),
  kind: appealKind,
  reason: z.string(),
  asked_at: time,
  state: z.enum(['asked', 'granted', 'rejected']),
  /** The operator's words; null while there are none. */
  decided_because: z.string().nullable(),
  decided_at: time.nullable(),
});
export type AppealAnswer = z.output<typeof appealAnswer>;
export const appealAsked = z.strictObject({ ...appealAnswer.shape, known: z.boolean() });
/** A provider's appeals, and what it may still appeal against. */
export const appealsAnswer = z.strictObject({
  appeals: z.array(appealAnswer),
  may_appeal: z.array(
    z.strictObject({
      about: z.string(),
      kind: appealKind,
      at: time,
      found: z.array(z.string()),
    }),
  ),
});
const lastProbe = z.strictObject({
  at: time,
  ok: z.boolean(),
  because: z.string().nullable(),
  ttft_ms: z.number().nonnegative().nullable(),
});
const lastBenchmark = z.strictObject({
  run: z.string(),
  node_id: z.string(),
  at: time,
  passed: z.boolean(),
  /** What it lacked. */
  shortcomings: z.array(z.string()),
  math: z.string(),
  code: z.string(),
  ttft_ms: z.number().nonnegative().nullable(),
  tokens_per_s: z.number().nonnegative(),
  /** What became of an appeal against it; null when there was none. */
  appeal: z.enum(['asked', 'granted', 'rejected']).nullable(),
});
/** Why a provider gets traffic, or none: every gate, its place, and what would put it in front. */
export const whyAnswer = z.strictObject({
  provider_id: z.string(),
  status: z.string(),
  /** What holds for all its models: state, connection, collateral. */
  steps: z.array(gateView),
  strategy: z.string().nullable(),
  models: z.array(
    z.strictObject({
      model_id: z.string(),
      /** In one sentence. */
      summary: z.string(),
      serving: z.boolean(),
      steps: z.array(gateView),
      candidates: count,
      may_serve: count,
      panic: z.boolean(),
      /** The provider's best among those that may serve; null when none may. */
      rank: count.nullable(),
      nodes: z.array(
        z.strictObject({
          node_id: z.string(),
          mode: z.enum(['websocket', 'external']),
          /** The gate that turns requests away; null when it may serve. */
          verdict: z.string().nullable(),
          gates: z.array(gateView),
          rank: count.nullable(),
          score: z.number().nullable(),
          /** Why it stands behind others of its kind. */
          behind: z.string().nullable(),
          trial: z.boolean(),
          ...routingFigures,
          last_served_s_ago: z.number().nonnegative().nullable(),
          last_judged_s_ago: z.number().nonnegative().nullable(),
          /** What this process last found when it asked this node by itself. */
          last_probe: lastProbe.nullable(),
          last_benchmark: lastBenchmark.nullable(),
        }),
      ),
      nodes_not_shown: count,
      /** The latest of any node of the provider, connected or not. */
      last_benchmark: lastBenchmark.nullable(),
      to_lead: z
        .strictObject({
          decides: z.enum(['nothing', 'order', 'score']),
          leader: z.strictObject({ ...routingFigures, score: z.number().nullable() }).nullable(),
          ttft_ms: z.number().nonnegative().nullable(),
          price_below: amount.nullable(),
        })
        .nullable(),
      wishes: z.array(z.strictObject({ wish: z.string(), passes: z.boolean(), found: z.string() })),
    }),
  ),
});
export type WhyAnswer = z.output<typeof whyAnswer>;

/** What a provider was rewarded. Amounts are decimal text in the asset's smallest unit; scores are of 10^12. */
export const rewardsAnswer = z.strictObject({
  asset: z.literal('SWAN'),
  decimals: count,
  payable: z.string(),
  vesting: z.string(),
  days: z.array(
    z.strictObject({
      day: z.iso.date(),
      phase: z.union([z.literal(1), z.literal(2), z.literal(3)]),
      pool: z.string(),
      excluded: z.enum(['not-active', 'low-uptime']).nullable(),
      score: z.string(),
      weight: z.string(),
      basic_income: z.string(),
      contribution: z.string(),
      availability_bonus: z.string(),
      liquid: z.string(),
      locked: z.string(),
      vests_on: z.iso.date(),
      vested: z.boolean(),
      measured: z.strictObject({
        hardware_tier: z.number(),
        inferences: count,
        tokens: count,
        succeeded: count,
        failed: count,
        avg_latency_ms: count,
        models_served: count,
        minutes_online_7d: count,
        minutes_online_30d: count,
        market_minutes_7d: count,
        market_minutes_30d: count,
      }),
    }),
  ),
});
export type RewardsAnswer = z.output<typeof rewardsAnswer>;

/** A key as its owner sees it; never the secret. */
export const keyAnswer = z.strictObject({
  id: z.string(),
  name: z.string(),
  prefix: z.string(),
  status: z.enum(['active', 'revoked', 'expired']),
  created_at: time,
  last_used_on: z.string().nullable(),
  revoked_at: time.nullable(),
  expires_at: time.nullable(),
  rotated_from: z.string().nullable(),
  models: z.array(z.string()).nullable(),
  categories: z.array(category).nullable(),
  cap_day_usd: z.string().nullable(),
  cap_month_usd: z.string().nullable(),
  addresses: z.array(z.string()).nullable(),
  requests_per_minute: count.nullable(),
  /** The session that it was made in, and from where; null: none made it, or that was not noted yet. */
  made_in: z.strictObject({ session: z.string(), address: z.string(), program: z.string() }).nullable(),
});
export const revocationsAnswer = z.strictObject({ revoked: z.array(z.string()) });

export type ProviderStatusAnswer = z.output<typeof providerStatusAnswer>;
export type SessionAnswer = z.output<typeof sessionAnswer>;
export type UserAnswer = z.output<typeof userAnswer>;
export type ProviderAnswer = z.output<typeof providerAnswer>;
export type DemandAnswer = z.output<typeof demandAnswer>;
export type EarningsAnswer = z.output<typeof earningsAnswer>;
export type ProviderModelsAnswer = z.output<typeof providerModelsAnswer>;
export type ProviderStatsAnswer = z.output<typeof providerStatsAnswer>;
export type KeyAnswerBody = z.output<typeof keyAnswer>;
export type AppealsAnswer = z.output<typeof appealsAnswer>;
export type CollateralContractAnswer = z.output<typeof collateralContractAnswer>;
export type MarketFacts = z.output<typeof marketFacts>;
export type UpgradeAnswer = z.output<typeof upgradeAnswer>;
