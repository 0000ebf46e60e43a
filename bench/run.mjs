// What the market adds between a consumer and a model, side by side with peers and floors, in one interleaved run.
// docs/performance.md tells the method; `node bench/run.mjs --help` the options.
//
// All targets run at once, pinned to one CPU (idle ones cost next to nothing); load, upstream, agents and PostgreSQL share
// another. Each round asks every target in a fresh random order, so that a busy moment of the machine hits all alike.
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeMachine, hasProgram } from './machine.mjs';
import { EMBEDDINGS, embeddingsBody, requestBody, TOKENS } from './payloads.mjs';
import { folder, listening, sleep, start, stopAll, tail } from './processes.mjs';
import { writeReport } from './report.mjs';
import {
  DEFAULT_SCENARIOS,
  HANG_UP_BODY,
  HUGE_PROMPT_BYTES,
  LONG_PROMPT_BYTES,
  measure,
  PACED_MS,
  SCENARIOS,
} from './scenarios.mjs';
import { DEFAULT_TARGETS, TARGETS } from './targets.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));

const BY_NAME = Object.keys(SCENARIOS)
  .filter((name) => !DEFAULT_SCENARIOS.includes(name))
  .join(' and ');

const HELP = `npm run bench -- [options]
  --targets a,b        of ${Object.keys(TARGETS).join(', ')} (default ${DEFAULT_TARGETS.join(',')})
  --scenarios a,b      of ${Object.keys(SCENARIOS).join(', ')} (default all but ${BY_NAME})
  --rounds N           rounds over all targets (3)
  --secs N             seconds of an ordinary measurement (2)
  --budget N           minutes for everything: no round begins that would not leave time for the rest (10)
  --quick              one round of 1 s, no database stall: under three minutes, for a first look
  --quiet N            wait up to N seconds before each measurement until others use under 25 % of both CPUs (0)
  --out DIR            where results go (bench/results)
  --cpus A,B           the CPU of the targets and the CPU of everything else (0,1)
  --model ID           the catalogue's model that is asked for (meta-llama/Llama-3.1-8B-Instruct)
  --prompts-pace N     ms between events of a stream in the scenario prompts (20)
  --steady N           requests a second in the scenario stall (320)
  --soak-minutes N     length of the scenario soak, for each target (5)
  --node-flags="F"     flags for the Node of our gateways, as --node-flags="--cpu-prof --cpu-prof-dir=DIR" (best with one
                       scenario; with "=", since the flags begin with a dash themselves)
  --database-url URL   use this PostgreSQL instead of the embedded one (no stall then)`;

function options() {
  const { values } = parseArgs({
    options: {
      targets: { type: 'string' },
      scenarios: { type: 'string' },
      rounds: { type: 'string' },
      secs: { type: 'string' },
      budget: { type: 'string', default: '10' },
      quiet: { type: 'string', default: '0' },
      quick: { type: 'boolean', default: false },
      out: { type: 'string', default: path.join(here, 'results') },
      cpus: { type: 'string', default: '0,1' },
      model: { type: 'string', default: 'meta-llama/Llama-3.1-8B-Instruct' },
      'prompts-pace': { type: 'string', default: '20' },
      steady: { type: 'string', default: '320' },
      'soak-minutes': { type: 'string', default: '5' },
      'database-url': { type: 'string' },
      'node-flags': { type: 'string', default: '' },
      help: { type: 'boolean', default: false },
    },
  });
  const scenarios =
    values.scenarios?.split(',') ?? DEFAULT_SCENARIOS.filter((name) => !(values.quick && name === 'stall'));
  const targets = values.targets?.split(',') ?? [...DEFAULT_TARGETS];
  for (const name of scenarios)
    if (!SCENARIOS[name]) throw new Error(`no scenario is called ${name}\n${HELP}`);
  for (const name of targets) if (!TARGETS[name]) throw new Error(`no target is called ${name}\n${HELP}`);
  if (scenarios.includes('badkey') && !targets.includes('empty')) targets.push('empty');
  const [target, load] = values.cpus.split(',').map(Number);
  return {
    ...values,
    scenarios,
    targets,
    asked: values.targets !== undefined,
    rounds: Number(values.rounds ?? (values.quick ? 1 : 3)),
    seconds: Number(values.secs ?? (values.quick ? 1 : 2)),
    budgetMs: Number(values.budget) * 60_000,
    cpus: { target, load },
  };
}

