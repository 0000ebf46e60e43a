import { readFileSync } from 'node:fs';
import { OPERATIONS } from '#domain/operation.ts';
import type { Clock, Timer } from '#kit/clock.ts';
import {
  type Backend,
  type BackendFacts,
  type BackendRequest,
  type BackendSink,
  eventHead,
  eventTail,
  type Serving,
  type TokenUsage,
  textTail,
  wholeAnswer,
  wholeText,
} from './backend.ts';
import { type RehearsedCall, rehearsedCall, rehearsedWhole } from './rehearsed-whole.ts';

/**
 * A stand-in for a model: deterministic, cheap, and able to fail in every way that matters. It serves tests, demos and
 * benchmarks. What it does is a list of words, given with the model (`rehearsal:paced=5,tokens=200`) and overridden by a
 * request's own field `rehearsal`:
 *
 *     tokens=64      how long the answer is, in tokens of one event each; also bounded by the request's max_tokens
 *     paced=5        a token every 5 ms; all streams of one pace share a ticker, as an engine's decode step does
 *     first=2000     the first token comes only after 2000 ms
 *     prompt=200     the number of prompt tokens that is stated; by default a quarter of the characters of the messages
 *     silent         accepts and never answers
 *     endless        never stops by itself
 *     cut=10         breaks off after 10 events with status 502
 *     status=503     refuses with this status
 *     wrong          answers, but says nothing that was asked for
 *     giant=65536    one event carries this many bytes of content
 *     claim=10       states ten times the tokens that it made, as a cheat would
 *     echo           begins by saying the last message again, as a model that is asked to repeat a word does
 *     calls          calls the first tool that is offered, unless a tool has just answered
 *     down           says that it is not healthy
 *
 * Without `paced` the whole answer comes at once. Written as `@/path/to/a/file`, the words are in that file and are read
 * again for each request: who changes the file makes a running node slow, wrong or well again, as a bad version would.
 */
export interface Rehearsal {
  readonly tokens: number;
  readonly pacedMs: number;
  readonly firstMs: number;
  readonly promptTokens: number | undefined;
  readonly silent: boolean;
  readonly endless: boolean;
  readonly cutAfter: number | undefined;
  readonly status: number | undefined;
  readonly wrong: boolean;
  readonly giantBytes: number | undefined;
  readonly claim: number;
  readonly calls: boolean;
  readonly echo: boolean;
  readonly down: boolean;
}

const NUMBERS = ['tokens', 'paced', 'first', 'prompt', 'cut', 'status', 'giant', 'claim'] as const;
const WORDS = ['silent', 'endless', 'wrong', 'calls', 'down', 'echo'] as const;
const GIANT_BYTES_MAX = 8 * 1_048_576;
const DEFAULT_TOKENS = 64;
const PARALLEL = 4_096;

/** Reads a list of words as above; `base` holds what it leaves open. Throws on a word that is none of them. */
function parseRehearsal(text: string, base?: Rehearsal): Rehearsal {
  const numbers = new Map<string, number>();
  const words = new Set<string>();
  for (const part of text.split(',').filter((piece) => piece !== '')) {
    const [key = '', value] = part.split('=', 2);
    if (value === undefined && (WORDS as readonly string[]).includes(key)) words.add(key);
    else if (value !== undefined && /^\d{1,9}$/.test(value) && (NUMBERS as readonly string[]).includes(key)) {
      numbers.set(key, Number(value));
    } else throw new Error(`"${part}" is nothing a rehearsal knows.`);
  }
  const giant = numbers.get('giant') ?? base?.giantBytes;
  return {
    tokens: numbers.get('tokens') ?? base?.tokens ?? DEFAULT_TOKENS,
    pacedMs: numbers.get('paced') ?? base?.pacedMs ?? 0,
    firstMs: numbers.get('first') ?? base?.firstMs ?? 0,
    promptTokens: numbers.get('prompt') ?? base?.promptTokens,
    silent: words.has('silent') || (base?.silent ?? false),
    endless: words.has('endless') || (base?.endless ?? false),
    cutAfter: numbers.get('cut') ?? base?.cutAfter,
    status: numbers.get('status') ?? base?.status,
    wrong: words.has('wrong') || (base?.wrong ?? false),
    giantBytes: giant === undefined ? undefined : Math.min(giant, GIANT_BYTES_MAX),
    claim: numbers.get('claim') ?? base?.claim ?? 1,
    calls: words.has('calls') || (base?.calls ?? false),
    down: words.has('down') || (base?.down ?? false),
    echo: words.has('echo') || (base?.echo ?? false),
  };
}

