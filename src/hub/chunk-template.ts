import { isUtf8 } from 'node:buffer';
import { chunkEvent } from './chunk-event.ts';
import { isFields } from './completion.ts';

/**
 * Decoding, parsing and rewriting JSON is what one message per token costs. But within a stream one message
 * differs from the next only in the text of one string. So a stream's message is read in full once, the place of that
 * string is *proven* (put a marker there, parse again, and the marker must come out as the delta's text, and nowhere
 * else), and from then on a message with the same characters before and after needs only a look at what lies between:
 * if that is the inside of a JSON string, parsing would give the same message with that text, and the event is the
 * rebuilt event with that text.
 *
 * A message that differs anywhere else is read in full as before: a template decides how fast, never what.
 */
export class ChunkTemplate {
  readonly #before: Buffer;
  readonly #after: Buffer;
  readonly #eventBefore: Buffer;
  readonly #eventAfter: Buffer;
  /** UTF-8 bytes of the text of the event given last. */
  contentBytes = 0;

  private constructor(message: [string, string], event: [string, string]) {
    this.#before = Buffer.from(message[0]);
    this.#after = Buffer.from(message[1]);
    this.#eventBefore = Buffer.from(event[0]);
    this.#eventAfter = Buffer.from(event[1]);
  }

  /**
   * Learns from `text`, a `stream_chunk` message for `attemptId` that was read in full, with events that begin with
   * `head`. Undefined when the message is not of the plain kind: one choice, a delta with one text, no finish, no usage.
   */
  static learn(text: string, attemptId: string, head: string): ChunkTemplate | undefined {
    for (const key of TEXT_KEYS) {
      const opening = `"${key}":"`;
      const start = text.indexOf(opening) + opening.length;
      if (start < opening.length || text.includes(opening, start)) continue;
      const stop = closingQuote(text, start);
      if (stop < 0 || stop === start) continue;
      const before = text.slice(0, start);
      const after = text.slice(stop);
      const event = provenEvent(before + MARKER + after, key, attemptId, head);
      if (event === undefined) continue;
      const at = event.indexOf(MARKER);
      if (at < 0 || event.includes(MARKER, at + 1)) continue;
      return new ChunkTemplate([before, after], [event.slice(0, at), event.slice(at + MARKER.length)]);
    }
    return undefined;
  }

  /** The event of a message of this shape that carries text; undefined when it has another shape or carries none. */
  event(message: Buffer): Buffer | undefined {
    const before = this.#before;
    const after = this.#after;
    const from = before.length;
    const until = message.length - after.length;
    const length = until - from;
    if (length <= 0 || length > INSIDE_BYTES_MAX) return undefined;
    if (message.compare(before, 0, from, 0, from) !== 0) return undefined;
    if (message.compare(after, 0, after.length, until, message.length) !== 0) return undefined;
    const contentBytes = bytesOfInside(message, from, until);
    if (contentBytes < 0) return undefined;
    this.contentBytes = contentBytes;
    const head = this.#eventBefore;
    const event = Buffer.allocUnsafe(head.length + length + this.#eventAfter.length);
    event.set(head, 0);
    message.copy(event, head.length, from, until);
    event.set(this.#eventAfter, head.length + length);
    return event;
  }
}

const TEXT_KEYS = ['content', 'reasoning_content', 'reasoning'];
/** Any text that JSON writes as it is; a message that already holds it is not learnt from. */
const MARKER = 'cygnet:the-place-of-the-text';
/** A token is short; anything longer is read in full. */
const INSIDE_BYTES_MAX = 4_096;

/**
 * How many UTF-8 bytes the string has of which these bytes are the inside (RFC 8259, section 7); -1 when they are not the
 * inside of one. An escape is worth what it stands for: writing every letter as one makes no text longer.
 */
function bytesOfInside(bytes: Buffer, from: number, until: number): number {
  let ascii = true;
  let escapeBytes = 0;
  for (let at = from; at < until; at++) {
    const byte = bytes[at] as number;
    if (byte < 0x20 || byte === QUOTE) return -1;
    if (byte >= 0x80) ascii = false;
    else if (byte === BACKSLASH) {
      at += 1;
      if (at >= until) return -1;
      const escaped = bytes[at] as number;
      if (escaped === LOWER_U) {
        const hex = bytes.toString('latin1', at + 1, at + 5);
        if (at + 4 >= until || !HEX4.test(hex)) return -1;
        at += 4;
        escapeBytes += 6 - utf8BytesOf(Number.parseInt(hex, 16));
      } else if (!SHORT_ESCAPES.includes(escaped)) return -1;
      else escapeBytes += 1;
    }
  }
  return ascii || isUtf8(bytes.subarray(from, until)) ? until - from - escapeBytes : -1;
}

/** Of a UTF-16 code unit; each half of a pair counts half of its four bytes. */
function utf8BytesOf(unit: number): number {
  if (unit < 0x80) return 1;
  if (unit < 0x800 || (unit >= 0xd800 && unit < 0xe000)) return 2;
  return 3;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LOWER_U = 0x75;
const HEX4 = /^[0-9a-fA-F]{4}$/;
const SHORT_ESCAPES: readonly number[] = [...Buffer.from('"\\/bfnrt')];

/** The event of the marked message, when the marker is the whole text of its only choice's delta. */
function provenEvent(marked: string, key: string, attemptId: string, head: string): string | undefined {
  const message: unknown = JSON.parse(marked);
  if (!isFields(message) || message['type'] !== 'stream_chunk' || message['request_id'] !== attemptId)
    return undefined;
  const payload = message['payload'];
  if (!isFields(payload) || payload['request_id'] !== attemptId) return undefined;
  if (payload['done'] || payload['error'] !== undefined) return undefined;
  const chunk = payload['chunk'];
  if (!isFields(chunk) || !Array.isArray(chunk['choices']) || chunk['choices'].length !== 1) return undefined;
  if (isFields(chunk['usage']) || 'error' in chunk) return undefined;
  const choice: unknown = chunk['choices'][0];
  if (!isFields(choice) || !isFields(choice['delta']) || choice['delta'][key] !== MARKER) return undefined;
  const event = chunkEvent(head, chunk);
  return event && !event.finished ? event.text : undefined;
}

/** Where the string whose inside begins at `start` ends; -1 when it does not. */
function closingQuote(text: string, start: number): number {
  for (let at = text.indexOf('"', start); at >= 0; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === 0x5c) slashes++;
    if (slashes % 2 === 0) return at;
  }
  return -1;
}
