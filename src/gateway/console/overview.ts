import { decimalUsd } from '#domain/money.ts';
import type { Serving } from '#domain/serving.ts';
import { Fault } from '#kit/fault.ts';
import type { RequestLine, Stretch, UsageSums } from '#ledger/consumer-reading.ts';
import { csvOf } from '#statements/csv.ts';
import {
  type MovementsAnswer,
  movementsQuery,
  type OverviewAnswer,
  overviewQuery,
  type RequestAnswer,
  type RequestsAnswer,
  requestsQuery,
  type UsageByAnswer,
  usageByQuery,
} from '#wire/dashboard.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route, type Visit } from './route.ts';
import { Throttle } from './throttle.ts';

/** A consumer's usage as its pages show it: over time, by what it was for, request by request, and its account's movements. */
export function overviewRoutes(rooms: ConsoleRooms): Route[] {
  const { clock, own } = rooms;
  const forUser = { access: 'user', errors: 'text' } as const;
  // Each reads up to 400 days of usage. A page asks three or four of them.
  const reads = new Throttle({ burst: 60, everyMs: 1_000 });
  const slowly = (visit: { actor: string }): void => reads.take(visit.actor, clock.nowMs());
  return [
    route(
      'GET /api/v1/user/me/overview',
      { ...forUser, query: overviewQuery },
      async (visit): Promise<OverviewAnswer> => {
        slowly(visit);
        const { user, query } = visit;
        const { duration } = query;
        const bucketMs = BUCKET_MS[query.bucket ?? BUCKET_OF[duration]];
        const durationMs = DURATION_MS[duration];
        if (durationMs / bucketMs > BUCKETS_MAX)
          throw new Fault('request-invalid', {
            outer: 'The buckets are too small for this duration.',
            param: 'bucket',
          });
        // The bucket that runs is the last.
        const until = (Math.floor(clock.wallMs() / bucketMs) + 1) * bucketMs;
        const from = until - durationMs;
        const { consumerId } = user;
        const [totals, before, filled] = await Promise.all([
          own.sums(consumerId, { from, until }),
          own.sums(consumerId, { from: from - durationMs, until: from }),
          own.overTime(consumerId, { from, until }, bucketMs),
        ]);
        const there = new Map(filled.map((each) => [each.at, each]));
        const buckets = [];
        for (let at = from; at < until; at += bucketMs) {
          buckets.push({ at: iso(at), ...sums(there.get(at) ?? NOTHING) });
        }
        return {
          from: iso(from),
          until: iso(until),
          bucket_seconds: bucketMs / 1_000,
          totals: sums(totals),
          before: sums(before),
          buckets,
        };
      },
    ),
    route('GET /api/v1/user/me/usage/by', { ...forUser, query: usageByQuery }, async (visit) => {
      slowly(visit);
      const { group, format } = visit.query;
      const stretch = stretchOf(visit.query, clock.wallMs());
      const rows = await own.grouped(visit.user.consumerId, stretch, group);
      if (format === 'csv') {
        return csv(visit, `usage-by-${group}.csv`, [
          [group, 'name', 'requests', 'failed', 'input_tokens', 'output_tokens', 'spend_usd', 'covered_usd'],
          ...rows.map((row) => [
            row.id,
            row.name,
            row.requests,
            row.failed,
            row.inputTokens,
            row.outputTokens,
            row.spent,
            row.covered,
          ]),
        ]);
      }
      return {
        ...told(stretch),
        group,
        rows: rows.map((row) => ({ id: row.id, name: row.name, ...sums(row) })),
      } satisfies UsageByAnswer;
    }),
    route(
      'GET /api/v1/user/me/requests',
      { ...forUser, query: requestsQuery },
      async (visit): Promise<RequestsAnswer> => {
        slowly(visit);
        const { user, query } = visit;
        const { model, key: keyId, outcome, before, limit } = query;
        const modelId = model === undefined ? undefined : (rooms.models.resolve(model)?.id ?? model);
        const lines = await own.requests(user.consumerId, {
          ...stretchOf(query, clock.wallMs()),
          modelId,
          keyId,
          outcome,
          before,
          // One more tells whether there is a next page.
          limit: limit + 1,
        });
        const page = lines.slice(0, limit);
        return { requests: page.map(line), next: lines.length > limit ? (page.at(-1)?.id ?? null) : null };
      },
    ),
    route('GET /api/v1/user/me/requests/:id', forUser, async (visit): Promise<RequestAnswer> => {
      slowly(visit);
      const { user, params } = visit;
      const found = await own.request(user.consumerId, params['id'] ?? '');
      if (!found)
        throw new Fault('thing-unknown', { outer: 'You made no such request, or it is not posted yet.' });
      const { ttftMs, totalMs, outputTokens, split } = found;
      const generationMs = ttftMs === null ? null : Math.max(0, totalMs - ttftMs);
      return {
        ...line(found),
        provider: found.providerId === null ? null : (rooms.providers.find(found.providerId)?.name ?? null),
        connection_mode: found.mode,
        attempts: found.attempts,
        images_or_recordings: found.units,
        seconds_of_sound: found.seconds,
        timing: {
          until_first_token_ms: ttftMs,
          generation_ms: generationMs,
          total_ms: totalMs,
          tokens_per_s:
            generationMs === null || generationMs === 0 || outputTokens < 2
              ? null
              : (outputTokens - 1) / (generationMs / 1_000),
        },
        served: servedBody(found.serving, (id) => rooms.providers.find(id)?.name ?? null),
        price: found.price,
        money: {
          charged_usd: decimalUsd(found.charged),
          refunded_usd: decimalUsd(found.refunded),
          covered_by_plan_usd: decimalUsd(found.covered),
          split: {
            provider_usd: decimalUsd(split.provider),
            fee_usd: decimalUsd(split.fee),
            treasury_usd: decimalUsd(split.treasury),
            burn_usd: decimalUsd(split.burn),
          },
        },
      };
    }),
    route('GET /api/v1/user/me/movements', { ...forUser, query: movementsQuery }, async (visit) => {
      slowly(visit);
      const { format, limit } = visit.query;
      const stretch = stretchOf(visit.query, clock.wallMs());
      const movements = await own.movements(visit.user.consumerId, stretch, limit);
      if (format === 'csv') {
        return csv(visit, 'movements.csv', [
          ['id', 'kind', 'at', 'amount_usd'],
          ...movements.map(({ id, kind, at, amount }) => [id, kind, at.toISOString(), amount]),
        ]);
      }
      return {
        ...told(stretch),
        movements: movements.map(({ id, kind, at, amount }) => ({
          id,
          kind,
          at: at.toISOString(),
          amount_usd: decimalUsd(amount),
        })),
      } satisfies MovementsAnswer;
    }),
  ];
}

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
const BUCKET_MS = { '1h': HOUR_MS, '6h': 6 * HOUR_MS, '1d': DAY_MS } as const;
const DURATION_MS = { '24h': DAY_MS, '7d': 7 * DAY_MS, '30d': 30 * DAY_MS, '90d': 90 * DAY_MS } as const;
const BUCKET_OF = { '24h': '1h', '7d': '6h', '30d': '1d', '90d': '1d' } as const;
const BUCKETS_MAX = 800;
const LONGEST_MS = 400 * DAY_MS;
const NOTHING: UsageSums = {
  requests: 0,
  failed: 0,
  inputTokens: 0,
  outputTokens: 0,
  spent: 0n,
  covered: 0n,
  ttftP50Ms: null,
  ttftP95Ms: null,
};