/** Reads a plan as an operator gives it: words, or the file that has them. A request's own field names no file. */
export function readPlan(text: string): Rehearsal {
  return parseRehearsal(text.startsWith('@') ? readFileSync(text.slice(1), 'utf8').trim() : text);
}

const VOCABULARY = 'the quick brown fox jumps over a lazy dog while seven swans glide past and count'.split(
  ' ',
);

function wordAt(index: number): string {
  return `${index === 0 ? '' : ' '}${VOCABULARY[index % VOCABULARY.length]}`;
}

/** The text of the first `tokens` tokens of every answer. */
export function rehearsedText(tokens: number): string {
  let text = '';
  for (let i = 0; i < tokens; i++) text += wordAt(i);
  return text;
}

const FIRST_TAIL = eventTail(JSON.stringify({ role: 'assistant', content: wordAt(0) }), null);
const TAILS = VOCABULARY.map((word) => eventTail(JSON.stringify({ content: ` ${word}` }), null));
const STOP_TAIL = eventTail('{}', 'stop');
const LENGTH_TAIL = eventTail('{}', 'length');
const WRONG_TAIL = Buffer.from('"choices":"wrong"}');

export class RehearsalBackend implements Backend {
  readonly facts: BackendFacts = { engine: 'rehearsal', parallel: PARALLEL };
  readonly operations = OPERATIONS;
  readonly #clock: Clock;
  readonly #text: string;
  readonly #fixed: Rehearsal | undefined;
  readonly #tickers = new Map<number, Ticker>();
  #closed = false;

  /** `plan` is the text described above. */
  constructor(plan: string, parts: { clock: Clock }) {
    this.#text = plan;
    const read = readPlan(plan);
    this.#fixed = plan.startsWith('@') ? undefined : read;
    this.#clock = parts.clock;
  }

  serve(request: BackendRequest, sink: BackendSink): Serving {
    const own = this.#plan;
    let plan = own;
    if (typeof request.body['rehearsal'] === 'string') {
      try {
        plan = parseRehearsal(request.body['rehearsal'], own);
      } catch {
        plan = { ...plan, status: 400 };
      }
    }
    const run = new RehearsalRun(this, plan, request, sink);
    if (plan.status !== undefined && plan.status !== 200) {
      run.finish({ status: plan.status, error: 'Rehearsed.' });
    } else if (!plan.silent) {
      if (plan.firstMs > 0) run.waitFor(this.#clock.after(plan.firstMs, () => run.begin()));
      else run.begin();
    }
    return run;
  }

  probe(): Promise<boolean> {
    return Promise.resolve(!this.#closed && !this.#plan.down);
  }

  get #plan(): Rehearsal {
    return this.#fixed ?? readPlan(this.#text);
  }

  close(): Promise<void> {
    this.#closed = true;
    for (const ticker of this.#tickers.values()) ticker.timer.cancel();
    this.#tickers.clear();
    return Promise.resolve();
  }

  /** For `RehearsalRun`: joins the ticker of its pace. */
  join(run: RehearsalRun, periodMs: number): void {
    let ticker = this.#tickers.get(periodMs);
    if (!ticker) {
      const runs = new Set<RehearsalRun>();
      const timer = this.#clock.every(periodMs, () => {
        for (const each of runs) each.step();
      });
      ticker = { timer, runs };
      this.#tickers.set(periodMs, ticker);
    }
    ticker.runs.add(run);
  }

  /** For `RehearsalRun`. */
  leave(run: RehearsalRun, periodMs: number): void {
    const ticker = this.#tickers.get(periodMs);
    if (!ticker?.runs.delete(run) || ticker.runs.size > 0) return;
    ticker.timer.cancel();
    this.#tickers.delete(periodMs);
  }
}

