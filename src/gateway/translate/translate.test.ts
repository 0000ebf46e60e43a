import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { Fault } from '#kit/fault.ts';
import { packageRoot } from '#kit/package-root.ts';
import { messagesRequestSchema } from '#wire/anthropic/messages.ts';
import { responsesRequestSchema } from '#wire/openai/responses.ts';
import { DEFAULT_BODY_LIMITS } from '../body.ts';
import type { Headers, Reply } from '../reply.ts';
import { messages } from './chat-to-messages.ts';
import { responses } from './chat-to-responses.ts';
import { chatOfMessages, readMessagesRequest } from './messages-to-chat.ts';
import { chatOfResponses, readResponsesRequest } from './responses-to-chat.ts';
import { TranslatedReply } from './translated-reply.ts';

// Requests and answers in both shapes, side by side (test/vectors/translations.json): a person can read each pair.

const vectors = JSON.parse(
  readFileSync(path.join(packageRoot(), 'test', 'vectors', 'translations.json'), 'utf8'),
) as {
  messages: { request: Pair[]; answer: Pair[]; stream: Stream[] };
  responses: { request: Pair[]; answer: Pair[]; stream: Stream[] };
};
interface Pair {
  name: string;
  given: unknown;
  becomes: unknown;
}
interface Stream {
  name: string;
  /** The chat's chunks, without id, created and model. */
  chunks: Record<string, unknown>[];
  becomes: unknown[];
}

const CHAT = { id: 'chatcmpl-1', created: 7, model: 'm' };
const messagesAsk = asked(readMessagesRequest, {
  model: 'm',
  max_tokens: 9,
  messages: [{ role: 'user', content: 'Hi' }],
  thinking: { type: 'enabled', budget_tokens: 5 },
});
const responsesAsk = asked(readResponsesRequest, { model: 'm', input: 'Hi' });

function asked<A>(read: (bytes: Buffer, limits: typeof DEFAULT_BODY_LIMITS) => A | Fault, body: unknown): A {
  const ask = read(Buffer.from(JSON.stringify(body)), DEFAULT_BODY_LIMITS);
  if (ask instanceof Fault) throw ask;
  return ask;
}

describe('a request to /v1/messages becomes a chat', () => {
  test.each(vectors.messages.request)('$name', ({ given, becomes }) => {
    expect(chatOfMessages(messagesRequestSchema.parse(given))).toEqual(becomes);
  });
});

describe('a chat becomes a message', () => {
  test.each(vectors.messages.answer)('$name', ({ given, becomes }) => {
    expect(messages.whole({ ...CHAT, ...(given as object) }, messagesAsk)).toMatchObject(becomes as object);
  });
  test.each(vectors.messages.stream)('in events: $name', ({ chunks, becomes }) => {
    expect(events(messages.stream(messagesAsk), chunks)).toMatchObject(becomes);
  });
});

describe('a request to /v1/responses becomes a chat', () => {
  test.each(vectors.responses.request)('$name', ({ given, becomes }) => {
    expect(chatOfResponses(responsesRequestSchema.parse(given))).toEqual(becomes);
  });
});

describe('a chat becomes a response', () => {
  test.each(vectors.responses.answer)('$name', ({ given, becomes }) => {
    expect(responses.whole({ ...CHAT, ...(given as object) }, responsesAsk)).toMatchObject(becomes as object);
  });
  test.each(vectors.responses.stream)('in events: $name', ({ chunks, becomes }) => {
    expect(events(responses.stream(responsesAsk), chunks)).toMatchObject(becomes);
  });
});

function events(stream: ReturnType<typeof messages.stream>, chunks: readonly object[]): unknown[] {
  const text = chunks.map((chunk) => stream.chunk({ ...CHAT, ...chunk })).join('') + stream.end();
  return text
    .split('\n\n')
    .filter((event) => event !== '')
    .map((event) => {
      const [name, data] = event.split('\n') as [string, string];
      const value = JSON.parse(data.slice('data: '.length)) as { type: string };
      expect(name).toBe(`event: ${value.type}`);
      return value;
    });
}

describe('whatever a provider puts into an answer', () => {
  const nonsense = [
    {},
    { choices: 'wrong' },
    { choices: [null] },
    { choices: [{ delta: 5, message: 5 }] },
    { choices: [{ delta: { content: 5, tool_calls: [{ index: -1, function: 'x' }] } }] },
    { choices: [{ message: { tool_calls: [{ function: { name: 'f', arguments: '{"cut' } }] } }] },
  ];
  test.each(nonsense)('%j breaks nothing', (value) => {
    for (const stream of [messages.stream(messagesAsk), responses.stream(responsesAsk)])
      expect(() => stream.chunk(value) + stream.end()).not.toThrow();
    expect(() => [messages.whole(value, messagesAsk), responses.whole(value, responsesAsk)]).not.toThrow();
  });

  test('an event that is no JSON is passed over', () => {
    const written: string[] = [];
    const inner: Reply = {
      send: () => undefined,
      open: (_status: number, headers: Headers) => written.push(...headers),
      write: (bytes) => written.push(bytes.toString()),
      finish: () => undefined,
      congested: false,
      gone: false,
      onGone: undefined,
      onDrained: undefined,
    };
    const reply = new TranslatedReply(inner, messages, 'req_1');
    reply.asked(messagesAsk);
    reply.open(200, []);
    reply.write(Buffer.from('data: {"choices":[}\n\n'));
    reply.write(Buffer.from('data: [DONE]\n\n'));
    expect(written.slice(0, 2)).toEqual(['request-id', 'req_1']);
    expect(written.at(-1)).toContain('message_stop');
  });
});
