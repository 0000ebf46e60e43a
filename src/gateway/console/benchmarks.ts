import type { Appeal } from '#benchmark/appeals.ts';
import { whyUnlike } from '#benchmark/likeness/judge.ts';
import type { Finding, LikenessRecord } from '#benchmark/likeness/store.ts';
import type { Run } from '#benchmark/store.ts';
import { Fault } from '#kit/fault.ts';
import {
  type AppealAnswer,
  appealRequest,
  appealWish,
  benchmarkRequest,
  clearRequest,
  listQuery,
} from '#wire/console.ts';
import type {
  BenchmarkRun,
  BenchmarkRunAnswer,
  BenchmarksAnswer,
  LikenessAnswer,
  LikenessFindingAnswer,
  OperatorAppealsAnswer,
} from '#wire/operator.ts';
import type { ConsoleRooms } from './rooms.ts';
import { enveloped, type Route, route } from './route.ts';

/**
 * Benchmarks: how a provider's nodes stand and what their runs came to, and the operator's look and decisions. A provider is
 * never shown what was asked, nor when it is asked next.
 */
export function benchmarkRoutes(rooms: ConsoleRooms): Route[] {
  const { clock } = rooms;
  const forProvider = { access: 'provider', errors: 'object', query: listQuery } as const;
  const forOperator = { access: 'operator', errors: 'text' } as const;
  const runOf = async (id: string | undefined): Promise<Run> => {
    const run = await rooms.benchmarks.store.find(id ?? '');
    if (!run) throw new Fault('thing-unknown', { outer: 'There is no such benchmark run.' });
    return run;
  };
  const decide = async (
    about: string,
    { decision, reason }: { decision: 'granted' | 'rejected'; reason: string },
    actor: string,
  ) => {
    const parts = { store: rooms.benchmarks.store, collateral: rooms.funds.collateral };
    const appeal = { about, decision, reason, actor, at: clock.wallMs() };
    const decided = await rooms.benchmarks.appeals.decide(parts, appeal);
    return {
      id: about,
      decision: decided.decision,
      known: decided.known,
      returned_pico_usd: `${decided.dollars}`,
      tokens_to_pay_back: decided.tokens.map(({ asset, amount, account }) => ({
        asset,
        amount: `${amount}`,
        account,
      })),
    };
  };

  return [
    route('GET /api/v1/provider/benchmarks', forProvider, async (visit) => {
      const { providerId } = visit;
      const { store, book, likeness, settings } = rooms.benchmarks;
      const [runs, records, findings] = await Promise.all([
        store.latest({ providerId, limit: visit.query.limit }),
        likeness.store.records(providerId),
        likeness.store.findings({ providerId, limit: visit.query.limit }),
      ]);
      return enveloped({
        mode: settings.mode,
        valid_days: settings.validMs / DAY_MS,
        nodes: book.ofProvider(providerId).map(({ nodeId, modelId, passedAt, withheldUntil }) => {
          const because = book.against(nodeId, modelId);
          return {
            node_id: nodeId,
            model_id: modelId,
            passed: because === undefined,
            because: because ?? '',
            passed_at: isoOrNull(passedAt),
            valid_until: isoOrNull(passedAt && passedAt + settings.validMs),
            withheld_until: isoOrNull(withheldUntil),
          };
        }),
        runs: runs.map(runBody),
        likeness: {
          mode: settings.likeness,
          nodes: records.map((record) => {
            const standing = likeness.book.find(record.nodeId, record.modelId);
            return {
              ...recordBody(record),
              state: standing ? 'unlike' : 'like',
              because: standing ? whyUnlike(standing) : '',
              until: isoOrNull(standing?.expiresAt ?? null),
            };
          }),
          findings: findings.map(findingBody),
        },
      });
    }),
    route(
      'GET /api/v1/operator/likeness',
      { ...forOperator, query: listQuery },
      async (visit): Promise<LikenessAnswer> => {
        const { store } = rooms.benchmarks.likeness;
        const [findings, records] = await Promise.all([
          store.findings({ limit: visit.query.limit }),
          store.records(),
        ]);
        return {
          mode: rooms.benchmarks.settings.likeness,
          findings: findings.map((finding) => ({ provider_id: finding.providerId, ...findingBody(finding) })),
          nodes: records.map((record) => ({ provider_id: record.providerId, ...recordBody(record) })),
        };
      },
    ),
    route('GET /api/v1/operator/likeness/:id', forOperator, async (visit): Promise<LikenessFindingAnswer> => {
      const shown = await rooms.benchmarks.likeness.store.show(visit.params['id'] ?? '');
      if (!shown) throw new Fault('thing-unknown', { outer: NO_FINDING });
      const { providerId, nodeId, modelId } = shown.finding;
      const { byNode } = await rooms.benchmarks.store.lastOf(providerId, {
        nodeIds: [nodeId],
        modelIds: [modelId],
      });
      return {
        provider_id: providerId,
        ...findingBody(shown.finding),
        last_benchmark: byNode[0] ? runBody(byNode[0]) : null,
        checks_shown: shown.checks.map(({ id, at, prompt, answers }) => ({
          id,
          at: new Date(at).toISOString(),
          prompt,
          answers: answers.map((answer) => ({
            node_id: answer.nodeId,
            provider_id: answer.providerId,
            verdict: answer.verdict,
            opening: answer.opening,
            ttft_ms: answer.ttftMs === null ? null : Math.round(answer.ttftMs),
          })),
        })),
      };
    }),
    route(
      'POST /api/v1/operator/likeness/:id/clear',
      { ...forOperator, body: clearRequest },
      async (visit) => {
        const { store, book } = rooms.benchmarks.likeness;
        const about = { at: clock.wallMs(), by: visit.actor, because: visit.body.reason };
        const finding = await store.clear(visit.params['id'] ?? '', about);
        if (!finding) throw new Fault('thing-unknown', { outer: NO_FINDING });
        await book.look([finding.nodeId]);
        return { provider_id: finding.providerId, ...findingBody(finding) };
      },
    ),
    route(
      'GET /api/v1/operator/benchmarks',
      { ...forOperator, query: listQuery },
      async (visit): Promise<BenchmarksAnswer> => ({
        runs: (await rooms.benchmarks.store.latest({ limit: visit.query.limit })).map((run) => ({
          provider_id: run.providerId,
          ...runBody(run),
        })),
      }),
    ),
    route('GET /api/v1/operator/benchmarks/:id', forOperator, async (visit): Promise<BenchmarkRunAnswer> => {
      const run = await runOf(visit.params['id']);
      const papers = (run.papers ?? []).map(({ seed, answers }) => ({
        seed,
        answers: answers.map(({ kind, prompt, answer, why, ttftMs }) => ({
          kind,
          prompt,
          answer,
          mark: why,
          ttft_ms: ttftMs,
        })),
      }));
      return { provider_id: run.providerId, ...runBody(run), papers };
    }),
    route(
      'POST /api/v1/operator/benchmarks/:id/appeal',
      { ...forOperator, body: appealRequest },
      async (visit) => await decide(visit.params['id'] ?? '', visit.body, visit.actor),
    ),
    route(
      'GET /api/v1/operator/appeals',
      forOperator,
      async (): Promise<OperatorAppealsAnswer> => ({
        appeals: (await rooms.benchmarks.appeals.waiting()).map((appeal) => ({
          provider_id: appeal.providerId,
          ...appealBody(appeal),
        })),
      }),
    ),
    route(
      'POST /api/v1/operator/appeals/:id',
      { ...forOperator, body: appealRequest },
      async (visit) => await decide(visit.params['id'] ?? '', visit.body, visit.actor),
    ),
    route('GET /api/v1/provider/appeals', { access: 'provider', errors: 'object' }, async (visit) => {
      const { appeals } = rooms.benchmarks;
      const [asked, open] = await Promise.all([
        appeals.ofProvider(visit.providerId),
        appeals.appealable(visit.providerId, clock.wallMs()),
      ]);
      return {
        appeals: asked.map(appealBody),
        may_appeal: open.map((each) => ({ ...each, at: new Date(each.at).toISOString() })),
      };
    }),
    route(
      'POST /api/v1/provider/appeals',
      { access: 'provider', errors: 'object', body: appealWish },
      async (visit) => {
        const { providerId, actor, body, reply } = visit;
        const { appeal, known } = await rooms.benchmarks.appeals.ask({
          ...body,
          providerId,
          actor,
          at: clock.wallMs(),
        });
        reply.code(known ? 200 : 201);
        return { ...appealBody(appeal), known };
      },
    ),
    route(
      'POST /api/v1/operator/providers/:id/benchmark',
      { ...forOperator, body: benchmarkRequest },
      async (visit) => {
        const providerId = visit.params['id'] ?? '';
        if (!rooms.providers.find(providerId)) {
          throw new Fault('thing-unknown', { outer: 'There is no such provider.' });
        }
        const { node_id: nodeId, model_id: modelId } = visit.body;
        const turns = await rooms.benchmarks.store.hurry({ providerId, nodeId, modelId, at: clock.wallMs() });
        return { provider_id: providerId, turns };
      },
    ),
  ];
}

