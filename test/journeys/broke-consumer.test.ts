import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, askStream, HELLO } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import type { TestModel, TestParty } from '#support/parties.ts';

// No credit, no answer; and however many requests come at once, to however many processes, a balance buys what it buys.

const MANY = { limits: { concurrentPerKey: 1_000, requestsPerMinute: { llm: 1_000_000 } } } as const;
const TOKENS = 20;
/** The most that the prompt `HELLO` can be, in tokens; the rehearsal states exactly that. */
const PROMPT_TOKENS = 18 + 8 + 16;

let market: TestMarket;
let other: TestMarket;
beforeAll(async () => {
  market = await TestMarket.open({ config: MANY });
  other = await TestMarket.open({ config: MANY, on: market });
});
afterAll(async () => {
  await other.close();
  await market.close();
});

const price = (model: TestModel) =>
  BigInt(PROMPT_TOKENS) * model.inputPico + BigInt(TOKENS) * model.outputPico;

/** A model that both processes serve, at exactly the price that is held for it. */
async function sold(markets: readonly TestMarket[]): Promise<TestModel> {
  const model = market.aModel();
  for (const each of markets) {
    const provider = await market.provider();
    await each.agent(provider, [`${model.id}=rehearsal:tokens=${TOKENS},prompt=${PROMPT_TOKENS},paced=2`]);
  }
  return model;
}

const asked = (at: TestMarket, consumer: TestParty, model: TestModel, more: object = {}) => ({
  url: at.url,
  key: consumer.key,
  body: { model: model.id, messages: HELLO, max_tokens: TOKENS, ...more },
});

describe('a consumer without enough credit', () => {
  test('is told so before any provider is asked, and keeps what there is', async () => {
    const model = await sold([market]);
    const consumer = await market.consumer(price(model) - 1n);
    for (const stream of [true, false]) {
      const { status, json, headers } = await ask(asked(market, consumer, model, { stream }));
      expect(status).toBe(402);
      expect(json.error).toEqual({
        message: 'The balance does not cover this request.',
        type: 'insufficient_quota',
        code: 'insufficient_balance',
        param: null,
      });
      expect(headers['x-request-id']).toMatch(/^req_/);
    }
    expect((await market.balance(consumer)).total).toBe(price(model) - 1n);
    expect(await market.usage(consumer, 0)).toEqual([]);
  });

  test('who never had any is told the same', async () => {
    const model = await sold([market]);
    const consumer = await market.consumer(0n);
    expect((await ask(asked(market, consumer, model))).status).toBe(402);
  });

  test('gets the shorter answer that the rest buys, when no length was asked for', async () => {
    const model = market.aModel();
    await market.rehearsal(model, `rehearsal:tokens=400,prompt=${PROMPT_TOKENS}`);
    // Enough for about 300 tokens of answer, not for the 4,096 that are set aside otherwise.
    const consumer = await market.consumer(BigInt(PROMPT_TOKENS) * model.inputPico + 300n * model.outputPico);
    const { status, json } = await ask({
      url: market.url,
      key: consumer.key,
      body: { model: model.id, messages: HELLO },
    });
    expect(status).toBe(200);
    expect(json.choices[0].finish_reason).toBe('length');
    expect(json.usage.completion_tokens).toBeGreaterThan(0);
    expect((await market.balance(consumer)).total).toBeGreaterThanOrEqual(0n);
  });

  test('who pays in is served at once', async () => {
    const model = await sold([market]);
    const consumer = await market.consumer(0n);
    expect((await ask(asked(market, consumer, model))).status).toBe(402);
    await market.deposit(consumer, price(model));
    expect((await ask(asked(market, consumer, model))).status).toBe(200);
    expect((await market.balance(consumer)).total).toBe(0n);
  });
});

describe('200 requests at once on a balance for three', () => {
  const storm = async (markets: readonly TestMarket[]) => {
    const model = await sold(markets);
    const consumer = await market.consumer(3n * price(model));
    const streams = await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        askStream(asked(markets[i % markets.length] as TestMarket, consumer, model)),
      ),
    );
    await Promise.all(streams.map((stream) => stream.ended));
    for (const each of markets) await each.posted();
    const served = streams.filter((stream) => stream.done).length;
    const { total } = await market.balance(consumer);
    return { served, total, cost: price(model), statuses: new Set(streams.map(({ status }) => status)) };
  };

  test('serve three, refuse the rest, and leave nothing', async () => {
    expect(await storm([market])).toMatchObject({ served: 3, total: 0n, statuses: new Set([200, 402]) });
  });

  test('serve at most three from two processes, and what is left is what was not served', async () => {
    const { served, total, cost, statuses } = await storm([market, other]);
    expect(served).toBeLessThanOrEqual(3);
    expect(served).toBeGreaterThan(0);
    expect(total).toBe(BigInt(3 - served) * cost);
    for (const status of statuses) expect([200, 402]).toContain(status);
  });
});
