import type { AttemptTruth } from '../agents/job.ts';
import type { SimulatedRequest } from '../clients/request.ts';

/** What a client holds in its hands when its connection has ended, one way or another. */
export interface Answer {
  /** The whole answer: `[DONE]`, or a whole unstreamed completion. */
  readonly complete: boolean;
  /** The error code, when there was one. */
  readonly error: string | undefined;
  readonly words: number;
  readonly serial: number | undefined;
  readonly usage: { prompt_tokens: number; completion_tokens: number } | undefined;
  /** Words without a tag (an agent that floods says them). */
  readonly untagged: number;
}

/**
 * Reads what a client got, as strictly as a client could, and says what is wrong with it: whose words they are, whether
 * they are the first words of one attempt, whether the names are the market's, and that nothing follows the end.
 */
export function readAnswer(
  request: SimulatedRequest,
  truthOf: TruthOf,
  wrong: (invariant: string, what: string) => void,
): Answer {
  const { reply } = request;
  const text = reply.text();
  if (reply.status === undefined) return NOTHING;
  if (reply.status !== 200) {
    const { error } = JSON.parse(text) as { error: { code: string } };
    return { ...NOTHING, error: error.code };
  }
  const said = new Said(request, truthOf, wrong);
  if (request.drawn.stream) said.events(text);
  else if (reply.whole) said.completion(text);
  return said.answer();
}

const NOTHING: Answer = {
  complete: false,
  error: undefined,
  words: 0,
  serial: undefined,
  usage: undefined,
  untagged: 0,
};

class Said {
  readonly #request: SimulatedRequest;
  readonly #truthOf: TruthOf;
  readonly #wrong: (invariant: string, what: string) => void;
  #serial: number | undefined;
  #words = 0;
  #untagged = 0;
  #complete = false;
  #finished = false;
  #error: string | undefined;
  #usage: Answer['usage'];
  #id: string | undefined;

  constructor(request: SimulatedRequest, truthOf: TruthOf, wrong: (invariant: string, what: string) => void) {
    this.#request = request;
    this.#truthOf = truthOf;
    this.#wrong = wrong;
  }

  answer(): Answer {
    // An answer without a word is nobody's by its words: the record says whose it was.
    const truth = this.#truthOf(this.#serial ?? this.#request.records[0]?.attemptId ?? '');
    if (this.#complete && this.#untagged === 0) {
      if (!this.#finished) this.#wrong('I5', 'A complete answer has no finish reason.');
      if (truth?.wholeWords !== this.#words)
        this.#wrong('I5', `A complete answer has ${this.#words} words of ${truth?.wholeWords}.`);
    }
    return {
      complete: this.#complete,
      error: this.#error,
      words: this.#words,
      serial: this.#serial,
      usage: this.#usage,
      untagged: this.#untagged,
    };
  }

  events(text: string): void {
    const events = text.split('\n\n');
    // A client that was cut off may hold half an event; whole writes are all that this world cuts.
    if (events.pop() !== '') this.#wrong('I5', 'The stream ends within an event.');
    for (const event of events) {
      if (this.#complete || this.#error !== undefined)
        this.#wrong('I5', 'Something follows the end of the stream.');
      if (event === 'data: [DONE]') this.#complete = true;
      else if (event.startsWith('event: error\ndata: ')) {
        this.#error = (JSON.parse(event.slice(19)) as { error: { code: string } }).error.code;
      } else if (event.startsWith('data: {')) this.#event(JSON.parse(event.slice(6)) as Chunk);
      else this.#wrong('I5', `An event that is none: ${event.slice(0, 60)}`);
    }
  }

  completion(text: string): void {
    const body = JSON.parse(text) as Chunk;
    this.#names(body);
    this.#complete = true;
    this.#usage = body.usage;
    for (const choice of body.choices) {
      if (choice.finish_reason) this.#finished = true;
      this.#say(choice.message?.content ?? '');
    }
  }

  #event(chunk: Chunk): void {
    this.#names(chunk);
    if (!Array.isArray(chunk.choices)) return this.#wrong('I5', 'An event without choices.');
    if (chunk.choices.length === 0) {
      this.#usage = chunk.usage;
      if (!this.#request.drawn.includeUsage) this.#wrong('I5', 'A usage event that nobody asked for.');
    } else if (chunk.usage) this.#wrong('I5', "An agent's usage was passed on.");
    for (const choice of chunk.choices) {
      if (choice.finish_reason) this.#finished = true;
      this.#say(choice.delta?.content ?? '');
    }
  }

  #names({ id, model }: Chunk): void {
    this.#id ??= id;
    if (id !== this.#id || !id.startsWith('chatcmpl-')) this.#wrong('I5', `The id of an answer is ${id}.`);
    if (model !== this.#request.drawn.modelId) this.#wrong('I5', `The model of an answer is ${model}.`);
  }

  #say(content: string): void {
    if (content === '') return;
    if (content.startsWith('xxxx')) {
      this.#untagged += 1;
      return;
    }
    for (const word of content.trimEnd().split(' ')) {
      const dot = word.indexOf('.');
      const serial = Number.parseInt(word.slice(0, dot), 36);
      const index = Number(word.slice(dot + 1));
      const truth = dot > 0 ? this.#truthOf(serial) : undefined;
      if (!truth) {
        this.#wrong('I6', `A word that no attempt of this request said: ${word.slice(0, 30)}`);
        return;
      }
      this.#serial ??= serial;
      if (truth.request !== this.#request.n && truth.request >= 0)
        this.#wrong('I6', `A word of request #${truth.request}.`);
      if (serial !== this.#serial) this.#wrong('I5', 'Words of two attempts in one answer.');
      if (index !== this.#words) this.#wrong('I5', `Word ${index} where word ${this.#words} belongs.`);
      this.#words += 1;
    }
  }
}

/** An attempt by its serial number or its id. */
export type TruthOf = (which: number | string) => AttemptTruth | undefined;

interface Chunk {
  id: string;
  model: string;
  choices: {
    delta?: { content?: string };
    message?: { content?: string };
    finish_reason?: string | null;
  }[];
  usage?: { prompt_tokens: number; completion_tokens: number };
}
