import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { swanRequests } from '#agent/swan-page.ts';
import { setRequirements } from '#catalogue/models.ts';
import { packageRoot } from '#kit/package-root.ts';
import { Sealed } from '#kit/sealed.ts';
import { startAgent } from '#support/agent.ts';
import { ask, askStream, HELLO } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import { visit } from '#support/visitor.ts';
import { modelListAnswer } from '#wire/console.ts';

// What an operator pins a model to is checked by the agent before it offers the model to the hub.

const LONG = { timeout: 20_000 };
const NANO = `cygnet/cygnet-nano=${path.join(packageRoot(), 'models', 'cygnet-nano-q8_0.gguf')}`;
let market: TestMarket;
beforeAll(async () => {
  market = await TestMarket.open();
});
afterAll(() => market.close());

const pin = async (requirements: Record<string, string | number> | null) => {
  await setRequirements(market.fresh.database, { name: 'cygnet-nano', requirements });
  await expect
    .poll(async () => {
      const { json } = await visit(`${market.url}/api/v1/models?page_size=500`);
      return modelListAnswer.parse(json).data.list.find(({ id }) => id === 'cygnet/cygnet-nano')
        ?.requirements;
    }, LONG)
    .toEqual(requirements);
};

test('a model whose tokenizer is another than its market pins is not registered, and the agent says what it found', async () => {
  await pin({ engine: 'llama.cpp', tokenizer_fingerprint: 'a'.repeat(64) });
  const provider = await market.provider();
  const about = { key: new Sealed(provider.key), serviceUrl: market.url };
  const wrong = await startAgent(market.hubUrl, [NANO], about);
  const [state] = wrong.state().models;
  expect(state).toMatchObject({ state: 'not as pinned' });
  expect(state?.reasons).toHaveLength(1);
  const found = /tokenizer is ([0-9a-f]{64}), and a{64} is pinned/.exec(state?.reasons[0] ?? '')?.[1];
  expect(found).toBeDefined();
  expect(state?.reasons[0]).toContain('The market wants it otherwise.');
  await expect.poll(() => wrong.connected, LONG).toBe(true);
  expect(market.marketplace.hub.candidates('cygnet/cygnet-nano')).toEqual([]);
  await wrong.close();

  // The pin that is met lets it in, and what was served is told at the Swan agent's address.
  await pin({ engine: 'llama.cpp', tokenizer_fingerprint: found as string });
  const right = await startAgent(market.hubUrl, [NANO], about);
  expect((await right.registered).models).toEqual(['cygnet/cygnet-nano']);
  expect(right.state().models[0]).toMatchObject({ state: 'ready', reasons: [] });
  const { key } = await market.consumer();
  const body = { model: 'cygnet-nano', messages: HELLO, max_tokens: 4 };
  const whole = await ask({ url: market.url, key, body });
  expect(whole.status).toBe(200);
  const stream = await askStream({ url: market.url, key, body: { ...body, stream: true } });
  await stream.ended;
  const { requests } = swanRequests(right.latest()) as {
    requests: { request_id: string; streaming: boolean; success: boolean; total_tokens: number }[];
  };
  expect(requests).toMatchObject([
    { streaming: true, success: true },
    { streaming: false, success: true, total_tokens: whole.json.usage.total_tokens },
  ]);
  expect(whole.json.id).toContain(requests[1]?.request_id);
  await right.close();
  await pin(null);
});
