import { connect, createServer, type Server, type Socket } from 'node:net';

/** A line to a server that a test can cut and mend: what is connected breaks, what dials is turned away. */
export class CutLine {
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  #cut = false;

  private constructor(target: { host: string; port: number }) {
    this.#server = createServer((near) => {
      if (this.#cut) {
        near.destroy();
        return;
      }
      const far = connect(target.port, target.host);
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#open.add(one);
        one.on('error', () => {});
        one.on('close', () => {
          this.#open.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
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

  cut(): void {
    this.#cut = true;
    for (const socket of this.#open) socket.destroy();
  }

  mend(): void {
    this.#cut = false;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
