import { expect, test } from 'vitest';
import { fuzzBodies, fuzzConsole, fuzzPreferences, fuzzTranslations } from './bodies.ts';
import { fuzzForms } from './forms.ts';

// What comes from consumers. With test/fuzz/frames.test.ts a million cases; `npm run fuzz` does as many as asked for.

const TIMEOUT_MS = 1_200_000;
const SEED = 1;

test.each([
  [
    '150,000 bodies of every endpoint',
    () => fuzzBodies(SEED, 150_000),
    ['read', 'request-invalid', 'body-not-json'],
  ],
  ['150,000 wishes of routing', () => fuzzPreferences(SEED, 150_000), ['read', 'request-invalid']],
  ['150,000 bodies and queries of the console', () => fuzzConsole(SEED, 150_000), ['read', 'refused']],
  ['50,000 answers that are translated', () => fuzzTranslations(SEED, 50_000), ['translated']],
  ['5,000 forms', () => fuzzForms(SEED, 5_000), ['read', 'request-invalid', 'body-too-large']],
])(
  '%s are read, or refused by a fault that is the caller’s',
  { timeout: TIMEOUT_MS },
  async (_, fuzz, outcomes) => {
    const tally = await fuzz();
    // Neither all nonsense nor all valid.
    for (const outcome of outcomes)
      expect([outcome, (tally.outcomes.get(outcome) ?? 0) > 10]).toEqual([outcome, true]);
  },
);
