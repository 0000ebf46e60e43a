import { expect, test } from 'vitest';
import { candidate } from '#support/candidate.ts';
import { StagedFleet } from '#support/staged-fleet.ts';

// Every agent of a model is dead, and an external endpoint stands by: its consumers must hardly notice, and no more may be
// sent than the retry budget allows.

function fleet(seed: number, agents: number, agentsOnly: boolean): StagedFleet {
  const candidates = [
    ...Array.from({ length: agents }, (_, i) => candidate(`agent${i}`)),
    candidate('endpoint', { mode: 'external', capacity: 100, linkCapacity: 100 }),
  ];
  return new StagedFleet({
    seed,
    candidates,
    agentsOnly,
    ending: ({ mode }) => (mode === 'external' ? 'completed' : 'failed'),
  });
}

test.each([
  [1, 1],
  [2, 3],
  [3, 3],
  [4, 10],
])(
  'with a fallback standing by, dead agents are hardly noticed (seed %i, %i agents)',
  async (seed, agents) => {
    const staged = fleet(seed, agents, false);
    const beginning = await staged.pass(10_000);
    expect(beginning.good / beginning.asked).toBeGreaterThan(0.9);
    const later = await staged.pass(120_000);
    expect(later.attempts / later.asked).toBeLessThanOrEqual(1.1);
    expect(later.good / later.asked).toBeGreaterThan(0.99);
    staged.close();
  },
);

test('a plan without fallback gets nothing from it, and is not tried more often for that', async () => {
  const staged = fleet(5, 3, true);
  const beginning = await staged.pass(10_000);
  const later = await staged.pass(60_000);
  expect(beginning.good + later.good).toBe(0);
  expect(later.attempts / later.asked).toBeLessThanOrEqual(1.1);
  staged.close();
});
