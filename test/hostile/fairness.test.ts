import { describe, expect, test } from 'vitest';
import type { TierName } from '#domain/tier.ts';
import { WaitingRoom } from '#gateway/waiting-room.ts';
import { type Randomness, seededRandomness } from '#kit/random.ts';
import { candidate as candidateLike } from '#support/candidate.ts';
import { VirtualClock } from '#support/virtual-clock.ts';

// The promise of fairness, on a clock in hand: a model with so many places, asked for ten times what they can do.

const PLACES = 20;
const SERVICE_MS = 200;
const CAPACITY_PER_S = (PLACES * 1_000) / SERVICE_MS;
const SECONDS = 60;

interface Tenant {
  readonly name: string;
  readonly tier: TierName;
  readonly perSecond: number;
}

interface Seen {
  asked: number;
  served: number;
  /** Milliseconds until a refusal was said, longest first where it matters. */
  readonly refusedAfterMs: number[];
  readonly waitedMs: number[];
}

/** Plays so many seconds of it. What is still waiting at the end is not counted. */
async function play(tenants: readonly Tenant[], seed: number): Promise<Map<string, Seen>> {
  const clock = new VirtualClock();
  const random = seededRandomness(seed);
  const room = new WaitingRoom({ clock });
  const place = candidateLike('a');
  let free = PLACES;
  const seen = new Map<string, Seen>(
    tenants.map(({ name }) => [name, { asked: 0, served: 0, refusedAfterMs: [], waitedMs: [] }]),
  );
  const take = (of: Seen, sinceMs: number): void => {
    free -= 1;
    of.waitedMs.push(clock.nowMs() - sinceMs);
    clock.after(SERVICE_MS, () => {
      free += 1;
      of.served += 1;
      room.freed('m');
    });
  };
  const ask = ({ name, tier }: Tenant): void => {
    const of = seen.get(name) as Seen;
    const sinceMs = clock.nowMs();
    of.asked += 1;
    if (!room.isBusy('m') && free > 0) return take(of, sinceMs);
    room.wait({
      modelId: 'm',
      consumerId: name,
      tier,
      pick: () => (free > 0 ? { candidate: place } : { none: 'providers-busy' }),
      decided: (answer) => {
        if ('candidate' in answer) take(of, sinceMs);
        else of.refusedAfterMs.push(clock.nowMs() - sinceMs);
      },
    });
  };
  for (const tenant of tenants) arrive(clock, random, tenant.perSecond, () => ask(tenant));
  await clock.advance(SECONDS * 1_000);
  // What waits now is neither served nor refused: not counted as asked either.
  const ended = new Map(
    [...seen].map(([name, of]) => [name, { ...of, asked: of.served + of.refusedAfterMs.length }]),
  );
  room.close();
  return ended;
}

/** Calls `come` as often as `perSecond` says in the mean, at random. */
function arrive(clock: VirtualClock, random: Randomness, perSecond: number, come: () => void): void {
  const next = (): void => {
    clock.after((-Math.log(1 - random.float()) * 1_000) / perSecond, () => {
      come();
      next();
    });
  };
  next();
}

const goodput = (seen: Map<string, Seen>): number =>
  [...seen.values()].reduce((sum, { served }) => sum + served, 0) / SECONDS;
const successOf = ({ asked, served }: Seen): number => served / asked;

describe.each([1, 2, 3])('asked for ten times what its providers can do (seed %i)', (seed) => {
  const modest: Tenant[] = Array.from({ length: 10 }, (_, at) => ({
    name: `modest ${at}`,
    tier: 'pro',
    perSecond: 4,
  }));
  // A fair share is an eleventh.
  const greedy: Tenant = { name: 'greedy', tier: 'pro', perSecond: (100 * CAPACITY_PER_S) / 11 };

  test('a tenant at a hundred times its share leaves the others at least 99.9 % of theirs', async () => {
    const seen = await play([...modest, greedy], seed);
    const others = modest.map(({ name }) => seen.get(name) as Seen);
    const asked = others.reduce((sum, each) => sum + each.asked, 0);
    const served = others.reduce((sum, each) => sum + each.served, 0);
    expect(asked).toBeGreaterThan(2_000);
    expect(served / asked).toBeGreaterThanOrEqual(0.999);
    expect(successOf(seen.get('greedy') as Seen)).toBeLessThan(0.2);
  });

  test('as much is served as at the peak, and most of what is refused is refused at once', async () => {
    const peak = goodput(await play([{ ...greedy, perSecond: CAPACITY_PER_S }], seed));
    const crowd = Array.from({ length: 50 }, (_, at) => ({
      name: `tenant ${at}`,
      tier: 'pro' as const,
      perSecond: (10 * CAPACITY_PER_S) / 50,
    }));
    const seen = await play(crowd, seed);
    expect(goodput(seen)).toBeGreaterThanOrEqual(0.9 * peak);
    const refusals = [...seen.values()].flatMap(({ refusedAfterMs }) => refusedAfterMs);
    expect(refusals.filter((ms) => ms === 0).length / refusals.length).toBeGreaterThan(0.9);
    // Nobody is told later than its tier's deadline (and the look that notices it).
    expect(Math.max(...refusals)).toBeLessThanOrEqual(3_100);
  });

  test('Hobby asking for all of it leaves paid tiers what they ask, and is not shut out itself', async () => {
    const hobby = Array.from({ length: 20 }, (_, at) => ({
      name: `hobby ${at}`,
      tier: 'hobby' as const,
      perSecond: (10 * CAPACITY_PER_S) / 20,
    }));
    const business: Tenant = { name: 'business', tier: 'business', perSecond: 10 };
    const seen = await play([...hobby, ...modest, business], seed);
    for (const { name } of [...modest, business]) {
      expect(successOf(seen.get(name) as Seen)).toBeGreaterThanOrEqual(0.999);
    }
    const left = hobby.reduce((sum, { name }) => sum + (seen.get(name) as Seen).served, 0);
    expect(left / SECONDS).toBeGreaterThan(0.8 * (CAPACITY_PER_S - 50));
  });
});
