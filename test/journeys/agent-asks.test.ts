import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { setPrice } from '#catalogue/prices.ts';
import { priceOf } from '#domain/price.ts';
import { systemClock } from '#kit/clock.ts';
import { ask } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import { makeId, type TestModel, type TestParty } from '#support/parties.ts';
import { visit } from '#support/visitor.ts';
import { asksAnswer, whyAnswer } from '#wire/console.ts';

// What an agent's provider asks: charged, found by price, and never above the list.

let market: TestMarket;
beforeAll(async () => {
  market = await TestMarket.open();
});
afterAll(() => market.close());

const dollars = (pico: bigint): string => (Number(pico) / 1e6).toFixed(6);
const asks = (provider: TestParty, body?: unknown) =>
  visit(`${market.url}/api/v1/provider/asks`, {
    token: provider.key,
    ...(body !== undefined && { method: 'PUT' as const, body }),
  });
const half = ({ id, inputPico, outputPico }: TestModel) => ({
  model: id,
  ask: { input_price: dollars(inputPico / 2n), output_price: dollars(outputPico / 2n) },
});

test('an ask is what consumers of an agent are charged, from the next request on, also after a new connection', async () => {
  const model = market.aModel();
  const provider = await market.rehearsal(model);
  const consumer = await market.consumer();
  const body = { model: model.id, messages: [{ role: 'user', content: 'Hello' }], max_tokens: 8 };
  const chargedOnce = async (count: number): Promise<void> => {
    expect((await ask({ url: market.url, key: consumer.key, body })).status).toBe(200);
    const rows = await market.usage(consumer, count);
    const last = rows.at(-1);
    const price = {
      id: '',
      unit: 'token',
      inputPico: model.inputPico / 2n,
      outputPico: model.outputPico / 2n,
    } as const;
    expect(last?.charge).toBe(priceOf(last as NonNullable<typeof last>, price));
  };
  const set = await asks(provider, half(model));
  expect(set.status).toBe(200);
  expect(asksAnswer.parse(set.json).asks).toMatchObject([{ model: model.id }]);
  await chargedOnce(1);
  await provider.agent.close();
  await market.agent(provider, [`${model.id}=rehearsal:`]);
  await chargedOnce(2);
});

test('who asks less goes first where a consumer sorts by price, and the other reads what it would take', async () => {
  const model = market.aModel();
  const [dear, cheap] = [await market.rehearsal(model), await market.rehearsal(model)];
  await asks(cheap, half(model));
  const consumer = await market.consumer();
  const body = {
    model: `${model.id}:floor`,
    messages: [{ role: 'user', content: 'Hello' }],
    max_tokens: 4,
  };
  for (let i = 0; i < 4; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other: nobody is full
    await ask({ url: market.url, key: consumer.key, body });
  }
  const rows = await market.usage(consumer, 4);
  expect(new Set(rows.map(({ providerId }) => providerId))).toEqual(new Set([cheap.id]));
  const told = await visit(`${market.url}/api/v1/provider/why`, { token: dear.key });
  expect(whyAnswer.parse(told.json).models[0]?.to_lead?.price_below?.output_price).toBeCloseTo(
    Number(model.outputPico / 2n) / 1e6,
  );
});

test('an ask above the list is refused, and a list that falls below one takes the agent out until it asks less', async () => {
  const model = market.aModel();
  const provider = await market.rehearsal(model);
  const above = {
    model: model.id,
    ask: { input_price: dollars(model.inputPico), output_price: dollars(model.outputPico + 1n) },
  };
  const refused = await asks(provider, above);
  expect(refused.status).toBe(400);
  expect(refused.json.error.message).toContain('may not be above the listed price');
  expect((await asks(provider, { model: 'no-such-model', ask: null })).status).toBe(404);
  await asks(provider, half(model));
  const at = systemClock.wallMs();
  await setPrice(market.fresh.database, {
    id: makeId('price'),
    modelId: model.id,
    amounts: { unit: 'token', inputPico: model.inputPico / 4n, outputPico: model.outputPico / 4n },
    effectiveFrom: at,
    source: 'a test',
    forced: false,
    at,
  });
  await vi.waitFor(async () => {
    const told = await visit(`${market.url}/api/v1/provider/why`, { token: provider.key });
    expect(whyAnswer.parse(told.json).models[0]?.nodes[0]?.verdict).toBe('asks-too-much');
  }, 15_000);
  const listed = await asks(provider, { model: model.id, ask: null });
  expect(asksAnswer.parse(listed.json).asks).toEqual([]);
});