/** Writes the bodies to files, where wrk and our clients read them. */
function writeBodies({ model, pacePromptsMs }) {
  const bodies = {
    plain: { model },
    big: { model, promptBytes: 65_536 },
    burst: { model, stream: true },
    paced: { model, stream: true, paceMs: PACED_MS },
    hangUp: { model, stream: true, ...HANG_UP_BODY },
    steady: { model, stream: true, paceMs: pacePromptsMs, tokens: 250 },
    longPrompt: { model, promptBytes: LONG_PROMPT_BYTES },
    huge: { model, promptBytes: HUGE_PROMPT_BYTES },
  };
  const texts = {
    ...Object.fromEntries(Object.entries(bodies).map(([name, shape]) => [name, requestBody(shape)])),
    embed: embeddingsBody({ writing: 'base64' }),
    floats: embeddingsBody({ writing: 'float' }),
  };
  return Object.fromEntries(
    Object.entries(texts).map(([name, text]) => {
      const file = path.join(folder, `${name}.json`);
      fs.writeFileSync(file, text);
      return [name, file];
    }),
  );
}

/** One request on a connection of its own: the status, the text, and every byte that came over the wire. */
function ask(target, bodyFile, at = '/v1/chat/completions') {
  return new Promise((resolve, reject) => {
    const agent = new http.Agent();
    const headers = { ...target.headers, 'content-type': 'application/json' };
    const where = { host: '127.0.0.1', port: target.port, path: at, agent, headers };
    const request = http.request({ ...where, method: 'POST', timeout: 10_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (more) => {
        text += more;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode, text, bytes: response.socket?.bytesRead ?? 0 }),
      );
      response.on('error', reject);
    });
    request.on('timeout', () => request.destroy(new Error('no answer within 10 s')));
    request.on('error', reject);
    request.end(fs.readFileSync(bodyFile));
  });
}

/** Is this answer a whole completion with its usage? */
function proveCompletion(plain) {
  const answer = plain.status === 200 ? JSON.parse(plain.text) : {};
  if (!(answer.choices?.[0]?.message?.content?.length > TOKENS) || !(answer.usage?.total_tokens > TOKENS)) {
    throw new Error(`a plain request was answered ${plain.status} ${plain.text.slice(0, 200)}`);
  }
}

/** Does an answer hold the upstream's vectors, in order and to the last bit? */
function proveVectors({ status, text }, writing) {
  const vectors = (json) => JSON.stringify(JSON.parse(json).data.map(({ embedding }) => embedding));
  if (status !== 200 || vectors(text) !== vectors(EMBEDDINGS[writing]))
    throw new Error(`embeddings as ${writing} were answered ${status} ${text.slice(0, 200)}`);
}

/** Does the target do its job? A gateway that answers wrongly would be measured as a fast one. */
async function prove(target, setting) {
  if (target.refusesAll) return;
  proveCompletion(await ask(target, setting.bodies.plain));
  proveCompletion(await ask(target, setting.bodies.huge));
  if (!SCENARIOS.embed.cannot[target.name]) {
    proveVectors(await ask(target, setting.bodies.embed, '/v1/embeddings'), 'base64');
    proveVectors(await ask(target, setting.bodies.floats, '/v1/embeddings'), 'float');
  }
  const stream = await ask(target, setting.bodies.burst);
  const events = stream.text.split('\n\n').filter((event) => event.startsWith('data: '));
  const tokens = events.filter((event) => /"content":"[^"]/.test(event)).length;
  const [usage, done] = events.slice(-2);
  if (
    stream.status !== 200 ||
    tokens !== TOKENS ||
    done !== 'data: [DONE]' ||
    !usage?.includes('"usage":{')
  ) {
    throw new Error(`a stream was answered ${stream.status}, ${tokens} tokens, ${stream.text.slice(-200)}`);
  }
  // An idle gateway frames each event for itself; one under load may join several and so save a few bytes.
  const paced = await ask(target, setting.bodies.paced);
  target.streamBytes = { burst: stream.bytes, paced: paced.bytes };
}

