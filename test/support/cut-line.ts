import { connect, createServer, type Server, type Socket } from 'node:net';

/**
 * A line to a server that a test can cut and mend: what is connected breaks, what dials is turned away. Or it falls silent:
 * nothing passes, and nobody is told; when it is mended, everything arrives.
 */
export class CutLine {
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  readonly #forgotten = new Set<Socket>();
  /** Who waits to be connected to the other side. */
  readonly #dialling = new Set<() => void>();
  #state: 'whole' | 'cut' | 'silent' = 'whole';

  private constructor(target: { host: string; port: number }) {
    this.#server = createServer((near) => {
      if (this.#state === 'cut') {
        near.destroy();
        return;
      }
      this.#open.add(near);
      near.on('error', () => {});
      near.on('close', () => this.#open.delete(near));
      if (this.#state === 'silent') this.#dialling.add(() => this.#pair(near, target));
      else this.#pair(near, target);
    });
  }

  /** Opens a line to where `url` leads; `url` of the answer leads through it. */
  static async to(url: string): Promise<{ line: CutLine; url: string }> {
    const through = new URL(url);
    const line = new CutLine({ host: through.hostname, port: Number(through.port) });
    await new Promise<void>((resolve) => line.#server.listen(0, '127.0.0.1', resolve));
    through.port = String((line.#server.address() as { port: number }).port);
    return { line, url: through.href };
  }

  get state(): 'whole' | 'cut' | 'silent' {
    return this.#state;
  }

  /** Sockets at either end. */
  get sockets(): number {
    return this.#open.size;
  }

  cut(): void {
    this.#state = 'cut';
    this.#dialling.clear();
    for (const socket of [...this.#open, ...this.#forgotten]) socket.destroy();
  }

  /** From now on nothing passes. */
  hush(): void {
    if (this.#state === 'cut') return;
    this.#state = 'silent';
    for (const socket of this.#open) socket.pause();
  }

  /** Once silent: whoever is connected hears nothing any more, not even when the line is mended, and nobody is told. */
  forget(): void {
    this.#dialling.clear();
    for (const socket of this.#open) this.#forgotten.add(socket);
    this.#open.clear();
  }

  mend(): void {
    this.#state = 'whole';
    for (const dial of this.#dialling) dial();
    this.#dialling.clear();
    for (const socket of this.#open) socket.resume();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #pair(near: Socket, target: { host: string; port: number }): void {
    if (near.destroyed) return;
    const far = connect(target.port, target.host);
    this.#open.add(far);
    far.on('error', () => {});
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('close', () => {
        this.#open.delete(one);
        other.destroy();
      });
      // What the other side does not take makes this one wait.
      one.on('data', (part) => {
        if (!other.write(part)) one.pause();
      });
      other.on('drain', () => {
        if (this.#state !== 'silent') one.resume();
      });
      one.on('end', () => other.end());
    }
  }
}
