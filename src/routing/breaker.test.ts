import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seededRandomness } from '#kit/random.ts';
import { candidate } from '#support/candidate.ts';
import {
  type AttemptOutcome,
  beginAttempt,
  endAttempt,
  FIRST_OPENING_MS,
  HEALTHY_WHILE_MS,
  type Judgement,
  judgement,
  LONGEST_OPENING_MS,
  mayEvict,
  newBreaker,
  shutOut,
  trialsFromMs,
} from './breaker.ts';
import type { Breaker, ServiceRecord } from './candidate.ts';
import { newRecord } from './score.ts';

const noJitter = { bytes: () => Buffer.alloc(0), float: () => 1 };
const at = (nowMs: number, mayOpen = true) => ({ nowMs, random: noJitter, mayOpen: () => mayOpen });

/** An attempt from begin to end; whether it was a trial. */
function attempt(
  breaker: Breaker,
  record: ServiceRecord,
  ended: Judgement,
  nowMs: number,
  mayOpen = true,
): boolean {
  const trial = beginAttempt(breaker);
  endAttempt(breaker, record, { trial, judgement: ended }, at(nowMs, mayOpen));
  return trial;
}

describe('what an outcome says about who served', () => {
  const table: [AttemptOutcome, boolean, Judgement][] = [
    ['completed', false, 'served'],
    ['failed', false, 'failed'],
    ['failed', true, 'failed'],
    ['lost', false, 'failed'],
    ['lost', true, 'neutral'],
    ['refused', false, 'neutral'],
    ['busy', false, 'neutral'],
    ['cancelled', false, 'neutral'],
  ];
  test.each(table)('%s (poisoned: %s) says %s', (outcome, poisoned, expected) => {
    expect(judgement(outcome, poisoned)).toBe(expected);
  });
});

describe('from each state, each judgement leads where the table says', () => {
  const closed = newBreaker();
  const open: Breaker = { ...closed, state: 'open', consecutiveFailures: 5, openUntilMs: 5_000, openings: 1 };
  const table: [string, Breaker, Judgement, number, Partial<Breaker>][] = [
    [
      'closed, success',
      { ...closed, consecutiveFailures: 4 },
      'served',
      10,
      { state: 'closed', consecutiveFailures: 0 },
    ],
    ['closed, failure', closed, 'failed', 10, { state: 'closed', consecutiveFailures: 1 }],
    [
      'closed, fifth failure',
      { ...closed, consecutiveFailures: 4 },
      'failed',
      10,
      { state: 'open', openUntilMs: 5_010, openings: 1 },
    ],
    [
      'closed, nothing',
      { ...closed, consecutiveFailures: 4 },
      'neutral',
      10,
      { state: 'closed', consecutiveFailures: 4 },
    ],
    [
      'trial, success',
      open,
      'served',
      5_001,
      { state: 'closed', consecutiveFailures: 0, openings: 1, trialsUnderWay: 0 },
    ],
    [
      'trial, failure',
      open,
      'failed',
      5_001,
      { state: 'open', openUntilMs: 15_001, openings: 2, trialsUnderWay: 0 },
    ],
    ['trial, nothing', open, 'neutral', 5_001, { state: 'half-open', openings: 1, trialsUnderWay: 0 }],
    ['panic trial, success', open, 'served', 4_000, { state: 'closed', trialsUnderWay: 0 }],
    [
      'panic trial, failure',
      open,
      'failed',
      4_000,
      { state: 'open', openUntilMs: 5_000, openings: 1, trialsUnderWay: 0 },
    ],
  ];
  test.each(table)('%s', (_, before, ended, nowMs, after) => {
    const breaker = { ...before };
    attempt(breaker, newRecord(), ended, nowMs);
    expect(breaker).toMatchObject(after);
  });
});

test('a success rate below a half opens the circuit, but not before ten outcomes', () => {
  const few = { ...newRecord(), success: 0.3, outcomes: 8 };
  const breaker = newBreaker();
  attempt(breaker, few, 'failed', 1);
  expect(breaker.state).toBe('closed');
  attempt(breaker, few, 'failed', 2);
  expect(breaker.state).toBe('open');
});

test('the callers’ own mistakes, busy answers and poisoned losses never open a circuit', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom<AttemptOutcome>('refused', 'busy', 'cancelled', 'lost'), { maxLength: 100 }),
      (outcomes) => {
        const breaker = newBreaker();
        const record = newRecord();
        for (const outcome of outcomes) attempt(breaker, record, judgement(outcome, true), 1);
        expect(breaker).toEqual(newBreaker());
        expect(record).toEqual(newRecord());
      },
    ),
  );
});

test('attempts from before the opening that end late do not move an open circuit', () => {
  const breaker = newBreaker();
  const record = newRecord();
  const early = Array.from({ length: 8 }, () => beginAttempt(breaker));
  for (const trial of early.slice(0, 5)) endAttempt(breaker, record, { trial, judgement: 'failed' }, at(1));
  expect(breaker.state).toBe('open');
  const opened = { ...breaker };
  endAttempt(breaker, record, { trial: early[5] as boolean, judgement: 'served' }, at(2));
  endAttempt(breaker, record, { trial: early[6] as boolean, judgement: 'failed' }, at(3));
  endAttempt(breaker, record, { trial: early[7] as boolean, judgement: 'neutral' }, at(4));
  expect(breaker).toEqual(opened);
});

