import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import type { Operation } from '#domain/operation.ts';
import { hubCounters } from '#hub/counters.ts';
import { checkEndpoint } from '#hub/external/check.ts';
import { EndpointLink } from '#hub/external/endpoint-link.ts';
import type { Line } from '#hub/external/line.ts';
import { DEFAULT_HUB_SETTINGS } from '#hub/settings.ts';
import { seededRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { RecordedSink } from '#support/recorded-sink.ts';
import { MODEL, testJob } from '#support/test-hub.ts';
import { answerAs, DIALECTS, type ServerDialect, type UpstreamTurn } from '#support/upstream.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { Chance } from '../sim/chance.ts';
import type { Tally } from './bodies.ts';
import { bent, broken, senseless } from './senseless.ts';

/** The key of the endpoint: what an answer must never show. With signs that some writers of JSON escape. */
const KEY = 'sk-upstream/canary+0123456789';
const UPSTREAM_NAME = 'local-name';
const OPERATIONS: readonly Operation[] = [
  'chat/completions',
  'chat/completions',
  'chat/completions',
  'completions',
  'embeddings',
  'images/generations',
  'audio/transcriptions',
];

/** What a server sends, before it is cut into pieces. */
interface Answer {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
  /** How the connection ends: properly, or not. */
  cut: boolean;
}

/**
 * Answers of hostile and broken servers from a seed, in the dialects of real ones, through the whole way from undici's
 * events to the consumer's. Whatever arrives: nothing throws; the attempt ends exactly once (the sink sees to that) and
 * leaves no timer, no byte and no place behind; what is passed on are whole events or one whole answer under our names; and
 * no piece of it, nor any word for the log, holds the endpoint's key. Throws at the first that breaks this, saying how to
 * see it again.
 */
export async function fuzzExternal(seed: number, cases: number): Promise<Tally> {
  const chance = new Chance(seed).stream('external');
  const outcomes = new Map<string, number>();
  let slowestMs = 0;
  const world = new World();
  for (let i = 0; i < cases; i++) {
    const startedMs = performance.now();
    let label = 'check';
    try {
      let outcome: string;
      if (chance.yes(0.03)) outcome = await lookedAt(chance, world.clock);
      else {
        const made = world.make(chance);
        label = made.label;
        outcome = made.act();
      }
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    } catch (error) {
      throw new Error(`seed ${seed}, case ${i} (${label}) broke a promise`, { cause: error });
    }
    slowestMs = Math.max(slowestMs, performance.now() - startedMs);
  }
  assert.equal(
    ({} as Record<string, unknown>)['choices'],
    undefined,
    'the prototype of all objects was changed',
  );
  return { cases, outcomes, slowestMs };
}

/** One endpoint, whose pool hands every request to the case at hand. */
class World {
  readonly clock = new VirtualClock();
  readonly #places = { attempts: 0, bytes: 0 };
  #asked: { path: string; handler: Dispatcher.DispatchHandler } | undefined;
  readonly #link: EndpointLink;

  constructor() {
    const dispatch = (options: { path: string }, handler: Dispatcher.DispatchHandler): boolean => {
      this.#asked = { path: options.path, handler };
      return true;
    };
    const places = this.#places;
    this.#link = new EndpointLink({
      id: 'link_fuzz',
      line: {
        pool: { dispatch } as unknown as Line['pool'],
        origin: 'http://127.0.0.1:1',
        path: '/v1',
        headers: {},
        key: new Sealed(KEY),
      },
      models: [{ modelId: MODEL, upstreamName: UPSTREAM_NAME, operations: ['chat/completions'] }],
      clock: this.clock,
      random: seededRandomness(1),
      counters: hubCounters(),
      settings: { ...DEFAULT_HUB_SETTINGS, resultBytesMax: 65_536, streamBufferBytesMax: 262_144 },
      occupancy: {
        began: () => {
          places.attempts += 1;
        },
        ended: () => {
          places.attempts -= 1;
        },
        buffered: (delta) => {
          places.bytes += delta;
          return true;
        },
        missing: () => {},
      },
    });
  }

  make(chance: Chance): { label: string; act: () => string } {
    const operation = chance.one(OPERATIONS);
    const streamable = operation === 'chat/completions' || operation === 'completions';
    const stream = streamable && chance.yes(0.6);
    const dialect = chance.one(DIALECTS);
    const answer = answerOf(chance, { dialect, operation, stream });
    const label = `${dialect} ${operation}${stream ? ' streamed' : ''}`;
    return { label, act: () => this.#serve(chance, { operation, stream }, answer) };
  }

  #serve(chance: Chance, asked: { operation: Operation; stream: boolean }, answer: Answer): string {
    const job = testJob({
      ...asked,
      expects: { items: asked.operation === 'embeddings' ? 2 : 1 },
      body: BODIES[asked.operation],
    });
    const sink = new RecordedSink();
    const attempt = this.#link.start(job, sink);
    if (chance.yes(0.01)) attempt.cancel('consumer_disconnected');
    this.clock.step();
    const request = this.#asked;
    this.#asked = undefined;
    if (request)
      this.#answer(
        chance,
        request.handler,
        answer,
        (bytes) => attempt.consumed(bytes),
        sink,
        () => attempt.cancel('consumer_disconnected'),
      );
    // What lingers behind a complete answer is cut off in the end.
    while (this.clock.step());
    assert(sink.ending, 'the attempt never ended');
    assert.deepEqual(this.#places, { attempts: 0, bytes: 0 }, 'something is left');
    return judged(sink, job);
  }

  /** Plays the server through undici's events, as undici orders them. */
  #answer(
    chance: Chance,
    handler: Dispatcher.DispatchHandler,
    answer: Answer,
    consume: (bytes: number) => void,
    sink: RecordedSink,
    leave: () => void,
  ): void {
    const controller = new FakeController();
    const asUndici = controller as unknown as Dispatcher.DispatchController;
    const over = (): boolean => {
      if (!controller.reason) return false;
      handler.onResponseError?.(asUndici, controller.reason);
      return true;
    };
    handler.onRequestStart?.(asUndici, {});
    if (over()) return;
    handler.onResponseStart?.(asUndici, answer.status, answer.headers, '');
    const leavesAfter = chance.yes(0.03) ? chance.whole(0, 4) : -1;
    const pieceMost = answer.body.length > 100_000 ? 65_536 : 400;
    let taken = 0;
    let shown = 0;
    let counted = 0;
    for (let at = 0, count = 0; at < answer.body.length; count++) {
      if (over()) return;
      if (count === leavesAfter) {
        leave();
        continue;
      }
      const end = chance.yes(0.5)
        ? answer.body.length
        : Math.min(answer.body.length, at + chance.whole(1, pieceMost));
      handler.onResponseData?.(asUndici, answer.body.subarray(at, end));
      at = end;
      for (; counted < sink.events.length; counted++)
        shown += Buffer.byteLength(sink.events[counted] as string) + 2;
      if (controller.paused || chance.yes(0.3)) {
        consume(shown - taken);
        taken = shown;
      }
    }
    if (over()) return;
    if (answer.cut)
      handler.onResponseError?.(asUndici, Object.assign(new Error(KEY), { code: 'UND_ERR_SOCKET' }));
    else handler.onResponseEnd?.(asUndici, {});
  }
}

