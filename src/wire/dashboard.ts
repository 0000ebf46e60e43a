import { z } from 'zod';

/**
 * What the dashboard is told, beside what every program is (`console.ts`): one schema for each answer, so that server, tests
 * and pages read the same shape. Money is decimal text of dollars unless a field says otherwise; moments are ISO 8601 in UTC.
 */
const count = z.number().int().nonnegative();
const time = z.iso.datetime();
/** Dollars in full: `0.0000125`. */
const money = z.string().regex(/^-?\d+(\.\d+)?$/);

// ------------------------------------------------------------------------------------------------ signing in

/** A session alone, which may be stolen, changes nothing about signing in: each step takes the password. */
export const factorBeginRequest = z.object({ password: z.string().min(1).max(200) });
export const factorCodeRequest = factorBeginRequest.extend({ code: z.string().min(1).max(40) });
export const factorConfirmRequest = factorCodeRequest.extend({ revoke_keys: z.boolean().default(false) });
/** Whether what was made in the sessions that end is revoked too. */
export const sessionEndQuery = z.object({ revoke_keys: z.enum(['true', 'false']).default('false') });
/** What ended with sessions: the keys that were made in them go on, unless they were revoked. */
const signOutBody = { keys_made: count, keys_revoked: count } as const;
export const sessionsEndedAnswer = z.strictObject({ ended: count, ...signOutBody });
export const factorAnswer = z.strictObject({
  enabled: z.boolean(),
  since: time.nullable(),
  recovery_codes_left: count,
  /** When somebody who knew the password showed a wrong code last. */
  last_wrong_code_at: time.nullable(),
  /** Until then no code of the authenticator is looked at; recovery codes are. */
  locked_until: time.nullable(),
});
/** To be shown as a QR code and as text, this once. */
export const factorBeginAnswer = z.strictObject({
  secret: z.string(),
  uri: z.string().startsWith('otpauth://'),
});
export const factorConfirmedAnswer = z.strictObject({
  enabled: z.literal(true),
  recovery_codes: z.array(z.string()),
  ...signOutBody,
});
export const sessionsAnswer = z.strictObject({
  sessions: z.array(
    z.strictObject({
      id: z.string(),
      created_at: time,
      expires_at: time,
      address: z.string(),
      program: z.string(),
      /** The one that asks. */
      current: z.boolean(),
    }),
  ),
});

// ------------------------------------------------------------------------------------------------ a consumer's usage

const name = z.string().trim().min(1).max(200);
export const overviewQuery = z.object({
  duration: z.enum(['24h', '7d', '30d', '90d']).default('7d'),
  bucket: z.enum(['1h', '6h', '1d']).optional(),
});
const moment = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));
/** A stretch of time; the last thirty days where it is left out. */
const stretch = { from: moment.optional(), until: moment.optional() };
export const usageByQuery = z.object({
  group: z.enum(['model', 'key', 'day']).default('model'),
  format: z.enum(['json', 'csv']).default('json'),
  ...stretch,
});
const OUTCOMES = ['completed', 'cancelled', 'broken', 'failed', 'refused'] as const;
export const requestsQuery = z.object({
  model: name.optional(),
  key: name.optional(),
  outcome: z.enum(OUTCOMES).optional(),
  /** The `next` of the page before. */
  before: name.optional(),
  limit: z.coerce.number().int().min(1).max(500).default(50),
  ...stretch,
});
export const movementsQuery = z.object({
  format: z.enum(['json', 'csv']).default('json'),
  limit: z.coerce.number().int().min(1).max(5_000).default(500),
  ...stretch,
});

