import { describe, expect, test } from 'vitest';
import { operationSet } from '#domain/operation.ts';
import type { Price } from '#domain/price.ts';
import { candidate, smallNeed } from '#support/candidate.ts';
import type { Need } from './candidate.ts';
import { FRESH, GATES, type Reason, type RoutingState, whyNot } from './eligible.ts';

const NOW = 1_000;
const listed: Price = { id: 'price_1', unit: 'token', inputPico: 5n, outputPico: 10n };
const need: Need = { ...smallNeed, price: listed, agentsOnly: true };

describe('each gate has its reason', () => {
  const table: [Reason | undefined, Parameters<typeof candidate>[1], Partial<RoutingState>?][] = [
    [undefined, {}],
    [undefined, { health: 'degraded' }],
    [undefined, { health: 'unknown' }],
    [undefined, { inFlight: 7, linkInFlight: 15 }],
    [undefined, { maxRequestBytes: 1_000 }],
    [undefined, { breaker: { state: 'half-open' } }],
    [undefined, { breaker: { state: 'open', openUntilMs: NOW } }],
    [undefined, { breaker: { state: 'open', openUntilMs: NOW + 1 } }, { ignoreCircuits: true }],
    ['not-eligible', { eligible: false, ineligibleBecause: 'The benchmark failed.' }],
    ['cannot-do-it', { operations: operationSet(['embeddings']) }],
    [undefined, { operations: operationSet(['embeddings', 'chat/completions']) }],
    ['draining', { draining: true }],
    ['model-unhealthy', { health: 'unhealthy' }],
    ['request-too-large', { maxRequestBytes: 999 }],
    ['asks-too-much', { ask: { id: 'ask_1', unit: 'token', inputPico: 5n, outputPico: 11n } }],
    ['asks-too-much', { ask: { id: 'ask_1', unit: 'request', requestPico: 0n } }],
    [undefined, { ask: { id: 'ask_1', unit: 'token', inputPico: 5n, outputPico: 10n } }],
    ['plan-without-fallback', { mode: 'external' }],
    ['circuit-open', { breaker: { state: 'open', openUntilMs: NOW + 1 } }],
    ['circuit-open', { breaker: { state: 'open', openUntilMs: NOW, byProbes: true } }],
    ['circuit-open', { breaker: { state: 'half-open', trialsUnderWay: 1 } }],
    ['circuit-open', { breaker: { state: 'half-open', trialsUnderWay: 1 } }, { ignoreCircuits: true }],
    ['model-full', { inFlight: 8 }],
    ['model-full', { capacity: 0 }],
    ['link-full', { linkInFlight: 16 }],
    ['provider-tried', {}, { tried: new Set(['provider-a']) }],
    ['provider-excluded', {}, { excluded: new Set(['provider-a']) }],
  ];
  test.each(table)('%s: %o', (reason, given, state = {}) => {
    expect(whyNot(candidate('a', given), need, { ...FRESH, ...state }, NOW)).toBe(reason);
  });
  test('a need that names no price and no plan passes every ask and every endpoint', () => {
    const dear = candidate('a', { mode: 'external', ask: { ...listed, inputPico: 99n } });
    expect(whyNot(dear, smallNeed, FRESH, NOW)).toBeUndefined();
  });
});

test('with several gates shut, the first in order is the reason', () => {
  const shut: Parameters<typeof candidate>[1][] = [
    { eligible: false },
    { operations: 0 },
    { draining: true },
    { health: 'unhealthy' },
    { maxRequestBytes: 0 },
    { ask: { ...listed, inputPico: 6n } },
    { mode: 'external' },
    { breaker: { state: 'open', openUntilMs: NOW + 1 } },
    { inFlight: 8 },
    { linkInFlight: 16 },
  ];
  const state = { ...FRESH, tried: new Set(['provider-a']), excluded: new Set(['provider-a']) };
  for (let first = 0; first < GATES.length; first++) {
    const given = Object.assign({}, ...shut.slice(first));
    const tried = first <= 10 ? state : { ...state, tried: FRESH.tried };
    expect(whyNot(candidate('a', given), need, tried, NOW)).toBe(GATES[first]);
  }
});
