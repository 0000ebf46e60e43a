import { spawnSync } from 'node:child_process';
import { CutLine } from '#support/cut-line.ts';
import { type Place, TestNetwork } from '#support/network.ts';

/**
 * How two are parted. `silent`: what they send each other is lost, and nobody is told. `one-way`: only what the gateway sends is.
 * `cut`: who sends is told that there is no way.
 */
export type How = 'cut' | 'silent' | 'one-way';

/** A gateway by its place in the line, and whom it cannot reach. */
export interface Parted {
  readonly gateway: number;
  readonly from: number | 'redis' | 'postgres';
}

/** What a gateway is told of where it and the others are. */
export interface Footing {
  readonly host: string;
  /** The words before its command. */
  readonly within: readonly string[];
  readonly linkUrl: string;
  readonly redisUrl: string;
  readonly databaseUrl: string;
}

/** What lies between gateways, and between each of them, Redis and PostgreSQL; it can be parted and mended. */
export interface Wires {
  readonly footings: readonly Footing[];
  part(parted: readonly Parted[], how: How): Promise<void>;
  mend(): Promise<void>;
  /** For who waits in vain. */
  describe(): string;
  close(): Promise<void>;
}

/** Each gateway in a network namespace of its own: packets are lost. */
export class NetworkWires implements Wires {
  readonly footings: readonly Footing[];
  readonly #network: TestNetwork;

  constructor(network: TestNetwork, about: WiresAbout) {
    this.#network = network;
    this.footings = about.linkPorts.map((port, i) => {
      const { address, within } = network.places[i] as Place;
      return {
        host: address,
        within,
        linkUrl: `ws://${address}:${port}`,
        redisUrl: about.redisUrl,
        databaseUrl: about.databaseUrl,
      };
    });
  }

  async part(parted: readonly Parted[], how: How): Promise<void> {
    for (const { gateway, from } of parted) {
      const one = this.#addressOf(gateway);
      const other = this.#addressOf(from);
      // oxlint-disable-next-line no-await-in-loop -- one way after the other
      await this.#network.drop(one, other, how === 'cut');
      // oxlint-disable-next-line no-await-in-loop -- one way after the other
      if (how !== 'one-way') await this.#network.drop(other, one, how === 'cut');
    }
  }

  async mend(): Promise<void> {
    await this.#network.mend();
  }

  /** The local ports on which each place holds a connection. */
  held(): Map<string, Set<number>> {
    return new Map(
      this.#network.places.map(({ address, within: [program = '', ...words] }) => {
        const { stdout } = spawnSync(program, [...words, 'ss', '-Htan'], { encoding: 'utf8' });
        const ports = stdout.split('\n').map((line) => Number(line.split(/\s+/)[3]?.split(':').at(-1)));
        return [address, new Set(ports)];
      }),
    );
  }

  describe(): string {
    const sockets = this.#network.places.map(({ address, within: [program = '', ...words] }) => {
      const listed = spawnSync(program, [...words, 'ss', '-tano'], { encoding: 'utf8' }).stdout ?? '';
      return `sockets of ${address}:\n${listed}`;
    });
    return [`network: ${this.#network.describe()}`, ...sockets].join('\n');
  }

  async close(): Promise<void> {
    await this.#network.close();
  }

  #addressOf(one: Parted['from']): string {
    return typeof one === 'number' ? (this.#network.places[one] as Place).address : this.#network[one];
  }
}

/**
 * Where no namespaces can be made: proxies in all lines. They close connections, or hold what is sent back; nothing is lost. Two
 * gateways are parted at the line to the later one, which all before it dial.
 */
export class ProxyWires implements Wires {
  readonly footings: readonly Footing[];
  readonly #lines: readonly Lines[];

  private constructor(footings: readonly Footing[], lines: readonly Lines[]) {
    this.footings = footings;
    this.#lines = lines;
  }

  static async open(about: WiresAbout): Promise<ProxyWires> {
    const made = await Promise.all(
      about.linkPorts.map(async (port) => {
        const [link, redis, postgres] = await Promise.all([
          CutLine.to(`ws://127.0.0.1:${port}`),
          CutLine.to(about.redisUrl),
          CutLine.to(about.databaseUrl),
        ]);
        const footing = {
          host: '127.0.0.1',
          within: [],
          linkUrl: link.url.replace(/\/$/, ''),
          redisUrl: redis.url,
          databaseUrl: postgres.url,
        };
        return { footing, lines: { link: link.line, redis: redis.line, postgres: postgres.line } };
      }),
    );
    return new ProxyWires(
      made.map(({ footing }) => footing),
      made.map(({ lines }) => lines),
    );
  }

  async part(parted: readonly Parted[], how: How): Promise<void> {
    for (const { gateway, from } of parted) {
      const line =
        typeof from === 'number' ? this.#lines[Math.max(gateway, from)]?.link : this.#lines[gateway]?.[from];
      if (how === 'cut') line?.cut();
      else line?.hush();
    }
  }

  async mend(): Promise<void> {
    for (const line of this.#all()) line.mend();
  }

  describe(): string {
    const states = this.#lines.map(
      ({ link, redis, postgres }, i) =>
        `${i}: links ${link.state}, Redis ${redis.state}, PostgreSQL ${postgres.state}`,
    );
    return `proxies: ${states.join('; ')}`;
  }

  async close(): Promise<void> {
    await Promise.all(this.#all().map((line) => line.close()));
  }

  #all(): CutLine[] {
    return this.#lines.flatMap(({ link, redis, postgres }) => [link, redis, postgres]);
  }
}

/** Of one gateway: `link` leads to it from those that dial it. */
interface Lines {
  readonly link: CutLine;
  readonly redis: CutLine;
  readonly postgres: CutLine;
}

export interface WiresAbout {
  /** Of each gateway. */
  readonly linkPorts: readonly number[];
  /** As gateways reach them where nothing lies between. */
  readonly redisUrl: string;
  readonly databaseUrl: string;
}
