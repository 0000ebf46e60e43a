import type { Pico } from '#domain/money.ts';
import { Fault } from '#kit/fault.ts';
import type { EarningsBucket, ProviderModelWork } from '#ledger/market-reading.ts';
import type { Candidate } from '#routing/candidate.ts';
import {
  type EarningsAnswer,
  historyQuery,
  type ProviderModelsAnswer,
  type ProviderStatsAnswer,
} from '#wire/console.ts';
import { cachedBy } from './cached.ts';
import { dollars, pricesOf } from './dollars.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route } from './route.ts';

/**
 * What a provider did and earned: calls 16 to 18 of the Swan agent's contract. Earnings are the provider's legs of the
 * charges and corrections in the ledger, summed exactly. What plans covered is in them and not told apart: that part is zero.
 * Each is a long look at the ledger, so an answer is kept for ten seconds.
 */
export function earningsRoutes(rooms: ConsoleRooms): Route[] {
  const { clock, reading } = rooms;
  const forProvider = { access: 'provider', errors: 'object' } as const;
  const totalsOf = cachedBy(clock, KEPT_MS, (providerId) => reading.providerTotals(providerId));
  const workOf = cachedBy(clock, KEPT_MS, (providerId) =>
    reading.providerModels(providerId, clock.wallMs() - DAY_MS),
  );
  const historyOf = cachedBy(clock, KEPT_MS, async (asked) => {
    const [providerId = '', duration, bucket] = asked.split(' ');
    const durationMs = DURATION_MS[duration as keyof typeof DURATION_MS];
    const bucketMs = BUCKET_MS[bucket as keyof typeof BUCKET_MS];
    const to = clock.wallMs();
    const from = Math.ceil((to - durationMs) / bucketMs) * bucketMs;
    return {
      from,
      to,
      durationMs,
      bucketMs,
      buckets: await reading.earnings(providerId, { from, to, bucketMs }),
    };
  });

  return [
    route('GET /api/v1/provider/me/stats', forProvider, async (visit): Promise<ProviderStatsAnswer> => {
      const [totals, details, uptime] = await Promise.all([
        totalsOf(visit.providerId),
        rooms.providerDesk.details(visit.providerId),
        rooms.rewards.uptimePercent(visit.providerId, clock.wallMs()),
      ]);
      let here = false;
      for (const presence of rooms.registry.everywhere()) here ||= presence.providerId === visit.providerId;
      const lastAt = here ? clock.wallMs() : (details?.lastConnectedAt ?? null);
      return {
        total_inferences: totals.requests,
        successful_inferences: totals.succeeded,
        failed_inferences: totals.failed,
        total_input_tokens: totals.inputTokens,
        total_output_tokens: totals.outputTokens,
        total_tokens: totals.inputTokens + totals.outputTokens,
        total_earnings_usdc: dollars(totals.earned),
        uptime_7d_percent: uptime ?? null,
        last_connected: lastAt === null ? null : new Date(lastAt).toISOString(),
      };
    }),
    route(
      'GET /api/v1/provider/me/earnings/history',
      { ...forProvider, query: historyQuery },
      async (visit): Promise<EarningsAnswer> => {
        const { duration, bucket = duration === '24h' ? '1h' : '1d' } = visit.query;
        const { from, to, durationMs, bucketMs, buckets } = await historyOf(
          `${visit.providerId} ${duration} ${bucket}`,
        );
        const points: EarningsAnswer['points'] = [];
        for (let at = from; at < to; at += bucketMs) {
          const mine = buckets.filter((each) => each.at === at);
          points.push({
            timestamp: new Date(at).toISOString(),
            ...summed(mine),
            models: Object.fromEntries(mine.map((each) => [each.modelId, summed([each])])),
          });
        }
        const all = summed(buckets);
        return {
          points,
          currency: 'USD',
          bucket_seconds: bucketMs / 1000,
          duration_seconds: durationMs / 1000,
          from: new Date(from).toISOString(),
          to: new Date(to).toISOString(),
          total_usd: all.usd,
          total_pay_as_you_go_usd: all.usd,
          total_subscription_usd: 0,
          subscription_pro_rate: {},
        };
      },
    ),
    route('GET /api/v1/providers/:id/models/details', forProvider, async (visit) => {
      // Another provider's details are nobody's business, and neither is whether that provider exists.
      if (visit.params['id'] !== visit.providerId)
        throw new Fault('thing-unknown', { outer: 'There is no such provider for this key.' });
      return modelDetails(rooms, visit.providerId, await workOf(visit.providerId));
    }),
  ];
}

function modelDetails(
  rooms: ConsoleRooms,
  providerId: string,
  work: readonly ProviderModelWork[],
): ProviderModelsAnswer {
  const offers = new Map<string, Candidate[]>();
  for (const presence of rooms.registry.everywhere()) {
    if (presence.providerId !== providerId) continue;
    for (const candidate of presence.serving.values()) {
      const known = offers.get(candidate.modelId);
      if (known) known.push(candidate);
      else offers.set(candidate.modelId, [candidate]);
    }
  }
  const done = new Map(work.map((each) => [each.modelId, each]));
  const ids = [...new Set([...offers.keys(), ...done.keys()])].toSorted();
  return {
    models: ids.map((id) => {
      const model = rooms.models.resolve(id);
      const offered = offers.get(id) ?? [];
      const past = done.get(id);
      const prices = model && pricesOf(model, rooms.policy);
      return {
        model_id: id,
        model_name: model?.name ?? id,
        // The catalogue's: what agents say of their own context is not kept.
        context_length: model?.contextTokens ?? 0,
        context_source: 'catalogue',
        input_price: prices?.input_price ?? 0,
        output_price: prices?.output_price ?? 0,
        capacity: offered.reduce((sum, candidate) => sum + candidate.capacity, 0),
        available: offered.some((candidate) => candidate.eligible && !candidate.draining),
        total_requests: past?.requests ?? 0,
        total_tokens: (past?.inputTokens ?? 0) + (past?.outputTokens ?? 0),
        throughput_tok_per_s: past?.tokensPerSecond ?? null,
        plan_covered: false,
        recent_success_count: past?.recentSuccess ?? 0,
        recent_failure_count: past?.recentFailure ?? 0,
        success_count: past?.succeeded ?? 0,
        failure_count: past?.failed ?? 0,
        ...(past && { last_request_at: new Date(past.lastAt).toISOString() }),
        offered: offered.length > 0,
      };
    }),
  };
}

const KEPT_MS = 10_000;
const DAY_MS = 86_400_000;
const DURATION_MS = { '24h': DAY_MS, '7d': 7 * DAY_MS, '30d': 30 * DAY_MS };
const BUCKET_MS = { '1h': 3_600_000, '1d': DAY_MS };

function summed(buckets: readonly EarningsBucket[]) {
  let earned: Pico = 0n;
  const sum = { tokens_in: 0, tokens_out: 0, requests: 0 };
  for (const bucket of buckets) {
    earned += bucket.earned;
    sum.tokens_in += bucket.inputTokens;
    sum.tokens_out += bucket.outputTokens;
    sum.requests += bucket.requests;
  }
  const usd = dollars(earned);
  return { usd, pay_as_you_go_usd: usd, subscription_usd: 0, ...sum };
}
