import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseUsd } from '#domain/money.ts';
import { type Exclusion, type SlaHour, type SlaMinute, type SlaMonth, slaCredits } from './credits.ts';
import { STANDARD_SLA } from './sla-terms.ts';

/** November 2026: 43,200 minutes. */
const FROM = Date.UTC(2026, 10, 1) / 60_000;
const UNTIL = Date.UTC(2026, 11, 1) / 60_000;

const minute = (at: number, failures: number, requests = 100): SlaMinute => ({
  minute: FROM + at,
  requests,
  failures,
  probes: 0,
  probeFailures: 0,
});
const downFor = (count: number, from = 0): SlaMinute[] =>
  Array.from({ length: count }, (_, i) => minute(from + i, 100));
const slowHours = (...hours: number[]): SlaHour[] =>
  hours.map((hour) => ({ hour: FROM / 60 + hour, requests: 200, ttftP95Ms: 1_501 }));
const month = (about: Partial<SlaMonth> = {}): SlaMonth => ({
  from: FROM,
  until: UNTIL,
  minutes: [],
  hours: [],
  exclusions: [],
  fee: parseUsd('600'),
  ...about,
});
const maintenance = (about: Partial<Exclusion> = {}): Exclusion => ({
  id: 'ex_1',
  kind: 'maintenance',
  from: FROM,
  until: FROM + 60,
  evidence: 'window win_1',
  announced: FROM - 3 * 24 * 60,
  ...about,
});

describe('availability', () => {
  test('of an agreement that lasted two hours is still that of the month whose fee it is', () => {
    const notAgreed = [{ from: FROM + 120, until: UNTIL }];
    const result = slaCredits(month({ minutes: downFor(1), notAgreed }), STANDARD_SLA);
    expect(result).toMatchObject({ minutes: 120, basisPoints: 0, credit: 0n });
    expect(result.unavailable).toHaveLength(1);
  });

  // 0.1 % of 43,200 minutes is 43.2.
  const table: [string, number, number, string][] = [
    ['nothing amiss', 0, 0, '0'],
    ['43 minutes are within the budget', 43, 0, '0'],
    ['44 begin the first step', 44, 500, '30'],
    ['86 are still in it', 86, 500, '30'],
    ['87 begin the second', 87, 1_000, '60'],
    ['216 are at the end of the fourth', 216, 2_000, '120'],
    ['217 begin the fifth', 217, 2_500, '150'],
    ['a whole day is capped at a quarter of the fee', 1_440, 2_500, '150'],
  ];
  test.each(table)('%s', (_, minutes, basisPoints, credit) => {
    const result = slaCredits(month({ minutes: downFor(minutes) }), STANDARD_SLA);
    expect(result.basisPoints).toBe(basisPoints);
    expect(result.credit).toBe(parseUsd(credit));
    expect(result.unavailable).toHaveLength(minutes);
  });

  test('a minute is unavailable when more than one in twenty of its requests failed', () => {
    const { unavailable } = slaCredits(month({ minutes: [minute(1, 5), minute(2, 6)] }), STANDARD_SLA);
    expect(unavailable).toEqual([FROM + 2]);
  });

  test('where nobody asked, the probes decide: all of them must have failed', () => {
    const probed = (at: number, probes: number, probeFailures: number): SlaMinute => ({
      ...minute(at, 0, 0),
      probes,
      probeFailures,
    });
    const { unavailable } = slaCredits(
      month({ minutes: [probed(1, 2, 1), probed(2, 2, 2), probed(3, 0, 0)] }),
      STANDARD_SLA,
    );
    expect(unavailable).toEqual([FROM + 2]);
  });

  test('a failed probe says nothing where customers were served', () => {
    const served = { ...minute(1, 0), probes: 1, probeFailures: 1 };
    expect(slaCredits(month({ minutes: [served] }), STANDARD_SLA).unavailable).toEqual([]);
  });

  test('minutes without traffic or probe count as available, and are reported', () => {
    const result = slaCredits(month({ minutes: [minute(0, 0)] }), STANDARD_SLA);
    expect(result).toMatchObject({ uptimePpm: 1_000_000, minutes: 43_200, unmeasured: 43_199 });
  });
});

describe('latency', () => {
  test('three consecutive hours above the target earn 5 %', () => {
    const result = slaCredits(month({ hours: slowHours(7, 5, 6) }), STANDARD_SLA);
    expect(result.slowRuns).toEqual([{ hour: FROM / 60 + 5, hours: 3 }]);
    expect(result.credit).toBe(parseUsd('30'));
  });

  test('two do not, nor three with a gap', () => {
    expect(slaCredits(month({ hours: slowHours(1, 2, 4) }), STANDARD_SLA).basisPoints).toBe(0);
  });

  test('a longer run earns once, a second run again', () => {
    const hours = slowHours(1, 2, 3, 4, 5, 6, 10, 11, 12);
    expect(slaCredits(month({ hours }), STANDARD_SLA).latencyBasisPoints).toBe(1_000);
  });

  test('an hour with hardly any requests proves nothing', () => {
    const hours = slowHours(1, 2, 3).map((hour) => ({ ...hour, requests: 19 }));
    expect(slaCredits(month({ hours }), STANDARD_SLA).basisPoints).toBe(0);
  });

  test('both credits together stay under the cap', () => {
    const about = month({ minutes: downFor(200), hours: slowHours(1, 2, 3, 20, 21, 22) });
    expect(slaCredits(about, STANDARD_SLA)).toMatchObject({
      availabilityBasisPoints: 2_000,
      latencyBasisPoints: 1_000,
      basisPoints: 2_500,
    });
  });
});

