import type { KeyRecord } from '#domain/party.ts';
import type { Clock, Timer } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { Sealed } from '#kit/sealed.ts';
import { redactValue } from './redact.ts';
import type { Headers, Reply } from './reply.ts';

/**
 * Keeps what a consumer asks and is answered, while that consumer wants it kept. Who does not want it pays one look at a
 * field of its key. Who does gets the same answer at the same time: bytes are copied as they pass, and read, redacted, sealed
 * and stored after the request is over, a few at a time. What does not fit in memory meanwhile, and what the store does not
 * take, is not kept; no request ever hears of that.
 */
export class DebugLog {
  readonly #parts: DebugLogParts;
  #waiting: Finished[] = [];
  #waitingBytes = 0;
  #timer: Timer | undefined;
  #working: Promise<void> | undefined;
  #closed = false;

  constructor(parts: DebugLogParts) {
    this.#parts = parts;
  }

  /** A reply that copies what goes through it to `reply`; undefined unless the owner of `key` wants a debug log now. */
  copy(
    key: KeyRecord,
    about: { requestId: string; endpoint: string; body: Buffer },
    reply: Reply,
  ): CopiedReply | undefined {
    const at = this.#parts.clock.wallMs();
    if (this.#closed || key.debugUntil === undefined || at >= key.debugUntil) return undefined;
    const { requestId, endpoint, body } = about;
    return new CopiedReply(reply, (answer) => {
      this.#take({ requestId, consumerId: key.ownerId, at, endpoint, body, answer });
    });
  }

  #take(finished: Finished): void {
    const bytes = bytesOf(finished);
    if (this.#closed || this.#waitingBytes + bytes > WAITING_BYTES_MAX || this.#waiting.length >= WAITING_MAX)
      return;
    this.#waiting.push(finished);
    this.#waitingBytes += bytes;
    this.#soon();
  }

  #soon(): void {
    if (this.#timer || this.#working) return;
    this.#timer = this.#parts.clock.after(GATHER_MS, () => {
      this.#timer = undefined;
      this.#working = this.#store().finally(() => {
        this.#working = undefined;
        if (this.#waiting.length > 0 && !this.#closed) this.#soon();
      });
    });
  }

  /** One after the other: each waits for the database, so that others have their turn between them. */
  async #store(): Promise<void> {
    const { store, log } = this.#parts;
    for (let next = this.#next(); next; next = this.#next()) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one at a time is the point.
        await store.keep(entryOf(next, this.#parts.modelNamed));
      } catch (error) {
        const { requestId: request } = next;
        // By its code alone: what a database says of a statement may repeat what was in it.
        const code = (error as { code?: string }).code;
        log.warn({ request, code }, 'An entry of a debug log could not be kept.');
      }
    }
  }

  #next(): Finished | undefined {
    const next = this.#waiting.shift();
    if (next) this.#waitingBytes -= bytesOf(next);
    return next;
  }

  /** Keeps what waits, if the store takes it. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#working;
    await this.#store();
  }
}

export interface DebugLogParts {
  readonly clock: Clock;
  readonly log: Logger;
  /** The id of a model by any of its names; undefined for what is not sold here. */
  readonly modelNamed: (name: string) => string | undefined;
  /** Keeps one entry, if its consumer still wants it kept. */
  readonly store: { keep(entry: DebugEntry): Promise<void> };
}

/** What is kept of one request. */
export interface DebugEntry {
  readonly id: string;
  readonly consumerId: string;
  /** Wall milliseconds: when it was accepted. */
  readonly at: number;
  readonly endpoint: string;
  /** Of the answer; 0 when the client left before it. */
  readonly status: number;
  readonly streamed: boolean;
  /** `DebugText` as JSON. */
  readonly text: Sealed<string>;
}

/** What was said, redacted. */
export interface DebugText {
  /** Its id; null when what was asked for is none that is sold here. */
  readonly model: string | null;
  /** JSON of the body; of one that is none, or too long, only its length is told. */
  readonly request: string;
  readonly request_cut: boolean;
  /** What a stream said, put together; the body of any other answer. */
  readonly answer: string;
  readonly answer_cut: boolean;
  /** The client left before the answer was whole. */
  readonly left: boolean;
}

