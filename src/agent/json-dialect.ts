import type { z } from 'zod';
import { OPERATIONS, type Operation } from '#domain/operation.ts';
import type { Clock } from '#kit/clock.ts';
import {
  benchmarkSchema,
  cancelSchema,
  type Envelope,
  encodeMessage,
  inferenceSchema,
  type StreamEnd,
  verifySchema,
  warmupSchema,
} from '#wire/agent/messages.ts';
import { type BackendEnd, type BackendSink, eventHead, type Identity } from './backends/backend.ts';
import { type AskDesk, runBenchmark, runVerify, runWarmup } from './challenges.ts';
import type { Desk, Job } from './serve.ts';

/**
 * The Swan protocol's jobs of one connection, as an agent of generation C serves them: one JSON text message per event.
 * Any Swan hub understands it; ours speaks the binary dialect with us instead.
 */

/** A hub that names no deadline has its own; this one keeps a forgotten job from living for ever. */
const DEADLINE_MS = 600_000;
const STREAM_TAIL = Buffer.from(',"done":false}}');

/** A job that the hub can cancel by its request id. */
interface Pending {
  cancel(): void;
  drop(): void;
  resume(): void;
}

export class JsonDialect {
  readonly #desk: Desk;
  readonly #send: (message: string | Buffer) => void;
  readonly #congested: () => boolean;
  readonly #clock: Clock;
  readonly #pending = new Map<string, Pending>();

  /** `send` sends one text message; `congested` tells whether the socket has so much to pass on that backends should pause. */
  constructor(parts: {
    desk: Desk;
    send: (message: string | Buffer) => void;
    congested: () => boolean;
    clock: Clock;
  }) {
    this.#desk = parts.desk;
    this.#send = parts.send;
    this.#congested = parts.congested;
    this.#clock = parts.clock;
  }

