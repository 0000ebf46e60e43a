import { describe, expect, test } from 'vitest';
import { SABOTAGES, type Sabotage } from './sabotage.ts';
import { simulate } from './simulate.ts';

/** Worlds and requests of the short form; `npm run sim` lives through as many as asked for. */
const WORLDS = 24;
const REQUESTS = 4_200;

describe('a simulated market', () => {
  test('keeps every promise through 100,000 requests in 24 worlds of faults', {
    timeout: 1_200_000,
  }, async () => {
    const faults = new Set<string>();
    let requests = 0;
    for (let seed = 1; seed <= WORLDS; seed++) {
      const outcome = await simulate({ seed, requests: REQUESTS });
      expect(outcome.violations).toEqual([]);
      for (const kind of outcome.faults.keys()) faults.add(kind);
      requests += outcome.requests;
    }
    expect(requests).toBeGreaterThanOrEqual(100_000);
    expect(faults.size).toBeGreaterThanOrEqual(18);
  });

  test('goes the same way twice from one seed, and another way from another', {
    timeout: 300_000,
  }, async () => {
    const [first, again, other] = [
      await simulate({ seed: 7, requests: 1_500 }),
      await simulate({ seed: 7, requests: 1_500 }),
      await simulate({ seed: 8, requests: 1_500 }),
    ];
    expect(again).toEqual(first);
    expect(other?.hash).not.toBe(first?.hash);
  });

  test.each(Object.keys(SABOTAGES) as Sabotage[])(
    'is caught when it %s',
    { timeout: 600_000 },
    async (sabotage) => {
      for (let seed = 1; seed <= 12; seed++) {
        const { violations } = await simulate({ seed, requests: 1_200, sabotage });
        const [violation] = violations;
        if (!violation) continue;
        expect(SABOTAGES[sabotage]).toContain(violation.invariant);
        expect(violation).toMatchObject({ seed, what: expect.any(String), trace: expect.any(Array) });
        return;
      }
      expect.unreachable('No oracle noticed in twelve worlds.');
    },
  );
});
