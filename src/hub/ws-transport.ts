import type { Socket } from 'node:net';
import type { RawData, WebSocket } from 'ws';
import type { Clock } from '#kit/clock.ts';
import type { Transport, TransportListener } from './transport.ts';

/** An agent that has this much unread gets its pong when it has read it: answering at once would only grow the pile. */
const PONG_WHILE_BUFFERED_MAX = 65_536;
/** How long the other side may take to answer a close. Meanwhile it could send, and we would have to receive. */
const GOODBYE_MS = 2_000;
/** Binary messages up to this size are joined with their neighbours; copying a larger one costs more than it saves. */
const JOIN_EACH_BYTES_MAX = 4_096;
const JOINED_BYTES_MAX = 16_384;

/**
 * A WebSocket of the `ws` library. The socket is corked at the first write of a turn and uncorked at its end: one system
 * call for all that a turn sends. Small binary messages of a turn are joined into one: they are made of whole frames
 * (src/wire/agent/frames.ts), and a message costs either side more than the frames in it. Text is not validated as UTF-8 here: decoding replaces what is not, and no byte of an
 * agent's text goes anywhere undecoded.
 */
export class WsTransport implements Transport {
  readonly address: string;
  readonly #ws: WebSocket;
  readonly #socket: Socket;
  readonly #clock: Clock;
  #corked = false;
  #joining: Buffer[] = [];
  #joinedBytes = 0;
  #guard: (() => void) | undefined;
  /** The ping that waits for its answer; a newer one takes its place (RFC 6455, 5.5.3). */
  #unanswered: Buffer | undefined;

  /** `anonymousBytesMax`: what the socket may send before `trust`, counted below the protocol, so that nothing larger is ever held. */
  constructor(about: {
    ws: WebSocket;
    socket: Socket;
    address: string;
    clock: Clock;
    anonymousBytesMax: number;
  }) {
    this.#ws = about.ws;
    this.#socket = about.socket;
    this.address = about.address;
    this.#clock = about.clock;
    this.#socket.setNoDelay(true);
    const before = this.#socket.bytesRead;
    const guard = (): void => {
      if (this.#socket.bytesRead - before > about.anonymousBytesMax) this.#ws.terminate();
    };
    this.#guard = guard;
    this.#socket.on('data', guard);
  }

  get bufferedBytes(): number {
    return this.#ws.bufferedAmount + this.#joinedBytes;
  }

  listen(listener: TransportListener): void {
    this.#ws.on('message', (data: RawData, isBinary: boolean) => listener.message(data as Buffer, isBinary));
    this.#ws.on('ping', (data: Buffer) => {
      if (this.bufferedBytes < PONG_WHILE_BUFFERED_MAX) this.#pong(data);
      // A Swan agent hangs up when a pong is missing for 60 s, and it pings once in 54: none may be left out.
      else this.#unanswered = data;
    });
    // What is wrong with a socket also closes it; the error itself says nothing that the close code does not.
    this.#ws.on('error', () => undefined);
    this.#socket.on('drain', () => {
      const data = this.#unanswered;
      this.#unanswered = undefined;
      if (data) this.#pong(data);
      listener.drained();
    });
    this.#ws.once('close', (code: number) => listener.closed(code));
  }

  send(data: string | Buffer, text = typeof data === 'string'): void {
    if (this.#ws.readyState !== this.#ws.OPEN) return;
    this.#cork();
    const joins = !text && data.length <= JOIN_EACH_BYTES_MAX;
    if (!joins || this.#joinedBytes + data.length > JOINED_BYTES_MAX) this.#sendJoined();
    if (joins) {
      this.#joining.push(data as Buffer);
      this.#joinedBytes += data.length;
    } else this.#ws.send(data, { binary: !text });
  }

  flush(): void {
    if (!this.#corked) return;
    this.#corked = false;
    this.#sendJoined();
    this.#socket.uncork();
  }

  trust(): void {
    if (this.#guard) this.#socket.off('data', this.#guard);
    this.#guard = undefined;
  }

  close(code: number, reason: string): void {
    this.flush();
    this.#ws.close(code, reason);
    const cut = this.#clock.after(GOODBYE_MS, () => this.#ws.terminate());
    this.#ws.once('close', () => cut.cancel());
  }

  terminate(): void {
    this.#ws.terminate();
  }

  #pong(data: Buffer): void {
    if (this.#ws.readyState !== this.#ws.OPEN) return;
    this.#cork();
    this.#ws.pong(data);
  }

  #sendJoined(): void {
    const frames = this.#joining;
    if (frames.length === 0) return;
    this.#joining = [];
    this.#joinedBytes = 0;
    this.#ws.send(frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames));
  }

  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#socket.cork();
    this.#clock.endOfTurn(() => this.flush());
  }
}
