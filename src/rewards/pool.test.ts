import { readFileSync } from 'node:fs';
import path from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dayName, parseDay } from '#domain/window.ts';
import { packageRoot } from '#kit/package-root.ts';
import { TOKEN_CHART } from '#ledger/chart.ts';
import { type Phase, shareOutPool, type Terms, vestsOn } from './pool.ts';
import { type Market, scoresOf, WHOLE, type Work } from './score.ts';

const WEEK = 7n * 1_440n;
const MONTH = 30n * 1_440n;
const market: Market & { utilisation: bigint } = {
  minutes7d: WEEK,
  minutes30d: MONTH,
  models: 8n,
  utilisation: 0n,
};
const SWAN = 10n ** 18n;
const terms = (more: Partial<Terms> = {}): Terms => ({
  pool: 1_000n * SWAN,
  phase: 3,
  ubiBps: 10_000,
  ...more,
});

/** One that is in, and has done something. */
const work = (providerId: string, more: Partial<Work> = {}): Work => ({
  providerId,
  active: true,
  tier: 100n,
  inferences: 1_000n,
  tokens: 500_000n,
  succeeded: 1_000n,
  failed: 0n,
  latencyMs: 1_000n,
  models: 1n,
  minutes7d: WEEK,
  minutes30d: MONTH,
  ...more,
});

const anyWork = (providerId: string): fc.Arbitrary<Work> =>
  fc.record({
    providerId: fc.constant(providerId),
    active: fc.boolean(),
    tier: fc.constantFrom(100n, 150n, 250n, 400n),
    inferences: fc.bigInt({ min: 0n, max: 300n }),
    tokens: fc.bigInt({ min: 0n, max: 10n ** 15n }),
    succeeded: fc.bigInt({ min: 0n, max: 1_000n }),
    failed: fc.bigInt({ min: 0n, max: 200n }),
    latencyMs: fc.bigInt({ min: 0n, max: 120_000n }),
    models: fc.bigInt({ min: 0n, max: 8n }),
    minutes7d: fc.bigInt({ min: 7_000n, max: WEEK }),
    minutes30d: fc.bigInt({ min: 0n, max: MONTH }),
  });
const anyWorks = fc
  .integer({ min: 0, max: 8 })
  .chain((n) => fc.tuple(...Array.from({ length: n }, (_, i) => anyWork(`prov_${i}`))));
const anyTerms: fc.Arbitrary<Terms> = fc.record({
  pool: fc.bigInt({ min: 0n, max: 10n ** 27n }),
  phase: fc.constantFrom<Phase[]>(1, 2, 3),
  ubiBps: fc.integer({ min: 0, max: 10_000 }),
});
const anyMarket = fc.record({
  minutes7d: fc.constantFrom(WEEK, 8_000n, 0n),
  minutes30d: fc.constantFrom(MONTH, 0n),
  models: fc.constantFrom(8n, 0n),
  utilisation: fc.bigInt({ min: 0n, max: WHOLE }),
});

const sum = (amounts: readonly bigint[]): bigint => amounts.reduce((all, each) => all + each, 0n);

