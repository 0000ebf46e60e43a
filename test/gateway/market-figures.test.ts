import { afterAll, beforeAll, expect, test } from 'vitest';
import type { z } from 'zod';
import { setPrice } from '#catalogue/prices.ts';
import { systemClock } from '#kit/clock.ts';
import { ask, HELLO } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import { makeId } from '#support/parties.ts';
import {
  gpuAnswer,
  leaderboardAnswer,
  networkAnswer,
  networkHistoryAnswer,
  plansAnswer,
  priceHistoryAnswer,
  utilizationAnswer,
} from '#wire/market.ts';

/** What anyone may know of the market, read with the schemas that the pages are typed by. */
let market: TestMarket;
beforeAll(async () => {
  market = await TestMarket.open();
});
afterAll(() => market.close());

async function read<T extends z.ZodType>(schema: T, path: string): Promise<z.output<T>> {
  const answer = await fetch(`${market.url}/api/v1${path}`);
  expect(answer.status).toBe(200);
  return schema.parse(await answer.json());
}

test.each([
  ['/stats/network', networkAnswer],
  ['/stats/network/history', networkHistoryAnswer],
  ['/stats/leaderboard', leaderboardAnswer],
  ['/stats/gpu', gpuAnswer],
  ['/stats/utilization', utilizationAnswer],
  ['/plans', plansAnswer],
])('%s says what its schema says, to anyone', async (path, schema) => {
  expect(await read(schema, path)).toMatchObject({ code: 0 });
});

test('the days of the market are thirty, the last is today, and what a balance paid for is in it', async () => {
  const fresh = await TestMarket.open();
  const model = fresh.aModel();
  await fresh.rehearsal(model, 'rehearsal:tokens=10,prompt=7');
  const consumer = await fresh.consumer();
  await ask({ url: fresh.url, key: consumer.key, body: { model: model.id, messages: HELLO } });
  const [row] = await fresh.usage(consumer, 1);
  const tokens = (row?.inputTokens ?? 0) + (row?.outputTokens ?? 0);
  expect(tokens).toBeGreaterThan(0);
  const answer = await fetch(`${fresh.url}/api/v1/stats/network/history`);
  const { days } = networkHistoryAnswer.parse(await answer.json()).data;
  expect(days).toHaveLength(30);
  expect(days.at(-1)).toEqual({
    day: new Date(systemClock.wallMs()).toISOString().slice(0, 10),
    requests: 1,
    tokens,
    paid_tokens: tokens,
    revenue: Number(row?.charge) / 1e12,
  });
  expect(days.at(0)).toMatchObject({ requests: 0, tokens: 0, paid_tokens: 0, revenue: 0 });
  await fresh.close();
});

test('every price of a model is told, newest first, that of the future too, to the last digit', async () => {
  const model = market.aModel();
  const at = systemClock.wallMs();
  const effectiveFrom = at + 3_600_000;
  const amounts = { unit: 'token', inputPico: 123_456n, outputPico: 1_000_001n } as const;
  const set = { id: makeId('price'), modelId: model.id, amounts, effectiveFrom, at };
  expect(await setPrice(market.fresh.database, { ...set, source: 'test', forced: true })).toBe('set');
  const { data } = await read(priceHistoryAnswer, `/models/${model.id}/prices`);
  expect(data.model).toBe(model.id);
  expect(data.prices[0]).toEqual({
    effective_from: new Date(effectiveFrom).toISOString(),
    input_price: '0.123456',
    output_price: '1.000001',
    request_price: null,
    minute_price: null,
  });
  expect(data.prices.length).toBeGreaterThan(1);
  expect(await read(priceHistoryAnswer, `/models/${encodeURIComponent(model.id)}/prices`)).toEqual({
    code: 0,
    msg: 'success',
    data,
  });
});

test('there is no history of what is not sold', async () => {
  const answer = await fetch(`${market.url}/api/v1/models/nobody/nothing/prices`);
  expect(answer.status).toBe(404);
});
