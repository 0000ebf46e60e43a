import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seededRandomness } from '#kit/random.ts';
import { candidate, smallNeed } from '#support/candidate.ts';
import type { Candidate } from './candidate.ts';
import { choose } from './choose.ts';
import { FRESH, GATES, shutGates, whyNot } from './eligible.ts';
import { softRank } from './soft-rank.ts';
import { healthAware } from './strategies/health-aware.ts';
import { leastConnections } from './strategies/least-connections.ts';
import { byLatency, byPrice, byThroughput } from './strategies/measured.ts';
import { roundRobin } from './strategies/round-robin.ts';
import { type Inquiry, NODES_SHOWN, whyOf } from './why.ts';

const NOW = 1_000_000;
const listed = { id: 'price_1', unit: 'token', inputPico: 50_000n, outputPico: 360_000n } as const;
const need = { ...smallNeed, price: listed };

const why = (candidates: readonly Candidate[], name: string, about: Partial<Inquiry> = {}) =>
  whyOf({
    providerId: `provider-${name}`,
    need,
    candidates,
    strategy: healthAware(),
    bias: undefined,
    listed,
    nowMs: NOW,
    ...about,
  });

const anyCandidate = fc
  .record({
    eligible: fc.boolean(),
    operations: fc.constantFrom(0, 1, 2, 3),
    draining: fc.boolean(),
    health: fc.constantFrom('healthy', 'degraded', 'unhealthy', 'unknown'),
    maxRequestBytes: fc.constantFrom(10, 1_000_000),
    mode: fc.constantFrom('websocket', 'external'),
    inFlight: fc.nat(4),
    capacity: fc.integer({ min: 1, max: 4 }),
    linkInFlight: fc.nat(4),
    linkCapacity: fc.integer({ min: 1, max: 4 }),
    ask: fc.constantFrom(null, { ...listed, inputPico: 10_000n }, { ...listed, outputPico: 400_000n }),
    state: fc.constantFrom('closed', 'closed', 'open', 'half-open'),
    openUntilMs: fc.constantFrom(NOW - 1, NOW + 5_000),
    trialsUnderWay: fc.nat(1),
    byProbes: fc.boolean(),
    ttftMs: fc.option(fc.integer({ min: 0, max: 3_000 })),
    success: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .map(({ state, openUntilMs, trialsUnderWay, ttftMs, success, ...given }) => ({
    ...given,
    breaker: { state, openUntilMs, trialsUnderWay: state === 'half-open' ? trialsUnderWay : 0 },
    record: { ttftMs, success },
  }));
const anyFleet = fc
  .array(anyCandidate, { minLength: 1, maxLength: 12 })
  // Most candidates of an arbitrary fleet are shut; half of the fleets are sound but for one thing each.
  .chain((all) =>
    fc
      .boolean()
      .map((sound) =>
        all.map((given, i) =>
          candidate(
            `${i}`,
            sound ? { mode: given.mode, record: given.record, breaker: given.breaker } : given,
          ),
        ),
      ),
  );

describe('a verdict', () => {
  test.each([
    ['health-aware', healthAware],
    ['least-connections', leastConnections],
    ['price', byPrice],
    ['throughput', byThroughput],
    ['latency', byLatency],
    ['round-robin', roundRobin],
  ])('is routing’s own, for any fleet, under %s', (_name, make) => {
    fc.assert(
      fc.property(anyFleet, fc.nat(), (fleet, seed) => {
        const strategy = make();
        const standings = fleet.map((_, i) => why(fleet, `${i}`, { strategy }));
        const plan = choose(need, fleet, { strategy, nowMs: NOW, random: seededRandomness(seed) });
        for (const reason of GATES)
          expect(standings.filter(({ nodes: [node] }) => node?.verdict === reason).length).toBe(
            plan.rejected[reason] ?? 0,
          );
        expect(standings.every(({ panic }) => panic === plan.panic)).toBe(true);
        const nodeOf = (id: string) => standings[fleet.findIndex((each) => each.id === id)]?.nodes[0];
        const [first] = plan.picks;
        expect(standings.every(({ mayServe }) => mayServe === 0)).toBe(first === undefined);
        // Who is only tried may lead by lot; otherwise the first pick is the first rank, or its equal.
        const picked = first && nodeOf(first.id);
        const leader = standings.map(({ nodes: [node] }) => node).find((node) => node?.rank === 1);
        expect(picked?.trial ? leader?.score : picked?.score).toBe(leader?.score);
      }),
    );
  });

  test('is the first shut gate, and every shut gate is named', () => {
    fc.assert(
      fc.property(anyFleet, (fleet) => {
        for (const each of fleet) {
          const shut = shutGates(each, need, FRESH, NOW);
          expect(shut[0]).toBe(whyNot(each, need, FRESH, NOW));
          expect(shut).toEqual([...shut].toSorted((a, b) => GATES.indexOf(a) - GATES.indexOf(b)));
        }
      }),
    );
  });

  test('names everything that has to be mended, in order, each with its figure', () => {
    const ill = candidate('ill', {
      draining: true,
      health: 'unhealthy',
      maxRequestBytes: 10,
      inFlight: 8,
      ask: { ...listed, outputPico: 400_000n },
      breaker: { state: 'open', openUntilMs: NOW + 4_200, consecutiveFailures: 5 },
    });
    const [node] = why([ill, candidate('sound'), candidate('sound 2')], 'ill').nodes;
    expect(node?.verdict).toBe('draining');
    const shut = node?.gates.filter(({ passes }) => !passes);
    expect(shut?.map(({ gate }) => gate)).toEqual([
      'draining',
      'model-unhealthy',
      'request-too-large',
      'asks-too-much',
      'circuit-open',
      'model-full',
    ]);
    expect(shut?.map(({ found }) => found)).toEqual([
      'asked for no more work',
      'its word is unhealthy: your model server does not answer, or is not what it is pinned to',
      'takes 10 bytes',
      'asks $0.05 in, $0.40 out per million tokens',
      'open for another 5 s after 5 failures in a row',
      '8 under way of this model',
    ]);
    expect(node?.rank).toBeUndefined();
  });

  test('tells the reason in the words of whoever keeps the provider from earning', () => {
    const kept = candidate('kept', { eligible: false, ineligibleBecause: 'the provider is suspended' });
    const [gate] = why([kept], 'kept').nodes[0]?.gates ?? [];
    expect(gate).toMatchObject({ gate: 'not-eligible', passes: false, found: 'the provider is suspended' });
  });
});

describe('to lead', () => {
  test('who leads is told that nothing stands before it', () => {
    const { nodes, toLead } = why([candidate('a', { record: { success: 1 } }), candidate('b')], 'a');
    expect(nodes[0]?.rank).toBe(1);
    expect(toLead).toMatchObject({ decides: 'nothing', leader: undefined });
  });

  test('the latency that is named would lead, and one millisecond more would not', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 50, max: 2_000 }),
        fc.integer({ min: 50, max: 2_000 }),
        fc.double({ min: 0.5, max: 1, noNaN: true }),
        fc.constantFrom(healthAware, byLatency),
        (ownMs, theirMs, success, make) => {
          const own = (ttftMs: number) => candidate('own', { record: { ttftMs, success } });
          const rival = candidate('rival', { record: { ttftMs: theirMs, success: 0.9 } });
          const strategy = make();
          const { toLead } = why([own(ownMs), rival], 'own', { strategy });
          fc.pre(toLead?.decides === 'score' && toLead.ttftMs !== undefined);
          const named = toLead.ttftMs;
          const rankAt = (ttftMs: number) => {
            const { nodes } = why([own(ttftMs), rival], 'own', { strategy });
            const other = why([own(ttftMs), rival], 'rival', { strategy }).nodes[0];
            return (nodes[0]?.score ?? 0) >= (other?.score ?? 0);
          };
          expect(rankAt(named)).toBe(true);
          expect(rankAt(named + 1)).toBe(false);
        },
      ),
    );
  });

  test('no latency is named where none would do: the order decides, or the strategy passes it over', () => {
    const rival = candidate('rival', { record: { ttftMs: 100 } });
    const endpoint = candidate('own', { mode: 'external', record: { ttftMs: 900 } });
    expect(why([endpoint, rival], 'own').toLead).toMatchObject({ decides: 'order', ttftMs: undefined });
    const loaded = candidate('own', { inFlight: 4, linkInFlight: 4, record: { ttftMs: 900 } });
    expect(why([loaded, rival], 'own', { strategy: leastConnections() }).toLead).toMatchObject({
      decides: 'score',
      ttftMs: undefined,
    });
  });

  test('whoever is dearer than another of its place is told what that one asks', () => {
    const cheap = candidate('cheap', { mode: 'external', ask: { ...listed, outputPico: 200_000n } });
    const dear = candidate('dear', { mode: 'external' });
    expect(why([cheap, dear], 'dear').toLead?.below).toEqual(cheap.ask);
    expect(why([cheap, dear], 'cheap').toLead?.below).toBeUndefined();
  });

  test('figures of a rival are shown, and nothing that says who it is', () => {
    const rival = candidate('rival', { record: { success: 1, ttftMs: 20 } });
    const standing = why([candidate('own', { record: { ttftMs: 500 } }), rival], 'own');
    expect(standing.toLead?.leader).toMatchObject({ success: 1, ttftMs: 20 });
    const text = JSON.stringify(standing, (_, value) => (typeof value === 'bigint' ? `${value}` : value));
    expect(text).not.toContain('rival');
  });

  test('the region of the market counts as it does for requests', () => {
    const bias = {
      wished: () => 0,
      soft: softRank({ region: 'eu', canary: undefined }),
      warmNodeId: undefined,
    };
    const fleet = [candidate('near', { region: 'eu' }), candidate('far', { record: { success: 1 } })];
    expect(why(fleet, 'near', { bias }).nodes[0]?.rank).toBe(1);
    expect(why(fleet, 'far', { bias }).toLead?.decides).toBe('order');
    expect(why(fleet, 'near').nodes[0]?.rank).toBe(2);
  });
});

test('wishes say whom a consumer who insists would leave', () => {
  const plain = candidate('plain');
  const fit = candidate('fit', {
    dataPolicy: 'zero-retention',
    parameters: new Set(['tools', 'response_format']),
  });
  const passing = (name: string) =>
    why([plain, fit], name)
      .wishes.filter(({ passes }) => passes)
      .map(({ wish }) => wish);
  expect(passing('plain')).toEqual(['max_price']);
  expect(passing('fit')).toEqual(['data_collection', 'zdr', 'require_parameters', 'max_price']);
});

test('who lists the model nowhere has no node, and two hundred nodes are shown by the best of them', () => {
  const fleet = Array.from({ length: 200 }, (_, i) => candidate(`${i}`, { providerId: 'provider-big' }));
  expect(why(fleet, 'nobody')).toMatchObject({ listing: 200, mayServe: 200, nodes: [], toLead: undefined });
  const { nodes, nodesNotShown } = why(fleet, 'big');
  expect(nodes.map(({ rank }) => rank)).toEqual(Array.from({ length: NODES_SHOWN }, (_, i) => i + 1));
  expect(nodesNotShown).toBe(180);
});
