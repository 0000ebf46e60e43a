import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, askStream, HELLO } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';

// A key that is revoked anywhere is refused everywhere, by announcement and not by looking again.

/** How long a loaded machine may take over it: nothing but the announcement would change the answer within this time. */
const ANNOUNCED = { timeout: 15_000, interval: 10 };

let market: TestMarket;
let other: TestMarket;
beforeAll(async () => {
  market = await TestMarket.open();
  other = await TestMarket.open({ on: market });
});
afterAll(async () => {
  await other.close();
  await market.close();
});

test("a consumer's key is refused by every process, and says that it was revoked", async () => {
  const model = market.aModel();
  const consumer = await market.consumer();
  await market.revoke(consumer.keyId);
  for (const { url } of [market, other]) {
    const asked = { url, key: consumer.key, body: { model: model.id, messages: HELLO } };
    await expect.poll(async () => (await ask(asked)).status, ANNOUNCED).toBe(401);
    const { json } = await ask(asked);
    expect(json.error).toMatchObject({ code: 'invalid_api_key', message: 'This API key was revoked.' });
  }
});

test('a stream under way ends by its own, and the next is refused', async () => {
  const model = market.aModel();
  await market.rehearsal(model, 'rehearsal:tokens=60,paced=5');
  const consumer = await market.consumer();
  const asked = { url: market.url, key: consumer.key, body: { model: model.id, messages: HELLO } };
  const stream = await askStream(asked);
  await stream.tokens(2);
  await market.revoke(consumer.keyId);
  await expect.poll(() => market.knows(consumer.key), ANNOUNCED).toBe(false);
  await stream.ended;
  expect(stream.done).toBe(true);
  expect((await ask(asked)).status).toBe(401);
  expect(await market.usage(consumer, 1)).toMatchObject([{ outcome: 'completed', outputTokens: 60 }]);
});

test('another key of the same consumer goes on', async () => {
  const model = market.aModel();
  await market.rehearsal(model, 'rehearsal:tokens=3');
  const consumer = await market.consumer();
  const second = await market.anotherKey(consumer);
  await market.revoke(consumer.keyId);
  await expect.poll(() => market.knows(consumer.key), ANNOUNCED).toBe(false);
  const { status } = await ask({
    url: market.url,
    key: second.key,
    body: { model: model.id, messages: HELLO },
  });
  expect(status).toBe(200);
});

test("a provider's key that is revoked in the middle of its session gets nothing more", async () => {
  const model = market.aModel();
  const provider = await market.rehearsal(model, 'rehearsal:tokens=3');
  const consumer = await market.consumer();
  const asked = { url: market.url, key: consumer.key, body: { model: model.id, messages: HELLO } };
  expect((await ask(asked)).status).toBe(200);
  await market.revoke(provider.keyId);
  await expect.poll(async () => (await ask(asked)).status, ANNOUNCED).toBe(503);
});
