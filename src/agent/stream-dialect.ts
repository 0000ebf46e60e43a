import { z } from 'zod';
import { OPERATIONS, type Operation } from '#domain/operation.ts';
import { eachFrame, FRAME, type JobEnd, MAX_FRAME_PAYLOAD_BYTES } from '#wire/agent/frames.ts';
import type { BackendEnd, BackendSink, Identity } from './backends/backend.ts';
import { DATA_BYTES_MAX, Outbox } from './outbox.ts';
import type { Desk, Job } from './serve.ts';

/**
 * The `cygnet.stream.v1` dialect of one connection: frames in, jobs at the desk, frames out (docs/protocol.md).
 *
 * Each stream has credit: bytes of events it may still send. A stream without credit holds back what its backend makes
 * and asks the backend to pause; every other stream goes on. What the hub can make us keep is bounded: the streams at
 * once, the bytes of one request, and the bytes of all requests that are still arriving.
 */

export interface StreamLimits {
  /** Streams open at once. */
  readonly streams: number;
  /** Bytes of one request's body. */
  readonly bodyBytes: number;
  /** Bytes of all bodies that have not arrived completely. */
  readonly arrivingBytes: number;
}

export const STREAM_LIMITS: StreamLimits = {
  streams: 4_096,
  bodyBytes: 64 * 1_048_576,
  arrivingBytes: 256 * 1_048_576,
};

const CREDIT_MAX = 0x7fff_ffff;
const NOTHING = Buffer.alloc(0);

const headerSchema = z.looseObject({
  attempt: z.string().max(256),
  model: z.string().max(256),
  completion: z.string().max(256),
  created: z.number().int(),
  operation: z.string(),
  stream: z.boolean(),
  set: z.record(z.string(), z.unknown()).default({}),
  body_bytes: z.number().int().nonnegative(),
  credit: z.number().int().nonnegative(),
  deadline_ms: z.number().positive(),
});
type Header = z.output<typeof headerSchema>;

export class StreamDialect {
  readonly #desk: Desk;
  readonly outbox: Outbox;
  readonly #limits: StreamLimits;
  readonly #congested: () => boolean;
  readonly #streams = new Map<number, Stream>();
  #arriving = 0;

  /** `congested` tells whether the socket has so much to pass on that backends should pause. */
  constructor(parts: { desk: Desk; outbox: Outbox; limits: StreamLimits; congested: () => boolean }) {
    this.#desk = parts.desk;
    this.outbox = parts.outbox;
    this.#limits = parts.limits;
    this.#congested = parts.congested;
  }

  /** Takes one binary message. False when it breaks the protocol: the connection is of no use any more. */
  receive(message: Buffer): boolean {
    let lawful = true;
    const whole = eachFrame(message, MAX_FRAME_PAYLOAD_BYTES, (type, stream, payload) => {
      lawful = lawful && this.#frame(type, stream, payload);
    });
    return whole && lawful;
  }

  /** Tells the hub that no new jobs are welcome. */
  drain(): void {
    this.outbox.frame(FRAME.drain, 0, NOTHING);
  }

