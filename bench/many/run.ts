import type { ChildProcess } from 'node:child_process';
import { parseArgs } from 'node:util';
import { seededRandomness } from '#kit/random.ts';
import { choose } from '#routing/choose.ts';
import { healthAware } from '#routing/strategies/health-aware.ts';
import { candidate, smallNeed } from '#support/candidate.ts';
import { makeProvider } from '#support/parties.ts';
import { type BenchGateway, BenchMarket, quantile, sleep, sortedOf } from './market.ts';

/**
 *     npm run bench:many -- [routing] [two] [hop] [flush] [links] [--short]
 *
 * What several gateways cost, each figure against its counterpart in the same run. All of them: about six minutes on two quiet
 * cores; `--short` is a first look. One table for each.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    short: { type: 'boolean', default: false },
    'node-flags': { type: 'string', default: '' },
  },
});
const { short } = values;
const REHEARSAL = 'rehearsal:tokens=12,prompt=9';

const table = (
  title: string,
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): void => {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;
  console.log(`\n### ${title}\n`);
  console.log(line(head));
  console.log(line(head.map((_, i) => (i === 0 ? '---' : '---:'))));
  for (const row of rows) console.log(line(row));
};
const ms = (value: number): string => value.toFixed(2);
const median = (figures: readonly number[]): number => quantile(sortedOf(figures), 0.5);

/** A thousand nodes and fifty models: what a choice takes, by how many of the nodes have the model. */
function routing(): void {
  const rows = [20, 100, 1_000].map((count) => {
    const fleet = Array.from({ length: count }, (_, i) =>
      candidate(`${i}`, { inFlight: i % 8, record: { ttftMs: 20 + (i % 50), success: 0.99 } }),
    );
    const random = seededRandomness(1);
    const strategy = healthAware();
    const took: number[] = [];
    const rounds = Math.max(2_000, Math.floor((short ? 200_000 : 2_000_000) / count));
    for (let i = 0; i < rounds * 2; i++) {
      const from = process.hrtime.bigint();
      choose(smallNeed, fleet, { strategy, nowMs: 10_000 + i, random });
      const until = process.hrtime.bigint();
      if (i >= rounds) took.push(Number(until - from) / 1_000);
    }
    const sorted = sortedOf(took);
    return [count, ms(quantile(sorted, 0.5)), ms(quantile(sorted, 0.99)), rounds];
  });
  table('Choosing a node, µs', ['nodes that have the model', 'p50', 'p99', 'choices'], rows);
}

/** What one gateway is asked a second, whether there are others or not. */
const PER_GATEWAY_S = 150;

/** Each of these gateways is asked so many times a second for a while, whatever the answers take. */
async function load(market: BenchMarket, gateways: readonly BenchGateway[], forMs: number) {
  const cpu = gateways.map((gateway) => gateway.cpuS());
  const everyMs = 1_000 / (PER_GATEWAY_S * gateways.length);
  const asked: Promise<{ status: number }>[] = [];
  const from = performance.now();
  for (let n = 0; n * everyMs < forMs; n++) {
    await sleep(Math.max(0, from + n * everyMs - performance.now()));
    asked.push(market.ask(gateways[n % gateways.length] as BenchGateway));
  }
  const answers = await Promise.all(asked);
  const seconds = (performance.now() - from) / 1_000;
  const answered = answers.filter(({ status }) => status === 200).length;
  const spent = gateways.reduce((all, gateway, i) => all + gateway.cpuS() - (cpu[i] ?? 0), 0);
  return { perS: answered / seconds, cpuUs: (spent * 1e6) / answered, failed: answers.length - answered };
}

async function two(market: BenchMarket, a: BenchGateway, b: BenchGateway): Promise<void> {
  const forMs = short ? 2_000 : 6_000;
  const rounds = short ? 2 : 5;
  await load(market, [a, b], forMs * 2);
  const found = {
    one: [] as Awaited<ReturnType<typeof load>>[],
    both: [] as Awaited<ReturnType<typeof load>>[],
  };
  for (let i = 0; i < rounds; i++)
    for (const who of i % 2 === 0 ? (['one', 'both'] as const) : (['both', 'one'] as const))
      found[who].push(await load(market, who === 'one' ? [i % 4 < 2 ? a : b] : [a, b], forMs));
  const row = (name: string, runs: typeof found.one) => [
    name,
    Math.round(median(runs.map(({ perS }) => perS))),
    Math.round(median(runs.map(({ cpuUs }) => cpuUs))),
    runs.reduce((all, { failed }) => all + failed, 0),
  ];
  const ratio = (pick: (run: (typeof found.one)[0]) => number): string =>
    median(found.both.map((run, i) => pick(run) / pick(found.one[i] as typeof run))).toFixed(2);
  table(
    'Two gateways, each with the load of one, against one (all gateways on one CPU)',
    ['', 'requests/s', 'CPU µs per request', 'failed'],
    [
      row('one gateway', found.one),
      row('two gateways', found.both),
      ['ratio within a round, median', ratio(({ perS }) => perS), ratio(({ cpuUs }) => cpuUs), ''],
    ],
  );
}

