// How our own product is started and asked: all that the benchmark knows of its commands and settings stands in this file.
//
// It runs as for a customer: key check, limits, holds, metering, ledger, PostgreSQL, one log line per request into a file. The
// limits are only raised so far that the load passes. The gateway and hub process stays on the CPU of the targets; the agent
// and PostgreSQL are moved to the other one and reported apart.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { descendants } from './machine.mjs';
import { EMBEDDING_MODEL } from './payloads.mjs';
import { folder, freePort, listening, runCommand, sleep, start, tail } from './processes.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const CYGNET = path.join(root, 'dist/cygnet.mjs');
const AGENT = path.join(root, 'dist/agent.mjs');
const CONSUMER = 'bench';
const PROVIDER = 'bench-provider';

/** The operator's commands, each answering JSON. */
const COMMAND = {
  createConsumer: ['consumers', 'create', CONSUMER, '--json'],
  credit: ['credit', CONSUMER, '1000', '--json'],
  createConsumerKey: ['keys', 'create', '--consumer', CONSUMER, '--json'],
  createProvider: ['providers', 'create', PROVIDER, '--json'],
  createProviderKey: ['keys', 'create', '--provider', PROVIDER, '--json'],
  revokeKey: (id) => ['keys', 'revoke', id, '--json'],
  audit: ['audit', '--json'],
};

const serveSettings = ({ dataDir, gatewayPort, hubPort, databaseUrl }) => ({
  CYGNET_DATA_DIR: dataDir,
  CYGNET_HOST: '127.0.0.1',
  CYGNET_GATEWAY_PORT: String(gatewayPort),
  CYGNET_HUB_PORT: String(hubPort),
  CYGNET_LOG_LEVEL: 'info',
  CYGNET_PROBES: 'no',
  CYGNET_BENCHMARKS: 'off',
  CYGNET_LLM_REQUESTS_PER_MINUTE: '100000000',
  CYGNET_EMBEDDING_REQUESTS_PER_MINUTE: '100000000',
  CYGNET_CONCURRENT_PER_KEY: '100000',
  NODE_ENV: 'production',
  DATABASE_URL: databaseUrl, // absent: PostgreSQL starts under the data folder
});

const agentArguments = ({ hubUrl, key, model, backend, dataDir }) => [
  AGENT,
  `--hub=${hubUrl}`,
  `--key=${key}`,
  `--folder=${dataDir}`,
  `--model=${model}=${backend}`,
  `--model=${EMBEDDING_MODEL}=${backend}`,
  '--concurrency=4096',
];
const AGENT_SETTINGS = { NODE_ENV: 'production' };

/** How many charged requests the answer of `cygnet audit` speaks of. */
const chargesIn = (audit) => numberNamed(audit, ['checkedUsage']);

export function whyNoCygnet() {
  const absent = [CYGNET, AGENT].filter((file) => !fs.existsSync(file));
  if (absent.length === 0) return null;
  return `${absent.map((file) => path.relative(root, file)).join(' and ')} not built; \`npm run build\` builds them`;
}

/** Starts the product with one agent. `served` says by whom: `upstream` and `rehearsal` are our agent, `swan` the double. */
export async function startCygnet(name, served, setting) {
  const dataDir = path.join(folder, name);
  fs.mkdirSync(dataDir, { mode: 0o755 });
  const gatewayPort = await freePort();
  const hubPort = await freePort();
  const env = serveSettings({ dataDir, gatewayPort, hubPort, databaseUrl: setting.databaseUrl });
  const cygnet = start(
    name,
    setting.cpus.target,
    [
      'node',
      ...setting.nodeFlags,
      setting.dist ? path.join(root, setting.dist, 'cygnet.mjs') : CYGNET,
      'serve',
    ],
    { env },
  );
  await healthy(gatewayPort, cygnet);
  const databaseProcesses = moveDatabase(dataDir, setting.cpus.load);

  const command = async (argv) => JSON.parse(await runCommand(['node', CYGNET, ...argv], { env }));
  await command(COMMAND.createConsumer);
  await command(COMMAND.credit);
  const consumerKey = keyIn(await command(COMMAND.createConsumerKey), 'sk-swan-');
  const refused = await command(COMMAND.createConsumerKey);
  await command(COMMAND.revokeKey(textNamed(refused, ['id', 'keyId'])));
  await command(COMMAND.createProvider);
  const providerKey = keyIn(await command(COMMAND.createProviderKey), 'sk-prov-');

  const agent = await startAgent({ name, served, setting, hubPort, providerKey });
  return {
    port: gatewayPort,
    headers: { authorization: `Bearer ${consumerKey}` },
    refusedHeaders: { authorization: `Bearer ${keyIn(refused, 'sk-swan-')}` },
    pids: [cygnet.pid],
    others: { agent: () => [agent.pid], database: () => databaseOf(dataDir) },
    diaryUrl: agent.diaryUrl,
    log: cygnet.log,
    stall: {
      pause: () => signalAll(databaseOf(dataDir), 'SIGSTOP'),
      resume: () => signalAll(databaseOf(dataDir), 'SIGCONT'),
      possible: databaseProcesses > 0,
    },
    unpostedBytes: async () => {
      const health = await fetch(`http://127.0.0.1:${gatewayPort}/health`);
      return (await health.json()).ledger.behind_bytes;
    },
    charges: async () => chargesIn(await command(COMMAND.audit)),
    audit: () =>
      command(COMMAND.audit).then(
        () => 'passed',
        (error) => `failed: ${error.message}`,
      ),
  };
}