/** How long entries gather before they are kept. */
const GATHER_MS = 100;
/** What waits in memory at most. */
const WAITING_MAX = 256;
const WAITING_BYTES_MAX = 16_777_216;
/** Bodies are read up to here. */
export const REQUEST_BYTES_MAX = 262_144;
const ANSWER_BYTES_MAX = 1_048_576;
/** Characters of a redacted text that are kept. */
export const TEXT_CHARS_MAX = 65_536;

interface Finished {
  readonly requestId: string;
  readonly consumerId: string;
  readonly at: number;
  readonly endpoint: string;
  readonly body: Buffer;
  readonly answer: Copied;
}

/** An answer as it passed. */
interface Copied {
  readonly status: number;
  readonly streamed: boolean;
  readonly bytes: Buffer;
  /** More passed than was copied. */
  readonly cut: boolean;
  readonly left: boolean;
}

const bytesOf = ({ body, answer }: Finished): number => body.length + answer.bytes.length;

/** Copies an answer on its way. Tells it once, when the request is `over`. */
export class CopiedReply implements Reply {
  readonly #inner: Reply;
  readonly #told: (answer: Copied) => void;
  #status = 0;
  #streamed = false;
  #parts: Buffer[] = [];
  #bytes = 0;
  #finished = false;

  constructor(inner: Reply, told: (answer: Copied) => void) {
    this.#inner = inner;
    this.#told = told;
  }

  send(status: number, headers: Headers, body: Buffer): void {
    if (!this.gone) {
      this.#status = status;
      this.#finished = true;
      this.#add(body);
    }
    this.#inner.send(status, headers, body);
  }

  open(status: number, headers: Headers): void {
    if (!this.gone) {
      this.#status = status;
      this.#streamed = true;
    }
    this.#inner.open(status, headers);
  }

  write(bytes: Buffer): void {
    if (!this.gone) this.#add(bytes);
    this.#inner.write(bytes);
  }

  finish(): void {
    this.#finished = !this.gone;
    this.#inner.finish();
  }

  /** The request is over. */
  over(): void {
    this.#told({
      status: this.#status,
      streamed: this.#streamed,
      bytes: Buffer.concat(this.#parts),
      cut: this.#bytes > ANSWER_BYTES_MAX,
      left: !this.#finished,
    });
    this.#parts = [];
  }

  /** A copy: what is written is a view of a whole message, which would be kept with it. */
  #add(bytes: Buffer): void {
    const room = ANSWER_BYTES_MAX - this.#bytes;
    this.#bytes += bytes.length;
    if (room > 0) this.#parts.push(Buffer.from(bytes.subarray(0, room)));
  }

  get congested(): boolean {
    return this.#inner.congested;
  }

  get gone(): boolean {
    return this.#inner.gone;
  }

  get onGone(): (() => void) | undefined {
    return this.#inner.onGone;
  }

  set onGone(listener: (() => void) | undefined) {
    this.#inner.onGone = listener;
  }

  get onDrained(): (() => void) | undefined {
    return this.#inner.onDrained;
  }

  set onDrained(listener: (() => void) | undefined) {
    this.#inner.onDrained = listener;
  }
}

function entryOf(
  { requestId, consumerId, at, endpoint, body, answer }: Finished,
  modelNamed: DebugLogParts['modelNamed'],
): DebugEntry {
  const { status, streamed } = answer;
  const request = bodyText(body, body.length > REQUEST_BYTES_MAX);
  const named = isObject(request.value) ? request.value['model'] : undefined;
  const said = streamed ? streamText(answer) : bodyText(answer.bytes, answer.cut);
  const text: DebugText = {
    model: (typeof named === 'string' ? modelNamed(named) : undefined) ?? null,
    request: request.text,
    request_cut: request.cut,
    answer: said.text,
    answer_cut: said.cut,
    left: answer.left,
  };
  return {
    id: requestId,
    consumerId,
    at,
    endpoint,
    status,
    streamed,
    text: new Sealed(JSON.stringify(text)),
  };
}