const iso = (ms: number): string => new Date(ms).toISOString();
const told = ({ from, until }: Stretch) => ({ from: iso(from), until: iso(until) });

function stretchOf(query: { from?: number | undefined; until?: number | undefined }, nowMs: number): Stretch {
  const until = query.until ?? nowMs + 1;
  const from = query.from ?? until - 30 * DAY_MS;
  if (from >= until || until - from > LONGEST_MS)
    throw new Fault('request-invalid', {
      outer: 'from is before until, by at most 400 days.',
      param: 'from',
    });
  return { from, until };
}

export function sums(of: UsageSums) {
  return {
    requests: of.requests,
    failed: of.failed,
    input_tokens: of.inputTokens,
    output_tokens: of.outputTokens,
    spend_usd: decimalUsd(of.spent),
    covered_usd: decimalUsd(of.covered),
    ttft_p50_ms: of.ttftP50Ms,
    ttft_p95_ms: of.ttftP95Ms,
  };
}

function line(of: RequestLine) {
  return {
    id: of.id,
    at: iso(of.at),
    key_id: of.keyId,
    key_name: of.keyName,
    model: of.modelId,
    operation: of.operation,
    outcome: of.outcome,
    error: of.errorCode,
    streamed: of.streamed,
    input_tokens: of.inputTokens,
    output_tokens: of.outputTokens,
    charge_usd: decimalUsd(of.spent),
    ttft_ms: of.ttftMs,
    total_ms: of.totalMs,
  };
}

function servedBody(
  serving: Serving | null,
  nameOf: (providerId: string) => string | null,
): RequestAnswer['served'] {
  return {
    tier: serving?.tier ?? null,
    queue_ms: serving?.queueMs ?? null,
    region: serving?.region ?? null,
    at_fault: serving?.whose ?? null,
    fallback_used: serving?.fallback ?? null,
    route:
      serving?.tries.map((each) => ({
        attempt: each.attemptId,
        model: each.modelId,
        provider: nameOf(each.providerId),
        connection_mode: each.mode,
        region: each.region,
        result: each.result,
        started_ms: each.startedMs,
        took_ms: each.tookMs,
      })) ?? null,
  };
}

function csv(visit: Visit<unknown, unknown>, name: string, rows: Parameters<typeof csvOf>[0]): string {
  visit.reply
    .type('text/csv; charset=utf-8; header=present')
    .header('content-disposition', `attachment; filename="${name}"`);
  return csvOf(rows);
}
