import type { Clock } from '#kit/clock.ts';
import {
  DATA_PREFIX_BYTES,
  FRAME,
  FRAME_HEADER_BYTES,
  MAX_FRAME_PAYLOAD_BYTES,
  writeFrameHeader,
} from '#wire/agent/frames.ts';

const SSE_PREFIX = Buffer.from('data: ');
const SSE_SUFFIX_BYTES = 2;
const LINE_FEED = 0x0a;
/** What an event costs on the wire beyond its JSON. */
const SSE_EXTRA_BYTES = SSE_PREFIX.length + SSE_SUFFIX_BYTES;
/** The most bytes of events that fit into one `data` frame. */
export const DATA_BYTES_MAX = MAX_FRAME_PAYLOAD_BYTES - DATA_PREFIX_BYTES;
const EVENTS_PER_FRAME_MAX = 0xffff;

const MESSAGE_BYTES_MAX = 65_536;
const SLAB_BYTES = 4 * MESSAGE_BYTES_MAX;
/** Long answers are fed to the socket only while less than this waits in it, so that tokens overtake them. */
const RESULTS_WAIT_ABOVE_BYTES = 262_144;

/** An unstreamed answer on its way: fragments of it, then its `end`. */
interface Result {
  readonly stream: number;
  readonly body: Buffer;
  readonly end: Buffer;
  readonly done: () => void;
  sent: number;
}

/**
 * Packs frames into messages. Everything that is written during one turn of the event loop leaves as one WebSocket
 * message (or as few as fit): a decode step of an engine touches every stream it runs, and one message for all of them
 * costs both sides far less than one each. Nothing is ever delayed past the end of the turn.
 *
 * Memory: messages are cut one after the other from slabs and never written again once sent, because the socket may hold
 * on to them.
 */
export class Outbox {
  readonly #transmit: (message: Buffer) => void;
  readonly #waiting: () => number;
  readonly #clock: Clock;
  readonly #messageMax: number;
  readonly #results: Result[] = [];

  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  /** The message being packed is `slab[start, at)`. */
  #start = 0;
  #at = 0;
  #flushing = false;
  #closed = false;
  readonly #whenEmpty: (() => void)[] = [];

  /** The `data` frame that was written last, for as long as another event of its stream may join it. */
  #openStream = -1;
  #openAt = 0;
  #openEvents = 0;
  #openTokens = 0;

