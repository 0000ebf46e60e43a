import { dayOf } from '#domain/window.ts';
import { Fault } from '#kit/fault.ts';
import { healthQuery, type ProviderHealthAnswer } from '#wire/console.ts';
import { cachedBy } from './cached.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route } from './route.ts';

/** How a provider fares, for itself and for operators: uptime, success, speed by model, and why its sessions ended. */
export function providerHealthRoutes(rooms: ConsoleRooms): Route[] {
  const answerOf = cachedBy(rooms.clock, KEPT_MS, (asked) => {
    const [providerId = '', duration] = asked.split(' ');
    return health(rooms, providerId, DURATION_MS[duration as keyof typeof DURATION_MS]);
  });
  return [
    route(
      'GET /api/v1/provider/me/health',
      { access: 'provider', errors: 'object', query: healthQuery },
      async (visit) => await answerOf(`${visit.providerId} ${visit.query.duration}`),
    ),
    route(
      'GET /api/v1/operator/providers/:id/health',
      { access: 'operator', errors: 'text', query: healthQuery },
      async (visit) => {
        const id = visit.params['id'] ?? '';
        if (!rooms.providers.find(id))
          throw new Fault('thing-unknown', { outer: 'There is no such provider.' });
        return await answerOf(`${id} ${visit.query.duration}`);
      },
    ),
  ];
}

const KEPT_MS = 30_000;
const DAY_MS = 86_400_000;
const DURATION_MS = { '24h': DAY_MS, '7d': 7 * DAY_MS, '30d': 30 * DAY_MS } as const;
const SESSIONS_SHOWN = 50;

async function health(
  { clock, measured, rewards, sessions }: ConsoleRooms,
  providerId: string,
  windowMs: number,
): Promise<ProviderHealthAnswer> {
  const until = clock.wallMs();
  const from = until - windowMs;
  const [figures, attempts, uptimes, latest] = await Promise.all([
    measured.table.figures({ from, until, by: ['modelId'], only: { providerId } }),
    measured.attempts.byModel(providerId, dayOf(from)),
    rewards.uptimes(until, providerId),
    sessions.of(providerId, SESSIONS_SHOWN),
  ]);
  const standing = measured.standings.of(providerId);
  const uptime = uptimes.get(providerId);
  const ids = new Set([
    ...figures.map(({ modelId }) => modelId ?? ''),
    ...attempts.map(({ modelId }) => modelId),
  ]);
  return {
    provider_id: providerId,
    uptime_7d: uptime?.week ?? null,
    uptime_30d: uptime?.month ?? null,
    success_30d: standing?.success ?? null,
    score: standing?.score ?? null,
    behind: standing?.behind ?? false,
    in_grace: standing?.inGrace ?? false,
    misses: [...(standing?.misses ?? [])],
    window_s: windowMs / 1_000,
    models: [...ids].toSorted().map((id) => {
      const found = figures.find(({ modelId }) => modelId === id);
      const tried = attempts.find(({ modelId }) => modelId === id);
      const [served, failed] = [tried?.served ?? 0, tried?.failed ?? 0];
      return {
        model_id: id,
        attempts_served: served,
        attempts_failed: failed,
        requests: found?.requests ?? 0,
        failures: found?.failures ?? 0,
        disconnects: found?.disconnects ?? 0,
        success_rate: served + failed === 0 ? null : served / (served + failed),
        ttft_p50_ms: found?.ttft.p50 ?? null,
        ttft_p95_ms: found?.ttft.p95 ?? null,
        ttft_p99_ms: found?.ttft.p99 ?? null,
        tokens_per_s: found?.tokensPerS ?? null,
      };
    }),
    sessions: latest.map((each) => ({
      node_id: each.nodeId,
      mode: each.mode,
      connected_at: new Date(each.connectedAt).toISOString(),
      last_heard_at: new Date(each.lastHeardAt).toISOString(),
      ended_at: each.endedAt === undefined ? null : new Date(each.endedAt).toISOString(),
      why: each.why || null,
      requests_lost: each.attemptsLost,
    })),
  };
}