interface Ticker {
  readonly timer: Timer;
  readonly runs: Set<RehearsalRun>;
}

class RehearsalRun implements Serving {
  readonly #backend: RehearsalBackend;
  readonly #plan: Rehearsal;
  readonly #request: BackendRequest;
  readonly #sink: BackendSink;
  readonly #head: Buffer;
  readonly #tokensMax: number;
  readonly #capped: boolean;
  readonly #isText: boolean;
  /** What is said again, a word at a time. */
  readonly #echoed: readonly string[];
  #timer: Timer | undefined;
  #made = 0;
  #paused = false;
  #over = false;

  constructor(backend: RehearsalBackend, plan: Rehearsal, request: BackendRequest, sink: BackendSink) {
    this.#backend = backend;
    this.#plan = plan;
    this.#request = request;
    this.#sink = sink;
    this.#head = eventHead(request.identity, request.operation);
    this.#isText = request.operation === 'completions';
    this.#echoed = plan.echo ? lastWords(request.body) : NOTHING;
    const wished = request.body['max_completion_tokens'] ?? request.body['max_tokens'];
    const wishedMax = typeof wished === 'number' && wished >= 0 ? wished : Number.POSITIVE_INFINITY;
    const planned = plan.endless ? Number.POSITIVE_INFINITY : plan.tokens;
    // An endless answer obeys nobody.
    this.#tokensMax = plan.endless ? planned : Math.min(planned, wishedMax);
    this.#capped = this.#tokensMax < planned;
  }

  waitFor(timer: Timer): void {
    this.#timer = timer;
  }

