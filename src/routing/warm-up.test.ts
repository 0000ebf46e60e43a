import { describe, expect, test } from 'vitest';
import { operationSet } from '#domain/operation.ts';
import { candidate } from '#support/candidate.ts';
import { chooseWarmUps, leftAloneMs, WARM_UP, type Warmable, type Warmth } from './warm-up.ts';

const NOW = 10_000_000;
const COLD = WARM_UP.coldAfterMs;

function node(
  name: string,
  warmth: Partial<Warmth> = {},
  given: Parameters<typeof candidate>[1] = {},
): Warmable {
  return { candidate: candidate(name, given), warmth: { lastWarmMs: null, notBeforeMs: 0, ...warmth } };
}

function chosen(
  models: { askedAgoMs: number; candidates: Warmable[] }[],
  busyNodes: string[] = [],
  atOnceMax = WARM_UP.atOnceMax,
): string[] {
  const wanted = models.map(({ askedAgoMs, candidates }) => ({
    modelId: 'model',
    lastAskedMs: NOW - askedAgoMs,
    candidates,
  }));
  return chooseWarmUps(wanted, { nowMs: NOW, busyNodes: new Set(busyNodes) }, { ...WARM_UP, atOnceMax }).map(
    ({ candidate: { nodeId } }) => nodeId,
  );
}

describe('who is warmed up', () => {
  test('a node that newly lists a model which was asked for lately', () => {
    expect(chosen([{ askedAgoMs: 60_000, candidates: [node('a')] }])).toEqual(['node-a']);
    expect(chosen([{ askedAgoMs: WARM_UP.demandWithinMs + 1, candidates: [node('a')] }])).toEqual([]);
  });

  test('one cold node of a model that is asked for, when no warm one has room', () => {
    const cold = { lastWarmMs: NOW - COLD };
    const full = node('full', { lastWarmMs: NOW - 1 }, { inFlight: 8, capacity: 8, linkInFlight: 8 });
    expect(chosen([{ askedAgoMs: 1, candidates: [full, node('a', cold), node('b', cold)] }])).toEqual([
      'node-a',
    ]);
  });

  test('nobody, while a warm node has room', () => {
    const warm = node('warm', { lastWarmMs: NOW - 1 });
    expect(chosen([{ askedAgoMs: 1, candidates: [warm, node('a', { lastWarmMs: NOW - COLD })] }])).toEqual(
      [],
    );
  });

  test('a cold node, when the warm one is out of service', () => {
    const cold = node('a', { lastWarmMs: NOW - COLD });
    for (const given of [
      { eligible: false },
      { draining: true },
      { health: 'unhealthy' as const },
      { mode: 'external' as const },
      { breaker: { state: 'open' as const } },
    ])
      expect(
        chosen([{ askedAgoMs: 1, candidates: [node('w', { lastWarmMs: NOW - 1 }, given), cold] }]),
      ).toEqual(['node-a']);
  });
});

describe('who is left alone', () => {
  test.each([
    ['a node on which anything runs', { linkInFlight: 1 }],
    ['one that may not serve', { eligible: false }],
    ['one that drains', { draining: true }],
    ['one that is ill', { health: 'unhealthy' as const }],
    ['one whose circuit is open', { breaker: { state: 'open' as const } }],
    ['one that does not chat', { operations: operationSet(['embeddings']) }],
    ['an external endpoint', { mode: 'external' as const }],
  ])('%s', (_who, given) => {
    expect(chosen([{ askedAgoMs: 1, candidates: [node('a', {}, given)] }])).toEqual([]);
  });

  test('a node whose warm-up is under way, whatever model that is of', () => {
    expect(chosen([{ askedAgoMs: 1, candidates: [node('a')] }], ['node-a'])).toEqual([]);
  });

  test('a node gets one warm-up at a time, and the model asked for last goes first', () => {
    const two = [
      { askedAgoMs: 9_000, candidates: [node('a'), node('b')] },
      { askedAgoMs: 1_000, candidates: [node('a')] },
    ];
    expect(chosen(two)).toEqual(['node-a', 'node-b']);
  });

  test('everybody, once so many warm-ups are under way', () => {
    const many = Array.from({ length: 20 }, (_, i) => node(`n${i}`));
    expect(chosen([{ askedAgoMs: 1, candidates: many }], ['x', 'y'], 5)).toHaveLength(3);
  });

  test('a node whose warm-up failed, for a while that doubles up to half an hour', () => {
    expect(chosen([{ askedAgoMs: 1, candidates: [node('a', { notBeforeMs: NOW + 1 })] }])).toEqual([]);
    expect([1, 2, 3, 20].map(leftAloneMs)).toEqual([60_000, 120_000, 240_000, 1_800_000]);
  });
});