describe('exclusions', () => {
  test('announced maintenance takes its minutes out of the month, and names itself', () => {
    const result = slaCredits(month({ minutes: downFor(60), exclusions: [maintenance()] }), STANDARD_SLA);
    expect(result.excluded).toHaveLength(60);
    expect(result.excluded[0]).toEqual({ minute: FROM, by: 'ex_1' });
    expect(result).toMatchObject({ uptimePpm: 1_000_000, credit: 0n });
  });

  const refused: [string, Partial<Exclusion>, string][] = [
    ['announced a minute too late', { announced: FROM - 3 * 24 * 60 + 1 }, 'announced-too-late'],
    ['without evidence', { kind: 'force-majeure', evidence: ' ' }, 'no-evidence'],
    ['in another month', { from: UNTIL, until: UNTIL + 60, announced: 0 }, 'outside'],
    ['that ends before it begins', { from: FROM + 9, until: FROM + 3, announced: 0 }, 'outside'],
  ];
  test.each(refused)('an exclusion %s takes nothing out', (_, about, reason) => {
    const result = slaCredits(
      month({ minutes: downFor(60), exclusions: [maintenance(about)] }),
      STANDARD_SLA,
    );
    expect(result.rejected).toEqual([{ id: 'ex_1', reason }]);
    expect(result.excluded).toEqual([]);
    expect(result.basisPoints).toBe(500);
  });

  test('maintenance cannot be announced without end: four hours a month', () => {
    const exclusions = [
      maintenance({ until: FROM + 200 }),
      maintenance({ id: 'ex_2', from: FROM + 300, until: FROM + 400 }),
      maintenance({ id: 'ex_3', from: FROM + 500, until: FROM + 501 }),
    ];
    const result = slaCredits(month({ minutes: downFor(600), exclusions }), STANDARD_SLA);
    expect(result.excluded.filter(({ by }) => by === 'ex_1')).toHaveLength(200);
    expect(result.excluded.filter(({ by }) => by === 'ex_2')).toHaveLength(40);
    expect(result.rejected).toEqual([{ id: 'ex_3', reason: 'above-the-allowance' }]);
  });

  test('what two exclusions cover is taken out once', () => {
    const exclusions = [maintenance(), maintenance({ id: 'ex_2', kind: 'force-majeure', evidence: 'inc_9' })];
    expect(slaCredits(month({ minutes: downFor(60), exclusions }), STANDARD_SLA).excluded).toHaveLength(60);
  });

  test('an hour that maintenance touches breaks a run of slow hours', () => {
    const exclusions = [maintenance({ from: FROM + 125, until: FROM + 130 })];
    const result = slaCredits(month({ hours: slowHours(1, 2, 3), exclusions }), STANDARD_SLA);
    expect(result.slowRuns).toEqual([]);
  });
});

describe('whatever the month', () => {
  const months = fc.record({
    down: fc.uniqueArray(fc.integer({ min: 0, max: 43_199 }), { maxLength: 400 }),
    slow: fc.uniqueArray(fc.integer({ min: 0, max: 719 }), { maxLength: 60 }),
    fee: fc.bigInt({ min: 0n, max: 10n ** 18n }),
  });

  test('a credit lies between nothing and a quarter of the fee', () => {
    fc.assert(
      fc.property(months, ({ down, slow, fee }) => {
        const { credit } = slaCredits(
          month({ minutes: down.map((at) => minute(at, 100)), hours: slowHours(...slow), fee }),
          STANDARD_SLA,
        );
        expect(credit >= 0n && credit * 4n <= fee).toBe(true);
      }),
    );
  });

  test('one more unavailable minute never lowers it, and the order of the minutes never matters', () => {
    fc.assert(
      fc.property(months, fc.integer({ min: 0, max: 43_199 }), ({ down, slow, fee }, more) => {
        const about = (at: number[]): SlaMonth =>
          month({ minutes: at.map((each) => minute(each, 100)), hours: slowHours(...slow), fee });
        const before = slaCredits(about(down), STANDARD_SLA).credit;
        const after = slaCredits(about([...new Set([...down, more])]), STANDARD_SLA).credit;
        expect(after >= before).toBe(true);
        expect(slaCredits(about(down.toReversed()), STANDARD_SLA).credit).toBe(before);
      }),
    );
  });
});

test('a minute that is counted twice is a mistake of the caller', () => {
  expect(() => slaCredits(month({ minutes: [minute(1, 0), minute(1, 0)] }), STANDARD_SLA)).toThrow(/once/);
});
