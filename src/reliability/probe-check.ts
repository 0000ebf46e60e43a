import type { Randomness } from '#kit/random.ts';

/**
 * What a probe asks and how its answer is judged. Pure. Each prompt is made anew, looks like what people ask, and has a
 * right answer that nobody can have cached: a made-up word to be said again.
 *
 * Small models cannot always do even that, so a wrong answer is only held against somebody where this model is known to be
 * right nearly always. Whoever serves another model under its name, or a broken one, then shows.
 */
export interface ProbeQuestion {
  readonly prompt: string;
  readonly word: string;
  readonly outputTokensMax: number;
}

export interface ProbeAnswer {
  /** 0: no answer came at all. */
  readonly status: number;
  /** Of the error, where the status is one. */
  readonly code: string | null;
  readonly text: string;
  readonly ttftMs: number | null;
  readonly ttltMs: number;
  /** How likely the first token was, where it was asked for and told. */
  readonly first?: { readonly token: string; readonly logprob: number } | undefined;
}

export interface ProbeTerms {
  readonly ttftMsMax: number;
  readonly ttltMsMax: number;
  /** Of the last answers of a model, the share that must have been right for a wrong one to count, and of how many. */
  readonly rightShare: number;
  readonly rightOf: { readonly least: number; readonly most: number };
}

const PROBE_TERMS: ProbeTerms = {
  ttftMsMax: 10_000,
  ttltMsMax: 30_000,
  rightShare: 0.9,
  rightOf: { least: 5, most: 20 },
};

/** `neutral`: it says nothing of who was asked. */
export type ProbeVerdict =
  | { readonly verdict: 'ok' | 'neutral' }
  | { readonly verdict: 'failed'; readonly because: string };

const SYLLABLES = 'ba be bo da di do fa fi ga go ka ki lo lu ma mi na no pa pe ra ri sa so ta tu va vo'.split(
  ' ',
);
const WORDINGS: readonly ((word: string) => string)[] = [
  (word) => `Repeat this word and nothing else: ${word}`,
  (word) => `Say "${word}" once, without anything else.`,
  (word) => `Please answer with exactly this word: ${word}`,
  (word) => `Copy the following word.\n\n${word}`,
];

export function makeQuestion(random: Randomness): ProbeQuestion {
  const draw = <T>(list: readonly T[]): T => list[Math.floor(random.float() * list.length)] as T;
  const word = Array.from({ length: 3 }, () => draw(SYLLABLES)).join('');
  return { word, prompt: draw(WORDINGS)(word), outputTokensMax: 16 + Math.floor(random.float() * 9) };
}

/** Whether the word is in the answer, whatever else and however it is written. */
export function isRight({ word }: ProbeQuestion, text: string): boolean {
  return text
    .toLowerCase()
    .replaceAll(/[^a-z]/g, '')
    .includes(word);
}

/** Refusals that are about room, money or our own end, and not about who was asked. */
const NEUTRAL_CODES: ReadonlySet<string> = new Set([
  'insufficient_balance',
  'ledger_unavailable',
  'shutting_down',
  'rate_limit_exceeded',
  'concurrency_limit_exceeded',
  'model_not_found',
  'prompt_shed',
]);
/** The same of a single candidate: it left, or has no room. */
const NEUTRAL_OF_ONE: ReadonlySet<string> = new Set(['no_provider_available', 'all_providers_busy']);

export function judgeProbe(
  question: ProbeQuestion,
  answer: ProbeAnswer,
  about: { one: boolean; rightIsUsual: boolean },
  terms: ProbeTerms = PROBE_TERMS,
): ProbeVerdict {
  const { status, code, text, ttftMs, ttltMs } = answer;
  if (code !== null && (NEUTRAL_CODES.has(code) || (about.one && NEUTRAL_OF_ONE.has(code))))
    return { verdict: 'neutral' };
  // Too many, be it ours or everybody's, is a question of room.
  if (status === 429) return { verdict: 'neutral' };
  if (status === 0) return failed('no answer came');
  if (status !== 200 || code !== null) return failed(`status ${status}${code === null ? '' : ` (${code})`}`);
  if (ttftMs === null || text.trim() === '') return failed('the answer was empty');
  if (ttftMs > terms.ttftMsMax) return failed(`the first token took ${Math.round(ttftMs)} ms`);
  if (ttltMs > terms.ttltMsMax) return failed(`the answer took ${Math.round(ttltMs)} ms`);
  if (about.rightIsUsual && !isRight(question, text)) return failed('the answer was wrong');
  return { verdict: 'ok' };
}

function failed(because: string): ProbeVerdict {
  return { verdict: 'failed', because };
}

/** How often a model is right, by its last answers. */
export class Rightness {
  readonly #last: boolean[] = [];
  readonly #terms: ProbeTerms;

  constructor(terms: ProbeTerms = PROBE_TERMS) {
    this.#terms = terms;
  }

  /** Wrong answers that were held against somebody are noted once that is right again: a broken one lowers no bar. */
  note(right: boolean): void {
    this.#last.push(right);
    if (this.#last.length > this.#terms.rightOf.most) this.#last.shift();
  }

  get isUsual(): boolean {
    const right = this.#last.filter(Boolean).length;
    return (
      this.#last.length >= this.#terms.rightOf.least && right >= this.#last.length * this.#terms.rightShare
    );
  }
}
