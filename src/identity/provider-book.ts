import type { Database, Sql } from '#db/database.ts';
import { type Change, type Follower, follow } from '#db/follower.ts';
import type { Provider, ProviderState } from '#domain/party.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';

/**
 * Every provider and its state in memory, because the hub and routing ask at each registration and request. A change
 * made anywhere is known here as soon as PostgreSQL has announced it.
 */
export class ProviderBook {
  readonly #database: Database;
  #providers = new Map<string, Provider>();
  #follower: Follower | undefined;
  readonly #watchers = new Set<(provider: Provider) => void>();

  /** Loads every provider and follows changes until `close`. Throws when the database cannot be reached. */
  static async open(options: { database: Database; clock: Clock; log: Logger }): Promise<ProviderBook> {
    const book = new ProviderBook(options.database);
    book.#follower = await follow(options.database, {
      channel: 'providers_changed',
      clock: options.clock,
      log: options.log,
      load: (change) => book.#load(change),
    });
    return book;
  }

  private constructor(database: Database) {
    this.#database = database;
  }

  find(id: string): Provider | undefined {
    return this.#providers.get(id);
  }

  stateOf(id: string): ProviderState | undefined {
    return this.#providers.get(id)?.state;
  }

  /** Tells `changed` each provider that is new or of which something is another than before. Answers how to stop. */
  watch(changed: (provider: Provider) => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  /** Learns of a provider that was made or changed a moment ago. */
  async look(id: string): Promise<void> {
    await this.#follower?.look([id]);
  }

  async close(): Promise<void> {
    this.#watchers.clear();
    await this.#follower?.close();
  }

  async #load(change: Change): Promise<void> {
    const { sql } = this.#database;
    // The table is small beside the keys: what is not a short list of ids is answered by all of it.
    const rows =
      typeof change === 'string'
        ? await sql<Provider[]>`select ${columns(sql)} from providers`
        : await sql<Provider[]>`select ${columns(sql)} from providers where id = any(${[...change]})`;
    for (const row of rows) {
      const before = this.#providers.get(row.id);
      if (before && sameProvider(before, row)) continue;
      const provider: Provider = Object.freeze({ ...row });
      this.#providers.set(row.id, provider);
      for (const changed of this.#watchers) changed(provider);
    }
  }
}

function columns(sql: Sql) {
  return sql`id, name, state, region, data_policy as "dataPolicy", state_reason as reason`;
}

function sameProvider(a: Provider, b: Provider): boolean {
  return (
    a.name === b.name &&
    a.state === b.state &&
    a.reason === b.reason &&
    a.region === b.region &&
    a.dataPolicy === b.dataPolicy
  );
}
