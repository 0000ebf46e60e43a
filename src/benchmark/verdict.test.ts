import { describe, expect, it, test } from 'vitest';
import { SLASH_LADDER } from '#funds/slash.ts';
import { benchmarkGate, judge, type PastRun, type VerdictTerms } from './verdict.ts';

const DAY = 86_400_000;
const TERMS: VerdictTerms = { enforced: true, graceEndsAt: 0, ladder: SLASH_LADDER, validMs: 30 * DAY };

/** Judges one run a day, oldest first: `f` fails, `p` passes. */
function days(word: string, terms: VerdictTerms = TERMS, every = DAY) {
  const history: PastRun[] = [];
  const verdicts = [];
  for (const [i, letter] of word.split('').entries()) {
    const run = { passed: letter === 'p', endedAt: 100 * DAY + i * every };
    const verdict = judge(run, history, terms);
    verdicts.push(verdict);
    history.unshift({ ...run, counted: verdict.counted });
  }
  return verdicts;
}
const steps = (...args: Parameters<typeof days>) => days(...args).map(({ step }) => step);

describe('the ladder', () => {
  it.each([
    ['p', ['none']],
    ['f', ['warning']],
    ['ff', ['warning', 'slash']],
    ['fff', ['warning', 'slash', 'removal']],
    ['fpf', ['warning', 'none', 'warning']],
    ['ffpff', ['warning', 'slash', 'none', 'warning', 'slash']],
    ['ppfpf', ['none', 'none', 'warning', 'none', 'warning']],
  ])('a day each of %s comes to %j', (word, expected) => {
    expect(steps(word)).toEqual(expected);
  });

  it('counts once a day, however many machines fail of one cause', () => {
    expect(steps('ffffff', TERMS, 60_000)).toEqual(['warning', ...Array(5).fill('withheld')]);
    expect(days('ffffff', TERMS, 60_000).map(({ failures }) => failures)).toEqual([1, 0, 0, 0, 0, 0]);
  });

  it('is not put off by failing more often than once a day', () => {
    // Every six hours: the first, then the one a day later, and so on.
    expect(steps('fffffffff', TERMS, DAY / 4)).toEqual([
      'warning',
      'withheld',
      'withheld',
      'withheld',
      'slash',
      'withheld',
      'withheld',
      'withheld',
      'removal',
    ]);
  });

  it('forgets what is older than a result is worth', () => {
    expect(steps('ff', TERMS, 31 * DAY)).toEqual(['warning', 'warning']);
  });

  it('keeps requests away for a day after each failure', () => {
    expect(days('ff').map(({ withheldUntil }) => withheldUntil)).toEqual([101 * DAY, 102 * DAY]);
  });

  it('only withholds before activation and in the days of grace', () => {
    expect(steps('fff', { ...TERMS, graceEndsAt: null })).toEqual(Array(3).fill('withheld'));
    expect(steps('ffff', { ...TERMS, graceEndsAt: 102 * DAY })).toEqual([
      'withheld',
      'withheld',
      'warning',
      'slash',
    ]);
  });

  it('does nothing at all where benchmarks are only watched', () => {
    expect(days('fff', { ...TERMS, enforced: false })).toEqual(
      [1, 2, 3].map(() => ({
        passed: false,
        counted: false,
        failures: 0,
        step: 'none',
        withheldUntil: null,
      })),
    );
  });

  it('is the operator’s to set', () => {
    const ladder = [
      { shareBasisPoints: 1_000, withholdMs: DAY, removes: false },
      { shareBasisPoints: 1_000, withholdMs: DAY, removes: true },
    ] as const;
    expect(steps('ff', { ...TERMS, ladder })).toEqual(['slash', 'removal']);
  });
});

test.each([
  ['nothing is known', undefined, 'not passed yet'],
  ['it never passed', { passedAt: null, withheldUntil: null }, 'not passed yet'],
  ['it passed 30 days ago', { passedAt: 100 * DAY, withheldUntil: null }, undefined],
  ['it passed longer ago', { passedAt: 100 * DAY - 1, withheldUntil: null }, 'too old'],
  [
    'it failed today',
    { passedAt: null, withheldUntil: 131 * DAY },
    'no requests until 1970-05-12T00:00:00.000Z',
  ],
  [
    'it failed yesterday and was not asked since',
    { passedAt: null, withheldUntil: 130 * DAY },
    'not passed yet',
  ],
])('where %s, a node serves or is told why not', (_what, standing, reason) => {
  const said = benchmarkGate(standing, 130 * DAY, 30 * DAY);
  expect(said ?? 'it may').toContain(reason ?? 'it may');
});
