import { type Randomness, seededRandomness } from '#kit/random.ts';
import { cellOfNode, cellsOfModel, type Geography, homeCell, secondCell, spillOrder } from './placement.ts';

/**
 * A market of many cells, drawn from a seed: who is where, what each node serves, who asks. Everything that is assumed
 * rather than measured stands here, and in `docs/scale.md`.
 */

export interface Region {
  readonly name: string;
  readonly cells: number;
  /** Parts of all requests, averaged over the day, and of all nodes. */
  readonly demand: number;
  readonly supply: number;
  /** Hours ahead of UTC. */
  readonly hours: number;
}

export interface Size {
  readonly regions: readonly Region[];
  readonly roundTripMs: readonly (readonly number[])[];
  readonly nodes: number;
  readonly consumers: number;
  /** One consumer in so many is nearly broke. */
  readonly brokeOneIn: number;
  readonly models: number;
  /** Requests a second, averaged over the day. */
  readonly rate: number;
  /** The fewest nodes that a cell's pool of a model should have. */
  readonly poolMin: number;
}

/** 50 cells, a million nodes, a million requests a second. */
export const LARGE: Size = {
  regions: [
    { name: 'north-america', cells: 14, demand: 0.32, supply: 0.34, hours: -6 },
    { name: 'south-america', cells: 4, demand: 0.06, supply: 0.04, hours: -3 },
    { name: 'europe', cells: 12, demand: 0.26, supply: 0.24, hours: 1 },
    { name: 'mid-east-africa', cells: 4, demand: 0.05, supply: 0.03, hours: 3 },
    { name: 'asia', cells: 12, demand: 0.27, supply: 0.29, hours: 7 },
    { name: 'oceania', cells: 4, demand: 0.04, supply: 0.06, hours: 10 },
  ],
  roundTripMs: [
    [12, 130, 90, 170, 160, 170],
    [130, 12, 190, 250, 290, 280],
    [90, 190, 12, 90, 180, 270],
    [170, 250, 90, 12, 120, 250],
    [160, 290, 180, 120, 12, 110],
    [170, 280, 270, 250, 110, 12],
  ],
  nodes: 1_000_000,
  consumers: 1_000_000,
  brokeOneIn: 1_000,
  models: 40,
  rate: 1_000_000,
  poolMin: 200,
};

/** The same in small, for tests: seven cells in three regions. */
export const SMALL: Size = {
  regions: [
    { name: 'west', cells: 3, demand: 0.4, supply: 0.4, hours: -6 },
    { name: 'middle', cells: 2, demand: 0.35, supply: 0.3, hours: 1 },
    { name: 'east', cells: 2, demand: 0.25, supply: 0.3, hours: 8 },
  ],
  roundTripMs: [
    [12, 90, 160],
    [90, 12, 180],
    [160, 180, 12],
  ],
  nodes: 5_000,
  consumers: 4_000,
  brokeOneIn: 20,
  models: 6,
  rate: 5_000,
  poolMin: 60,
};

/** The swing of a region's demand around its average, and the hour of its day at which it is greatest. */
const SWING = 0.6;
const PEAK_HOUR = 15;
/** Attempts that a node takes at once: 1 to this many, evenly. */
const SLOTS_MAX = 8;
/** Popularity of the n-th model: n to this power. */
const POPULARITY = -0.9;
/** Nodes follow popularity, but not exactly: a model has up to this factor more or fewer than its part. */
const SUPPLY_NOISE = 1.15;
/** Seconds that a request takes at a node, on average; the average of each model is within these. */
const SERVICE_S = [2, 4] as const;
/** The part of a model's nodes that nobody can have on one side: strangers may fill a pool up to here, its own cell all of it. */
export const STRANGERS_MAX = 0.95;
/** One request in so many enters at the consumer's second cell: somebody travels, or runs a job elsewhere. */
export const TRAVELLING = 0.02;

export interface World {
  readonly size: Size;
  readonly geography: Geography;
  readonly cells: number;
  readonly models: number;
  /** By model: its part of all requests, and its mean seconds at a node. */
  readonly popularity: Float64Array;
  readonly serviceS: Float64Array;
  /** By pool, `cell * models + model`: nodes `firstNode[pool]` to `firstNode[pool + 1]`, slots of all, slots for strangers. */
  readonly firstNode: Int32Array;
  readonly slots: Int32Array;
  readonly strangers: Int32Array;
  /** By node, in the order of pools. */
  readonly nodeSlots: Uint8Array;
  /** By consumer; those of a region are `firstConsumer[region]` to `firstConsumer[region + 1]`. */
  readonly firstConsumer: Int32Array;
  readonly home: Uint8Array;
  readonly second: Uint8Array;
  /** By pool: where its cell turns when it has no room. */
  readonly spill: readonly Uint8Array[];
}