const sums = {
  requests: count,
  failed: count,
  input_tokens: count,
  output_tokens: count,
  /** What the balance paid, refunds taken off, and what the plan paid. */
  spend_usd: money,
  covered_usd: money,
  ttft_p50_ms: count.nullable(),
  ttft_p95_ms: count.nullable(),
};
export const overviewAnswer = z.strictObject({
  from: time,
  until: time,
  bucket_seconds: count,
  totals: z.strictObject(sums),
  /** The same length of time before `from`. */
  before: z.strictObject(sums),
  /** Every bucket of the stretch, also those without a request. */
  buckets: z.array(z.strictObject({ at: time, ...sums })),
});
export const usageByAnswer = z.strictObject({
  from: time,
  until: time,
  group: z.enum(['model', 'key', 'day']),
  /** `id`: the model, the key's id, or the day; `name`: of a key. */
  rows: z.array(z.strictObject({ id: z.string(), name: z.string().nullable(), ...sums })),
});
/** `refused`: nobody was asked, and nothing was charged. No sum has it in it. */
const requestLine = {
  id: z.string(),
  at: time,
  key_id: z.string(),
  key_name: z.string().nullable(),
  /** Null where it was refused before it was known which. */
  model: z.string().nullable(),
  operation: z.string(),
  outcome: z.enum(OUTCOMES),
  error: z.string().nullable(),
  streamed: z.boolean(),
  input_tokens: count,
  output_tokens: count,
  charge_usd: money,
  ttft_ms: z.number().nonnegative().nullable(),
  total_ms: z.number().nonnegative(),
};
export const requestsAnswer = z.strictObject({
  requests: z.array(z.strictObject(requestLine)),
  /** Where the next page begins; null when this is the last. */
  next: z.string().nullable(),
});
export const requestAnswer = z.strictObject({
  ...requestLine,
  /** The provider's name; null when nobody served. */
  provider: z.string().nullable(),
  connection_mode: z.enum(['websocket', 'external']).nullable(),
  attempts: count,
  images_or_recordings: count,
  seconds_of_sound: count,
  /** Milliseconds from acceptance: until the first token, and while tokens came. Null where there was no first token. */
  timing: z.strictObject({
    until_first_token_ms: z.number().nonnegative().nullable(),
    generation_ms: z.number().nonnegative().nullable(),
    total_ms: z.number().nonnegative(),
    tokens_per_s: z.number().nonnegative().nullable(),
  }),
  /** How it was served; all null for requests of long ago. */
  served: z.strictObject({
    tier: z.string().nullable(),
    queue_ms: z.number().nonnegative().nullable(),
    region: z.string().nullable(),
    at_fault: z.enum(['caller', 'provider', 'platform']).nullable(),
    fallback_used: z.enum(['smaller-model', 'other-model', 'endpoint']).nullable(),
    /** Every attempt in the order of time; times in milliseconds from acceptance. */
    route: z
      .array(
        z.strictObject({
          attempt: z.string(),
          model: z.string(),
          provider: z.string().nullable(),
          connection_mode: z.enum(['websocket', 'external']),
          region: z.string().nullable(),
          result: z.string(),
          started_ms: z.number().nonnegative(),
          took_ms: z.number().nonnegative(),
        }),
      )
      .nullable(),
  }),
  /** Null for a request that was refused. */
  price: z.strictObject({ id: z.string(), policy: z.string() }).nullable(),
  money: z.strictObject({
    charged_usd: money,
    refunded_usd: money,
    covered_by_plan_usd: money,
    /** Of what was paid in the end: these four add up to it. */
    split: z.strictObject({
      provider_usd: money,
      fee_usd: money,
      treasury_usd: money,
      burn_usd: money,
    }),
  }),
});
export const movementsAnswer = z.strictObject({
  from: time,
  until: time,
  /** Newest first; charges are summed up by day (UTC). */
  movements: z.array(z.strictObject({ id: z.string(), kind: z.string(), at: time, amount_usd: money })),
});

export type OverviewAnswer = z.output<typeof overviewAnswer>;
export type UsageByAnswer = z.output<typeof usageByAnswer>;
export type RequestsAnswer = z.output<typeof requestsAnswer>;
export type RequestAnswer = z.output<typeof requestAnswer>;
export type MovementsAnswer = z.output<typeof movementsAnswer>;
// ------------------------------------------------------------------------------------------------ operators

const reason = z.string().trim().max(1_000);
const reference = z
  .string()
  .trim()
  .regex(/^[\w.:-]{4,120}$/, 'is 4 to 120 letters, digits, or . : - _');