class FakeController {
  paused = false;
  reason: Error | undefined;
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  abort(reason: Error): void {
    this.reason ??= reason;
  }
}

/** Holds what a consumer was shown against the promises. How the attempt ended. */
function judged(sink: RecordedSink, job: ReturnType<typeof testJob>): string {
  const { ending, body, completion } = sink;
  const shown = sink.events.join('\n\n') + (body?.toString() ?? '');
  const decoded = shown.replaceAll('\\/', '/');
  assert(!decoded.includes(KEY), 'the key was passed on');
  assert(!(ending?.inner ?? '').includes(KEY), 'the key is in a word for the log');
  if (job.stream) assert.equal(body, undefined, 'a whole answer for a stream');
  else assert.equal(sink.events.length, 0, 'events for an unstreamed answer');
  const text = job.operation === 'completions';
  let said = '';
  for (const event of sink.events) {
    assert(event.startsWith('data: ') && !/[\r\n]/.test(event), 'an event of more than one line');
    const chunk = JSON.parse(event.slice('data: '.length)) as Record<string, unknown>;
    const { id, object, model, created, choices } = chunk;
    assert.deepEqual(
      { id, object, model, created },
      {
        id: job.completionId,
        object: text ? 'text_completion' : 'chat.completion.chunk',
        model: MODEL,
        created: job.createdS,
      },
    );
    assert(Array.isArray(choices) && choices.length > 0, 'an event without a choice');
    assert(
      !Object.hasOwn(chunk, 'usage') && !Object.hasOwn(chunk, 'error'),
      'an event with what is not its own',
    );
    for (const choice of choices as Record<string, unknown>[]) {
      const delta = (choice['delta'] ?? {}) as Record<string, unknown>;
      const [call] = (Array.isArray(delta['tool_calls']) ? delta['tool_calls'] : []) as {
        function?: { arguments?: unknown };
      }[];
      const told = [choice['text'], delta['content'], delta['reasoning_content'], delta['refusal']];
      for (const piece of [...told, call?.function?.arguments]) if (typeof piece === 'string') said += piece;
    }
  }
  assert(!said.includes(KEY), 'the key was passed on in pieces');
  assert(sink.contentBytes >= 0 && sink.tokens <= sink.events.length);
  if (completion && body) {
    assert.deepEqual(JSON.parse(body.toString()), JSON.parse(JSON.stringify(completion)));
    if (Object.hasOwn(completion, 'model')) assert.equal(completion['model'], MODEL);
    assert(!Object.hasOwn(completion, 'error'));
  }
  if (ending?.outcome === 'completed') assert(shown.length > 0, 'nothing was called complete');
  const { usage } = ending ?? {};
  for (const count of [usage?.inputTokens ?? 0, usage?.outputTokens ?? 0])
    assert(Number.isSafeInteger(count) && count >= 0, 'a stated usage that is no count');
  return ending?.outcome ?? 'none';
}

