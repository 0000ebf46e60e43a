import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { Agent } from 'undici';
import { z } from 'zod';
import { OPERATIONS, type Operation } from '#domain/operation.ts';
import { multipart, newBoundary } from '#kit/multipart.ts';
import type { Randomness } from '#kit/random.ts';
import type { Sealed } from '#kit/sealed.ts';
import { SseReader } from '#kit/sse-reader.ts';
import { TOKENIZER_SAMPLE } from '#wire/requirements.ts';
import {
  type Backend,
  type BackendEnd,
  type BackendFacts,
  type BackendRequest,
  type BackendSink,
  eventHead,
  type Identity,
  type Serving,
  type TokenUsage,
} from './backend.ts';

/**
 * Any model server that speaks OpenAI's API: vLLM, SGLang, TGI, Ollama, llama.cpp's server, and those of images and sound. It is not ours
 * and not trusted to be well: it may answer garbage, break off, hang, forget its last empty line or its `[DONE]`.
 *
 * The answer must carry the market's id, model and creation time instead of the server's. Parsing and writing every event
 * anew would be the dearest thing this program does; but servers write the same beginning into each event of an answer
 * (`{"id":"…","object":"…","created":…,"model":"…","choices":`). So the first event is parsed, its beginning is learnt, and
 * the events that begin alike pass on as they are behind our own beginning. Whatever looks different is parsed.
 */

const PROBE_MS = 10_000;
const PROBE_CHARS_MAX = 4 * 1_048_576;
const HEADERS_MS = 600_000;
/** Silence in the middle of an answer. */
const BODY_MS = 300_000;
const CONNECT_MS = 10_000;
const EVENT_BYTES_MAX = 8 * 1_048_576;
const ANSWER_BYTES_MAX = 64 * 1_048_576;
const ERROR_BYTES_MAX = 65_536;

const CHOICES_KEY = Buffer.from('"choices":');
const USAGE_KEY = Buffer.from('"usage"');
const ERROR_KEY = Buffer.from('"error"');
const NULL_USAGE_TAIL = Buffer.from(',"usage":null}');
const GOES_ON = Buffer.from('"finish_reason":null');
const NO_CONTENT = Buffer.from('"content":""');
const NO_TEXT = Buffer.from('"text":""');
const CLOSING = Buffer.from('}');
const DONE = Buffer.from('[DONE]');
/** The fields that must stand before `choices` for a beginning to be replaced by ours (else one could come after it) … */
const IDENTITY_FIELDS = ['id', 'object', 'created', 'model'];
/** … and those that may. */
const LEARNABLE = new Set([...IDENTITY_FIELDS, 'service_tier', 'system_fingerprint', 'choices']);

const usageSchema = z.looseObject({
  prompt_tokens: z.number().int().nonnegative(),
  completion_tokens: z.number().int().nonnegative(),
});
const errorSchema = z.looseObject({
  message: z.string().optional().catch(undefined),
  code: z.union([z.string(), z.number()]).nullish().catch(undefined),
});

export class OpenAiCompatibleBackend implements Backend {
  /** What a server does not do it answers with an error, and the market asks somebody else. */
  readonly operations = OPERATIONS;
  readonly #randomness: Randomness;
  #facts: BackendFacts = {};
  readonly #origin: string;
  readonly #base: string;
  readonly #localName: string | undefined;
  readonly #headers: Record<string, string>;
  readonly #agent: Agent;

