import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SPLIT_POLICIES, shareOut } from '#domain/policy.ts';
import { ask, askStream, HELLO } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import type { TestModel } from '#support/parties.ts';
import { answerAs, DIALECTS, events, json, Upstream } from '#support/upstream.ts';

// External endpoints in the whole market: real sockets, a real database, doubles of other people's servers.

let market: TestMarket;
const servers: Upstream[] = [];
beforeAll(async () => {
  market = await TestMarket.open();
});
afterAll(async () => {
  await market.close();
  await Promise.all(servers.map((server) => server.close()));
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
});
