import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Collateral } from '#funds/collateral.ts';
import { endWithholding, setProviderState } from '#identity/providers.ts';
import { systemClock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import { ask, askStream, HELLO } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import type { TestModel } from '#support/parties.ts';
import { answerPlainly } from '#support/swan-agent.ts';

// A provider comes, serves, earns, and goes: what consumers see of it, and when.

let market: TestMarket;
beforeAll(async () => {
  market = await TestMarket.open();
});
afterAll(() => market.close());

const shown = async (model: TestModel) =>
  (await ask({ url: market.url, method: 'GET', path: `/v1/models/${model.id}` })).json;

test('a model is sold from the moment its first provider has registered until its last has left', async () => {
  const model = market.aModel();
  const consumer = await market.consumer();
  const asked = { url: market.url, key: consumer.key, body: { model: model.id, messages: HELLO } };
  expect(await shown(model)).toMatchObject({ available: false, providers: 0 });
  const before = await ask(asked);
  expect(before.status).toBe(503);
  expect(before.json.error.code).toBe('no_provider_available');
  expect(Number(before.headers['retry-after'])).toBeGreaterThan(0);

  const one = await market.rehearsal(model, 'rehearsal:tokens=5');
  expect(await shown(model)).toMatchObject({ available: true, providers: 1 });
  expect((await ask(asked)).status).toBe(200);
  const two = await market.swan(model);
  expect(await shown(model)).toMatchObject({ providers: 2 });

  await one.agent.drain();
  expect((await ask(asked)).json.choices[0].message.content).toBe('one two three');
  two.agent.stop();
  await expect.poll(() => shown(model)).toMatchObject({ available: false, providers: 0 });
  expect((await ask(asked)).status).toBe(503);
});

test('a provider that drains finishes what it began and gets nothing new', async () => {
  const model = market.aModel();
  const { agent } = await market.rehearsal(model, 'rehearsal:tokens=50,paced=4');
  const { key } = await market.consumer();
  const asked = { url: market.url, key, body: { model: model.id, messages: HELLO } };
  const stream = await askStream(asked);
  await stream.tokens(2);
  const leaving = agent.drain();
  await expect.poll(async () => (await ask(asked)).status).toBe(503);
  await stream.ended;
  expect(stream.done).toBe(true);
  expect(stream.words).toHaveLength(50);
  await leaving;
});

test.each(['A', 'B', 'C'] as const)(
  'a Swan agent of generation %s serves, streamed and not, and earns',
  async (generation) => {
    const model = market.aModel();
    const provider = await market.swan(model, answerPlainly, { generation });
    const consumer = await market.consumer();
    for (const stream of [true, false]) {
      const { status, text } = await ask({
        url: market.url,
        key: consumer.key,
        body: { model: model.id, messages: HELLO, stream },
      });
      expect(status).toBe(200);
      expect(text).toContain(stream ? 'three' : 'one two three');
    }
    expect(await market.usage(consumer, 2)).toMatchObject([
      { inputTokens: 7, outputTokens: 3 },
      { inputTokens: 7, outputTokens: 3 },
    ]);
    expect(await market.account(`provider:${provider.id}`)).toBeGreaterThan(0n);
  },
);

describe('who may not serve', () => {
  test('a consumer key, an unknown key and a revoked key are refused', async () => {
    const model = market.aModel();
    const consumer = await market.consumer();
    const gone = await market.provider();
    await market.revoke(gone.keyId);
    await expect.poll(() => market.knows(gone.key)).toBe(false);
    for (const token of [consumer.key, 'sk-prov-unknown', gone.key, '']) {
      const { agent } = await market.swan(model, answerPlainly, { token }, 'any answer');
      expect(agent.registered).toBe(false);
    }
    expect(await shown(model)).toMatchObject({ providers: 0 });
  });

  test('a provider that waits for approval connects and gets nothing until it is approved', async () => {
    const model = market.aModel();
    const provider = await market.rehearsal(model, 'rehearsal:tokens=3');
    const { database } = market.fresh;
    const consumer = await market.consumer();
    const asked = { url: market.url, key: consumer.key, body: { model: model.id, messages: HELLO } };
    expect((await ask(asked)).status).toBe(200);
    const at = systemClock.wallMs();
    await setProviderState(database, { id: provider.id, to: 'suspended', at, reason: 'test' });
    await expect.poll(async () => (await ask(asked)).status, { interval: 20 }).toBe(503);
    await setProviderState(database, { id: provider.id, to: 'active', at, reason: 'test' });
    await expect.poll(async () => (await ask(asked)).status, { interval: 20 }).toBe(200);
  });

  test('a provider with a failure gets no requests for the time the ladder says, or until the operator ends it', async () => {
    const model = market.aModel();
    const provider = await market.rehearsal(model, 'rehearsal:tokens=3');
    const { database } = market.fresh;
    const consumer = await market.consumer();
    const asked = { url: market.url, key: consumer.key, body: { model: model.id, messages: HELLO } };
    expect((await ask(asked)).status).toBe(200);
    const room = new Collateral({
      database,
      chain: undefined,
      clock: systemClock,
      makeId: (prefix) => `${prefix}_${provider.id}`,
      log: silentLog,
    });
    const finding = { id: `find_${provider.id}`, providerId: provider.id, failures: 1, reason: 'wrong' };
    await room.slash(finding);
    await expect.poll(async () => (await ask(asked)).status, { interval: 20 }).toBe(503);
    expect(await endWithholding(database, { id: provider.id, at: systemClock.wallMs() })).toBe(true);
    await expect.poll(async () => (await ask(asked)).status, { interval: 20 }).toBe(200);
  });
});

test('a model that is not in the catalogue is not sold', async () => {
  const provider = await market.provider();
  const { models } = await (await market.agent(provider, ['nobody/knows-this=rehearsal:'])).registered;
  expect(models).toEqual([]);
  const { key } = await market.consumer();
  const { status } = await ask({
    url: market.url,
    key,
    body: { model: 'nobody/knows-this', messages: HELLO },
  });
  expect(status).toBe(404);
});
