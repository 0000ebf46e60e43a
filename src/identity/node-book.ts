import { LRUCache } from 'lru-cache';
import type { Database } from '#db/database.ts';
import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { Logger } from '#kit/log.ts';
import { type ArrivingNode, type Binding, bindNodes, type Hardware } from './nodes.ts';

const NODES_REMEMBERED = 50_000;
/** So many are bound at once, at most. */
const TOGETHER_MAX = 256;

/**
 * Whose node it is, for agents that come back. A binding is for ever, so one that was seen once in this process is
 * answered from memory: an agent that lost its line while the database stands still is let in again at once. That it was
 * seen is noted behind its back.
 *
 * One question is with the database at a time, and whoever arrives meanwhile is asked about together in the next: a single
 * agent waits for nobody, and ten thousand that come back after a restart are a few dozen statements.
 */
export class NodeBook {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #owners = new LRUCache<string, string>({ max: NODES_REMEMBERED });
  readonly #waiting: Waiting[] = [];
  #asking = false;

  constructor(parts: { database: Database; clock: Clock; log: Logger }) {
    this.#database = parts.database;
    this.#clock = parts.clock;
    this.#log = parts.log;
  }

  /** Binds a node to the provider that brings it. Rejects when the database cannot be asked about a node not seen yet. */
  async bind(
    nodeId: string,
    providerId: string,
    keyId: string,
    said: Said = { name: null, hardware: null },
  ): Promise<'bound' | 'foreign'> {
    const owner = this.#owners.get(nodeId);
    if (owner !== undefined && owner !== providerId) return 'foreign';
    const asked = this.#ask({ nodeId, providerId, keyId, ...said, at: this.#clock.wallMs() });
    if (owner === undefined) return await asked;
    asked.catch((error: unknown) => {
      this.#log.warn({ err: error, node: nodeId.slice(0, 20) }, 'A sign of life of a node was not noted.');
    });
    return 'bound';
  }

  #ask(node: ArrivingNode): Promise<'bound' | 'foreign'> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({
        node,
        answered: (binding) => {
          if (binding === 'bound') this.#owners.set(node.nodeId, node.providerId);
          resolve(binding === 'bound' ? 'bound' : 'foreign');
        },
        failed: reject,
      });
      if (!this.#asking) void this.#askAll();
    });
  }

  async #askAll(): Promise<void> {
    this.#asking = true;
    while (this.#waiting.length > 0) {
      const together = this.#waiting.splice(0, TOGETHER_MAX);
      // oxlint-disable-next-line no-await-in-loop -- one after the other: whoever comes meanwhile is asked about together
      await this.#bind(together);
    }
    this.#asking = false;
  }

  async #bind(together: readonly Waiting[]): Promise<void> {
    try {
      const bindings = await bindNodes(
        this.#database,
        together.map(({ node }) => node),
      );
      bindings.forEach((binding, i) => {
        together[i]?.answered(binding);
      });
    } catch (error) {
      // Where the database is there and said no, it said so to one of them: none must suffer for another.
      if (together.length > 1 && !(error instanceof Fault))
        await Promise.all(together.map((one) => this.#bind([one])));
      else for (const { failed } of together) failed(error);
    }
  }
}

/** A node whose binding is asked for. */
interface Waiting {
  readonly node: ArrivingNode;
  readonly answered: (binding: Binding) => void;
  readonly failed: (error: unknown) => void;
}

/** What an agent says of itself. */
interface Said {
  readonly name: string | null;
  readonly hardware: Hardware | null;
}
