import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Agent, request } from 'undici';
import { vi } from 'vitest';
import type { RunningAgent } from '#agent/run.ts';
import type { AgentSettings } from '#agent/settings.ts';
import { readCatalogueFile, seedCatalogue } from '#catalogue/seed.ts';
import { type Config, type ConfigChanges, readConfig } from '#config/config.ts';
import { type Database, openDatabase } from '#db/database.ts';
import type { ExternalEndpoint } from '#domain/external-endpoint.ts';
import type { Pico } from '#domain/money.ts';
import type { ProviderState } from '#domain/party.ts';
import type { EndpointState } from '#hub/external/fleet.ts';
import { addEndpoint } from '#identity/endpoints.ts';
import { revokeKey } from '#identity/keys.ts';
import { secretBox } from '#identity/secret-file.ts';
import { systemClock } from '#kit/clock.ts';
import { type Logger, silentLog } from '#kit/log.ts';
import { type Randomness, systemRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { audit } from '#ledger/audit.ts';
import type { Balance } from '#ledger/book.ts';
import { type Marketplace, openMarketplace } from '#marketplace';
import { startAgent } from './agent.ts';
import {
  chatModels,
  makeConsumer,
  makeId,
  makeKeyOf,
  makeProvider,
  operatorsBook,
  type TestModel,
  type TestParty,
} from './parties.ts';
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
  readonly #databaseUrl: string;
  readonly #random: Randomness;
  #database: Database | undefined;
  /** The open markets on our database. */
  readonly #kin: TestMarket[];
  readonly #leaving: (() => Promise<unknown> | void)[] = [];
  #ours = true;
  #market: Marketplace | undefined;
  #nodes = 0;

  private constructor(
    fresh: FreshDatabase,
    models: TestModel[],
    options: {
      changes: ConfigChanges;
      log: Logger;
      kin: TestMarket[];
      databaseUrl: string;
      random: Randomness;
    },
  ) {
    this.#databaseUrl = options.databaseUrl;
    this.#random = options.random;
    this.#kin = options.kin;
    this.fresh = fresh;
    this.#models = models;
    this.#changes = options.changes;
    this.#log = options.log;
    this.folder = mkdtempSync(path.join(tmpdir(), 'cygnet-market-'));
  }

  /**
   * Opens a market. `config` is what differs from the defaults; `on` shares another market's database; `through` is the
   * way to the database, where it is not the straight one.
   */
  static async open(
    options: {
      config?: ConfigChanges;
      on?: TestMarket;
      log?: Logger;
      through?: (url: string) => Promise<string>;
      random?: Randomness;
    } = {},
  ): Promise<TestMarket> {
    const fresh = options.on?.fresh ?? (await freshDatabase());
    await seedCatalogue(fresh.database, { catalogue: readCatalogueFile(), at: systemClock.wallMs() });
    const rows = await chatModels(fresh.database);
    const market = new TestMarket(fresh, rows, {
      changes: options.config ?? {},
      log: options.log ?? silentLog,
      kin: options.on ? options.on.#kin : [],
      random: options.random ?? systemRandomness,
      databaseUrl: (await options.through?.(fresh.url)) ?? fresh.url,
    });
    market.#ours = options.on === undefined;
    await market.#open();
    return market;
  }

  get url(): string {
    return `${this.#changes.tls ? 'https' : 'http'}://127.0.0.1:${this.#running.gatewayPort}`;
  }

  get hubUrl(): string {
    return `${this.#changes.tls ? 'wss' : 'ws'}://127.0.0.1:${this.#running.hubPort}`;
  }

  get ports(): { gateway: number; hub: number } {
    return { gateway: this.#running.gatewayPort, hub: this.#running.hubPort };
  }

  get marketplace(): Marketplace {
    return this.#running;
  }

  /** A language model that no other test of this file uses. */
  aModel(category: TestModel['category'] = 'llm'): TestModel {
    const at = this.#models.findIndex((model) => model.category === category);
    const [model] = at < 0 ? [] : this.#models.splice(at, 1);
    if (!model) throw new Error('This file has more tests than the catalogue has models.');
    return model;
  }

  /** A consumer with a key that every market on the database knows, and, in pico-dollars, credit. */
  async consumer(credit?: Pico): Promise<TestParty> {
    return await this.#known(await makeConsumer(this.fresh.database, credit));
  }

  /** Money arrives. */
  async deposit(consumer: { id: string }, amount: Pico): Promise<void> {
    await operatorsBook(this.fresh.database).deposit(consumer.id, amount, makeId('dep'));
  }

  /** A provider with a key that every market on the database knows; active unless said otherwise. */
  async provider(state?: ProviderState): Promise<TestParty> {
    return await this.#known(await makeProvider(this.fresh.database, state));
  }

  /** Another key of a consumer. */
  async anotherKey(consumer: { id: string }): Promise<TestParty> {
    const made = await makeKeyOf(this.fresh.database, 'consumer', consumer.id);
    return await this.#known({ id: consumer.id, ...made });
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
    model: Pick<TestModel, 'id'>,
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

  /** A provider with an external endpoint for `model` at `upstream`, once the market knows how it is. */
  async external(
    model: Pick<TestModel, 'id'>,
    upstream: { url: string },
    more: Partial<ExternalEndpoint> & { key?: string } = {},
  ): Promise<TestParty & { endpointId: string }> {
    const provider = await this.provider();
    const endpointId = makeId('ext');
    const { key, ...changed } = more;
    const operations = ['chat/completions'] as const;
    await addEndpoint(this.fresh.database, {
      endpoint: {
        id: endpointId,
        providerId: provider.id,
        name: 'test',
        url: upstream.url,
        capacity: 4,
        models: [{ modelId: model.id, upstreamName: 'local-name', operations }],
        ...changed,
      },
      key: key === undefined ? undefined : new Sealed(key),
      box: secretBox(this.#config(), systemRandomness),
      actor: 'test',
      at: systemClock.wallMs(),
    });
    await until(async () => (this.#running.fleet.stateOf(endpointId)?.health ?? 'unchecked') !== 'unchecked');
    return { ...provider, endpointId };
  }

  /** How this market finds an external endpoint; undefined when it knows of none with this id. */
  endpoint(id: string): EndpointState | undefined {
    return this.#running.fleet.stateOf(id);
  }

  /** What the ledger says once everything that was served is posted. */
  async balance(consumer: { id: string }): Promise<Balance> {
    await this.posted();
    return await operatorsBook(this.fresh.database).balance(consumer.id);
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
      select id, operation, units::integer, seconds::integer, outcome, error_code as "errorCode", provider_id as "providerId", attempts::integer,
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
    const { body } = await request(`${this.url}/health`, { dispatcher: trusting });
    return (await body.json()) as Record<string, unknown>;
  }

  /** Every agent of this market leaves. */
  async agentsLeave(): Promise<void> {
    for (const leave of this.#leaving.splice(0).toReversed()) await leave();
  }

  /** SIGTERM: says for `noticeMs` that it leaves, drains and closes the marketplace; the database stays. */
  async stop(graceMs = 10_000, noticeMs = 0): Promise<void> {
    const market = this.#market;
    this.#market = undefined;
    if (market) this.#kin.splice(this.#kin.indexOf(this), 1);
    await market?.close(graceMs, noticeMs);
    await this.#database?.close();
    this.#database = undefined;
  }

  /** Stops, and opens again on the same folder, database and ports, as the next start would. `between` runs in between. */
  async restart(between: () => void = () => {}, noticeMs = 0): Promise<void> {
    const { gateway, hub } = this.ports;
    await this.stop(undefined, noticeMs);
    between();
    await this.#open({ gatewayPort: gateway, hubPort: hub });
  }

  /** Closes everything, and then holds the whole book to account: nothing is held, and it balances. */
  async close(): Promise<void> {
    await this.agentsLeave();
    await this.stop();
    try {
      const report = await audit(this.fresh.database);
      assert.deepEqual([report.differences, report.rejectedRecords], [[], 0]);
      if (!this.#ours) return;
      const [row] = await this.fresh.database.sql<{ held: Pico }[]>`
        select coalesce(sum(held), 0) as held from accounts`;
      assert.equal(row?.held, 0n, 'something is still held');
    } finally {
      if (this.#ours) await this.fresh.drop();
      rmSync(this.folder, { recursive: true, force: true });
    }
  }

  get #running(): Marketplace {
    if (!this.#market) throw new Error('The market is closed.');
    return this.#market;
  }

  async #known(party: TestParty): Promise<TestParty> {
    await until(async () => {
      for (const market of this.#kin) if (!(await market.knows(party.key))) return false;
      return true;
    });
    return party;
  }

  async #open(ports: { gatewayPort: number; hubPort: number } = { gatewayPort: 0, hubPort: 0 }) {
    this.#database = openDatabase({ url: this.#databaseUrl, log: this.#log, maxConnections: 4 });
    this.#market = await openMarketplace({
      config: this.#config(ports),
      database: this.#database,
      databaseUrl: this.#databaseUrl,
      clock: systemClock,
      random: this.#random,
      log: this.#log,
    });
    this.#kin.push(this);
  }

  #config(ports: { gatewayPort?: number; hubPort?: number } = {}): Config {
    return readConfig(
      {},
      {
        ...this.#changes,
        // Its own tests turn it on: everywhere else an agent hears of nothing but requests.
        routing: { warmUp: false, ...this.#changes.routing },
        // Their own tests turn probes on.
        watch: { probes: false, ...this.#changes.watch },
        benchmarks: { mode: 'off', likeness: 'off', ...this.#changes.benchmarks },
        // All agents of a test come from one address.
        hub: { upgradeBurst: 1_000, ...this.#changes.hub },
        // The servers of a test are on this machine.
        external: { allowNetworks: ['127.0.0.1'], ...this.#changes.external },
        dataFolder: this.folder,
        host: '127.0.0.1',
        ...ports,
      },
    );
  }

  /** True when this market's process accepts the key. */
  async knows(key: string): Promise<boolean> {
    const headers = { authorization: `Bearer ${key}` };
    const answer = await request(`${this.url}/api/v1/provider/status`, { dispatcher: trusting, headers });
    const status = (await answer.body.json()) as { api_key_valid: boolean };
    if (status.api_key_valid) return true;
    // A consumer's key is no provider's: an empty body to chat is refused for its body once the key is known.
    const chat = await request(`${this.url}/v1/chat/completions`, {
      dispatcher: trusting,
      method: 'POST',
      headers,
      body: '',
    });
    await chat.body.dump();
    return chat.statusCode === 400;
  }
}

/** Whoever answers at a market's port is that market: who may claim to be it is for the tests of TLS. */
const trusting = new Agent({ connect: { rejectUnauthorized: false } });

/** Looks again and again until `holds`; throws after ten seconds. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  await vi.waitFor(
    async () => {
      if (!(await holds())) throw new Error('Not yet.');
    },
    { timeout: 10_000, interval: 10 },
  );
}

export interface UsageRow {
  id: string;
  operation: string;
  units: number;
  seconds: number;
  outcome: string;
  errorCode: string | null;
  providerId: string | null;
  attempts: number;
  inputTokens: number;
  outputTokens: number;
  charge: Pico;
}
