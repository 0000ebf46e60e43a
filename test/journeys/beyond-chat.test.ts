import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import OpenAI, { toFile } from 'openai';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { rehearsedVector } from '#agent/backends/rehearsed-whole.ts';
import { TestMarket } from '#support/market.ts';
import type { TestParty } from '#support/parties.ts';
import type { Script } from '#support/swan-agent.ts';

// Work that is no chat, over the hub: who gets it, how it travels, and what becomes of answers that are not what was asked
// for. Swan contract 1.10.

const CHAT = 'zai-org/GLM-4.7-Flash';
const EMBEDDING = 'BAAI/bge-m3';
const IMAGE = 'Qwen/Qwen-Image';
const SOUND = 'openai/whisper-small';

let market: TestMarket;
let consumer: TestParty;
let client: OpenAI;
beforeAll(async () => {
  market = await TestMarket.open({ config: { routing: { backoff: { baseMs: 1, capMs: 2 } } } });
  consumer = await market.consumer();
  client = new OpenAI({ baseURL: `${market.url}/v1`, apiKey: consumer.key, maxRetries: 0 });
});
afterEach(() => market.agentsLeave());
afterAll(() => market.close());

/** Embeddings as a Swan agent passes them on: its backend's model name, floats whatever was asked. */
const vectors: Script = (served) => {
  const inputs = served.request['input'] as string[];
  served.result({
    object: 'list',
    model: 'local-name',
    data: inputs.map((text, index) => ({ object: 'embedding', index, embedding: rehearsedVector(text, 4) })),
    usage: { prompt_tokens: 6, total_tokens: 6 },
  });
};

describe('an agent that only chats', () => {
  test.each(['A', 'B'] as const)('gets no embeddings (generation %s)', async (generation) => {
    const { agent } = await market.swan({ id: EMBEDDING }, vectors, { generation });
    const asked = client.embeddings.create({ model: EMBEDDING, input: ['a'] });
    await expect(asked).rejects.toMatchObject({ status: 503, code: 'no_provider_available' });
    expect(agent.inferences).toEqual([]);
  });

  test('is passed over for one that does more', async () => {
    const old = await market.swan({ id: EMBEDDING }, vectors, { generation: 'A' });
    const recent = await market.swan({ id: EMBEDDING }, vectors, { generation: 'C' });
    for (let i = 0; i < 4; i++) await client.embeddings.create({ model: EMBEDDING, input: ['a'] });
    expect([old.agent.inferences.length, recent.agent.inferences.length]).toEqual([0, 4]);
  });

  test.each(['A', 'C'] as const)('serves text completions as a chat (generation %s)', async (generation) => {
    const { agent } = await market.swan({ id: CHAT }, undefined, { generation });
    const whole = await client.completions.create({ model: CHAT, prompt: 'Count', max_tokens: 9 });
    expect(whole).toMatchObject({
      object: 'text_completion',
      model: CHAT,
      choices: [{ index: 0, text: 'one two three', finish_reason: 'stop' }],
      usage: { prompt_tokens: 7, completion_tokens: 3 },
    });
    let text = '';
    const stream = await client.completions.create({ model: CHAT, prompt: ['Count'], stream: true });
    for await (const chunk of stream) {
      expect(chunk).toMatchObject({ object: 'text_completion', model: CHAT });
      text += chunk.choices[0]?.text ?? '';
    }
    expect(text).toBe('one two three');
    for (const { request, operation } of agent.inferences) {
      expect(request).toMatchObject({ messages: [{ role: 'user', content: 'Count' }] });
      expect(request).not.toHaveProperty('prompt');
      expect(operation).toBe('chat/completions');
    }
    expect(agent.inferences[0]?.request).toMatchObject({ max_tokens: 9 });
    expect(agent.inferences[1]?.request).toMatchObject({ max_tokens: 16 });
  });

  test('gets no text completion that a chat has no words for', async () => {
    const { agent } = await market.swan({ id: CHAT });
    for (const over of [{ prompt: ['a', 'b'] }, { prompt: [1, 2] }, { echo: true }, { suffix: 'end' }]) {
      const asked = client.completions.create({ model: CHAT, prompt: 'a', ...over });
      await expect(asked).rejects.toMatchObject({ status: 503 });
    }
    expect(agent.inferences).toEqual([]);
  });
});

