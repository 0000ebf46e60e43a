import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Agent, type Dispatcher } from 'undici';
import { readCatalogueFile, seedCatalogue } from '#catalogue/seed.ts';
import { type Database, openDatabase } from '#db/database.ts';
import { migrate } from '#db/migrate.ts';
import { type PostgresServer, startPostgres } from '#db/postgres-server.ts';
import { parseUsd } from '#domain/money.ts';
import { systemClock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import { freePorts } from '#support/free-ports.ts';
import { chatModels, makeConsumer, makeProvider, type TestModel, type TestParty } from '#support/parties.ts';
import { TestRedis } from '#support/redis.ts';

/**
 * Several gateways as they ship, over a PostgreSQL that syncs and a Redis. The gateways share the first CPU; the database,
 * Redis, the agents and whoever asks are on the second.
 */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LAG_PROBE = path.join(ROOT, 'bench/many/lag-probe.mjs');
const GATEWAY_CPU = '0';
const LOAD_CPU = '1';
const PATIENCE_MS = 180_000;

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
export const sortedOf = (values: readonly number[]): number[] => values.toSorted((x, y) => x - y);

export interface BenchGateway {
  readonly url: string;
  readonly hubUrl: string;
  readonly pid: number;
  /** CPU seconds of the process so far. */
  cpuS(): number;
  rssMb(): number;
  /** How late the event loop was since the gateway was open, to a second or less after a wall time: p99 and the longest, in ms. */
  lag(untilMs: number): { p99: number; most: number };
  stop(signal: NodeJS.Signals): Promise<void>;
  start(): Promise<void>;
}

export class BenchMarket {
  readonly folder: string;
  readonly #children: ChildProcess[] = [];
  readonly #client = new Agent({
    connections: 512,
    pipelining: 1,
    headersTimeout: 60_000,
    bodyTimeout: 60_000,
  });

  /** Further flags for the gateways' Node (`--cpu-prof`, say). */
  nodeFlags: readonly string[] = [];

  private constructor(
    parts: {
      folder: string;
      postgres: PostgresServer;
      redis: TestRedis;
      database: Database;
      model: TestModel;
      idleModel: TestModel;
    } & Record<'consumer' | 'provider', TestParty>,
  ) {
    this.folder = parts.folder;
    this.postgres = parts.postgres;
    this.redis = parts.redis;
    this.database = parts.database;
    this.model = parts.model;
    this.idleModel = parts.idleModel;
    this.consumer = parts.consumer;
    this.provider = parts.provider;
  }

  readonly postgres: PostgresServer;
  readonly redis: TestRedis;
  readonly database: Database;
  readonly model: TestModel;
  /** Of those who are only there, and are never asked. */
  readonly idleModel: TestModel;
  readonly consumer: TestParty;
  readonly provider: TestParty;

  static async open(): Promise<BenchMarket> {
    execFileSync('taskset', ['-a', '-p', '-c', LOAD_CPU, String(process.pid)], { stdio: 'ignore' });
    const folder = mkdtempSync(path.join(os.tmpdir(), 'cygnet-bench-many-'));
    // The server's user must pass through.
    chmodSync(folder, 0o755);
    const home = path.join(folder, 'postgres');
    const postgres = await startPostgres({ folder: home, maxConnections: 300 });
    const admin = openDatabase({ url: postgres.url, maxConnections: 1, log: silentLog });
    await admin.sql`create database market`;
    await admin.close();
    const database = openDatabase({ url: postgres.urlOf('market'), log: silentLog, deadlineMs: 120_000 });
    await migrate(database, { url: postgres.urlOf('market') });
    await seedCatalogue(database, { catalogue: readCatalogueFile(), at: systemClock.wallMs() });
    const [model, idleModel] = (await chatModels(database)).filter(({ category }) => category === 'llm');
    if (!model || !idleModel) throw new Error('The catalogue is nearly empty.');
    const consumer = await makeConsumer(database, parseUsd('10000'));
    const provider = await makeProvider(database);
    return new BenchMarket({
      folder,
      postgres,
      redis: await TestRedis.open(),
      database,
      model,
      idleModel,
      consumer,
      provider,
    });
  }

  async gateway(name: string): Promise<BenchGateway> {
    const folder = path.join(this.folder, name);
    mkdirSync(folder);
    const lagFile = path.join(folder, 'lag');
    const [http, hub, link] = (await freePorts(3)) as [number, number, number];
    const out = openSync(path.join(folder, 'log'), 'a');
    const env = {
      PATH: process.env['PATH'],
      NODE_ENV: 'production',
      LAG_FILE: lagFile,
      DATABASE_URL: this.postgres.urlOf('market'),
      CYGNET_REDIS_URL: this.redis.url,
      CYGNET_LINK_SECRET: 'a secret between gateways of one market',
      CYGNET_DATA_DIR: folder,
      CYGNET_GATEWAY_PORT: String(http),
      CYGNET_HUB_PORT: String(hub),
      CYGNET_LINK_PORT: String(link),
      CYGNET_PROBES: 'no',
      CYGNET_BENCHMARKS: 'off',
      CYGNET_LLM_REQUESTS_PER_MINUTE: '100000000',
      CYGNET_CONCURRENT_PER_KEY: '100000',
    };
    let child: ChildProcess | undefined;
    const url = `http://127.0.0.1:${http}`;
    const gateway: BenchGateway = {
      url,
      hubUrl: `ws://127.0.0.1:${hub}`,
      get pid() {
        return child?.pid ?? 0;
      },
      cpuS: () => {
        const stat = readFileSync(`/proc/${child?.pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
        return (Number(stat[11]) + Number(stat[12])) / 100;
      },
      rssMb: () =>
        Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child?.pid}/status`, 'utf8'))?.[1]) / 1_024,
      lag: (untilMs) => {
        const lines = readFileSync(lagFile, 'utf8')
          .trim()
          .split('\n')
          .map((line) => line.split(' ').map(Number));
        const [, , p99 = 0, most = 0] = lines.find(([at]) => (at ?? 0) >= untilMs) ?? [];
        return { p99, most };
      },
      stop: async (signal) => {
        const gone = new Promise((resolve) => child?.once('exit', resolve));
        child?.kill(signal);
        await gone;
      },
      start: async () => {
        const argv = [
          '-c',
          GATEWAY_CPU,
          process.execPath,
          '--import',
          LAG_PROBE,
          ...this.nodeFlags,
          path.join(ROOT, 'dist/cygnet.mjs'),
          'serve',
        ];
        child = spawn('taskset', argv, { env, stdio: ['ignore', out, out] });
        this.#children.push(child);
        for (const untilMs = Date.now() + PATIENCE_MS; Date.now() < untilMs; await sleep(20))
          if ((await fetch(`${url}/health`).catch(() => undefined))?.ok) {
            child.kill('SIGUSR2');
            return;
          }
        throw new Error(`The gateway ${name} did not come up: ${path.join(folder, 'log')}`);
      },
    };
    await gateway.start();
    return gateway;
  }

  /** An agent of ours as a process, at these hubs. */
  async agent(name: string, hubs: readonly BenchGateway[], plan: string): Promise<ChildProcess> {
    const folder = path.join(this.folder, name);
    mkdirSync(folder);
    const argv = ['-c', LOAD_CPU, process.execPath, path.join(ROOT, 'dist/agent.mjs')];
    argv.push(
      ...hubs.map(({ hubUrl }) => `--hub=${hubUrl}`),
      `--key=${this.provider.key}`,
      `--folder=${folder}`,
    );
    argv.push(`--model=${this.model.id}=${plan}`, '--concurrency=1000');
    const child = this.run(argv, {});
    for (const gateway of hubs) await this.served(gateway);
    return child;
  }

  /** Moves an agent and whoever asks to the CPU of the gateways, and leaves the other to the database and its load; or back. */
  moveClients(agent: ChildProcess, to: 'gateways' | 'load'): void {
    const cpu = to === 'gateways' ? GATEWAY_CPU : LOAD_CPU;
    for (const pid of [process.pid, agent.pid])
      execFileSync('taskset', ['-a', '-p', '-c', cpu, String(pid)], { stdio: 'ignore' });
  }

  /** A program on the CPU of the load. */
  run(argv: readonly string[], env: Record<string, string>, heard?: (text: string) => void): ChildProcess {
    const child = spawn('taskset', [...argv], {
      env: { PATH: process.env['PATH'], NODE_ENV: 'production', ...env },
      stdio: ['ignore', heard ? 'pipe' : 'ignore', 'ignore'],
    });
    child.stdout?.setEncoding('utf8').on('data', heard ?? (() => {}));
    this.#children.push(child);
    return child;
  }

  /** Resolves when a request at this gateway is answered. */
  async served(gateway: BenchGateway): Promise<void> {
    for (const untilMs = Date.now() + PATIENCE_MS; Date.now() < untilMs; await sleep(50))
      if ((await this.ask(gateway).catch(() => undefined))?.status === 200) return;
    throw new Error(`Nobody serves at ${gateway.url}.`);
  }

  /** One request; `ttftMs`: until the first bytes of the body. */
  async ask(
    gateway: { url: string },
    stream = false,
  ): Promise<{ status: number; ttftMs: number; totalMs: number }> {
    const body = JSON.stringify({
      model: this.model.id,
      messages: [{ role: 'user', content: 'Say hello, please.' }],
      max_tokens: 12,
      stream,
    });
    const from = performance.now();
    const options: Dispatcher.RequestOptions = {
      origin: gateway.url,
      path: '/v1/chat/completions',
      method: 'POST',
      headers: { authorization: `Bearer ${this.consumer.key}`, 'content-type': 'application/json' },
      body,
    };
    const answer = await this.#client.request(options);
    let ttftMs = Number.NaN;
    for await (const part of answer.body) if (Number.isNaN(ttftMs) && part) ttftMs = performance.now() - from;
    return { status: answer.statusCode, ttftMs, totalMs: performance.now() - from };
  }

  async close(): Promise<void> {
    await this.#client.destroy();
    for (const child of this.#children) child.kill('SIGKILL');
    await this.database.close();
    await this.redis.close();
    await this.postgres.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