describe('whatever was measured', () => {
  test('the shares and the reserve are the pool, to the unit', () => {
    fc.assert(
      fc.property(anyTerms, anyWorks, anyMarket, (some, works, measured) => {
        const { shares, reserve } = shareOutPool(some, works, measured);
        for (const share of shares) {
          const { ubi, contribution, bonus, liquid, locked } = share;
          expect(liquid + locked).toBe(ubi + contribution + bonus);
          for (const amount of [ubi, contribution, bonus, liquid, locked]) expect(amount >= 0n).toBe(true);
        }
        expect(sum(shares.map(({ liquid, locked }) => liquid + locked)) + reserve).toBe(some.pool);
      }),
    );
  });

  test('who is not active or was there less than 80 % of the week gets nothing', () => {
    fc.assert(
      fc.property(anyTerms, anyWorks, anyMarket, (some, works, measured) => {
        const { shares } = shareOutPool(some, works, measured);
        const out = works.map(
          ({ active, minutes7d }) =>
            !active || measured.minutes7d === 0n || minutes7d * 10n < measured.minutes7d * 8n,
        );
        expect(shares.map(({ excluded }) => excluded !== undefined)).toEqual(out);
        const left = shares.filter((_, i) => out[i]);
        expect(left.every((share) => share.liquid + share.locked + share.score === 0n)).toBe(true);
      }),
    );
  });

  test('more work, more presence or less latency never gives less by contribution', () => {
    const better = fc.constantFrom<((work: Work) => Work)[]>(
      (one) => ({ ...one, inferences: one.inferences + 50n }),
      (one) => ({ ...one, tokens: one.tokens * 2n + 1n }),
      (one) => ({ ...one, minutes30d: MONTH }),
      (one) => ({ ...one, minutes7d: WEEK }),
      (one) => ({ ...one, models: one.models + 1n }),
      (one) => ({ ...one, failed: one.failed / 2n }),
      (one) => ({ ...one, latencyMs: one.latencyMs / 2n }),
    );
    fc.assert(
      fc.property(anyTerms, anyWorks, anyMarket, fc.nat(), better, (some, works, measured, at, improve) => {
        const i = works.length === 0 ? 0 : at % works.length;
        const before = shareOutPool(some, works, measured).shares[i];
        const after = shareOutPool(
          some,
          works.map((one, j) => (i === j ? improve(one) : one)),
          measured,
        ).shares[i];
        expect((after?.contribution ?? 0n) >= (before?.contribution ?? 0n)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('the order in which providers come changes nobody’s share', () => {
    fc.assert(
      fc.property(anyTerms, anyWorks, anyMarket, (some, works, measured) => {
        const straight = shareOutPool(some, works, measured);
        const turned = shareOutPool(some, works.toReversed(), measured);
        expect(turned.shares.toReversed()).toEqual(straight.shares);
        expect(turned.reserve).toBe(straight.reserve);
      }),
    );
  });

  test('the part of a score that is for work is not raised by dividing the work among several', () => {
    // Nothing else is measured here: no days before this week, no models, the slowest of all.
    const only = { ...market, minutes30d: 0n, models: 0n };
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.bigInt({ min: 1n, max: 400n }), fc.bigInt({ min: 0n, max: 10n ** 9n })), {
          minLength: 1,
          maxLength: 10,
        }),
        (pieces) => {
          const rival = work('rival', { inferences: 10_000n, tokens: 10n ** 11n });
          const whole = work('one', {
            inferences: sum(pieces.map(([inferences]) => inferences)),
            tokens: sum(pieces.map(([, tokens]) => tokens)),
          });
          const parts = pieces.map(([inferences, tokens], i) => work(`part-${i}`, { inferences, tokens }));
          const [, together] = scoresOf([rival, whole], only);
          const [, ...apart] = scoresOf([rival, ...parts], only);
          expect(sum(apart.map(({ weight }) => weight)) <= (together?.weight ?? 0n)).toBe(true);
        },
      ),
    );
  });
});

describe('thresholds', () => {
  const rival = work('rival', { inferences: 10_000n, latencyMs: 5_000n });
  const judged = (more: Partial<Work>) => scoresOf([rival, work('one', more)], market)[1];
  const weightOf = (more: Partial<Work>): bigint => judged(more)?.weight ?? -1n;
  const scoreOf = (more: Partial<Work>): bigint => judged(more)?.score ?? -1n;

  test.each([
    ['a hundred inferences count whole', { inferences: 100n }, 1n, 1n],
    ['ninety-nine count half', { inferences: 99n }, 1n, 2n],
    ['90 % success counts whole', { succeeded: 900n, failed: 100n }, 1n, 1n],
    ['less counts three quarters', { succeeded: 899n, failed: 101n }, 3n, 4n],
    ['both count three eighths', { inferences: 99n, succeeded: 899n, failed: 101n }, 3n, 8n],
    ['nothing served counts nothing, however long one was there', { inferences: 0n, tokens: 0n }, 0n, 1n],
  ] as const)('%s', (_, more, times, over) => {
    expect(weightOf(more)).toBe((scoreOf(more) * times) / over);
  });

  test('80 % of the week’s minutes are enough, and a minute less is not', () => {
    const at = (minutes7d: bigint) => scoresOf([work('one', { minutes7d })], market)[0]?.excluded;
    expect(at(8_064n)).toBeUndefined();
    expect(at(8_063n)).toBe('low-uptime');
  });

  test('minutes in which the market itself was away count against nobody', () => {
    const half = { ...market, minutes7d: WEEK / 2n };
    expect(scoresOf([work('one', { minutes7d: WEEK / 2n })], half)[0]?.excluded).toBeUndefined();
  });

  test('a provider alone has a quality of zero, as the slowest always has', () => {
    const [alone] = scoresOf([work('one')], market);
    // 0.30 + 0.25 + 0.20 + 0.10/8
    expect(alone?.score).toBe((WHOLE * 7_625n) / 10_000n);
  });
});

describe('the phases', () => {
  const two = [work('a'), work('b', { tier: 400n, inferences: 0n, tokens: 0n })];

  test('one: three quarters are basic income by hardware, less what the market was busy with', () => {
    const { shares, reserve } = shareOutPool(terms({ phase: 1 }), two, {
      ...market,
      utilisation: WHOLE / 5n,
    });
    expect(shares.map(({ ubi }) => ubi)).toEqual([120n * SWAN, 480n * SWAN]);
    expect(shares.map(({ contribution }) => contribution)).toEqual([250n * SWAN, 0n]);
    expect(reserve).toBe(150n * SWAN);
  });

  test('two: half is basic income, by how long one was there and from 95 % on', () => {
    const works = [work('a'), work('b', { minutes7d: 9_576n }), work('c', { minutes7d: 9_575n })];
    const { shares } = shareOutPool(terms({ phase: 2, pool: 600n * SWAN }), works, market);
    expect(shares.map(({ ubi }) => ubi)).toEqual([100n * SWAN, 95n * SWAN, 0n]);
    expect(sum(shares.map(({ contribution }) => contribution))).toBe(300n * SWAN);
  });

  test('three: nine tenths by contribution, one tenth by hardware for being there 120 hours', () => {
    const works = [work('a', { tier: 400n }), work('b')];
    const { shares } = shareOutPool(terms(), works, market);
    expect(shares.map(({ bonus }) => bonus)).toEqual([80n * SWAN, 20n * SWAN]);
    const short = { ...market, minutes7d: 3_600n };
    const there = works.map((one) => ({ ...one, minutes7d: 3_600n }));
    expect(shareOutPool(terms(), there, short).shares.map(({ bonus }) => bonus)).toEqual([
      40n * SWAN,
      10n * SWAN,
    ]);
  });

  test('basic income ends by steps, and what is not paid of it is kept', () => {
    const { shares, reserve } = shareOutPool(terms({ phase: 1, ubiBps: 2_000 }), two, market);
    expect(sum(shares.map(({ ubi }) => ubi))).toBe(150n * SWAN);
    expect(reserve).toBe(600n * SWAN);
  });

  test('the last unit that nobody can have a whole part of is kept', () => {
    const three = ['a', 'b', 'c'].map((id) => work(id));
    const { shares, reserve } = shareOutPool(terms({ pool: 100n }), three, market);
    expect(shares.map(({ liquid, locked }) => [liquid, locked])).toEqual(three.map(() => [27n, 6n]));
    expect(reserve).toBe(1n);
  });
});

test.each([
  ['2026-11-26', '2027-02-26'],
  ['2026-11-28', '2027-02-28'],
  ['2026-11-29', '2027-02-28'],
  ['2026-11-30', '2027-02-28'],
  ['2027-11-30', '2028-02-29'],
  ['2026-12-31', '2027-03-31'],
  ['2027-01-31', '2027-04-30'],
  ['2026-10-01', '2027-01-01'],
])('what is locked for %s is free on %s', (day, free) => {
  expect(dayName(vestsOn(parseDay(day) as number))).toBe(free);
});

describe('docs/rewards.md', () => {
  const page = readFileSync(path.join(packageRoot(), 'docs/rewards.md'), 'utf8');
  const rowsUnder = (heading: string): string[][] => {
    const lines = page.split('\n');
    const at = lines.findIndex((line) => line.startsWith(`| ${heading}`));
    const rows: string[][] = [];
    for (const line of lines.slice(at + 2)) {
      if (!line.startsWith('|')) break;
      rows.push(
        line
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      );
    }
    return rows;
  };
  const number = (cell: string | undefined): bigint => BigInt((cell ?? '').replaceAll(',', ''));
  const swan = (units: bigint): string => `${units / SWAN}.${(units % SWAN).toString().padStart(18, '0')}`;

  test('the worked example comes out as it says', () => {
    const works = rowsUnder('provider | tier').map((row): Work => {
      const [providerId = '', tier, inferences, tokens, succeeded, failed, latency, models, week, month] =
        row;
      return {
        providerId,
        active: true,
        tier: BigInt(Math.round(Number(tier) * 100)),
        inferences: number(inferences),
        tokens: number(tokens),
        succeeded: number(succeeded),
        failed: number(failed),
        latencyMs: number(latency),
        models: number(models),
        minutes7d: number(week),
        minutes30d: number(month),
      };
    });
    expect(works).toHaveLength(4);
    const { shares, reserve } = shareOutPool(terms(), works, market);
    expect(rowsUnder('provider | score')).toEqual(
      shares.map((share) => [
        share.providerId,
        (Number(share.score) / Number(WHOLE)).toFixed(12),
        (Number(share.weight) / Number(WHOLE)).toFixed(12),
        swan(share.contribution),
        swan(share.bonus),
      ]),
    );
    expect(rowsUnder('provider | at once')).toEqual([
      ...shares.map(({ providerId, liquid, locked }) => [providerId, swan(liquid), swan(locked)]),
      ['reserve', swan(reserve), ''],
    ]);
  });

  test('it shows the chart of token accounts as it is', () => {
    const shown = rowsUnder('account | raised by').map(([account = '', raisedBy, meaning]) => [
      account.replaceAll('`', '').replace('<id>', ''),
      { raisedBy, meaning },
    ]);
    expect(Object.fromEntries(shown)).toEqual(TOKEN_CHART);
  });
});
