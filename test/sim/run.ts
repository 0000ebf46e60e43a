import { parseArgs } from 'node:util';
import { simulate } from './simulate.ts';

/**
 *     npm run sim -- [--seeds 20] [--from 1] [--seed 7] [--requests 5000] [--trace]
 *
 * Lives through worlds, one seed after the other, and prints what became of each. With `--seed` only that one is lived;
 * `--trace` prints every line of it.
 */
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20' },
    seed: { type: 'string' },
    from: { type: 'string', default: '1' },
    requests: { type: 'string', default: '5000' },
    trace: { type: 'boolean', default: false },
  },
});
const requests = Number(values.requests);
const first = Number(values.seed ?? values.from);
const count = values.seed === undefined ? Number(values.seeds) : 1;

const startedMs = performance.now();
let done = 0;
let failed = 0;
let steps = 0;
const faults = new Map<string, number>();
const counts: Record<string, number> = {};
for (let seed = first; seed < first + count; seed++) {
  const outcome = await simulate({
    seed,
    requests,
    print: values.trace ? (line) => console.log(line) : undefined,
  });
  done += requests;
  steps += outcome.steps;
  for (const [kind, times] of outcome.faults) faults.set(kind, (faults.get(kind) ?? 0) + times);
  for (const [kind, times] of Object.entries(outcome.counts)) counts[kind] = (counts[kind] ?? 0) + times;
  const { hash, virtualMs, violations } = outcome;
  console.log(
    `seed ${seed}  ${hash}  ${outcome.steps} steps  ${Math.round(virtualMs / 1_000)} virtual s  ${violations.length === 0 ? 'kept every promise' : 'BROKE A PROMISE'}`,
  );
  for (const violation of violations.slice(0, 3)) {
    failed += 1;
    console.log(
      `\n${violation.invariant} at step ${violation.step}, ${violation.atMs} ms: ${violation.what}`,
    );
    for (const line of violation.trace) console.log(`    ${line}`);
    console.log(`replay: npm run sim -- --seed ${seed} --requests ${requests} --trace\n`);
  }
}
const seconds = (performance.now() - startedMs) / 1_000;
console.log(
  `\n${done} requests, ${steps} steps, ${faults.size} kinds of faults, ${[...faults.values()].reduce((a, b) => a + b, 0)} faults in ${seconds.toFixed(1)} s: ${Math.round(done / seconds)} requests/s`,
);
console.log(
  Object.entries(counts)
    .map(([kind, times]) => `${kind} ${times}`)
    .join(', '),
);
console.log([...faults].map(([kind, times]) => `${kind} ${times}`).join(', '));
if (failed > 0) process.exitCode = 1;