const BODIES: Readonly<Record<Operation, Buffer>> = {
  'chat/completions': Buffer.from(`{"model":"${MODEL}","messages":[{"role":"user","content":"Hi"}]}`),
  completions: Buffer.from(`{"model":"${MODEL}","prompt":"Once"}`),
  embeddings: Buffer.from(`{"model":"${MODEL}","input":["a","b"]}`),
  'images/generations': Buffer.from(`{"model":"${MODEL}","prompt":"a swan"}`),
  'audio/transcriptions': Buffer.from('RIFF'),
};

// --- what servers say

function answerOf(
  chance: Chance,
  about: { dialect: ServerDialect; operation: Operation; stream: boolean },
): Answer {
  const honest = honestly(about);
  const answer: Answer = { ...honest, headers: { ...honest.headers }, cut: chance.yes(0.1) };
  const how = chance.whole(0, 9);
  if (how === 0) {
    answer.status = chance.one([200, 200, 204, 302, 400, 401, 404, 413, 422, 429, 500, 503, 508, 599]);
    answer.body = Buffer.from(JSON.stringify(chance.yes(0.7) ? errorOf(chance) : senseless(chance)));
  } else if (how === 1) {
    const types = ['text/html', 'application/json', 'text/event-stream', 'text/event-streams', ''];
    answer.headers['content-type'] = chance.one(types);
  } else if (how >= 4) {
    answer.body = about.stream
      ? bentStream(chance, answer.body)
      : Buffer.from(jsonText(chance, bentValue(chance, JSON.parse(answer.body.toString()))));
  }
  if (chance.yes(0.01)) answer.headers['content-encoding'] = chance.one(['gzip', 'identity', 'br']);
  if (chance.yes(0.1)) answer.body = broken(chance, answer.body);
  if (chance.yes(0.001))
    answer.body = Buffer.concat([answer.body, Buffer.alloc(700_000, chance.one(['x', ' ', '\n']))]);
  return answer;
}

