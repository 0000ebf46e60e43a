import { describe, expect, test } from 'vitest';
import { type Sabotage, simulateWindow } from '../bench/scale/exact.ts';
import { Fluid, fluidPhase } from '../bench/scale/fluid.ts';
import {
  cellOfNode,
  type Geography,
  homeCell,
  SALT,
  secondCell,
  spillOrder,
  winner,
} from '../bench/scale/placement.ts';
import { phases } from '../bench/scale/report.ts';
import { play } from '../bench/scale/scenario.ts';
import { addedAt, newTally, noteAdded } from '../bench/scale/tally.ts';
import { makeWorld, SMALL } from '../bench/scale/world.ts';

const world = makeWorld(SMALL, 1);
const MIDDLE = 1;

/** When the middle region is busiest, and when its neighbour is: then others' work is under way in it. */
const [ITS_PEAK, ANOTHERS_PEAK] = [14, 21];

/** Some seconds of the small market in which the middle region is lost. */
function window({
  sabotage,
  seed = 1,
  hour = ITS_PEAK,
}: {
  sabotage?: Sabotage;
  seed?: number;
  hour?: number;
} = {}) {
  return simulateWindow({
    world,
    seed,
    hour,
    phases: [
      { name: 'steady', ms: 1_000 },
      { name: 'lost', ms: 2_000 },
      { name: 'rerouted', ms: 4_000 },
    ],
    lose: { region: MIDDLE, atMs: 1_000 },
    sampledCell: 0,
    sabotage,
  });
}

describe('the market of many cells', () => {
  test('loses no request, serves none twice, charges once and at home only, and takes nobody beyond capacity', () => {
    const { violations, requests, tallies, charged, chargedBy } = window({ hour: ANOTHERS_PEAK });
    expect(violations).toEqual([]);
    expect(requests).toBeGreaterThan(30_000);
    // What the promises are about did happen.
    expect(tallies[1]!.broken).toBeGreaterThan(0);
    expect(tallies[1]!.movedOn).toBeGreaterThan(0);
    expect(tallies[1]!.unreached).toBeGreaterThan(0);
    for (const tally of tallies) {
      const { asked, taken, noRoom, unreached, noLease, short } = tally;
      expect(taken + noRoom + unreached + noLease + short).toBe(asked);
      expect(tally.inEntry + tally.inRegion + tally.far).toBe(taken);
    }
    expect(chargedBy.reduce((a, b) => a + b, 0)).toBe(charged);
    expect(chargedBy.every((sum) => sum > 0)).toBe(true);
  });

  test('fills what is left of it before it refuses anybody for want of room', () => {
    const { violations, fillAtRefusal, tallies } = window();
    expect(violations).toEqual([]);
    expect(tallies[2]!.noRoom).toBeGreaterThan(0);
    expect(fillAtRefusal).toBeGreaterThan(0.9);
    expect(fillAtRefusal).toBeLessThan(1);
  });

  test.each<[Sabotage, number, RegExp]>([
    ['forgets-a-request', ITS_PEAK, /ended 0 times/],
    ['ends-twice', ANOTHERS_PEAK, /ended 2 times/],
    ['ignores-capacity', ITS_PEAK, /under way for model|has more than it takes/],
    ['charges-where-it-serves', ITS_PEAK, /was charged by the ledger of cell/],
    ['gives-a-lease-twice', ITS_PEAK, /does not add up/],
    ['stays-in-its-region', ITS_PEAK, /was refused while its nodes were/],
  ])('notices a market that %s', (sabotage, hour, words) => {
    expect(window({ sabotage, hour }).violations.join('\n')).toMatch(words);
  });

  test('is the same again from the same seed, and another from another', () => {
    const { hash } = window();
    expect(window().hash).toBe(hash);
    expect(window({ seed: 2 }).hash).not.toBe(hash);
  });

  test('comes to the same shares request by request and as streams', () => {
    const { compared } = play({
      size: { ...SMALL, brokeOneIn: 10_000 },
      seed: 3,
      lost: MIDDLE,
      steadyMs: 3_000,
      reroutedMs: 1,
      settlingMs: 2_000,
      settledMs: 3_000,
      sampledCell: undefined,
      checkEvery: 1,
    });
    for (const { exact, fluid } of compared) {
      expect(Math.abs(exact.taken / exact.asked - fluid.taken / fluid.asked)).toBeLessThan(0.02);
      expect(Math.abs(exact.inEntry / exact.asked - fluid.inEntry / fluid.asked)).toBeLessThan(0.03);
      expect(Math.abs(exact.far / exact.asked - fluid.far / fluid.asked)).toBeLessThan(0.04);
    }
  });

  test('as streams, too, gives every request one end, and no pool more than it has', () => {
    const hour = fluidPhase(new Fluid(world), world, 'hour', [
      {
        hour: 14,
        seconds: 60,
        closed: MIDDLE,
        unreachedS: 2,
        alive: Float64Array.from([1, 1, 1, 0, 0, 1, 1]),
      },
    ]);
    expect(hour.noRoom).toBeGreaterThan(0);
    expect((hour.taken + hour.noRoom + hour.unreached) / hour.asked).toBeCloseTo(1, 9);
    for (const [cell, used] of hour.used.entries())
      expect(used).toBeLessThanOrEqual(hour.there[cell]! + 1e-6);
  });

  test('shows who served whom, and what was refused', () => {
    const scenario = { world } as Parameters<typeof phases>[1];
    const tally = newTally('steady', world.cells);
    tally.asked = 100;
    tally.taken = 90;
    tally.noRoom = 10;
    tally.pairs[0] = 90;
    for (let i = 0; i < 90; i++) noteAdded(tally, i < 80 ? 0.5 : 90);
    expect(addedAt(tally, 0.5)).toBe(1);
    expect(addedAt(tally, 0.99)).toBe(90);
    expect(phases([tally], scenario)).toContain('| steady | 100 | 90.00 |');
    expect(phases([tally], scenario)).toContain('| west | 100.00 | 0.00 | 0.00 |');
  });
});