describe('an agent of generation C', () => {
  test('is told the operation, and its floats become the base64 that was asked for', async () => {
    const { agent } = await market.swan({ id: EMBEDDING }, vectors);
    const { data, model } = await client.embeddings.create({ model: EMBEDDING, input: ['a', 'b'] });
    expect(model).toBe(EMBEDDING);
    expect(data.map(({ embedding }) => embedding)).toEqual([
      rehearsedVector('a', 4),
      rehearsedVector('b', 4),
    ]);
    expect(agent.inferences[0]).toMatchObject({ operation: 'embeddings', stream: false });
  });

  test('gets a recording as base64, with nothing that tells who the consumer is', async () => {
    const { agent } = await market.swan({ id: SOUND }, (served) =>
      served.result({ text: 'Hello.', usage: { input_tokens: 4, output_tokens: 2 } }),
    );
    const bytes = Buffer.from([0, 255, 1, 254, 13, 10, 45, 45]);
    const form = new FormData();
    form.append('model', 'whisper-small');
    form.append('language', 'en');
    form.append('user', 'somebody');
    form.append('file', new Blob([bytes]), '../../etc/pass wd.wav');
    const answer = await fetch(`${market.url}/v1/audio/transcriptions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${consumer.key}` },
      body: form,
    });
    expect(await answer.json()).toMatchObject({ text: 'Hello.' });
    expect(agent.inferences[0]).toMatchObject({ operation: 'audio/transcriptions', stream: false });
    expect(agent.inferences[0]?.request).toEqual({
      model: SOUND,
      file: bytes.toString('base64'),
      filename: 'pass_wd.wav',
      language: 'en',
      response_format: 'json',
    });
  });

  test('is paid for as many images as it made, not as many as were asked for', async () => {
    const payer = await market.consumer();
    await market.swan({ id: IMAGE }, (served) =>
      served.result({ created: 1, data: [{ b64_json: 'AA==' }, { url: 'https://example.org/1.png' }] }),
    );
    const made = await new OpenAI({ baseURL: `${market.url}/v1`, apiKey: payer.key }).images.generate({
      model: IMAGE,
      prompt: 'a swan',
      n: 4,
    });
    expect(made.data).toHaveLength(2);
    expect(await market.usage(payer, 1)).toMatchObject([
      { operation: 'images/generations', units: 2, charge: 40_000_000_000n },
    ]);
  });
});

describe('an answer that is not what was asked for is a failure of the provider, and free', () => {
  const list = (...data: unknown[]): Script => {
    return (served) => served.result({ object: 'list', data, usage: { prompt_tokens: 1, total_tokens: 1 } });
  };
  const ask = {
    embeddings: (key: string) =>
      new OpenAI({ baseURL: `${market.url}/v1`, apiKey: key, maxRetries: 0 }).embeddings.create({
        model: EMBEDDING,
        input: ['a', 'b'],
        dimensions: 2,
      }),
    images: (key: string) =>
      new OpenAI({ baseURL: `${market.url}/v1`, apiKey: key, maxRetries: 0 }).images.generate({
        model: IMAGE,
        prompt: 'a',
        n: 1,
      }),
  };
  const one = { index: 0, embedding: [1, 2] };
  test.each<[string, keyof typeof ask, Script]>([
    ['a vector too few', 'embeddings', list(one)],
    ['a vector too many', 'embeddings', list(one, { ...one, index: 1 }, { ...one, index: 2 })],
    ['vectors of two lengths', 'embeddings', list(one, { index: 1, embedding: [1] })],
    [
      'vectors of another length than was chosen',
      'embeddings',
      list({ index: 0, embedding: [1] }, { index: 1, embedding: [1] }),
    ],
    ['vectors in another order', 'embeddings', list({ ...one, index: 1 }, one)],
    ['words for numbers', 'embeddings', list(one, { index: 1, embedding: ['1', '2'] })],
    [
      'base64 that is none',
      'embeddings',
      list({ index: 0, embedding: '####' }, { index: 1, embedding: '####' }),
    ],
    ['more images than were asked for', 'images', list({ b64_json: 'AA==' }, { b64_json: 'AA==' })],
    ['no image', 'images', list()],
    ['a chat', 'images', (served) => served.result(served.completion('An image of a swan.'))],
  ])('%s', async (_what, kind, script) => {
    const payer = await market.consumer();
    const model = kind === 'images' ? IMAGE : EMBEDDING;
    await market.swan({ id: model }, script);
    await expect(ask[kind](payer.key)).rejects.toMatchObject({ status: 502, code: 'provider_failed' });
    expect(await market.usage(payer, 1)).toMatchObject([{ outcome: 'failed', charge: 0n, units: 0 }]);
  });

  test('and the next provider is asked', async () => {
    await market.swan({ id: EMBEDDING }, list(one));
    await market.swan({ id: EMBEDDING }, list(one));
    await market.swan({ id: EMBEDDING }, vectors);
    const asks = Array.from({ length: 6 }, () =>
      client.embeddings.create({ model: EMBEDDING, input: ['a', 'b'] }),
    );
    for (const { data } of await Promise.all(asks)) expect(data).toHaveLength(2);
  });
});

