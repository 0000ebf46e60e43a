import { createHash } from 'node:crypto';
import type { Model } from '#domain/model.ts';
import { Draw } from '../draw.ts';
import { codeQuestion } from './code.ts';
import { latencyQuestion } from './latency.ts';
import { mathQuestion } from './math.ts';
import type { Kind, Level, Question } from './question.ts';

/** How many questions of each kind a paper has. */
export const PAPER: Readonly<Record<Kind, number>> = { math: 8, code: 4, latency: 4 };

const MAKERS = { math: mathQuestion, code: codeQuestion, latency: latencyQuestion } as const;
const REDRAWS_MAX = 30;

/**
 * The questions of a seed, in an order of chance. `isFresh` says whether a question was asked of nobody yet; one that was
 * is drawn again.
 */
export function makePaper(
  seed: string,
  level: Level,
  isFresh: (question: Question) => boolean = () => true,
): Question[] {
  const draw = new Draw(seed);
  const questions: Question[] = [];
  const drawn = new Set<string>();
  const isNew = (question: Question): boolean => {
    if (drawn.has(question.prompt)) return false;
    // What a tiny model can count are few numbers; knowing one beforehand only shows how fast one can be.
    return (level === 'basic' && question.key.kind === 'latency') || isFresh(question);
  };
  for (const kind of Object.keys(PAPER) as Kind[]) {
    for (let i = 0; i < PAPER[kind]; i++) {
      let question = MAKERS[kind](draw, level);
      for (let n = 0; n < REDRAWS_MAX && !isNew(question); n++) question = MAKERS[kind](draw, level);
      drawn.add(question.prompt);
      questions.push(question);
    }
  }
  for (let i = questions.length - 1; i > 0; i--) {
    const j = draw.whole(0, i);
    [questions[i], questions[j]] = [questions[j] as Question, questions[i] as Question];
  }
  return questions;
}

/** Tells a question from every other, in 16 bytes. */
export function digestOf(question: Pick<Question, 'prompt'>): string {
  return createHash('sha256').update(question.prompt).digest('hex').slice(0, 32);
}

/** How hard the questions for a model are, by the memory that it needs. */
export function levelOf(minVramGb: number): Level {
  return minVramGb < 1 ? 'basic' : 'standard';
}

/** Whether a model is asked questions: one that speaks. */
export function isAsked(model: Pick<Model, 'category'>): boolean {
  return model.category === 'llm' || model.category === 'multimodal';
}
