import { expectedDaily, fullHour, perGpuHour } from '#domain/gpu-hours.ts';
import type { Pico } from '#domain/money.ts';
import { shareOut } from '#domain/policy.ts';
import { Fault } from '#kit/fault.ts';
import type { ModelDemand } from '#ledger/market-reading.ts';
import { type EconomicsAnswer, economicsQuery } from '#wire/console.ts';
import { cachedBy } from './cached.ts';
import { amountsOf, dollars } from './dollars.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route } from './route.ts';
import { trendOf } from './stats.ts';

/**
 * What a provider's models bring, and what every other model of the catalogue would: from what was asked for and paid in
 * the last day, and from what was measured of this provider. How many GPUs a node has is the provider's to say: agents of
 * the Swan protocol do not state it in a way that can be believed.
 */
export function economicsRoutes(rooms: ConsoleRooms, demand: () => Promise<readonly ModelDemand[]>): Route[] {
  const answerOf = cachedBy(rooms.clock, KEPT_MS, async (asked) => {
    const [providerId = '', gpus] = asked.split(' ');
    return await economics(rooms, { providerId, gpusPerNode: Number(gpus), demand: await demand() });
  });
  return [
    route(
      'GET /api/v1/provider/economics',
      { access: 'provider', errors: 'object', query: economicsQuery },
      async (visit) => await answerOf(`${visit.providerId} ${visit.query.gpus_per_node}`),
    ),
    route(
      'GET /api/v1/operator/providers/:id/economics',
      { access: 'operator', errors: 'text', query: economicsQuery },
      async (visit) => {
        const id = visit.params['id'] ?? '';
        if (!rooms.providers.find(id))
          throw new Fault('thing-unknown', { outer: 'There is no such provider.' });
        return await answerOf(`${id} ${visit.query.gpus_per_node}`);
      },
    ),
  ];
}

const KEPT_MS = 10_000;
const DAY_MS = 86_400_000;

async function economics(
  rooms: ConsoleRooms,
  about: { providerId: string; gpusPerNode: number; demand: readonly ModelDemand[] },
): Promise<EconomicsAnswer> {
  const { clock, measured, models, policy, providers, reading, registry, sessions } = rooms;
  const { providerId, gpusPerNode, demand } = about;
  const until = clock.wallMs();
  const from = until - DAY_MS;
  const [buckets, nodeMs, speeds] = await Promise.all([
    reading.earnings(providerId, { from, to: until, bucketMs: DAY_MS }),
    sessions.nodeMs(providerId, { from, until }),
    measured.table.figures({ from, until, by: ['modelId'], only: { providerId } }),
  ]);
  const earned = new Map<string, { amount: Pico; requests: number }>();
  for (const { modelId, earned: amount, requests } of buckets) {
    const before = earned.get(modelId);
    earned.set(modelId, {
      amount: (before?.amount ?? 0n) + amount,
      requests: (before?.requests ?? 0) + requests,
    });
  }
  let total: Pico = 0n;
  for (const { amount } of earned.values()) total += amount;
  const gpuMs = nodeMs * gpusPerNode;
  const hourly = perGpuHour(total, gpuMs);
  const asks = providers.find(providerId)?.asks;
  const entries = models.list().map((model) => {
    const asked = demand.find(({ modelId }) => modelId === model.id);
    const revenue = asked && asked.revenue > 0n ? asked.revenue : 0n;
    const paid = shareOut(revenue, policy).provider;
    const own = earned.get(model.id);
    const online = new Set<string>();
    for (const candidate of registry.candidates(model.id))
      if (candidate.eligible && !candidate.draining) online.add(candidate.providerId);
    const offered = online.delete(providerId);
    const price = asks?.get(model.id) ?? model.price;
    const expected = expectedDaily({
      earned: paid,
      requests: asked?.requests ?? 0,
      own: own?.requests ?? 0,
      others: online.size,
    });
    const speed = speeds.find(({ modelId }) => modelId === model.id)?.tokensPerS ?? null;
    return {
      model_id: model.id,
      offered,
      price: amountsOf(price),
      requests_24h: asked?.requests ?? 0,
      own_requests_24h: own?.requests ?? 0,
      paid_to_providers_24h_usd: dollars(paid),
      own_earned_24h_usd: dollars(own && own.amount > 0n ? own.amount : 0n),
      online_providers: online.size + (offered ? 1 : 0),
      expected_daily_usd: dollars(expected.amount),
      expected_basis: expected.basis,
      demand_trend: trendOf(asked).trend,
      full_hour_usd:
        speed === null || price.unit !== 'token'
          ? null
          : dollars(shareOut(fullHour(speed, price.outputPico), policy).provider),
      tokens_per_s: speed,
    };
  });
  return {
    provider_id: providerId,
    earned_usd: dollars(total > 0n ? total : 0n),
    gpu_hours: Math.round((gpuMs / 3_600_000) * 1_000) / 1_000,
    gpus_per_node: gpusPerNode,
    usd_per_gpu_hour: hourly === undefined ? null : dollars(hourly > 0n ? hourly : 0n),
    models: entries.toSorted((a, b) => b.expected_daily_usd - a.expected_daily_usd),
  };
}