/** Starts a target and asks it until it answers rightly. */
async function bringUp(name, setting) {
  const target = await TARGETS[name].start(setting);
  target.name = name;
  for (const end = Date.now() + 20_000; ; await sleep(250)) {
    try {
      await prove(target, setting);
      return target;
    } catch (error) {
      if (Date.now() > end) {
        const said = target.log ? `; it said: ${tail(target.log)}` : '';
        throw new Error(`${error.cause?.message ?? error.message}${said}`, { cause: error });
      }
    }
  }
}

function shuffled(values) {
  const rest = [...values];
  return values.map(() => rest.splice(Math.floor(Math.random() * rest.length), 1)[0]);
}

const short = (value) => (typeof value === 'number' ? Number(value.toPrecision(4)) : value);

function tellRow(row) {
  const figures = row.failed
    ? `FAILED ${row.failed}`
    : row.skipped
      ? `skipped: ${row.skipped}`
      : [
          'perSecond',
          'tokensPerSecond',
          'p50Ms',
          'p99Ms',
          'ttft50Ms',
          'gap99Ms',
          'after99',
          'learns99Ms',
          'rssMb',
        ]
          .filter((name) => row[name] !== undefined && row[name] !== null)
          .map((name) => `${name} ${short(row[name])}`)
          .join('  ');
  const perUnit = row.units > 0 && row.cpu > 0 ? `  µs/unit ${short((row.cpu / row.units) * 1e6)}` : '';
  const bad = (row.badStatus ?? 0) + (row.badRead ?? 0) + (row.bad ?? 0) + (row.promptsBad ?? 0);
  const wrong = bad > 0 && row.scenario !== 'badkey' ? `  BAD ${bad}` : '';
  console.log(
    `${row.round}  ${row.scenario.padEnd(8)} ${row.target.padEnd(16)} ${figures}${perUnit}${wrong}`,
  );
}

/** What the scenario stall takes, with its settling before and after. */
const STALL_MS = 75_000;
const WARM_REQUESTS = 10_000;
/** So few of these are served in a second that they would leave the path that all requests share uncompiled. */
const RARE = new Set(['embed', 'floats', 'huge']);
const WARM_TOKENS = 150_000;
const WARM_SECONDS_MAX = 8;

/**
 * Compilers and caches first: what is measured is a server that has been up for a while. That is a matter of how much it
 * has served, not for how long: on a busy machine a second of requests would leave most of a gateway uncompiled.
 */
async function warmUp(target, setting, scenarios) {
  const loads = ['n64', 'burst', 'big', 'sat', 'embed', 'floats', 'huge'].filter((name) =>
    scenarios.includes(name),
  );
  if (loads.some((name) => RARE.has(name)) && !loads.includes('n64')) loads.unshift('n64');
  for (const scenario of loads) {
    const wanted = { n64: WARM_REQUESTS, sat: WARM_TOKENS }[scenario] ?? 0;
    let served = 0;
    for (let seconds = 0; seconds === 0 || (served < wanted && seconds < WARM_SECONDS_MAX); seconds += 1) {
      const row = await measure(scenario, target, { ...setting, seconds: 1 });
      if (row.skipped) break;
      served += row.units || WARM_TOKENS; // one that serves nothing is found out when it is measured
    }
  }
}

