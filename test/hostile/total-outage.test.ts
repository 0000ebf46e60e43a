import { expect, test } from 'vitest';
import { candidate } from '#support/candidate.ts';
import { StagedFleet } from '#support/staged-fleet.ts';

// Every provider fails at once, and later all come back: what our retries make of the first, and how soon consumers notice
// the second.

const PROVIDERS = 10;
const OUTAGE_MS = 60_000;

test.each([
  [1, 'failed'],
  [2, 'failed'],
  [3, 'lost'],
  [4, 'busy'],
  [5, 'lost'],
] as const)(
  'a total outage is not multiplied by retries, and ends for consumers when it ends (seed %i, %s)',
  async (seed, kind) => {
    let away = false;
    const candidates = Array.from({ length: PROVIDERS }, (_, i) => candidate(`p${i}`));
    const fleet = new StagedFleet({ seed, candidates, ending: () => (away ? kind : 'completed') });
    const healthy = await fleet.pass(30_000);
    expect(healthy.attempts).toBe(healthy.asked);
    away = true;
    await fleet.pass(10_000);
    const outage = await fleet.pass(OUTAGE_MS - 10_000);
    expect(outage.good).toBe(0);
    expect(outage.attempts / outage.asked).toBeLessThanOrEqual(1.1);
    away = false;
    await fleet.pass(5_000);
    const after = await fleet.pass(30_000);
    // A request may be under way at either end of the window.
    expect(after.good).toBeGreaterThanOrEqual(after.asked - 1);
    expect(after.attempts / after.asked).toBeLessThanOrEqual(1.1);
    fleet.close();
  },
);