  /** Takes a message about work. False when its type is none of ours. */
  receive(envelope: Envelope): boolean {
    switch (envelope.type) {
      case 'inference':
        this.#with(envelope, inferenceSchema, (id, inference) => this.#inference(id, inference));
        return true;
      case 'cancel': {
        const cancel = cancelSchema.safeParse(envelope.payload);
        const id = (cancel.success ? cancel.data.request_id : undefined) ?? envelope.request_id;
        if (id !== undefined) this.#cancel(id);
        return true;
      }
      case 'warmup':
        this.#with(envelope, warmupSchema, (id, warmup) => {
          this.#task(id, (ask) => runWarmup(ask, this.#clock, id, warmup), 'ack');
        });
        return true;
      case 'benchmark':
        this.#with(envelope, benchmarkSchema, (id, benchmark) => {
          this.#task(id, (ask) => runBenchmark(ask, this.#clock, id, benchmark), 'benchmark_response');
        });
        return true;
      case 'verify':
        this.#with(envelope, verifySchema, (id, verify) => {
          this.#task(id, (ask) => runVerify(ask, verify), 'verify');
        });
        return true;
      default:
        return false;
    }
  }

  /** How many requests are under way. */
  get open(): number {
    return this.#pending.size;
  }

  /** The socket has passed something on. */
  roomAgain(): void {
    for (const pending of this.#pending.values()) pending.resume();
  }

  /** The connection is gone: everything stops, nothing is said. */
  dropAll(): void {
    const dropped = [...this.#pending.values()];
    this.#pending.clear();
    for (const pending of dropped) pending.drop();
  }

  #with<S extends z.ZodType>(
    envelope: Envelope,
    schema: S,
    use: (id: string, payload: z.output<S>) => void,
  ): void {
    const id = envelope.request_id;
    const parsed = schema.safeParse(envelope.payload);
    const message = !parsed.success
      ? `The payload of ${envelope.type} could not be read.`
      : id === undefined || id === ''
        ? `A message of type ${envelope.type} needs a request_id.`
        : this.#pending.has(id)
          ? 'A request of this id is under way.'
          : undefined;
    if (message === undefined) use(id as string, (parsed as { data: z.output<S> }).data);
    else this.#send(encodeMessage('error', id, { request_id: id, code: 400, message }));
  }

  #cancel(id: string): void {
    const pending = this.#pending.get(id);
    if (!pending) return;
    // A cancelled request gets no further message.
    this.#pending.delete(id);
    pending.drop();
  }

  #inference(id: string, inference: z.output<typeof inferenceSchema>): void {
    const { stream } = inference;
    const identity: Identity = {
      completion: `chatcmpl-${id}`,
      model: inference.model_id,
      createdS: Math.floor(this.#clock.wallMs() / 1_000),
    };
    const operation = operationOf(inference.operation, inference.request);
    const answer = new JsonAnswer(
      id,
      { stream, operation, identity },
      {
        send: this.#send,
        congested: this.#congested,
        beganMs: this.#clock.nowMs(),
        nowMs: () => this.#clock.nowMs(),
        over: () => {
          if (this.#pending.get(id) === answer) this.#pending.delete(id);
        },
      },
    );
    this.#pending.set(id, answer);
    if (stream && operation !== 'chat/completions' && operation !== 'completions') {
      answer.end({ status: 400, error: `There is no stream of ${operation}.` });
      return;
    }
    const work = workOf(operation, inference.request, stream);
    if (!work) {
      answer.end({ status: 400, error: 'The recording is no base64.' });
      return;
    }
    answer.job = this.#desk.begin(
      {
        modelId: inference.model_id,
        operation,
        ...work,
        stream,
        identity,
        deadlineMs: DEADLINE_MS,
      },
      answer,
    );
  }

  /** Runs one of the hub's questions about us; it asks the desk like anybody. */
  #task(id: string, run: (ask: AskDesk) => Promise<unknown>, answerType: string): void {
    let dropped = false;
    let job: Job | undefined;
    const stop = (): void => {
      dropped = true;
      job?.cancel();
    };
    const pending: Pending = { cancel: stop, drop: stop, resume: () => job?.resume() };
    this.#pending.set(id, pending);
    const ask: AskDesk = (modelId, body, deadlineMs) =>
      new Promise((resolve) => {
        if (dropped) return resolve({ end: { status: 499 }, answer: undefined });
        let answer: Buffer | undefined;
        job = this.#desk.begin(
          {
            modelId,
            operation: 'chat/completions',
            body: { ...body, stream: false },
            stream: false,
            identity: {
              completion: `chatcmpl-${id}`,
              model: modelId,
              createdS: Math.floor(this.#clock.wallMs() / 1_000),
            },
            deadlineMs,
          },
          {
            event: () => true,
            answer: (json) => {
              answer = json;
            },
            end: (end) => resolve({ end, answer }),
          },
        );
      });
    const answer = async (): Promise<void> => {
      const payload = await run(ask);
      if (this.#pending.get(id) !== pending) return;
      this.#pending.delete(id);
      this.#send(encodeMessage(answerType, id, payload));
    };
    void answer();
  }
}

/** The answer to one `inference`. */
class JsonAnswer implements BackendSink, Pending {
  job: Job | undefined;
  readonly #id: string;
  readonly #stream: boolean;
  readonly #operation: Operation;
  readonly #identity: Identity;
  readonly #parts: JsonAnswerParts;
  readonly #chunkHead: Buffer;
  #answer: Buffer | undefined;
  #events = 0;

