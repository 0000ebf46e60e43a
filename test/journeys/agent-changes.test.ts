import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseModel } from '#agent/settings.ts';
import { parseUsd } from '#domain/money.ts';
import { ask, askStream, HELLO } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import { answerWords, beginStream, OpenAiBackend } from '#support/openai-backend.ts';
import type { TestModel } from '#support/parties.ts';

// An agent changes what it serves while it serves: models come, move to another server, get other limits and go, and no
// consumer notices.

let market: TestMarket;
const backends: OpenAiBackend[] = [];
beforeAll(async () => {
  market = await TestMarket.open();
});
afterAll(async () => {
  await market.close();
  for (const backend of backends) await backend.close();
});

const serving = (...words: string[]) => words.map((word) => parseModel(word, EMBEDDED));
const EMBEDDED = { sequences: 1, threads: 1, gpu: false } as const;

async function aBackend(...words: string[]): Promise<OpenAiBackend> {
  const opened = await OpenAiBackend.open();
  opened.answer = answerWords(...words);
  backends.push(opened);
  return opened;
}

const asking = (model: TestModel, key: string, more: object = {}) => ({
  url: market.url,
  key,
  body: { model: model.id, messages: HELLO, ...more },
});

test('a model moves to another server in the middle of its answers, and every one of them ends well', async () => {
  const [model, provider, consumer] = [market.aModel(), await market.provider(), await market.consumer()];
  const [old, next] = [await aBackend('old'), await aBackend('new')];
  let finish: (() => void) | undefined;
  old.answer = (turn) => {
    beginStream(turn, [{ index: 0, delta: { content: 'old' }, finish_reason: null }]);
    finish = () =>
      turn.response.end(
        'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":6,"completion_tokens":1}}\n\ndata: [DONE]\n\n',
      );
  };
  const agent = await market.agent(provider, [`${model.id}=${old.source}`]);
  const stream = await askStream(asking(model, consumer.key, { stream: true }));
  await stream.tokens(1);
  const change = await agent.apply(serving(`${model.id}=${next.source}`));
  expect(change).toMatchObject({ changed: [model.id], removed: [], added: [], failed: [] });
  expect((await ask(asking(model, consumer.key))).json.choices[0].message.content).toBe('new');
  finish?.();
  await stream.ended;
  expect(stream.done).toBe(true);
  expect(old.asked).toHaveLength(1);
  await agent.close();
});

test('models come and go under load, and no request fails for it', async () => {
  const provider = await market.provider();
  const [stays, leaves, comes] = [market.aModel(), market.aModel(), market.aModel()];
  const consumer = await market.consumer(parseUsd('10'));
  const place = await aBackend('fine');
  const source = ({ id }: TestModel) => `${id}=${place.source}`;
  const agent = await market.agent(provider, [source(stays), source(leaves)]);
  // Asked for as long as the hub offers it: whoever was let in must be served.
  const statuses: number[] = [];
  const enough = new AbortController();
  const load = [stays, stays, leaves, leaves].map(async (model) => {
    while (!enough.signal.aborted) {
      const { status } = await ask(asking(model, consumer.key));
      if (status === 503 && model === leaves) return;
      statuses.push(status);
    }
  });
  await expect.poll(() => statuses.length).toBeGreaterThan(20);
  await agent.apply(serving(source(stays), source(comes)));
  await expect.poll(async () => (await ask(asking(comes, consumer.key))).status).toBe(200);
  const before = statuses.length;
  await expect.poll(() => statuses.length).toBeGreaterThan(before + 20);
  enough.abort();
  await Promise.all(load);
  expect(statuses.every((status) => status === 200)).toBe(true);
  expect(agent.state()).toMatchObject({ failed: 0 });
  expect(agent.state().models.map(({ id, state }) => [id, state])).toEqual([
    [stays.id, 'ready'],
    [leaves.id, 'leaving'],
    [comes.id, 'ready'],
  ]);
  await agent.close();
}, 30_000);

test('a model that cannot be opened takes no other with it, and says why', async () => {
  const [model, other] = [market.aModel(), market.aModel()];
  const { key } = await market.consumer();
  const provider = await market.provider();
  const agent = await market.agent(provider, [`${model.id}=rehearsal:tokens=3`]);
  const change = await agent.apply(
    serving(`${model.id}=rehearsal:tokens=3`, `${other.id}=/nowhere/model.gguf`),
  );
  expect(change.failed).toEqual([{ id: other.id, because: expect.stringContaining('no model file') }]);
  expect(agent.state().models).toMatchObject([{ state: 'ready' }, { state: 'failed' }]);
  expect((await ask(asking(model, key))).status).toBe(200);
  await agent.close();
});

test('a model that is not what it is pinned to is not offered, until it is', async () => {
  const model = market.aModel();
  const { key } = await market.consumer();
  const provider = await market.provider();
  const agent = await market.agent(provider, [`${market.aModel().id}=rehearsal:`]);
  const [pinned] = serving(`${model.id}=rehearsal:tokens=3`);
  await agent.apply([{ ...pinned, requirements: { min_vram_gb: 24 } } as typeof pinned & object]);
  expect(agent.state().models.find(({ id }) => id === model.id)).toMatchObject({
    state: 'not as pinned',
    reasons: [expect.stringContaining('24 GiB is pinned')],
  });
  expect((await ask(asking(model, key))).status).toBe(503);
  await agent.apply(serving(`${model.id}=rehearsal:tokens=3`));
  await expect.poll(async () => (await ask(asking(model, key))).status).toBe(200);
  await agent.close();
});

test('limits that are changed while running hold at once, and the hub learns of the new room', async () => {
  const model = market.aModel();
  const { key } = await market.consumer();
  const provider = await market.provider();
  const agent = await market.agent(provider, [`${model.id}=rehearsal:tokens=3`]);
  const capacity = async () => {
    const headers = { url: market.url, key: provider.key, method: 'GET' as const };
    const { json } = await ask({ ...headers, path: `/api/v1/providers/${provider.id}/models/details` });
    return (json.models as { model_id: string; capacity: number }[]).find(
      (each) => each.model_id === model.id,
    )?.capacity;
  };
  expect(agent.limitModel(model.id, { concurrency: 3 })).toBe(true);
  expect(agent.limitModel('nobody/knows', { concurrency: 3 })).toBe(false);
  await expect.poll(capacity, { timeout: 15_000 }).toBe(3);
  agent.limit({ concurrency: 2 });
  await expect.poll(capacity, { timeout: 15_000 }).toBe(2);
  agent.limitModel(model.id, { requestsPerMinute: 1 });
  expect((await ask(asking(model, key))).status).toBe(200);
  expect((await ask(asking(model, key))).status).toBe(503);
  agent.limitModel(model.id, { requestsPerMinute: null });
  await expect.poll(async () => (await ask(asking(model, key))).status, { timeout: 15_000 }).toBe(200);
  await agent.close();
}, 40_000);
