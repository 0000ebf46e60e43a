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

export const factorCodeRequest = z.object({ code: z.string().min(1).max(40) });
export const factorRemovalRequest = z.object({
  password: z.string().min(1).max(200),
  code: z.string().min(1).max(40),
});
export const factorAnswer = z.strictObject({
  enabled: z.boolean(),
  since: time.nullable(),
  recovery_codes_left: count,
});
/** To be shown as a QR code and as text, this once. */
export const factorBeginAnswer = z.strictObject({
  secret: z.string(),
  uri: z.string().startsWith('otpauth://'),
});
export const factorConfirmedAnswer = z.strictObject({
  enabled: z.literal(true),
  recovery_codes: z.array(z.string()),
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
export const requestsQuery = z.object({
  model: name.optional(),
  key: name.optional(),
  outcome: z.enum(['completed', 'cancelled', 'broken', 'failed']).optional(),
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
const requestLine = {
  id: z.string(),
  at: time,
  key_id: z.string(),
  key_name: z.string().nullable(),
  model: z.string(),
  operation: z.string(),
  outcome: z.enum(['completed', 'cancelled', 'broken', 'failed']),
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
  price: z.strictObject({ id: z.string(), policy: z.string() }),
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
export type FactorAnswer = z.output<typeof factorAnswer>;
export type FactorBeginAnswer = z.output<typeof factorBeginAnswer>;
export type FactorConfirmedAnswer = z.output<typeof factorConfirmedAnswer>;
export type SessionsAnswer = z.output<typeof sessionsAnswer>;
