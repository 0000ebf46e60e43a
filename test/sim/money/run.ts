import { parseArgs } from 'node:util';
import { openDatabases } from './databases.ts';
import type { MoneySabotage } from './faults.ts';
import { simulateMoney } from './simulate.ts';

/**
 *     npm run sim:money -- [--seeds 20] [--from 1] [--seed 7] [--steps 1500] [--trace] [--sabotage NAME]
 *
 * Lives through worlds of money, one seed after the other, and prints what became of each. With `--seed` only that one is
 * lived; `--trace` prints every line of it. With `--sabotage` the world is broken on purpose (`faults.ts` lists the ways).
 */
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20' },
    seed: { type: 'string' },
    from: { type: 'string', default: '1' },
    steps: { type: 'string', default: '1500' },
    trace: { type: 'boolean', default: false },
    sabotage: { type: 'string' },
  },
});
const steps = Number(values.steps);
const first = Number(values.seed ?? values.from);
const sabotage = values.sabotage as MoneySabotage | undefined;
const count = values.seed === undefined ? Number(values.seeds) : 1;

const startedMs = performance.now();
const databases = await openDatabases();
const faults = new Map<string, number>();
const counts: Record<string, number> = {};
let failed = 0;
let stepped = 0;
try {
  for (let seed = first; seed < first + count; seed++) {
    const { database, drop } = await databases.fresh(`world_${seed}`);
    const print = values.trace ? (line: string) => console.log(line) : undefined;
    const outcome = await simulateMoney({ seed, steps, database, print, sabotage });
    await drop();
    stepped += outcome.steps;
    for (const [kind, times] of outcome.faults) faults.set(kind, (faults.get(kind) ?? 0) + times);
    for (const [kind, times] of Object.entries(outcome.counts)) counts[kind] = (counts[kind] ?? 0) + times;
    const { hash, virtualDays, violations } = outcome;
    console.log(
      `seed ${seed}  ${hash}  ${outcome.steps} steps  ${virtualDays} virtual days  ${violations.length === 0 ? 'kept every promise' : 'BROKE A PROMISE'}`,
    );
    for (const violation of violations.slice(0, 3)) {
      failed += 1;
      console.log(
        `\n${violation.invariant} at step ${violation.step}, ${violation.atMs} ms: ${violation.what}`,
      );
      for (const line of violation.trace) console.log(`    ${line}`);
      console.log(`replay: npm run sim:money -- --seed ${seed} --steps ${steps} --trace\n`);
    }
  }
} finally {
  await databases.close();
}
const told = (entries: Iterable<[string, number]>): string =>
  [...entries].map(([kind, times]) => `${kind} ${times}`).join(', ');
console.log(`\n${stepped} steps in ${((performance.now() - startedMs) / 1_000).toFixed(1)} s`);
console.log(told(Object.entries(counts)));
console.log(told(faults));
if (failed > 0) process.exitCode = 1;
