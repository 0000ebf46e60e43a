import type { Socket } from 'node:net';
import type { Clock, Timer } from '#kit/clock.ts';

/**
 * Sockets of the private port that have not shown yet who they are. Whoever reaches the port may open them, so each has only
 * so long for everything up to its proof, head of the request included, and there are only so many: of one address and in
 * all. One too many costs the oldest its place, not the newest: a gateway shows itself within milliseconds, and who only
 * holds sockets open is the oldest soon.
 */
export class Strangers {
  readonly #clock: Clock;
  readonly #limits: StrangerLimits;
  /** Oldest first. */
  readonly #sockets = new Map<Socket, { readonly address: string; readonly late: Timer }>();

  constructor(clock: Clock, limits: StrangerLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  get size(): number {
    return this.#sockets.size;
  }

  enter(socket: Socket): void {
    const address = socket.remoteAddress ?? 'unknown';
    const { perAddress, inAll, withinMs } = this.#limits;
    const own = [...this.#sockets].filter(([, about]) => about.address === address);
    if (own.length >= perAddress) this.#end(own[0]?.[0]);
    else if (this.#sockets.size >= inAll) this.#end(this.#sockets.keys().next().value);
    const late = this.#clock.after(withinMs, () => this.#end(socket));
    this.#sockets.set(socket, { address, late });
    socket.once('close', () => this.leave(socket));
  }

  /** It has shown who it is, or is gone. */
  leave(socket: Socket): void {
    this.#sockets.get(socket)?.late.cancel();
    this.#sockets.delete(socket);
  }

  #end(socket: Socket | undefined): void {
    if (!socket) return;
    this.leave(socket);
    socket.destroy();
  }
}

export interface StrangerLimits {
  readonly perAddress: number;
  readonly inAll: number;
  /** From the first byte to the proof. */
  readonly withinMs: number;
}
