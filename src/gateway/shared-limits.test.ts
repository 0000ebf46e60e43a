import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { WHOLE_SCOPE } from '#domain/key-scope.ts';
import type { KeyRecord } from '#domain/party.ts';
import { firstTiers, type Tier, type TierOf } from '#domain/tier.ts';
import type { Purse } from '#funds/plan-purses.ts';
import { pause, systemClock } from '#kit/clock.ts';
import { type Logger, silentLog } from '#kit/log.ts';
import { Line } from '#shared/line.ts';
import { Pots } from '#shared/pots.ts';
import { takeFromBuckets } from '#shared/rates.ts';
import { hasRedis, TestRedis } from '#support/redis.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { type LimitedKey, type Limits, MemoryLimits } from './limits.ts';
import { MemoryQuotas, type Quotas } from './plan-quotas.ts';
import { SharedCaps } from './shared-caps.ts';
import { SharedLimits } from './shared-limits.ts';
import { SharedQuotas } from './shared-quotas.ts';
import { MemoryCaps, type SpendCaps } from './spend-caps.ts';

/**
 * One suite over both kinds of limits, caps and quotas: the memory of one process and Redis. Over Redis it runs a second
 * time with two gateways that take turns, which must not be told from one.
 */
const settings = {
  requestsPerMinute: { llm: 200, image: 60, embedding: 500, other: 200 },
  concurrentPerKey: 3,
};
const NOON = Date.UTC(2026, 10, 20, 12);
const NANO = 1_000n;

interface Stand {
  limits(): Limits;
  caps(): SpendCaps;
  quotas(purse: Purse): Promise<Quotas>;
  readonly clock: VirtualClock;
  /** Sets the terms of a tier, for all gateways. */
  setTier(terms: Partial<Tier>): void;
}

interface Gateway {
  readonly line: Line;
  readonly pots: Pots;
}

const redisThere = hasRedis();
let redis: TestRedis;
const lines: Line[] = [];
let stands = 0;

beforeAll(async () => {
  if (redisThere) redis = await TestRedis.open();
});
afterAll(async () => {
  for (const line of lines) await line.close();
  await redis?.close();
});

async function gateway(prefix: string, instance: string, signMs?: number): Promise<Gateway> {
  const line = await Line.open({
    url: redis.url,
    prefix,
    instance,
    clock: systemClock,
    log: silentLog,
    settlingMs: 300,
    ...(signMs !== undefined && { signMs }),
  });
  lines.push(line);
  return { line, pots: await Pots.open({ line, clock: systemClock, log: silentLog }) };
}

/** Calls go to one after the other; what is ended goes to whoever began it. */
function alternating<T extends object>(members: readonly T[]): () => T {
  let turn = 0;
  return () => members[turn++ % members.length] as T;
}

/** Tiers that can be set, as the operator's view of them does: each change makes a new record. */
function settableTiers(): { of: TierOf; set: (terms: Partial<Tier>) => void } {
  const set = new Map<string, Tier>();
  return {
    of: (name) => set.get(name) ?? firstTiers(name),
    set: (terms) => set.set('hobby', { ...firstTiers('hobby'), ...terms }),
  };
}

function memory(): Promise<Stand> {
  const clock = new VirtualClock(NOON);
  const tiers = settableTiers();
  const limits = new MemoryLimits(settings, tiers.of);
  let quotas: Promise<Quotas> | undefined;
  return MemoryCaps.open({ clock, log: silentLog, read: async () => new Map(), keys: [] }).then((caps) => ({
    clock,
    setTier: tiers.set,
    limits: () => limits,
    caps: () => caps,
    quotas: (purse) => {
      quotas ??= MemoryQuotas.open({ clock, purses: { of: () => purse }, read: async () => new Map() });
      return quotas;
    },
  }));
}

async function shared(count: number): Promise<Stand> {
  stands += 1;
  const clock = new VirtualClock(NOON);
  const prefix = `test${stands}:`;
  const gateways: Gateway[] = [];
  const tiers = settableTiers();
  for (let i = 0; i < count; i++) gateways.push(await gateway(prefix, `inst_${i}`));
  const limits = gateways.map(
    ({ line, pots }) =>
      new SharedLimits({
        line,
        pots,
        settings,
        tiers: tiers.of,
        clock: systemClock,
        timeOf: (nowMs) => 1_000_000 + nowMs,
      }),
  );
  const caps = gateways.map(
    ({ line, pots }) =>
      new SharedCaps({
        clock,
        pots,
        requestMsMax: 600_000,
        read: async () => ({ instance: line.instance, spent: new Map() }),
      }),
  );
  const quotasOf = (purse: Purse) =>
    gateways.map(
      ({ pots }) =>
        new SharedQuotas({
          clock,
          pots,
          purses: { of: () => purse },
          requestMsMax: 600_000,
          read: async () => new Map(),
        }),
    );
  let quotas: SharedQuotas[] | undefined;
  let turn = 0;
  return {
    clock,
    setTier: tiers.set,
    limits: alternating(limits),
    caps: alternating(caps),
    quotas: async (purse) => {
      quotas ??= quotasOf(purse);
      turn += 1;
      return quotas[turn % count] as Quotas;
    },
  };
}