/** What a sound server of this dialect answers. */
function honestly(about: { dialect: ServerDialect; operation: Operation; stream: boolean }): Answer {
  const { dialect, operation, stream } = about;
  const key = `${dialect} ${operation} ${stream}`;
  const known = HONEST.get(key);
  if (known) return known;
  let status = 0;
  let headers: Record<string, string> = {};
  const parts: string[] = [];
  const response = {
    writeHead: (code: number, given: Record<string, string>) => {
      status = code;
      headers = given;
    },
    write: (text: string) => parts.push(text),
    end: (text?: string) => parts.push(text ?? ''),
  } as unknown as ServerResponse;
  const whole = WHOLE[operation];
  // A text completion is asked as a chat here: the endpoint is registered for chats only.
  if (whole === undefined)
    answerAs(dialect, ['Hel', 'lo ', 'there'], { body: { stream }, response } as unknown as UpstreamTurn);
  else {
    [status, headers] = [200, { 'content-type': 'application/json' }];
    parts.push(JSON.stringify(whole));
  }
  const made = { status, headers, body: Buffer.from(parts.join('')), cut: false };
  HONEST.set(key, made);
  return made;
}

const HONEST = new Map<string, Answer>();

const WHOLE: Readonly<Partial<Record<Operation, unknown>>> = {
  embeddings: {
    object: 'list',
    model: UPSTREAM_NAME,
    data: [
      { object: 'embedding', index: 0, embedding: [0.5, 1] },
      { object: 'embedding', index: 1, embedding: [0, -1] },
    ],
    usage: { prompt_tokens: 4, total_tokens: 4 },
  },
  'images/generations': { created: 1, data: [{ b64_json: 'aGk=', revised_prompt: 'a swan' }] },
  'audio/transcriptions': { text: 'hello', usage: { type: 'duration', seconds: 1 } },
};

const WORDS = [
  'invalid_api_key',
  'context_length_exceeded',
  'rate_limit',
  'BadRequestError',
  'overloaded',
] as const;

/** An error in one of the shapes that servers write, or nearly so. */
function errorOf(chance: Chance): unknown {
  const message = chance.one([
    'bad temperature',
    `Incorrect API key ${KEY}`,
    '',
    '\0'.repeat(9),
    'maximum context length',
  ]);
  const code = chance.one<unknown>([400, 503, '422', null, ...WORDS, {}]);
  const shape = chance.one<unknown>([
    { error: { message, type: code, code } },
    { error: { message, code }, choices: [] },
    { object: 'error', message, type: code, code },
    { error: message, error_type: code },
    { detail: [{ loc: ['body'], msg: message }] },
    { detail: message },
    { message },
  ]);
  return chance.yes(0.3) ? bent(chance, shape) : shape;
}

/** A value changed: bent, or with the key in it, or replaced by an error. */
function bentValue(chance: Chance, value: unknown): unknown {
  const how = chance.whole(0, 9);
  if (how === 0) return errorOf(chance);
  if (how === 1) return senseless(chance);
  if (how === 2 && typeof value === 'object' && value !== null)
    return {
      ...value,
      [chance.one(['echo', 'x-key', '__proto__', 'toJSON'])]: chance.one([
        KEY,
        { authorization: `Bearer ${KEY}` },
      ]),
    };
  return bent(chance, value);
}