/** Runs the benchmark; answers whether every target that is there did its job. */
async function run(chosen) {
  const begun = Date.now();
  const machine = describeMachine();
  const [scenarios, unmeasurable] = hasProgram('wrk')
    ? [chosen.scenarios, []]
    : [
        chosen.scenarios.filter((name) => SCENARIOS[name].needs !== 'wrk'),
        chosen.scenarios.filter((name) => SCENARIOS[name].needs === 'wrk'),
      ];
  if (unmeasurable.length > 0) console.log(`left out: ${unmeasurable.join(', ')}: wrk is not installed`);
  fs.mkdirSync(chosen.out, { recursive: true });
  const resultFile = path.join(
    chosen.out,
    `${new Date().toISOString().slice(0, 19).replaceAll(':', '')}.jsonl`,
  );
  const keep = (row) => fs.appendFileSync(resultFile, `${JSON.stringify(row)}\n`);
  const pacePromptsMs = Number(chosen['prompts-pace']);
  const setting = {
    model: chosen.model,
    cpus: chosen.cpus,
    seconds: chosen.seconds,
    quietSeconds: Number(chosen.quiet),
    databaseUrl: chosen['database-url'],
    nodeFlags: chosen['node-flags'].split(' ').filter((flag) => flag !== ''),
    steadyPerSecond: Number(chosen.steady),
    stallSegmentsMs: [10_000, 30_000, 5_000],
    soakMinutes: Number(chosen['soak-minutes']),
    bodies: writeBodies({ model: chosen.model, pacePromptsMs }),
  };
  keep({ kind: 'setting', machine, rounds: chosen.rounds, pacePromptsMs, ...setting, bodies: undefined });

  const upstream = start('upstream', chosen.cpus.load, [
    'node',
    path.join(here, 'mock-upstream.mjs'),
    chosen.model,
  ]);
  setting.upstreamPort = (await listening(upstream)).port;
  setting.upstreamDiaryUrl = `http://127.0.0.1:${setting.upstreamPort}/ctl/diary`;

  let allWell = true;
  const targets = [];
  for (const name of chosen.targets) {
    const missing = TARGETS[name].missing();
    if (missing) {
      console.log(`left out: ${name}: ${missing}`);
      if (chosen.asked && name !== 'empty') allWell = false;
      continue;
    }
    try {
      targets.push(await bringUp(name, setting));
    } catch (error) {
      console.error(`FAILED: ${name} does not work: ${error.message}`);
      allWell = false;
    }
  }

  const takesPart = (scenario) => (target) =>
    SCENARIOS[scenario].only?.includes(target.name) ?? !target.refusesAll;
  const take = async (round, scenario) => {
    for (const target of shuffled(targets.filter(takesPart(scenario)))) {
      const row = {
        kind: 'row',
        round,
        scenario,
        target: target.name,
        ...(await measure(scenario, target, setting)),
      };
      if (row.failed !== undefined || row.units === 0) allWell = false;
      keep(row);
      tellRow(row);
    }
  };

  for (const target of targets.filter((each) => !each.refusesAll && each.pids.length > 0))
    await warmUp(target, setting, scenarios);
  const inRounds = scenarios.filter((name) => !SCENARIOS[name].once);
  const restMs = scenarios.includes('stall') ? STALL_MS : 0;
  let roundMs = 0;
  for (let round = 0; round < chosen.rounds; round += 1) {
    if (round > 0 && Date.now() - begun + roundMs + restMs > chosen.budgetMs) {
      console.log(`no further round: another would end after ${chosen.budget} minutes`);
      break;
    }
    const roundBegun = Date.now();
    for (const scenario of inRounds) await take(round, scenario);
    roundMs = Date.now() - roundBegun;
  }
  for (const scenario of scenarios.filter((name) => SCENARIOS[name].once)) await take(0, scenario);

  console.log(`\n${writeReport(resultFile)}`);
  console.log(
    `${Math.round((Date.now() - begun) / 1000)} s; raw figures: ${path.relative(process.cwd(), resultFile)}`,
  );
  return allWell;
}

const chosen = options();
if (chosen.help) {
  console.log(HELP);
  await stopAll();
  process.exit(0);
}
if (os.platform() !== 'linux' || !hasProgram('taskset') || os.cpus().length < 2) {
  console.error('The benchmark reads /proc and pins processes: it needs Linux, taskset and two CPUs.');
  await stopAll();
  process.exit(1);
}
try {
  if (!(await run(chosen))) process.exitCode = 1;
} finally {
  await stopAll();
}
process.exit();