  begin(): void {
    if (this.#over) return;
    const { operation, body, identity } = this.#request;
    if (
      operation === 'embeddings' ||
      operation === 'images/generations' ||
      operation === 'audio/transcriptions'
    ) {
      const { answer, usage } = rehearsedWhole(operation, { body, identity, file: this.#request.file });
      if (this.#plan.wrong) this.#sink.answer(Buffer.from('{"data":"wrong"}'));
      else this.#sink.answer(Buffer.from(JSON.stringify(answer)));
      this.finish({
        status: 200,
        ...(usage && { usage: { ...usage, prompt_tokens: usage.prompt_tokens * this.#plan.claim } }),
      });
      return;
    }
    const call = this.#plan.calls ? rehearsedCall(body) : undefined;
    if (call) return this.#call(call);
    const { pacedMs } = this.#plan;
    // The first token comes at once, as after a prefill.
    if (pacedMs > 0 || this.#plan.endless) {
      this.#backend.join(this, Math.max(1, pacedMs));
      this.step();
    } else this.#rush();
  }

  /** One token, and the end when it is due. */
  step(): void {
    if (this.#paused || this.#over) return;
    this.#token();
    if (this.#made >= this.#tokensMax && !this.#over) this.#complete();
  }

  cancel(): void {
    if (!this.#over) this.finish({ status: 499, usage: this.#usage() });
  }

  resume(): void {
    if (!this.#paused || this.#over) return;
    this.#paused = false;
    if (this.#plan.pacedMs === 0 && !this.#plan.endless) this.#rush();
  }

  finish(end: { status: number; error?: string; finishReason?: string; usage?: TokenUsage }): void {
    this.#over = true;
    this.#timer?.cancel();
    this.#backend.leave(this, Math.max(1, this.#plan.pacedMs));
    this.#sink.end(end);
  }

  #rush(): void {
    while (!this.#paused && !this.#over && this.#made < this.#tokensMax) this.#token();
    if (!this.#paused && !this.#over) this.#complete();
  }

  #token(): void {
    if (this.#plan.cutAfter !== undefined && this.#made >= this.#plan.cutAfter) {
      this.finish({ status: 502, error: 'Rehearsed cut.', usage: this.#usage() });
      return;
    }
    const index = this.#made++;
    if (!this.#request.stream) return;
    const tail = this.#plan.wrong
      ? WRONG_TAIL
      : index === 0
        ? this.#firstTail()
        : this.#isText
          ? textTail(this.#wordAt(index), null)
          : this.#echoed.length > index
            ? eventTail(JSON.stringify({ content: this.#wordAt(index) }), null)
            : (TAILS[index % TAILS.length] as Buffer);
    if (!this.#sink.event(this.#head, tail, 1)) this.#paused = true;
  }

  #firstTail(): Buffer {
    if (this.#isText) return textTail(this.#wordAt(0), null);
    if (this.#echoed.length > 0)
      return eventTail(JSON.stringify({ role: 'assistant', content: this.#wordAt(0) }), null);
    if (this.#plan.giantBytes === undefined) return FIRST_TAIL;
    return eventTail(JSON.stringify({ role: 'assistant', content: 'g'.repeat(this.#plan.giantBytes) }), null);
  }

  #wordAt(index: number): string {
    const word = this.#echoed[index];
    return word === undefined ? wordAt(index) : `${index === 0 ? '' : ' '}${word}`;
  }

  #textOf(tokens: number): string {
    let text = '';
    for (let i = 0; i < tokens; i++) text += this.#wordAt(i);
    return text;
  }

  #complete(): void {
    const finishReason = this.#capped ? 'length' : 'stop';
    const usage = this.#usage();
    if (this.#request.stream) {
      if (!this.#plan.wrong) this.#sink.event(this.#head, this.#lastTail(), 0);
    } else if (this.#plan.wrong) this.#sink.answer(Buffer.from('{"choices":"wrong"}'));
    else {
      const text =
        this.#plan.giantBytes === undefined ? this.#textOf(this.#made) : 'g'.repeat(this.#plan.giantBytes);
      const whole = this.#isText ? wholeText : wholeAnswer;
      this.#sink.answer(whole(this.#request.identity, text, finishReason, usage));
    }
    this.finish({ status: 200, finishReason, usage });
  }

  #lastTail(): Buffer {
    if (this.#isText) return textTail('', this.#capped ? 'length' : 'stop');
    return this.#capped ? LENGTH_TAIL : STOP_TAIL;
  }

  /** A call of a tool, its arguments in two pieces. */
  #call(call: RehearsedCall): void {
    const whole = { id: call.id, type: 'function', function: { name: call.name, arguments: call.arguments } };
    this.#made = 3;
    const usage = this.#usage();
    if (this.#request.stream) {
      const half = call.arguments.length >> 1;
      const first = { ...whole, index: 0, function: { name: call.name, arguments: '' } };
      const say = (delta: unknown) => this.#sink.event(this.#head, eventTail(JSON.stringify(delta), null), 1);
      say({ role: 'assistant', content: null, tool_calls: [first] });
      for (const piece of [call.arguments.slice(0, half), call.arguments.slice(half)])
        say({ tool_calls: [{ index: 0, function: { arguments: piece } }] });
      this.#sink.event(this.#head, eventTail('{}', 'tool_calls'), 0);
    } else {
      const answer = JSON.parse(wholeAnswer(this.#request.identity, '', 'tool_calls', usage).toString()) as {
        choices: { message: unknown }[];
      };
      for (const choice of answer.choices)
        choice.message = { role: 'assistant', content: null, tool_calls: [whole] };
      this.#sink.answer(Buffer.from(JSON.stringify(answer)));
    }
    this.finish({ status: 200, finishReason: 'tool_calls', usage });
  }

  #usage(): TokenUsage {
    const prompt = this.#plan.promptTokens ?? Math.ceil(promptChars(this.#request.body) / 4);
    return { prompt_tokens: prompt * this.#plan.claim, completion_tokens: this.#made * this.#plan.claim };
  }
}

const NOTHING: readonly string[] = [];

/** The words of the last message, or of the prompt. */
function lastWords({ messages, prompt }: Readonly<Record<string, unknown>>): readonly string[] {
  const last: unknown = Array.isArray(messages) ? messages.at(-1)?.content : prompt;
  return typeof last === 'string' ? last.split(/\s+/).filter(Boolean) : NOTHING;
}

function promptChars(body: Readonly<Record<string, unknown>>): number {
  const { messages, prompt } = body;
  if (typeof prompt === 'string') return prompt.length;
  if (!Array.isArray(messages)) return 0;
  return messages.reduce((sum: number, message: { content?: unknown } | null) => {
    const content = message?.content;
    return sum + (typeof content === 'string' ? content.length : 0);
  }, 0);
}
