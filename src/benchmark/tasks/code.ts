import type { Draw } from '../draw.ts';
import type { CodeKey, Level, Question } from './question.ts';

/**
 * Small functions in JavaScript. What is asked for, the name, the constants and the arguments it is tried with are drawn;
 * the house's own function, which says what is right, is text like the answer and runs in the same closed place.
 */
export function codeQuestion(draw: Draw, level: Level): Question {
  const name = level === 'basic' ? draw.one(PLAIN_NAMES) : draw.word(3);
  const { does, parameters, body, calls } = draw.one(FORMS[level])(draw);
  const signature = `${name}(${parameters.join(', ')})`;
  const key: CodeKey = { kind: 'code', name, source: `function ${signature} {\n${body}\n}`, calls };
  const prompt =
    level === 'basic'
      ? `${draw.one(BASIC_OPENINGS)} ${signature} that ${does}.`
      : `${draw.one(OPENINGS)} \`${signature}\` that ${does}. ${draw.one(ENDINGS)}`;
  return { prompt, maxTokens: level === 'basic' ? 120 : 900, key };
}

interface Form {
  /** Follows "a function that". */
  readonly does: string;
  readonly parameters: readonly string[];
  readonly body: string;
  readonly calls: readonly (readonly unknown[])[];
}

/** A tiny model copies only words that it knows. */
const PLAIN_NAMES = [
  'total',
  'calc',
  'solve',
  'compute',
  'helper',
  'answer',
  'result',
  'check',
  'go',
  'top',
  'sum',
  'max',
] as const;
const PAIRS = [
  ['a', 'b'],
  ['x', 'y'],
] as const;
const BASIC_OPENINGS = [
  'Write a JavaScript function',
  'Create a JavaScript function',
  'Implement a JavaScript function',
  'Please write a JavaScript function',
] as const;
const OPENINGS = [
  'Write a JavaScript function',
  'In JavaScript, implement a function',
  'I need a JavaScript function',
  'Please write me a JavaScript function',
] as const;
const ENDINGS = [
  'Only the code, please.',
  'Reply with the function.',
  'No explanation needed.',
  'Keep it short.',
] as const;
const CALLS = 5;

/** So many lists of arguments. */
function times<T>(make: () => T): T[] {
  return Array.from({ length: CALLS }, make);
}

/** A function of two numbers. */
function ofTwo(
  draw: Draw,
  does: readonly [string, ...string[]],
  body: (a: string, b: string) => string,
): Form {
  const [a, b] = draw.one(PAIRS);
  return {
    does: draw.one(does),
    parameters: [a, b],
    body: `  return ${body(a, b)};`,
    calls: times(() => draw.wholes(2, 2, 99)),
  };
}

const BASIC: readonly ((draw: Draw) => Form)[] = [
  (draw) => ofTwo(draw, ['returns the sum of two numbers', 'adds two numbers'], (a, b) => `${a} + ${b}`),
  (draw) =>
    ofTwo(draw, ['returns the product of two numbers', 'multiplies two numbers'], (a, b) => `${a} * ${b}`),
  (draw) =>
    ofTwo(
      draw,
      ['returns the maximum of two numbers', 'returns the larger of two numbers'],
      (a, b) => `${a} > ${b} ? ${a} : ${b}`,
    ),
  (draw) => ({
    does: draw.one(['returns the square of a number', 'squares a number'] as const),
    parameters: [draw.one(['n', 'x'] as const)],
    body: '  return arguments[0] * arguments[0];',
    calls: times(() => draw.wholes(1, 3, 99)),
  }),
  (draw) => ({
    does: draw.one(['returns the sum of a list', 'adds up all numbers in a list'] as const),
    parameters: ['items'],
    body: '  return items.reduce((sum, x) => sum + x, 0);',
    calls: times(() => [draw.wholes(draw.whole(2, 6), 1, 99)]),
  }),
  (draw) => ({
    does: 'reverses a string',
    parameters: [draw.one(['s', 'text'] as const)],
    body: "  return arguments[0].split('').reverse().join('');",
    calls: times(() => [draw.word(draw.whole(2, 4))]),
  }),
];

