import { shareOut } from '#domain/policy.ts';
import type { ModelDemand } from '#ledger/market-reading.ts';
import { type DemandAnswer, demandQuery } from '#wire/console.ts';
import type { NetworkAnswer, NetworkHistoryAnswer } from '#wire/market.ts';
import { cached } from './cached.ts';
import { dollars, pricesOf } from './dollars.ts';
import { onlineProviders } from './models.ts';
import type { ConsoleRooms } from './rooms.ts';
import { enveloped, type Route, route } from './route.ts';

/**
 * What anyone may know of the market: call 15 of the Swan agent's contract and the public figures of its part 3. Everything
 * is counted or measured here; what is not measured yet is null. Looks at the usage list are kept for half a minute,
 * however many ask.
 */
export function statsRoutes(rooms: ConsoleRooms, demand: () => Promise<readonly ModelDemand[]>): Route[] {
  const { clock, reading } = rooms;
  const open = { access: 'public', errors: 'object' } as const;
  const leaders = cached(clock, KEPT_MS, () => reading.leaders(clock.wallMs() - 30 * DAY_MS, LEADERS));
  const uptimes = cached(clock, KEPT_MS, () => rooms.rewards.uptimes(clock.wallMs()));
  const scores = cached(clock, KEPT_MS, () => rooms.rewards.scores());

  const history = cached(clock, HISTORY_KEPT_MS, async () => {
    const days = await reading.days(clock.wallMs(), HISTORY_DAYS);
    return days.map(({ at, requests, tokens, paidTokens, revenue }) => ({
      day: new Date(at).toISOString().slice(0, 10),
      requests,
      tokens,
      paid_tokens: paidTokens,
      revenue: dollars(revenue > 0n ? revenue : 0n),
    }));
  });

  const network = async (): Promise<NetworkAnswer['data']> => {
    const asked = await demand();
    const nodes = new Set<string>();
    const providers = new Set<string>();
    for (const { nodeId, providerId, mode } of rooms.registry.everywhere()) {
      // An endpoint is somebody's server elsewhere, no node of this network.
      if (mode === 'websocket') nodes.add(nodeId);
      providers.add(providerId);
    }
    const models = rooms.models.list();
    return {
      online_nodes: nodes.size,
      online_providers: providers.size,
      models: models.length,
      models_available: models.filter((model) => onlineProviders(rooms, model.id) > 0).length,
      requests_24h: asked.reduce((sum, each) => sum + each.requests, 0),
      tokens_24h: asked.reduce((sum, each) => sum + each.tokens, 0),
      revenue_24h: dollars(asked.reduce((sum, each) => sum + each.revenue, 0n)),
    };
  };

  return [
    route('GET /api/v1/stats/model-demand', { ...open, query: demandQuery }, async (visit) => {
      const { category } = visit.query;
      const asked = new Map((await demand()).map((each) => [each.modelId, each]));
      const models = rooms.models
        .list()
        .filter((model) => category === undefined || category === '' || model.category === category)
        .map((model) => demandEntry(rooms, model.id, asked.get(model.id)));
      return enveloped({ models });
    }),
    route(
      'GET /api/v1/stats/network/history',
      open,
      async (): Promise<NetworkHistoryAnswer> => enveloped({ days: await history() }),
    ),
    route('GET /api/v1/stats/network', open, async () => enveloped(await network())),
    route('GET /api/v1/dashboard/summary', open, async () => enveloped(await network())),
    route('GET /api/v1/stats/leaderboard', open, async () => {
      const [rows, scored, there] = await Promise.all([leaders(), scores(), uptimes()]);
      return enveloped({
        window_days: 30,
        providers: rows.map((row, place) => ({
          rank: place + 1,
          provider_id: row.providerId,
          name: rooms.providers.find(row.providerId)?.name ?? '',
          inferences: row.requests,
          tokens: row.inputTokens + row.outputTokens,
          success_rate: row.requests === 0 ? null : row.succeeded / row.requests,
          avg_latency_ms: row.latencyMs,
          models_served: row.models,
          uptime_7d: there.get(row.providerId)?.week ?? null,
          uptime_30d: there.get(row.providerId)?.month ?? null,
          reliability_score: rooms.measured.standings.of(row.providerId)?.score ?? null,
          // Of the last day that was rewarded, by the rules of rewards.
          contribution_score: scored.get(row.providerId) ?? null,
        })),
      });
    }),
    route('GET /api/v1/stats/gpu', open, async () => {
      const bySize = new Map<number | null, number>();
      for (const { vramGb, mode } of rooms.registry.everywhere())
        if (mode === 'websocket') bySize.set(vramGb, (bySize.get(vramGb) ?? 0) + 1);
      const known = [...bySize].filter(([size]) => size !== null) as [number, number][];
      return enveloped({
        nodes: [...bySize.values()].reduce((sum, count) => sum + count, 0),
        nodes_without_known_gpu: bySize.get(null) ?? 0,
        total_vram_gb: known.reduce((sum, [size, count]) => sum + size * count, 0),
        by_vram_gb: known.toSorted(([a], [b]) => b - a).map(([vram_gb, count]) => ({ vram_gb, count })),
      });
    }),
    route('GET /api/v1/stats/utilization', open, async () => {
      let inFlight = 0;
      let capacity = 0;
      for (const presence of rooms.registry.everywhere()) {
        inFlight += presence.inFlight;
        capacity += presence.linkCapacity;
      }
      return enveloped({
        in_flight: inFlight,
        capacity,
        utilization: capacity === 0 ? null : inFlight / capacity,
      });
    }),
  ];
}

