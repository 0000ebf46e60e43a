import { describe, expect, test } from 'vitest';
import { freshDatabase } from '#support/postgres.ts';
import { MONEY_SABOTAGES, type MoneySabotage } from './money/faults.ts';
import { type MoneyOutcome, simulateMoney } from './money/simulate.ts';

/** Worlds and steps of the short form; `npm run sim -- --money` lives through as many as asked for. */
const WORLDS = 6;
const STEPS = 1_500;

async function live(seed: number, steps: number, sabotage?: MoneySabotage): Promise<MoneyOutcome> {
  const fresh = await freshDatabase();
  try {
    return await simulateMoney({ seed, steps, sabotage, database: fresh.database });
  } finally {
    await fresh.drop();
  }
}

describe('money in and out of a simulated market', () => {
  test('keeps every promise through months of settlements, claims, deposits and pledges, whatever goes wrong', {
    timeout: 1_200_000,
  }, async () => {
    const faults = new Set<string>();
    let batches = 0;
    for (let seed = 1; seed <= WORLDS; seed++) {
      const outcome = await live(seed, STEPS);
      expect(outcome.violations).toEqual([]);
      for (const kind of outcome.faults.keys()) faults.add(kind);
      batches += outcome.counts['batches'] ?? 0;
    }
    expect(batches).toBeGreaterThanOrEqual(WORLDS * 2);
    expect(faults.size).toBeGreaterThanOrEqual(18);
  });

  test('goes the same way twice from one seed, and another way from another', {
    timeout: 600_000,
  }, async () => {
    const first = await live(7, 500);
    expect(await live(7, 500)).toEqual(first);
    expect((await live(8, 500)).hash).not.toBe(first.hash);
  });

  test.each(Object.keys(MONEY_SABOTAGES) as MoneySabotage[])(
    'is caught when it %s',
    { timeout: 600_000 },
    async (sabotage) => {
      for (let seed = 1; seed <= 6; seed++) {
        const [violation] = (await live(seed, 600, sabotage)).violations;
        if (!violation) continue;
        expect(MONEY_SABOTAGES[sabotage]).toContain(violation.invariant);
        return;
      }
      expect.unreachable('No oracle noticed in six worlds.');
    },
  );
});
