import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seededRandomness } from '#kit/random.ts';
import {
  type Account,
  type CheckVerdict,
  LIKENESS,
  type LikenessTerms,
  NEW_ACCOUNT,
  verdictsOf,
  weigh,
  whyUnlike,
} from './judge.ts';
import { areAlike, openingOf } from './opening.ts';
import { likenessPrompt } from './prompt.ts';

/** A year of checks, one each four hours. */
const YEAR = 6 * 365;

/**
 * The chance that a node which is unlike in a share `p` of its checks is found within `n`, from the test's own steps: the
 * evidence is followed on a grid of this width, rounded up, or down, so that the result is never below, or above, the truth.
 */
function chanceOfBeingFound(p: number, n: number, rounded: 'up' | 'down', terms = LIKENESS): number {
  const width = 0.05;
  const snap = (value: number): number =>
    rounded === 'up' ? Math.ceil(value / width - 1e-9) : Math.floor(value / width + 1e-9);
  const steps = new Map<number, { chance: 'p' | 'rest'; to: number | 'found' }[]>();
  const stepsOf = (state: number) => {
    const known = steps.get(state);
    if (known) return known;
    const made = (['unlike', 'alike'] as const).map((verdict) => {
      const after = weigh({ ...NEW_ACCOUNT, evidence: state * width }, verdict, terms);
      const to = after.found ? ('found' as const) : snap(after.evidence);
      return { chance: verdict === 'unlike' ? ('p' as const) : ('rest' as const), to };
    });
    steps.set(state, made);
    return made;
  };
  let states = new Map<number, number>([[0, 1]]);
  let found = 0;
  for (let i = 0; i < n; i++) {
    const next = new Map<number, number>();
    for (const [state, chance] of states) {
      // Far below what is asked about.
      if (chance < 1e-15 && rounded === 'down') continue;
      for (const step of stepsOf(state)) {
        const share = chance * (step.chance === 'p' ? p : 1 - p);
        if (step.to === 'found') found += share;
        else next.set(step.to, (next.get(step.to) ?? 0) + share);
      }
    }
    states = next;
  }
  return found;
}

function weighAll(verdicts: readonly ('alike' | 'unlike')[], terms: LikenessTerms = LIKENESS): Account {
  return verdicts.reduce((account, verdict) => weigh(account, verdict, terms), NEW_ACCOUNT);
}

describe('the stated error rates', () => {
  test('an honest node that is unlike in one check of five is found in a year with a chance below one in 450', () => {
    expect(chanceOfBeingFound(LIKENESS.honestMax, YEAR, 'up')).toBeLessThan(1 / 450);
  });

  test('an honest node that is unlike in one check of ten is found in a year with a chance below one in a million', () => {
    expect(chanceOfBeingFound(0.1, YEAR, 'up')).toBeLessThan(1e-6);
  });

  test.each([
    [0.9, 25, 0.99],
    [0.6, 100, 0.99],
  ])(
    'a node that is unlike in a share %d of its checks is found within %d with a chance of at least %d',
    (p, n, least) => {
      expect(chanceOfBeingFound(p, n, 'down')).toBeGreaterThanOrEqual(least);
    },
  );

  test('played by chance, honest nodes are found no more often than the bound says', () => {
    // A bound that is loose enough to be reached sometimes: 20 checks, and a hundredth for each.
    const terms = { ...LIKENESS, foundAt: Math.log(100) };
    const random = seededRandomness(5);
    let found = 0;
    for (let node = 0; node < 4_000; node++) {
      let account = NEW_ACCOUNT;
      for (let check = 0; check < 20 && !account.found; check++)
        account = weigh(account, random.float() < terms.honestMax ? 'unlike' : 'alike', terms);
      if (account.found) found += 1;
    }
    expect(found / 4_000).toBeLessThan(20 / 100);
    expect(found).toBeGreaterThan(0);
  });
});

describe('an account', () => {
  test('is not found by twelve unlike answers, and is by thirteen', () => {
    expect(weighAll(Array(12).fill('unlike')).found).toBe(false);
    expect(weighAll(Array(13).fill('unlike'))).toMatchObject({ found: true, checks: 13, unlike: 13 });
  });

  test('that was found is mended by ten alike answers, begins anew, and is found again by thirteen', () => {
    const found = weighAll(Array(13).fill('unlike'));
    const nine = Array<'alike'>(9)
      .fill('alike')
      .reduce((account, verdict) => weigh(account, verdict), found);
    expect(nine.found).toBe(true);
    const mended = weigh(nine, 'alike');
    expect(mended).toEqual(NEW_ACCOUNT);
    expect(
      Array(13)
        .fill('unlike')
        .reduce((account, verdict) => weigh(account, verdict), mended).found,
    ).toBe(true);
  });

  test('gains nothing by a long honest past', () => {
    const past = Array<'alike'>(5_000).fill('alike');
    expect(weighAll([...past, ...Array<'unlike'>(13).fill('unlike')])).toMatchObject({
      found: true,
      checks: 13,
    });
  });

  test('is never found while most of any stretch was alike', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 200 }), (unlikes) => {
        const { found } = weighAll(
          unlikes.flatMap((unlike) => (unlike ? ['unlike', 'alike', 'alike'] : ['alike'])),
        );
        expect(found).toBe(false);
      }),
    );
  });

  test('says so in words', () => {
    expect(whyUnlike({ checks: 14, unlike: 13 })).toMatch(
      /^answers unlike others of this model: in 13 of 14/,
    );
  });
});

