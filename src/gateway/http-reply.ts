import type { ServerResponse } from 'node:http';
import type { Clock } from '#kit/clock.ts';
import type { Headers, Reply } from './reply.ts';

/**
 * Answers over node:http, written once per turn of the event loop: everything that arrived for a stream in one turn
 * leaves in one write. When idle that adds no delay; under load several steps of a model merge into one system call, so
 * capacity rises with pressure.
 */
export class ReplyWriter {
  readonly #clock: Clock;
  /** Replies that are not over. */
  underWay = 0;
  #waiting: HttpReply[] = [];
  readonly #flush = (): void => {
    const replies = this.#waiting;
    this.#waiting = [];
    for (const reply of replies) reply.flush();
  };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Cuts the connection of an answer that is over, unless its client reads the rest in time. */
  linger(response: ServerResponse): void {
    const cut = this.#clock.after(LINGER_MS, () => response.destroy());
    response.once('close', () => cut.cancel());
  }

  /** Flushes `reply` at the end of this turn. */
  queue(reply: HttpReply): void {
    if (this.#waiting.push(reply) === 1) this.#clock.endOfTurn(this.#flush);
  }
}

const ONE_PIECE_BYTES_MAX = 16_384;
/** How long the end of an answer waits for a client that does not read. */
const LINGER_MS = 30_000;

/** A connection that breaks is told by 'close'; the error itself says nothing more. */
const nothingToDo = (): void => {};

/** One answer. */
export class HttpReply implements Reply {
  onGone: (() => void) | undefined;
  onDrained: (() => void) | undefined;
  gone = false;
  congested = false;
  readonly #response: ServerResponse;
  readonly #writer: ReplyWriter;
  readonly #requestId: string;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  /** The body goes in chunks (HTTP/1.1). An HTTP/1.0 client reads to the end of its connection. */
  #chunked = false;
  #queued = false;
  #ending = false;

  constructor(response: ServerResponse, writer: ReplyWriter, requestId: string) {
    this.#response = response;
    this.#requestId = requestId;
    this.#writer = writer;
    writer.underWay += 1;
    response.on('close', () => {
      writer.underWay -= 1;
      this.gone = true;
      if (!response.writableEnded) this.onGone?.();
    });
    response.on('error', nothingToDo);
  }

  send(status: number, headers: Headers, body: Buffer): void {
    if (this.gone) return;
    const all = ['x-request-id', this.#requestId, 'content-length', String(body.length), ...headers];
    this.#response.writeHead(status, all);
    // As a byte string the body leaves in one piece with the head; as a buffer it would be a second one.
    if (body.length <= ONE_PIECE_BYTES_MAX) this.#response.end(body.toString('latin1'), 'latin1');
    else {
      this.#response.end(body);
      this.#linger();
    }
  }

  open(status: number, headers: Headers): void {
    if (this.gone) return;
    this.#response.writeHead(status, ['x-request-id', this.#requestId, ...headers]);
    // The head is made, and says whether chunks follow. From here on they are framed by `chunkOf`: node:http writes the
    // size, the line ends and the bytes of each as four pieces, which costs an eighth more CPU time than one.
    this.#chunked = this.#response.chunkedEncoding;
    this.#response.chunkedEncoding = false;
    this.#response.on('drain', () => {
      this.congested = false;
      this.onDrained?.();
    });
  }

  write(bytes: Buffer): void {
    if (this.gone || bytes.length === 0) return;
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    this.#queue();
  }

  finish(): void {
    if (this.gone) return;
    this.#ending = true;
    this.#queue();
  }

  flush(): void {
    this.#queued = false;
    if (this.gone) return;
    const bytes = this.#takePending();
    if (this.#ending) {
      this.#response.end(bytes);
      this.#linger();
    } else if (bytes && !this.#response.write(bytes)) this.congested = true;
  }

  /** What is to be written now, as it goes over the wire. */
  #takePending(): Buffer | undefined {
    const pending = this.#pending;
    const bytes = this.#pendingBytes;
    this.#pending = [];
    this.#pendingBytes = 0;
    if (this.#chunked) return chunkOf(pending, bytes, this.#ending);
    return pending.length > 1 ? Buffer.concat(pending, bytes) : pending[0];
  }

  /** Nobody waits for the client any more: what it left unread must not be kept for as long as it likes. */
  #linger(): void {
    if ((this.#response.socket?.writableLength ?? 0) > 0) this.#writer.linger(this.#response);
  }

  #queue(): void {
    if (this.#queued) return;
    this.#queued = true;
    this.#writer.queue(this);
  }
}

/** `bytes` in `pieces` as one chunk (RFC 9112, 7.1), with the end of the body behind it where it is the last. */
function chunkOf(pieces: readonly Buffer[], bytes: number, last: boolean): Buffer {
  const size = bytes > 0 ? `${bytes.toString(16)}\r\n` : '';
  const end = (bytes > 0 ? '\r\n' : '') + (last ? '0\r\n\r\n' : '');
  const chunk = Buffer.allocUnsafe(size.length + bytes + end.length);
  let at = chunk.write(size, 0, 'latin1');
  for (const piece of pieces) {
    chunk.set(piece, at);
    at += piece.length;
  }
  chunk.write(end, at, 'latin1');
  return chunk;
}
