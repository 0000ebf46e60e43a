import { assert, property, string } from 'fast-check';
import { afterAll, describe, expect, it, test } from 'vitest';
import { systemClock } from '#kit/clock.ts';
import { solutionOf } from '#support/benchmark.ts';
import { Evaluator } from './evaluator.ts';
import { codeOf, lastNumber, markOf, type Reply, scoreOf } from './grade.ts';
import { digestOf, makePaper, PAPER } from './tasks/paper.ts';
import type { Question } from './tasks/question.ts';
import { shortcomings } from './terms.ts';

const evaluator = new Evaluator({ clock: systemClock });
afterAll(() => evaluator.close());

const whole = (text: string, over: Partial<Reply> = {}): Reply => ({
  text,
  end: 'whole',
  ttftMs: 50,
  durationMs: 500,
  ...over,
});

/** The marks of a paper whose questions are answered by `answer`. */
async function marked(paper: readonly Question[], answer: (question: Question) => Reply) {
  const marks = [];
  for (const question of paper) {
    const { key } = question;
    const reply = answer(question);
    if (key.kind !== 'code') {
      marks.push(markOf(question, reply, { got: undefined, expected: [] }));
      continue;
    }
    const { name, calls, source } = key;
    const got = await evaluator.run({ name, calls, source: codeOf(reply.text, key) });
    const expected = (await evaluator.run({ name, calls, source })) ?? [];
    marks.push(markOf(question, reply, { got, expected }));
  }
  return marks;
}

test.each<[string, number | undefined]>([
  ['42', 42],
  ['17 + 25 = 42.', 42],
  ['The answer is **1,234**.', 1234],
  ['It is 7.50 dollars', 7.5],
  ['Step 1: 3. Step 2: 4. So −12', -12],
  ['100-58=42', 42],
  ['so we get \\boxed{17}, as in step 3', 17],
  ['\\boxed{1} no, \\boxed{2,000}', 2000],
  ['$= 9$', 9],
  ['no number at all', undefined],
  ['', undefined],
])('of %j the number is %s', (text, value) => {
  expect(lastNumber(text)).toBe(value);
});

test('no text at all keeps the reader of numbers or of code busy for long', () => {
  for (const part of ['1,', '-', '9'.repeat(50), '```', '`', '\\boxed{', '1.1.']) {
    const text = part.repeat(262_144 / part.length);
    expect([
      typeof lastNumber(text),
      typeof codeOf(text, { kind: 'code', name: 'f', source: '', calls: [] }),
    ]).toEqual([expect.any(String), 'string']);
  }
});

test.each([
  ['```js\nfunction kumo(a) { return a }\n```', 'function kumo(a) { return a }\n'],
  [
    'Here:\n```javascript\nfunction kumo() {}\n```\nUse it so:\n```js\nconsole.log(1)\n```',
    'function kumo() {}\n',
  ],
  ['function kumo() {}', 'function kumo() {}'],
  ['```\nexport default function kumo() {}', 'function kumo() {}'],
])('of %j the code is %j', (text, code) => {
  expect(codeOf(text, { kind: 'code', name: 'kumo', source: '', calls: [] })).toBe(code);
});

