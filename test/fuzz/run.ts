import { parseArgs } from 'node:util';
import { fuzzBodies, fuzzConsole, fuzzPreferences, fuzzTranslations, type Tally } from './bodies.ts';
import { fuzzExternal } from './external.ts';
import { fuzzForms } from './forms.ts';
import { fuzzFrames } from './frames.ts';

/**
 *     npm run fuzz -- [--seed 1] [--cases 10000000] [--only bodies]
 *
 * Senseless frames, bodies, forms and answers in this process, from a seed. What breaks a promise is printed with its case;
 * the same seed finds it again. (Over real sockets: `npm run fuzz:sockets`.)
 */
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    cases: { type: 'string', default: '10000000' },
    only: { type: 'string' },
  },
});
const seed = Number(values.seed);
const cases = Number(values.cases);
/** Cases between two lines of progress, and the size of one hub's life. */
const STEP = 100_000;

const frames =
  (dialect: 'swan' | 'stream') =>
  async (seedOfStep: number, count: number): Promise<Tally> => {
    const tally = await fuzzFrames(seedOfStep, dialect, count);
    return { cases: count, outcomes: new Map(Object.entries(tally)), slowestMs: 0 };
  };
/** What share of the cases each gets. */
const KINDS: Record<
  string,
  { share: number; fuzz: (seed: number, cases: number) => Tally | Promise<Tally> }
> = {
  swan: { share: 0.25, fuzz: frames('swan') },
  stream: { share: 0.2, fuzz: frames('stream') },
  external: { share: 0.05, fuzz: fuzzExternal },
  bodies: { share: 0.25, fuzz: fuzzBodies },
  translations: { share: 0.08, fuzz: fuzzTranslations },
  preferences: { share: 0.08, fuzz: fuzzPreferences },
  console: { share: 0.08, fuzz: fuzzConsole },
  forms: { share: 0.01, fuzz: fuzzForms },
};

const startedMs = performance.now();
let done = 0;
for (const [kind, { share, fuzz }] of Object.entries(KINDS)) {
  if (values.only !== undefined && values.only !== kind) continue;
  const wanted = Math.ceil(values.only === undefined ? cases * share : cases);
  const outcomes = new Map<string, number>();
  let slowestMs = 0;
  let kindDone = 0;
  const kindStartedMs = performance.now();
  for (let step = 0; kindDone < wanted; step++) {
    const count = Math.min(STEP, wanted - kindDone);
    const tally = await fuzz(seed + step * 1_000_003, count);
    for (const [outcome, times] of tally.outcomes)
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + times);
    slowestMs = Math.max(slowestMs, tally.slowestMs);
    kindDone += count;
  }
  done += kindDone;
  const seconds = (performance.now() - kindStartedMs) / 1_000;
  const told = [...outcomes].map(([outcome, times]) => `${outcome} ${times}`).join(', ');
  console.log(
    `${kind}: ${kindDone} cases in ${seconds.toFixed(1)} s, slowest ${slowestMs.toFixed(1)} ms: ${told}`,
  );
}
const { rss } = process.memoryUsage();
console.log(
  `seed ${seed}: ${done} cases in ${((performance.now() - startedMs) / 1_000).toFixed(1)} s, ${Math.round(rss / 1_048_576)} MiB, no promise broken`,
);
