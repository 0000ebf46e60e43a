import { z } from 'zod';

/**
 * A consumer's service level report of a month, as it is kept and shown. Amounts are decimal texts of dollars, moments
 * ISO 8601 in UTC. What is kept is this JSON; page and PDF are made from it alone.
 */
const usd = z.string().regex(/^\d+\.\d{2,12}$/);
const count = z.number().int().nonnegative();
const stretch = z.strictObject({ from: z.string(), until: z.string() });

export const slaReportSchema = z.strictObject({
  document: z.literal('sla-report'),
  /** Null: an estimate of a month that is not closed. */
  id: z.string().nullable(),
  state: z.enum(['final', 'estimate']),
  consumer: z.string(),
  month: z.string(),
  made_at: z.string(),
  from: z.string(),
  /** Of an estimate: up to the last whole minute. */
  until: z.string(),
  tier: z.string(),
  terms: z.strictObject({
    name: z.string(),
    availability_ppm: count,
    minute_fails_above_ppm: count,
    availability_credit: z.strictObject({ step_ppm: count, basis_points: count }),
    latency_credit: z.strictObject({
      ttft_p95_ms: count,
      hours: count,
      basis_points: count,
      requests_min: count,
    }),
    cap_basis_points: count,
    maintenance: z.strictObject({ notice_minutes: count, minutes_max: count }),
  }),
  /** SHA-256 of what it was computed from. */
  inputs_digest: z.string(),
  fee_usd: usd,
  minutes: count,
  unmeasured_minutes: count,
  unavailable_minutes: count,
  excluded_minutes: count,
  /** Of the minutes that count, in parts per million, rounded down. */
  uptime_ppm: count,
  /** Stretches of unavailable minutes, excluded ones included. */
  unavailable: z.array(stretch),
  /** Gaps in which no process of the market lived, and what shows them; their whole minutes are unavailable where nobody asked. */
  market_down: z.array(z.strictObject({ ...stretch.shape, evidence: z.string() })).default([]),
  /** Stretches that nothing was agreed for: the plan of that time promises nothing. */
  not_agreed: z.array(stretch).default([]),
  slow_hours: z.array(stretch),
  exclusions: z.array(
    z.strictObject({
      id: z.string(),
      kind: z.string(),
      ...stretch.shape,
      evidence: z.string(),
      /** Unavailable minutes that it takes out. */
      minutes: count,
      /** Why it takes nothing out; null: it holds. */
      refused: z.string().nullable(),
    }),
  ),
  /** Requests that count neither way, and the rows that show it. */
  not_counted: z.array(
    z.strictObject({ kind: z.string(), code: z.string(), requests: count, evidence: z.string() }),
  ),
  availability_basis_points: count,
  latency_basis_points: count,
  basis_points: count,
  credit_usd: usd,
  paid_by: z.strictObject({
    market_usd: usd,
    stakes_usd: usd,
    stakes: z.array(z.strictObject({ finding: z.string(), minutes: count, share_usd: usd, taken_usd: usd })),
  }),
});

export type SlaReportBody = z.output<typeof slaReportSchema>;