const usdText = z
  .string()
  .trim()
  .regex(/^\d{1,9}(\.\d{1,12})?$/, 'is not an amount of dollars such as 5 or 0.25');

export const consumersQuery = z.object({
  q: z.string().trim().max(200).optional(),
  suspended: z.enum(['true', 'false']).optional(),
  before: name.optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
});
/** Business, too, which nobody can choose for itself. */
export const operatorPlanRequest = z.object({ plan: z.enum(['free', 'pay-as-you-go', 'pro', 'business']) });
export const suspensionRequest = z.object({ suspended: z.boolean(), reason: reason.default('') });
/** Credit that the market gives. The reference makes a repeat harmless. */
export const creditRequest = z.object({ amount_usd: usdText, reference });
export const paymentRequest = z.object({
  method: z.enum(['bank', 'paypal']),
  amount_usd: usdText,
  reference,
});
/** Paying out by hand. `dry_run` tells what it would pay and does nothing. */
export const settleRequest = z.strictObject({
  asset: z.enum(['USD', 'SWAN']).default('USD'),
  until: z.string().regex(/^\d{4}-\d\d-\d\d$/, 'is no day such as 2026-11-26'),
  /** Dollars that are owed at least; as the market has it unless said. */
  minimum_usd: usdText.optional(),
  dry_run: z.boolean().default(false),
});
export const settleAnswer = z.strictObject({
  dry_run: z.boolean(),
  until: z.string(),
  /** Null where nothing is due, and in a rehearsal. */
  batch: z.number().int().nullable(),
  decimals: z.number().int(),
  /** In the token's smallest unit. */
  increase: z.string(),
  payouts: z.number().int(),
  carried_over: z.array(
    z.strictObject({
      provider: z.string(),
      name: z.string().nullable(),
      reason: z.enum(['in-debt', 'below-minimum', 'without-wallet', 'below-a-unit']),
      /** In the token's smallest unit for rewards; dollars for earnings. */
      owed: z.string(),
    }),
  ),
});
export type SettleAnswer = z.output<typeof settleAnswer>;
export const collateralConfirmRequest = z.object({ reference, amount_usd: usdText.optional() });
export const rejectionRequest = z.object({ reason: reason.min(1) });
export const priceProposalRequest = z.object({
  model: name,
  /** Dollars per million tokens, or per request (and per minute of sound). */
  input_price: usdText.optional(),
  output_price: usdText.optional(),
  request_price: usdText.optional(),
  minute_price: usdText.optional(),
  effective_from: moment.optional(),
  /** Also where it changes by more than a hundred times. */
  force: z.boolean().default(false),
});
export const priceConfirmRequest = z.object({ token: z.string().regex(/^[0-9a-f]{32}$/) });
export const logQuery = z.object({
  about: name.optional(),
  actor: name.optional(),
  /** A part of what was done, such as `price` or `DELETE`. */
  what: name.optional(),
  /** `open`: nobody wrote down how it ended. */
  outcome: z.enum(['done', 'refused', 'failed', 'open']).optional(),
  before: name.optional(),
  limit: z.coerce.number().int().min(1).max(500).default(100),
});
export const burnRequest = z.object({
  tx_hash: z
    .string()
    .regex(/^0x[0-9a-fA-F]{64}$/, 'is not a transaction: 0x and 64 hex digits')
    .transform((text) => text.toLowerCase() as `0x${string}`),
  spent_usd: usdText.optional(),
});