  /** `url` with or without a trailing `/v1`; `localName` is what the server calls the model, if not what we call it. */
  constructor(
    options: { url: string; localName?: string | undefined; apiKey?: Sealed<string> | undefined },
    parts: { randomness: Randomness },
  ) {
    this.#randomness = parts.randomness;
    const url = new URL(options.url);
    this.#origin = url.origin;
    this.#base = url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '');
    this.#localName = options.localName;
    this.#headers = options.apiKey ? { authorization: `Bearer ${options.apiKey.open()}` } : {};
    this.#agent = new Agent({
      pipelining: 1,
      connect: { timeout: CONNECT_MS },
      headersTimeout: HEADERS_MS,
      bodyTimeout: BODY_MS,
      keepAliveTimeout: 30_000,
    });
  }

  get facts(): BackendFacts {
    return this.#facts;
  }

  serve(request: BackendRequest, sink: BackendSink): Serving {
    const body: Record<string, unknown> = {
      ...request.body,
      model: this.#localName ?? request.identity.model,
    };
    delete body['stream'];
    delete body['stream_options'];
    if (request.stream) {
      body['stream'] = true;
      body['stream_options'] = { include_usage: true };
    } else if (request.operation === 'chat/completions' || request.operation === 'completions')
      body['stream'] = false;
    const exchange = new Exchange(request, sink);
    try {
      this.#agent.dispatch(
        {
          origin: this.#origin,
          path: `${this.#base}/v1/${request.operation}`,
          method: 'POST',
          ...this.#content(request, body),
        },
        exchange,
      );
    } catch (error) {
      exchange.fail(502, `The request could not be sent: ${nameOf(error)}.`);
    }
    return exchange;
  }

  /** The body and the headers that describe it. */
  #content(
    request: BackendRequest,
    body: Record<string, unknown>,
  ): { headers: Record<string, string>; body: string | Readable } {
    if (!request.file) {
      return {
        headers: { ...this.#headers, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      };
    }
    const { filename, ...fields } = body;
    const name = typeof filename === 'string' ? filename : 'recording';
    const form = multipart(fields, { name, bytes: request.file }, newBoundary(this.#randomness));
    return {
      headers: {
        ...this.#headers,
        'content-type': form.contentType,
        'content-length': String(form.bytes),
      },
      body: Readable.from(form.pieces),
    };
  }

  /** `GET /v1/models`, and where that fails `GET /health`. */
  async probe(): Promise<boolean> {
    const models = await this.#get('/v1/models');
    if (models !== undefined) {
      this.#facts = factsOf(models, this.#localName);
      return true;
    }
    return (await this.#get('/health')) !== undefined;
  }

  /**
   * Servers say their version at addresses of their own: `/version` (vLLM), `/api/version` (Ollama), `/props` (llama.cpp),
   * `/info` (TGI). `POST /tokenize` is vLLM's and llama.cpp's; each passes over the other's fields.
   */
  async identify(): Promise<{ engineVersion?: string | undefined; tokens?: readonly number[] | undefined }> {
    let engineVersion: string | undefined;
    for (const path of ['/version', '/api/version', '/props', '/info']) {
      // oxlint-disable-next-line no-await-in-loop -- the first that says it is the one
      engineVersion = versionIn(await this.#get(path));
      if (engineVersion !== undefined) break;
    }
    const sample = {
      ...(this.#localName !== undefined && { model: this.#localName }),
      prompt: TOKENIZER_SAMPLE,
      content: TOKENIZER_SAMPLE,
      add_special_tokens: false,
      add_special: false,
    };
    return { engineVersion, tokens: tokensIn(await this.#get('/tokenize', sample)) };
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /** The body of a 2xx answer; undefined for anything else. With `body`, what is posted. */
  async #get(path: string, body?: unknown): Promise<string | undefined> {
    try {
      const response = await this.#agent.request({
        origin: this.#origin,
        path: this.#base + path,
        method: body === undefined ? 'GET' : 'POST',
        headers: { ...this.#headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        headersTimeout: PROBE_MS,
        bodyTimeout: PROBE_MS,
      });
      const good = response.statusCode >= 200 && response.statusCode < 300;
      let text = '';
      for await (const piece of response.body as AsyncIterable<Buffer>) {
        text += piece.toString('latin1');
        if (text.length > PROBE_CHARS_MAX) return undefined;
      }
      return good ? text : undefined;
    } catch {
      return undefined;
    }
  }
}

const modelListSchema = z.looseObject({
  data: z.array(
    z.looseObject({
      id: z.string(),
      owned_by: z.string().optional().catch(undefined),
      max_model_len: z.number().int().positive().optional().catch(undefined),
    }),
  ),
});

const versionSchema = z.looseObject({
  version: z.string().optional().catch(undefined),
  build_info: z.string().optional().catch(undefined),
});
const tokensSchema = z.looseObject({ tokens: z.array(z.number().int()) });

function versionIn(text: string | undefined): string | undefined {
  const { version, build_info: build } = parsedAs(versionSchema, text) ?? {};
  return version ?? build;
}

function tokensIn(text: string | undefined): readonly number[] | undefined {
  return parsedAs(tokensSchema, text)?.tokens;
}

function parsedAs<T extends z.ZodType>(schema: T, text: string | undefined): z.output<T> | undefined {
  try {
    return text === undefined ? undefined : schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function factsOf(text: string, localName: string | undefined): BackendFacts {
  try {
    const list = modelListSchema.parse(JSON.parse(text)).data;
    const model = list.find(({ id }) => id === localName) ?? (list.length === 1 ? list[0] : undefined);
    const engine = ['vllm', 'sglang', 'llamacpp'].find((name) => name === model?.owned_by);
    return {
      ...(model?.max_model_len === undefined ? {} : { contextLength: model.max_model_len }),
      ...(engine === undefined ? {} : { engine: engine === 'llamacpp' ? 'llama.cpp' : engine }),
    };
  } catch {
    return {};
  }
}

/** One request and its answer. */
class Exchange implements Serving, Dispatcher.DispatchHandler {
  readonly #request: BackendRequest;
  readonly #sink: BackendSink;
  readonly #head: Buffer;
  #controller: Dispatcher.DispatchController | undefined;
  #over = false;
  #cancelled = false;

  #status = 0;
  #isStream = false;
  #reader: SseReader | undefined;
  #whole: Buffer[] = [];
  #wholeBytes = 0;

  #learnt: Buffer | undefined;
  #done = false;
  #usage: TokenUsage | undefined;
  #finishReason: string | null = null;
  #events = 0;
  #wantsPause = false;

  constructor(request: BackendRequest, sink: BackendSink) {
    this.#request = request;
    this.#sink = sink;
    this.#head = eventHead(request.identity, request.operation);
  }

  // --- Serving

  cancel(): void {
    if (this.#over) return;
    this.#cancelled = true;
    this.#end({ status: 499, ...(this.#usage ? { usage: this.#usage } : {}) });
    this.#controller?.abort(new Error('cancelled'));
  }

  resume(): void {
    this.#wantsPause = false;
    if (this.#controller?.paused) this.#controller.resume();
  }

  // --- undici's handler

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#cancelled) controller.abort(new Error('cancelled'));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200) return;
    this.#status = status;
    this.#isStream = String(headers['content-type'] ?? '').includes('text/event-stream');
    if (status === 200 && this.#request.stream && this.#isStream) {
      this.#reader = new SseReader((data) => this.#event(data), { eventBytesMax: EVENT_BYTES_MAX });
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, piece: Buffer): void {
    if (this.#over) return;
    if (this.#reader) {
      if (!this.#reader.push(piece)) this.#break('an event is too large');
      else if (this.#wantsPause && !this.#over) controller.pause();
      return;
    }
    this.#wholeBytes += piece.length;
    const most = this.#status === 200 ? ANSWER_BYTES_MAX : ERROR_BYTES_MAX;
    if (this.#wholeBytes <= most) this.#whole.push(piece);
    else if (this.#status === 200) this.#break('the answer is too large');
  }

  onResponseEnd(): void {
    if (this.#over) return;
    if (this.#reader) {
      this.#reader.finish();
      if (!this.#over) this.#endOfStream();
    } else if (this.#status === 200 && !this.#request.stream) this.#wholeAnswer();
    else this.#refusal();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    const code = (error as { code?: unknown }).code;
    this.fail(502, `The model server could not be read: ${typeof code === 'string' ? code : nameOf(error)}.`);
  }

  /** Ends with a failure, unless it ended already. */
  fail(status: number, error: string): void {
    if (!this.#over) this.#end({ status, error, usage: this.#usage });
  }

  // --- a streamed answer

  #event(data: Buffer): void {
    if (this.#over || this.#done) return;
    if (!this.#passOn(data)) this.#readEvent(data);
  }

  /** The short way, for an event that begins like the first one. False when it needs reading. */
  #passOn(data: Buffer): boolean {
    const learnt = this.#learnt;
    if (!learnt || data.length <= learnt.length || data[data.length - 1] !== CLOSING[0]) return false;
    if (data.compare(learnt, 0, learnt.length, 0, learnt.length) !== 0) return false;
    let tail = data.subarray(learnt.length);
    if (!tail.includes(GOES_ON) || tail.includes(ERROR_KEY)) return false;
    if (tail.includes(USAGE_KEY)) {
      const cut = tail.length - NULL_USAGE_TAIL.length;
      if (cut < 0 || tail.compare(NULL_USAGE_TAIL, 0, NULL_USAGE_TAIL.length, cut) !== 0) return false;
      tail = Buffer.concat([tail.subarray(0, cut), CLOSING]);
      if (tail.includes(USAGE_KEY)) return false;
    }
    const nothing = this.#request.operation === 'completions' ? NO_TEXT : NO_CONTENT;
    this.#pass(tail, tail.includes(nothing) ? 0 : 1);
    return true;
  }

  #readEvent(data: Buffer): void {
    if (data.equals(DONE)) {
      this.#done = true;
      return this.#endOfStream();
    }
    let event: Record<string, unknown>;
    try {
      event = JSON.parse(data.toString()) as Record<string, unknown>;
    } catch {
      return this.#break('an event is not JSON');
    }
    if (typeof event !== 'object' || event === null) return this.#break('an event is no object');
    if (event['error'] !== undefined && event['error'] !== null) return this.#refusedInside(event['error']);
    const { id: _id, object: _object, created: _created, model: _model, usage, ...rest } = event;
    const stated = usageSchema.safeParse(usage);
    if (stated.success) {
      this.#usage = {
        prompt_tokens: stated.data.prompt_tokens,
        completion_tokens: stated.data.completion_tokens,
      };
    }
    const { choices } = rest;
    if (!Array.isArray(choices) || choices.length === 0) return;
    let tokens = 0;
    type Piece = { finish_reason?: unknown; delta?: unknown; text?: unknown } | null;
    for (const choice of choices as Piece[]) {
      if (typeof choice?.finish_reason === 'string') this.#finishReason = choice.finish_reason;
      if (hasContent(choice?.delta) || (typeof choice?.text === 'string' && choice.text !== '')) tokens = 1;
    }
    if (!this.#learnt) this.#learn(data);
    this.#pass(Buffer.from(JSON.stringify({ choices, ...rest }).slice(1)), tokens);
  }

  #pass(tail: Buffer, tokens: number): void {
    this.#events++;
    if (!this.#sink.event(this.#head, tail, tokens)) this.#wantsPause = true;
  }

  /** Remembers the beginning of an event if ours can stand in its place. */
  #learn(data: Buffer): void {
    const at = data.indexOf(CHOICES_KEY);
    if (at < 0) return;
    try {
      const beginning = JSON.parse(`${data.toString('utf8', 0, at)}"choices":[]}`) as Record<string, unknown>;
      const replaceable =
        IDENTITY_FIELDS.every((key) => Object.hasOwn(beginning, key)) &&
        Object.keys(beginning).every((key) => LEARNABLE.has(key));
      if (replaceable) this.#learnt = Buffer.from(data.subarray(0, at));
    } catch {
      // `"choices":` stood inside something else: nothing to learn.
    }
  }

  #endOfStream(): void {
    // A server that breaks off leaves neither a finish reason nor a usage block; one that merely forgets `[DONE]` does.
    if (!this.#done && this.#finishReason === null && !this.#usage) this.#break('the answer was cut off');
    else if (this.#events === 0 && !this.#usage) this.#break('the answer is empty');
    else this.#end({ status: 200, finishReason: this.#finishReason, usage: this.#usage });
  }

  // --- an unstreamed answer

  #wholeAnswer(): void {
    let answer: Record<string, unknown>;
    try {
      answer = JSON.parse(Buffer.concat(this.#whole).toString()) as Record<string, unknown>;
    } catch {
      return this.#break('the answer is not JSON');
    }
    if (typeof answer !== 'object' || answer === null) return this.#break('the answer is no object');
    if (answer['error'] !== undefined && answer['error'] !== null)
      return this.#refusedInside(answer['error']);
    const lacks = lackOf(answer, this.#request.operation);
    if (lacks !== undefined) return this.#break(`the answer has no ${lacks}`);
    const { choices } = answer;
    const first = Array.isArray(choices) ? (choices[0] as { finish_reason?: unknown } | null) : undefined;
    this.#sink.answer(
      Buffer.from(
        JSON.stringify({ ...answer, ...headingOf(this.#request.operation, this.#request.identity) }),
      ),
    );
    this.#end({
      status: 200,
      ...(typeof first?.finish_reason === 'string' ? { finishReason: first.finish_reason } : {}),
      usage: usageOf(answer['usage'], this.#request.operation),
    });
  }

  // --- what goes wrong

  /** The server answered with a status of its own, or not with what was asked for. */
  #refusal(): void {
    const text = Buffer.concat(this.#whole).toString();
    let error: unknown;
    try {
      const value = JSON.parse(text) as { error?: unknown } | null;
      error = value?.error ?? value;
    } catch {
      error = undefined;
    }
    if (this.#status === 200) {
      // A stream was asked for and something else came, perhaps an error in disguise.
      if (error !== undefined && text.includes('"error"')) this.#refusedInside(error);
      else this.#break('the answer is no event stream');
      return;
    }
    const read = errorSchema.safeParse(error);
    const message = (read.success ? read.data.message : undefined) ?? text.slice(0, 200);
    const code = read.success ? read.data.code : undefined;
    this.#end({
      status: this.#status >= 400 && this.#status <= 599 ? this.#status : 502,
      error: `model server returned HTTP ${this.#status}: ${message.slice(0, 500)}`,
      ...codeOf(code, message),
    });
  }

  /** An `error` object where an answer should be (status 200, or an event of a stream). */
  #refusedInside(error: unknown): void {
    const read = errorSchema.safeParse(error);
    const code = read.success ? read.data.code : undefined;
    const message = (read.success ? read.data.message : undefined) ?? 'no message';
    const number = typeof code === 'number' && code >= 400 && code <= 599 ? code : undefined;
    // Once something was passed on, the answer is broken, whatever the server calls it.
    const status = this.#events > 0 ? 502 : (number ?? (code === 'model_not_found' ? 404 : 500));
    this.#stop({
      status,
      error: `model server returned an error: ${message.slice(0, 500)}`,
      usage: this.#usage,
      ...codeOf(code, message),
    });
  }

  #break(what: string): void {
    this.#stop({
      status: 502,
      error: `The model server's answer cannot be used: ${what}.`,
      usage: this.#usage,
    });
  }

  #stop(end: BackendEnd): void {
    this.#end(end);
    this.#controller?.abort(new Error('unusable'));
  }

  #end(end: BackendEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#whole = [];
    this.#sink.end(end);
  }
}

/** The field that an answer of this kind cannot do without, if it does. */
function lackOf(answer: Record<string, unknown>, operation: Operation): string | undefined {
  if (operation === 'audio/transcriptions') return typeof answer['text'] === 'string' ? undefined : 'text';
  const field = operation === 'embeddings' || operation === 'images/generations' ? 'data' : 'choices';
  return Array.isArray(answer[field]) ? undefined : field;
}

/** What replaces the server's own names. */
function headingOf(operation: Operation, identity: Identity): Record<string, unknown> {
  const { completion: id, createdS: created, model } = identity;
  switch (operation) {
    case 'chat/completions':
      return { id, object: 'chat.completion', created, model };
    case 'completions':
      return { id, object: 'text_completion', created, model };
    case 'embeddings':
      return { object: 'list', model };
    case 'images/generations':
      return { created };
    default:
      return {};
  }
}

/** What the server states; of embeddings only what was read. */
function usageOf(usage: unknown, operation: Operation): TokenUsage | undefined {
  const whole = operation === 'embeddings' ? { completion_tokens: 0, ...(usage as object | null) } : usage;
  const stated = usageSchema.safeParse(whole);
  if (!stated.success) return undefined;
  return { prompt_tokens: stated.data.prompt_tokens, completion_tokens: stated.data.completion_tokens };
}

function hasContent(delta: unknown): boolean {
  if (typeof delta !== 'object' || delta === null) return false;
  return Object.entries(delta).some(
    ([key, value]) => key !== 'role' && value !== null && value !== '' && value !== undefined,
  );
}

/** Servers say in many words that a prompt is too long; the consumer must learn it whichever they choose. */
function codeOf(code: string | number | null | undefined, message: string): { code?: string } {
  if (
    code === 'context_length_exceeded' ||
    /context.{0,12}(length|size|window)|maximum context/i.test(message)
  ) {
    return { code: 'context_length_exceeded' };
  }
  return typeof code === 'string' ? { code: code.slice(0, 64) } : {};
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : 'unknown';
}
