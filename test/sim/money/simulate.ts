import type { Violation } from '../oracles/court.ts';
import { MoneyWorld, type MoneyWorldOptions } from './world.ts';

/** What became of one world of money. */
export interface MoneyOutcome {
  readonly seed: number;
  readonly hash: string;
  readonly steps: number;
  readonly virtualDays: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly faults: ReadonlyMap<string, number>;
  readonly violations: readonly Violation[];
}

export async function simulateMoney(options: MoneyWorldOptions): Promise<MoneyOutcome> {
  const world = new MoneyWorld(options);
  await world.live();
  return {
    seed: options.seed,
    hash: world.trace.hash(),
    steps: world.steps,
    virtualDays: Math.round(world.clock.nowMs() / 86_400_000),
    counts: world.counts,
    faults: world.faultCounts,
    violations: world.court.violations,
  };
}
