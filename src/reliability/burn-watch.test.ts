import { describe, expect, test } from 'vitest';
import { seededRandomness } from '#kit/random.ts';
import { errorRow } from '#wire/errors.ts';
import { burnAlerts, FAILURES_MIN_OF_GROUP } from './burn-alerts.ts';
import { explained } from './burn-causes.ts';
import { BurnWatch, GroupCounts } from './burn-watch.ts';
import { firstObjectives } from './objectives.ts';

const DAY_S = 86_400;

/** Lives the days of one group, and answers what it raised first after `fromS`, in seconds after it, and how often in all. */
function live(about: {
  days: number;
  perMinute: number;
  objective: number;
  tickS: number;
  failing: (atS: number) => number;
  fromS?: number;
  seed: number;
}): { page: number | undefined; alerts: number } {
  const { tickS, objective, fromS = 0 } = about;
  const random = seededRandomness(about.seed);
  const counts = new GroupCounts();
  let page: number | undefined;
  let alerts = 0;
  const expected = (about.perMinute * tickS) / 60;
  for (let atS = 0; atS < about.days * DAY_S; atS += tickS) {
    const share = about.failing(atS);
    const requests = Math.floor(expected) + (random.float() < expected % 1 ? 1 : 0);
    let failures = 0;
    for (let i = 0; i < requests; i++) if (random.float() < share) failures += 1;
    const nowMs = (atS + tickS - 0.001) * 1_000;
    counts.add(nowMs, { requests, failures, allowed: requests * (1 - objective) });
    // What burns begins to with a failure; that it goes on is looked at now and then.
    if (failures === 0 && atS % 600 !== 0) continue;
    for (const { rule } of burnAlerts((seconds) => counts.over(nowMs, seconds), FAILURES_MIN_OF_GROUP)) {
      alerts += 1;
      if (rule.severity === 'page' && atS >= fromS) page ??= atS + tickS - fromS;
    }
  }
  return { page, alerts };
}

describe('a simulated month of a single model, region or consumer', () => {
  const quiet = [0.02, 0.1, 0.5, 1, 3, 10, 30].flatMap((perMinute) =>
    [0.995, 0.999].map((objective) => [perMinute, objective] as const),
  );
  test.each(quiet)(
    'raises nothing in 30 quiet days with %f requests a minute against %f',
    (perMinute, objective) => {
      for (const seed of [1, 2, 3]) {
        const { alerts } = live({
          days: 30,
          perMinute,
          objective,
          tickS: 30,
          failing: () => (1 - objective) / 2,
          seed: seed * 1_000 + perMinute * 10,
        });
        expect(alerts).toBe(0);
      }
    },
  );

  test.each([0, 3, 7.5, 31, 59])('pages within 90 s of a full outage, begun %f s into a minute', (into) => {
    const fromS = 2 * DAY_S + into;
    for (const perMinute of [6, 10, 60]) {
      const { page } = live({
        days: 2.01,
        perMinute,
        objective: 0.999,
        tickS: 10,
        failing: (atS) => (atS + 10 > fromS ? 1 : 0.0005),
        fromS,
        seed: 7,
      });
      expect(page).toBeLessThanOrEqual(90);
    }
  });

  test.each(Array.from({ length: 12 }, (_, seed) => seed + 1))(
    'pages within 20 minutes when one request in twenty fails (seed %i)',
    (seed) => {
      const fromS = 2 * DAY_S;
      for (const perMinute of [30, 60]) {
        const { page } = live({
          days: 2.1,
          perMinute,
          objective: 0.999,
          tickS: 10,
          failing: (atS) => (atS >= fromS ? 0.05 : 0.0005),
          fromS,
          seed,
        });
        expect(page).toBeLessThanOrEqual(20 * 60);
      }
    },
  );
});

function watching(most?: { components: number; consumers: number }) {
  const clock = { nowMs: 1_000_000 };
  const watch = new BurnWatch({
    nowMs: () => clock.nowMs,
    blameOf: errorRow,
    objectives: firstObjectives,
    ...(most && { most }),
  });
  const ask = (times: number, more: Partial<Parameters<BurnWatch['note']>[0]> = {}): void => {
    for (let i = 0; i < times; i++)
      watch.note({ tier: 'pro', code: null, modelId: 'm', consumerId: 'c', ...more });
  };
  return { clock, watch, ask };
}
const of = ({ tier, modelId, region, consumerId }: ReturnType<BurnWatch['alerts']>[number]): string =>
  [tier, modelId, region, consumerId].join('/');