const consumerLine = {
  id: z.string(),
  name: z.string(),
  email: z.string().nullable(),
  plan: z.string(),
  keys: count,
  created_at: time,
  suspended_at: time.nullable(),
  suspended_because: z.string(),
  balance_usd: money,
  held_usd: money,
  spent_30d_usd: money,
};
export const consumersAnswer = z.strictObject({
  consumers: z.array(z.strictObject(consumerLine)),
  next: z.string().nullable(),
});
export const consumerAnswer = z.strictObject({
  consumer: z.strictObject(consumerLine),
  usage_30d: z.strictObject(sums),
  deposits: z.array(
    z.strictObject({
      id: z.string(),
      method: z.string(),
      status: z.string(),
      value_usd: money.nullable(),
      received_at: time,
    }),
  ),
});
const amounts = z.strictObject({
  /** Dollars per million tokens, or per request and per minute of sound. */
  input_price: money.nullable(),
  output_price: money.nullable(),
  request_price: money.nullable(),
  minute_price: money.nullable(),
});
export type PriceAmounts = z.output<typeof amounts>;
const proposal = {
  id: z.string(),
  model: z.string(),
  price: amounts,
  effective_from: time.nullable(),
  proposed_by: z.string(),
  proposed_at: time,
  expires_at: time,
};
export const proposalAnswer = z.strictObject({
  ...proposal,
  /** The price that would be followed, and what is odd about the change. */
  before: amounts.nullable(),
  warning: z.string().nullable(),
  /** Confirms it; shown this once. */
  token: z.string(),
});
export const proposalsAnswer = z.strictObject({ proposals: z.array(z.strictObject(proposal)) });
export const priceSetAnswer = z.strictObject({
  model: z.string(),
  price_id: z.string(),
  effective_from: time,
});
export const operatorPricesAnswer = z.strictObject({
  model: z.string(),
  in_force: z.string(),
  prices: z.array(
    z.strictObject({
      id: z.string(),
      price: amounts,
      effective_from: time,
      set_at: time,
      source: z.string(),
    }),
  ),
});
export const logAnswer = z.strictObject({
  actions: z.array(
    z.strictObject({
      id: z.string(),
      at: time,
      actor: z.string(),
      email: z.string().nullable(),
      what: z.string(),
      about: z.string(),
      address: z.string(),
      asked: z.record(z.string(), z.unknown()),
      /** Null: it began, and nobody wrote down how it ended. */
      outcome: z.enum(['done', 'refused', 'failed']).nullable(),
      code: z.string().nullable(),
      before: z.unknown(),
      after: z.unknown(),
    }),
  ),
  next: z.string().nullable(),
});
export const batchAnswer = z.strictObject({
  batch: count,
  day: z.string(),
  state: z.enum(['pending', 'submitted', 'confirmed', 'revoked']),
  decimals: count,
  /** In the token's smallest unit. */
  increase: z.string(),
  total: z.string(),
  root: z.string(),
  chain_id: count,
  contract: z.string(),
  token: z.string(),
  /** In their order; `at` is null where nobody noted when. */
  steps: z.array(
    z.strictObject({
      step: z.enum([
        'cut',
        'batch',
        'published',
        'verified',
        'funded',
        'submitted',
        'confirmed',
        'in-force',
        'collected',
      ]),
      done: z.boolean(),
      at: time.nullable(),
      detail: z.string(),
      /** That it took, in the order in which they were signed. `outcome` is null while no block has one. */
      transactions: z.array(
        z.strictObject({
          hash: z.string(),
          block: z.string().nullable(),
          outcome: z.enum(['done', 'reverted', 'displaced']).nullable(),
          signed_at: time,
        }),
      ),
    }),
  ),
  /** What providers took of what this batch promised, as far as the market has read the chain. */
  collected: z.strictObject({ accounts: count, of: count, units: z.string() }),
  verifier: z.strictObject({ ok: z.boolean(), accounts: count, findings: z.array(z.string()) }),
  payouts: z.array(
    z.strictObject({
      provider: z.string(),
      name: z.string().nullable(),
      account: z.string(),
      units: z.string(),
      /** Null of rewards, which are no dollars. */
      paid_usd: money.nullable(),
    }),
  ),
  held_by: z.string().nullable(),
});
export const approvalsAnswer = z.strictObject({
  approvals: z.array(
    z.strictObject({
      provider: z.string(),
      name: z.string(),
      status: z.string(),
      since: time,
      nodes: count,
      /** What it asked with, where it asked. */
      asked: z.strictObject({ hardware: z.string(), contact: z.string(), at: time }).nullable(),
    }),
  ),
});

