import { chunkEvent } from './chunk-event.ts';
import { isFields } from './completion.ts';

/**
 * Parsing and rewriting JSON is what one message per token costs (1.7 µs of the 2 µs). But within a stream one message
 * differs from the next only in the text of one string. So a stream's message is read in full once, the place of that
 * string is *proven* (put a marker there, parse again, and the marker must come out as the delta's text, and nowhere
 * else), and from then on a message with the same characters before and after needs only a look at what lies between:
 * if that is the inside of a JSON string, parsing would give the same message with that text, and the event is the
 * rebuilt event with that text.
 *
 * A message that differs anywhere else is read in full as before: a template decides how fast, never what.
 */
export class ChunkTemplate {
  readonly #before: string;
  readonly #after: string;
  readonly #eventBefore: string;
  readonly #eventAfter: string;

  private constructor(before: string, after: string, eventBefore: string, eventAfter: string) {
    this.#before = before;
    this.#after = after;
    this.#eventBefore = eventBefore;
    this.#eventAfter = eventAfter;
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
      return new ChunkTemplate(before, after, event.slice(0, at), event.slice(at + MARKER.length));
    }
    return undefined;
  }

  /** The event of a message of this shape that carries text; undefined when it has another shape or carries none. */
  event(text: string): string | undefined {
    const from = this.#before.length;
    const until = text.length - this.#after.length;
    if (until <= from || !text.startsWith(this.#before) || !text.endsWith(this.#after)) return undefined;
    const inside = text.slice(from, until);
    return inside.length <= INSIDE_CHARS_MAX && STRING_INSIDE.test(inside)
      ? this.#eventBefore + inside + this.#eventAfter
      : undefined;
  }
}

const TEXT_KEYS = ['content', 'reasoning_content', 'reasoning'];
/** Any text that JSON writes as it is; a message that already holds it is not learnt from. */
const MARKER = 'cygnet:the-place-of-the-text';
/** A token is short; anything longer is read in full, and no pattern is run over it. */
const INSIDE_CHARS_MAX = 4_096;
/** The inside of a JSON string (RFC 8259, section 7). Linear: no two branches begin alike. */
// oxlint-disable-next-line no-control-regex -- control characters are what must not occur
const STRING_INSIDE = /^(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*$/;

/** The event of the marked message, when the marker is the whole text of its only choice's delta. */
function provenEvent(marked: string, key: string, attemptId: string, head: string): string | undefined {
  const message: unknown = JSON.parse(marked);
  if (!isFields(message) || message['type'] !== 'stream_chunk' || message['request_id'] !== attemptId) return undefined;
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
