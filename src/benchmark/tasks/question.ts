/**
 * A question of a benchmark, with what makes an answer right. Only `prompt` and `maxTokens` go to an agent, in a request
 * like any consumer's; the key stays here.
 */
export interface Question {
  readonly prompt: string;
  readonly maxTokens: number;
  readonly key: AnswerKey;
}

export type AnswerKey = MathKey | CodeKey | PaceKey;
export type Kind = AnswerKey['kind'];

export interface MathKey {
  readonly kind: 'math';
  readonly value: number;
}

/** A function that must do what `source` does, on every one of `calls`. */
export interface CodeKey {
  readonly kind: 'code';
  readonly name: string;
  /** JavaScript of the house, which is also a right answer. */
  readonly source: string;
  /** Lists of arguments. */
  readonly calls: readonly (readonly unknown[])[];
}

/** Text to measure the pace by. It must be an answer all the same: some of these, in order. */
export interface PaceKey {
  readonly kind: 'latency';
  readonly items: readonly number[];
  readonly itemsMin: number;
}

/** How hard questions are. `basic` suits models of a few million parameters, `standard` all others. */
export type Level = 'basic' | 'standard';
