import { expect, test } from 'vitest';
import { fuzzExternal } from './external.ts';

// What servers answer that others run. `npm run fuzz -- --only external` does as many, from any seed.

const TIMEOUT_MS = 600_000;
const OUTCOMES = ['completed', 'failed', 'refused', 'busy', 'cancelled', 'listed', 'ill'];

test('60,000 answers of hostile endpoints end well, in our words, and without the key', {
  timeout: TIMEOUT_MS,
}, async () => {
  const { outcomes } = await fuzzExternal(1, 60_000);
  // Neither all nonsense nor all valid.
  for (const outcome of OUTCOMES)
    expect([outcome, (outcomes.get(outcome) ?? 0) > 50]).toEqual([outcome, true]);
});
