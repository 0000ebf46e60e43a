import type { Run } from '#benchmark/store.ts';
import { usualOperations } from '#domain/external-endpoint.ts';
import type { Model } from '#domain/model.ts';
import { operationSet } from '#domain/operation.ts';
import type { ProviderState } from '#domain/party.ts';
import type { Price } from '#domain/price.ts';
import { SERVER_SILENT } from '#hub/registry.ts';
import { MESSAGE_OVERHEAD_BYTES } from '#hub/service-book.ts';
import { Fault } from '#kit/fault.ts';
import type { ModelDemand } from '#ledger/market-reading.ts';
import type { Candidate } from '#routing/candidate.ts';
import { type Figures, type ModelStanding, type NodeStanding, whyOf } from '#routing/why.ts';
import { type WhyAnswer, whyQuery } from '#wire/console.ts';
import { cachedBy } from './cached.ts';
import { amountsOf } from './dollars.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route } from './route.ts';

/**
 * "Why do I get no traffic?", for a provider about itself and for operators about anybody. What routing goes by is asked of
 * routing (`routing/why.ts`); what comes before it (is there an agent, does it list the model) is looked up here. A usual
 * request is one as long as nineteen in twenty of the last day.
 */
export function whyRoutes(rooms: ConsoleRooms, demand: () => Promise<readonly ModelDemand[]>): Route[] {
  const { clock } = rooms;
  const answerOf = cachedBy(clock, KEPT_MS, (asked) => {
    const [providerId = '', name] = asked.split('\n');
    return why(rooms, { providerId, name, demand: demand() });
  });
  return [
    route(
      'GET /api/v1/provider/why',
      { access: 'provider', errors: 'object', query: whyQuery },
      async (visit) => await answerOf([visit.providerId, visit.query.model].filter(Boolean).join('\n')),
    ),
    route(
      'GET /api/v1/operator/providers/:id/why',
      { access: 'operator', errors: 'text', query: whyQuery },
      async (visit) => {
        const id = visit.params['id'] ?? '';
        if (!rooms.providers.find(id))
          throw new Fault('thing-unknown', { outer: 'There is no such provider.' });
        return await answerOf([id, visit.query.model].filter(Boolean).join('\n'));
      },
    ),
  ];
}

/** Long enough that asking again and again costs nothing, short enough to watch a circuit close. */
const KEPT_MS = 2_000;
/** Of a provider that lists more, the first in the order of their ids; the others can be asked for by name. */
const MODELS_MAX = 50;
const USUAL_TOKENS = 1_000;
const BYTES_PER_TOKEN = 4;

type Step = WhyAnswer['steps'][number];

async function why(
  rooms: ConsoleRooms,
  about: { providerId: string; name: string | undefined; demand: Promise<readonly ModelDemand[]> },
): Promise<WhyAnswer> {
  const { providerId, name } = about;
  const [asked, collateral] = await Promise.all([about.demand, collateralStep(rooms, providerId)]);
  const state = rooms.providers.find(providerId)?.state ?? 'removed';
  const offered = new Set<string>();
  // What an agent says is ill it may offer no more: then it is here all the same, or nobody would hear why.
  const ill = new Set<string>();
  let connected = 0;
  for (const presence of rooms.registry.everywhere()) {
    if (presence.providerId !== providerId) continue;
    connected += 1;
    for (const modelId of presence.serving.keys()) offered.add(modelId);
    for (const called of presence.ill) {
      const model = rooms.models.resolve(called);
      if (model && presence.mode === 'websocket') ill.add(model.id);
    }
  }
  const steps = [stateStep(state), connectedStep(connected), collateral];
  const names =
    name === undefined ? [...new Set([...offered, ...ill])].toSorted().slice(0, MODELS_MAX) : [name];
  const blocked = steps.find(({ gate, passes }) => !passes && gate !== 'collateral');
  const found = names.map((each) => {
    const model = rooms.models.resolve(each);
    const p95 = asked.find(({ modelId }) => modelId === model?.id)?.promptP95 ?? USUAL_TOKENS;
    const need = {
      operations: model ? operationSet(usualOperations(model.category)) : 0,
      requestBytes: MESSAGE_OVERHEAD_BYTES + BYTES_PER_TOKEN * p95,
    };
    const inquiry = model && rooms.routing.inquiry(providerId, model, need);
    const standing = inquiry && whyOf(inquiry);
    const isIll = model !== undefined && ill.has(model.id);
    return { each, model, standing, isIll, candidates: inquiry?.candidates ?? [] };
  });
  const runs = await lastRuns(rooms, providerId, found);
  const views = found.map(({ each, model, standing, isIll, candidates }) => {
    const place = { providerId, model, candidates, ...runs };
    const seen: Seen = {
      probe: (nodeId) => lastProbeOf(rooms, nodeId, place),
      benchmark: (nodeId) => lastBenchmarkOf(nodeId, place),
    };
    return { standing, body: modelBody(each, { model, standing, connected, blocked, isIll, seen }) };
  });
  return {
    provider_id: providerId,
    status: state,
    steps,
    strategy: views.find(({ standing }) => standing)?.standing?.strategy ?? null,
    models: views.map(({ body }) => body),
  };
}

