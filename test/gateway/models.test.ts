import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatUsd } from '#domain/money.ts';
import { ask } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';

// The list of what is sold, and whether the market is well: open to everybody, no key needed.

let market: TestMarket;
beforeAll(async () => {
  market = await TestMarket.open();
});
afterAll(() => market.close());

const get = (path: string, method: 'GET' | 'HEAD' = 'GET') => ask({ url: market.url, method, path });

describe('GET /v1/models', () => {
  test('lists every model with what OpenAI says of one, its price and whether somebody serves it', async () => {
    const model = market.aModel();
    await market.rehearsal(model);
    const { status, json, headers } = await get('/v1/models');
    expect(status).toBe(200);
    expect(headers['x-request-id']).toMatch(/^req_/);
    expect(json.object).toBe('list');
    expect(json.data.length).toBeGreaterThan(42);
    for (const each of json.data) {
      expect(each).toMatchObject({
        id: expect.any(String),
        object: 'model',
        created: expect.any(Number),
        owned_by: expect.any(String),
      });
    }
    expect(new Set(json.data.map((each: { id: string }) => each.id)).size).toBe(json.data.length);
    expect(json.data.find((each: { id: string }) => each.id === model.id)).toMatchObject({
      slug: model.slug,
      category: 'llm',
      pricing: {
        prompt: formatUsd(model.inputPico).slice(1),
        completion: formatUsd(model.outputPico).slice(1),
      },
      available: true,
      providers: 1,
    });
  });

  test('does not list what the operator has withdrawn, which cannot be bought either', async () => {
    const model = market.aModel();
    const { key } = await market.consumer();
    await market.fresh.database.sql`update models set active = false where id = ${model.id}`;
    const listed = async () =>
      (await get('/v1/models')).json.data.some((each: { id: string }) => each.id === model.id);
    await expect.poll(listed).toBe(false);
    expect((await get(`/v1/models/${model.id}`)).status).toBe(404);
    const body = { model: model.id, messages: [{ role: 'user', content: 'Hi' }] };
    expect((await ask({ url: market.url, key, body })).status).toBe(404);
  });

  test('is asked of with HEAD as well', async () => {
    for (const path of ['/v1/models', '/health']) {
      const { status, text } = await get(path, 'HEAD');
      expect([status, text]).toEqual([200, '']);
    }
  });
});

describe('GET /v1/models/{id}', () => {
  test('finds a model by its id with a slash, the same escaped, and its slug', async () => {
    const model = market.aModel();
    const names = [model.id, encodeURIComponent(model.id), model.slug];
    for (const name of names) {
      const { status, json } = await get(`/v1/models/${name}`);
      expect([name, status, json.id]).toEqual([name, 200, model.id]);
    }
  });

  test.each(['no-such-model', 'a/b/c', 'zai-org%2FNo-Such', '__proto__', 'x'.repeat(5_000), ''])(
    'answers 404 for "%s"',
    async (name) => {
      const { status, json } = await get(`/v1/models/${name}`);
      expect(status).toBe(404);
      expect(json.error.type).toBe('invalid_request_error');
    },
  );
});

test('GET /health says what is going on', async () => {
  expect((await get('/health')).json).toEqual({
    status: 'ok',
    agents: expect.any(Number),
    in_flight: 0,
    ledger: { behind_bytes: 0, behind_ms: 0, failures: 0 },
    audit: { at: null, balanced: null },
  });
});
