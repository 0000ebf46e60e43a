import OpenAI, { toFile } from 'openai';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { setPrice } from '#catalogue/prices.ts';
import { formatUsd } from '#domain/money.ts';
import type { Operation } from '#domain/operation.ts';
import { SPLIT_POLICIES, shareOut } from '#domain/policy.ts';
import { type Amounts, priceOf } from '#domain/price.ts';
import { removeEndpoint, setAsk } from '#identity/endpoints.ts';
import { systemClock } from '#kit/clock.ts';
import { ask, askStream, HELLO } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import { makeId, type TestModel } from '#support/parties.ts';
import { answerAs, DIALECTS, events, json, Upstream } from '#support/upstream.ts';

// External endpoints in the whole market: real sockets, a real database, doubles of other people's servers.

let market: TestMarket;
const servers: Upstream[] = [];
beforeAll(async () => {
  market = await TestMarket.open();
});
afterAll(async () => {
  await market.close();
  await Promise.all(servers.map((each) => each.close()));
});

async function server(): Promise<Upstream> {
  const upstream = await Upstream.open();
  servers.push(upstream);
  return upstream;
}

const cost = (model: TestModel, usage: { prompt_tokens: number; completion_tokens: number }) =>
  BigInt(usage.prompt_tokens) * model.inputPico + BigInt(usage.completion_tokens) * model.outputPico;