const KEY: LimitedKey = { id: 'key_1', ownerId: 'cons_1' };

describe.each([
  ['in memory', memory, true],
  ['over Redis', () => shared(1), redisThere],
  ['over Redis, with two gateways in turn', () => shared(2), redisThere],
] as const)('limits %s', (_name, open, there) => {
  test.skipIf(!there)(
    'let through a whole minute of requests at once, and then one as time goes by',
    async () => {
      const stand = await open();
      for (let i = 0; i < 200; i++)
        expect((await stand.limits().takeRequest(KEY, 'llm', 1_000)).allowed, `request ${i}`).toBe(true);
      // What a gateway has ahead is found out about within the second after which it goes back.
      const refused = await stand.limits().takeRequest(KEY, 'llm', 1_000);
      expect(refused).toMatchObject({ allowed: false, limit: 200, remaining: 0, retryAfterS: 1 });
      expect((await stand.limits().takeRequest(KEY, 'llm', 1_299)).allowed).toBe(false);
      expect((await stand.limits().takeRequest(KEY, 'llm', 1_300)).allowed).toBe(true);
      expect((await stand.limits().takeRequest(KEY, 'llm', 1_301)).allowed).toBe(false);
      expect((await stand.limits().takeRequest(KEY, 'image', 1_301)).allowed).toBe(true);
    },
  );

  test.skipIf(!there)('count the keys of an account together, and a refused request nowhere', async () => {
    const stand = await open();
    let passed = 0;
    for (let key = 0; key < 8; key++)
      for (let i = 0; i < 60; i++) {
        const one = { id: `key_${key}`, ownerId: 'cons_2' };
        if ((await stand.limits().takeRequest(one, 'image', 0)).allowed) passed += 1;
      }
    expect(passed).toBe(300);
  });

  test.skipIf(!there)('say what a plan leaves', async () => {
    const stand = await open();
    const free = { ...KEY, ownerId: 'cons_3', plan: 'free' };
    for (let i = 0; i < 10; i++) {
      const verdict = await stand.limits().takeRequest({ ...free, id: `key_${i}` }, 'llm', 0);
      expect(verdict).toMatchObject({ allowed: true, of: 'plan', limit: 10, remaining: 9 - i });
    }
    const refused = await stand.limits().takeRequest(free, 'image', 0);
    expect(refused).toMatchObject({ allowed: false, of: 'plan', retryAfterS: 6 });
  });

  test.skipIf(!there)('let in as many at once as there are places, wherever they are', async () => {
    const stand = await open();
    const inside: Limits[] = [];
    for (let i = 0; i < 3; i++) {
      const limits = stand.limits();
      expect((await limits.enter(KEY)).allowed).toBe(true);
      inside.push(limits);
    }
    const refused = await stand.limits().enter(KEY);
    expect(refused).toEqual({ allowed: false, of: 'key', limit: 3, remaining: 0 });
    inside[1]?.leave(KEY);
    // Whoever asks next, the free place is found, also where it lies at another gateway.
    expect((await stand.limits().enter(KEY)).allowed).toBe(true);
    expect((await stand.limits().enter(KEY)).allowed).toBe(false);
  });

  test.skipIf(!there)(
    "hold an account to its tier's burst of ten seconds, as it stands when asked",
    async () => {
      const stand = await open();
      stand.setTier({ burst: 4 });
      const free = (i: number): LimitedKey => ({ id: `key_${i}`, ownerId: 'cons_4', plan: 'free' });
      for (let i = 0; i < 4; i++)
        expect(await stand.limits().takeRequest(free(i), 'llm', 0)).toMatchObject({
          allowed: true,
          of: 'tier-burst',
          limit: 4,
          remaining: 3 - i,
        });
      expect(await stand.limits().takeRequest(free(0), 'image', 0)).toMatchObject({
        allowed: false,
        of: 'tier-burst',
        retryAfterS: 3,
      });
      stand.setTier({ burst: 5 });
      expect((await stand.limits().takeRequest(free(1), 'llm', 0)).allowed).toBe(false);
      expect((await stand.limits().takeRequest(free(2), 'llm', 2_000)).allowed).toBe(true);
      expect((await stand.limits().takeRequest(free(3), 'llm', 2_000)).allowed).toBe(false);
      stand.setTier({ burst: null });
      expect((await stand.limits().takeRequest(free(4), 'llm', 2_000)).allowed).toBe(true);
    },
  );

  test.skipIf(!there)(
    "hold all keys of an account to its tier's places, also when they become fewer",
    async () => {
      const stand = await open();
      stand.setTier({ concurrent: 2, burst: null });
      const free = (i: number): LimitedKey => ({ id: `key_${i}`, ownerId: 'cons_5', plan: 'free' });
      const inside: [Limits, LimitedKey][] = [];
      const enter = async (i: number) => {
        const limits = stand.limits();
        const verdict = await limits.enter(free(i));
        if (verdict.allowed) inside.push([limits, free(i)]);
        return verdict;
      };
      // The plan's own limit is 2 as well, and the tier says no less.
      await enter(0);
      await enter(1);
      expect(await enter(2)).toEqual({ allowed: false, of: 'plan', limit: 2, remaining: 0 });
      for (const [limits, key] of inside.splice(0)) limits.leave(key);
      stand.setTier({ concurrent: 1, burst: null });
      expect((await enter(0)).allowed).toBe(true);
      expect(await enter(1)).toEqual({ allowed: false, of: 'tier', limit: 1, remaining: 0 });
      expect(await enter(2)).toEqual({ allowed: false, of: 'tier', limit: 1, remaining: 0 });
      for (const [limits, key] of inside.splice(0)) limits.leave(key);
      expect((await enter(2)).allowed).toBe(true);
    },
  );

  test.skipIf(!there)('hold a cap exactly, with what was asked for and not charged given back', async () => {
    const stand = await open();
    const mine = capped({ day: 10n * NANO, month: 15n * NANO });
    expect(await stand.caps().reserve(mine, 11n * NANO)).toBe('day');
    const first = stand.caps();
    expect(await first.reserve(mine, 10n * NANO)).toBe(true);
    expect(await stand.caps().reserve(mine, 1n * NANO)).toBe('day');
    first.settle(mine, 10n * NANO, 9n * NANO);
    expect(await stand.caps().reserve(mine, 2n * NANO)).toBe('day');
    const second = stand.caps();
    expect(await second.reserve(mine, 1n * NANO)).toBe(true);
    second.settle(mine, 1n * NANO, 1n * NANO);
    expect(await stand.caps().reserve(mine, 1n * NANO)).toBe('day');
    await stand.clock.advance(86_400_000);
    expect(await stand.caps().reserve(mine, 6n * NANO)).toBe('month');
    expect(await stand.caps().reserve(mine, 5n * NANO)).toBe(true);
  });

  test.skipIf(!there)('cover the quota of a plan to the token', async () => {
    const stand = await open();
    const purse = { startsAt: 0, endsAt: Number.MAX_SAFE_INTEGER, most: 10n ** 15n, spent: 0n, reserved: 0n };
    const pro: KeyRecord = { ...capped({}), plan: 'pro' };
    const first = await stand.quotas(purse);
    const cover = await first.reserve(pro, MODEL, { tokens: 39_999_990, units: 0 });
    expect(cover).toEqual({ tokens: 39_999_990, units: 0 });
    const second = await stand.quotas(purse);
    const rest = await second.reserve(pro, MODEL, { tokens: 100, units: 0 });
    expect(rest).toEqual({ tokens: 10, units: 0 });
    expect(await (await stand.quotas(purse)).reserve(pro, MODEL, { tokens: 100, units: 0 })).toEqual({
      tokens: 0,
      units: 0,
    });
    second.settle(pro.ownerId, rest, { tokens: 4, units: 0 }, 4n);
    expect(await (await stand.quotas(purse)).reserve(pro, MODEL, { tokens: 100, units: 0 })).toEqual({
      tokens: 6,
      units: 0,
    });
  });
});