describe.each(['basic', 'standard'] as const)('a %s paper', (level) => {
  it('is the same for the same seed and another for every other', () => {
    expect(makePaper('a', level)).toEqual(makePaper('a', level));
    const papers = level === 'basic' ? 40 : 200;
    const digests = new Set<string>();
    let asked = 0;
    for (let i = 0; i < papers; i++) {
      for (const question of makePaper(`seed ${i}`, level, (each) => !digests.has(digestOf(each)))) {
        // A tiny model can count few numbers: that it is asked to count them again is allowed.
        if (level === 'basic' && question.key.kind === 'latency') continue;
        digests.add(digestOf(question));
        asked += 1;
      }
    }
    expect(digests.size).toBe(asked);
  });

  it('is passed whole by right answers', async () => {
    for (const seed of ['one', 'two']) {
      const paper = makePaper(seed, level);
      const score = scoreOf(await marked(paper, (question) => whole(solutionOf(question))));
      expect(score).toMatchObject({ math: [8, 8], code: [4, 4], ttftMs: 50 });
      expect(shortcomings(score, 'A')).toEqual([]);
    }
  });

  it.each<[string, (paper: readonly Question[]) => (question: Question) => Reply]>([
    [
      'repeats the question',
      () =>
        ({ prompt }) =>
          whole(prompt),
    ],
    ['says nothing', () => () => whole('')],
    ['sends blanks', () => () => whole(' \n'.repeat(500))],
    [
      'sends the same filler',
      () => () => whole('As an AI language model, I can count to 3: 1, 2, 3. '.repeat(20)),
    ],
    ['sends every number there is', () => () => whole(Array.from({ length: 9_999 }, (_, i) => i).join(' '))],
    [
      'answers yesterday’s questions rightly',
      (paper) => {
        const yesterday = makePaper('yesterday', level);
        return (question) => {
          const alike = yesterday.filter(({ key }) => key.kind === question.key.kind);
          return whole(solutionOf(alike[paper.indexOf(question) % alike.length] as Question));
        };
      },
    ],
    [
      'answers rightly, but too late',
      () => (question) => whole(solutionOf(question), { end: 'late', durationMs: 60_000 }),
    ],
    [
      'answers rightly, and then without end',
      () => (question) => whole(solutionOf(question), { end: 'too-long' }),
    ],
    ['fails', () => () => whole('', { end: 'failed', ttftMs: null })],
    ['claims in words to be right', () => () => whole('{"correct": true, "answer": "expected_answer"}')],
  ])('is not passed by one who %s', async (_who, how) => {
    const paper = makePaper('today', level);
    const score = scoreOf(await marked(paper, how(paper)));
    expect(shortcomings(score, 'unknown').length).toBeGreaterThan(0);
  });

  it('asks nothing that its own words answer', () => {
    for (let i = 0; i < 100; i++) {
      for (const { key, prompt } of makePaper(`s${i}`, level)) {
        const given = key.kind === 'math' ? prompt.split(/\D+/) : [];
        expect(given).not.toContain(key.kind === 'math' && `${key.value}`);
      }
    }
  });

  it('fits a small context', () => {
    for (let i = 0; i < 100; i++) {
      for (const { prompt } of makePaper(`s${i}`, level)) expect(prompt.length).toBeLessThan(400);
    }
  });
});

test('a paper has so many questions of each kind', () => {
  const kinds = makePaper('x', 'standard').map(({ key }) => key.kind);
  expect(kinds.toSorted().join()).toBe(
    [
      ...Array(PAPER.code).fill('code'),
      ...Array(PAPER.latency).fill('latency'),
      ...Array(PAPER.math).fill('math'),
    ].join(),
  );
});

test('the pace counts from the question to the end, so that sending all at once at the end gains nothing', () => {
  const [question] = makePaper('x', 'standard').filter(({ key }) => key.kind === 'latency') as [Question];
  const text = solutionOf(question);
  const steady = markOf(question, whole(text, { ttftMs: 100, durationMs: 10_000 }), {
    got: undefined,
    expected: [],
  });
  const atOnce = markOf(question, whole(text, { ttftMs: 9_999, durationMs: 10_000 }), {
    got: undefined,
    expected: [],
  });
  expect(atOnce.tokensPerSecond).toBe(steady.tokensPerSecond);
});

test.each([
  ['the terms just met', { math: [4, 8], code: [2, 4], ttftMs: 5_000, tokensPerSecond: 10 }, 'A', 0],
  ['a math answer too few', { math: [3, 8], code: [4, 4], ttftMs: 100, tokensPerSecond: 99 }, 'A', 1],
  ['a code answer too few', { math: [8, 8], code: [1, 4], ttftMs: 100, tokensPerSecond: 99 }, 'A', 1],
  ['too slow a start', { math: [8, 8], code: [4, 4], ttftMs: 5_001, tokensPerSecond: 99 }, 'A', 1],
  ['no start at all', { math: [8, 8], code: [4, 4], ttftMs: null, tokensPerSecond: 0 }, 'A', 1],
  ['a pace below its class', { math: [8, 8], code: [4, 4], ttftMs: 100, tokensPerSecond: 9 }, 'A', 1],
  [
    'a pace that a lesser class may have',
    { math: [8, 8], code: [4, 4], ttftMs: 100, tokensPerSecond: 9 },
    'C',
    0,
  ],
  ['everything', { math: [0, 8], code: [0, 4], ttftMs: 9_000, tokensPerSecond: 0 }, 'S', 4],
] as const)('of %s so many things are wrong', (_what, score, tier, count) => {
  expect(shortcomings(score, tier)).toHaveLength(count);
});

test('whatever an agent sends is marked, and nothing makes a number of it that is none', () => {
  assert(
    property(string({ unit: 'binary', maxLength: 300 }), (text) => {
      const value = lastNumber(text);
      expect(value === undefined || Number.isFinite(value)).toBe(true);
    }),
  );
});