test('each opening lasts twice as long as the one before, up to five minutes', () => {
  const breaker = newBreaker();
  const record = newRecord();
  for (let i = 0; i < 5; i++) attempt(breaker, record, 'failed', 0);
  const lengths = [breaker.openUntilMs];
  for (let i = 0; i < 8; i++) {
    const nowMs = breaker.openUntilMs;
    attempt(breaker, record, 'failed', nowMs);
    lengths.push(breaker.openUntilMs - nowMs);
  }
  expect(lengths).toEqual([5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000]);
});

test('a healthy while takes back one doubling, many take back all', () => {
  const opening = (healthyMs: number): number => {
    const breaker: Breaker = { ...newBreaker(), openings: 4, openUntilMs: 1_000, consecutiveFailures: 4 };
    const nowMs = 1_000 + healthyMs;
    attempt(breaker, newRecord(), 'failed', nowMs);
    return breaker.openUntilMs - nowMs;
  };
  expect(opening(HEALTHY_WHILE_MS - 1)).toBe(80_000);
  expect(opening(HEALTHY_WHILE_MS)).toBe(40_000);
  expect(opening(100 * HEALTHY_WHILE_MS)).toBe(FIRST_OPENING_MS);
});

describe('what probes shut out', () => {
  test('only probes try for two minutes after its opening: to an ordinary attempt a wrong answer is a good one', () => {
    const breaker = newBreaker();
    shutOut(breaker, at(0));
    expect([breaker.state, breaker.openUntilMs, trialsFromMs(breaker)]).toEqual(['open', 5_000, 125_000]);
    // A probe that is answered well is a trial like any other.
    attempt(breaker, newRecord(), 'served', 5_001);
    expect([breaker.state, breaker.byProbes]).toEqual(['closed', false]);
  });

  test('is tried by anybody when failures opened it again', () => {
    const breaker = newBreaker();
    shutOut(breaker, at(0));
    attempt(breaker, newRecord(), 'failed', 6_000);
    expect(breaker.state).toBe('open');
    expect(trialsFromMs(breaker)).toBe(breaker.openUntilMs);
  });
});

test('the eviction cap keeps a failing circuit closed, but gives no second chance to a failed trial', () => {
  const breaker = { ...newBreaker(), consecutiveFailures: 50 };
  attempt(breaker, newRecord(), 'failed', 1, false);
  expect(breaker.state).toBe('closed');
  const tried: Breaker = { ...newBreaker(), state: 'half-open', openings: 1 };
  attempt(tried, newRecord(), 'failed', 1, false);
  expect(tried.state).toBe('open');
});

test('at most half of a fleet is shut out, and of a small one at least one may be', () => {
  const fleet = (size: number, shut: number) =>
    Array.from({ length: size }, (_, i) => candidate(`${i}`, i < shut ? { breaker: { state: 'open' } } : {}));
  expect(mayEvict(fleet(1, 0))).toBe(true);
  expect(mayEvict(fleet(3, 1))).toBe(false);
  expect(mayEvict(fleet(10, 4))).toBe(true);
  expect(mayEvict(fleet(10, 5))).toBe(false);
  expect(
    mayEvict([...fleet(2, 0), ...fleet(8, 0).map((gone) => Object.assign(gone, { draining: true }))]),
  ).toBe(true);
});

test('every agent may be shut out while an external endpoint stands by, and the endpoint itself may not', () => {
  const shut = { breaker: { state: 'open' } } as const;
  const agents = [candidate('a', shut), candidate('b', shut), candidate('c')];
  const endpoint = candidate('far', { mode: 'external' });
  const [agent] = agents;
  expect(mayEvict([...agents, endpoint], agent)).toBe(true);
  expect(mayEvict([...agents, endpoint], endpoint)).toBe(false);
  expect(mayEvict([...agents, candidate('far', { mode: 'external', health: 'unhealthy' })], agent)).toBe(
    false,
  );
  expect(mayEvict([...agents, candidate('far', { mode: 'external', ...shut })], agent)).toBe(false);
});

test('whatever happens, trials never go below zero, openings stay within five minutes, and time alone reopens nothing', () => {
  const step = fc.record({
    waitMs: fc.nat(400_000),
    ended: fc.constantFrom<Judgement>('served', 'failed', 'neutral'),
    delay: fc.nat(3),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), fc.nat(), (steps, seed) => {
      const breaker = newBreaker();
      const record = newRecord();
      const random = seededRandomness(seed);
      const underWay: { trial: boolean; ended: Judgement; left: number }[] = [];
      let nowMs = 0;
      for (const { waitMs, ended, delay } of steps) {
        nowMs += waitMs;
        if (breaker.trialsUnderWay === 0) underWay.push({ trial: beginAttempt(breaker), ended, left: delay });
        for (const one of underWay.splice(0)) {
          if (one.left-- > 0) underWay.push(one);
          else
            endAttempt(
              breaker,
              record,
              { trial: one.trial, judgement: one.ended },
              { nowMs, random, mayOpen: () => true },
            );
        }
        expect(breaker.trialsUnderWay).toBe(underWay.filter(({ trial }) => trial).length);
        expect(breaker.openUntilMs - nowMs).toBeLessThanOrEqual(LONGEST_OPENING_MS);
        expect(record.success).toBeLessThanOrEqual(1);
      }
    }),
  );
});