const MODEL = {
  id: 'a/model',
  slug: 'model',
  aliases: [],
  name: 'model',
  category: 'llm' as const,
  contextTokens: 8_192,
  maxOutputTokens: 512,
  minVramGb: 0,
  active: true,
  canary: null,
  tier: 'standard',
  price: { id: 'price_1', unit: 'token' as const, inputPico: 1n * NANO, outputPico: 2n * NANO },
};

function capped(caps: { day?: bigint; month?: bigint }): KeyRecord {
  return {
    id: 'key_1',
    kind: 'consumer',
    ownerId: 'cons_1',
    name: 'k',
    prefix: '00000000',
    revoked: false,
    scope: { ...WHOLE_SCOPE, capDay: caps.day ?? null, capMonth: caps.month ?? null },
  };
}

describe.skipIf(!redisThere)('of several gateways', () => {
  test('exactly one gets the last of anything, however often they race for it', async () => {
    const a = await gateway('race:', 'a');
    const b = await gateway('race:', 'b');
    for (let round = 0; round < 30; round++) {
      const pot = { name: `last-${round}`, size: 1 };
      const got = await Promise.all([a.pots.take(pot, 1), b.pots.take(pot, 1)]);
      expect(got, `round ${round}`).toContain(0);
      expect(got, `round ${round}`).toContain(1);
      const bucket = [{ name: `last-${round}`, limit: 1, periodMs: 60_000 }];
      const asked = { wanted: 1, ahead: 0, nowMs: undefined };
      const rates = await Promise.all([
        takeFromBuckets(a.line, bucket, asked),
        takeFromBuckets(b.line, bucket, asked),
      ]);
      const taken = rates.map((rate) => rate.taken);
      expect(taken, `round ${round}`).toContain(0);
      expect(taken, `round ${round}`).toContain(1);
    }
  });

  test('five hundred requests over three gateways never have more under way than there are places', async () => {
    const three = await Promise.all(['a', 'b', 'c'].map((id) => gateway('many:', id)));
    const pot = { name: 'places', size: 7 };
    let inside = 0;
    let most = 0;
    let served = 0;
    await Promise.all(
      Array.from({ length: 500 }, async (_, i) => {
        const { pots } = three[i % 3] as Gateway;
        if ((await pots.take(pot, 1)) !== 1) return;
        inside += 1;
        most = Math.max(most, inside);
        served += 1;
        await Promise.resolve();
        inside -= 1;
        pots.settle(pot, 1);
      }),
    );
    expect(most).toBeLessThanOrEqual(7);
    expect(served).toBeGreaterThan(7);
  });

  test('a dead one frees its places when its last sign of life is over, and keeps what it may have spent', async () => {
    const dying = await gateway('death:', 'dying', 400);
    const living = await gateway('death:', 'living', 400);
    const places = { name: 'places', size: 2 };
    const money = {
      name: 'money',
      size: 10,
      keeps: { untilMs: Date.now() + 60_000, read: async () => new Map() },
    };
    expect(await dying.pots.take(places, 2)).toBe(2);
    expect(await dying.pots.take(money, 8)).toBe(8);
    expect(await living.pots.take(places, 1)).toBe(0);
    await kill(dying);
    while ((await living.pots.take(places, 1)) !== 1) await pause(systemClock, 20);
    expect(await living.pots.take(money, 3)).toBe(0);
    // Its next life has read in the books that it spent 5.
    const next = await gateway('death:', 'dying', 400);
    const read = async () => new Map([['dying', 5]]);
    expect(await next.pots.take({ ...money, keeps: { ...money.keeps, read } }, 1)).toBe(1);
    expect(await living.pots.take(money, 5)).toBe(0);
    expect(await living.pots.take(money, 4)).toBe(4);
  });

  test('bug: one that was killed and came back at once kept its places taken, as long as nobody asked it for them', async () => {
    const dying = await gateway('reborn:', 'dying');
    const living = await gateway('reborn:', 'living');
    const places = { name: 'places', size: 2 };
    expect(await dying.pots.take(places, 2)).toBe(2);
    expect(await living.pots.take(places, 1)).toBe(0);
    await kill(dying);
    await gateway('reborn:', 'dying');
    await expect.poll(() => living.pots.take(places, 2), { timeout: 5_000 }).toBe(2);
  });
});