const KEPT_MS = 30_000;
/** Thirty days of the usage list are a long look. */
const HISTORY_KEPT_MS = 300_000;
const HISTORY_DAYS = 30;
const DAY_MS = 86_400_000;
const LEADERS = 100;
/** A change smaller than this, in percent, is no trend. */
const STEADY_PERCENT = 10;

/** One model of the demand table. Estimates share what was earned in the last day evenly, now and with one provider more. */
function demandEntry(
  rooms: ConsoleRooms,
  modelId: string,
  asked: ModelDemand | undefined,
): DemandAnswer['data']['models'][number] {
  const model = rooms.models.resolve(modelId);
  if (!model) throw new RangeError(`no model ${modelId}`);
  const online = onlineProviders(rooms, modelId);
  const revenue = asked?.revenue ?? 0n;
  const earned = dollars(shareOut(revenue > 0n ? revenue : 0n, rooms.policy).provider);
  const now = asked?.requests ?? 0;
  const { trend, change } = trendOf(asked);
  return {
    model_id: modelId,
    model_name: model.name,
    category: model.category,
    tier: model.tier ?? '',
    ...pricesOf(model, rooms.policy),
    online_providers: online,
    requests_24h: now,
    tokens_24h: asked?.tokens ?? 0,
    revenue_24h: dollars(revenue > 0n ? revenue : 0n),
    avg_latency_ms: asked?.latencyMs ?? null,
    demand_trend: trend,
    demand_change_pct: Math.round(change * 10) / 10,
    min_vram_gb: model.minVramGb,
    vram_known: model.minVramGb > 0,
    est_daily_earnings: online === 0 ? earned : earned / online,
    est_entrant_daily_earnings: earned / (online + 1),
    entrant_basis: 'even share of the last 24 hours',
    plan_covered: false,
    subscription_share: 0,
    long_context_share: now === 0 ? 0 : (asked?.longContext ?? 0) / now,
    context_length: model.contextTokens ?? 0,
    prompt_tokens_p50: asked?.promptP50 ?? null,
    prompt_tokens_p95: asked?.promptP95 ?? null,
    prompt_tokens_max: asked?.promptMax ?? null,
    total_tokens_p95: asked?.totalP95 ?? null,
  };
}

/** How the last day's requests compare with the day before's; the change in percent. */
export function trendOf(asked: ModelDemand | undefined): {
  trend: 'up' | 'down' | 'stable';
  change: number;
} {
  const [now, before] = [asked?.requests ?? 0, asked?.requestsBefore ?? 0];
  const change = before === 0 ? (now === 0 ? 0 : 100) : ((now - before) / before) * 100;
  return { trend: change > STEADY_PERCENT ? 'up' : change < -STEADY_PERCENT ? 'down' : 'stable', change };
}
