import { spawnSync } from 'node:child_process';
import os from 'node:os';
import type { RunningAgent } from '#agent/run.ts';
import { readCatalogueFile, seedCatalogue } from '#catalogue/seed.ts';
import { type Database, openDatabase } from '#db/database.ts';
import { formatUsd, parseUsd } from '#domain/money.ts';
import { pause, systemClock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import { seededRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { audit } from '#ledger/audit.ts';
import { startAgent } from '#support/agent.ts';
import { freePorts } from '#support/free-ports.ts';
import { openNetwork } from '#support/network.ts';
import {
  chatModels,
  makeConsumer,
  makeProvider,
  operatorsBook,
  type TestModel,
  type TestParty,
} from '#support/parties.ts';
import { run } from '#support/program.ts';
import { TestRedis } from '#support/redis.ts';
import { StallingPostgres } from '#support/stalling-postgres.ts';
import { client, Ledger, type Place, PROMPT_TOKENS, TOKENS } from './client.ts';
import { ChaosGateway } from './gateway.ts';
import { Waits } from './waits.ts';
import { NetworkWires, ProxyWires, type Wires } from './wires.ts';

const PROVIDERS = 3;
/** What each consumer begins with. */
const CREDIT = parseUsd('50');
/** A wait that nothing makes long: on a busy machine. */
const OTHER_MS = 120_000;

/** How everything must be in the end, whatever happened. */
export const IN_ORDER = {
  /** Gateways that did not end with 0 when they were told to stop. */
  endedBadly: [] as unknown[],
  /** Answers that were neither complete nor failed with a word. */
  dishonest: [] as unknown[],
  toldTwice: 0,
  /** Told complete, and not charged exactly once what it costs. */
  wronglyCharged: [] as unknown[],
  /** What nobody was told of is charged once or not at all, and never without an entry. */
  withoutTheirEntry: [] as unknown[],
  chargedThoughBroken: [] as unknown[],
  balanced: true,
  differences: [] as readonly unknown[],
  rejectedRecords: 0,
  /** Of what consumers have, nothing is set aside, and all that is gone was spent. */
  held: 0n,
  vanished: 0n,
  auditEndedWith: 0 as number | null,
};

/**
 * Several gateways of one market as processes, with a PostgreSQL, a Redis, agents and clients of its own. Where namespaces can be
 * made, each gateway has a network of its own, and what lies between them can lose what is sent.
 */
export class Stage {
  readonly postgres: StallingPostgres;
  readonly redis: TestRedis;
  readonly database: Database;
  readonly gateways: readonly ChaosGateway[];
  readonly wires: Wires;
  readonly parties: readonly TestParty[];
  readonly providers: readonly TestParty[];
  readonly model: TestModel;
  readonly agents: RunningAgent[] = [];
  readonly ledger = new Ledger();
  readonly waits: Waits;
  /** What is being done to it, for who waits in vain. */
  doing = 'nothing';
  readonly #upWithinMs: number;
  #clients: Promise<void>[] = [];
  #stopping = false;
  readonly #endedBadly: string[] = [];

  private constructor(parts: StageParts) {
    this.postgres = parts.postgres;
    this.redis = parts.redis;
    this.database = parts.database;
    this.gateways = parts.gateways;
    this.wires = parts.wires;
    this.parties = parts.parties;
    this.providers = parts.providers;
    this.model = parts.model;
    this.#upWithinMs = parts.upWithinMs;
    this.waits = new Waits(() => this.#state());
  }

  /** Everything is up when it resolves. Whatever was opened is given to `closers`, first things first. */
  static async open(
    closers: (() => Promise<unknown> | void)[],
    about: {
      gateways?: number;
      agents: number;
      upWithinMs: number;
      consumers?: number;
      env?: Record<string, string>;
      /** The program that gateways begin with, where it is not the built one: it makes the schema and the parties, too. */
      program?: string;
      /** Where a gateway keeps what it must not lose; otherwise a folder that goes with it. */
      folders?: readonly string[];
    },
  ): Promise<Stage> {
    const count = about.gateways ?? 3;
    const network = await openNetwork(count);
    if (network) closers.push(() => network.close());
    const [postgres, redis] = await Promise.all([
      StallingPostgres.open({
        also: network && { address: network.postgres, from: network.whole },
        empty: about.program !== undefined,
      }),
      TestRedis.open(network?.redis),
    ]);
    closers.push(
      () => postgres.close(),
      () => redis.close(),
    );
    const database = openDatabase({ url: postgres.url, log: silentLog, deadlineMs: 120_000 });
    closers.push(() => database.close());
    const many = about.consumers ?? 3;
    const { parties, providers } = await (about.program === undefined
      ? makeParties(database, many)
      : partiesBy(about.program, postgres.url, many));
    const [model] = (await chatModels(database)).filter(({ category }) => category === 'llm');
    if (!model) throw new Error('The catalogue is empty.');

    const ports = await freePorts(3 * count);
    const portsOf = (i: number) => ports.slice(3 * i, 3 * i + 3) as [number, number, number];
    const linkPorts = Array.from({ length: count }, (_, i) => portsOf(i)[2]);
    const wires = network
      ? new NetworkWires(network, {
          linkPorts,
          redisUrl: redis.urlAt(network.redis),
          databaseUrl: postgres.urlAt(network.postgres),
        })
      : await ProxyWires.open({ linkPorts, redisUrl: redis.url, databaseUrl: postgres.url });
    closers.push(() => wires.close());
    const env = {
      CYGNET_LINK_SECRET: 'a secret between gateways of one market',
      CYGNET_LLM_REQUESTS_PER_MINUTE: '1000000',
      CYGNET_REQUEST_TIMEOUT_MS: '60000',
      ...about.env,
    };
    const gateways = wires.footings.map((footing, i) => {
      const gateway = new ChaosGateway(i, portsOf(i), footing, env, about.folders?.[i]);
      gateway.program = about.program;
      closers.push(() => gateway.close());
      return gateway;
    });
    const { upWithinMs } = about;
    const stage = new Stage({
      postgres,
      redis,
      database,
      gateways,
      wires,
      parties,
      providers,
      model,
      upWithinMs,
    });
    closers.push(() => {
      stage.#stopping = true;
    });
    const started = Promise.all(gateways.map((gateway) => gateway.start()));
    started.catch(() => {});
    // Half of the agents are at one gateway, the others at all.
    for (let i = 0; i < about.agents; i++) {
      const hubs = i < about.agents / 2 ? [gateways[i % count] as ChaosGateway] : gateways;
      const agent = await startAgent(
        hubs.map(({ hubUrl }) => hubUrl),
        [`${model.id}=rehearsal:tokens=${TOKENS},prompt=${PROMPT_TOKENS},paced=1`],
        { key: new Sealed((providers[i % PROVIDERS] as TestParty).key) },
      );
      stage.agents.push(agent);
      closers.push(() => agent.close());
    }
    await stage.waits.for('the first start of every gateway', started, about.upWithinMs);
    const registered = Promise.all(stage.agents.map((agent) => agent.registered));
    await stage.waits.for('every agent to register', registered, OTHER_MS);
    return stage;
  }

  async whenUp(gateway: ChaosGateway): Promise<void> {
    await this.waits.for(`${gateway.url} to be up`, gateway.up, this.#upWithinMs);
  }

  /** So many clients begin to ask, at these places. */
  load(count: number, seed: number, places: readonly Place[] = this.gateways): void {
    for (let i = 0; i < count; i++)
      this.#clients.push(
        client(places, this.parties[i % this.parties.length] as TestParty, this.model.id, {
          name: i,
          ledger: this.ledger,
          random: seededRandomness(seed * 1_000 + i),
          stop: () => this.#stopping,
        }),
      );
  }

  /** Everything is up, answers, and then ends in order. */
  async end(): Promise<void> {
    await Promise.all(this.gateways.map((gateway) => this.whenUp(gateway)));
    const answers = this.ledger.more(40, new Promise<void>(() => {}));
    await this.waits.for('forty answers after all trouble', answers, OTHER_MS);
    this.#stopping = true;
    await this.waits.for('every client to have its last answer', Promise.all(this.#clients), OTHER_MS);
    await this.waits.for(
      'every agent to leave',
      Promise.all(this.agents.map((agent) => agent.close())),
      OTHER_MS,
    );
    for (const gateway of this.gateways) {
      const ended = await this.waits.for(`${gateway.url} to stop`, gateway.stop(), OTHER_MS);
      if (ended?.code !== 0) this.#endedBadly.push(`${gateway.url}: ${JSON.stringify(ended)}`);
    }
  }

  /** What is so in the end, to be compared with `IN_ORDER`. */
  async check(): Promise<typeof IN_ORDER> {
    const { ledger, database, model } = this;
    const charged = await database.sql<{ id: string; outcome: string; charge: bigint; entries: number }[]>`
      select u.id, u.outcome, u.charge, count(e.id)::integer as entries
      from usage u left join entries e on e.id = 'charge:' || u.id group by u.id`;
    const byId = new Map(charged.map((row) => [row.id, row]));
    const wrong = [...ledger.told.values()].filter(({ requestId, usage }) => {
      const row = byId.get(requestId);
      const cost =
        BigInt(usage.prompt_tokens) * model.inputPico + BigInt(usage.completion_tokens) * model.outputPico;
      return row?.outcome !== 'completed' || row.charge !== cost || row.entries !== 1;
    });
    const { balanced, differences, rejectedRecords } = await audit(database);
    const book = operatorsBook(database);
    let [left, held] = [0n, 0n];
    for (const party of this.parties) {
      const balance = await book.balance(party.id);
      held += balance.held;
      left += balance.total;
    }
    const spent = charged.reduce((all, row) => all + row.charge, 0n);
    const audited = await run(['audit'], { DATABASE_URL: this.postgres.url });
    return {
      endedBadly: this.#endedBadly,
      dishonest: ledger.dishonest,
      toldTwice: ledger.twice,
      wronglyCharged: wrong,
      withoutTheirEntry: charged.filter((row) => row.entries !== (row.charge > 0n ? 1 : 0)),
      chargedThoughBroken: charged.filter(
        ({ outcome, charge }) => ['failed', 'broken'].includes(outcome) && charge > 0n,
      ),
      balanced,
      differences,
      rejectedRecords,
      held,
      vanished: CREDIT * BigInt(this.parties.length) - spent - left,
      auditEndedWith: audited.code,
    };
  }

  async #state(): Promise<string> {
    const { ledger, database } = this;
    const busy = await Promise.race([
      database.sql`select application_name, state, wait_event, left(query, 120) as query, now() - query_start as since
        from pg_stat_activity where state <> 'idle' order by query_start`,
      pause(systemClock, 5_000).then(() => 'it does not answer'),
    ]).catch(String);
    const seconds = (sinceMs: number): number => Math.round((performance.now() - sinceMs) / 1_000);
    const clients = [...ledger.doing].map(
      ([name, { what, sinceMs }]) => `${name} at ${what} for ${seconds(sinceMs)} s`,
    );
    return [
      `doing ${this.doing}; load ${os.loadavg().join(' ')}`,
      `told ${ledger.told.size}, failed ${JSON.stringify([...ledger.honest])}, lost ${ledger.lost}`,
      `clients: ${clients.join('; ')}`,
      `agents: ${this.agents.map(({ connected }) => (connected ? 'connected' : 'not')).join(', ')}`,
      `PostgreSQL ${this.postgres.stalled ? 'stands still' : 'runs'}: ${JSON.stringify(busy)}`,
      `Redis ${this.redis.runs ? 'runs' : 'is dead'}`,
      ...this.gateways.map((gateway) => gateway.describe()),
      this.wires.describe(),
      ...(spawnSync('ss', ['-tanp'], { encoding: 'utf8' }).stdout ?? '')
        .split('\n')
        .filter((line) => this.gateways.some(({ pid }) => line.includes(`pid=${pid},`))),
    ].join('\n');
  }
}

interface Parties {
  readonly parties: TestParty[];
  readonly providers: TestParty[];
}

async function makeParties(database: Database, consumers: number): Promise<Parties> {
  await seedCatalogue(database, { catalogue: readCatalogueFile(), at: systemClock.wallMs() });
  const many = <T>(count: number, make: () => Promise<T>) => Promise.all(Array.from({ length: count }, make));
  return {
    parties: await many(consumers, () => makeConsumer(database, CREDIT)),
    providers: await many(PROVIDERS, () => makeProvider(database)),
  };
}

/** The same by commands of this program, as an operator makes them: the database is its own. */
async function partiesBy(file: string, databaseUrl: string, consumers: number): Promise<Parties> {
  const say = async (...words: string[]): Promise<string> => {
    const { code, out, err } = await run(words, { DATABASE_URL: databaseUrl }, { file });
    if (code !== 0) throw new Error(`${words.join(' ')} ended with ${code}: ${out}${err}`);
    return out;
  };
  const found = (text: string, what: RegExp): string => {
    const [first] = what.exec(text) ?? [];
    if (first === undefined) throw new Error(`There is no ${what} in: ${text}`);
    return first;
  };
  const parties: TestParty[] = [];
  for (let i = 0; i < consumers; i++) {
    // oxlint-disable-next-line no-await-in-loop -- a command each
    const id = found(await say('consumers', 'create', `consumer ${i}`), /cons_\w+/);
    // oxlint-disable-next-line no-await-in-loop -- a command each
    await say('credit', id, formatUsd(CREDIT).replace('$', ''));
    // oxlint-disable-next-line no-await-in-loop -- a command each
    const said = await say('keys', 'create', '--consumer', id);
    parties.push({ id, key: found(said, /sk-swan-\S+/), keyId: found(said, /key_\w+/) });
  }
  const providers: TestParty[] = [];
  for (let i = 0; i < PROVIDERS; i++) {
    // oxlint-disable-next-line no-await-in-loop -- a command each
    const id = found(await say('providers', 'create', `provider ${i}`), /prov_\w+/);
    // oxlint-disable-next-line no-await-in-loop -- a command each
    const said = await say('keys', 'create', '--provider', id);
    providers.push({ id, key: found(said, /sk-prov-\S+/), keyId: found(said, /key_\w+/) });
  }
  return { parties, providers };
}

interface StageParts {
  readonly postgres: StallingPostgres;
  readonly redis: TestRedis;
  readonly database: Database;
  readonly gateways: readonly ChaosGateway[];
  readonly wires: Wires;
  readonly parties: readonly TestParty[];
  readonly providers: readonly TestParty[];
  readonly model: TestModel;
  readonly upWithinMs: number;
}
