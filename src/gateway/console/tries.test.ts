import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import { silentLog } from '#kit/log.ts';
import { Line } from '#shared/line.ts';
import { hasRedis, TestRedis } from '#support/redis.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { SharedTries } from './shared-tries.ts';
import { MemoryTries, TRY_RATES, type Tries, type Try } from './tries.ts';

/**
 * One suite over the memory of one process and over Redis; there a second time with two gateways that take turns, which must
 * not be told from one.
 */
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

interface Stand {
  readonly clock: VirtualClock;
  readonly prefix: string;
  readonly tries: () => Tries;
}

function memory(): Promise<Stand> {
  const clock = new VirtualClock();
  const tries = new MemoryTries(clock);
  return Promise.resolve({ clock, prefix: '', tries: () => tries });
}

async function shared(count: number): Promise<Stand> {
  stands += 1;
  const clock = new VirtualClock();
  const prefix = `tries${stands}:`;
  const all: SharedTries[] = [];
  for (let i = 0; i < count; i++) {
    const line = await Line.open({
      url: redis.url,
      prefix,
      instance: `inst_${i}`,
      clock: systemClock,
      log: silentLog,
    });
    lines.push(line);
    const timeMs = () => 1_000_000 + clock.nowMs();
    all.push(new SharedTries({ line, clock, log: silentLog, timeMs }));
  }
  let turn = 0;
  return { clock, prefix, tries: () => all[turn++ % count] as Tries };
}

const guess = (who: string, from: string): Try[] => [
  { kind: 'guess-pair', name: `${from} ${who}` },
  { kind: 'guess-account', name: who },
  { kind: 'guess-address', name: from },
];
/** 0: it may. Otherwise the seconds to wait. */
const waitOf = async (work: Promise<unknown>): Promise<number> =>
  await work.then(
    () => 0,
    (error: unknown) => {
      if (!(error instanceof Fault) || error.code !== 'tried-too-often') throw error;
      return error.retryAfterS ?? Number.NaN;
    },
  );

describe.each([
  ['in memory', memory, true],
  ['over Redis', () => shared(1), redisThere],
  ['over Redis, with two gateways in turn', () => shared(2), redisThere],
] as const)('tries %s', (_name, open, there) => {
  test.skipIf(!there)('come so many at once, then one in each stretch of time', async () => {
    const { clock, tries } = await open();
    const take = () => waitOf(tries().take([{ kind: 'guess-pair', name: 'a' }]));
    for (let i = 0; i < TRY_RATES['guess-pair'].burst; i++) expect(await take()).toBe(0);
    expect(await take()).toBe(60);
    expect(await waitOf(tries().take([{ kind: 'guess-pair', name: 'b' }]))).toBe(0);
    expect(await waitOf(tries().take([{ kind: 'sign-up', name: 'a' }]))).toBe(0);
    await clock.advance(59_000);
    expect(await take()).toBe(1);
    await clock.advance(1_000);
    expect([await take(), await take()]).toEqual([0, 60]);
  });

  test.skipIf(!there)('are noted under all names or under none', async () => {
    const { tries } = await open();
    for (let i = 0; i < 5; i++) expect(await waitOf(tries().take(guess('ann', 'here')))).toBe(0);
    // Refused for the pair: neither the account nor the place has one less.
    for (let i = 0; i < 100; i++) expect(await waitOf(tries().take(guess('ann', 'here')))).toBe(60);
    for (let i = 0; i < 25; i++) expect(await waitOf(tries().take(guess(`bob${i}`, 'here')))).toBe(0);
    expect(await waitOf(tries().take(guess('zoe', 'here')))).toBe(10);
    for (let i = 0; i < 45; i++) expect(await waitOf(tries().take(guess('ann', `place ${i}`)))).toBe(0);
    expect(await waitOf(tries().take(guess('ann', 'elsewhere')))).toBe(60);
  });

  test.skipIf(!there)('that are taken back never were', async () => {
    const { tries } = await open();
    for (let i = 0; i < 12; i++) {
      const forgive = await tries().take(guess('ann', 'here'));
      forgive();
      // The next is asked on the same line, so what was given back has arrived before it.
      for (const each of [tries(), tries()]) (await each.take([{ kind: 'sign-up', name: `${i}` }]))();
    }
    for (let i = 0; i < 5; i++) expect(await waitOf(tries().take(guess('ann', 'here')))).toBe(0);
    expect(await waitOf(tries().take(guess('ann', 'here')))).toBe(60);
  });

  test.skipIf(!there)('that come at once do not slip past', async () => {
    const { tries } = await open();
    const waits = await Promise.all(Array.from({ length: 40 }, () => waitOf(tries().take(guess('a', 'b')))));
    expect(waits.filter((wait) => wait === 0)).toHaveLength(5);
  });
});

describe.skipIf(!redisThere)('tries that gateways share', () => {
  test('tell Redis nobody’s address', async () => {
    const { prefix, tries } = await shared(1);
    await tries().take(guess('ann@example.org', '192.0.2.77'));
    const client = new Redis(redis.url);
    const keys = await client.keys(`${prefix}*`);
    client.disconnect();
    expect(keys.filter((key) => key.includes('try:'))).toHaveLength(3);
    expect(keys.join()).not.toMatch(/ann|192\.0\.2/);
  });

  test('go on without Redis, each gateway with its part, and nobody is locked out', async () => {
    const gone = await TestRedis.open();
    const clock = new VirtualClock();
    const opened = [];
    for (const instance of ['one', 'two'])
      opened.push(await Line.open({ url: gone.url, instance, clock: systemClock, log: silentLog }));
    lines.push(...opened);
    for (const line of opened) await line.beat();
    expect(opened.map((line) => line.place.of)).toEqual([2, 2]);
    await gone.close();
    const all = opened.map((line) => new SharedTries({ line, clock, log: silentLog }));
    let allowed = 0;
    for (const tries of all)
      for (let i = 0; i < 10; i++) if ((await waitOf(tries.take(guess('ann', 'here')))) === 0) allowed += 1;
    // Of five, two at each of two gateways.
    expect(allowed).toBe(4);
    expect(await waitOf((all[0] as SharedTries).take(guess('ann', 'here')))).toBe(120);
  });
});