describe('a chat through an external endpoint', () => {
  test.each(DIALECTS)('of a server that writes as %s comes whole and in our words', async (dialect) => {
    const model = market.aModel();
    const upstream = await server();
    upstream.answer = (turn) => answerAs(dialect, ['Good', ' morning', '.'], turn);
    await market.external(model, upstream, { key: 'sk-upstream-0123456789abcdef' });
    const { key } = await market.consumer();
    const body = { model: model.slug, messages: HELLO, user: 'me' };

    const stream = await askStream({ url: market.url, key, body });
    expect(await stream.ended).toBe('end');
    expect(stream.headers['x-swan-connection-mode']).toBe('external');
    expect(stream.text).toBe('Good morning.');
    expect(stream.done).toBe(true);
    expect(new Set(stream.chunks.map((chunk) => `${chunk.model} ${chunk.id}`)).size).toBe(1);
    expect(stream.chunks[0]).toMatchObject({ model: model.id, object: 'chat.completion.chunk' });
    expect(stream.chunks.some((chunk) => chunk.usage)).toBe(false);
    expect(stream.chunks.at(-1).choices[0].finish_reason).toBe('stop');

    const whole = await ask({ url: market.url, key, body });
    expect(whole.headers['x-swan-connection-mode']).toBe('external');
    expect(whole.json).toMatchObject({
      model: model.id,
      choices: [{ message: { role: 'assistant', content: 'Good morning.' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 6, completion_tokens: 3 },
    });

    expect(upstream.asked[0]?.body).toMatchObject({
      model: 'local-name',
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(upstream.asked[0]?.headers.authorization).toBe('Bearer sk-upstream-0123456789abcdef');
    expect(upstream.asked[0]?.bytes.toString()).not.toContain('"me"');
    expect(stream.bytes + whole.text).not.toContain('local-name');
  });

  test('costs what it costs through an agent, and the owner of the endpoint is paid the same', async () => {
    const model = market.aModel();
    const upstream = await server();
    const provider = await market.external(model, upstream);
    const consumer = await market.consumer();
    const { total } = await market.balance(consumer);
    const stream = await askStream({
      url: market.url,
      key: consumer.key,
      body: { model: model.id, messages: HELLO, stream_options: { include_usage: true } },
    });
    expect(await stream.ended).toBe('end');
    const charge = cost(model, { prompt_tokens: 6, completion_tokens: 2 });
    expect((await market.balance(consumer)).total).toBe(total - charge);
    const shared = shareOut(charge, SPLIT_POLICIES['standard-1'] as (typeof SPLIT_POLICIES)[string]);
    expect(await market.account(`provider:${provider.id}`)).toBe(shared.provider);
    expect(stream.chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 2 } });
  });
});

describe('an endpoint with an ask', () => {
  async function asking(model: TestModel, amounts: Amounts) {
    const upstream = await server();
    const made = { id: makeId('ask'), ...amounts };
    const models = [
      { modelId: model.id, upstreamName: 'local-name', operations: ['chat/completions'], ask: made } as const,
    ];
    return { upstream, made, provider: await market.external(model, upstream, { models }) };
  }
  const half = (model: TestModel): Amounts => ({
    unit: 'token',
    inputPico: model.inputPico / 2n,
    outputPico: model.outputPico / 2n,
  });

  test('costs the consumer the ask, which is shared out like any charge and named by it', async () => {
    const model = market.aModel();
    const { provider, made } = await asking(model, half(model));
    const consumer = await market.consumer();
    const { total } = await market.balance(consumer);
    const body = { model: model.id, messages: HELLO };
    const stream = await askStream({ url: market.url, key: consumer.key, body });
    expect(await stream.ended).toBe('end');
    const charge = priceOf({ inputTokens: 6, outputTokens: 2 }, made);
    expect((await market.balance(consumer)).total).toBe(total - charge);
    const shared = shareOut(charge, SPLIT_POLICIES['standard-1'] as (typeof SPLIT_POLICIES)[string]);
    expect(await market.account(`provider:${provider.id}`)).toBe(shared.provider);
    const rows = await market.fresh.database.sql`
      select charge, price_id, provider_id from usage where consumer_id = ${consumer.id}`;
    expect(rows).toMatchObject([{ charge, price_id: made.id, provider_id: provider.id }]);
  });

  test('of nothing serves for nothing', async () => {
    const model = market.aModel();
    await asking(model, { unit: 'token', inputPico: 0n, outputPico: 0n });
    const consumer = await market.consumer();
    const body = { model: model.id, messages: HELLO };
    expect((await ask({ url: market.url, key: consumer.key, body })).status).toBe(200);
    expect(await market.usage(consumer, 1)).toMatchObject([{ outcome: 'completed', charge: 0n }]);
  });

  test('is found by a price limit below the list, and an agent at the list is charged the list', async () => {
    const model = market.aModel();
    const { upstream, made } = await asking(model, half(model));
    await market.rehearsal(model, 'rehearsal:tokens=3');
    const consumer = await market.consumer();
    const url = market.url;
    const body = { model: model.id, messages: HELLO };
    const agents = await ask({ url, key: consumer.key, body });
    expect(agents.headers['x-swan-connection-mode']).toBe('websocket');
    const [first] = await market.usage(consumer, 1);
    expect(first?.charge).toBe(
      priceOf(
        { inputTokens: first?.inputTokens ?? 0, outputTokens: first?.outputTokens ?? 0 },
        { ...model, unit: 'token' },
      ),
    );
    const max_price = { prompt: formatUsd(model.inputPico * 500_000n).slice(1) };
    const cheap = await ask({ url, key: consumer.key, body: { ...body, provider: { max_price } } });
    expect(cheap.headers['x-swan-connection-mode']).toBe('external');
    expect(upstream.asked).toHaveLength(1);
    const [, second] = await market.usage(consumer, 2);
    expect(second?.charge).toBe(priceOf({ inputTokens: 6, outputTokens: 2 }, made));
  });

  test('that the list falls below is asked nothing more, until it asks less', async () => {
    const model = market.aModel();
    const { upstream, provider } = await asking(model, half(model));
    const { key } = await market.consumer();
    const body = { model: model.id, messages: HELLO };
    await setPrice(market.fresh.database, {
      id: makeId('price'),
      modelId: model.id,
      amounts: { unit: 'token', inputPico: model.inputPico / 4n, outputPico: model.outputPico / 4n },
      effectiveFrom: systemClock.wallMs(),
      source: 'test',
      forced: true,
      at: systemClock.wallMs(),
    });
    const answers = async (status: number) =>
      await vi.waitFor(async () => {
        const answer = await ask({ url: market.url, key, body });
        expect(answer.status).toBe(status);
        return answer;
      });
    expect((await answers(503)).json.error.code).toBe('no_provider_available');
    const asked = upstream.asked.length;
    await ask({ url: market.url, key, body });
    expect(upstream.asked).toHaveLength(asked);
    await setAsk(market.fresh.database, {
      id: makeId('ask'),
      endpointId: provider.endpointId,
      providerId: provider.id,
      modelId: model.id,
      amounts: undefined,
      actor: 'test',
      at: systemClock.wallMs(),
    });
    await answers(200);
  });
});

describe('the fallback', () => {
  const failing = (model: TestModel, count: number) =>
    Promise.all(
      Array.from({ length: count }, () =>
        market.swan(model, (served) => served.end({ error: 'out of memory', status_code: 500 })),
      ),
    );

  test('gets the last try when agents that fail would use up all of them', async () => {
    const model = market.aModel();
    const upstream = await server();
    await market.external(model, upstream);
    await failing(model, 4);
    const consumer = await market.consumer();
    const body = { model: model.id, messages: HELLO };
    const answer = await ask({ url: market.url, key: consumer.key, body });
    expect([answer.status, answer.headers['x-swan-connection-mode']]).toEqual([200, 'external']);
    const [row] = await market.usage(consumer, 1);
    expect(row).toMatchObject({ outcome: 'completed', attempts: 3 });
  });

  test('is not for a plan without it, and the answer says so', async () => {
    const model = market.aModel();
    const upstream = await server();
    await market.external(model, upstream);
    const { sql } = market.fresh.database;
    await sql`update models set tier = 'free' where id = ${model.id}`;
    const consumer = await market.consumer();
    const body = { model: model.id, messages: HELLO };
    const answers = async (status: number) =>
      await vi.waitFor(async () => {
        const answer = await ask({ url: market.url, key: consumer.key, body });
        expect(answer.status).toBe(status);
        return answer;
      });
    await answers(200);
    await sql`update consumers set plan = 'free' where id = ${consumer.id}`;
    const refused = await answers(503);
    expect(refused.json.error).toMatchObject({
      code: 'no_provider_available',
      message: `No agent is serving ${model.id} now, and the plan Free has no fallback beyond them.`,
    });
    const asked = upstream.asked.length;
    await failing(model, 1);
    const failed = await ask({ url: market.url, key: consumer.key, body });
    expect(failed.json.error.code).toBe('provider_failed');
    expect(upstream.asked).toHaveLength(asked);
    await sql`update consumers set plan = 'pro' where id = ${consumer.id}`;
    await answers(200);
  });
});

test('the other kinds of work go through an endpoint by the official client, and are charged', async () => {
  const upstream = await server();
  upstream.models = ['BAAI/bge-m3', 'Qwen/Qwen-Image', 'openai/whisper-small'];
  const vectors = Buffer.from(new Float32Array([0.25, -1.5]).buffer).toString('base64');
  const answers: Record<string, unknown> = {
    '/v1/embeddings': {
      object: 'list',
      data: [{ object: 'embedding', index: 0, embedding: vectors }],
      usage: { prompt_tokens: 4, total_tokens: 4 },
    },
    '/v1/images/generations': { created: 1, data: [{ b64_json: 'aGk=' }] },
    '/v1/audio/transcriptions': { text: 'hello', usage: { type: 'duration', seconds: 1 } },
  };
  upstream.answer = ({ path, response }) => json(response, 200, answers[path]);
  const of = (modelId: string, operation: Operation) => ({
    modelId,
    upstreamName: modelId,
    operations: [operation],
  });
  await market.external({ id: '' }, upstream, {
    models: [
      of('BAAI/bge-m3', 'embeddings'),
      of('Qwen/Qwen-Image', 'images/generations'),
      of('openai/whisper-small', 'audio/transcriptions'),
    ],
  });
  const consumer = await market.consumer();
  const client = new OpenAI({ apiKey: consumer.key, baseURL: `${market.url}/v1`, maxRetries: 0 });
  const embedded = await client.embeddings.create({ model: 'bge-m3', input: 'Hello' });
  expect(embedded.data[0]?.embedding).toEqual([0.25, -1.5]);
  const drawn = await client.images.generate({ model: 'qwen-image', prompt: 'a swan' });
  expect(drawn.data?.[0]?.b64_json).toBe('aGk=');
  const file = await toFile(Buffer.alloc(32_000), 'hello.wav');
  const heard = await client.audio.transcriptions.create({ model: 'whisper-small', file });
  expect(heard.text).toBe('hello');
  const rows = await market.usage(consumer, 3);
  expect(rows.map(({ outcome }) => outcome)).toEqual(['completed', 'completed', 'completed']);
  expect(rows.every(({ charge }) => charge > 0n)).toBe(true);
});

test('an answer whose endpoint states no usage, or too much, is billed by what was delivered', async () => {
  const model = market.aModel();
  const upstream = await server();
  const consumer = await market.consumer();
  await market.external(model, upstream);
  for (const usage of [undefined, { prompt_tokens: 1e9, completion_tokens: 1e9 }]) {
    upstream.answer = ({ response }) => {
      const write = events(response);
      write({ choices: [{ index: 0, delta: { content: 'Good' }, finish_reason: null }] });
      write({ choices: [{ index: 0, delta: { content: '!' }, finish_reason: 'stop' }] });
      write({ choices: [], usage }, '[DONE]');
      response.end();
    };
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const stream = await askStream({
      url: market.url,
      key: consumer.key,
      body: { model: model.id, messages: HELLO },
    });
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    expect(await stream.ended).toBe('end');
  }
  const [silent, liar] = await market.usage(consumer, 2);
  expect(silent?.outputTokens).toBe(2);
  // A token is a byte at least, and one more ends the answer.
  expect(liar?.outputTokens).toBe('Good!'.length + 1);
  expect(liar?.inputTokens).toBeLessThan(100);
});

describe('an external endpoint', () => {
  test('is asked nothing while an agent can serve', async () => {
    const model = market.aModel();
    const upstream = await server();
    await market.external(model, upstream);
    await market.rehearsal(model, 'rehearsal:tokens=3');
    const { key } = await market.consumer();
    for (let i = 0; i < 8; i++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other, so that nobody is busy
      const answer = await ask({ url: market.url, key, body: { model: model.id, messages: HELLO } });
      expect(answer.headers['x-swan-connection-mode']).toBe('websocket');
    }
    expect(upstream.asked).toHaveLength(0);
  });

  test('takes over, unseen by the consumer, from an agent that fails before the first content', async () => {
    const model = market.aModel();
    const upstream = await server();
    await market.external(model, upstream);
    await market.swan(model, (served) => served.end({ error: 'out of memory', status_code: 500 }));
    const consumer = await market.consumer();
    const stream = await askStream({
      url: market.url,
      key: consumer.key,
      body: { model: model.id, messages: HELLO },
    });
    expect(await stream.ended).toBe('end');
    expect(stream.text).toBe('Hello there');
    expect(stream.headers['x-swan-connection-mode']).toBe('external');
    expect(await market.usage(consumer, 1)).toMatchObject([{ outcome: 'completed', attempts: 2 }]);
  });

  test('that breaks off in the middle is told as broken, and costs nothing', async () => {
    const model = market.aModel();
    const upstream = await server();
    upstream.answer = ({ response }) => {
      const write = events(response);
      write({ choices: [{ index: 0, delta: { content: 'Good' }, finish_reason: null }] });
      response.socket?.end();
    };
    await market.external(model, upstream);
    const consumer = await market.consumer();
    const stream = await askStream({
      url: market.url,
      key: consumer.key,
      body: { model: model.id, messages: HELLO },
    });
    await stream.ended;
    expect(stream.done).toBe(false);
    expect(stream.error.error.code).toBe('provider_cut_off');
    expect(await market.usage(consumer, 1)).toMatchObject([{ outcome: 'broken', charge: 0n }]);
  });

  test.each([401, 404, 302, 500])('never shows its own %s', async (status) => {
    const model = market.aModel();
    const upstream = await server();
    upstream.answer = ({ response }) =>
      json(response, status, { error: { message: 'Incorrect API key sk-secret', code: 'invalid_api_key' } });
    await market.external(model, upstream);
    const { key } = await market.consumer();
    const answer = await ask({ url: market.url, key, body: { model: model.id, messages: HELLO } });
    expect(answer.status).toBe(502);
    expect(answer.text).not.toContain('sk-secret');
  });

  test('whose consumer leaves is cut off at once', async () => {
    const model = market.aModel();
    const upstream = await server();
    let cut: () => void = () => {};
    const wasCut = new Promise<void>((resolve) => {
      cut = resolve;
    });
    upstream.answer = ({ response }) => {
      events(response)({ choices: [{ index: 0, delta: { content: 'Good' }, finish_reason: null }] });
      response.on('close', cut);
    };
    await market.external(model, upstream);
    const consumer = await market.consumer();
    const stream = await askStream({
      url: market.url,
      key: consumer.key,
      body: { model: model.id, messages: HELLO },
    });
    await stream.tokens(1);
    stream.leave();
    await wasCut;
    expect(await market.usage(consumer, 1)).toMatchObject([{ outcome: 'cancelled' }]);
  });

  test('takes what the agents have no room for', async () => {
    const model = market.aModel();
    const upstream = await server();
    await market.external(model, upstream);
    const provider = await market.provider();
    await market.agent(provider, [`${model.id}=rehearsal:endless,paced=2`], { perModel: 1 });
    const { key } = await market.consumer();
    const body = { model: model.id, messages: HELLO };
    const first = await askStream({ url: market.url, key, body });
    await first.tokens(1);
    const second = await ask({ url: market.url, key, body });
    expect(first.headers['x-swan-connection-mode']).toBe('websocket');
    expect(second.headers['x-swan-connection-mode']).toBe('external');
    first.leave();
  });

  test('of a suspended provider is asked nothing', async () => {
    const model = market.aModel();
    const upstream = await server();
    const { id } = await market.external(model, upstream);
    await market.fresh.database.sql`update providers set state = 'suspended' where id = ${id}`;
    const { key } = await market.consumer();
    await vi.waitFor(async () => {
      const { status } = await ask({ url: market.url, key, body: { model: model.id, messages: HELLO } });
      expect(status).toBe(503);
    });
    const asked = upstream.asked.length;
    await ask({ url: market.url, key, body: { model: model.id, messages: HELLO } });
    expect(upstream.asked).toHaveLength(asked);
  });
});

describe('a market with deadlines of its own', () => {
  test('gives up an endpoint that only keeps the line open, and one that never answers', async () => {
    const hasty = await TestMarket.open({
      config: { hub: { firstTokenDeadlineMs: 300, gapDeadlineMs: 300 } },
    });
    try {
      const silent = await server();
      silent.answer = ({ response }) => {
        events(response);
        const timer = setInterval(() => response.write(': keep-alive\n\n'), 20);
        response.on('close', () => clearInterval(timer));
      };
      const model = hasty.aModel();
      await hasty.external(model, silent);
      const consumer = await hasty.consumer();
      const ended = await ask({
        url: hasty.url,
        key: consumer.key,
        body: { model: model.id, messages: HELLO, stream: true },
      });
      expect(ended.status).toBe(504);
      expect(await hasty.usage(consumer, 1)).toMatchObject([{ outcome: 'failed', charge: 0n }]);
      silent.answer = ({ response }) => {
        events(response)({ choices: [{ index: 0, delta: { content: 'Good' }, finish_reason: null }] });
      };
      const other = hasty.aModel();
      await hasty.external(other, silent);
      const stream = await askStream({
        url: hasty.url,
        key: consumer.key,
        body: { model: other.id, messages: HELLO },
      });
      await stream.ended;
      expect(stream.error.error.code).toBe('provider_cut_off');
    } finally {
      await hasty.close();
    }
  });

  test('that stops lets an answer through an endpoint come to its end', async () => {
    const stopping = await TestMarket.open();
    try {
      const upstream = await server();
      let finish: () => void = () => {};
      upstream.answer = (turn) => {
        const write = events(turn.response);
        write({ choices: [{ index: 0, delta: { content: 'Good' }, finish_reason: null }] });
        finish = () => {
          write({ choices: [{ index: 0, delta: { content: ' bye' }, finish_reason: 'stop' }] }, '[DONE]');
          turn.response.end();
        };
      };
      const model = stopping.aModel();
      await stopping.external(model, upstream);
      const consumer = await stopping.consumer();
      const stream = await askStream({
        url: stopping.url,
        key: consumer.key,
        body: { model: model.id, messages: HELLO },
      });
      await stream.tokens(1);
      const stopped = stopping.stop();
      finish();
      expect(await stream.ended).toBe('end');
      expect([stream.text, stream.done]).toEqual(['Good bye', true]);
      await stopped;
    } finally {
      await stopping.close();
    }
  });
});

describe('a market that is an endpoint', () => {
  const at = (a: { url: string }) => ({ url: `${a.url}/v1` });
  const models = (model: TestModel) => [
    { modelId: model.id, upstreamName: model.id, operations: ['chat/completions'] } as const,
  ];

  test('of itself is found out at its check, asked nothing, and its owner is told', async () => {
    const model = market.aModel();
    const consumer = await market.consumer();
    const { endpointId } = await market.external(model, at(market), {
      key: consumer.key,
      models: models(model),
    });
    expect(market.endpoint(endpointId)).toMatchObject({
      health: 'unhealthy',
      because: 'It leads back to this market, or through too many others (status 508).',
    });
    const answer = await ask({
      url: market.url,
      key: consumer.key,
      body: { model: model.id, messages: HELLO },
    });
    expect(answer.json.error.code).toBe('no_provider_available');
  });

  test('of another serves its consumers, and in a circle of two a request comes back once and is free', async () => {
    const other = await TestMarket.open();
    try {
      const model = market.aModel();
      const [here, there] = [await market.consumer(), await other.consumer()];
      await market.external(model, at(other), { key: there.key, models: models(model) });
      const body = { model: model.id, messages: HELLO };
      const upstream = await server();
      const last = await other.external(model, upstream);
      const served = await ask({ url: market.url, key: here.key, body });
      expect([served.status, served.headers['x-swan-connection-mode']]).toEqual([200, 'external']);
      // What the last server is told names both markets, in the order in which they were passed.
      const passed = String(upstream.asked[0]?.headers['cdn-loop']).split(', ');
      expect(passed).toHaveLength(2);
      expect(new Set(passed).size).toBe(2);

      const gone = { id: last.endpointId, providerId: last.id, actor: 'test', at: systemClock.wallMs() };
      await removeEndpoint(other.fresh.database, gone);
      await vi.waitFor(() => expect(other.endpoint(last.endpointId)).toBeUndefined());
      await other.external(model, at(market), { key: here.key, models: models(model) });
      const before = { here: await market.balance(here), there: await other.balance(there) };
      const looped = await ask({ url: market.url, key: here.key, body });
      expect([looped.status, looped.json.error.code]).toEqual([502, 'provider_failed']);
      // One request each: it was refused where it came back, and nobody asked further.
      expect((await other.usage(there, 2)).map(({ attempts }) => attempts)).toEqual([1, 1]);
      expect((await market.usage(here, 2)).map(({ attempts }) => attempts)).toEqual([1, 1]);
      expect((await market.balance(here)).total).toBe(before.here.total);
      expect((await other.balance(there)).total).toBe(before.there.total);
      expect(upstream.asked).toHaveLength(1);
    } finally {
      await other.close();
    }
  });

  test('refuses what has passed it, whatever is asked, and tells its clients why', async () => {
    const model = market.aModel();
    const upstream = await server();
    await market.external(model, upstream);
    const { key } = await market.consumer();
    const body = { model: model.id, messages: HELLO };
    await ask({ url: market.url, key, body, headers: { 'cdn-loop': 'first.example; v="1, 2"' } });
    const ours = String(upstream.asked[0]?.headers['cdn-loop']);
    expect(ours).toMatch(/^first\.example; v="1, 2", cygnet-[0-9a-f]{16}$/);
    const headers = { 'cdn-loop': ours };
    const looped = await ask({ url: market.url, key, body, headers });
    expect([looped.status, looped.json.error.code]).toEqual([508, 'loop_detected']);
    const list = await ask({ url: market.url, key, path: '/v1/models', method: 'GET', headers });
    expect([list.status, list.json.error.code]).toEqual([508, 'loop_detected']);
    expect(upstream.asked).toHaveLength(1);
  });
});
