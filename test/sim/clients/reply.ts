import type { Headers, Reply } from '#gateway/reply.ts';

/** What a client learns of its answer. */
export interface ReplyWatch {
  /** The status line arrived. */
  begun(status: number): void;
  /** The last byte arrived. */
  ended(): void;
}

/** A client's end of a connection: takes what is written, as fast as it likes, and may hang up at any moment. */
export class SimulatedReply implements Reply {
  status: number | undefined;
  readonly parts: Buffer[] = [];
  bytes = 0;
  /** Written and not yet read by the client. */
  unread = 0;
  /** A client that reads slowly makes the server wait above this many unread bytes. */
  roomBytes = Number.POSITIVE_INFINITY;
  congested = false;
  gone = false;
  whole = false;
  retryAfter = false;
  onGone: (() => void) | undefined;
  onDrained: (() => void) | undefined;
  readonly #watch: ReplyWatch;
  /** The server's process died: what it says after that is heard by nobody. */
  severed = false;

  constructor(watch: ReplyWatch) {
    this.#watch = watch;
  }

  send(status: number, headers: Headers, body: Buffer): void {
    if (this.gone || this.severed) return;
    this.#begin(status);
    this.retryAfter = headers.includes('retry-after');
    this.parts.push(body);
    this.bytes += body.length;
    this.#end();
  }

  open(status: number): void {
    if (this.gone || this.severed) return;
    this.#begin(status);
  }

  write(bytes: Buffer): void {
    if (this.gone || this.severed) return;
    if (this.status === undefined || this.whole) throw new Error('bytes outside of an answer');
    this.parts.push(Buffer.from(bytes));
    this.bytes += bytes.length;
    this.unread += bytes.length;
    if (this.unread > this.roomBytes) this.congested = true;
  }

  finish(): void {
    if (this.gone || this.severed) return;
    this.#end();
  }

  /** The client reads what waits. */
  read(): void {
    this.unread = 0;
    if (!this.congested) return;
    this.congested = false;
    if (!this.gone && !this.severed) this.onDrained?.();
  }

  /** The client hangs up. */
  leave(): void {
    if (this.gone || this.whole || this.severed) return;
    this.gone = true;
    this.onGone?.();
  }

  text(): string {
    return Buffer.concat(this.parts).toString();
  }

  #begin(status: number): void {
    if (this.status !== undefined) throw new Error('an answer that begins twice');
    this.status = status;
    this.#watch.begun(status);
  }

  #end(): void {
    if (this.whole) throw new Error('an answer that ends twice');
    this.whole = true;
    this.#watch.ended();
  }
}