interface Kept {
  /** What it was read from, where that is JSON. */
  readonly value?: unknown;
  readonly text: string;
  readonly cut: boolean;
}

/** A text that was redacted whole is cut after, so that no half of a secret is left at its end. */
function kept(text: string, cut = false): Kept {
  return text.length > TEXT_CHARS_MAX ? { text: text.slice(0, TEXT_CHARS_MAX), cut: true } : { text, cut };
}

function bodyText(body: Buffer, tooLong: boolean): Kept {
  if (body.length === 0) return { text: '', cut: false };
  if (tooLong) return { text: `[a body of ${body.length} bytes or more: too long to keep]`, cut: true };
  try {
    const value: unknown = JSON.parse(body.toString());
    return { value, ...kept(JSON.stringify(redactValue(value))) };
  } catch {
    return { text: `[a body of ${body.length} bytes that is no JSON]`, cut: true };
  }
}

/**
 * What a stream of events said, its pieces put together: a secret that was cut in two by events is whole again before it is
 * looked for.
 */
function streamText({ bytes, cut }: Copied): Kept {
  const choices = new Map<unknown, Heard>();
  const errors: unknown[] = [];
  for (const line of bytes.toString().split('\n')) {
    if (!line.startsWith('data:')) continue;
    const event = parsed(line.slice('data:'.length));
    if (event === undefined) continue;
    if (event['error'] !== undefined) errors.push(event['error']);
    const list = event['choices'];
    if (Array.isArray(list)) for (const choice of list) hear(choices, choice);
  }
  const heard = [...choices.values()];
  // What comes after the last byte that was copied might have made it a secret.
  if (cut)
    for (const each of heard)
      each.texts.set('content', (each.texts.get('content') ?? '').slice(0, -UNSURE_CHARS));
  const said = {
    choices: heard.map(({ texts, finish }) => ({ ...Object.fromEntries(texts), finish_reason: finish })),
    ...(errors.length > 0 && { errors }),
  };
  return kept(JSON.stringify(redactValue(said)), cut);
}

/** As much of a text's end as a secret may be long. */
const UNSURE_CHARS = 512;

/** A choice of a stream. */
interface Heard {
  /** By what they are: `content`, `reasoning`, `tool_calls.0.name`, … */
  readonly texts: Map<string, string>;
  finish: unknown;
}

function hear(choices: Map<unknown, Heard>, choice: unknown): void {
  if (!isObject(choice)) return;
  const heard = choices.get(choice['index']) ?? { texts: new Map<string, string>(), finish: null };
  choices.set(choice['index'], heard);
  if (choice['finish_reason'] !== undefined && choice['finish_reason'] !== null)
    heard.finish = choice['finish_reason'];
  if (typeof choice['text'] === 'string') add(heard, 'content', choice['text']);
  collect(heard, '', choice['delta'], 0);
}

/** Joins every text of an event's delta to what was said in its place before. */
function collect(heard: Heard, place: string, value: unknown, depth: number): void {
  if (depth > DEPTH_MAX) return;
  if (typeof value === 'string') add(heard, place, value);
  else if (Array.isArray(value)) {
    for (const [position, each] of value.entries()) {
      const index = isObject(each) && typeof each['index'] === 'number' ? each['index'] : position;
      collect(heard, `${place}.${index}`, each, depth + 1);
    }
  } else if (isObject(value)) {
    for (const [name, each] of Object.entries(value)) {
      if (name !== 'role' && name !== 'type')
        collect(heard, place === '' ? name : `${place}.${name}`, each, depth + 1);
    }
  }
}

const DEPTH_MAX = 8;

function add({ texts }: Heard, place: string, text: string): void {
  texts.set(place, (texts.get(place) ?? '') + text);
}

function parsed(json: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return isObject(value) ? value : undefined;
  } catch {
    // `[DONE]`, or what a broken provider sent.
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