const STANDARD: readonly ((draw: Draw) => Form)[] = [
  (draw) => {
    const [divisor, more] = [draw.whole(3, 9), draw.whole(11, 99)];
    return {
      does: `returns ${more} plus the sum of those numbers of the array \`list\` that are divisible by ${divisor}`,
      parameters: ['list'],
      body: `  let sum = ${more};\n  for (const x of list) if (x % ${divisor} === 0) sum += x;\n  return sum;`,
      calls: times(() => [draw.wholes(draw.whole(4, 9), 1, 60)]),
    };
  },
  (draw) => {
    const [factor, more] = [draw.whole(2, 9), draw.whole(2, 19)];
    return {
      does: `takes an array of numbers, multiplies each by ${factor}, adds ${more} to each, and returns the new array in reverse order`,
      parameters: ['list'],
      body: `  return list.map((x) => x * ${factor} + ${more}).reverse();`,
      calls: times(() => [draw.wholes(draw.whole(2, 6), -20, 40)]),
    };
  },
  (draw) => {
    const [first, second, p, q] = [draw.whole(1, 5), draw.whole(1, 5), draw.whole(1, 3), draw.whole(1, 3)];
    return {
      does:
        `returns the n-th term (starting with n = 0) of the sequence that begins with ${first}, ${second},` +
        ` where each further term is ${p} times the previous one plus ${q} times the one before that`,
      parameters: ['n'],
      body: `  let [a, b] = [${first}, ${second}];\n  for (let i = 0; i < n; i++) [a, b] = [b, ${p} * b + ${q} * a];\n  return a;`,
      calls: [0, 1, 2, draw.whole(3, 6), draw.whole(7, 11)].map((n) => [n]),
    };
  },
  (draw) => {
    const letter = draw.one(['a', 'e', 'i', 'o', 'u'] as const);
    const suffix = draw.whole(10, 99);
    return {
      does: `counts how often the letter "${letter}" occurs in the string \`text\`, and returns that count, a dash and ${suffix} as one string (such as "2-${suffix}")`,
      parameters: ['text'],
      body: `  let count = 0;\n  for (const c of text) if (c === '${letter}') count++;\n  return count + '-${suffix}';`,
      calls: times(() => [draw.word(draw.whole(3, 8))]),
    };
  },
  (draw) => {
    const fallback = draw.whole(100, 999);
    return {
      does: `returns the largest difference (always positive or zero) between two neighbouring numbers of the array \`list\`, or ${fallback} if it has fewer than two numbers`,
      parameters: ['list'],
      body: `  if (list.length < 2) return ${fallback};\n  let most = 0;\n  for (let i = 1; i < list.length; i++) most = Math.max(most, Math.abs(list[i] - list[i - 1]));\n  return most;`,
      calls: [[[draw.whole(1, 9)]], ...times(() => [draw.wholes(draw.whole(2, 7), -50, 50)])],
    };
  },
  (draw) => {
    const [every, mark] = [draw.whole(2, 4), draw.one(['-', '_', '*', '+'] as const)];
    return {
      does: `returns the string \`text\` with the character "${mark}" put after every group of ${every} characters, but never at the very end`,
      parameters: ['text'],
      body: `  const parts = [];\n  for (let i = 0; i < text.length; i += ${every}) parts.push(text.slice(i, i + ${every}));\n  return parts.join('${mark}');`,
      calls: times(() => [draw.word(draw.whole(2, 6))]),
    };
  },
];

const FORMS: Readonly<Record<Level, readonly ((draw: Draw) => Form)[]>> = {
  basic: BASIC,
  standard: STANDARD,
};
