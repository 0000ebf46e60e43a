import { OPERATIONS, type Operation, type OperationSet } from '#domain/operation.ts';
import { NO_PREFERENCES, type Preferences } from '#domain/preferences.ts';
import { type Price, priceText } from '#domain/price.ts';
import { trialsFromMs } from './breaker.ts';
import type { Candidate, Need } from './candidate.ts';
import { type Bias, type Explained, explain, stateOf } from './choose.ts';
import { GATES, type Reason, shutGates } from './eligible.ts';
import { narrow } from './narrow.ts';
import { successAt } from './score.ts';
import { byPrice } from './strategies/measured.ts';
import { loadOf, type Strategy } from './strategies/strategy.ts';

/**
 * "Why do I get no traffic?" For one provider and one model: every gate with what was found there and what it wants, where
 * the provider's nodes stand among all that may serve, and what would put the best of them in front. Nothing is judged
 * here: gates are `shutGates`, places are `explain`, wishes are `narrow` and scores are the strategy's own, so what a
 * provider reads is what a request would meet. Of rivals it shows figures and never names.
 */
export interface Inquiry {
  readonly providerId: string;
  /** A usual request for the model. */
  readonly need: Need;
  /** Everybody who lists the model. */
  readonly candidates: readonly Candidate[];
  readonly strategy: Strategy;
  /** What the house prefers among equals. */
  readonly bias: Bias | undefined;
  readonly listed: Price;
  /** Monotonic milliseconds. */
  readonly nowMs: number;
}

export interface ModelStanding {
  readonly strategy: string;
  /** Everybody who lists the model, and how many of them may serve now. */
  readonly listing: number;
  readonly mayServe: number;
  /** Too many circuits are open to believe them all. */
  readonly panic: boolean;
  /** The provider's own, best first; at most `NODES_SHOWN`. */
  readonly nodes: readonly NodeStanding[];
  readonly nodesNotShown: number;
  /** Undefined when no node of the provider may serve. */
  readonly toLead: ToLead | undefined;
  /** What requests may ask for, and whether the first node has it. */
  readonly wishes: readonly WishView[];
}

export interface NodeStanding {
  readonly nodeId: string;
  readonly mode: Candidate['mode'];
  /** The gate that turns requests away first; undefined when it may serve. */
  readonly verdict: Reason | undefined;
  /** In the order in which requests meet them. */
  readonly gates: readonly GateView[];
  /** Among all that may serve; 1 goes first. Undefined when it may not. */
  readonly rank: number | undefined;
  readonly score: number | undefined;
  /** Why it stands behind others of its kind; undefined for most. */
  readonly behind: string | undefined;
  /** It is only tried, as one whose circuit was open. */
  readonly trial: boolean;
  readonly figures: Figures;
}

/** One gate, with the figure that decides. */
export interface GateView {
  readonly gate: Reason;
  readonly passes: boolean;
  readonly found: string;
  readonly wanted: string;
}

/** What routing goes by. */
export interface Figures {
  readonly success: number;
  readonly ttftMs: number | null;
  readonly tokensPerSecond: number | null;
  readonly load: number;
  readonly overclaim: number;
  readonly price: Price;
  /** How long ago it last answered in full, or was last judged at all; null when never. */
  readonly servedAgoMs: number | null;
  readonly judgedAgoMs: number | null;
}

export interface ToLead {
  /**
   * What stands between the best node and the first place: nothing (it has it), an order that no figure changes (agents
   * before endpoints, healthy before degraded, near before far, sound before on trial), or the strategy's score.
   */
  readonly decides: 'nothing' | 'order' | 'score';
  /** The figures of whoever goes first; undefined when that is the provider itself. */
  readonly leader: (Figures & { readonly score: number | undefined }) | undefined;
  /** A time to first token that would do, all else unchanged; undefined when none would. */
  readonly ttftMs: number | undefined;
  /** Requests that sort by price go to who asks less than this; undefined when nobody asks less than this provider. */
  readonly below: Price | undefined;
}

export interface WishView {
  /** The field of the request's `provider` object. */
  readonly wish: 'data_collection' | 'zdr' | 'require_parameters' | 'max_price';
  readonly passes: boolean;
  readonly found: string;
}

/** A provider with more nodes sees the best of them. */
export const NODES_SHOWN = 20;

