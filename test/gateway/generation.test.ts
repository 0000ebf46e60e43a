import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatUsd } from '#domain/money.ts';
import { TestMarket } from '#support/market.ts';
import type { TestParty } from '#support/parties.ts';

const CHAT = 'zai-org/GLM-4.7-Flash';

let market: TestMarket;
let consumer: TestParty;
let provider: TestParty;
beforeAll(async () => {
  market = await TestMarket.open();
  consumer = await market.consumer();
  provider = await market.provider();
  await market.agent(provider, [`${CHAT}=rehearsal:tokens=5`]);
});
afterAll(() => market.close());

async function ask(id: string, key: string | undefined = consumer.key) {
  const answer = await fetch(`${market.url}/v1/generation?id=${encodeURIComponent(id)}`, {
    headers: key ? { authorization: `Bearer ${key}` } : {},
  });
  return { status: answer.status, body: (await answer.json()) as { data?: Record<string, unknown> } };
}

const messages = [{ role: 'user' as const, content: 'Hi' }];

test('the facts of a request are there at once, under every id that the caller saw, and agree with the ledger', async () => {
  const openai = new OpenAI({ baseURL: `${market.url}/v1`, apiKey: consumer.key });
  const { data, request_id } = await openai.chat.completions.create({ model: CHAT, messages }).withResponse();
  const first = await ask(data.id);
  expect(first).toMatchObject({
    status: 200,
    body: {
      data: {
        id: data.id,
        request_id,
        model: CHAT,
        operation: 'chat/completions',
        provider_name: provider.id,
        streamed: false,
        cancelled: false,
        outcome: 'completed',
        tokens_prompt: data.usage?.prompt_tokens,
        tokens_completion: 5,
      },
    },
  });
  const [row] = await market.usage(consumer, 1);
  const later = await ask(request_id as string);
  expect(later.body.data).toEqual({ ...first.body.data, id: request_id });
  expect(later.body.data?.['usage_usd']).toBe(formatUsd(row?.charge ?? 0n).slice(1));
});

test('ids of the other APIs are known too', async () => {
  const anthropic = new Anthropic({ baseURL: market.url, apiKey: consumer.key });
  const message = await anthropic.messages.create({ model: CHAT, max_tokens: 9, messages });
  expect(await ask(message.id)).toMatchObject({ status: 200, body: { data: { tokens_completion: 5 } } });
});

test("another consumer's request is unknown, served just now or posted long ago", async () => {
  const openai = new OpenAI({ baseURL: `${market.url}/v1`, apiKey: consumer.key });
  const { id } = await openai.chat.completions.create({ model: CHAT, messages });
  const stranger = await market.consumer();
  expect(await ask(id, stranger.key)).toMatchObject({ status: 404 });
  await market.posted();
  expect(await ask(id, stranger.key)).toMatchObject({ status: 404 });
  expect(await ask(id)).toMatchObject({ status: 200 });
});

test.each([
  ['an id that never was', 'chatcmpl-0000', 404],
  ['no id', '', 400],
  ['an id with a trick in it', "req_1' or '1'='1", 400],
])('%s is an error', async (_what, id, status) => {
  expect(await ask(id)).toMatchObject({ status });
});

test('without a key nothing is told', async () => {
  expect(await ask('req_1', '')).toMatchObject({ status: 401 });
});