export type ConsumersAnswer = z.output<typeof consumersAnswer>;
export type ConsumerAnswer = z.output<typeof consumerAnswer>;
export type ProposalAnswer = z.output<typeof proposalAnswer>;
export type ProposalsAnswer = z.output<typeof proposalsAnswer>;
export type PriceSetAnswer = z.output<typeof priceSetAnswer>;
export type OperatorPricesAnswer = z.output<typeof operatorPricesAnswer>;
export type LogAnswer = z.output<typeof logAnswer>;
export type BatchAnswer = z.output<typeof batchAnswer>;
export type ApprovalsAnswer = z.output<typeof approvalsAnswer>;
// ------------------------------------------------------------------------------------------------ live events

/** Topics with commas between; all that the caller may hear where they are left out. */
export const eventsQuery = z.object({
  topics: z
    .string()
    .max(200)
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(['balance', 'usage', 'nodes', 'incidents', 'settlement', 'operator'])).max(6))
    .optional(),
  /** `true`: how things are now, and then the stream ends. */
  once: z.enum(['true', 'false']).default('false'),
});
/** `event: balance`, when the consumer's balance or what is held of it is another. */
export const balanceEvent = z.strictObject({ total_usd: money, held_usd: money, available_usd: money });
/** `event: usage`: today's (UTC) sums, as far as they are posted. */
export const usageEvent = z.strictObject({
  day: z.iso.date(),
  requests: count,
  failed: count,
  tokens: count,
  spend_usd: money,
});
/** `event: nodes`: a provider's nodes that are connected to this gateway's process. */
export const nodesEvent = z.object({
  online: count,
  in_flight: count,
  nodes: z.array(
    z.strictObject({
      node_id: z.string(),
      connection_mode: z.enum(['websocket', 'external']),
      in_flight: count,
    }),
  ),
});
/** `event: incidents`: those that are open. */
export const incidentsEvent = z.strictObject({
  open: z.array(
    z.strictObject({
      id: z.string(),
      /** Empty: the whole market, or everywhere. */
      model: z.string(),
      region: z.string(),
      severity: z.enum(['minor', 'major', 'critical']),
      because: z.string(),
      opened_at: time,
    }),
  ),
});
/** `event: settlement`: the newest batch of payouts. */
export const settlementEvent = z.strictObject({
  newest: z.strictObject({ batch: count, day: z.string(), state: z.string() }).nullable(),
});
/** `event: operator`: what waits for one. */
export const operatorEvent = z.strictObject({
  approvals_waiting: count,
  collateral_waiting: count,
  payouts_held: z.boolean(),
});

export type BalanceEvent = z.output<typeof balanceEvent>;
export type UsageEvent = z.output<typeof usageEvent>;
export type NodesEvent = z.output<typeof nodesEvent>;
export type IncidentsEvent = z.output<typeof incidentsEvent>;
export type SettlementEvent = z.output<typeof settlementEvent>;
export type OperatorEvent = z.output<typeof operatorEvent>;
// ------------------------------------------------------------------------------------------------ providers

