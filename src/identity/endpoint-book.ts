import type { Database } from '#db/database.ts';
import { type Change, type Follower, follow } from '#db/follower.ts';
import type { KeyedEndpoint } from '#domain/external-endpoint.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { type KeptEndpoint, keptEndpoints, keyContext } from './endpoints.ts';
import type { SecretBox } from './secret-box.ts';

/**
 * Every external endpoint in memory, its key open for use and sealed against printing. A change made anywhere is known
 * here as soon as PostgreSQL has announced it.
 */
export class EndpointBook {
  readonly #database: Database;
  readonly #box: SecretBox;
  readonly #endpoints = new Map<string, KeyedEndpoint>();
  /** What each was read from, to tell whether anything changed. */
  readonly #read = new Map<string, string>();
  readonly #watchers = new Set<(id: string, endpoint: KeyedEndpoint | undefined) => void>();
  #follower: Follower | undefined;

  /** Loads every endpoint and follows changes until `close`. Throws when the database cannot be reached. */
  static async open(options: {
    database: Database;
    box: SecretBox;
    clock: Clock;
    log: Logger;
  }): Promise<EndpointBook> {
    const book = new EndpointBook(options);
    book.#follower = await follow(options.database, {
      channel: 'endpoints_changed',
      clock: options.clock,
      log: options.log,
      load: (change) => book.#load(change),
    });
    return book;
  }

  private constructor(parts: { database: Database; box: SecretBox }) {
    this.#database = parts.database;
    this.#box = parts.box;
  }

  list(): Iterable<KeyedEndpoint> {
    return this.#endpoints.values();
  }

  /** Tells `changed` each endpoint that is new, changed or (undefined) removed. Answers how to stop. */
  watch(changed: (id: string, endpoint: KeyedEndpoint | undefined) => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  /** Learns of an endpoint that was added or removed a moment ago. */
  async look(id: string): Promise<void> {
    await this.#follower?.look([id]);
  }

  async close(): Promise<void> {
    this.#watchers.clear();
    await this.#follower?.close();
  }

  async #load(change: Change): Promise<void> {
    // The table is small: what is not a short list of ids is answered by all of it.
    const asked = typeof change === 'string' ? 'all' : [...change];
    const found = await keptEndpoints(this.#database, asked);
    const here = new Set(found.filter(({ removed }) => !removed).map(({ id }) => id));
    for (const id of asked === 'all' ? [...this.#endpoints.keys()] : asked) if (!here.has(id)) this.#drop(id);
    for (const endpoint of found) if (!endpoint.removed) this.#take(endpoint);
  }

  #drop(id: string): void {
    this.#read.delete(id);
    if (this.#endpoints.delete(id)) for (const changed of this.#watchers) changed(id, undefined);
  }

  #take(found: KeptEndpoint): void {
    const { kept, removed: _removed, ...endpoint } = found;
    // An ask never changes: its id says enough, and its amounts are no JSON.
    const models = endpoint.models.map((model) => ({ ...model, ask: model.ask?.id }));
    const read = JSON.stringify([{ ...endpoint, models }, kept?.secretId, kept?.sealed.toString('base64')]);
    if (this.#read.get(found.id) === read) return;
    this.#read.set(found.id, read);
    const key = kept && (this.#box.open(kept, keyContext(endpoint)) ?? 'unreadable');
    const keyed: KeyedEndpoint = Object.freeze({ ...endpoint, key });
    this.#endpoints.set(found.id, keyed);
    for (const changed of this.#watchers) changed(found.id, keyed);
  }
}