describe('a place', () => {
  const geography: Geography = world.geography;
  const consumers = Array.from({ length: 3_000 }, (_, i) => i);

  test('is in the region of the consumer, and the second one is not', () => {
    for (const consumer of consumers.slice(0, 200)) {
      expect(geography.regionOf[homeCell(consumer, 0, geography)]).toBe(0);
      expect(geography.regionOf[secondCell(consumer, 0, geography)]).not.toBe(0);
    }
  });

  test('is spread evenly over cells of equal weight, and by weight over others', () => {
    const won = [0, 0, 0];
    for (const consumer of consumers) won[homeCell(consumer, 0, geography)]! += 1;
    for (const count of won) expect(Math.abs(count - 1_000)).toBeLessThan(120);
    const heavy = consumers.filter(
      (key) => winner(key, [0, 1], SALT.second, (cell) => (cell === 0 ? 3 : 1)) === 0,
    );
    expect(Math.abs(heavy.length - 2_250)).toBeLessThan(120);
  });

  test('changes only for those whose cell goes, or who are won by a new one', () => {
    const stay = consumers.filter((node) => cellOfNode(node, [0, 1, 2, 3]) !== 3);
    expect(stay.length).toBeGreaterThan(2_000);
    for (const node of stay) expect(cellOfNode(node, [0, 1, 2])).toBe(cellOfNode(node, [0, 1, 2, 3]));
  });

  test('overflows to its own region first and then by distance, in an order of its own', () => {
    const order = spillOrder(0, [0, 1, 2, 3, 4, 5, 6], geography);
    expect(order.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6]);
    const regions = order.map((cell) => geography.regionOf[cell]);
    expect(regions).toEqual([0, 0, 1, 1, 2, 2]);
    const firsts = new Set([3, 4].map((cell) => spillOrder(cell, [0, 1, 2], geography).join()));
    expect(firsts.size).toBe(2);
  });
});