  constructor(
    id: string,
    about: { stream: boolean; operation: Operation; identity: Identity },
    parts: JsonAnswerParts,
  ) {
    this.#id = id;
    this.#stream = about.stream;
    this.#operation = about.operation;
    this.#identity = about.identity;
    this.#parts = parts;
    const quoted = JSON.stringify(id);
    this.#chunkHead = Buffer.from(
      `{"type":"stream_chunk","request_id":${quoted},"payload":{"request_id":${quoted},"chunk":`,
    );
  }

  event(head: Buffer, tail: Buffer): boolean {
    this.#events++;
    this.#parts.send(Buffer.concat([this.#chunkHead, head, tail, STREAM_TAIL]));
    return !this.#parts.congested();
  }

  answer(json: Buffer): void {
    this.#answer = json;
  }

  end(end: BackendEnd): void {
    this.#parts.over();
    if (this.#stream) this.#endStream(end);
    else this.#endWhole(end);
  }

  cancel(): void {
    this.drop();
  }

  drop(): void {
    this.job?.drop();
  }

  resume(): void {
    this.job?.resume();
  }

  #endWhole(end: BackendEnd): void {
    const quoted = JSON.stringify(this.#id);
    const start = `{"type":"ack","request_id":${quoted},"payload":{"request_id":${quoted},`;
    const latency = `"latency_ms":${this.#latencyMs()}}}`;
    if (end.status === 200 && this.#answer) {
      this.#parts.send(
        Buffer.concat([Buffer.from(`${start}"response":`), this.#answer, Buffer.from(`,${latency}`)]),
      );
      return;
    }
    const status = end.status === 200 ? 502 : end.status;
    const error = JSON.stringify(end.error ?? 'The backend failed.');
    this.#parts.send(`${start}"response":null,"error":${error},"status_code":${status},${latency}`);
  }

  #endStream(end: BackendEnd): void {
    const failed = end.status !== 200;
    if (end.usage && !failed) {
      const usage = {
        ...end.usage,
        total_tokens: end.usage.prompt_tokens + end.usage.completion_tokens,
        prompt_tokens_details: { cached_tokens: 0 },
      };
      this.event(
        eventHead(this.#identity, this.#operation),
        Buffer.from(`"choices":[],"usage":${JSON.stringify(usage)}}`),
      );
    }
    if (!failed || this.#events === 0) {
      const error = failed ? { error: end.error ?? 'The backend failed.' } : {};
      this.#parts.send(
        encodeMessage('stream_chunk', this.#id, { request_id: this.#id, chunk: null, done: true, ...error }),
      );
    }
    const last: StreamEnd = { request_id: this.#id, latency_ms: this.#latencyMs() };
    if (end.usage?.prompt_tokens) last.tokens_input = end.usage.prompt_tokens;
    if (end.usage?.completion_tokens) last.tokens_output = end.usage.completion_tokens;
    if (failed) {
      last.status_code = end.status;
      last.error = end.error ?? 'The backend failed.';
    }
    this.#parts.send(encodeMessage('stream_end', this.#id, last));
  }

  #latencyMs(): number {
    return Math.round(this.#parts.nowMs() - this.#parts.beganMs);
  }
}

interface JsonAnswerParts {
  send: (message: string | Buffer) => void;
  congested: () => boolean;
  beganMs: number;
  nowMs: () => number;
  over: () => void;
}

/** What is asked for: the hub's word where it is one we know, otherwise what the request looks like (as generation C guesses). */
function operationOf(word: string | undefined, request: Readonly<Record<string, unknown>>): Operation {
  const known = OPERATIONS.find((each) => each === word);
  if (known) return known;
  if (request['messages'] !== undefined) return 'chat/completions';
  if (request['file'] !== undefined) return 'audio/transcriptions';
  if (request['input'] !== undefined) return 'embeddings';
  return request['prompt'] === undefined ? 'chat/completions' : 'images/generations';
}

/** The request as a backend takes it; undefined when its recording cannot be read. */
function workOf(
  operation: Operation,
  request: Readonly<Record<string, unknown>>,
  stream: boolean,
): { body: Record<string, unknown>; file?: Buffer } | undefined {
  if (operation !== 'audio/transcriptions') return { body: { ...request, stream } };
  const { file, ...body } = request;
  if (typeof file !== 'string' || !/^[A-Za-z0-9+/]+={0,2}$/.test(file)) return undefined;
  return { body, file: Buffer.from(file, 'base64') };
}