describe('groups that are watched', () => {
  test('each alert says whose budget it is: the tier, the model, the region and the contract', () => {
    const { clock, watch, ask } = watching();
    watch.contracted(new Map([['big', 0.9999]]));
    ask(1);
    clock.nowMs += 600_000;
    ask(20, { code: 'provider-failed', region: 'eu', consumerId: 'big' });
    expect(new Set(watch.alerts().map(of))).toEqual(new Set(['pro///', 'pro/m//', 'pro/m/eu/', 'pro///big']));
  });

  test('nobody without a contract is watched, and nobody whose contract ended', () => {
    const { watch, ask } = watching();
    ask(20, { code: 'provider-failed', consumerId: 'small' });
    watch.contracted(new Map([['big', 0.999]]));
    ask(20, { code: 'provider-failed', consumerId: 'big' });
    expect(watch.alerts().map(of)).toContain('pro///big');
    expect(watch.alerts().map(of)).not.toContain('pro///small');
    watch.contracted(new Map());
    expect(watch.alerts().map(of)).not.toContain('pro///big');
  });

  test('a contract is judged by what it promises, not by what its tier aims at', () => {
    const { clock, watch, ask } = watching();
    watch.contracted(new Map([['lax', 0.5]]));
    ask(100, { consumerId: 'lax' });
    clock.nowMs += 600_000;
    ask(20, { code: 'provider-failed', consumerId: 'lax' });
    expect(watch.alerts().map(of)).toContain('pro/m//');
    expect(watch.alerts().map(of)).not.toContain('pro///lax');
  });

  test('are bounded: who finds no place is counted and named, its tier counts it, and the idle make room', () => {
    const { clock, watch, ask } = watching({ components: 3, consumers: 1 });
    for (const modelId of ['m1', 'm2', 'm3', 'm4', 'm5']) ask(10, { modelId });
    expect(watch.sizes()).toEqual([
      { kind: 'component', watched: 3, dropped: 20 },
      { kind: 'consumer', watched: 0, dropped: 0 },
    ]);
    expect(watch.takeDropped().map(({ modelId }) => modelId)).toContain('m4');
    expect(watch.takeDropped()).toEqual([]);
    clock.nowMs += 600_000;
    ask(20, { modelId: 'm5', code: 'provider-failed' });
    expect(watch.alerts().map(of)).toEqual(expect.arrayContaining(['pro///']));
    expect(watch.alerts().map(of)).not.toContain('pro/m5//');
    clock.nowMs += 3_700_000;
    ask(20, { modelId: 'm5', code: 'provider-failed' });
    expect(watch.sizes()[0]).toMatchObject({ watched: 1 });
    expect(watch.alerts().map(of)).toContain('pro/m5//');
  });

  test('what a caller did wrong and what was too much burn nobody’s budget', () => {
    const { watch, ask } = watching();
    ask(100, { code: 'request-invalid' });
    ask(100, { code: 'rate-limited' });
    expect(watch.alerts()).toEqual([]);
    expect(watch.sizes()[0]?.watched).toBe(0);
  });

  test('another objective judges nothing that is past', () => {
    const clock = { nowMs: 1_000_000 };
    let availability = 0.9;
    const watch = new BurnWatch({
      nowMs: () => clock.nowMs,
      blameOf: errorRow,
      objectives: (tier) => ({ ...firstObjectives(tier), availability }),
    });
    const ask = (failing: number): void => {
      for (let i = 0; i < 1_000; i++) {
        const code = i < failing ? 'provider-failed' : null;
        watch.note({ tier: 'pro', code, modelId: 'm', consumerId: 'c' });
      }
    };
    ask(60);
    availability = 0.999;
    expect(watch.alerts()).toEqual([]);
    clock.nowMs += 400_000;
    ask(60);
    clock.nowMs += 3_600_000;
    ask(60);
    expect(watch.alerts().map(of)).toContain('pro///');
  });
});

test('a consumer’s alert follows from the incident of the model that failed it, and of no other', () => {
  const { watch, ask } = watching();
  watch.contracted(new Map([['big', 0.999]]));
  ask(50_000);
  ask(20, { code: 'provider-failed', consumerId: 'big' });
  const [alert] = watch.alerts();
  expect(of(alert as NonNullable<typeof alert>)).toBe('pro///big');
  const open = (modelId: string) => [{ id: 'inc_1', modelId, region: '' }];
  expect(explained(watch.alerts(), open('m'))[0]).toMatchObject({ explainedBy: 'inc_1' });
  expect(explained(watch.alerts(), open('n'))[0]).toMatchObject({ explainedBy: '' });
});