export function whyOf(inquiry: Inquiry): ModelStanding {
  const { providerId, need, candidates, strategy, bias, nowMs } = inquiry;
  const choice = { strategy, nowMs, ...(bias && { bias }) };
  const state = stateOf(need, candidates, choice);
  const rows = explain(need, candidates, choice);
  const byId = new Map(candidates.map((candidate) => [candidate.id, candidate]));
  const mine = rows.filter((row) => row.providerId === providerId);
  const nodes = mine.slice(0, NODES_SHOWN).map((row): NodeStanding => {
    const candidate = byId.get(row.candidateId) as Candidate;
    const shut = new Set(shutGates(candidate, need, state, nowMs));
    return {
      nodeId: candidate.nodeId,
      mode: candidate.mode,
      verdict: row.reason,
      gates: STANDING_GATES.map((gate) => ({
        gate,
        passes: !shut.has(gate),
        ...FIGURE_OF[gate](candidate, inquiry),
      })),
      rank: row.rank,
      score: row.score,
      behind: candidate.behind,
      trial: row.trial,
      figures: figuresOf(candidate, inquiry),
    };
  });
  const first = byId.get(mine[0]?.candidateId ?? '');
  return {
    strategy: strategy.name,
    listing: candidates.length,
    mayServe: rows.filter((row) => row.rank !== undefined).length,
    panic: state.ignoreCircuits,
    nodes,
    nodesNotShown: mine.length - nodes.length,
    toLead: first && mine[0]?.rank !== undefined ? toLeadOf(first, mine[0], rows, byId, inquiry) : undefined,
    wishes: first ? wishesOf(first, inquiry) : [],
  };
}

/** The gates that stand whatever the request; the others hold for one request only. */
type StandingGate = Exclude<Reason, 'provider-tried' | 'provider-excluded'>;
const STANDING_GATES = GATES.filter(
  (gate): gate is StandingGate => gate !== 'provider-tried' && gate !== 'provider-excluded',
);

type Finding = Pick<GateView, 'found' | 'wanted'>;

const FIGURE_OF: Readonly<Record<StandingGate, (candidate: Candidate, inquiry: Inquiry) => Finding>> = {
  'not-eligible': ({ eligible, ineligibleBecause }) => ({
    found: ineligibleBecause ?? (eligible ? 'may earn' : 'may not earn'),
    wanted: 'an active provider whose agent lists the model as ready',
  }),
  'cannot-do-it': ({ operations }, { need }) => ({
    found: wordsOf(operations),
    wanted: wordsOf(need.operations),
  }),
  draining: ({ draining }) => ({
    found: draining ? 'asked for no more work' : 'takes work',
    wanted: 'takes work',
  }),
  'model-unhealthy': ({ health, mode }) => ({
    found:
      health === 'unhealthy'
        ? mode === 'external'
          ? 'its checks fail: your server does not answer as it should'
          : 'its word is unhealthy: your model server does not answer, or is not what it is pinned to'
        : `its word is ${health}`,
    wanted: 'any word but unhealthy',
  }),
  'request-too-large': ({ maxRequestBytes }, { need }) => ({
    found: `takes ${maxRequestBytes} bytes`,
    wanted: `at least ${need.requestBytes} bytes, as a usual request has`,
  }),
  'asks-too-much': ({ ask }, { listed }) => ({
    found: ask ? `asks ${priceText(ask)}` : 'asks the listed price',
    wanted: `at most ${priceText(listed)}`,
  }),
  'plan-without-fallback': ({ mode }) => ({
    found: mode === 'external' ? 'an external endpoint' : 'an agent',
    wanted: 'an agent, for consumers whose plan has no fallback',
  }),
  'circuit-open': ({ breaker }, { nowMs }) => ({
    found:
      breaker.state === 'open'
        ? `open for another ${seconds(trialsFromMs(breaker) - nowMs)} s after ${breaker.byProbes ? 'probes failed' : `${breaker.consecutiveFailures} failures in a row`}`
        : `${breaker.state}, ${breaker.consecutiveFailures} failures in a row`,
    wanted: 'closed, or its time over and no trial under way',
  }),
  'model-full': ({ inFlight, capacity }) => ({
    found: `${inFlight} under way of this model`,
    wanted: `fewer than ${capacity}`,
  }),
  'link-full': ({ linkInFlight, linkCapacity }) => ({
    found: `${linkInFlight} under way on the connection`,
    wanted: `fewer than ${linkCapacity}`,
  }),
};