  /** The socket has passed something on: what paused for it goes on. */
  roomAgain(): void {
    this.outbox.roomAgain();
    for (const stream of this.#streams.values()) stream.roomAgain();
  }

  /** How many streams are open: jobs that run or wait, and answers that are not sent completely. */
  get open(): number {
    return this.#streams.size;
  }

  /** The connection is gone: everything stops, nothing is said. */
  dropAll(): void {
    this.outbox.close();
    for (const stream of this.#streams.values()) stream.drop();
    this.#streams.clear();
    this.#arriving = 0;
  }

  #frame(type: number, id: number, payload: Buffer): boolean {
    if (type === FRAME.job) return this.#job(id, payload);
    const stream = this.#streams.get(id);
    // Frames for a stream that has just ended are in the nature of things; unknown types are from tomorrow.
    if (!stream) return true;
    if (type === FRAME.body) this.#body(stream, payload);
    else if (type === FRAME.cancel) stream.cancel();
    else if (type === FRAME.credit) {
      if (payload.length !== 4) return false;
      stream.addCredit(payload.readUInt32LE(0));
    }
    return true;
  }

  #job(id: number, payload: Buffer): boolean {
    if (this.#streams.has(id)) return false;
    let header: Header;
    try {
      header = headerSchema.parse(JSON.parse(payload.toString()));
    } catch {
      this.#refuse(id, { status: 400, error: 'The job header could not be read.' });
      return true;
    }
    if (header.body_bytes > this.#limits.bodyBytes) {
      this.#refuse(id, { status: 413, error: 'The body is larger than this agent takes.' });
    } else if (
      this.#streams.size >= this.#limits.streams ||
      this.#arriving + header.body_bytes > this.#limits.arrivingBytes
    ) {
      this.#refuse(id, { status: 429, error: 'The agent is busy.' });
    } else {
      const stream = new Stream(this, id, header);
      this.#streams.set(id, stream);
      this.#arriving += header.body_bytes;
      if (header.body_bytes === 0) this.#body(stream, NOTHING);
    }
    return true;
  }

  #body(stream: Stream, payload: Buffer): void {
    const took = stream.takeBody(payload);
    if (took === 'more') return;
    this.#arriving -= stream.header.body_bytes;
    if (took === 'too much') {
      stream.end({ status: 400, error: 'More body arrived than was announced.' });
      return;
    }
    const { header } = stream;
    const operation = OPERATIONS.find((each) => each === header.operation);
    const work = operation && workOf(operation, header, took);
    if (!operation) stream.end({ status: 501, error: 'This agent does not know that operation.' });
    else if (!work) stream.end({ status: 400, error: 'The body is not a JSON object.' });
    else {
      const identity: Identity = {
        completion: header.completion,
        model: header.model,
        createdS: header.created,
      };
      stream.job = this.#desk.begin(
        {
          modelId: header.model,
          operation,
          ...work,
          stream: header.stream,
          identity,
          deadlineMs: header.deadline_ms,
        },
        stream,
      );
    }
  }

  #refuse(id: number, end: JobEnd): void {
    this.outbox.frame(FRAME.end, id, Buffer.from(JSON.stringify(end)));
  }

  /** For `Stream`: it has said its last word. */
  over(stream: Stream): void {
    if (this.#streams.get(stream.id) === stream) this.#streams.delete(stream.id);
    if (stream.arriving) this.#arriving -= stream.header.body_bytes;
  }

  /** For `Stream`. */
  congested(): boolean {
    return this.#congested();
  }
}

/** The request as a backend takes it; undefined when the body cannot be read. */
function workOf(
  operation: Operation,
  header: Header,
  body: Buffer,
): { body: Record<string, unknown>; file?: Buffer } | undefined {
  if (operation === 'audio/transcriptions') return { body: header.set, file: body };
  let fields: unknown;
  try {
    fields = JSON.parse(body.toString());
  } catch {
    return undefined;
  }
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) return undefined;
  return { body: { ...fields, ...header.set, stream: header.stream } };
}

interface HeldEvent {
  readonly head: Buffer;
  readonly tail: Buffer;
  readonly tokens: number;
}

/** One job of the connection, from its `job` frame to its `end`. */
class Stream implements BackendSink {
  readonly id: number;
  readonly header: Header;
  job: Job | undefined;

  readonly #dialect: StreamDialect;
  readonly #outbox: Outbox;
  #whole: Buffer | undefined;
  #got = 0;
  #bodyDone = false;

  #credit: number;
  /** Events that wait for credit, oldest first. */
  #held: HeldEvent[] = [];
  /** What is left of an event that is larger than a frame. */
  #piece: { rest: Buffer; tokens: number } | undefined;
  /** The backend was asked to pause. */
  #paused = false;
  #answer: Buffer | undefined;
  /** The answer is with the outbox, which sends our `end` behind it. */
  #answering = false;
  #ended: JobEnd | undefined;

  constructor(dialect: StreamDialect, id: number, header: Header) {
    this.#dialect = dialect;
    this.#outbox = dialect.outbox;
    this.id = id;
    this.header = header;
    this.#credit = header.credit;
  }

  get arriving(): boolean {
    return !this.#bodyDone;
  }