export function makeWorld(size: Size, seed: number): World {
  const random = seededRandomness(seed);
  const geography = geographyOf(size);
  const cells = geography.regionOf.length;
  const { models } = size;
  const popularity = parts(models, (m) => (m + 1) ** POPULARITY);
  const supply = parts(models, (m) => popularity[m]! * SUPPLY_NOISE ** (2 * random.float() - 1));
  const serviceS = Float64Array.from(
    { length: models },
    () => SERVICE_S[0] + (SERVICE_S[1] - SERVICE_S[0]) * random.float(),
  );
  // Slots go where work is: a model whose requests take longer has more nodes.
  const work = parts(models, (m) => supply[m]! * serviceS[m]!);
  const nodes = placeNodes(size, geography, work, random);
  const consumers = placeConsumers(size, geography);
  const spill: Uint8Array[] = [];
  for (let cell = 0; cell < cells; cell++) {
    for (let model = 0; model < models; model++) {
      const serving = geography.regionOf.flatMap((_, c) => (nodes.slots[c * models + model]! > 0 ? [c] : []));
      spill.push(Uint8Array.from(spillOrder(cell, serving, geography)));
    }
  }
  return { size, geography, cells, models, popularity, serviceS, ...nodes, ...consumers, spill };
}

function geographyOf({ regions, roundTripMs }: Size): Geography {
  const regionOf = regions.flatMap(({ cells }, region) => Array.from({ length: cells }, () => region));
  const cellsOf = regions.map((_, region) => regionOf.flatMap((r, cell) => (r === region ? [cell] : [])));
  return { regionOf, cellsOf, roundTripMs };
}

/** `count` numbers in proportion to `weight`, one together. */
function parts(count: number, weight: (index: number) => number): Float64Array {
  const all = Float64Array.from({ length: count }, (_, i) => weight(i));
  const sum = all.reduce((a, b) => a + b, 0);
  return all.map((one) => one / sum);
}

function placeNodes(size: Size, geography: Geography, work: Float64Array, random: Randomness) {
  const { models } = size;
  const pools = geography.regionOf.length * models;
  const poolOf = new Int32Array(size.nodes);
  const count = new Int32Array(pools + 1);
  let node = 0;
  size.regions.forEach((region, r) => {
    const regionNodes =
      r === size.regions.length - 1 ? size.nodes - node : Math.round(size.nodes * region.supply);
    let left = regionNodes;
    for (let model = 0; model < models; model++) {
      const here = model === models - 1 ? left : Math.min(left, Math.round(regionNodes * work[model]!));
      left -= here;
      const serving = cellsOfModel(model, r, here, size.poolMin, geography);
      for (let i = 0; i < here; i++, node++) {
        const pool = cellOfNode(node, serving) * models + model;
        poolOf[node] = pool;
        count[pool + 1]! += 1;
      }
    }
  });
  const firstNode = count;
  for (let pool = 0; pool < pools; pool++) firstNode[pool + 1]! += firstNode[pool]!;
  const slots = new Int32Array(pools);
  const nodeSlots = new Uint8Array(size.nodes);
  const next = firstNode.slice();
  for (let i = 0; i < size.nodes; i++) {
    const pool = poolOf[i]!;
    const own = 1 + Math.floor(random.float() * SLOTS_MAX);
    nodeSlots[next[pool]!] = own;
    next[pool]! += 1;
    slots[pool]! += own;
  }
  return { firstNode, slots, strangers: slots.map((all) => Math.floor(all * STRANGERS_MAX)), nodeSlots };
}

function placeConsumers(size: Size, geography: Geography) {
  const firstConsumer = new Int32Array(size.regions.length + 1);
  const home = new Uint8Array(size.consumers);
  const second = new Uint8Array(size.consumers);
  let consumer = 0;
  size.regions.forEach(({ demand }, region) => {
    const last = region === size.regions.length - 1;
    const end = last ? size.consumers : consumer + Math.round(size.consumers * demand);
    for (; consumer < end; consumer++) {
      home[consumer] = homeCell(consumer, region, geography);
      second[consumer] = secondCell(consumer, region, geography);
    }
    firstConsumer[region + 1] = consumer;
  });
  return { firstConsumer, home, second };
}

/** Requests a second that a region's consumers send at an hour of the day (UTC). */
export function demandOf({ size }: World, region: number, hour: number): number {
  const { demand, hours } = size.regions[region]!;
  return size.rate * demand * (1 + SWING * Math.cos(((hour + hours - PEAK_HOUR) * Math.PI) / 12));
}

/** The consumer of a region that a number in [0, 1) stands for: a few ask for much, most for little. */
export function consumerOf({ firstConsumer }: World, region: number, u: number): number {
  const first = firstConsumer[region]!;
  return first + Math.floor((firstConsumer[region + 1]! - first) * u * u);
}

/** The part of its region's requests that a consumer sends: what `consumerOf` comes to. */
export function partOf({ firstConsumer }: World, region: number, consumer: number): number {
  const first = firstConsumer[region]!;
  const count = firstConsumer[region + 1]! - first;
  return Math.sqrt((consumer - first + 1) / count) - Math.sqrt((consumer - first) / count);
}
