import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { readCatalogueFile, seedCatalogue } from '#catalogue/seed.ts';
import { readConfig } from '#config/config.ts';
import { openDatabase } from '#db/database.ts';
import { migrate } from '#db/migrate.ts';
import { startPostgres } from '#db/postgres-server.ts';
import { systemClock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import { systemRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { openMarketplace } from '#marketplace';
import { startAgent } from '#support/agent.ts';
import { makeConsumer, makeProvider } from '#support/parties.ts';

/**
 * What it brings that small requests for embeddings share calls: `npx tsx bench/embeddings.ts [places]`. 64 clients each send
 * one short text after the other; a call takes the agent 10 ms, whatever is in it, as a batch of short texts does on a GPU.
 * Once without a window, and with 10 and 25 ms; one client alone for what the window costs where nothing is busy.
 */
const MODEL = 'BAAI/bge-m3';
const PLACES = Number(process.argv[2] ?? 4);
const CALL_MS = 10;
const FOR_MS = 6_000;
const CLIENTS = 64;
const run = promisify(execFile);

const folder = mkdtempSync(path.join(os.tmpdir(), 'cygnet-embeddings-'));
chmodSync(folder, 0o755);
const server = await startPostgres({ folder: path.join(folder, 'postgres') });
const database = openDatabase({ url: server.url, log: silentLog });
await migrate(database, { url: server.url });
await seedCatalogue(database, { catalogue: readCatalogueFile(), at: systemClock.wallMs() });
const consumer = await makeConsumer(database, 10n ** 15n);
const provider = await makeProvider(database);
const client = fileURLToPath(new URL('./embeddings-client.mjs', import.meta.url));

interface Figures {
  answered: number;
  refused: number;
  p50Ms: number;
  p99Ms: number;
}

/** Requests that shared calls so far, and the calls. */
async function shared(port: number): Promise<{ requests: number; calls: number }> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const of = (what: string): number =>
    Number(new RegExp(`^cygnet_embeddings_gathered\\{what="${what}"\\} (\\d+)`, 'm').exec(text)?.[1] ?? 0);
  return { requests: of('requests'), calls: of('calls') };
}

for (const windowMs of [0, 10, 25]) {
  const market = await openMarketplace({
    config: readConfig(
      {},
      {
        dataFolder: path.join(folder, `data-${windowMs}`),
        host: '127.0.0.1',
        gatewayPort: 0,
        hubPort: 0,
        routing: { warmUp: false, embeddingsWindowMs: windowMs },
        watch: { probes: false },
        benchmarks: { mode: 'off' },
        limits: {
          requestsPerMinute: { llm: 1, image: 1, embedding: 10 ** 9, other: 1 },
          concurrentPerKey: 1_000_000,
        },
      },
    ),
    database,
    databaseUrl: server.url,
    clock: systemClock,
    random: systemRandomness,
    log: silentLog,
  });
  const agent = await startAgent(
    `ws://127.0.0.1:${market.hubPort}`,
    [`${MODEL}=rehearsal:first=${CALL_MS}`],
    { key: new Sealed(provider.key), perModel: PLACES },
  );
  await agent.registered;
  const load = async (clients: number, forMs: number): Promise<Figures> => {
    const job = { port: market.gatewayPort, key: consumer.key, model: MODEL, clients, forMs };
    const { stdout } = await run('node', [client, JSON.stringify(job)]);
    return JSON.parse(stdout.slice(stdout.indexOf('@@') + 2)) as Figures;
  };
  await load(CLIENTS, 2_000);
  const before = await shared(market.gatewayPort);
  const cpu = process.cpuUsage();
  const many = await load(CLIENTS, FOR_MS);
  const { user, system } = process.cpuUsage(cpu);
  const after = await shared(market.gatewayPort);
  const calls = many.answered - (after.requests - before.requests) + (after.calls - before.calls);
  const alone = await load(1, 2_000);
  console.log(
    `window ${windowMs} ms: ${(many.answered / (FOR_MS / 1_000)).toFixed(0)} answers a second in ` +
      `${(calls / (FOR_MS / 1_000)).toFixed(0)} calls, ${Math.round((user + system) / many.answered)} µs CPU of market ` +
      `and agent each, p50 ${many.p50Ms} ms, p99 ${many.p99Ms} ms, refused ${many.refused}; ` +
      `one client alone: p50 ${alone.p50Ms} ms`,
  );
  await agent.close();
  await market.close(2_000);
}

await database.close();
await server.stop();
rmSync(folder, { recursive: true, force: true });
