import { connect, type Socket } from 'node:net';
import type { Clock, Timer } from '#kit/clock.ts';

/**
 * The sockets of a pool. A network may lose everything that is sent on one and say nothing: the socket stays open, its
 * statements are never answered, whatever is asked next waits behind them, and the system repeats what was sent ever more
 * rarely, for a quarter of an hour. When the network is whole again, it may take as long once more until that is noticed.
 *
 * So once a statement had no answer in its time, every socket on which nothing was heard for that long is given up, and the pool
 * dials anew. Idle ones among them lose nothing.
 */
export class PoolSockets {
  readonly #clock: Clock;
  readonly #silentMs: number;
  /** Bytes heard on each, and since when it has been so many. */
  readonly #heard = new Map<Socket, { bytes: number; sinceMs: number }>();
  #again: Timer | undefined;
  #dialled = 0;

  /** `silentMs`: for so long whoever asks waits for an answer. */
  constructor(clock: Clock, silentMs: number) {
    this.#clock = clock;
    this.#silentMs = silentMs;
  }

  /** Dials the next of the servers. What is written meanwhile is sent once it is connected. */
  dial(server: {
    host: readonly string[];
    port: readonly number[];
    path: string | false | undefined;
  }): Socket {
    const number = this.#dialled++ % server.host.length;
    const host = server.host[number] as string;
    const socket = server.path ? connect(server.path) : connect(server.port[number] as number, host);
    this.look();
    this.#heard.set(socket, { bytes: 0, sinceMs: this.#clock.nowMs() });
    // What the driver names in its errors, and what the certificate of the server is to say.
    return Object.assign(socket, { host, port: server.port[number] });
  }

  /** Notes where something was heard. To be called when a statement is sent. */
  look(): void {
    const nowMs = this.#clock.nowMs();
    for (const [socket, heard] of this.#heard) {
      if (socket.destroyed) this.#heard.delete(socket);
      else if (socket.bytesRead !== heard.bytes) {
        heard.bytes = socket.bytesRead;
        heard.sinceMs = nowMs;
      }
    }
  }

  /** A statement had no answer in its time. */
  giveUp(): void {
    this.#endSilent();
    // An answer to somebody else may have come on the same socket in between.
    this.#again ??= this.#clock.after(this.#silentMs, () => {
      this.#again = undefined;
      this.#endSilent();
    });
  }

  /** Ends those that are left. */
  close(): void {
    this.#again?.cancel();
    for (const socket of this.#heard.keys()) socket.destroy();
    this.#heard.clear();
  }

  #endSilent(): void {
    this.look();
    const since = this.#clock.nowMs() - this.#silentMs;
    for (const [socket, { sinceMs }] of this.#heard) if (sinceMs <= since) socket.destroy();
  }
}
