import { z } from 'zod';

/** What anyone may know of the market: the public figures under `/api/v1/stats`, plans, and the history of a price. */

const count = z.number().int().nonnegative();
const usd = z.number().nonnegative();
const share = z.number().min(0).max(1).nullable();
const data = <T extends z.ZodType>(of: T) =>
  z.strictObject({ code: z.literal(0), msg: z.string(), data: of });

export const networkAnswer = data(
  z.strictObject({
    online_nodes: count,
    online_providers: count,
    models: count,
    models_available: count,
    requests_24h: count,
    tokens_24h: count,
    revenue_24h: usd,
  }),
);

/** Whole days in UTC, oldest first; today, which is not over, is the last. */
export const networkHistoryAnswer = data(
  z.strictObject({
    days: z.array(
      z.strictObject({
        day: z.iso.date(),
        requests: count,
        tokens: count,
        /** Of `tokens`, those that a balance paid for; the rest was free or covered by a plan. */
        paid_tokens: count,
        revenue: usd,
      }),
    ),
  }),
);

export const leaderboardAnswer = data(
  z.strictObject({
    window_days: count,
    providers: z.array(
      z.strictObject({
        rank: count,
        provider_id: z.string(),
        name: z.string(),
        inferences: count,
        tokens: count,
        success_rate: share,
        avg_latency_ms: z.number().nonnegative().nullable(),
        models_served: count,
        uptime_7d: share,
        uptime_30d: share,
        reliability_score: share,
        contribution_score: z.number().nullable(),
      }),
    ),
  }),
);

export const gpuAnswer = data(
  z.strictObject({
    nodes: count,
    nodes_without_known_gpu: count,
    total_vram_gb: z.number().nonnegative(),
    by_vram_gb: z.array(z.strictObject({ vram_gb: z.number(), count })),
  }),
);

export const utilizationAnswer = data(
  z.strictObject({ in_flight: count, capacity: count, utilization: share }),
);

export const plansAnswer = data(
  z.strictObject({
    plans: z.array(
      z.strictObject({
        name: z.string(),
        title: z.string(),
        /** What its requests get, by name; and whether only the operator gives it. */
        tier: z.string(),
        by_operator_only: z.boolean(),
        monthly_usd: usd,
        requests_per_minute: count.nullable(),
        requests_per_day: count.nullable(),
        concurrent: count.nullable(),
        /** Tiers of models that may be called; null: all. */
        model_tiers: z.array(z.string()).nullable(),
        /** Tiers of models that the quotas pay for; empty: none. */
        covered_tiers: z.array(z.string()),
        tokens_per_week: count.nullable(),
        images_per_day: count.nullable(),
        fallback: z.boolean(),
      }),
    ),
    tiers: z.array(z.looseObject({ name: z.string(), title: z.string() })),
  }),
);

/** Newest first; those of the future included. Decimal texts of dollars, per million tokens, per request or per minute. */
export const priceHistoryAnswer = data(
  z.strictObject({
    model: z.string(),
    prices: z.array(
      z.strictObject({
        effective_from: z.iso.datetime(),
        input_price: z.string().nullable(),
        output_price: z.string().nullable(),
        request_price: z.string().nullable(),
        minute_price: z.string().nullable(),
      }),
    ),
  }),
);

export type NetworkAnswer = z.output<typeof networkAnswer>;
export type NetworkHistoryAnswer = z.output<typeof networkHistoryAnswer>;
export type LeaderboardAnswer = z.output<typeof leaderboardAnswer>;
export type GpuAnswer = z.output<typeof gpuAnswer>;
export type UtilizationAnswer = z.output<typeof utilizationAnswer>;
export type PlansAnswer = z.output<typeof plansAnswer>;
export type PriceHistoryAnswer = z.output<typeof priceHistoryAnswer>;