function toLeadOf(
  first: Candidate,
  own: Explained,
  rows: readonly Explained[],
  byId: ReadonlyMap<string, Candidate>,
  inquiry: Inquiry,
): ToLead {
  const { strategy, nowMs, listed } = inquiry;
  const rivals = rows.filter((row) => row.rank !== undefined && row.providerId !== own.providerId);
  const [ahead] = rivals.filter((row) => (row.rank as number) < (own.rank as number));
  const leader = ahead && (byId.get(ahead.candidateId) as Candidate);
  const place = (row: Explained): number => (row.trial ? Number.MAX_SAFE_INTEGER : row.tier);
  const level = rivals
    .filter((row) => place(row) === place(own))
    .map((row) => byId.get(row.candidateId) as Candidate);
  const cheapest = level.toSorted((a, b) => priceScore(b) - priceScore(a))[0];
  const decides = !ahead ? 'nothing' : place(ahead) < place(own) ? 'order' : 'score';
  return {
    decides,
    leader: leader && { ...figuresOf(leader, inquiry), score: ahead.score },
    ttftMs: decides === 'score' ? ttftToLead(first, level, { strategy, nowMs }) : undefined,
    below: cheapest && priceScore(cheapest) > priceScore(first) ? (cheapest.ask ?? listed) : undefined,
  };
}

const PRICE = byPrice();
/** How a candidate's price compares, its load aside; the greater, the cheaper. */
function priceScore(candidate: Candidate): number {
  return PRICE.score({ ...candidate, inFlight: 0, linkInFlight: 0 }, 0, 0);
}

const SLOWEST_MS = 60_000;

/** The longest time to first token that puts `own` before `rivals` of its place; undefined when none does. */
function ttftToLead(
  own: Candidate,
  rivals: readonly Candidate[],
  { strategy, nowMs }: Pick<Inquiry, 'strategy' | 'nowMs'>,
): number | undefined {
  let bestMs = Number.POSITIVE_INFINITY;
  for (const { record } of rivals)
    if (record.ttftMs !== null && record.ttftMs < bestMs) bestMs = record.ttftMs;
  const scoreAt = (ttftMs: number): number =>
    strategy.score({ ...own, record: { ...own.record, ttftMs } }, nowMs, Math.min(bestMs, ttftMs));
  const leadsAt = (ttftMs: number): boolean => {
    const score = scoreAt(ttftMs);
    return rivals.every((rival) => strategy.score(rival, nowMs, Math.min(bestMs, ttftMs)) <= score);
  };
  // A strategy that passes over latency is moved by none.
  if (!leadsAt(1) || scoreAt(1) === scoreAt(SLOWEST_MS)) return undefined;
  let [leads, trails] = [1, SLOWEST_MS];
  while (trails - leads > 1) {
    const middle = Math.floor((leads + trails) / 2);
    if (leadsAt(middle)) leads = middle;
    else trails = middle;
  }
  return leads;
}

/** Common parameters that agents may state and requests may insist on. */
const INSISTED = ['tools', 'response_format'];

function wishesOf(candidate: Candidate, { listed }: Inquiry): WishView[] {
  const passes = (wish: Partial<Preferences>, parameters: readonly string[] = []): boolean =>
    'candidates' in narrow([candidate], { ...NO_PREFERENCES, ...wish }, { price: listed, parameters });
  const policy = `data policy ${candidate.dataPolicy}`;
  const { unit } = listed;
  return [
    { wish: 'data_collection', passes: passes({ denyCollection: true }), found: policy },
    { wish: 'zdr', passes: passes({ zeroRetention: true }), found: policy },
    {
      wish: 'require_parameters',
      passes: passes({ requireParameters: true }, INSISTED),
      found: candidate.parameters ? `states ${candidate.parameters.size} parameters` : 'states no parameters',
    },
    {
      wish: 'max_price',
      passes: passes({
        maxPrice: {
          prompt: unit === 'token' ? listed.inputPico : undefined,
          completion: unit === 'token' ? listed.outputPico : undefined,
          request: unit === 'request' ? listed.requestPico : undefined,
        },
      }),
      found: priceText(candidate.ask ?? listed),
    },
  ];
}

function figuresOf(candidate: Candidate, { nowMs, listed }: Inquiry): Figures {
  const { record } = candidate;
  const ago = (atMs: number | null): number | null =>
    atMs === null ? null : Math.max(0, Math.round(nowMs - atMs));
  return {
    success: successAt(record, nowMs),
    ttftMs: record.ttftMs,
    tokensPerSecond: record.tokensPerSecond,
    load: loadOf(candidate),
    overclaim: record.overclaim,
    price: candidate.ask ?? listed,
    servedAgoMs: ago(record.lastServedMs),
    judgedAgoMs: ago(record.lastOutcomeMs),
  };
}

function wordsOf(set: OperationSet): string {
  const known: Operation[] = OPERATIONS.filter((_, index) => (set & (1 << index)) !== 0);
  return known.length === 0 ? 'nothing' : known.join(', ');
}

function seconds(ms: number): number {
  return Math.max(0, Math.ceil(ms / 1_000));
}