function stateStep(state: ProviderState): Step {
  return {
    gate: 'provider-active',
    passes: state === 'active',
    found: state.replace('_', ' '),
    wanted: 'active',
  };
}

function connectedStep(connected: number): Step {
  return {
    gate: 'connected',
    passes: connected > 0,
    found: connected === 1 ? '1 agent or endpoint' : `${connected} agents or endpoints`,
    wanted: 'at least one',
  };
}

/** Pledges shut no gate by themselves: whoever falls short is suspended, where the operator requires them. */
async function collateralStep({ funds }: ConsoleRooms, providerId: string): Promise<Step> {
  const { enough, covered, hardware } = await funds.collateral.standingOf(providerId);
  return {
    gate: 'collateral',
    passes: enough || !funds.collateralRequired,
    found: `${Number(covered) / 100} % of what ${hardware} hardware pledges`,
    wanted: funds.collateralRequired ? 'at least 100 %' : 'nothing: this market requires none',
  };
}

function modelBody(
  asked: string,
  about: {
    model: Model | undefined;
    standing: ModelStanding | undefined;
    connected: number;
    blocked: Step | undefined;
    /** Its agent calls it unhealthy. */
    isIll: boolean;
    seen: Seen;
  },
): WhyAnswer['models'][number] {
  const { model, standing, connected, blocked, isIll, seen } = about;
  const [first] = standing?.nodes ?? [];
  const { toLead } = standing ?? {};
  const steps: Step[] = [
    {
      gate: 'in-catalogue',
      passes: model?.active === true,
      found: model ? (model.active ? model.id : `${model.id}, which is not sold now`) : 'no such model',
      wanted: 'a model on sale',
    },
    {
      gate: 'offered',
      passes: model && connected > 0 ? first !== undefined : null,
      found: first
        ? byNodes((standing?.nodes.length ?? 0) + (standing?.nodesNotShown ?? 0))
        : isIll
          ? `by no node: ${SERVER_SILENT}`
          : 'by no node',
      wanted: 'an agent that registers it, or an endpoint that lists it',
    },
  ];
  const shut = blocked ?? steps.find(({ passes }) => !passes);
  return {
    model_id: model?.id ?? asked,
    summary: shut
      ? `No requests: ${shut.gate} (${shut.found}; wanted: ${shut.wanted}).`
      : summaryOf(first as NodeStanding, standing as ModelStanding),
    serving: !shut && first?.verdict === undefined,
    steps,
    candidates: standing?.listing ?? 0,
    may_serve: standing?.mayServe ?? 0,
    panic: standing?.panic ?? false,
    rank: first?.rank ?? null,
    nodes: (standing?.nodes ?? []).map((node) => ({
      node_id: node.nodeId,
      mode: node.mode,
      verdict: node.verdict ?? null,
      gates: [...node.gates],
      rank: node.rank ?? null,
      score: node.score ?? null,
      behind: node.behind ?? null,
      trial: node.trial,
      ...figuresBody(node.figures),
      last_served_s_ago: secondsOf(node.figures.servedAgoMs),
      last_judged_s_ago: secondsOf(node.figures.judgedAgoMs),
      last_probe: seen.probe(node.nodeId),
      last_benchmark: seen.benchmark(node.nodeId),
    })),
    nodes_not_shown: standing?.nodesNotShown ?? 0,
    last_benchmark: seen.benchmark(undefined),
    to_lead: toLead
      ? {
          decides: toLead.decides,
          leader: toLead.leader
            ? { ...figuresBody(toLead.leader), score: toLead.leader.score ?? null }
            : null,
          ttft_ms: toLead.ttftMs ?? null,
          price_below: toLead.below ? amountsOf(toLead.below) : null,
        }
      : null,
    wishes: (standing?.wishes ?? []).map((wish) => ({ ...wish })),
  };
}

