import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readCatalogueFile, seedCatalogue } from '#catalogue/seed.ts';
import { type ConfigChanges, readConfig } from '#config/config.ts';
import { type Pico, parseUsd } from '#domain/money.ts';
import { createConsumer } from '#identity/consumers.ts';
import { keepKey, makeKey } from '#identity/keys.ts';
import { createProvider } from '#identity/providers.ts';
import { systemClock } from '#kit/clock.ts';
import { idMaker } from '#kit/id.ts';
import { openLog } from '#kit/log.ts';
import { systemRandomness } from '#kit/random.ts';
import { type AuditReport, audit } from '#ledger/audit.ts';
import { Book } from '#ledger/book.ts';
import { type Marketplace, openMarketplace } from '#marketplace';
import { type FreshDatabase, freshDatabase } from './postgres.ts';
import { dialSocket, SwanAgent, type SwanAgentOptions } from './swan-agent.ts';

/** A model whose vocabulary we do not have, and the one that we ship and can recount. */
export const PLAIN_MODEL = 'zai-org/GLM-4.7-Flash';
export const COUNTED_MODEL = 'cygnet/cygnet-nano';

/**
 * A whole market on real sockets and a real database, for tests that attack it: its log is kept as text, its parties are
 * made beforehand, and agents are doubles that dial in.
 */
export interface HostileMarket {
  readonly market: Marketplace;
  readonly store: FreshDatabase;
  readonly hubUrl: string;
  readonly baseUrl: string;
  /** Where the market keeps its files. */
  readonly folder: string;
  /** Everything logged so far, one JSON line each. */
  readonly log: string[];
  readonly consumers: readonly { id: string; key: string }[];
  readonly providers: readonly { id: string; key: string }[];
  /** A double of a Swan agent of provider number `provider`, connected and registered. */
  swan(provider: number, options?: Partial<SwanAgentOptions> & { models?: string[] }): Promise<SwanAgent>;
  /** What the usage table says of each request so far, once everything served is posted. */
  usage(): Promise<UsageRow[]>;
  /** Resolves when nothing is under way and no money is promised: I9 of the invariants. */
  idle(): Promise<void>;
  balance(consumer: number): Promise<Pico>;
  audit(): Promise<AuditReport>;
  close(): Promise<void>;
}

export interface UsageRow {
  id: string;
  consumer_id: string;
  provider_id: string | null;
  outcome: string;
  error_code: string | null;
  input_tokens: number;
  output_tokens: number;
  claimed_input_tokens: number | null;
  claimed_output_tokens: number | null;
  events: number;
  attempts: number;
  charge: Pico;
}