describe('a recording that is larger than an agent reads', () => {
  test('goes to one that takes it, or nowhere: no message over the limit is ever sent', async () => {
    const { agent } = await market.swan({ id: SOUND }, (served) => served.result({ text: 'x' }), {
      generation: 'B',
      register: {
        model_declarations: [{ model_id: SOUND, output_modalities: [{ type: 'transcription' }] }],
      },
    });
    const small = await toFile(Buffer.alloc(100_000), 'a.wav');
    await client.audio.transcriptions.create({ model: SOUND, file: small });
    expect(agent.inferences).toHaveLength(1);
    const large = () => toFile(Buffer.alloc(800_000), 'a.wav');
    const asked = client.audio.transcriptions.create({ model: SOUND, file: await large() });
    await expect(asked).rejects.toMatchObject({ status: 413, code: 'request_too_large' });
    await market.agent(await market.provider(), [`${SOUND}=rehearsal:`]);
    const heard = await client.audio.transcriptions.create({ model: SOUND, file: await large() });
    expect(heard.text).toBe('I heard 800000 bytes.');
    expect(agent.inferences).toHaveLength(1);
    expect(agent.overlong).toBe(0);
  });

  test('over what the market takes is refused with 413, stated or not', async () => {
    const small = await TestMarket.open({ on: market, config: { limits: { recordingBytesMax: 1_000 } } });
    const form = new FormData();
    form.append('file', new Blob([Buffer.alloc(5_000)]), 'a.wav');
    form.append('model', SOUND);
    const headers = { authorization: `Bearer ${(await small.consumer()).key}` };
    const url = `${small.url}/v1/audio/transcriptions`;
    const stated = await fetch(url, { method: 'POST', headers, body: form });
    expect(stated.status).toBe(413);
    await stated.arrayBuffer();
    await small.close();
  });
});

