import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openLog } from '#kit/log.ts';
import { ask, HELLO } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import { answerAs, Upstream } from '#support/upstream.ts';
import { visit } from '#support/visitor.ts';
import { endpointAnswer } from '#wire/console.ts';

// A provider registers endpoints of its own by REST, with its key or its login.

const KEY = 'sk-upstream-canary-0123456789';

let market: TestMarket;
let upstream: Upstream;
let logged = '';
beforeAll(async () => {
  upstream = await Upstream.open();
  upstream.models = ['glm-flash'];
  upstream.key = KEY;
  const destination = { write: (text: string) => void (logged += text) };
  market = await TestMarket.open({ log: openLog({ level: 'trace', destination }) });
});
afterAll(async () => {
  await market.close();
  await upstream.close();
});

const at = (path = ''): string => `${market.url}/api/v1/provider/endpoints${path}`;
const wish = (model: string, more: object = {}) => ({
  name: 'Mine',
  url: upstream.url,
  api_key: KEY,
  capacity: 2,
  models: [{ model, upstream_name: 'glm-flash' }],
  ...more,
});

describe('201', () => {
  test('an endpoint is registered, checked, serves, is listed, and is removed', async () => {
    const model = market.aModel();
    const provider = await market.provider();
    const made = await visit(at(), { token: provider.key, body: wish(model.slug) });
    expect(made.status).toBe(201);
    expect(endpointAnswer.parse(made.json)).toMatchObject({
      name: 'Mine',
      url: upstream.url,
      has_key: true,
      health: 'healthy',
      because: null,
      models: [
        { model: model.id, upstream_name: 'glm-flash', operations: ['chat/completions'], listed: true },
      ],
    });

    const { key } = await market.consumer();
    const body = { model: model.id, messages: HELLO };
    const answer = await ask({ url: market.url, key, body });
    expect(answer.headers['x-swan-connection-mode']).toBe('external');
    expect(upstream.asked.at(-1)?.headers.authorization).toBe(`Bearer ${KEY}`);

    const listed = await visit(at(), { token: provider.key });
    expect(listed.json.endpoints).toMatchObject([{ id: made.json.id, health: 'healthy' }]);
    const removed = await visit(at(`/${made.json.id}`), { token: provider.key, method: 'DELETE' });
    expect(removed.json).toEqual({ removed: true, id: made.json.id });
    expect((await visit(at(), { token: provider.key })).json.endpoints).toEqual([]);
    expect((await ask({ url: market.url, key, body })).status).toBe(503);
  });

  test('an ask is taken, shown exactly, changed, and given up again', async () => {
    const model = market.aModel();
    const provider = await market.provider();
    const models = [
      { model: model.slug, upstream_name: 'glm-flash', ask: { input_price: '0.000001', output_price: 0 } },
    ];
    const made = await visit(at(), { token: provider.key, body: wish(model.slug, { models }) });
    expect(made.status).toBe(201);
    expect(endpointAnswer.parse(made.json).models).toMatchObject([
      { ask: { input_price: '0.000001', output_price: '0.00' }, listed: true },
    ]);
    const asked = async (wanted: unknown) =>
      await visit(at(`/${made.json.id}/ask`), {
        method: 'PUT',
        token: provider.key,
        body: { model: model.slug, ask: wanted },
      });
    expect((await asked({ input_price: '0.01', output_price: '0.02' })).json).toMatchObject({
      health: 'healthy',
      models: [{ ask: { input_price: '0.01', output_price: '0.02' } }],
    });
    expect((await asked(null)).json).toMatchObject({ health: 'healthy', models: [{ ask: null }] });
  });

  test('one that does not answer is kept, and its owner is told what is wrong', async () => {
    const provider = await market.provider();
    const made = await visit(at(), {
      token: provider.key,
      body: wish(market.aModel().id, { api_key: 'sk-wrong' }),
    });
    expect(made.status).toBe(201);
    expect(made.json).toMatchObject({
      health: 'unhealthy',
      because: 'It does not accept the key (status 401).',
    });
    const again = await visit(at(`/${made.json.id}/check`), { token: provider.key, method: 'POST' });
    expect(again.json).toMatchObject({ health: 'unhealthy' });
  });
});

const asking = (wanted: unknown) => ({ models: [{ model: 'glm-4.7-flash', ask: wanted }] });

