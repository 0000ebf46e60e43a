import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rehearsedText } from '#agent/backends/rehearsal.ts';
import { SPLIT_POLICIES, shareOut } from '#domain/policy.ts';
import { ask, askStream, HELLO } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import type { TestModel } from '#support/parties.ts';

// A paid answer from end to end: real sockets, a real database, our own agent and a Swan agent.

let market: TestMarket;
beforeAll(async () => {
  market = await TestMarket.open();
});
afterAll(() => market.close());

const cost = (model: TestModel, usage: { prompt_tokens: number; completion_tokens: number }) =>
  BigInt(usage.prompt_tokens) * model.inputPico + BigInt(usage.completion_tokens) * model.outputPico;

describe('a streamed chat', () => {
  test('gives its tokens as they are made, and its first before the last exists', async () => {
    const model = market.aModel();
    await market.rehearsal(model, 'rehearsal:endless,paced=2');
    const { key } = await market.consumer();
    const stream = await askStream({ url: market.url, key, body: { model: model.id, messages: HELLO } });
    await stream.tokens(3);
    // The answer has no end, and yet its beginning is here.
    expect(stream.done).toBe(false);
    expect(rehearsedText(500).startsWith(stream.text)).toBe(true);
    stream.leave();
  });

  test('costs exactly its tokens times the price, shared out to the pico-dollar', async () => {
    const model = market.aModel();
    const provider = await market.rehearsal(model, 'rehearsal:tokens=41,prompt=9');
    const consumer = await market.consumer();
    const platform = ['platform:fee', 'platform:treasury', 'platform:burn'] as const;
    const before = await Promise.all(platform.map((account) => market.account(account)));
    const { total } = await market.balance(consumer);

    const stream = await askStream({
      url: market.url,
      key: consumer.key,
      body: { model: model.slug, messages: HELLO, stream_options: { include_usage: true } },
    });
    expect(await stream.ended).toBe('end');
    expect(stream.text).toBe(rehearsedText(41));
    const usage = { prompt_tokens: 9, completion_tokens: 41 };
    expect(stream.chunks.at(-1)).toMatchObject({ choices: [], usage: { ...usage, total_tokens: 50 } });

    const charge = cost(model, usage);
    expect(charge).toBeGreaterThan(0n);
    const after = await market.balance(consumer);
    expect(after.total).toBe(total - charge);
    const shared = shareOut(charge, SPLIT_POLICIES['standard-1'] as (typeof SPLIT_POLICIES)[string]);
    expect(await market.account(`provider:${provider.id}`)).toBe(shared.provider);
    const gained = await Promise.all(platform.map((account) => market.account(account)));
    expect(gained.map((now, i) => now - (before[i] ?? 0n))).toEqual([
      shared.fee,
      shared.treasury,
      shared.burn,
    ]);
    expect(await market.usage(consumer, 1)).toMatchObject([
      { outcome: 'completed', errorCode: null, attempts: 1, inputTokens: 9, outputTokens: 41, charge },
    ]);
  });

  test('says who it is and what is left: request id, connection mode, limits, and no provider', async () => {
    const model = market.aModel();
    const provider = await market.rehearsal(model);
    const consumer = await market.consumer();
    const stream = await askStream({
      url: market.url,
      key: consumer.key,
      body: { model: model.slug, messages: HELLO },
    });
    await stream.ended;
    expect(stream.status).toBe(200);
    expect(stream.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'x-swan-connection-mode': 'websocket',
      'x-ratelimit-limit': '200',
      'x-ratelimit-remaining': '199',
    });
    const [row] = await market.usage(consumer, 1);
    expect(stream.headers['x-request-id']).toBe(row?.id);
    expect(JSON.stringify(stream.headers) + stream.bytes).not.toContain(provider.id);
  });

  test.each(['id', 'slug'] as const)(
    'carries one id and the canonical model in every chunk, asked for by its %s',
    async (name) => {
      const model = market.aModel();
      await market.swan(model);
      const { key } = await market.consumer();
      const stream = await askStream({
        url: market.url,
        key,
        body: { model: model[name], messages: HELLO },
      });
      await stream.ended;
      expect(stream.text).toBe('one two three');
      expect(new Set(stream.chunks.map((chunk) => chunk.model))).toEqual(new Set([model.id]));
      expect(new Set(stream.chunks.map((chunk) => chunk.id)).size).toBe(1);
      expect(stream.chunks[0].id).toMatch(/^chatcmpl-/);
      expect(stream.bytes).not.toContain('local-name');
      expect(stream.bytes.endsWith('data: [DONE]\n\n')).toBe(true);
    },
  );

  const usageIn = async (streamOptions?: object) => {
    const model = market.aModel();
    // A Swan agent always sends a usage chunk.
    await market.swan(model);
    const { key } = await market.consumer();
    const body = {
      model: model.id,
      messages: HELLO,
      ...(streamOptions && { stream_options: streamOptions }),
    };
    const stream = await askStream({ url: market.url, key, body });
    await stream.ended;
    return stream.chunks;
  };

  test.each([undefined, {}, { include_usage: false }, { include_usage: null }])(
    'states no usage when asked with stream_options %j',
    async (streamOptions) => {
      const chunks = await usageIn(streamOptions);
      expect(chunks.some((chunk) => chunk.usage)).toBe(false);
      expect(chunks.every((chunk) => chunk.choices.length === 1)).toBe(true);
    },
  );

  test('states its usage once, before the end, when asked to', async () => {
    const chunks = await usageIn({ include_usage: true });
    expect(chunks.filter((chunk) => chunk.usage)).toHaveLength(1);
    expect(chunks.at(-1)).toMatchObject({
      choices: [],
      usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
    });
  });

  test('through the shipped model on llama.cpp gives real tokens', async () => {
    const { database } = market.fresh;
    const [model] = await database.sql<TestModel[]>`
      select m.id, m.slug, p.input_pico as "inputPico", p.output_pico as "outputPico"
      from models m join prices p on p.model_id = m.id where m.slug = 'cygnet-nano'`;
    const nano = model as TestModel;
    await market.rehearsal(nano, 'models/cygnet-nano-q8_0.gguf');
    const consumer = await market.consumer();
    const { total } = await market.balance(consumer);
    const messages = [{ role: 'user', content: 'What is 17 + 25?' }];
    const body = {
      model: 'cygnet-nano',
      temperature: 0,
      messages,
      stream_options: { include_usage: true },
    };
    const stream = await askStream({ url: market.url, key: consumer.key, body });
    expect(await stream.ended).toBe('end');
    expect(stream.text).toContain('42');
    const { usage } = stream.chunks.at(-1);
    const plain = await ask({
      url: market.url,
      key: consumer.key,
      body: { model: 'cygnet-nano', temperature: 0, messages },
    });
    expect(plain.json).toMatchObject({
      object: 'chat.completion',
      model: 'cygnet/cygnet-nano',
      choices: [{ index: 0, message: { role: 'assistant', content: stream.text }, finish_reason: 'stop' }],
      usage,
    });
    // Both were counted again with the model's own vocabulary, and nothing had to be given back.
    expect((await market.balance(consumer)).total).toBe(total - 2n * cost(nano, usage));
  });
});

