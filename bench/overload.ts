import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
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
import { makeConsumer, makeProvider, type TestParty } from '#support/parties.ts';

/**
 * A whole market at ten times what its providers can do: `npx tsx bench/overload.ts [places]`. Twenty places of 200 ms, on
 * one agent in this process; the load comes from a process of its own, over sockets. Prints what is served, how soon refusals are said,
 * and what a tenant at a hundred times its share leaves to others.
 */
const MODEL = 'zai-org/GLM-4.7-Flash';
const PLACES = Number(process.argv[2] ?? 20);
const SERVICE_MS = 200;
const CAPACITY = (PLACES * 1_000) / SERVICE_MS;
const FOR_MS = 15_000;
const CREDIT = 10n ** 15n;
const run = promisify(execFile);

interface TenantFigures {
  name: string;
  perSecond: number;
  statuses: Record<string, number>;
  /** Answers, and those of them that came before the load ended. */
  answered: number;
  inTime: number;
  /** From when it was due, and from when it was handed to the socket. */
  refusedMs: number[];
  refusedSentMs: number[];
  answered99Ms: number | null;
}

interface Figures {
  tenants: TenantFigures[];
  /** Of the client's event loop. */
  loopDelay50Ms: number;
  loopDelay99Ms: number;
  loopDelayMostMs: number;
}

const folder = mkdtempSync(path.join(os.tmpdir(), 'cygnet-overload-'));
chmodSync(folder, 0o755);
const bodyFile = path.join(folder, 'body.json');
writeFileSync(
  bodyFile,
  JSON.stringify({ model: MODEL, max_tokens: 3, messages: [{ role: 'user', content: 'Hi' }] }),
);
const server = await startPostgres({ folder: path.join(folder, 'postgres') });
const database = openDatabase({ url: server.url, log: silentLog });
await migrate(database, { url: server.url });
await seedCatalogue(database, { catalogue: readCatalogueFile(), at: systemClock.wallMs() });
const tenants: TestParty[] = [];
for (let n = 0; n < 11; n++) tenants.push(await makeConsumer(database, CREDIT));
const provider = await makeProvider(database);
const market = await openMarketplace({
  config: readConfig(
    {},
    {
      dataFolder: path.join(folder, 'data'),
      host: '127.0.0.1',
      gatewayPort: 0,
      hubPort: 0,
      routing: { warmUp: false },
      watch: { probes: false },
      benchmarks: { mode: 'off' },
      limits: {
        requestsPerMinute: { llm: 10 ** 9, image: 1, embedding: 1, other: 1 },
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
  [`${MODEL}=rehearsal:tokens=3,first=${SERVICE_MS}`],
  { key: new Sealed(provider.key), perModel: PLACES },
);
await agent.registered;

/** Tenants by what they ask for, in requests a second. */
async function load(rates: readonly number[], forMs = FOR_MS): Promise<Figures> {
  const job = {
    port: market.gatewayPort,
    bodyFile,
    forMs,
    tenants: rates.map((perSecond, at) => ({ name: `t${at}`, key: tenants[at]?.key, perSecond })),
  };
  const client = fileURLToPath(new URL('./overload-client.mjs', import.meta.url));
  const { stdout } = await run('node', [client, JSON.stringify(job)], { maxBuffer: 2 ** 28 });
  return JSON.parse(stdout.slice(stdout.indexOf('@@') + 2)) as Figures;
}

const servedBy = (all: readonly TenantFigures[]): number => all.reduce((sum, each) => sum + each.answered, 0);
const inTimeOf = (all: readonly TenantFigures[]): number => all.reduce((sum, each) => sum + each.inTime, 0);
const askedOf = ({ statuses }: TenantFigures): number =>
  Object.values(statuses).reduce((sum, count) => sum + count, 0);
const lateness = (...ms: number[]): string => `${ms.map((each) => each.toFixed(1)).join(', ')} ms`;
const at = (values: readonly number[], share: number): string => {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN).toFixed(1);
};
const even = (perSecond: number): number[] => Array.from({ length: 10 }, () => perSecond / 10);

await load(even(CAPACITY / 2), 3_000);
const peak = inTimeOf((await load(even(CAPACITY * 1.2))).tenants);
console.log(`peak: ${(peak / (FOR_MS / 1_000)).toFixed(1)} answers a second of ${CAPACITY} possible`);

const cpu = process.cpuUsage();
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
const { tenants: crowd, ...client } = await load(even(CAPACITY * 10));
delay.disable();
const { user, system } = process.cpuUsage(cpu);
const crowdAsked = crowd.reduce((sum, each) => sum + askedOf(each), 0);
console.log(
  `CPU of market and agent: ${Math.round((user + system) / crowdAsked)} µs a request, at ${crowdAsked} requests`,
);
// Whoever was let wait and was told no at its deadline is no refusal at once: by the time since it was sent, whoever was late.
const refusals = crowd.flatMap(({ refusedMs, refusedSentMs }) =>
  refusedMs.map((dueMs, n) => ({ dueMs, sentMs: refusedSentMs[n] ?? Number.NaN })),
);
const atOnce = refusals.filter(({ sentMs }) => sentMs < 1_000);
const sentMs = atOnce.map((each) => each.sentMs);
const dueMs = atOnce.map((each) => each.dueMs);
console.log(
  `ten times that, by ten tenants: ${((100 * inTimeOf(crowd)) / peak).toFixed(1)} % of the peak; refused ${refusals.length}, ` +
    `of which ${((100 * atOnce.length) / refusals.length).toFixed(1)} % at once: ` +
    `since sent p50 ${at(sentMs, 0.5)} ms, p99 ${at(sentMs, 0.99)} ms, since due p50 ${at(dueMs, 0.5)} ms, p99 ${at(dueMs, 0.99)} ms; answered within p99 ${at(
      crowd.map((each) => each.answered99Ms ?? 0),
      1,
    )} ms`,
);
console.log(
  `delay of event loops, p50, p99 and most: client ${lateness(client.loopDelay50Ms, client.loopDelay99Ms, client.loopDelayMostMs)}, ` +
    `market and agent ${lateness(delay.percentile(50) / 1e6, delay.percentile(99) / 1e6, delay.max / 1e6)} ` +
    `(about 1 is never late; one halt of 200 ms delays 200 requests of this load); load of the machine ${os.loadavg()[0]?.toFixed(1)} on ${os.availableParallelism()} cores`,
);
console.log(`statuses ${JSON.stringify(crowd.map(({ statuses }) => statuses).slice(0, 2))}`);

const fair = CAPACITY / 11;
const [greedy, ...others] = (await load([100 * fair, ...even(0.4 * CAPACITY)])).tenants as [
  TenantFigures,
  ...TenantFigures[],
];
const asked = others.reduce((sum, each) => sum + askedOf(each), 0);
console.log(
  `one tenant at ${(100 * fair).toFixed(0)} a second, a hundred times its share: the other ten get ` +
    `${((100 * servedBy(others)) / asked).toFixed(2)} % of their ${asked} requests, itself ` +
    `${((100 * greedy.answered) / askedOf(greedy)).toFixed(1)} %`,
);

await agent.close();
await market.close(2_000);
await database.close();
await server.stop();
rmSync(folder, { recursive: true, force: true });