/** The agent is at B: asked there, and asked at A. */
async function hop(market: BenchMarket, a: BenchGateway, b: BenchGateway): Promise<void> {
  const pairs = short ? 200 : 2_000;
  const took = { near: [] as number[], far: [] as number[] };
  for (let i = -200; i < pairs; i++)
    for (const where of i % 2 === 0 ? (['near', 'far'] as const) : (['far', 'near'] as const)) {
      const { ttftMs, status } = await market.ask(where === 'near' ? b : a, true);
      if (status !== 200) throw new Error(`asked ${where}: ${status}`);
      if (i >= 0) took[where].push(ttftMs);
    }
  const [near, far] = [sortedOf(took.near), sortedOf(took.far)];
  const row = (name: string, q: number) => [
    name,
    ms(quantile(near, q)),
    ms(quantile(far, q)),
    ms(quantile(far, q) - quantile(near, q)),
  ];
  table(
    `Time to the first token, ms (${pairs} streams each, one at a time)`,
    ['', 'agent at the gateway asked', 'agent at another gateway', 'added'],
    [row('p50', 0.5), row('p99', 0.99)],
  );
}

/** A request a few times a second, while another process's usage is posted. */
async function flush(market: BenchMarket, gateway: BenchGateway, agent: ChildProcess): Promise<void> {
  // Whoever posts takes a whole CPU, and the database with it: who is measured must not wait for that one.
  market.moveClients(agent, 'gateways');
  const rows = short ? 40_000 : 1_000_000;
  const EVERY_MS = 20;
  const ask = async (over: () => boolean): Promise<number[]> => {
    const took: number[] = [];
    const asked: Promise<void>[] = [];
    const from = performance.now();
    for (let n = 0; !over(); n++) {
      const due = from + n * EVERY_MS;
      await sleep(Math.max(0, due - performance.now()));
      asked.push(market.ask(gateway).then(() => void took.push(performance.now() - due)));
    }
    await Promise.all(asked);
    return sortedOf(took);
  };
  const quietMs = short ? 3_000 : 20_000;
  const quiet = async (): Promise<number[]> => {
    const until = performance.now() + quietMs;
    return await ask(() => performance.now() > until);
  };
  await quiet();
  const before = await quiet();
  // What a busy neighbour does by itself, on a machine whose two CPUs may be two threads of one.
  const burner = market.run(['-c', '1', process.execPath, '-e', 'for (;;);'], {});
  const beside = await quiet();
  burner.kill('SIGKILL');
  let heard = '';
  const argv = ['-c', '1', 'npx', 'tsx', 'bench/many/post.ts', String(rows), market.provider.id];
  const poster = market.run(argv, { DATABASE_URL: market.postgres.urlOf('market') }, (text) => {
    heard += text;
  });
  while (!heard.includes('@@posting') && poster.exitCode === null) await sleep(50);
  const from = performance.now();
  const during = await ask(() => heard.includes('@@posted') || poster.exitCode !== null);
  if (!heard.includes('@@posted')) throw new Error('The rows were not posted.');
  const seconds = (performance.now() - from) / 1_000;
  const after = await quiet();
  market.moveClients(agent, 'load');
  const row = (name: string, took: readonly number[]) => [
    name,
    took.length,
    ms(quantile(took, 0.5)),
    ms(quantile(took, 0.99)),
    (quantile(took, 0.99) / quantile(before, 0.99)).toFixed(2),
  ];
  table(
    `Serving while ${rows.toLocaleString('en')} usage rows are posted (${Math.round(rows / seconds)} rows/s, ${Math.round(seconds)} s)`,
    ['', 'requests', 'p50 ms', 'p99 ms', 'p99 ÷ before'],
    [
      row('before', before),
      row('beside a program that only burns the other CPU', beside),
      row('while', during),
      row('after', after),
    ],
  );
}