describe('an unstreamed chat', () => {
  test('is one completion with the usage that is billed', async () => {
    const model = market.aModel();
    await market.rehearsal(model, 'rehearsal:tokens=20,prompt=5');
    const consumer = await market.consumer();
    const { total } = await market.balance(consumer);
    const { status, headers, json } = await ask({
      url: market.url,
      key: consumer.key,
      body: { model: model.slug, messages: HELLO },
    });
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'x-swan-connection-mode': 'websocket',
      'x-request-id': expect.stringMatching(/^req_/),
    });
    expect(json).toMatchObject({
      object: 'chat.completion',
      model: model.id,
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: rehearsedText(20) },
          finish_reason: 'stop',
        },
      ],
      usage: { prompt_tokens: 5, completion_tokens: 20, total_tokens: 25 },
    });
    expect((await market.balance(consumer)).total).toBe(total - cost(model, json.usage));
  });

  test('ends at the limit that the caller set', async () => {
    const model = market.aModel();
    await market.rehearsal(model);
    const { key } = await market.consumer();
    const { json } = await ask({
      url: market.url,
      key,
      body: { model: model.id, messages: HELLO, max_tokens: 4 },
    });
    expect(json.choices[0]).toMatchObject({
      message: { content: rehearsedText(4) },
      finish_reason: 'length',
    });
    expect(json.usage.completion_tokens).toBe(4);
  });

  test('claimed to be ten times as long as it was is billed as delivered', async () => {
    const model = market.aModel();
    await market.rehearsal(model, 'rehearsal:tokens=10,prompt=2,claim=10');
    const consumer = await market.consumer();
    const { json } = await ask({
      url: market.url,
      key: consumer.key,
      body: { model: model.id, messages: HELLO, max_tokens: 10 },
    });
    expect(json.usage.completion_tokens).toBe(10);
    const [row] = await market.usage(consumer, 1);
    expect(row).toMatchObject({ outputTokens: 10, charge: cost(model, json.usage) });
  });
});
