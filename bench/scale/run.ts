import { parseArgs } from 'node:util';
import type { WindowResult } from './exact.ts';
import { comparison, phases, worldInWords } from './report.ts';
import { play } from './scenario.ts';
import { LARGE, SMALL } from './world.ts';

/**
 *     npm run bench:scale -- [--seed 1] [--small] [--lose europe] [--steady 2] [--rerouted 3] [--settling 2] [--settled 3]
 *
 * 50 cells, a million nodes, a million requests a second: seconds request by request, in which a region is lost, and a
 * day by the minute. Lengths are in seconds of the windows. The same seed prints the same hash.
 */
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    small: { type: 'boolean', default: false },
    lose: { type: 'string' },
    steady: { type: 'string', default: '2' },
    rerouted: { type: 'string', default: '3' },
    settling: { type: 'string', default: '2' },
    settled: { type: 'string', default: '3' },
  },
});
const size = values.small ? SMALL : LARGE;
const region = values.lose ?? (values.small ? 'middle' : 'europe');
const lost = size.regions.findIndex(({ name }) => name === region);
if (lost < 0)
  throw new Error(`--lose: no region "${region}"; there are ${size.regions.map((r) => r.name).join(', ')}`);
const seed = Number(values.seed);
if (!Number.isSafeInteger(seed)) throw new Error('--seed must be a whole number');
const ms = (seconds: string, option: string): number => {
  const value = Math.round(Number(seconds) * 1_000);
  if (!(value > 0 && value <= 60_000)) throw new Error(`--${option} must be seconds, above 0 and at most 60`);
  return value;
};

const startedMs = performance.now();
const scenario = play({
  size,
  seed,
  lost,
  steadyMs: ms(values.steady, 'steady'),
  reroutedMs: ms(values.rerouted, 'rerouted'),
  settlingMs: ms(values.settling, 'settling'),
  settledMs: ms(values.settled, 'settled'),
  sampledCell: 0,
  checkEvery: values.small ? 1 : 64,
});
const windows = [scenario.window, scenario.settled];
const sum = (of: (window: WindowResult) => number) => windows.reduce((all, window) => all + of(window), 0);
const violations = windows.flatMap((window) => window.violations);
console.log(worldInWords(scenario));
console.log(`\n## Request by request: the region is lost\n\n${phases(scenario.window.tallies, scenario)}`);
console.log(
  `\n## Request by request: the region has been gone for long\n\n${phases(scenario.settled.tallies, scenario)}`,
);
console.log(`\n## Both manners side by side\n\n${comparison(scenario)}`);
console.log(`\n## The day, by the minute\n\n${phases(scenario.day, scenario)}`);
const { user, system } = process.cpuUsage();
const peakMb = Math.round(process.resourceUsage().maxRSS / 1_024);
console.log(
  `\nseed ${seed}  hash ${scenario.hash}\n` +
    `${sum((w) => w.requests)} requests, ${sum((w) => w.events)} events, ${sum((w) => w.choices)} choices by src/routing; nodes of a refused model at least ${(100 * Math.min(...windows.map((w) => w.fillAtRefusal))).toFixed(1)} % full\n` +
    `${((performance.now() - startedMs) / 1_000).toFixed(0)} s, ${((user + system) / 1e6).toFixed(0)} s of CPU, ${peakMb} MB at most`,
);
for (const violation of violations) console.log(`BROKEN: ${violation}`);
console.log(violations.length === 0 ? 'every promise was kept' : 'A PROMISE WAS BROKEN');
if (violations.length > 0) process.exitCode = 1;