/** Idle links, and what it takes until all are back after the gateway was started anew. */
async function links(market: BenchMarket, gateway: BenchGateway): Promise<void> {
  const count = short ? 1_000 : 10_000;
  const memory = gateway.rssMb();
  const swarm = { registered: 0, refused: 0 };
  const heard = (text: string): void => {
    const last = text.trim().split('\n').at(-1) ?? '';
    if (last.startsWith('@@')) Object.assign(swarm, JSON.parse(last.slice(2)));
  };
  const argv = [
    '-c',
    '1',
    process.execPath,
    'bench/many/swarm.mjs',
    gateway.hubUrl,
    market.idleModel.id,
    String(count),
  ];
  const others = [await makeProvider(market.database), await makeProvider(market.database)];
  market.run(argv, { INFERENCE_API_KEY: others.map(({ key }) => key).join(',') }, heard);
  const all = async (): Promise<boolean> => {
    for (const until = performance.now() + 120_000; swarm.registered < count && performance.now() < until; )
      await sleep(50);
    return swarm.registered >= count;
  };
  if (!(await all())) console.log(`Only ${swarm.registered} of ${count} came in, ${swarm.refused} refusals.`);
  await sleep(5_000);
  const perLinkKb = ((gateway.rssMb() - memory) * 1_024) / swarm.registered;

  // As an official client does it: again, up to five times, half a second later each time.
  const clientsAre = { over: false };
  let asked = 0;
  let lost = 0;
  const client = async (): Promise<void> => {
    while (!clientsAre.over) {
      asked += 1;
      let answered = false;
      for (let tries = 0; tries < 6 && !answered; tries++) {
        const answer = await market.ask(gateway).catch(() => undefined);
        answered = answer?.status === 200;
        if (!answered) await sleep(500 * 2 ** tries);
      }
      if (!answered) lost += 1;
      await sleep(100);
    }
  };
  const clients = Promise.all([1, 2, 3].map(() => client()));
  await sleep(1_000);
  const from = performance.now();
  await gateway.stop('SIGKILL');
  swarm.registered = 0;
  await gateway.start();
  const upAt = performance.now();
  const back = await all();
  const backAt = performance.now();
  const backWall = Date.now();
  await sleep(2_000);
  clientsAre.over = true;
  await clients;
  const lag = gateway.lag(backWall);
  table(
    `${count.toLocaleString('en')} links after the gateway was killed and started again`,
    [
      'links back',
      'gateway up after s',
      'all back after it was up, s',
      'loop late meanwhile: p99, ms',
      'longest, ms',
      'requests',
      'given up after five retries',
      'kB per idle link',
      'refused dials',
    ],
    [
      [
        `${swarm.registered}${back ? '' : ' (given up)'}`,
        ((upAt - from) / 1_000).toFixed(1),
        ((backAt - upAt) / 1_000).toFixed(1),
        lag.p99,
        lag.most,
        asked,
        lost,
        perLinkKb.toFixed(1),
        swarm.refused,
      ],
    ],
  );
}

const wanted = positionals.length > 0 ? positionals : ['routing', 'two', 'hop', 'flush', 'links'];
if (wanted.includes('routing')) routing();
if (wanted.some((name) => name !== 'routing')) {
  const market = await BenchMarket.open();
  market.nodeFlags = values['node-flags'].split(' ').filter((flag) => flag !== '');
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void market.close().finally(() => process.exit(130)));
  try {
    const a = await market.gateway('a');
    const b = await market.gateway('b');
    // At first the only agent is at B: whoever asks A is served from there.
    const far = await market.agent('at-b', [b], REHEARSAL);
    await market.served(a);
    if (wanted.includes('hop')) await hop(market, a, b);
    // From here on nobody needs the other's agents.
    const both = await market.agent('at-both', [a, b], REHEARSAL);
    far.kill('SIGTERM');
    await sleep(2_000);
    if (wanted.includes('two')) await two(market, a, b);
    if (wanted.includes('flush')) await flush(market, a, both);
    if (wanted.includes('links')) await links(market, a);
    // Profiles are written by a process that ends by itself.
    if (market.nodeFlags.length > 0) await Promise.all([a, b].map((gateway) => gateway.stop('SIGTERM')));
  } finally {
    await market.close();
  }
}
process.exit();
