import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '#kit/package-root.ts';
import { ask, askStream } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';

// Real tokens through an external endpoint: llama.cpp in a process of its own behind HTTP, as its own server offers it.

const KEY = 'llama-server-key-0123456789';
const NANO = {
  id: 'cygnet/cygnet-nano',
  slug: 'cygnet-nano',
  category: 'llm',
  inputPico: 0n,
  outputPico: 0n,
} as const;
const QUESTION = [{ role: 'user' as const, content: 'What is 17 + 25?' }];

let market: TestMarket;
let child: ChildProcess;
let consumer: { id: string; key: string };
let provider: { id: string };

beforeAll(async () => {
  const program = path.join(packageRoot(), 'test/support/llama-server.ts');
  child = spawn(process.execPath, ['--import', 'tsx', program, KEY], {
    cwd: packageRoot(),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  market = await TestMarket.open();
  consumer = await market.consumer();
  provider = await market.external(
    NANO,
    { url: `http://127.0.0.1:${line.toString().trim()}/v1` },
    {
      key: KEY,
      models: [
        {
          modelId: NANO.id,
          upstreamName: 'nano.gguf',
          operations: ['chat/completions', 'completions'],
        },
      ],
    },
  );
}, 120_000);
afterAll(async () => {
  await market.close();
  const gone = once(child, 'close');
  child.stdin?.end();
  await gone;
});

describe('llama.cpp behind an external endpoint', () => {
  test('answers in a stream, token by token, and its owner is paid for them', async () => {
    const body = { model: NANO.slug, messages: QUESTION, stream_options: { include_usage: true } };
    const stream = await askStream({ url: market.url, key: consumer.key, body });
    expect(await stream.ended).toBe('end');
    expect(stream.headers['x-swan-connection-mode']).toBe('external');
    expect(stream.text).toBe('17 + 25 = 42.');
    const { usage } = stream.chunks.at(-1);
    expect(usage.completion_tokens).toBeGreaterThan(3);
    expect(await market.usage(consumer, 1)).toMatchObject([
      { outcome: 'completed', providerId: provider.id, outputTokens: usage.completion_tokens },
    ]);
  });

  test('answers the official client, whole and streamed, as any provider does', async () => {
    const client = new OpenAI({ apiKey: consumer.key, baseURL: `${market.url}/v1`, maxRetries: 0 });
    const whole = await client.chat.completions.create({ model: NANO.slug, messages: QUESTION });
    expect(whole.choices[0]?.message.content).toBe('17 + 25 = 42.');
    let text = '';
    const stream = await client.chat.completions.create({
      model: NANO.slug,
      messages: QUESTION,
      stream: true,
    });
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    expect(text).toBe('17 + 25 = 42.');
  });

  test('goes on from a text by its own call', async () => {
    const body = { model: NANO.slug, prompt: 'Once upon', max_tokens: 4 };
    const answer = await ask({ url: market.url, key: consumer.key, path: '/v1/completions', body });
    expect(answer.json).toMatchObject({ object: 'text_completion', usage: { completion_tokens: 4 } });
  });

  test('says that a prompt is too long as the consumer knows it', async () => {
    const messages = [{ role: 'user', content: 'count the words '.repeat(2_000) }];
    const answer = await ask({ url: market.url, key: consumer.key, body: { model: NANO.slug, messages } });
    expect(answer.status).toBe(400);
    expect(answer.json.error.code).toBe('context_length_exceeded');
  });
});
