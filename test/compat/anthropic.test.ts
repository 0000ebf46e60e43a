import Anthropic, {
  type APIError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
} from '@anthropic-ai/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rehearsedText } from '#agent/backends/rehearsal.ts';
import { TestMarket } from '#support/market.ts';

/** Anthropic's own client, unmodified, over `/v1/messages`. */

const CHAT = 'zai-org/GLM-4.7-Flash';
const TOOLS: Anthropic.Tool[] = [
  {
    name: 'weather',
    description: 'The weather of a place.',
    input_schema: { type: 'object', properties: { place: { type: 'string' } }, required: ['place'] },
  },
];

let market: TestMarket;
let anthropic: Anthropic;
let consumer: { id: string; key: string };

beforeAll(async () => {
  market = await TestMarket.open();
  consumer = await market.consumer();
  anthropic = new Anthropic({ baseURL: market.url, apiKey: consumer.key, maxRetries: 0 });
  await market.agent(await market.provider(), [`${CHAT}=rehearsal:tokens=5,calls`]);
});
afterAll(async () => {
  await market.close();
});

describe('a message', () => {
  it('comes whole, with what is billed', async () => {
    const { data: message, request_id: requestId } = await anthropic.messages
      .create({
        model: 'glm-4.7-flash',
        max_tokens: 50,
        system: 'Be brief.',
        messages: [{ role: 'user', content: 'Hello' }],
      })
      .withResponse();
    expect(message).toMatchObject({
      type: 'message',
      role: 'assistant',
      model: CHAT,
      content: [{ type: 'text', text: rehearsedText(5) }],
      stop_reason: 'end_turn',
      usage: { output_tokens: 5 },
    });
    expect(message.id).toMatch(/^msg_/);
    expect(requestId).toMatch(/^req_/);
    const [row] = await market.usage(consumer, 1);
    expect(row).toMatchObject({
      operation: 'chat/completions',
      inputTokens: message.usage.input_tokens,
      outputTokens: 5,
    });
  });

  it('streams, and ends where its limit is', async () => {
    const stream = anthropic.messages.stream({
      model: CHAT,
      max_tokens: 3,
      messages: [{ role: 'user', content: [{ type: 'text', text: 'Hello' }] }],
    });
    let text = '';
    stream.on('text', (piece) => {
      text += piece;
    });
    const message = await stream.finalMessage();
    expect(text).toBe(rehearsedText(3));
    expect(message).toMatchObject({
      content: [{ type: 'text', text }],
      stop_reason: 'max_tokens',
      usage: { output_tokens: 3 },
    });
  });

  it.each([true, false])('calls a tool and hears its result (streamed: %s)', async (streamed) => {
    const ask = { model: CHAT, max_tokens: 50, tools: TOOLS };
    const question: Anthropic.MessageParam = { role: 'user', content: 'How is the weather?' };
    const create = (messages: Anthropic.MessageParam[]) =>
      streamed
        ? anthropic.messages.stream({ ...ask, messages }).finalMessage()
        : anthropic.messages.create({ ...ask, messages });
    const first = await create([question]);
    expect(first).toMatchObject({
      stop_reason: 'tool_use',
      content: [{ type: 'tool_use', id: 'call_rehearsed', name: 'weather', input: { place: 'swan' } }],
    });
    const second = await create([
      question,
      { role: 'assistant', content: first.content },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'call_rehearsed', content: [{ type: 'text', text: 'Rain.' }] },
        ],
      },
    ]);
    expect(second).toMatchObject({ stop_reason: 'end_turn', content: [{ type: 'text' }] });
  });
});

describe('a failure has the shape that the client knows', () => {
  it.each([
    ['a wrong key', { apiKey: 'sk-swan-wrong' }, {}, AuthenticationError],
    ['an unknown model', {}, { model: 'nothing' }, NotFoundError],
    ['a body without a limit', {}, { max_tokens: undefined as unknown as number }, BadRequestError],
    ['a model that nobody serves', {}, { model: 'qwen3-8b' }, InternalServerError],
  ])('%s', async (_what, options, over, kind) => {
    const client = new Anthropic({ baseURL: market.url, apiKey: consumer.key, maxRetries: 0, ...options });
    const asked = client.messages.create({
      model: CHAT,
      max_tokens: 5,
      messages: [{ role: 'user', content: 'Hi' }],
      ...over,
    });
    const error = await asked.then(
      () => undefined,
      (caught: unknown) => caught,
    );
    expect(error).toBeInstanceOf(kind);
    expect((error as APIError).error).toMatchObject({
      type: 'error',
      error: { type: expect.any(String), message: expect.any(String) },
      request_id: expect.stringMatching(/^req_/),
    });
  });

  it('also in the middle of a stream, which costs nothing', async () => {
    const payer = await market.consumer();
    await market.agent(await market.provider(), ['Qwen/Qwen3-8B=rehearsal:cut=3']);
    const client = new Anthropic({ baseURL: market.url, apiKey: payer.key, maxRetries: 0 });
    const stream = client.messages.stream({
      model: 'qwen3-8b',
      max_tokens: 50,
      messages: [{ role: 'user', content: 'Hi' }],
    });
    await expect(stream.finalMessage()).rejects.toThrow(/cut off/);
    expect(await market.usage(payer, 1)).toMatchObject([{ outcome: 'broken', charge: 0n }]);
  });
});
