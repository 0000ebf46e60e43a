import { newTally, noteAdded, type Tally } from './tally.ts';
import { demandOf, partOf, TRAVELLING, type World } from './world.ts';

/**
 * The same market as streams instead of requests: for an hour of the day, how much of each cell's work goes where once
 * everything has settled. Requests last seconds and demand changes over minutes, so a day is a row of such moments.
 *
 * A cell's own work meets Erlang's loss formula (as a normal approximation: pools are large); what it has no room for goes
 * down its spill order, cell by cell, and fills strangers' room evenly. Leases and stale beliefs are left out.
 */
export class Fluid {
  readonly #world: World;
  /** By home cell and second cell: the part of the home region's requests. */
  readonly #parts: Float64Array;

  constructor(world: World) {
    this.#world = world;
    const { cells, size, firstConsumer, home, second } = world;
    this.#parts = new Float64Array(cells * cells);
    for (let region = 0; region < size.regions.length; region++) {
      for (let consumer = firstConsumer[region]!; consumer < firstConsumer[region + 1]!; consumer++)
        this.#parts[home[consumer]! * cells + second[consumer]!]! += partOf(world, region, consumer);
    }
  }

  /**
   * Adds `seconds` of hour `hour` (UTC) to `tally`. `alive` is the part of each cell's nodes that is there; a region in
   * `closed` has no gateway, and for the first `unreachedS` of the seconds its consumers reach nobody.
   */
  add(
    tally: Tally,
    at: { hour: number; seconds: number; alive: Float64Array; closed: number; unreachedS: number },
  ): void {
    const world = this.#world;
    const { cells, models, geography, popularity, serviceS, slots, spill } = world;
    const rate = this.#entries(tally, at);
    const used = new Float64Array(cells * models);
    const rest = new Float64Array(cells * models);
    const perS = (pool: number) => 1 / serviceS[pool % models]!;
    const note = (entry: number, pool: number, erlangs: number) =>
      this.#note(tally, entry, Math.floor(pool / models), erlangs * perS(pool) * at.seconds);
    for (let pool = 0; pool < used.length; pool++) {
      const cell = Math.floor(pool / models);
      const offered = rate.entering[cell]! * popularity[pool % models]! * serviceS[pool % models]!;
      const room = slots[pool]! * at.alive[cell]!;
      const taken = offered * (1 - blocked(room, offered));
      used[pool] = taken;
      rest[pool] = offered - taken;
      note(cell, pool, taken);
    }
    const asked = new Float64Array(cells * models);
    for (let rank = 0; rank < cells; rank++) {
      asked.fill(0);
      let any = false;
      for (let pool = 0; pool < rest.length; pool++) {
        const target = spill[pool]![rank];
        if (target === undefined || rest[pool]! <= 0) continue;
        asked[target * models + (pool % models)]! += rest[pool]!;
        any = true;
      }
      if (!any) break;
      const granted = asked.map((sum, pool) => {
        const cell = Math.floor(pool / models);
        const room = Math.max(0, world.strangers[pool]! * at.alive[cell]! - used[pool]!);
        used[pool]! += Math.min(room, sum);
        return sum > room ? room / sum : 1;
      });
      for (let pool = 0; pool < rest.length; pool++) {
        const target = spill[pool]![rank];
        if (target === undefined || rest[pool]! <= 0) continue;
        const there = target * models + (pool % models);
        const moved = rest[pool]! * granted[there]!;
        rest[pool]! -= moved;
        if (moved > 0) note(Math.floor(pool / models), there, moved);
      }
    }
    for (let pool = 0; pool < rest.length; pool++) {
      const cell = Math.floor(pool / models);
      tally.noRoom += rest[pool]! * perS(pool) * at.seconds;
      if (geography.regionOf[cell] === at.closed) continue;
      tally.used[cell]! += used[pool]! * at.seconds;
      tally.there[cell]! += slots[pool]! * at.alive[cell]! * at.seconds;
    }
    // By now `inEntry` counts what was served where it entered; at home is the part of that whose home is there.
    for (let cell = 0; cell < cells; cell++) {
      const entered = rate.entering[cell]!;
      const here = tally.pairs[cell * cells + cell]! - rate.before[cell]!;
      if (entered > 0) tally.inHome += (here * rate.atHome[cell]!) / entered;
    }
  }

  /** Requests a second that enter each cell, and how many of these have their home there. */
  #entries(tally: Tally, at: { hour: number; seconds: number; closed: number; unreachedS: number }) {
    const { cells, geography, size } = this.#world;
    const entering = new Float64Array(cells);
    const atHome = new Float64Array(cells);
    const demand = size.regions.map((_, region) => demandOf(this.#world, region, at.hour));
    for (let home = 0; home < cells; home++) {
      const region = geography.regionOf[home]!;
      for (let second = 0; second < cells; second++) {
        const rate = demand[region]! * this.#parts[home * cells + second]!;
        const travelling = rate * TRAVELLING;
        const staying = rate - travelling;
        const secondClosed = geography.regionOf[second] === at.closed;
        const reached = 1 - at.unreachedS / at.seconds;
        tally.asked += rate * at.seconds;
        if (region === at.closed) {
          tally.unreached += staying * at.unreachedS;
          entering[second]! += travelling + staying * reached;
        } else {
          const stays = staying + (secondClosed ? travelling * reached : 0);
          entering[home]! += stays;
          atHome[home]! += stays;
          if (secondClosed) tally.unreached += travelling * at.unreachedS;
          else entering[second]! += travelling;
        }
      }
    }
    const before = Float64Array.from({ length: cells }, (_, cell) => tally.pairs[cell * cells + cell]!);
    return { entering, atHome, before };
  }

  #note(tally: Tally, entry: number, cell: number, count: number): void {
    if (count <= 0) return;
    const { cells, geography } = this.#world;
    const [from, to] = [geography.regionOf[entry]!, geography.regionOf[cell]!];
    tally.taken += count;
    tally.pairs[entry * cells + cell]! += count;
    if (cell === entry) tally.inEntry += count;
    else if (from === to) tally.inRegion += count;
    else tally.far += count;
    noteAdded(tally, cell === entry ? 0.5 : 0.5 + geography.roundTripMs[from]![to]!, count);
  }
}

/** The part of `erlangs` of work that finds all of `slots` taken. */
function blocked(slots: number, erlangs: number): number {
  if (slots <= 0) return 1;
  if (erlangs <= 0) return 0;
  const root = Math.sqrt(erlangs);
  const z = (slots - erlangs) / root;
  // Far below, the quotient of density and tail by the tail's first terms: both are too small to divide.
  const steepness = z < -5 ? -z / (1 - 1 / (z * z)) : density(z) / below(z);
  return Math.min(1, steepness / root);
}

function density(z: number): number {
  return Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
}

/** The part of a normal distribution below `z` (Abramowitz and Stegun 26.2.17). */
function below(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const tail =
    density(z) *
    t *
    (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return z > 0 ? 1 - tail : tail;
}

/** Some hours or minutes in a row under one name. */
export function fluidPhase(
  fluid: Fluid,
  world: World,
  name: string,
  steps: readonly {
    hour: number;
    seconds: number;
    alive?: Float64Array;
    closed?: number;
    unreachedS?: number;
  }[],
): Tally {
  const tally = newTally(name, world.cells);
  const whole = new Float64Array(world.cells).fill(1);
  for (const { hour, seconds, alive = whole, closed = -1, unreachedS = 0 } of steps)
    fluid.add(tally, { hour, seconds, alive, closed, unreachedS });
  return tally;
}
