import { LRUCache } from 'lru-cache';
import type { Database } from '#db/database.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { bindNode, type Hardware } from './nodes.ts';

const NODES_REMEMBERED = 50_000;

/**
 * Whose node it is, for agents that come back. A binding is for ever, so one that was seen once in this process is
 * answered from memory: an agent that lost its line while the database stands still is let in again at once. That it was
 * seen is noted behind its back.
 */
export class NodeBook {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #owners = new LRUCache<string, string>({ max: NODES_REMEMBERED });

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
    const asked = this.#ask({ nodeId, providerId, keyId, ...said });
    if (owner === undefined) return await asked;
    asked.catch((error: unknown) => {
      this.#log.warn({ err: error, node: nodeId.slice(0, 20) }, 'A sign of life of a node was not noted.');
    });
    return 'bound';
  }

  async #ask(
    node: { nodeId: string; providerId: string; keyId: string } & Said,
  ): Promise<'bound' | 'foreign'> {
    const bound = await bindNode(this.#database, { ...node, at: this.#clock.wallMs() });
    if (bound !== 'bound') return 'foreign';
    this.#owners.set(node.nodeId, node.providerId);
    return 'bound';
  }
}

/** What an agent says of itself. */
interface Said {
  readonly name: string | null;
  readonly hardware: Hardware | null;
}
