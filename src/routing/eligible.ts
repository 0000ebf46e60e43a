import { asksMore } from '#domain/price.ts';
import { assert } from '#kit/assert.ts';
import { newBreaker, trialsFromMs } from './breaker.ts';
import type { Candidate, Need } from './candidate.ts';

/**
 * The gates in front of a candidate, in the order in which they are tried; the first that is shut is the reason. First
 * what keeps a candidate from this model for long (so that these alone say how large the usable fleet is), then the
 * circuit, then what may be over in a moment, then what holds for this request only.
 */
export const GATES = [
  'not-eligible',
  'cannot-do-it',
  'draining',
  'model-unhealthy',
  'request-too-large',
  'asks-too-much',
  'plan-without-fallback',
  'circuit-open',
  'model-full',
  'link-full',
  'provider-tried',
  'provider-excluded',
] as const;

/** Why a candidate may not serve. */
export type Reason = (typeof GATES)[number];

/** What routing knows of this request beyond its need. */
export interface RoutingState {
  /** Providers that already had an attempt of this request. */
  readonly tried: ReadonlySet<string>;
  /** Providers that lost a link to a request like this one (`routing/poison.ts`) or that the caller rules out. */
  readonly excluded: ReadonlySet<string>;
  /** Panic: too many circuits are open to believe them all. One attempt at a time still holds. */
  readonly ignoreCircuits: boolean;
}

export const FRESH: RoutingState = { tried: new Set(), excluded: new Set(), ignoreCircuits: false };

/** The gate number meaning that every gate is open. */
export const OPEN = -1;

/** The index in `GATES` of the circuit: candidates stopped here or later make up the usable fleet. */
export const CIRCUIT_GATE = GATES.indexOf('circuit-open');

/** The index in `GATES` of the first shut gate, or `OPEN`. A number, because it is asked a thousand times a request. */
export function gateOf(candidate: Candidate, need: Need, state: RoutingState, nowMs: number): number {
  if (!candidate.eligible) return 0;
  if ((candidate.operations & need.operations) === 0) return 1;
  if (candidate.draining) return 2;
  if (candidate.health === 'unhealthy') return 3;
  if (need.requestBytes > candidate.maxRequestBytes) return 4;
  if (candidate.ask !== null && need.price !== undefined && asksMore(candidate.ask, need.price)) return 5;
  if (need.agentsOnly === true && candidate.mode === 'external') return 6;
  const breaker = candidate.breaker;
  if (breaker.state !== 'closed') {
    // Whatever the reason for trying it, a doubtful candidate gets one request at a time.
    if (breaker.trialsUnderWay > 0) return 7;
    if (breaker.state === 'open' && nowMs < trialsFromMs(breaker) && !state.ignoreCircuits) return 7;
  }
  const full = candidate.inFlight >= candidate.capacity;
  if ((full || candidate.linkInFlight >= candidate.linkCapacity) && !joins(candidate, need))
    return full ? 8 : 9;
  if (state.tried.size > 0 && state.tried.has(candidate.providerId)) return 10;
  if (state.excluded.size > 0 && state.excluded.has(candidate.providerId)) return 11;
  return OPEN;
}

/** Can it travel with a call that has its place already? */
function joins({ gathering }: Candidate, { gather }: Need): boolean {
  return (
    gathering !== undefined &&
    gather !== undefined &&
    gather.key === gathering.key &&
    gather.inputs <= gathering.inputs &&
    gather.bytes <= gathering.bytes
  );
}

/** Why `candidate` may not serve `need` now; undefined when it may. `nowMs` is monotonic. */
export function whyNot(
  candidate: Candidate,
  need: Need,
  state: RoutingState,
  nowMs: number,
): Reason | undefined {
  return GATES[gateOf(candidate, need, state, nowMs)];
}

/**
 * Every gate that is shut, in order: what a provider has to mend, not only what turned the last request away. Each shut
 * gate is opened on a copy and `gateOf` is asked again, so that the rules stand in one place.
 */
export function shutGates(
  candidate: Candidate,
  need: Need,
  state: RoutingState,
  nowMs: number,
): readonly Reason[] {
  const shut: Reason[] = [];
  let [subject, asked] = [candidate, state];
  for (
    let gate = gateOf(subject, need, asked, nowMs);
    gate !== OPEN;
    gate = gateOf(subject, need, asked, nowMs)
  ) {
    const reason = GATES[gate] as Reason;
    assert(!shut.includes(reason), 'a gate that was opened is open');
    shut.push(reason);
    subject = { ...subject, ...opened(reason, need) };
    if (reason === 'provider-tried') asked = { ...asked, tried: FRESH.tried };
    if (reason === 'provider-excluded') asked = { ...asked, excluded: FRESH.excluded };
  }
  return shut;
}

/** What a candidate would have to be for one gate to be open. */
function opened(gate: Reason, need: Need): Partial<Candidate> {
  switch (gate) {
    case 'not-eligible':
      return { eligible: true };
    case 'cannot-do-it':
      return { operations: need.operations };
    case 'draining':
      return { draining: false };
    case 'model-unhealthy':
      return { health: 'healthy' };
    case 'request-too-large':
      return { maxRequestBytes: need.requestBytes };
    case 'asks-too-much':
      return { ask: null };
    case 'plan-without-fallback':
      return { mode: 'websocket' };
    case 'circuit-open':
      return { breaker: newBreaker() };
    case 'model-full':
      return { inFlight: 0, capacity: 1 };
    case 'link-full':
      return { linkInFlight: 0, linkCapacity: 1 };
    default:
      // Shut by the request, not by the candidate.
      return {};
  }
}