describe.skipIf(!redisThere)('without Redis', () => {
  test('gateways let through their parts of what there is, and what each holds is told to a Redis that forgot it', async () => {
    const own = await TestRedis.open();
    onTestFinished(() => own.close());
    const open = async (instance: string) => {
      const line = await Line.open({
        url: own.url,
        instance,
        clock: systemClock,
        log: silentLog,
        signMs: 60_000,
      });
      const pots = await Pots.open({ line, clock: systemClock, log: silentLog });
      return { line, pots, limits: new SharedLimits({ line, pots, settings, clock: systemClock }) };
    };
    const both = [await open('a'), await open('b')] as const;
    const [a, b] = both;
    await a.line.beat();
    const money = {
      name: 'money',
      size: 10,
      keeps: { untilMs: Date.now() + 60_000, read: async () => new Map() },
    };
    expect(await a.pots.take(money, 6)).toBe(6);
    a.pots.settle(money, 6, 2);
    await own.kill();
    while (!a.line.away || !b.line.away) await pause(systemClock, 5);
    // Three places for two gateways: two for the one, one for the other.
    const entered = [];
    for (const { limits } of both)
      for (let i = 0; i < 3; i++) entered.push((await limits.enter(KEY)).allowed);
    expect(entered.filter(Boolean)).toHaveLength(3);
    // Of requests a minute the half, beginning with none.
    const now = systemClock.nowMs();
    expect((await a.limits.takeRequest(KEY, 'llm', now)).allowed).toBe(false);
    for (const ms of [600, 1_200, 1_800])
      expect((await a.limits.takeRequest(KEY, 'llm', now + ms)).allowed).toBe(true);
    // What was leased of money is still there; more is not.
    expect(await a.pots.take(money, 4)).toBe(4);
    expect(await b.pots.take(money, 1)).toBe('unavailable');
    await own.start();
    while (a.line.away || b.line.away) await pause(systemClock, 5);
    expect(await b.pots.take(money, 5)).toBe(0);
    expect(await b.pots.take(money, 4)).toBe(4);
    expect((await a.limits.enter(KEY)).allowed).toBe(false);
    for (const { line } of both) await line.close();
  });

  test('a store that is emptied without a restart gives nothing twice: not places, not money', async () => {
    const prefix = `emptied${stands++}:`;
    const [a, b] = [await gateway(prefix, 'a'), await gateway(prefix, 'b')];
    const places = { name: 'places', size: 10 };
    const money = {
      name: 'money',
      size: 10,
      keeps: { read: async () => new Map<string, number>(), untilMs: Number.MAX_SAFE_INTEGER },
    };
    for (const pot of [places, money]) {
      expect(await a.pots.take(pot, 6)).toBe(6);
      expect(await b.pots.take(pot, 1)).toBe(1);
    }
    a.pots.settle(money, 6, 4);
    const keys = new Redis(redis.url);
    onTestFinished(() => keys.disconnect());
    // Everything of this market, as FLUSHDB or a failover to an empty replica does.
    const all = await keys.keys(`${prefix}*`);
    expect(all).toContain(`${prefix}epoch`);
    await keys.del(...all);
    // Who asks first finds out, and waits until the other has said what it holds.
    const taken = await Promise.all([b.pots.take(places, 4), b.pots.take(money, 6), b.pots.take(money, 5)]);
    expect(taken[0]).toBe(0);
    expect(taken[1]).toBe(0);
    expect(taken[2]).toBe(5);
    expect(await b.pots.take(places, 3)).toBe(3);
    expect(await a.pots.take(places, 1)).toBe(0);
    expect(await a.pots.take(money, 1)).toBe(0);
  });

  test('a gateway that begins beside an emptied store waits until the others have spoken', async () => {
    const prefix = `begun${stands++}:`;
    const a = await gateway(prefix, 'a', 1_000);
    const places = { name: 'places', size: 10 };
    expect(await a.pots.take(places, 10)).toBe(10);
    const keys = new Redis(redis.url);
    onTestFinished(() => keys.disconnect());
    await keys.del(...(await keys.keys(`${prefix}*`)));
    const b = await gateway(prefix, 'b');
    expect(await b.pots.take(places, 1)).toBe(0);
  });

  test('a store that may drop keys is warned of at the start', async () => {
    const keys = new Redis(redis.url);
    onTestFinished(async () => {
      await keys.config('SET', 'maxmemory-policy', 'noeviction');
      keys.disconnect();
    });
    await keys.config('SET', 'maxmemory-policy', 'allkeys-lru');
    const said: unknown[] = [];
    const log = Object.assign(Object.create(silentLog) as Logger, {
      warn: (what: unknown) => said.push(what),
    });
    const about = { url: redis.url, prefix: `policy${stands++}:`, instance: 'a', clock: systemClock };
    lines.push(await Line.open({ ...about, log }));
    expect(said).toEqual([{ policy: 'allkeys-lru' }]);
  });
});

/** As a process that is killed: nothing more is said, and nothing given back. */
async function kill({ line }: Gateway): Promise<void> {
  line.run = async () => {
    throw new Error('dead');
  };
  await line.close();
}