  /** Takes the next bytes of the body; answers all of it once it is complete. Keeps nothing of `payload`'s memory. */
  takeBody(payload: Buffer): Buffer | 'more' | 'too much' {
    if (this.#bodyDone) return 'more';
    const want = this.header.body_bytes;
    const at = this.#got;
    this.#got += payload.length;
    if (this.#got > want) {
      this.#bodyDone = true;
      this.#whole = undefined;
      return 'too much';
    }
    if (this.#got === want && !this.#whole && this.header.operation !== 'audio/transcriptions') {
      // Parsed before the message it is a piece of is gone.
      this.#bodyDone = true;
      return payload;
    }
    // One buffer from the first piece on: a recording of many megabytes is never here twice.
    this.#whole ??= Buffer.allocUnsafeSlow(want);
    payload.copy(this.#whole, at);
    if (this.#got < want) return 'more';
    this.#bodyDone = true;
    const whole = this.#whole;
    this.#whole = undefined;
    return whole;
  }

  event(head: Buffer, tail: Buffer, tokens: number): boolean {
    const bytes = Outbox.eventBytes(head, tail);
    if (bytes <= this.#credit && this.#held.length === 0 && !this.#piece && bytes <= DATA_BYTES_MAX) {
      this.#credit -= bytes;
      this.#outbox.event(this.id, head, tail, tokens);
    } else {
      this.#held.push({ head, tail, tokens });
      this.#sendHeld();
    }
    this.#paused = this.#held.length > 0 || this.#piece !== undefined || this.#dialect.congested();
    return !this.#paused;
  }

  answer(json: Buffer): void {
    this.#answer = json;
  }

  end(end: BackendEnd): void {
    if (this.#ended) return;
    const last: JobEnd = { status: end.status };
    if (end.finishReason !== undefined) last.finish_reason = end.finishReason;
    if (end.usage) last.usage = end.usage;
    if (end.code !== undefined) last.code = end.code;
    if (end.error !== undefined) last.error = end.error.slice(0, 1_000);
    this.#ended = last;
    if (end.status === 499) this.#forgetHeld();
    this.#finish();
  }

  cancel(): void {
    if (!this.#ended) {
      if (this.job) this.job.cancel();
      else this.end({ status: 499, usage: { prompt_tokens: 0, completion_tokens: 0 } });
      return;
    }
    // The backend is through, but not everything was sent: what is left is of no use to anybody.
    this.#forgetHeld();
    this.#outbox.dropResult(this.id);
    this.#ended = { ...this.#ended, status: 499 };
    this.#sayEnd();
  }

  drop(): void {
    this.#forgetHeld();
    this.job?.drop();
  }

  addCredit(bytes: number): void {
    this.#credit = Math.min(CREDIT_MAX, this.#credit + bytes);
    this.#sendHeld();
    if (this.#ended) this.#finish();
    else this.roomAgain();
  }

  /**
   * Lets the backend go on if nothing keeps it any more. It waits for half of the first credit, because stopping and
   * going for every few events costs a backend behind a socket more than the events do.
   */
  roomAgain(): void {
    if (!this.#paused || this.#held.length > 0 || this.#piece || this.#dialect.congested()) return;
    if (this.#credit < this.header.credit / 2) return;
    this.#paused = false;
    this.job?.resume();
  }

  #sendHeld(): void {
    for (;;) {
      if (this.#piece && !this.#sendPiece()) return;
      const next = this.#held[0];
      if (!next) return;
      const bytes = Outbox.eventBytes(next.head, next.tail);
      // An event that no credit could ever cover in one frame goes in pieces; any other waits to go whole.
      if (bytes > DATA_BYTES_MAX || bytes > this.header.credit) {
        this.#held.shift();
        this.#piece = { rest: Outbox.eventOf(next.head, next.tail), tokens: next.tokens };
      } else if (bytes <= this.#credit) {
        this.#held.shift();
        this.#credit -= bytes;
        this.#outbox.event(this.id, next.head, next.tail, next.tokens);
      } else return;
    }
  }

  /** Sends what the credit allows of the event in pieces; true when it is through. */
  #sendPiece(): boolean {
    if (!this.#piece) return true;
    let { rest } = this.#piece;
    const { tokens } = this.#piece;
    while (rest.length > 0 && this.#credit > 0) {
      const bytes = Math.min(rest.length, this.#credit, DATA_BYTES_MAX);
      this.#credit -= bytes;
      this.#outbox.piece(this.id, rest.subarray(0, bytes), tokens, bytes === rest.length);
      rest = rest.subarray(bytes);
    }
    this.#piece = rest.length > 0 ? { rest, tokens } : undefined;
    return !this.#piece;
  }

  #forgetHeld(): void {
    this.#held = [];
    this.#piece = undefined;
    this.#answer = undefined;
  }

  #finish(): void {
    if (!this.#ended || this.#held.length > 0 || this.#piece) return;
    if (this.#answer && this.#ended.status === 200) {
      const body = this.#answer;
      this.#answer = undefined;
      this.#outbox.result(this.id, body, Buffer.from(JSON.stringify(this.#ended)), () =>
        this.#dialect.over(this),
      );
      this.#answering = true;
    } else if (!this.#answering) this.#sayEnd();
  }

  #sayEnd(): void {
    this.#dialect.over(this);
    const payload = Buffer.from(JSON.stringify(this.#ended));
    this.#outbox.frame(FRAME.end, this.id, payload);
  }
}
