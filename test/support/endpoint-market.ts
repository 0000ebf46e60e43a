import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { vi } from 'vitest';
import type { RunningAgent } from '#agent/run.ts';
import { readCatalogueFile, seedCatalogue } from '#catalogue/seed.ts';
import { type ConfigChanges, readConfig } from '#config/config.ts';
import { type Pico, parseUsd } from '#domain/money.ts';
import { createConsumer } from '#identity/consumers.ts';
import { type KeyKind, keepKey, makeKey } from '#identity/keys.ts';
import { createProvider } from '#identity/providers.ts';
import { systemClock } from '#kit/clock.ts';
import { idMaker } from '#kit/id.ts';
import { silentLog } from '#kit/log.ts';
import { systemRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { audit } from '#ledger/audit.ts';
import { type Balance, Book } from '#ledger/book.ts';
import { type Marketplace, openMarketplace } from '#marketplace';
import { startAgent } from './agent.ts';
import { type FreshDatabase, freshDatabase } from './postgres.ts';
import { dialSocket, SwanAgent, type SwanAgentOptions } from './swan-agent.ts';

/**
 * A whole market over real sockets, for tests of the endpoints: one model of each category, served by our own agent's
 * rehearsals, or by doubles of Swan's agent where a test asks for them.
 */
export class EndpointMarket {
  readonly #fresh: FreshDatabase;
  readonly #market: Marketplace;
  readonly #book: Book;
  readonly #folder: string;
  readonly #makeId = idMaker(systemClock, systemRandomness);
  readonly #leaving: (() => Promise<unknown> | void)[] = [];
  #nodes = 0;

  private constructor(fresh: FreshDatabase, market: Marketplace, folder: string) {
    this.#fresh = fresh;
    this.#market = market;
    this.#folder = folder;
    this.#book = new Book({
      database: fresh.database,
      instance: 'test',
      clock: systemClock,
      log: silentLog,
    });
  }

  static async open(config: ConfigChanges = {}): Promise<EndpointMarket> {
    const fresh = await freshDatabase();
    await seedCatalogue(fresh.database, { catalogue: readCatalogueFile(), at: systemClock.wallMs() });
    const folder = mkdtempSync(path.join(tmpdir(), 'cygnet-market-'));
    const market = await openMarketplace({
      config: readConfig({}, { dataFolder: folder, gatewayPort: 0, hubPort: 0, ...config }),
      database: fresh.database,
      databaseUrl: fresh.url,
      clock: systemClock,
      random: systemRandomness,
      log: silentLog,
    });
    return new EndpointMarket(fresh, market, folder);
  }

  get url(): string {
    return `http://127.0.0.1:${this.#market.gatewayPort}`;
  }

  get database(): FreshDatabase['database'] {
    return this.#fresh.database;
  }

  get book(): Book {
    return this.#book;
  }

  /** A consumer with a key that the market knows, and credit. */
  async consumer(credit: Pico = parseUsd('5')): Promise<{ id: string; key: string }> {
    const id = this.#makeId('con');
    await createConsumer(this.database, { id, name: id, at: systemClock.wallMs() });
    if (credit > 0n) await this.#book.grant(id, credit, `grant_${id}`);
    const key = await this.#key('consumer', id);
    await vi.waitFor(async () => {
      const answer = await fetch(`${this.url}/v1/embeddings`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}` },
        body: '{}',
      });
      await answer.text();
      if (answer.status === 401) throw new Error('the key is not known yet');
    });
    return { id, key };
  }

  async provider(): Promise<{ id: string; key: string }> {
    const id = this.#makeId('prov');
    await createProvider(this.database, {
      id,
      name: `Provider ${id}`,
      state: 'active',
      at: systemClock.wallMs(),
    });
    const key = await this.#key('provider', id);
    await vi.waitFor(async () => {
      const answer = await fetch(`${this.url}/api/v1/provider/status`, {
        headers: { authorization: `Bearer ${key}` },
      });
      await answer.text();
      if (answer.status !== 200) throw new Error('the key is not known yet');
    });
    return { id, key };
  }

  /** Our own agent with these models (as for `--model`), registered. */
  async agent(...models: string[]): Promise<{ id: string; agent: RunningAgent }> {
    const provider = await this.provider();
    const agent = await startAgent(`ws://127.0.0.1:${this.#market.hubPort}`, models, {
      key: new Sealed(provider.key),
    });
    this.#leaving.push(() => agent.close());
    await agent.registered;
    return { id: provider.id, agent };
  }

  /** A double of Swan's agent, registered. */
  async swan(
    generation: SwanAgentOptions['generation'],
    models: string[],
    more: Partial<SwanAgentOptions> = {},
  ): Promise<{ id: string; agent: SwanAgent }> {
    const provider = await this.provider();
    const agent = new SwanAgent({
      generation,
      token: provider.key,
      nodeId: (0x10 + this.#nodes++).toString(16).repeat(65),
      models,
      clock: systemClock,
      dial: dialSocket(`ws://127.0.0.1:${this.#market.hubPort}/ws`),
      ...more,
    });
    this.#leaving.push(() => agent.stop());
    await agent.start();
    await agent.until(() => agent.registered);
    return { id: provider.id, agent };
  }

  /** The agent leaves. */
  async without(agent: { close?(): Promise<void>; stop?(): void }): Promise<void> {
    await agent.close?.();
    agent.stop?.();
  }

  /** The usage rows of a consumer, oldest first, once there are `count` of them. */
  async usage(consumer: { id: string }, count: number): Promise<UsageRow[]> {
    return await vi.waitFor(
      async () => {
        const rows = await this.database.sql<UsageRow[]>`
          select id, operation, model_id as "modelId", outcome, error_code as "errorCode", input_tokens::int as "inputTokens",
            output_tokens::int as "outputTokens", units::int, seconds::int, charge
          from usage where consumer_id = ${consumer.id} order by at, id`;
        if (rows.length < count) throw new Error(`there are ${rows.length} rows yet`);
        return [...rows];
      },
      { timeout: 10_000 },
    );
  }

  async balance(consumer: { id: string }): Promise<Balance> {
    return await this.#book.balance(consumer.id);
  }

  /** Closes everything and audits what is left. */
  async close(): Promise<{ balanced: boolean }> {
    for (const leave of this.#leaving.splice(0).toReversed()) await leave();
    await this.#market.close(1_000);
    const { balanced } = await audit(this.database);
    await this.#fresh.drop();
    rmSync(this.#folder, { recursive: true, force: true });
    return { balanced };
  }

  async #key(kind: KeyKind, ownerId: string): Promise<string> {
    const { secret, prefix, hash } = makeKey(kind, systemRandomness);
    await keepKey(this.database, {
      id: this.#makeId('key'),
      kind,
      ownerId,
      name: 'test',
      prefix,
      hash,
      at: systemClock.wallMs(),
    });
    return secret.open();
  }
}

export interface UsageRow {
  id: string;
  operation: string;
  modelId: string;
  outcome: string;
  errorCode: string | null;
  inputTokens: number;
  outputTokens: number;
  units: number;
  seconds: number;
  charge: Pico;
}
