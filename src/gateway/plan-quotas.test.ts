import { describe, expect, test } from 'vitest';
import type { Model } from '#domain/model.ts';
import type { KeyRecord } from '#domain/party.ts';
import { PLANS } from '#domain/plan.ts';
import { weekOf, weekStart } from '#domain/window.ts';
import type { Purse } from '#funds/plan-purses.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { MemoryQuotas } from './plan-quotas.ts';

const WEEK = PLANS.pro.tokensPerWeek;
const DAY_MS = 86_400_000;
const model = (more: Partial<Model> = {}): Model => ({
  id: 'a/model',
  slug: 'model',
  aliases: [],
  name: 'model',
  category: 'llm',
  contextTokens: 8_192,
  maxOutputTokens: 512,
  minVramGb: 0,
  active: true,
  canary: null,
  tier: 'standard',
  price: { id: 'price_1', unit: 'token', inputPico: 1n, outputPico: 2n },
  ...more,
});
const IMAGES = model({ category: 'image', price: { id: 'price_2', unit: 'request', requestPico: 5n } });
const key = (plan?: string): KeyRecord => ({
  id: 'key_1',
  kind: 'consumer',
  ownerId: 'con_1',
  name: 'k',
  prefix: 'k',
  revoked: false,
  ...(plan !== undefined && { plan }),
});
async function quotas(
  used: { tokens: number; units: number } = { tokens: 0, units: 0 },
  purse: Purse | undefined = purseOf(10n ** 15n),
) {
  // A Wednesday.
  const clock = new VirtualClock(Date.UTC(2026, 10, 25, 12));
  const asked: object[] = [];
  const opened = await MemoryQuotas.open({
    clock,
    purses: { of: () => purse },
    read: async (window) => {
      asked.push(window);
      return new Map([['con_1', used]]);
    },
  });
  return { clock, quotas: opened, asked };
}
const most = (tokens: number, units = 0) => ({ tokens, units });
function purseOf(amount: bigint): Purse {
  return { startsAt: 0, endsAt: Number.MAX_SAFE_INTEGER, most: amount, spent: 0n, reserved: 0n };
}

test('a week begins on Monday', () => {
  const monday = Date.UTC(2026, 10, 23);
  expect(weekStart(weekOf(monday))).toBe(monday);
  expect(weekStart(weekOf(monday + 7 * DAY_MS - 1))).toBe(monday);
  expect(weekOf(monday - 1)).toBe(weekOf(monday) - 1);
});

describe('what a plan covers', () => {
  test.each([
    ['the models of its tiers', 'pro', model(), 10],
    ['free models too', 'pro', model({ tier: 'free' }), 10],
    ['no premium models', 'pro', model({ tier: 'premium' }), 0],
    ['nothing of a model without a tier', 'pro', model({ tier: '' }), 0],
    ['nothing where one pays as one goes', 'pay-as-you-go', model(), 0],
    ['nothing in the free plan', 'free', model({ tier: 'free' }), 0],
    ['nothing without a plan', undefined, model(), 0],
  ])('%s', async (_name, plan, asked, tokens) => {
    const { quotas: room } = await quotas();
    expect(room.reserve(key(plan), asked, most(10)).tokens).toBe(tokens);
  });

  test('images are counted as images, and a day is enough for so many', async () => {
    const { quotas: room, clock } = await quotas({ tokens: 0, units: 74 });
    const cover = room.reserve(key('pro'), IMAGES, most(0, 3));
    expect(cover).toEqual({ tokens: 0, units: 1 });
    room.settle('con_1', cover, cover, 5n);
    expect(room.reserve(key('pro'), IMAGES, most(0, 1))).toEqual({ tokens: 0, units: 0 });
    clock.jumpWall(DAY_MS);
    expect(room.reserve(key('pro'), IMAGES, most(0, 1)).units).toBe(1);
  });
});

test('the last token of the quota is covered and the next is not, however many ask at once', async () => {
  const { quotas: room } = await quotas({ tokens: WEEK - 100, units: 0 });
  const covers = Array.from({ length: 8 }, () => room.reserve(key('pro'), model(), most(30)));
  expect(covers.map(({ tokens }) => tokens)).toEqual([30, 30, 30, 10, 0, 0, 0, 0]);
  // What is not used comes back, and no more.
  for (const cover of covers) room.settle('con_1', cover, most(Math.min(cover.tokens, 20)), 0n);
  expect(room.left('con_1', PLANS.pro).tokens).toBe(100 - 20 - 20 - 20 - 10);
  expect(room.reserve(key('pro'), model(), most(1_000)).tokens).toBe(30);
});