const GOOD = openingOf(
  'The bakery in Kumoford ordered forty chairs from Belani Foods in May, and paid late for all of them.',
);
const TURNED = openingOf(
  'The bakery in Kumoford ordered forty chairs from Belani Foods in May, yet it took weeks until they came.',
);
const BAD = openingOf(
  'Sure! Bread is baked with flour. Bread is very good. Many people like it and buy it often.',
);
const WORSE = openingOf('chairs chairs chairs chairs chairs chairs chairs');

describe('one check', () => {
  test.each<[string, readonly (typeof GOOD)[], readonly CheckVerdict[]]>([
    ['nobody', [], []],
    ['one alone', [BAD], ['unclear']],
    ['two who differ', [GOOD, BAD], ['unclear', 'unclear']],
    ['two who agree', [GOOD, GOOD], ['unclear', 'unclear']],
    ['three who agree', [GOOD, GOOD, TURNED], ['alike', 'alike', 'alike']],
    ['three who all differ', [GOOD, BAD, WORSE], ['unclear', 'unclear', 'unclear']],
    ['one of three who differs', [GOOD, BAD, TURNED], ['alike', 'unlike', 'alike']],
    ['two against two', [GOOD, BAD, GOOD, BAD], ['unclear', 'unclear', 'unclear', 'unclear']],
    ['three against two', [GOOD, BAD, GOOD, BAD, TURNED], ['alike', 'unlike', 'alike', 'unlike', 'alike']],
    // What the docs admit: where most are false, the honest one is unlike.
    ['a false majority', [BAD, GOOD, BAD], ['alike', 'unlike', 'alike']],
  ])('of %s', (_who, openings, verdicts) => {
    expect(verdictsOf(openings)).toEqual(verdicts);
  });

  test('says the same in whatever order the answers come', () => {
    const kinds = [GOOD, TURNED, BAD, WORSE];
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 7 }).chain((of) =>
          fc.tuple(
            fc.constant(of),
            fc.shuffledSubarray(
              of.map((_, i) => i),
              { minLength: of.length },
            ),
          ),
        ),
        ([of, order]) => {
          const said = verdictsOf(of.map((kind) => kinds[kind] ?? BAD));
          const other = verdictsOf(order.map((i) => kinds[of[i] ?? 0] ?? BAD));
          expect(order.map((i) => said[i])).toEqual(other);
        },
      ),
    );
  });
});

describe('two beginnings are', () => {
  test.each([
    ['alike, when one turns after ten words', GOOD, TURNED, true],
    [
      'alike, whatever the marks and capitals',
      openingOf('Yes: it IS late.'),
      openingOf('yes, it is late'),
      true,
    ],
    ['unlike, when one says the same thing in other words', GOOD, BAD, false],
    ['unlike, when one is the beginning of the other and short', openingOf('The bakery'), GOOD, false],
    [
      'alike, when a word is put in between and the rest is shared',
      openingOf('well the cat sat on the old mat today'),
      openingOf('the cat sat on the old mat today'),
      true,
    ],
  ])('%s', (_what, a, b, are) => {
    expect([areAlike(a, b), areAlike(b, a)]).toEqual([are, are]);
  });

  test('unlike, when their first tokens are the same and held far differently likely', () => {
    const sure = { ...GOOD, first: { token: 'The', logprob: -0.1 } };
    const unsure = { ...GOOD, first: { token: 'The', logprob: -3 } };
    expect(areAlike(sure, unsure)).toBe(false);
    expect(areAlike(sure, { ...GOOD, first: { token: 'The', logprob: -0.8 } })).toBe(true);
    expect(areAlike(sure, GOOD)).toBe(true);
  });
});

describe('prompts', () => {
  test('are the same for a seed, and never come twice', () => {
    const seen = new Set<string>();
    for (let i = 0; i < 3_000; i++) seen.add(likenessPrompt(`seed ${i}`).prompt);
    expect(seen.size).toBe(3_000);
    expect(likenessPrompt('seed 1')).toEqual(likenessPrompt('seed 1'));
  });

  test('are short, ask for little, and have no form of an exam', () => {
    for (let i = 0; i < 300; i++) {
      const { prompt, outputTokensMax } = likenessPrompt(`seed ${i}`);
      expect(prompt.length).toBeLessThan(900);
      expect(outputTokensMax).toBeLessThanOrEqual(80);
      expect(prompt).not.toMatch(/boxed|function|undefined|\$\{|=>|step by step|final answer/i);
    }
  });
});
