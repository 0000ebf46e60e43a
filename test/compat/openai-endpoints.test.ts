import OpenAI, { toFile } from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rehearsedText } from '#agent/backends/rehearsal.ts';
import { rehearsedVector } from '#agent/backends/rehearsed-whole.ts';
import { TestMarket } from '#support/market.ts';
import { wav } from '#support/sound.ts';

/** OpenAI's own client, unmodified, over every endpoint. */

const CHAT = 'zai-org/GLM-4.7-Flash';
const EMBEDDING = 'BAAI/bge-large-en-v1.5';
const IMAGE = 'black-forest-labs/FLUX.1-schnell';
const SOUND = 'openai/whisper-large-v3';

let market: TestMarket;
let openai: OpenAI;
let consumer: { id: string; key: string };

beforeAll(async () => {
  market = await TestMarket.open();
  consumer = await market.consumer();
  openai = new OpenAI({ baseURL: `${market.url}/v1`, apiKey: consumer.key, maxRetries: 0 });
  await market.agent(
    await market.provider(),
    [CHAT, EMBEDDING, IMAGE, SOUND].map((id) => `${id}=rehearsal:tokens=5`),
  );
});
afterAll(async () => {
  await market.close();
});

describe('chat completions', () => {
  it('answer whole and streamed, by id and by short name', async () => {
    const messages = [{ role: 'user' as const, content: 'Hi' }];
    const whole = await openai.chat.completions.create({ model: 'glm-4.7-flash', messages });
    expect(whole).toMatchObject({ model: CHAT, choices: [{ message: { content: rehearsedText(5) } }] });
    let text = '';
    let usage: unknown;
    const stream = await openai.chat.completions.create({
      model: CHAT,
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      usage = chunk.usage ?? usage;
    }
    expect(text).toBe(rehearsedText(5));
    expect(usage).toMatchObject({ completion_tokens: 5 });
  });

  it('refuse an image for a model that reads text only', async () => {
    const asked = openai.chat.completions.create({
      model: CHAT,
      messages: [
        {
          role: 'user',
          content: [{ type: 'image_url', image_url: { url: 'https://example.org/swan.png' } }],
        },
      ],
    });
    await expect(asked).rejects.toMatchObject({ status: 400, param: 'messages' });
  });
});

describe('text completions', () => {
  it('answer whole and streamed', async () => {
    const whole = await openai.completions.create({ model: CHAT, prompt: 'Once', max_tokens: 3 });
    expect(whole).toMatchObject({
      object: 'text_completion',
      model: CHAT,
      choices: [{ text: rehearsedText(3), finish_reason: 'length' }],
      usage: { prompt_tokens: 1, completion_tokens: 3, total_tokens: 4 },
    });
    let text = '';
    for await (const chunk of await openai.completions.create({
      model: CHAT,
      prompt: 'Once',
      stream: true,
    })) {
      expect(chunk).toMatchObject({ object: 'text_completion', model: CHAT });
      text += chunk.choices[0]?.text ?? '';
    }
    expect(text).toBe(rehearsedText(5));
  });
});

describe('embeddings', () => {
  it('are the same numbers, bit for bit, as floats and as the base64 that the client asks for by itself', async () => {
    const input = ['swan', 'cygnet', '🦢'];
    const asked = await openai.embeddings.create({ model: EMBEDDING, input });
    const floats = await openai.embeddings.create({ model: EMBEDDING, input, encoding_format: 'float' });
    const wished = input.map((text) => rehearsedVector(text, 8));
    expect(asked.data.map(({ embedding }) => embedding)).toEqual(wished);
    expect(floats.data.map(({ embedding }) => embedding)).toEqual(wished);
    expect(asked).toMatchObject({ model: EMBEDDING, usage: { prompt_tokens: 4, total_tokens: 4 } });
  });

  it('take one text, tokens, lists of tokens and a length', async () => {
    const { data } = await openai.embeddings.create({ model: EMBEDDING, input: 'one', dimensions: 3 });
    expect(data[0]?.embedding).toEqual(rehearsedVector('one', 3));
    const tokens = await openai.embeddings.create({ model: EMBEDDING, input: [1, 2, 3] });
    expect(tokens.data).toHaveLength(1);
    expect(tokens.usage.prompt_tokens).toBe(3);
    const lists = await openai.embeddings.create({ model: EMBEDDING, input: [[1, 2], [3]] });
    expect(lists.data.map(({ index }) => index)).toEqual([0, 1]);
  });

  it('are refused where a text is empty, or the model is none for it', async () => {
    await expect(openai.embeddings.create({ model: EMBEDDING, input: [] })).rejects.toMatchObject({
      status: 400,
      param: 'input',
    });
    await expect(openai.embeddings.create({ model: CHAT, input: 'a' })).rejects.toMatchObject({
      status: 400,
    });
  });
});

describe('images', () => {
  it('are made, as many as were asked for, and each is paid for', async () => {
    const payer = await market.consumer();
    const client = new OpenAI({ baseURL: `${market.url}/v1`, apiKey: payer.key });
    const made = await client.images.generate({ model: IMAGE, prompt: 'a swan', n: 3, user: 'secret' });
    expect(made.data).toHaveLength(3);
    expect(made.data?.[0]?.b64_json).toMatch(/^iVBOR/);
    expect(await market.usage(payer, 1)).toMatchObject([
      { operation: 'images/generations', units: 3, charge: 9_000_000_000n },
    ]);
  });
});

describe('transcriptions', () => {
  const file = () => toFile(Buffer.from('not a sound, but a file'), 'swan song.mp3');

  it('come as JSON, as text and in full, and cost by the piece', async () => {
    const payer = await market.consumer();
    const client = new OpenAI({ baseURL: `${market.url}/v1`, apiKey: payer.key });
    const json = await client.audio.transcriptions.create({
      model: SOUND,
      file: await file(),
      language: 'en',
    });
    expect(json).toEqual({ text: 'I heard 23 bytes.', usage: { type: 'duration', seconds: 1 } });
    const text = await client.audio.transcriptions.create({
      model: SOUND,
      file: await file(),
      response_format: 'text',
    });
    expect(text).toBe('I heard 23 bytes.\n');
    const full = await client.audio.transcriptions.create({
      model: SOUND,
      file: await file(),
      response_format: 'verbose_json',
    });
    expect(full).toMatchObject({ text: 'I heard 23 bytes.', language: 'en' });
    expect(await market.usage(payer, 3)).toMatchObject(
      Array.from({ length: 3 }, () => ({
        operation: 'audio/transcriptions',
        units: 1,
        seconds: 1,
        charge: 3_000_000_000n,
      })),
    );
  });

  it('of a long recording cost by the second that its header says', async () => {
    const payer = await market.consumer();
    const client = new OpenAI({ baseURL: `${market.url}/v1`, apiKey: payer.key });
    const recording = await toFile(wav(90), 'long.wav');
    await client.audio.transcriptions.create({ model: SOUND, file: recording });
    expect(await market.usage(payer, 1)).toMatchObject([{ seconds: 90, charge: 4_500_000_000n }]);
  });

  it('are refused without a file, and in forms that no agent knows', async () => {
    const answer = await fetch(`${market.url}/v1/audio/transcriptions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${consumer.key}` },
      body: new URLSearchParams({ model: SOUND }),
    });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: { type: 'invalid_request_error' } });
    const subtitles = openai.audio.transcriptions.create({
      model: SOUND,
      file: await file(),
      response_format: 'srt',
    });
    await expect(subtitles).rejects.toMatchObject({ status: 400, param: 'response_format' });
  });
});

describe('models', () => {
  it('are listed with who serves them now', async () => {
    const all = await openai.models.list();
    const chat = all.data.find(({ id }) => id === CHAT);
    expect(chat).toMatchObject({
      object: 'model',
      owned_by: 'swan-inference',
      available: true,
      providers: 1,
    });
    expect(await openai.models.retrieve('glm-4.7-flash')).toMatchObject({ id: CHAT });
  });
});