export const nodesAnswer = z.strictObject({
  nodes: z.array(
    z.strictObject({
      node_id: z.string(),
      name: z.string().nullable(),
      /** What the agent says of its machine; unchecked. */
      hardware: z.record(z.string(), z.union([z.string(), z.number()])),
      first_seen: time,
      last_seen: time,
      /** Connected to this gateway's process now. */
      online: z.boolean(),
      draining: z.boolean(),
      in_flight: count,
      capacity: count.nullable(),
      models: z.array(
        z.strictObject({
          model: z.string(),
          health: z.enum(['healthy', 'degraded', 'unhealthy', 'unknown']),
          /** May get requests. */
          eligible: z.boolean(),
          behind: z.string().nullable(),
          in_flight: count,
          capacity: count,
        }),
      ),
    }),
  ),
});
const part = z.number().min(0).max(1);
export const standingAnswer = z.strictObject({
  /** Among the providers that have a score; null: this one has none. */
  rank: count.nullable(),
  providers: count,
  score: part,
  /** What rewards would be shared by, of this score. */
  weight: part,
  excluded: z.enum(['not-active', 'low-uptime']).nullable(),
  /** Each from 0 to 1, and how much of the score it makes. */
  parts: z.array(
    z.strictObject({
      part: z.enum(['inferences', 'tokens', 'uptime', 'quality', 'diversity']),
      value: part,
      counts_for: part,
    }),
  ),
});
export const payoutsAnswer = z.strictObject({
  /** Dollars that were earned, or rewards in SWAN. */
  asset: z.enum(['USD', 'SWAN']),
  decimals: count.nullable(),
  payout_address: z.string().nullable(),
  /** In the token's smallest unit, of the payout address; null without a chain or an address. */
  promised: z.string().nullable(),
  claimed: z.string().nullable(),
  payouts: z.array(
    z.strictObject({
      batch: count,
      day: z.string(),
      state: z.enum(['pending', 'submitted', 'confirmed', 'revoked']),
      account: z.string(),
      units: z.string(),
      /** What left the balance for them; null of rewards, which are no dollars. */
      paid_usd: money.nullable(),
      made_at: time,
    }),
  ),
  /** What the contract takes, by the newest confirmed batch; null when there is nothing to claim by. */
  claim: z
    .strictObject({
      chain_id: count,
      contract: z.string(),
      token: z.string(),
      batch: count,
      account: z.string(),
      cumulative: z.string(),
      proof: z.array(z.string()),
    })
    .nullable(),
});
export const onboardingAnswer = z.strictObject({
  provider_id: z.string(),
  status: z.string(),
  reason: z.string(),
  steps: z.array(
    z.strictObject({
      step: z.enum(['key', 'connect', 'wallet', 'collateral', 'approval', 'benchmark', 'active']),
      state: z.enum(['done', 'now', 'later', 'not-needed']),
      detail: z.string(),
    }),
  ),
});

export type NodesAnswer = z.output<typeof nodesAnswer>;
export type StandingAnswer = z.output<typeof standingAnswer>;
export type PayoutsAnswer = z.output<typeof payoutsAnswer>;
export type OnboardingAnswer = z.output<typeof onboardingAnswer>;
export type FactorAnswer = z.output<typeof factorAnswer>;
export type FactorBeginAnswer = z.output<typeof factorBeginAnswer>;
export type FactorConfirmedAnswer = z.output<typeof factorConfirmedAnswer>;
export type SessionsAnswer = z.output<typeof sessionsAnswer>;
export type SessionsEndedAnswer = z.output<typeof sessionsEndedAnswer>;

// ------------------------------------------------------------------------------------------------ debug logs

/** Until when to keep what is asked and answered: from now, by at most 72 hours. */
export const debugLogRequest = z.object({ until: z.iso.datetime({ offset: true }) });
export const debugEntriesQuery = z.object({
  before: z.string().max(200).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
});
export const debugLogAnswer = z.strictObject({
  enabled: z.boolean(),
  until: time.nullable(),
  /** The furthest that `until` may be set to now. */
  until_max: time,
  entries: count,
  entries_max: count,
  bytes: count,
  /** Who of this account read an entry, and when; newest first. */
  readings: z.array(z.strictObject({ at: time, entry: z.string(), address: z.string() })),
});
const debugHead = {
  /** The request's. */
  id: z.string(),
  at: time,
  endpoint: z.string(),
  /** Of the answer; 0 when the client left before it. */
  status: count,
  streamed: z.boolean(),
  bytes: count,
  expires_at: time,
};
export const debugEntriesAnswer = z.strictObject({
  entries: z.array(z.strictObject(debugHead)),
  next: z.string().nullable(),
});
export const debugEntryAnswer = z.strictObject({
  ...debugHead,
  model: z.string().nullable(),
  /** Redacted, as JSON. */
  request: z.string(),
  request_cut: z.boolean(),
  /** Redacted; what a stream said is put together. */
  answer: z.string(),
  answer_cut: z.boolean(),
  /** The client left before the answer was whole. */
  left: z.boolean(),
});

export type DebugLogAnswer = z.output<typeof debugLogAnswer>;
export type DebugEntriesAnswer = z.output<typeof debugEntriesAnswer>;
export type DebugEntryAnswer = z.output<typeof debugEntryAnswer>;
