import type { Draw } from '../draw.ts';
import type { Level, Question } from './question.ts';

/**
 * Something easy that takes a while to write, to measure the pace. A few of the numbers that are asked for must be in the
 * answer: who sends filler at once has written no answer.
 */
export function latencyQuestion(draw: Draw, level: Level): Question {
  const basic = level === 'basic';
  const from = basic ? draw.whole(1, 40) : draw.whole(1_001, 98_900);
  const count = basic ? draw.whole(8, 15) : draw.whole(24, 36);
  const to = from + count - 1;
  const items = Array.from({ length: count }, (_, i) => from + i);
  const forms = basic ? BASIC : STANDARD;
  return {
    prompt: draw.one(forms)(from, to),
    maxTokens: basic ? 64 : 220,
    key: { kind: 'latency', items, itemsMin: Math.ceil(count / 3) },
  };
}

const BASIC = [
  (from: number, to: number) => `Count from ${from} to ${to}.`,
  (from: number, to: number) => `Please count from ${from} to ${to}.`,
  (from: number, to: number) => `Count up from ${from} to ${to}.`,
  (from: number, to: number) => `Can you count from ${from} to ${to}?`,
] as const;
const STANDARD = [
  (from: number, to: number) => `Count from ${from} to ${to}, separated by commas.`,
  (from: number, to: number) =>
    `List every whole number from ${from} to ${to} in order, with a space between them.`,
  (from: number, to: number) => `Write out the numbers from ${from} up to ${to}, one after the other.`,
] as const;