/** A stream changed: events bent, doubled, left out, swapped, echoing the key, errors among them, lines of every kind. */
function bentStream(chance: Chance, stream: Buffer): Buffer {
  const events = stream
    .toString()
    .split('\n\n')
    .filter((event) => event !== '');
  for (let i = chance.whole(1, 3); i > 0; i--) {
    const at = chance.whole(0, events.length - 1);
    const event = events[at] as string;
    // Of one that is changed already, what it says is looked at no more.
    const data = /^data: ?(\{.*\})$/.exec(event)?.[1];
    const how = chance.whole(0, 10);
    if (how <= 3 && data !== undefined) events[at] = line(chance, bentValue(chance, JSON.parse(data)));
    else if (how === 4) events.splice(at, 1);
    else if (how === 5) events.splice(at, 0, event);
    else if (how === 6) events.splice(at, 0, line(chance, errorOf(chance)));
    else if (how === 7) events.push(...events.splice(at, 1));
    else if (how === 8)
      events.splice(
        at,
        0,
        chance.one([
          ': a comment',
          'event: error',
          'retry: 1',
          'data',
          'data: [DONE]',
          'id: x\ndata: {}',
          '\ufeffdata: {}',
        ]),
      );
    else if (how === 9) events.splice(at, 0, ...pieces(chance));
    else events.splice(at, 0, line(chance, senseless(chance)));
    if (events.length === 0) break;
  }
  const text = events.map((event) => `${event}\n\n`).join('');
  return Buffer.from(chance.yes(0.1) ? text.replaceAll('\n', chance.one(['\r\n', '\r'])) : text);
}

/** JSON, now and then with escapes that other writers use. */
function jsonText(chance: Chance, value: unknown): string {
  const text = JSON.stringify(value) ?? 'null';
  const how = chance.whole(0, 7);
  if (how === 0) return text.replaceAll('/', '\\/');
  return how === 1 ? text.replaceAll('k', '\\u006b') : text;
}

/** An event, now and then on several lines. */
function line(chance: Chance, value: unknown): string {
  const text = jsonText(chance, value);
  return chance.yes(0.1) ? `data: ${text.replaceAll(',', ',\ndata: ')}` : `data: ${text}`;
}

/** The key in pieces, one event each. */
function pieces(chance: Chance): string[] {
  const at = chance.whole(1, KEY.length - 1);
  const name = chance.one(['content', 'content', 'reasoning_content', 'refusal', 'tool_calls']);
  return [KEY.slice(0, at), KEY.slice(at)].map((text) => {
    const delta = { [name]: name === 'tool_calls' ? [{ index: 0, function: { arguments: text } }] : text };
    return line(chance, { choices: [{ index: 0, delta, finish_reason: null }] });
  });
}

/** A look at an endpoint that answers anything where its list of models should be. */
async function lookedAt(chance: Chance, clock: VirtualClock): Promise<string> {
  const list = { object: 'list', data: [{ id: UPSTREAM_NAME, object: 'model' }, { id: 'other' }] };
  const bytes = broken(chance, Buffer.from(JSON.stringify(chance.yes(0.5) ? list : bentValue(chance, list))));
  const whole = chance.yes(0.3) ? Buffer.from(JSON.stringify(list)) : bytes;
  const statusCode = chance.yes(0.7) ? 200 : chance.one([301, 401, 404, 429, 500, 508]);
  const body = {
    on: () => {},
    destroy: () => {},
    async *[Symbol.asyncIterator]() {
      yield whole;
      if (chance.yes(0.05)) throw Object.assign(new Error(KEY), { code: 'UND_ERR_SOCKET' });
    },
  };
  const ours = {
    pool: { request: () => Promise.resolve({ statusCode, body }) },
    origin: '',
    path: '',
    headers: {},
  };
  const result = await checkEndpoint(ours as unknown as Line, clock);
  if (result.healthy) {
    for (const name of result.models) assert.equal(typeof name, 'string');
    return 'listed';
  }
  assert(result.because.length > 0 && !result.because.includes(KEY), 'the key is in what the owner is told');
  return 'ill';
}