test('a new week has the whole quota, less what still runs; a clock that is set back gives nothing twice', async () => {
  const { quotas: room, clock } = await quotas({ tokens: WEEK, units: 0 });
  expect(room.left('con_1', PLANS.pro).tokens).toBe(0);
  clock.jumpWall(5 * DAY_MS);
  const running = room.reserve(key('pro'), model(), most(WEEK - 5));
  expect(running.tokens).toBe(WEEK - 5);
  clock.jumpWall(7 * DAY_MS);
  expect(room.left('con_1', PLANS.pro).tokens).toBe(5);
  room.settle('con_1', running, most(7), 7n);
  expect(room.left('con_1', PLANS.pro).tokens).toBe(WEEK - 7);
  clock.jumpWall(-7 * DAY_MS);
  expect(room.left('con_1', PLANS.pro).tokens).toBe(WEEK - 7);
});

test('what was used before the process began is read for the week and the day', async () => {
  const { asked } = await quotas();
  expect(asked).toEqual([{ weekSince: Date.UTC(2026, 10, 23), daySince: Date.UTC(2026, 10, 25) }]);
});

describe('the purse of a period', () => {
  test('covers no more than it holds, by the dearest that a token can cost, however many ask at once', async () => {
    const { quotas: room } = await quotas(undefined, purseOf(101n));
    const covers = Array.from({ length: 4 }, () => room.reserve(key('pro'), model(), most(20)));
    // Two pico-dollars a token at the most: fifty tokens.
    expect(covers.map(({ tokens }) => tokens)).toEqual([20, 20, 10, 0]);
    expect(room.left('con_1', PLANS.pro).usd).toBe(1n);
    // What came cheaper comes back.
    for (const cover of covers) room.settle('con_1', cover, most(cover.tokens), BigInt(cover.tokens));
    expect(room.left('con_1', PLANS.pro).usd).toBe(51n);
    expect(room.reserve(key('pro'), model(), most(100)).tokens).toBe(25);
  });

  test('holds for images as for tokens', async () => {
    const { quotas: room } = await quotas(undefined, purseOf(12n));
    expect(room.reserve(key('pro'), IMAGES, most(0, 9)).units).toBe(2);
  });

  test('does not matter where a model costs nothing', async () => {
    const { quotas: room } = await quotas(undefined, purseOf(0n));
    const gratis = model({ price: { id: 'price_3', unit: 'token', inputPico: 0n, outputPico: 0n } });
    expect(room.reserve(key('pro'), gratis, most(7)).tokens).toBe(7);
  });

  test('is overdrawn by a period that was read late, and covers nothing then', async () => {
    const purse = { ...purseOf(10n), spent: 11n };
    const { quotas: room } = await quotas(undefined, purse);
    expect(room.reserve(key('pro'), model(), most(7)).tokens).toBe(0);
    expect(room.left('con_1', PLANS.pro).usd).toBe(0n);
  });

  test('that follows it is a new one: what still runs ends in the old', async () => {
    let purse = purseOf(100n);
    const clock = new VirtualClock(Date.UTC(2026, 10, 25, 12));
    const room = await MemoryQuotas.open({ clock, purses: { of: () => purse }, read: async () => new Map() });
    const running = room.reserve(key('pro'), model(), most(50));
    const old = purse;
    purse = purseOf(100n);
    room.settle('con_1', running, most(50), 60n);
    expect(old).toMatchObject({ spent: 60n, reserved: 0n });
    expect(purse).toMatchObject({ spent: 0n, reserved: 0n });
  });
});

test('a plan that was not paid for covers nothing', async () => {
  const clock = new VirtualClock(Date.UTC(2026, 10, 25, 12));
  const room = await MemoryQuotas.open({
    clock,
    purses: { of: () => undefined },
    read: async () => new Map(),
  });
  expect(room.reserve(key('pro'), model(), most(7))).toEqual({ tokens: 0, units: 0 });
  expect(room.left('con_1', PLANS.pro).usd).toBe(0n);
});
