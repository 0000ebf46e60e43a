import { parseArgs } from 'node:util';
import { seededRandomness } from '#kit/random.ts';
import { EQUIVALENT, nameWithoutPlace } from './equivalent.ts';
import { type Mutant, mutantsOf } from './mutate.ts';
import { CONTRACTS, sourceOf, tryMutant } from './trial.ts';

/**
 *     npm run mutants -- [--contract MerkleDistributor] [--only TEXT] [--sample 60] [--seed 1] [--at-once 2]
 *
 * Changes the contracts in every small way that `mutate.ts` knows, one at a time, and runs their tests against each. Prints
 * what became of each. `--only` takes those whose name matches, `--sample` so many of them, drawn from the seed. Ends with 1 when one stays alive that
 * `equivalent.ts` does not explain, or when that explains one that a test kills.
 */
const { values } = parseArgs({
  options: {
    contract: { type: 'string', multiple: true, default: CONTRACTS },
    only: { type: 'string', default: '' },
    sample: { type: 'string' },
    seed: { type: 'string', default: '1' },
    'at-once': { type: 'string', default: '2' },
  },
});
const only = new RegExp(values.only);
const all = values.contract
  .flatMap((contract) => mutantsOf(contract, sourceOf(contract)))
  .filter(({ name }) => only.test(name));
const chosen = values.sample === undefined ? all : drawn(all, Number(values.sample), Number(values.seed));
const waiting = [...chosen];
const counts = { killed: 0, stillborn: 0, equivalent: 0, alive: 0, unexplained: 0 };

async function worker(): Promise<void> {
  for (let mutant = waiting.shift(); mutant; mutant = waiting.shift()) {
    const fate = await tryMutant(mutant);
    const reason = EQUIVALENT[nameWithoutPlace(mutant.name)];
    const became = fate.became === 'alive' && reason !== undefined ? 'equivalent' : fate.became;
    counts[became] += 1;
    if (fate.became === 'killed' && reason !== undefined) counts.unexplained += 1;
    const why = fate.became === 'killed' ? ` by ${fate.by}` : reason === undefined ? '' : `: ${reason}`;
    console.log(`${became.padEnd(10)} ${mutant.name}${why}`);
  }
}

await Promise.all(Array.from({ length: Number(values['at-once']) }, worker));
console.log(
  `\n${chosen.length} mutants of ${all.length}: ${Object.entries(counts)
    .map(([kind, count]) => `${count} ${kind}`)
    .join(', ')}`,
);
if (counts.alive + counts.unexplained > 0) process.exitCode = 1;

function drawn(from: readonly Mutant[], count: number, seed: number): Mutant[] {
  const random = seededRandomness(seed);
  return from
    .map((mutant) => ({ mutant, place: random.float() }))
    .toSorted((a, b) => a.place - b.place)
    .slice(0, count)
    .map(({ mutant }) => mutant);
}
