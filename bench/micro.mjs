// What our own hot spots cost, one by one, as CPU time: a busy machine then matters little.
// usage: node bench/micro.mjs [part of a name]
//
// A case names the modules of src it needs; one whose modules are not there is left out and said so. Modules are bundled as the
// product's are before they run: under a loader that compiles as it goes, the loader would be measured too.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { requestBody, TOKEN_CHUNKS } from './payloads.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const MODEL = 'meta-llama/Llama-3.1-8B-Instruct';
const MEASUREMENTS = 9;
const MEASUREMENT_MS = 80;

/** Keeps results alive, so that no compiler finds the work superfluous. */
let sink = 0;

const CASES = [
  {
    name: 'walk a message of 64 data frames',
    modules: ['wire/agent/frames.ts'],
    prepare: ({ eachFrame, encodeDataFrame, MAX_FRAME_PAYLOAD_BYTES }) => {
      const frames = TOKEN_CHUNKS.map((json, i) =>
        encodeDataFrame(i + 1, 1, 1, Buffer.from(`data: ${json}\n\n`)),
      );
      const message = Buffer.concat([...frames, frames[0], frames[1]]);
      return () => {
        eachFrame(message, MAX_FRAME_PAYLOAD_BYTES, (_, stream, payload) => {
          sink += stream + payload.length;
        });
      };
    },
  },
  {
    name: 'write a data frame of one event',
    modules: ['wire/agent/frames.ts'],
    prepare: ({ encodeDataFrame }) => {
      const event = Buffer.from(`data: ${TOKEN_CHUNKS[5]}\n\n`);
      return (i) => {
        sink += encodeDataFrame(i, 1, 1, event).length;
      };
    },
  },
  {
    name: 'price the usage of a request',
    modules: ['domain/price.ts'],
    prepare: ({ priceOf }) => {
      const price = { id: 'price', unit: 'token', inputPico: 50_000n, outputPico: 80_000n };
      return (i) => {
        sink += Number(priceOf({ inputTokens: 200 + (i & 63), outputTokens: 64 }, price));
      };
    },
  },
  {
    name: 'divide a charge among the parties',
    modules: ['domain/policy.ts'],
    prepare: ({ shareOut, SPLIT_POLICIES }) => {
      const [policy] = Object.values(SPLIT_POLICIES);
      return (i) => {
        sink += Object.keys(shareOut(BigInt(1_000_003 + i), policy)).length;
      };
    },
  },
  ...[10, 1000].map((count) => ({
    name: `choose among ${count} candidates`,
    modules: [
      'routing/choose.ts',
      'routing/breaker.ts',
      'routing/score.ts',
      'routing/strategies/health-aware.ts',
    ],
    prepare: ({ choose, newBreaker, newRecord, healthAware }) => {
      const candidates = Array.from({ length: count }, (_, i) => ({
        id: `candidate-${i}`,
        linkId: `link-${i}`,
        nodeId: `node-${i}`,
        providerId: `provider-${i >> 1}`,
        mode: 'websocket',
        health: i % 17 === 0 ? 'degraded' : 'healthy',
        eligible: i % 13 !== 0,
        ineligibleBecause: undefined,
        draining: i % 29 === 0,
        inFlight: i % 5,
        linkInFlight: i % 5,
        capacity: 8,
        linkCapacity: 8,
        maxRequestBytes: 1_000_000,
        vramGb: i % 3 === 0 ? 80 : 24,
        connectedAtMs: -1_000_000,
        breaker: newBreaker(),
        record: {
          ...newRecord(),
          success: 0.5 + (i % 50) / 100,
          ttftMs: 50 + (i % 90),
          lastOutcomeMs: 0,
          outcomes: 50,
        },
      }));
      const need = { modelId: MODEL, requestBytes: 1500 };
      const choice = {
        strategy: healthAware(),
        nowMs: 1000,
        random: { float: Math.random, bytes: () => Buffer.alloc(8) },
      };
      return () => {
        sink += choose(need, candidates, choice).picks.length;
      };
    },
  })),
  ...[1, 64, 400].map((kb) => ({
    name: `JSON.parse of a ${kb} kB body (for comparison)`,
    modules: [],
    prepare: () => {
      const body = Buffer.from(requestBody({ model: MODEL, promptBytes: kb * 1000 }));
      return () => {
        sink += JSON.parse(body).messages.length;
      };
    },
  })),
];

/** The exports of several modules of src, bundled. */
async function load(modules, folder) {
  if (modules.length === 0) return {};
  const outfile = path.join(folder, `${modules.join('+').replaceAll('/', '-')}.mjs`);
  const contents = modules.map((module) => `export * from './src/${module}';`).join('\n');
  await build({
    stdin: { contents, resolveDir: root, loader: 'ts' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    outfile,
    logLevel: 'error',
  });
  return import(pathToFileURL(outfile).href);
}

/** The least CPU time of one call over several measurements, in ns. */
function nsPerCall(call) {
  const cpuUs = () => {
    const { user, system } = process.cpuUsage();
    return user + system;
  };
  const calls = (count) => {
    const before = cpuUs();
    for (let i = 0; i < count; i += 1) call(i);
    return cpuUs() - before;
  };
  let count = 1;
  while (calls(count) < (MEASUREMENT_MS * 1000) / 2) count *= 2;
  let bestUs = Number.POSITIVE_INFINITY;
  for (let i = 0; i < MEASUREMENTS; i += 1) bestUs = Math.min(bestUs, calls(count));
  return (bestUs * 1000) / count;
}

const readable = (ns) =>
  ns < 1000
    ? `${ns.toFixed(0)} ns`
    : ns < 1e6
      ? `${(ns / 1000).toFixed(2)} µs`
      : `${(ns / 1e6).toFixed(2)} ms`;

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cygnet-micro-'));
try {
  const wanted = process.argv[2] ?? '';
  for (const { name, modules, prepare } of CASES.filter((each) => each.name.includes(wanted))) {
    const absent = modules.filter((module) => !fs.existsSync(path.join(root, 'src', module)));
    if (absent.length > 0) {
      console.log(`${name.padEnd(48)} left out: no src/${absent.join(', src/')}`);
      continue;
    }
    console.log(`${name.padEnd(48)} ${readable(nsPerCall(prepare(await load(modules, folder))))}`);
  }
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
if (Number.isNaN(sink)) console.log('something was no number');