export async function openHostileMarket(
  about: {
    providers?: number;
    consumers?: number;
    credit?: string;
    config?: ConfigChanges;
    /** Models beside those of the catalogue. */
    models?: { id: string; inputPico: Pico; outputPico: Pico }[];
  } = {},
): Promise<HostileMarket> {
  const store = await freshDatabase();
  const folder = mkdtempSync(path.join(tmpdir(), 'cygnet-hostile-'));
  const log: string[] = [];
  const logger = openLog({ level: 'debug', destination: { write: (line: string) => void log.push(line) } });
  const at = systemClock.wallMs();
  const makeId = idMaker(systemClock, systemRandomness);
  const catalogue = readCatalogueFile();
  for (const { id, inputPico, outputPico } of about.models ?? []) {
    catalogue.models.push({
      id,
      slug: id.replace('/', '-'),
      aliases: [],
      name: id,
      category: 'llm',
      contextTokens: 8_192,
      maxOutputTokens: 4_096,
      minVramGb: 0,
      tier: 'free',
      license: 'none',
      price: {
        unit: 'token',
        inputMicroUsdPerMillion: inputPico,
        outputMicroUsdPerMillion: outputPico,
        source: 'test',
      },
    });
  }
  await seedCatalogue(store.database, { catalogue, at });
  const book = new Book({ database: store.database, instance: 'test', clock: systemClock, log: logger });

  const freshKey = async (kind: 'consumer' | 'provider', ownerId: string): Promise<string> => {
    const { secret, prefix, hash } = makeKey(kind, systemRandomness);
    await keepKey(store.database, { id: makeId('key'), kind, ownerId, name: 'test', prefix, hash, at });
    return secret.open();
  };
  const consumers: { id: string; key: string }[] = [];
  for (let i = 0; i < (about.consumers ?? 1); i++) {
    const id = makeId('con');
    await createConsumer(store.database, { id, name: `consumer ${i}`, at });
    await book.grant(id, parseUsd(about.credit ?? '100'), `grant_${id}`);
    consumers.push({ id, key: await freshKey('consumer', id) });
  }
  const providers: { id: string; key: string }[] = [];
  for (let i = 0; i < (about.providers ?? 1); i++) {
    const id = makeId('prov');
    await createProvider(store.database, { id, name: `provider ${i}`, state: 'active', at });
    providers.push({ id, key: await freshKey('provider', id) });
  }

  const config = readConfig(
    {},
    {
      dataFolder: folder,
      gatewayPort: 0,
      hubPort: 0,
      benchmarks: { mode: 'off' },
      ...about.config,
      hub: { upgradeBurst: 1_000, ...about.config?.hub },
      limits: { requestsPerMinute: { llm: 1_000_000 }, concurrentPerKey: 5_000, ...about.config?.limits },
    },
  );
  const market = await openMarketplace({
    config,
    database: store.database,
    databaseUrl: store.url,
    clock: systemClock,
    random: systemRandomness,
    log: logger,
  });
  const hubUrl = `ws://127.0.0.1:${market.hubPort}/ws`;
  const agents: SwanAgent[] = [];
  let closed = false;

  const held = async (): Promise<Pico> => {
    const [row] = await store.database.sql<{ promised: Pico }[]>`
      select coalesce(sum(held), 0) as promised from accounts where kind = 'consumer'`;
    return row?.promised ?? 0n;
  };
  const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
    while (!(await holds())) await new Promise<void>((resolve) => systemClock.after(2, resolve));
  };

  return {
    market,
    store,
    hubUrl,
    baseUrl: `http://127.0.0.1:${market.gatewayPort}`,
    folder,
    log,
    consumers,
    providers,
    async swan(provider, options = {}) {
      const agent = new SwanAgent({
        generation: 'A',
        token: providers[provider]?.key ?? '',
        nodeId: `node-${provider}-${agents.length}`,
        models: [PLAIN_MODEL],
        clock: systemClock,
        dial: dialSocket(hubUrl),
        ...options,
      });
      agents.push(agent);
      await agent.start();
      await agent.until(() => agent.acks.length > 0);
      return agent;
    },
    async usage() {
      await until(() => market.underWay().requests === 0 && market.underWay().unpostedBytes === 0);
      return [
        ...(await store.database.sql<UsageRow[]>`
        select id, consumer_id, provider_id, outcome, error_code, input_tokens::float8, output_tokens::float8,
          claimed_input_tokens::float8, claimed_output_tokens::float8, events::float8, attempts::float8, charge
        from usage order by id`),
      ];
    },
    async idle() {
      await until(() => {
        const { requests, attempts, promised } = market.underWay();
        return requests === 0 && attempts === 0 && promised === 0n;
      });
    },
    async balance(consumer) {
      await until(() => market.underWay().requests === 0 && market.underWay().unpostedBytes === 0);
      return (await book.balance(consumers[consumer]?.id ?? '')).total;
    },
    audit: () => audit(store.database),
    async close() {
      if (closed) return;
      closed = true;
      for (const agent of agents) agent.stop();
      await market.close(0);
      expectNothingHeld(await held());
      await store.drop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Money that stays promised after the market closed is money nobody can spend. */
function expectNothingHeld(held: Pico): void {
  if (held !== 0n) throw new Error(`${held} pico-USD are still held after everything ended.`);
}
