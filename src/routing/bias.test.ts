import { describe, expect, test } from 'vitest';
import { NO_PREFERENCES } from '#domain/preferences.ts';
import { seededRandomness } from '#kit/random.ts';
import { candidate, smallNeed } from '#support/candidate.ts';
import type { Candidate } from './candidate.ts';
import { type Bias, choose } from './choose.ts';
import { wishedRank } from './narrow.ts';
import { softRank } from './soft-rank.ts';
import { healthAware } from './strategies/health-aware.ts';
import { byLatency, byPrice, byThroughput } from './strategies/measured.ts';
import type { Strategy } from './strategies/strategy.ts';

const none: Bias = { wished: () => 0, soft: () => 0, warmNodeId: undefined };
const ORDER = { ...NO_PREFERENCES, order: ['far', 'bad'] };

function picks(fleet: Candidate[], bias: Partial<Bias>, strategy: Strategy = healthAware()): string[] {
  const choice = { strategy, nowMs: 10_000, random: seededRandomness(1), bias: { ...none, ...bias } };
  return choose(smallNeed, fleet, choice).picks.map(({ id }) => id.split('/')[0] as string);
}

describe('who goes before whom', () => {
  const good = candidate('good', { record: { success: 1, ttftMs: 10 } });
  const bad = candidate('bad', { record: { success: 0.2, ttftMs: 900 } });
  const outside = candidate('far', { mode: 'external' });

  test('without preferences the better candidate, and agents before external endpoints', () => {
    expect(picks([outside, bad, good], {})).toEqual(['good', 'bad', 'far']);
  });

  test('an endpoint that is warm for a conversation still stands behind every agent', () => {
    expect(picks([outside, bad, good], { warmNodeId: outside.nodeId })).toEqual(['good', 'bad', 'far']);
  });

  test("the consumer's order comes before everything, external endpoints included", () => {
    expect(picks([good, bad, outside], { wished: (one) => wishedRank(one, ORDER) })).toEqual([
      'far',
      'bad',
      'good',
    ]);
  });

  test('the warm node comes before a better one, but not when it is nearly full', () => {
    expect(picks([good, bad], { warmNodeId: 'node-bad' })).toEqual(['bad', 'good']);
    const full = candidate('full', { inFlight: 15, capacity: 16 });
    expect(picks([good, full], { warmNodeId: 'node-full' })).toEqual(['good', 'full']);
  });

  test("the warm node does not come before the consumer's order", () => {
    const wished = (one: Candidate): number => wishedRank(one, { ...NO_PREFERENCES, order: ['good'] });
    expect(picks([good, bad], { wished, warmNodeId: 'node-bad' })).toEqual(['good', 'bad']);
  });

  test('the own region comes first among equals in tier, until it is busy', () => {
    const soft = softRank({ region: 'eu', canary: undefined });
    const near = candidate('near', { region: 'eu', record: { success: 0.5 } });
    const nearAndBusy = candidate('busy', { region: 'eu', inFlight: 7, capacity: 8 });
    expect(picks([good, near], { soft })).toEqual(['near', 'good']);
    expect(picks([good, nearAndBusy], { soft })).toEqual(['good', 'busy']);
    const nearButOutside = candidate('endpoint', { region: 'eu', mode: 'external' });
    expect(picks([nearButOutside, good], { soft })).toEqual(['good', 'endpoint']);
  });

  test('a version on trial leads its share of requests and is the last resort of the others', () => {
    const trial = candidate('trial', { version: 'w2' });
    const canary = (leads: boolean) => softRank({ region: undefined, canary: { version: 'w2', leads } });
    expect(picks([good, trial], { soft: canary(true) })).toEqual(['trial', 'good']);
    expect(picks([trial, bad], { soft: canary(false) })).toEqual(['bad', 'trial']);
    expect(picks([trial], { soft: canary(false) })).toEqual(['trial']);
  });
});

describe('measured strategies', () => {
  const one = candidate('one', {
    record: { tokensPerSecond: 80, ttftMs: 400 },
    ask: { id: 'a', unit: 'token', inputPico: 10n, outputPico: 40n },
  });
  const two = candidate('two', {
    record: { tokensPerSecond: 30, ttftMs: 50 },
    ask: { id: 'b', unit: 'token', inputPico: 11n, outputPico: 40n },
  });
  const fresh = candidate('fresh', {});

  test.each([
    ['price', byPrice(), ['one', 'two', 'fresh']],
    ['throughput', byThroughput(), ['one', 'two', 'fresh']],
    ['latency', byLatency(), ['two', 'one', 'fresh']],
  ] as const)(
    '%s puts the best first, and whoever is not known where it may become known',
    (name, strategy, order) => {
      expect(strategy.name).toBe(name);
      expect(picks([fresh, two, one], {}, strategy)).toEqual(order);
    },
  );

  test('a fast candidate that is full loses its lead to one with room', () => {
    const full = candidate('full', { record: { tokensPerSecond: 80 }, inFlight: 7, capacity: 8 });
    expect(picks([full, two], {}, byThroughput())).toEqual(['two', 'full']);
  });

  test('equal asks go to the one with more room, unequal ones never', () => {
    const ask = { id: 'a', unit: 'token', inputPico: 10n, outputPico: 40n } as const;
    const busy = candidate('busy', { ask, inFlight: 6, capacity: 8 });
    expect(picks([busy, candidate('idle', { ask })], {}, byPrice())).toEqual(['idle', 'busy']);
    expect(picks([busy, two], {}, byPrice())).toEqual(['busy', 'two']);
  });
});
