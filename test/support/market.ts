import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, vi } from 'vitest';
import type { RunningAgent } from '#agent/run.ts';
import type { AgentSettings } from '#agent/settings.ts';
import { readCatalogueFile, seedCatalogue } from '#catalogue/seed.ts';
import { type ConfigChanges, readConfig } from '#config/config.ts';
import { type Pico, parseUsd } from '#domain/money.ts';
import { createConsumer } from '#identity/consumers.ts';
import { type KeyKind, keepKey, makeKey, revokeKey } from '#identity/keys.ts';
import { createProvider } from '#identity/providers.ts';
import { systemClock } from '#kit/clock.ts';
import { idMaker } from '#kit/id.ts';
import { type Logger, silentLog } from '#kit/log.ts';
import { systemRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { audit } from '#ledger/audit.ts';
import { type Balance, Book } from '#ledger/book.ts';
import { type Marketplace, openMarketplace } from '#marketplace';
import { startAgent } from './agent.ts';
import { type FreshDatabase, freshDatabase } from './postgres.ts';
import { dialSocket, type Script, SwanAgent, type SwanAgentOptions } from './swan-agent.ts';

/**
 * A whole market for a test: the real marketplace on free ports, on a database of its own, with whatever agents and
 * consumers the test asks for. A test takes a model of its own (`aModel`), so that tests of one file share a market and
 * never each other's providers.
 */
export class TestMarket {
  readonly fresh: FreshDatabase;
  readonly folder: string;
  readonly #log: Logger;
  readonly #changes: ConfigChanges;
  readonly #models: TestModel[];
  /** The open markets on our database. */
  readonly #kin: TestMarket[];
  readonly #leaving: (() => Promise<unknown> | void)[] = [];
  readonly #makeId = idMaker(systemClock, systemRandomness);
  #ours = true;
  #market: Marketplace | undefined;
  #nodes = 0;

  private constructor(
    fresh: FreshDatabase,
    models: TestModel[],
    options: { changes: ConfigChanges; log: Logger; kin: TestMarket[] },
  ) {
    this.#kin = options.kin;
    this.fresh = fresh;
    this.#models = models;
    this.#changes = options.changes;
    this.#log = options.log;
    this.folder = mkdtempSync(path.join(tmpdir(), 'cygnet-market-'));
  }

  /** Opens a market. `config` is what differs from the defaults; `on` shares another market's database. */
  static async open(
    options: { config?: ConfigChanges; on?: TestMarket; log?: Logger } = {},
  ): Promise<TestMarket> {
    const fresh = options.on?.fresh ?? (await freshDatabase());
    await seedCatalogue(fresh.database, { catalogue: readCatalogueFile(), at: systemClock.wallMs() });
    const rows = await fresh.database.sql<TestModel[]>`
      select m.id, m.slug, p.input_pico as "inputPico", p.output_pico as "outputPico"
      from models m join prices p on p.model_id = m.id
      where m.category = 'llm' and m.id not like 'cygnet/%' order by m.id`;
    const market = new TestMarket(fresh, [...rows], {
      changes: options.config ?? {},
      log: options.log ?? silentLog,
      kin: options.on ? options.on.#kin : [],
    });
    market.#ours = options.on === undefined;
    await market.#open();
    return market;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#running.gatewayPort}`;
  }

  get hubUrl(): string {
    return `ws://127.0.0.1:${this.#running.hubPort}`;
  }

  get ports(): { gateway: number; hub: number } {
    return { gateway: this.#running.gatewayPort, hub: this.#running.hubPort };
  }

  get marketplace(): Marketplace {
    return this.#running;
  }

  /** A language model that no other test of this file uses. */
  aModel(): TestModel {
    const model = this.#models.shift();
    if (!model) throw new Error('This file has more tests than the catalogue has models.');
    return model;
  }

  /** A consumer with a key and, in pico-dollars, credit. */
  async consumer(credit: Pico = parseUsd('5')): Promise<TestConsumer> {
    const { database } = this.fresh;
    const id = this.#makeId('con');
    await createConsumer(database, { id, name: id, at: systemClock.wallMs() });
    if (credit > 0n) await this.#book.grant(id, credit, `grant_${id}`);
    return { id, ...(await this.key('consumer', id)) };
  }

  /** Money arrives. */
  async deposit(consumer: { id: string }, amount: Pico): Promise<void> {
    await this.#book.deposit(consumer.id, amount, this.#makeId('dep'));
  }

  /** A provider, active and with a key. */
  async provider(): Promise<TestParty> {
    const id = this.#makeId('prov');
    await createProvider(this.fresh.database, { id, name: id, state: 'active', at: systemClock.wallMs() });
    return { id, ...(await this.key('provider', id)) };
  }

  /** A key that this market and all on its database know when this resolves. */
  async key(kind: KeyKind, ownerId: string): Promise<{ key: string; keyId: string }> {
    const { secret, prefix, hash } = makeKey(kind, systemRandomness);
    const keyId = this.#makeId('key');
    const at = systemClock.wallMs();
    await keepKey(this.fresh.database, { id: keyId, kind, ownerId, name: 'test', prefix, hash, at });
    const key = secret.open();
    // Where every process asks before it lets an agent in; it follows the database's announcements.
    await until(async () => {
      for (const market of this.#kin) if (!(await market.knows(key))) return false;
      return true;
    });
    return { key, keyId };
  }

  async revoke(keyId: string): Promise<void> {
    await revokeKey(this.fresh.database, { id: keyId, at: systemClock.wallMs() });
  }

  /** Our own agent, registered. Models as for `--model`. */
  async agent(
    provider: TestParty,
    models: readonly string[],
    more: Partial<AgentSettings> & { perModel?: number } = {},
  ): Promise<RunningAgent> {
    const agent = await startAgent(this.hubUrl, models, { key: new Sealed(provider.key), ...more });
    this.#leaving.push(() => agent.close());
    await agent.registered;
    return agent;
  }

  /** A provider with our own agent, serving `model` by a rehearsal (or whatever `source` names). */
  async rehearsal(model: TestModel, source = 'rehearsal:'): Promise<TestParty & { agent: RunningAgent }> {
    const provider = await this.provider();
    return { ...provider, agent: await this.agent(provider, [`${model.id}=${source}`]) };
  }

  /** A provider with a double of Swan's agent, registered; or with `any answer` of the hub. */
  async swan(
    model: TestModel,
    script?: Script,
    more: Partial<SwanAgentOptions> = {},
    wait: 'registered' | 'any answer' = 'registered',
  ): Promise<TestParty & { agent: SwanAgent }> {
    const provider = await this.provider();
    const agent = new SwanAgent({
      generation: 'C',
      token: provider.key,
      nodeId: (0x10 + this.#nodes++).toString(16).repeat(65),
      models: [model.id],
      clock: systemClock,
      dial: dialSocket(`${this.hubUrl}/ws`),
      ...(script && { script }),
      ...more,
    });
    this.#leaving.push(() => agent.stop());
    await agent.start();
    await agent.until(() => (wait === 'registered' ? agent.registered : agent.acks.length > 0));
    return { ...provider, agent };
  }

  /** What the ledger says once everything that was served is posted. */
  async balance(consumer: { id: string }): Promise<Balance> {
    await this.posted();
    return await this.#book.balance(consumer.id);
  }

  /** What an account of the chart holds, in pico-dollars; as people read it, a party's earnings are positive. */
  async account(id: string): Promise<Pico> {
    await this.posted();
    const [row] = await this.fresh.database.sql<{ balance: Pico }[]>`
      select balance from accounts where id = ${id}`;
    return row?.balance ?? 0n;
  }

  /** The usage rows of a consumer, oldest first, once there are `count` of them. */
  async usage(consumer: { id: string }, count: number): Promise<UsageRow[]> {
    await until(async () => (await this.#usage(consumer)).length >= count);
    await this.posted();
    return await this.#usage(consumer);
  }

  async #usage(consumer: { id: string }): Promise<UsageRow[]> {
    return await this.fresh.database.sql<UsageRow[]>`
      select id, outcome, error_code as "errorCode", provider_id as "providerId", attempts::integer,
        input_tokens::integer as "inputTokens", output_tokens::integer as "outputTokens", charge
      from usage where consumer_id = ${consumer.id} order by at, id`;
  }

  /** Resolves when nothing runs and everything served is in the ledger. */
  async posted(): Promise<void> {
    await until(async () => {
      const { in_flight, ledger } = (await this.health()) as {
        in_flight: number;
        ledger: { behind_ms: number };
      };
      return in_flight === 0 && ledger.behind_ms === 0;
    });
  }

  async health(): Promise<Record<string, unknown>> {
    const response = await fetch(`${this.url}/health`);
    return (await response.json()) as Record<string, unknown>;
  }

  /** Every agent of this market leaves. */
  async agentsLeave(): Promise<void> {
    for (const leave of this.#leaving.splice(0).toReversed()) await leave();
  }

  /** SIGTERM: drains and closes the marketplace; the database stays. */
  async stop(graceMs = 10_000): Promise<void> {
    const market = this.#market;
    this.#market = undefined;
    if (market) this.#kin.splice(this.#kin.indexOf(this), 1);
    await market?.close(graceMs);
  }

  /** Opens the marketplace again on the same folder, database and ports, as the next start of the program would. */
  async restart(): Promise<void> {
    const { gateway, hub } = this.ports;
    await this.stop();
    await this.#open({ gatewayPort: gateway, hubPort: hub });
  }

  /** Closes everything, and then holds the whole book to account: nothing is held, and it balances. */
  async close(): Promise<void> {
    await this.agentsLeave();
    await this.stop();
    try {
      const report = await audit(this.fresh.database);
      expect(report).toMatchObject({ balanced: true, differences: [], rejectedRecords: 0 });
      if (!this.#ours) return;
      const [row] = await this.fresh.database.sql<{ held: Pico }[]>`
        select coalesce(sum(held), 0) as held from accounts`;
      expect(row?.held).toBe(0n);
    } finally {
      if (this.#ours) await this.fresh.drop();
      rmSync(this.folder, { recursive: true, force: true });
    }
  }

  get #running(): Marketplace {
    if (!this.#market) throw new Error('The market is closed.');
    return this.#market;
  }

  get #book(): Book {
    return new Book({
      database: this.fresh.database,
      instance: 'operator',
      clock: systemClock,
      log: this.#log,
    });
  }

  async #open(ports: { gatewayPort: number; hubPort: number } = { gatewayPort: 0, hubPort: 0 }) {
    this.#market = await openMarketplace({
      config: readConfig(
        {},
        {
          ...this.#changes,
          // All agents of a test come from one address.
          hub: { upgradeBurst: 1_000, ...this.#changes.hub },
          dataFolder: this.folder,
          host: '127.0.0.1',
          ...ports,
        },
      ),
      database: this.fresh.another({ maxConnections: 4 }),
      databaseUrl: this.fresh.url,
      clock: systemClock,
      random: systemRandomness,
      log: this.#log,
    });
    this.#kin.push(this);
  }

  /** True when this market's process accepts the key. */
  async knows(key: string): Promise<boolean> {
    const response = await fetch(`${this.url}/api/v1/provider/status`, {
      headers: { authorization: `Bearer ${key}` },
    });
    const status = (await response.json()) as { api_key_valid: boolean };
    if (status.api_key_valid) return true;
    // A consumer's key is no provider's: an empty body to chat is refused for its body once the key is known.
    const chat = await fetch(`${this.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: '',
    });
    await chat.arrayBuffer();
    return chat.status === 400;
  }
}

/** Looks again and again until `holds`; throws after ten seconds. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  await vi.waitFor(
    async () => {
      if (!(await holds())) throw new Error('Not yet.');
    },
    { timeout: 10_000, interval: 10 },
  );
}

export interface TestModel {
  readonly id: string;
  readonly slug: string;
  readonly inputPico: Pico;
  readonly outputPico: Pico;
}

export interface TestParty {
  readonly id: string;
  readonly key: string;
  readonly keyId: string;
}

export type TestConsumer = TestParty;

export interface UsageRow {
  id: string;
  outcome: string;
  errorCode: string | null;
  providerId: string | null;
  attempts: number;
  inputTokens: number;
  outputTokens: number;
  charge: Pico;
}
