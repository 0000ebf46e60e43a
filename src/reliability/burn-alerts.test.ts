import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seededRandomness } from '#kit/random.ts';
import { BURN_RULES, type BurnAlert, burnAlerts } from './burn-alerts.ts';
import { RecentCounts } from './recent-counts.ts';

const OBJECTIVE = 0.999;
const TICK_S = 10;
const DAY_S = 86_400;

/**
 * Lives `days` of a market with `perMinute` requests, of which a share fails that depends on the moment, and asks the
 * rules at each tick. Answers when each severity was raised first after `fromS`, in seconds after it.
 */
function live(about: {
  days: number;
  perMinute: number;
  failing: (atS: number) => number;
  fromS?: number;
  seed: number;
}): { page: number | undefined; ticket: number | undefined; alerts: number } {
  const random = seededRandomness(about.seed);
  const counts = new RecentCounts({ slotS: TICK_S, spanS: 3 * DAY_S });
  const first: { page: number | undefined; ticket: number | undefined } = {
    page: undefined,
    ticket: undefined,
  };
  let alerts = 0;
  for (let atS = 0; atS < about.days * DAY_S; atS += TICK_S) {
    const share = about.failing(atS);
    const expected = (about.perMinute * TICK_S) / 60;
    const requests = Math.floor(expected) + (random.float() < expected % 1 ? 1 : 0);
    let failures = 0;
    for (let i = 0; i < requests; i++) if (random.float() < share) failures += 1;
    // A tick's requests are there at its end.
    const nowMs = (atS + TICK_S - 0.001) * 1000;
    counts.add(nowMs, { requests, failures, allowed: requests * (1 - OBJECTIVE) });
    for (const { rule } of burnAlerts((seconds) => counts.over(nowMs, seconds))) {
      alerts += 1;
      first[rule.severity] ??= atS + TICK_S - (about.fromS ?? 0);
    }
  }
  return { ...first, alerts };
}

describe('a simulated month', () => {
  test.each([1, 2, 3])('raises nothing in 30 quiet days at half the budget (seed %i)', (seed) => {
    expect(live({ days: 30, perMinute: 60, failing: () => 0.0005, seed }).alerts).toBe(0);
  });

  test.each([0, 3, 7.5, 31, 59])('pages within 90 s of a full outage, begun %f s into a minute', (into) => {
    const fromS = 2 * DAY_S + into;
    const { page } = live({
      days: 2.01,
      perMinute: 60,
      failing: (atS) => (atS + TICK_S > fromS ? 1 : 0.0005),
      fromS,
      seed: 7,
    });
    expect(page).toBeLessThanOrEqual(90);
  });

  test.each(Array.from({ length: 12 }, (_, seed) => seed + 1))(
    'pages within 20 minutes when one request in twenty fails (seed %i)',
    (seed) => {
      const fromS = 2 * DAY_S;
      const { page } = live({
        days: 2.1,
        perMinute: 60,
        failing: (atS) => (atS >= fromS ? 0.05 : 0.0005),
        fromS,
        seed,
      });
      expect(page).toBeLessThanOrEqual(20 * 60);
    },
  );

  test('leaves a ticket, and wakes nobody, when the budget burns at one and a half times its pace', () => {
    const { page, ticket } = live({ days: 8, perMinute: 60, failing: () => 0.0015, seed: 13 });
    expect(page).toBeUndefined();
    expect(ticket).toBeDefined();
  });

  test('ends soon after the trouble: five minutes later nothing of the fast rule holds', () => {
    const counts = new RecentCounts({ slotS: TICK_S, spanS: 3 * DAY_S });
    const alertsAt = (atS: number, failures: number): BurnAlert[] => {
      counts.add(atS * 1000, { requests: 10, failures, allowed: 10 * (1 - OBJECTIVE) });
      return burnAlerts((seconds) => counts.over(atS * 1000, seconds));
    };
    for (let atS = 0; atS < 3_600; atS += TICK_S) alertsAt(atS, 0);
    for (let atS = 3_600; atS < 4_200; atS += TICK_S) alertsAt(atS, 10);
    expect(alertsAt(4_200, 10).map(({ rule }) => rule.name)).toContain('fast');
    for (let atS = 4_210; atS < 4_520; atS += TICK_S) alertsAt(atS, 0);
    expect(alertsAt(4_520, 0).map(({ rule }) => rule.name)).not.toContain('fast');
  });
});

test('two failures of a market that sleeps wake nobody', () => {
  expect(burnAlerts((seconds) => ({ requests: 2, failures: 2, allowed: 0.002, coveredS: seconds }))).toEqual(
    [],
  );
});

describe('counting the recent past', () => {
  test('a window holds exactly what fell into its slots, whatever the order of asking', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ waitS: fc.integer({ min: 0, max: 400 }), failures: fc.integer({ min: 0, max: 5 }) }),
          {
            maxLength: 60,
          },
        ),
        (steps) => {
          const counts = new RecentCounts({ slotS: 10, spanS: 300 });
          const all: { slot: number; failures: number }[] = [];
          let nowS = 0;
          for (const { waitS, failures } of steps) {
            nowS += waitS;
            counts.add(nowS * 1000, { requests: failures + 1, failures, allowed: 0 });
            all.push({ slot: Math.floor(nowS / 10), failures });
            for (const seconds of [10, 60, 300, 9_999]) {
              const since = Math.floor(nowS / 10) - Math.min(Math.ceil(seconds / 10), 30);
              const within = all.filter(({ slot }) => slot > since);
              expect(counts.over(nowS * 1000, seconds)).toMatchObject({
                requests: within.reduce((sum, each) => sum + each.failures + 1, 0),
                failures: within.reduce((sum, each) => sum + each.failures, 0),
              });
            }
          }
        },
      ),
    );
  });

  test('a clock that goes back loses nothing', () => {
    const counts = new RecentCounts({ slotS: 10, spanS: 60 });
    counts.add(100_000, { requests: 1, failures: 1, allowed: 0.5 });
    counts.add(50_000, { requests: 1, failures: 0, allowed: 0.25 });
    expect(counts.over(100_000, 10)).toMatchObject({ requests: 2, failures: 1, allowed: 0.75 });
  });

  test('says how much of a window was counted at all', () => {
    const counts = new RecentCounts({ slotS: 10, spanS: 600 });
    counts.add(1_000_000, { requests: 1, failures: 0, allowed: 0.25 });
    expect(counts.over(1_025_000, 300).coveredS).toBe(30);
    expect(counts.over(1_900_000, 300).coveredS).toBe(300);
  });
});

test('every rule spends a known part of a 30 days budget before it fires', () => {
  const spent = BURN_RULES.map(({ rate, longS }) => (rate * longS) / (30 * DAY_S));
  expect(spent.map((share) => Math.round(share * 1000) / 1000)).toEqual([0.014, 0.02, 0.05, 0.1]);
});
