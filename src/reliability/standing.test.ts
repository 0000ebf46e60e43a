import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GRACE_MS, type Month, REQUESTS_TO_JUDGE, standingOf } from './standing.ts';

const DAY = 86_400_000;
const month = (about: Partial<Month> = {}): Month => ({
  uptime: 1,
  stretches: [{ ageMs: 15 * DAY, requests: 1_000, failures: 0 }],
  activeForMs: GRACE_MS,
  ...about,
});
const served = (requests: number, failures: number, ageMs = 15 * DAY) => ({ ageMs, requests, failures });

test.each<[string, Partial<Month>, boolean, number]>([
  ['a sound month', {}, false, 0],
  ['one failure in five', { stretches: [served(1_000, 200)] }, false, 0],
  ['more than one failure in five', { stretches: [served(1_000, 201)] }, true, 1],
  ['there nine tenths of the time', { uptime: 0.9 }, false, 0],
  ['there less than that', { uptime: 0.8999 }, true, 1],
  ['both', { uptime: 0.5, stretches: [served(100, 50)] }, true, 2],
  ['in the first week', { uptime: 0.5, stretches: [served(100, 50)], activeForMs: GRACE_MS - 1 }, false, 2],
  [
    'too few requests to tell',
    { stretches: [served(REQUESTS_TO_JUDGE - 1, REQUESTS_TO_JUDGE - 1)] },
    false,
    0,
  ],
  ['nothing measured at all', { uptime: undefined, stretches: [] }, false, 0],
])('a month is judged by its thresholds: %s', (_name, about, behind, misses) => {
  const standing = standingOf(month(about));
  expect(standing.behind).toBe(behind);
  expect(standing.misses).toHaveLength(misses);
});

describe('the score', () => {
  const scoreOf = (about: Partial<Month>) => standingOf(month(about)).score as number;

  test('falls when reliability drops, the more the newer the drop is', () => {
    const failures = (ageMs: number) =>
      [1, 8, 15, 22].map((day) => served(100, day * DAY === ageMs ? 100 : 0, day * DAY));
    const scores = [1, 8, 15, 22].map((day) => scoreOf({ stretches: failures(day * DAY) }));
    expect(scores).toEqual(scores.toSorted((a, b) => a - b));
    expect(scores[0]).toBeLessThan(0.5);
    expect(scores[3]).toBeGreaterThan(0.9);
  });

  test('is 1 for who never failed and was always there, and undefined for who was never asked', () => {
    expect(scoreOf({})).toBe(1);
    expect(scoreOf({ uptime: 0.7 })).toBeCloseTo(0.7);
    expect(standingOf(month({ stretches: [] })).score).toBeUndefined();
  });

  test('stays from 0 to 1, and no failure ever raises it', () => {
    const stretch = fc.record({ ageMs: fc.nat(30 * DAY), requests: fc.nat(1_000), share: fc.nat(100) });
    fc.assert(
      fc.property(fc.array(stretch, { minLength: 1 }), fc.nat(100), (all, uptime) => {
        const stretches = all.map(({ ageMs, requests, share }) =>
          served(requests, Math.floor((requests * share) / 100), ageMs),
        );
        const { score } = standingOf(month({ stretches, uptime: uptime / 100 }));
        expect(score ?? 0).toBeGreaterThanOrEqual(0);
        expect(score ?? 0).toBeLessThanOrEqual(1);
        const worse = stretches.map((each) => ({ ...each, failures: each.requests }));
        expect(standingOf(month({ stretches: worse, uptime: uptime / 100 })).score ?? 0).toBeLessThanOrEqual(
          score ?? 0,
        );
      }),
    );
  });
});