  /**
   * `transmit` sends one binary message; `waiting` tells how many bytes the socket has not yet passed on;
   * `messageBytesMax` is what the hub takes.
   */
  constructor(parts: {
    transmit: (message: Buffer) => void;
    waiting: () => number;
    clock: Clock;
    messageBytesMax?: number | undefined;
  }) {
    this.#transmit = parts.transmit;
    this.#waiting = parts.waiting;
    this.#clock = parts.clock;
    const frameMax = FRAME_HEADER_BYTES + MAX_FRAME_PAYLOAD_BYTES;
    this.#messageMax = Math.max(
      frameMax,
      Math.min(MESSAGE_BYTES_MAX, parts.messageBytesMax ?? MESSAGE_BYTES_MAX),
    );
  }

  /** The bytes of the event `head + tail` as it will travel. */
  static eventBytes(head: Buffer, tail: Buffer): number {
    return head.length + tail.length + SSE_EXTRA_BYTES;
  }

  /** The event `head + tail` as it would travel, for those too large for one frame. */
  static eventOf(head: Buffer, tail: Buffer): Buffer {
    return Buffer.concat([SSE_PREFIX, head, tail, Buffer.of(LINE_FEED, LINE_FEED)]);
  }

  /** Writes one event (at most `DATA_BYTES_MAX` bytes as it travels); it joins the stream's open frame if it can. */
  event(stream: number, head: Buffer, tail: Buffer, tokens: number): void {
    const bytes = head.length + tail.length + SSE_EXTRA_BYTES;
    const joins =
      this.#openStream === stream &&
      this.#at + bytes <= this.#slab.length &&
      this.#at + bytes - this.#start <= this.#messageMax &&
      this.#at - this.#openAt - FRAME_HEADER_BYTES + bytes <= MAX_FRAME_PAYLOAD_BYTES &&
      this.#openEvents < EVENTS_PER_FRAME_MAX &&
      this.#openTokens + tokens <= EVENTS_PER_FRAME_MAX;
    if (!joins) this.#openData(stream, bytes);
    const slab = this.#slab;
    let at = this.#at;
    slab.set(SSE_PREFIX, at);
    at += SSE_PREFIX.length;
    slab.set(head, at);
    at += head.length;
    slab.set(tail, at);
    at += tail.length;
    slab[at] = LINE_FEED;
    slab[at + 1] = LINE_FEED;
    this.#at = at + SSE_SUFFIX_BYTES;
    this.#openEvents++;
    this.#openTokens += tokens;
  }

  /** Writes a piece of an event that does not fit one frame; `last` carries the event's count. */
  piece(stream: number, bytes: Buffer, tokens: number, last: boolean): void {
    this.#openData(stream, bytes.length);
    this.#slab.set(bytes, this.#at);
    this.#at += bytes.length;
    if (last) {
      this.#openEvents = 1;
      this.#openTokens = tokens;
    }
    this.#closeData();
  }

  /** Writes a frame. */
  frame(type: number, stream: number, payload: Buffer): void {
    this.#room(FRAME_HEADER_BYTES + payload.length);
    writeFrameHeader(this.#slab, this.#at, type, stream, payload.length);
    this.#slab.set(payload, this.#at + FRAME_HEADER_BYTES);
    this.#at += FRAME_HEADER_BYTES + payload.length;
  }

  /** Sends a whole unstreamed answer in fragments, in turns with other answers, then its `end` payload; then `done`. */
  result(stream: number, body: Buffer, end: Buffer, done: () => void): void {
    this.#results.push({ stream, body, end, done, sent: 0 });
    this.#schedule();
  }

  /** Forgets what is left of an answer. */
  dropResult(stream: number): void {
    const index = this.#results.findIndex((result) => result.stream === stream);
    if (index >= 0) this.#results.splice(index, 1);
  }

  /** The socket has passed something on: long answers may go on. */
  roomAgain(): void {
    if (this.#results.length > 0) this.#schedule();
  }

  /** Sends what is packed, now. */
  flush(): void {
    this.#closeData();
    if (this.#at > this.#start) {
      const message = this.#slab.subarray(this.#start, this.#at);
      this.#start = this.#at;
      if (!this.#closed) this.#transmit(message);
    }
  }

  /** Resolves when all that was written is handed to the socket, answers included; or when nothing is sent any more. */
  emptied(): Promise<void> {
    if (this.#closed || this.idle) return Promise.resolve();
    return new Promise((resolve) => this.#whenEmpty.push(resolve));
  }

  /** True when nothing is packed and no answer is left to send. */
  get idle(): boolean {
    return this.#at === this.#start && this.#results.length === 0;
  }

  /** Sends nothing any more. */
  close(): void {
    this.#closed = true;
    this.#results.length = 0;
    this.#tellEmpty();
  }

  #openData(stream: number, bytes: number): void {
    this.#closeData();
    this.#room(FRAME_HEADER_BYTES + DATA_PREFIX_BYTES + bytes);
    this.#openStream = stream;
    this.#openAt = this.#at;
    this.#openEvents = 0;
    this.#openTokens = 0;
    this.#at += FRAME_HEADER_BYTES + DATA_PREFIX_BYTES;
  }

  #closeData(): void {
    if (this.#openStream < 0) return;
    const at = this.#openAt;
    writeFrameHeader(this.#slab, at, FRAME.data, this.#openStream, this.#at - at - FRAME_HEADER_BYTES);
    this.#slab.writeUInt16LE(this.#openEvents, at + FRAME_HEADER_BYTES);
    this.#slab.writeUInt16LE(this.#openTokens, at + FRAME_HEADER_BYTES + 2);
    this.#openStream = -1;
  }

  /** Makes room for a frame of `bytes` behind what is packed, sending that first if both do not fit one message. */
  #room(bytes: number): void {
    this.#closeData();
    if (this.#at - this.#start + bytes > this.#messageMax) this.flush();
    if (this.#at + bytes > SLAB_BYTES) {
      this.flush();
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#start = 0;
      this.#at = 0;
    }
    this.#schedule();
  }

  #schedule(): void {
    if (this.#flushing || this.#closed) return;
    this.#flushing = true;
    this.#clock.endOfTurn(this.#endOfTurn);
  }

  readonly #endOfTurn = (): void => {
    // `#flushing` stays true meanwhile, so that what is written here asks for no further turn.
    // One fragment of each answer per round, until the socket has enough; `roomAgain` goes on.
    while (this.#results.length > 0 && this.#waiting() + this.#at - this.#start < RESULTS_WAIT_ABOVE_BYTES) {
      for (const result of this.#results.slice()) this.#fragment(result);
    }
    this.flush();
    this.#flushing = false;
    if (this.#results.length === 0 && this.#whenEmpty.length > 0) this.#tellEmpty();
  };

  #tellEmpty(): void {
    for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }

  #fragment(result: Result): void {
    const to = Math.min(result.body.length, result.sent + MAX_FRAME_PAYLOAD_BYTES);
    if (to > result.sent) this.frame(FRAME.result, result.stream, result.body.subarray(result.sent, to));
    result.sent = to;
    if (to < result.body.length) return;
    this.#results.splice(this.#results.indexOf(result), 1);
    this.frame(FRAME.end, result.stream, result.end);
    result.done();
  }
}