async function startAgent({ name, served, setting, hubPort, providerKey }) {
  const hubUrl = `ws://127.0.0.1:${hubPort}`;
  const { model, cpus } = setting;
  if (served === 'swan') {
    const double = path.join(root, 'bench/swan-agent.mjs');
    const agent = start(`${name}-agent`, cpus.load, ['node', double, hubUrl, model], {
      env: { INFERENCE_API_KEY: providerKey },
    });
    const { port } = await listening(agent, 20_000);
    return { pid: agent.pid, diaryUrl: `http://127.0.0.1:${port}/ctl/diary` };
  }
  const backend =
    served === 'rehearsal' ? 'rehearsal:tokens=62,prompt=200' : `http://127.0.0.1:${setting.upstreamPort}/v1`;
  const dataDir = path.join(folder, `${name}-agent`);
  fs.mkdirSync(dataDir);
  const argv = agentArguments({ hubUrl, key: providerKey, model, backend, dataDir });
  const agent = start(`${name}-agent`, cpus.load, ['node', ...argv], { env: AGENT_SETTINGS });
  // Nobody keeps a diary of what the rehearsal backend writes.
  return { pid: agent.pid, diaryUrl: served === 'rehearsal' ? null : setting.upstreamDiaryUrl };
}

/** Waits until the gateway answers; the first start makes a database. */
async function healthy(port, cygnet, deadlineMs = 90_000) {
  for (const end = Date.now() + deadlineMs; Date.now() < end; await sleep(200)) {
    const answer = await fetch(`http://127.0.0.1:${port}/health`).catch(() => null);
    if (answer?.ok) return;
    if (!cygnet.alive()) break;
  }
  throw new Error(`the gateway did not come up: ${tail(cygnet.log)}`);
}

/** The embedded PostgreSQL is a daemon of its own: its process id stands in its folder. */
function databaseOf(dataDir) {
  const file = path.join(dataDir, 'postgres/data/postmaster.pid');
  if (!fs.existsSync(file)) return [];
  const postmaster = Number(fs.readFileSync(file, 'utf8').split('\n')[0]);
  return [postmaster, ...descendants(postmaster)];
}

/** Moves the embedded PostgreSQL to another CPU; what it starts from now on follows. */
function moveDatabase(dataDir, cpu) {
  const pids = databaseOf(dataDir);
  for (const each of pids) execFileSync('taskset', ['-apc', String(cpu), String(each)], { stdio: 'ignore' });
  return pids.length;
}

function signalAll(pids, name) {
  for (const pid of pids) process.kill(pid, name);
}

/** All leaves of a JSON document, as [name, value]. */
function* leaves(document, name = '') {
  if (document === null || typeof document !== 'object') yield [name, document];
  else for (const [key, value] of Object.entries(document)) yield* leaves(value, key);
}

function found(document, wanted, test) {
  for (const leaf of leaves(document)) if (test(leaf)) return leaf[1];
  throw new Error(`no ${wanted} in ${JSON.stringify(document).slice(0, 200)}`);
}
const keyIn = (document, prefix) =>
  found(document, `key ${prefix}…`, ([, value]) => typeof value === 'string' && value.startsWith(prefix));
const textNamed = (document, names) =>
  found(document, names.join('/'), ([name, value]) => names.includes(name) && typeof value === 'string');
const numberNamed = (document, names) =>
  Number(
    found(
      document,
      names.join('/'),
      ([name, value]) => names.includes(name) && Number.isFinite(Number(value)),
    ),
  );
