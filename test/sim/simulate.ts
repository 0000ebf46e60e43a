import { drive } from './drive.ts';
import type { Violation } from './oracles/court.ts';
import { World, type WorldOptions } from './world.ts';

/** What became of one world. */
export interface Outcome {
  readonly seed: number;
  readonly hash: string;
  readonly steps: number;
  readonly requests: number;
  readonly virtualMs: number;
  readonly commits: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly faults: ReadonlyMap<string, number>;
  readonly behaviours: ReadonlyMap<string, number>;
  readonly violations: readonly Violation[];
}

/** Lives one world through, from its seed to its end or its first violation. */
export async function simulate(options: WorldOptions): Promise<Outcome> {
  const world = new World(options);
  await drive(() => world.step());
  return {
    seed: options.seed,
    hash: world.trace.hash(),
    steps: world.steps,
    requests: options.requests,
    virtualMs: Math.round(world.clock.nowMs()),
    commits: world.money.commits,
    counts: world.requests.counts,
    faults: world.faultCounts,
    behaviours: world.behaviourCounts,
    violations: world.court.violations,
  };
}
