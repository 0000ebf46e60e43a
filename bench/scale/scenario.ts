import { Digest } from './chance.ts';
import { REROUTE_MS, simulateWindow, type WindowResult } from './exact.ts';
import { Fluid, fluidPhase } from './fluid.ts';
import type { Tally } from './tally.ts';
import { makeWorld, type Size, type World } from './world.ts';

/** What is simulated: two windows of seconds exactly, a day by the minute, and moments of the windows in the manner of the day. */
export interface Scenario {
  readonly world: World;
  readonly lost: number;
  readonly hour: number;
  readonly window: WindowResult;
  /** Another window, in which the region has been gone for long. */
  readonly settled: WindowResult;
  /** The window's quiet phases as the other manner has them, in the same order. */
  readonly compared: readonly { readonly exact: Tally; readonly fluid: Tally }[];
  readonly day: readonly Tally[];
  readonly hash: string;
}

export interface ScenarioOptions {
  readonly size: Size;
  readonly seed: number;
  /** The region that is lost, at the hour of its greatest demand. */
  readonly lost: number;
  readonly steadyMs: number;
  readonly reroutedMs: number;
  readonly settlingMs: number;
  readonly settledMs: number;
  readonly sampledCell: number | undefined;
  readonly checkEvery: number;
}

const PEAK_HOUR = 15;
/** The lost region's nodes come back over this many minutes; its ledgers are handed back first. */
const RETURN_MIN = 3;
const OUTAGE_MIN = 60;

export function play(options: ScenarioOptions): Scenario {
  const { size, seed, lost } = options;
  const world = makeWorld(size, seed);
  const hour = (PEAK_HOUR - size.regions[lost]!.hours + 24) % 24;
  const exactly = { world, seed, hour, sampledCell: options.sampledCell, checkEvery: options.checkEvery };
  const window = simulateWindow({
    ...exactly,
    phases: [
      { name: 'steady', ms: options.steadyMs },
      { name: 'region lost, not yet rerouted', ms: REROUTE_MS },
      { name: 'rerouted', ms: options.reroutedMs },
    ],
    lose: { region: lost, atMs: options.steadyMs },
  });
  const settled = simulateWindow({
    ...exactly,
    phases: [
      { name: 'settling', ms: options.settlingMs },
      { name: 'region lost, settled', ms: options.settledMs },
    ],
    lost,
  });
  const fluid = new Fluid(world);
  const gone = aliveBut(world, lost, 0);
  const compared = [
    { exact: window.tallies[0]!, fluid: fluidPhase(fluid, world, 'steady', [{ hour, seconds: 1 }]) },
    {
      exact: settled.tallies[1]!,
      fluid: fluidPhase(fluid, world, 'settled', [{ hour, seconds: 1, alive: gone, closed: lost }]),
    },
  ];
  const day = dayOf(world, fluid, lost, hour);
  const digest = new Digest();
  for (const tally of day) for (const sum of tally.pairs) digest.add(Math.round(sum) | 0);
  return {
    world,
    lost,
    hour,
    window,
    settled,
    compared,
    day,
    hash: [window.hash, settled.hash, digest.hex()].join('-'),
  };
}

function aliveBut(world: World, region: number, part: number): Float64Array {
  return Float64Array.from(world.geography.regionOf, (r) => (r === region ? part : 1));
}

/** A day by the minute; each region's hour of greatest demand; and an hour of outage at one of these, with the return. */
function dayOf(world: World, fluid: Fluid, lost: number, hour: number): Tally[] {
  const minutes = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => ({ hour: (from + i / 60) % 24, seconds: 60 }));
  const phases = [fluidPhase(fluid, world, 'a whole day', minutes(0, 24 * 60))];
  world.size.regions.forEach((region) => {
    const peak = (PEAK_HOUR - region.hours + 24) % 24;
    phases.push(fluidPhase(fluid, world, `peak of ${region.name}`, minutes(peak - 0.5 + 24, 60)));
  });
  const gone = aliveBut(world, lost, 0);
  const outage = minutes(hour, OUTAGE_MIN).map((step, i) => ({
    ...step,
    alive: gone,
    closed: lost,
    unreachedS: i === 0 ? REROUTE_MS / 1_000 : 0,
  }));
  phases.push(fluidPhase(fluid, world, 'region lost, first minute', outage.slice(0, 1)));
  phases.push(fluidPhase(fluid, world, 'region lost, the hour', outage));
  const back = minutes(hour + OUTAGE_MIN / 60, RETURN_MIN).map((step, i) => ({
    ...step,
    alive: aliveBut(world, lost, (i + 0.5) / RETURN_MIN),
  }));
  phases.push(fluidPhase(fluid, world, 'recovery', back));
  phases.push(fluidPhase(fluid, world, 'after', minutes(hour + (OUTAGE_MIN + RETURN_MIN) / 60, 30)));
  return phases;
}
