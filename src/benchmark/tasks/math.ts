import type { Draw } from '../draw.ts';
import type { Level, Question } from './question.ts';

/** Sums in many forms. Each has one whole number as its answer, and that number stands nowhere in the question. */
export function mathQuestion(draw: Draw, level: Level): Question {
  for (;;) {
    const { prompt, value } = draw.one(FORMS[level])(draw);
    // Whoever repeats the question must not be right by that.
    if (numbersIn(prompt).includes(value)) continue;
    return { prompt, maxTokens: level === 'basic' ? 96 : 700, key: { kind: 'math', value } };
  }
}

interface Sum {
  readonly prompt: string;
  readonly value: number;
}

function numbersIn(text: string): number[] {
  return (text.match(/\d+/g) ?? []).map(Number);
}

const NAMES = [
  'Anna',
  'Ben',
  'Clara',
  'David',
  'Emma',
  'Felix',
  'Grace',
  'Henry',
  'Iris',
  'Jack',
  'Kate',
  'Leo',
] as const;
const THINGS = [
  'apples',
  'books',
  'cards',
  'coins',
  'eggs',
  'pens',
  'shells',
  'stamps',
  'stones',
  'tickets',
] as const;

const BASIC: readonly ((draw: Draw) => Sum)[] = [
  (draw) => {
    const [a, b, c] = [draw.whole(11, 69), draw.whole(11, 69), draw.whole(2, 59)];
    return { prompt: `What is ${a} + ${b} + ${c}?`, value: a + b + c };
  },
  (draw) => {
    const [a, b, c] = [draw.whole(11, 89), draw.whole(2, 9), draw.whole(2, 9)];
    return { prompt: `What is ${a} + ${b} * ${c}?`, value: a + b * c };
  },
  (draw) => {
    const [name, things] = [draw.one(NAMES), draw.one(THINGS)];
    const [a, b] = [draw.whole(11, 69), draw.whole(11, 69)];
    const prompt = `${name} has ${a} ${things} and gets ${b} more. How many ${things} does ${name} have now?`;
    return { prompt, value: a + b };
  },
];

const TAIL = [
  '',
  ' Give the final number last.',
  ' Work it out and end with the number.',
  ' What is the result?',
  ' Answer with the number only.',
] as const;

const STANDARD: readonly ((draw: Draw) => Sum)[] = [
  (draw) => {
    const [a, b] = [draw.whole(12, 89), draw.whole(12, 89)];
    const [c, d] = [draw.whole(101, 989), draw.whole(101, 989)];
    return { prompt: `Compute ${a} × ${b} + ${c} − ${d}.${draw.one(TAIL)}`, value: a * b + c - d };
  },
  (draw) => {
    const [name, things] = [draw.one(NAMES), draw.one(THINGS)];
    const [boxes, each, given] = [draw.whole(12, 48), draw.whole(12, 48), draw.whole(21, 139)];
    return {
      prompt:
        `${name} packs ${boxes} boxes with ${each} ${things} each, then gives ${given} ${things} away.` +
        ` How many ${things} are left?${draw.one(TAIL)}`,
      value: boxes * each - given,
    };
  },
  (draw) => {
    const [a, b] = [draw.whole(1_000, 99_999), draw.whole(7, 29)];
    return { prompt: `What is the remainder when ${a} is divided by ${b}?${draw.one(TAIL)}`, value: a % b };
  },
  (draw) => {
    const list = draw.wholes(draw.whole(5, 7), 12, 97);
    return {
      prompt: `Add up these numbers: ${list.join(', ')}.${draw.one(TAIL)}`,
      value: list.reduce((sum, each) => sum + each, 0),
    };
  },
  (draw) => {
    const [name, other] = [draw.one(NAMES), draw.one(['brother', 'sister', 'friend', 'teacher'] as const)];
    const [price, count, paid] = [draw.whole(13, 69), draw.whole(6, 19), draw.whole(1_400, 2_000)];
    return {
      prompt:
        `${name} buys ${count} tickets at ${price} dollars each and pays with ${paid} dollars that a ${other} lent.` +
        ` How many dollars come back?${draw.one(TAIL)}`,
      value: paid - price * count,
    };
  },
  (draw) => {
    const [from, speed, hours, more] = [
      draw.whole(110, 990),
      draw.whole(41, 97),
      draw.whole(3, 9),
      draw.whole(11, 99),
    ];
    return {
      prompt:
        `A counter shows ${from}. It grows by ${speed} every hour for ${hours} hours, then by another ${more}.` +
        ` What does it show?${draw.one(TAIL)}`,
      value: from + speed * hours + more,
    };
  },
];

const FORMS: Readonly<Record<Level, readonly ((draw: Draw) => Sum)[]>> = { basic: BASIC, standard: STANDARD };
