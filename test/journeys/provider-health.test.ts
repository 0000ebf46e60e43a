import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import type { TestParty } from '#support/parties.ts';
import { Upstream } from '#support/upstream.ts';
import { visit } from '#support/visitor.ts';
import { type ProviderHealthAnswer, providerHealthAnswer } from '#wire/console.ts';

// What a provider is told of its own reliability, by a market that serves through it.

let market: TestMarket;
beforeAll(async () => {
  market = await TestMarket.open();
});
afterAll(() => market.close());

async function health(provider: TestParty): Promise<ProviderHealthAnswer> {
  const answered = await visit(`${market.url}/api/v1/provider/me/health`, { token: provider.key });
  expect(answered.status).toBe(200);
  return providerHealthAnswer.parse(answered.json);
}

const chat = (modelId: string, key: string, order: string[]) =>
  ask({
    url: market.url,
    key,
    body: {
      model: modelId,
      messages: [{ role: 'user', content: 'Hello' }],
      max_tokens: 5,
      provider: { order },
    },
  });

describe('after a restart of the market', () => {
  test('a provider finds its attempts, its failures that others saved, and why its sessions ended', async () => {
    const model = market.aModel();
    const failing = await market.swan(model, (served) =>
      served.result(undefined, { status_code: 500, error: 'CUDA' }),
    );
    const sound = await market.rehearsal(model);
    const consumer = await market.consumer();
    // Whoever fails is asked first, and the other answers.
    expect((await chat(model.id, consumer.key, [failing.id, sound.id])).status).toBe(200);
    await market.agentsLeave();
    await market.posted();
    await market.restart();
    const [told, failed] = await Promise.all([health(sound), health(failing)]);
    expect(told.models).toMatchObject([
      { model_id: model.id, attempts_served: 1, attempts_failed: 0, requests: 1, success_rate: 1 },
    ]);
    // No request of the market failed; its attempts did.
    expect(failed.models).toMatchObject([
      { attempts_served: 0, attempts_failed: 1, requests: 0, success_rate: 0 },
    ]);
    expect(failed.sessions).toMatchObject([{ why: 'the socket closed', requests_lost: 0 }]);
    expect(told.models[0]?.ttft_p50_ms).not.toBeNull();
    expect(told.sessions).toHaveLength(1);
    expect(told.sessions[0]?.ended_at).not.toBeNull();
    expect(told.behind).toBe(false);
  });
});

test('an external endpoint has a session for as long as it answers its checks', async () => {
  const upstream = await Upstream.open();
  const model = market.aModel();
  const provider = await market.external(model, upstream);
  await upstream.close();
  await market.restart();
  const { sessions } = await health(provider);
  expect(sessions.at(-1)).toMatchObject({ node_id: provider.endpointId, mode: 'external' });
  expect(sessions.at(-1)?.why).not.toBeNull();
});

test("another's health is nobody's business", async () => {
  const provider = await market.provider();
  const path = `${market.url}/api/v1/operator/providers/${provider.id}/health`;
  expect((await visit(path, { token: provider.key })).status).toBe(401);
  expect((await visit(`${market.url}/api/v1/provider/me/health`)).status).toBe(401);
});