describe('400', () => {
  test.each([
    [{ ask: { input_price: 900, output_price: 0 } }, 'ask', 'may not be above the listed price'],
    [{ ask: { input_price: '0.0000001', output_price: 0 } }, 'ask', 'six decimals'],
    [{ model: 'no/such-model', ask: null }, 'model', 'does not serve'],
    [{}, 'ask', ''],
  ])('an ask of %j is refused for %s', async (more, field, words) => {
    const provider = await market.provider();
    const made = await visit(at(), { token: provider.key, body: wish('glm-4.7-flash') });
    const body = { model: 'glm-4.7-flash', ...more };
    const answer = await visit(at(`/${made.json.id}/ask`), { method: 'PUT', token: provider.key, body });
    expect(answer.status).toBe(400);
    expect(answer.json.error).toMatchObject({ param: expect.stringContaining(field) });
    expect(answer.json.error.message).toContain(words);
  });

  test.each([
    [{ url: 'https://169.254.169.254/latest' }, 'url', 'not on the public Internet'],
    [{ url: 'https://127.0.0.2/v1' }, 'url', 'not on the public Internet'],
    [{ url: 'https://2130706434/v1' }, 'url', 'not on the public Internet'],
    [{ url: 'https://me:pass@api.example.com/v1' }, 'url', 'user or a password'],
    [{ url: 'https://no-such-name.invalid/v1' }, 'url', 'cannot be resolved'],
    [{ models: ['no/such-model'] }, 'models', 'no/such-model'],
    [{ models: [] }, 'models', ''],
    [{ api_key: 'with space' }, 'api_key', 'not a key'],
    [{ capacity: 0 }, 'capacity', ''],
    [asking({ input_price: 900, output_price: 0 }), 'models', 'may not be above the listed price'],
    [asking({ input_price: 0, output_price: '900' }), 'models', 'may not be above the listed price'],
    [asking({ request_price: 0 }), 'models', 'priced by the token'],
    [asking({ input_price: '0.0000001', output_price: 0 }), 'models', ''],
    [asking({ input_price: -1, output_price: 0 }), 'models', ''],
    [asking({ input_price: 0 }), 'models', ''],
    [asking('cheap'), 'models', ''],
  ])('%j is refused for %s', async (more, field, words) => {
    const provider = await market.provider();
    const answer = await visit(at(), { token: provider.key, body: wish('glm-4.7-flash', more) });
    expect(answer.status).toBe(400);
    expect(answer.json.error).toMatchObject({ param: expect.stringContaining(field) });
    expect(answer.json.error.message).toContain(words);
  });
});

test('401: without a key of a provider nothing is told or done', async () => {
  const { key } = await market.consumer();
  for (const token of [undefined, key, 'sk-prov-0000']) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const answer = await visit(at(), { ...(token !== undefined && { token }) });
    expect(answer.status).toBe(401);
  }
});

test("404: another provider's endpoint can be neither seen, checked nor removed", async () => {
  const [owner, other] = [await market.provider(), await market.provider()];
  const made = await visit(at(), { token: owner.key, body: wish(market.aModel().id) });
  expect((await visit(at(), { token: other.key })).json.endpoints).toEqual([]);
  for (const [path, method] of [
    [`/${made.json.id}/check`, 'POST'],
    [`/${made.json.id}`, 'DELETE'],
    [`/${made.json.id}/ask`, 'PUT'],
  ] as const) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const body = method === 'PUT' ? { model: made.json.models[0].model, ask: null } : undefined;
    expect((await visit(at(path), { token: other.key, method, body })).status).toBe(404);
  }
  expect((await visit(at(), { token: owner.key })).json.endpoints).toHaveLength(1);
});

test('409: a provider has twenty endpoints at most', async () => {
  const provider = await market.provider();
  const model = market.aModel();
  let last = 0;
  for (let i = 0; i < 21; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    last = (await visit(at(), { token: provider.key, body: wish(model.id) })).status;
  }
  expect(last).toBe(409);
});

test('the key of an endpoint is in no answer and no log line, also where the endpoint echoes it', async () => {
  const model = market.aModel();
  const provider = await market.provider();
  upstream.answer = (turn) => answerAs('openai', [String(turn.headers.authorization)], turn);
  const made = await visit(at(), { token: provider.key, body: wish(model.id) });
  const { key } = await market.consumer();
  const texts = [made.text, (await visit(at(), { token: provider.key })).text];
  for (const stream of [true, false]) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const answer = await ask({ url: market.url, key, body: { model: model.id, messages: HELLO, stream } });
    texts.push(answer.text);
  }
  expect(texts.join('')).not.toContain('canary');
  expect(logged).toContain('An external endpoint was added');
  expect(logged).not.toContain('canary');
});