describe('our agent in front of a server', () => {
  let server: Server;
  let asked: { path: string; headers: IncomingMessage['headers']; body: Buffer }[];
  let source: string;
  beforeAll(async () => {
    asked = [];
    const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      const body = await buffer(request);
      const path = request.url ?? '';
      if (request.method === 'POST') asked.push({ path, headers: request.headers, body });
      response.setHeader('content-type', 'application/json');
      const answers: Record<string, unknown> = {
        '/v1/models': { data: [{ id: 'local-name' }] },
        '/v1/audio/transcriptions': { text: 'Hello.', duration: 2.5 },
        '/v1/embeddings': {
          object: 'list',
          model: 'local-name',
          data: [{ object: 'embedding', index: 0, embedding: 'AACAPwAAAEA=' }],
          usage: { prompt_tokens: 3, total_tokens: 3 },
        },
        '/v1/images/generations': { created: 1, data: [{ b64_json: 'AA==' }] },
      };
      response.end(JSON.stringify(answers[path] ?? { error: { message: 'what?' } }));
    };
    server = createServer((request, response) => void answer(request, response));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    source = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1#local-name`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  test('sends the form on to it, byte for byte, under its own name of the model', async () => {
    await market.agent(await market.provider(), [`${SOUND}=${source}`]);
    const bytes = Buffer.from('\r\n--not the boundary--\r\n\0\xff', 'latin1');
    const heard = await client.audio.transcriptions.create({
      model: SOUND,
      file: await toFile(bytes, 'a.wav'),
      response_format: 'verbose_json',
      timestamp_granularities: ['word', 'segment'],
    });
    expect(heard).toMatchObject({ text: 'Hello.', duration: 2.5 });
    const { path, headers, body } = asked.at(-1) as (typeof asked)[number];
    expect(path).toBe('/v1/audio/transcriptions');
    const sent = await new Response(body, {
      headers: { 'content-type': headers['content-type'] as string },
    }).formData();
    expect(sent.get('model')).toBe('local-name');
    expect(sent.getAll('timestamp_granularities[]')).toEqual(['word', 'segment']);
    expect(Buffer.from(await (sent.get('file') as File).arrayBuffer())).toEqual(bytes);
  });

  test('passes on base64 as it came, and as numbers to who wants numbers', async () => {
    await market.agent(await market.provider(), [`${EMBEDDING}=${source}`]);
    const numbers = await client.embeddings.create({
      model: EMBEDDING,
      input: 'a',
      encoding_format: 'float',
    });
    expect(numbers.data[0]?.embedding).toEqual([1, 2]);
    const raw = await client.embeddings.create({ model: EMBEDDING, input: 'a' });
    expect(raw.data[0]?.embedding).toEqual([1, 2]);
    expect(JSON.parse(asked.at(-1)?.body.toString() ?? '')).toEqual({
      model: 'local-name',
      input: 'a',
      encoding_format: 'base64',
    });
  });

  test('makes images', async () => {
    await market.agent(await market.provider(), [`${IMAGE}=${source}`]);
    const { data } = await client.images.generate({ model: 'qwen-image', prompt: 'a swan', quality: 'high' });
    expect(data).toEqual([{ b64_json: 'AA==' }]);
    expect(JSON.parse(asked.at(-1)?.body.toString() ?? '')).toEqual({
      model: 'local-name',
      prompt: 'a swan',
      quality: 'high',
    });
  });
});

describe('money', () => {
  test('an account that cannot pay for what was asked gets 402 before anybody works', async () => {
    const poor = await market.consumer(1_000_000_000n);
    await market.agent(await market.provider(), [`${IMAGE}=rehearsal:`, `${SOUND}=rehearsal:`]);
    const poorClient = new OpenAI({ baseURL: `${market.url}/v1`, apiKey: poor.key, maxRetries: 0 });
    const image = poorClient.images.generate({ model: IMAGE, prompt: 'a' });
    await expect(image).rejects.toMatchObject({ status: 402 });
    // A minute of the slowest speech would cost more than there is.
    const sound = poorClient.audio.transcriptions.create({
      model: SOUND,
      file: await toFile(Buffer.alloc(100_000)),
    });
    await expect(sound).rejects.toMatchObject({ status: 402 });
    expect(await market.balance(poor)).toMatchObject({ total: 1_000_000_000n });
  });

  test('a provider cannot claim more tokens for embeddings than there are bytes', async () => {
    const payer = await market.consumer();
    await market.agent(await market.provider(), [`${EMBEDDING}=rehearsal:claim=1000`]);
    const payersClient = new OpenAI({ baseURL: `${market.url}/v1`, apiKey: payer.key });
    const { usage } = await payersClient.embeddings.create({ model: EMBEDDING, input: ['four', 'five5'] });
    expect(usage.prompt_tokens).toBe(4 + 5 + 2 * 4);
    expect(await market.usage(payer, 1)).toMatchObject([{ inputTokens: 17, outputTokens: 0 }]);
  });
});