/** What was found lately of a node, or of any node where none is named. */
interface Seen {
  probe(nodeId: string): WhyNode['last_probe'];
  benchmark(nodeId: string | undefined): WhyNode['last_benchmark'];
}
type WhyNode = WhyAnswer['models'][number]['nodes'][number];

async function lastRuns(
  { benchmarks }: ConsoleRooms,
  providerId: string,
  found: readonly { model: Model | undefined; standing: ModelStanding | undefined }[],
): Promise<{ byNode: readonly Run[]; byModel: readonly Run[] }> {
  const nodeIds = new Set(found.flatMap(({ standing }) => standing?.nodes.map(({ nodeId }) => nodeId) ?? []));
  const modelIds = found.flatMap(({ model }) => (model ? [model.id] : []));
  return await benchmarks.store.lastOf(providerId, { nodeIds: [...nodeIds], modelIds });
}

function lastProbeOf(
  { watching }: ConsoleRooms,
  nodeId: string,
  about: { providerId: string; candidates: readonly Candidate[] },
): WhyNode['last_probe'] {
  const candidate = about.candidates.find(
    (each) => each.nodeId === nodeId && each.providerId === about.providerId,
  );
  const last = candidate && watching.lastProbeOf(candidate);
  if (!last) return null;
  const { at, ok, because = null, ttftMs } = last;
  return {
    at: new Date(at).toISOString(),
    ok,
    because,
    ttft_ms: ttftMs === null ? null : Math.round(ttftMs),
  };
}

function lastBenchmarkOf(
  nodeId: string | undefined,
  about: { model: Model | undefined; byNode: readonly Run[]; byModel: readonly Run[] },
): WhyNode['last_benchmark'] {
  const { model, byNode, byModel } = about;
  const run =
    nodeId === undefined
      ? byModel.find((each) => each.modelId === model?.id)
      : byNode.find((each) => each.modelId === model?.id && each.nodeId === nodeId);
  if (!run) return null;
  const { score, verdict } = run;
  return {
    run: run.id,
    node_id: run.nodeId,
    at: new Date(run.endedAt).toISOString(),
    passed: verdict.passed,
    shortcomings: [...run.shortcomings],
    math: score.math.join('/'),
    code: score.code.join('/'),
    ttft_ms: score.ttftMs === null ? null : Math.round(score.ttftMs),
    tokens_per_s: Math.round(score.tokensPerSecond * 10) / 10,
    appeal: run.appeal?.decision ?? (run.appealAsked ? 'asked' : null),
  };
}

function summaryOf(first: NodeStanding, { mayServe, toLead }: ModelStanding): string {
  if (first.verdict !== undefined) {
    const gate = first.gates.find((each) => each.gate === first.verdict);
    return `No requests: ${first.verdict} (${gate?.found}; wanted: ${gate?.wanted}).`;
  }
  const place = `It may serve, as number ${first.rank} of ${mayServe}`;
  if (first.trial) return `${place}: it failed lately and is tried by one request at a time.`;
  if (first.behind !== undefined && toLead?.decides === 'order')
    return `${place}: ${first.behind}, so others go before it.`;
  if (toLead?.decides === 'order') return `${place}: others go before it whatever their figures.`;
  if (toLead?.decides !== 'score') return `${place}.`;
  return toLead.ttftMs === undefined
    ? `${place}: others score higher.`
    : `${place}: with a time to first token of ${toLead.ttftMs} ms it would go first.`;
}

function figuresBody(figures: Figures) {
  return {
    success_rate: figures.success,
    ttft_ms: figures.ttftMs,
    tokens_per_s: figures.tokensPerSecond,
    load: figures.load,
    overclaim: figures.overclaim,
    price: amountsOf(figures.price satisfies Price),
  };
}

function secondsOf(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms / 1_000);
}

function byNodes(count: number): string {
  return count === 1 ? 'by 1 node' : `by ${count} nodes`;
}