const DAY_MS = 86_400_000;
const NO_FINDING = 'There is no such finding of likeness.';

function findingBody(finding: Finding) {
  const { ended } = finding;
  return {
    id: finding.id,
    node_id: finding.nodeId,
    model_id: finding.modelId,
    found_at: new Date(finding.foundAt).toISOString(),
    until: new Date(finding.expiresAt).toISOString(),
    checks: finding.checks,
    unlike: finding.unlike,
    because: whyUnlike(finding),
    ended: ended && { at: new Date(ended.at).toISOString(), as: ended.as, because: ended.because },
  };
}

function recordBody(record: LikenessRecord) {
  return {
    node_id: record.nodeId,
    model_id: record.modelId,
    alike: record.alike,
    unlike: record.unlike,
    unclear: record.unclear,
    last_at: new Date(record.lastAt).toISOString(),
    ttft_ms: record.ttftMs === null ? null : Math.round(record.ttftMs),
  };
}

/** A run as it is shown, to its provider as well: nothing of what was asked. */
export function runBody(run: Run): Omit<BenchmarkRun, 'provider_id'> {
  const { verdict, score } = run;
  return {
    id: run.id,
    node_id: run.nodeId,
    model_id: run.modelId,
    at: new Date(run.endedAt).toISOString(),
    passed: verdict.passed,
    math: { right: score.math[0], asked: score.math[1] },
    code: { right: score.code[0], asked: score.code[1] },
    ttft_ms: score.ttftMs === null ? null : Math.round(score.ttftMs),
    tokens_per_second: Math.round(score.tokensPerSecond * 10) / 10,
    hardware_tier: run.tier,
    shortcomings: run.shortcomings,
    follows: verdict.step,
    failures_in_a_row: verdict.failures,
    withheld_until: isoOrNull(verdict.withheldUntil),
    appeal: run.appeal ?? null,
    appeal_asked: run.appealAsked ?? false,
  };
}

function appealBody({ about, kind, reason, askedAt, decided }: Appeal): AppealAnswer {
  return {
    about,
    kind,
    reason,
    asked_at: new Date(askedAt).toISOString(),
    state: decided?.decision ?? 'asked',
    decided_because: decided?.reason ?? null,
    decided_at: isoOrNull(decided?.at ?? null),
  };
}

function isoOrNull(wallMs: number | null): string | null {
  return wallMs === null ? null : new Date(wallMs).toISOString();
}
