import { Agent, createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';
import { type Clock, systemClock, type Timer } from '#kit/clock.ts';

/**
 * A load balancer as plain as they come: asks every market for its `/health` again and again, hands each request to the
 * next one that says 200, over connections that it keeps, and tries nothing twice. What it cannot hand on is a 502.
 */
export class Balancer {
  readonly #server: Server;
  readonly #backends: { host: string; port: number; healthy: boolean; agent: Agent; served: number }[];
  readonly #looks: Timer;
  #next = 0;
  #heard: (() => void)[] = [];

  private constructor(markets: readonly { host: string; port: number }[], clock: Clock) {
    this.#backends = markets.map(({ host, port }) => ({
      host,
      port,
      healthy: false,
      agent: new Agent({ keepAlive: true }),
      served: 0,
    }));
    this.#server = createServer((incoming, outgoing) => {
      const backend = this.#pick();
      if (!backend) {
        outgoing.writeHead(502).end('no market is healthy');
        return;
      }
      backend.served += 1;
      const { method, url: path, headers } = incoming;
      const onward = request(
        { host: backend.host, port: backend.port, agent: backend.agent, method, path, headers },
        (answer) => {
          outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
          pipeline(answer, outgoing, () => {});
        },
      );
      onward.on('error', () => {
        if (!outgoing.headersSent) outgoing.writeHead(502).end('the market hung up');
        else outgoing.destroy();
      });
      incoming.pipe(onward);
    });
    this.#looks = clock.every(LOOK_EVERY_MS, () => this.#look());
    this.#look();
  }

  /** By their ports, where they listen on this machine, or by their URLs. */
  static async open(markets: readonly (number | string)[], clock: Clock = systemClock): Promise<Balancer> {
    const places = markets.map((market) => {
      if (typeof market === 'number') return { host: 'localhost', port: market };
      const { hostname: host, port } = new URL(market);
      return { host, port: Number(port) };
    });
    const balancer = new Balancer(places, clock);
    await new Promise<void>((resolve) => balancer.#server.listen(0, '127.0.0.1', resolve));
    return balancer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** How many requests each market got. */
  get served(): number[] {
    return this.#backends.map((backend) => backend.served);
  }

  /** Resolves when the market at `port` is, or is not, sent requests. */
  async sends(port: number, healthy: boolean): Promise<void> {
    const backend = this.#backends.find((each) => each.port === port);
    const isSo = (): boolean => backend?.healthy === healthy;
    while (!isSo()) await new Promise<void>((resolve) => this.#heard.push(resolve));
  }

  async close(): Promise<void> {
    this.#looks.cancel();
    for (const { agent } of this.#backends) agent.destroy();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #pick() {
    const healthy = this.#backends.filter((backend) => backend.healthy);
    return healthy[this.#next++ % Math.max(1, healthy.length)];
  }

  #look(): void {
    for (const backend of this.#backends) {
      const note = (healthy: boolean): void => {
        backend.healthy = healthy;
        for (const hear of this.#heard.splice(0)) hear();
      };
      const { host, port } = backend;
      request({ host, port, path: '/health', headers: { connection: 'close' } }, (answer) => {
        answer.resume();
        note(answer.statusCode === 200);
      })
        .on('error', () => note(false))
        .end();
    }
  }
}

const LOOK_EVERY_MS = 50;
