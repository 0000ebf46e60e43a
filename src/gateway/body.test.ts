import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Fault } from '#kit/fault.ts';
import { type ChatRequest, PRIVATE_FIELDS, readChatRequest, rewriteBody } from './body.ts';

const hello = { model: 'glm-4.7-flash', messages: [{ role: 'user', content: 'Hi' }] };
const read = (body: unknown): ChatRequest | Fault => readChatRequest(Buffer.from(JSON.stringify(body)));
const readText = (text: string): ChatRequest | Fault => readChatRequest(Buffer.from(text));

describe('what is read of a body', () => {
  const table: [string, object, Partial<ChatRequest>][] = [
    [
      'the least',
      hello,
      {
        model: 'glm-4.7-flash',
        stream: false,
        includeUsage: false,
        maxTokens: undefined,
        n: 1,
        messageCount: 1,
        promptBytes: 2,
        needsRewrite: false,
        mediaParts: 0,
      },
    ],
    ['a stream', { ...hello, stream: true }, { stream: true, includeUsage: false }],
    [
      'a stream with usage',
      { ...hello, stream: true, stream_options: { include_usage: true } },
      { includeUsage: true },
    ],
    [
      'a stream with other options',
      { ...hello, stream: true, stream_options: { include_obfuscation: false } },
      { includeUsage: false },
    ],
    ['max_tokens', { ...hello, max_tokens: 7 }, { maxTokens: 7 }],
    ['max_completion_tokens', { ...hello, max_completion_tokens: 16_384 }, { maxTokens: 16_384 }],
    ['both, equal', { ...hello, max_tokens: 7, max_completion_tokens: 7 }, { maxTokens: 7 }],
    ['n', { ...hello, n: 8 }, { n: 8 }],
    [
      'null for absent',
      {
        ...hello,
        n: null,
        max_tokens: null,
        stream: null,
        stop: null,
        temperature: null,
        stream_options: null,
      },
      { n: 1, maxTokens: undefined, stream: false },
    ],
    [
      'bytes, not characters',
      {
        ...hello,
        messages: [
          { role: 'system', content: 'é' },
          { role: 'user', content: '🙂' },
        ],
      },
      { promptBytes: 6, messageCount: 2 },
    ],
    [
      'parts of text',
      {
        ...hello,
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'ab' },
              { type: 'text', text: 'c' },
            ],
          },
        ],
      },
      { promptBytes: 3, mediaParts: 0 },
    ],
    [
      'an image',
      { ...hello, messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }] },
      { mediaParts: 1 },
    ],
    [
      'an answer without content',
      { ...hello, messages: [{ role: 'assistant', content: null }] },
      { promptBytes: 0 },
    ],
    ['unknown parameters', { ...hello, min_p: 0.1, tomorrow: 'x' }, { promptBytes: 2, needsRewrite: false }],
    ['stops', { ...hello, stop: ['a', 'b'] }, {}],
    [
      'limits of ranges',
      { ...hello, temperature: 2, top_p: 1, presence_penalty: -2, frequency_penalty: 2 },
      {},
    ],
    ['a user', { ...hello, user: 'u-1' }, { needsRewrite: true }],
  ];
  test.each(table)('%s', (_, body, expected) => {
    expect(read(body)).toMatchObject(expected);
  });

  test('where more than text goes into the prompt, its bound is the body', () => {
    for (const more of [{ tools: [{ type: 'function' }] }, { response_format: { type: 'json_object' } }]) {
      const bytes = Buffer.from(JSON.stringify({ ...hello, ...more }));
      expect(readChatRequest(bytes)).toMatchObject({ promptBytes: bytes.length });
    }
    const called = { ...hello, messages: [{ role: 'assistant', content: null, tool_calls: [{ id: 'x' }] }] };
    expect(read(called)).toMatchObject({ promptBytes: JSON.stringify(called).length });
  });
});

describe('400: what cannot be served is refused with the name of the field', () => {
  const message = (content: unknown) => ({ ...hello, messages: [{ role: 'user', content }] });
  const table: [string, unknown, string | undefined][] = [
    ['an array', [hello], undefined],
    ['null', null, undefined],
    ['a string', 'x', undefined],
    ['no model', { messages: hello.messages }, 'model'],
    ['a model that is a number', { ...hello, model: 5 }, 'model'],
    ['a null model', { ...hello, model: null }, 'model'],
    ['an empty model', { ...hello, model: '' }, 'model'],
    ['a long model', { ...hello, model: 'x'.repeat(257) }, 'model'],
    ['no messages', { model: 'x' }, 'messages'],
    ['empty messages', { ...hello, messages: [] }, 'messages'],
    ['messages that are an object', { ...hello, messages: { 0: 'x' } }, 'messages'],
    ['101 messages', { ...hello, messages: Array(101).fill(hello.messages[0]) }, 'messages'],
    ['a message that is text', { ...hello, messages: ['hi'] }, 'messages[0]'],
    ['a null message', { ...hello, messages: [null] }, 'messages[0]'],
    ['no role', { ...hello, messages: [{ content: 'x' }] }, 'messages[0].role'],
    ['a role that is a number', { ...hello, messages: [{ role: 1, content: 'x' }] }, 'messages[0].role'],
    ['a long message', message('x'.repeat(100_001)), 'messages[0].content'],
    [
      'long parts',
      message([
        { type: 'text', text: 'x'.repeat(60_000) },
        { type: 'text', text: 'x'.repeat(60_000) },
      ]),
      'messages[0].content',
    ],
    ['content that is a number', message(5), 'messages[0].content'],
    ['content that is an object', message({}), 'messages[0].content'],
    ['a part that is text', message(['x']), 'messages[0].content'],
    ['a part without a type', message([{ text: 'x' }]), 'messages[0].content'],
    ['a text part without text', message([{ type: 'text' }]), 'messages[0].content'],
    ['max_tokens 0', { ...hello, max_tokens: 0 }, 'max_tokens'],
    ['max_tokens -1', { ...hello, max_tokens: -1 }, 'max_tokens'],
    ['max_tokens 1.5', { ...hello, max_tokens: 1.5 }, 'max_tokens'],
    ['max_tokens as text', { ...hello, max_tokens: '5' }, 'max_tokens'],
    ['max_tokens over the limit', { ...hello, max_tokens: 16_385 }, 'max_tokens'],
    [
      'max_completion_tokens over the limit',
      { ...hello, max_completion_tokens: 1e308 },
      'max_completion_tokens',
    ],
    ['two limits', { ...hello, max_tokens: 5, max_completion_tokens: 6 }, 'max_tokens'],
    ['n 0', { ...hello, n: 0 }, 'n'],
    ['n 9', { ...hello, n: 9 }, 'n'],
    ['temperature', { ...hello, temperature: 2.1 }, 'temperature'],
    ['top_p', { ...hello, top_p: -0.1 }, 'top_p'],
    ['presence_penalty', { ...hello, presence_penalty: '1' }, 'presence_penalty'],
    ['frequency_penalty', { ...hello, frequency_penalty: 3 }, 'frequency_penalty'],
    ['stop', { ...hello, stop: 5 }, 'stop'],
    ['stops', { ...hello, stop: [5] }, 'stop'],
    ['many stops', { ...hello, stop: Array(17).fill('x') }, 'stop'],
    ['stream', { ...hello, stream: 'yes' }, 'stream'],
    [
      'stream_options without stream',
      { ...hello, stream_options: { include_usage: true } },
      'stream_options',
    ],
    ['stream_options', { ...hello, stream: true, stream_options: [] }, 'stream_options'],
    [
      'include_usage',
      { ...hello, stream: true, stream_options: { include_usage: 1 } },
      'stream_options.include_usage',
    ],
    ['deep tools', { ...hello, tools: JSON.parse('['.repeat(70) + ']'.repeat(70)) }, 'tools'],
  ];
  test.each(table)('%s', (_, body, param) => {
    const fault = read(body);
    expect(fault).toBeInstanceOf(Fault);
    expect(fault).toMatchObject({ code: 'request-invalid', param });
    expect((fault as Fault).outer).toMatch(/\.$/);
  });

  const texts: [string, string][] = [
    ['nothing', ''],
    ['half an object', '{"model":"x"'],
    ['trailing garbage', `${JSON.stringify(hello)} x`],
    ['two objects', JSON.stringify(hello) + JSON.stringify(hello)],
    ['a byte order mark', `\ufeff${JSON.stringify(hello)}`],
    ['single quotes', "{'model':'x'}"],
  ];
  test.each(texts)('%s is not JSON', (_, text) => {
    expect(readText(text)).toMatchObject({ code: 'body-not-json' });
  });

  test('invalid UTF-8 is refused, for it would end an agent’s link', () => {
    const bytes = Buffer.from(JSON.stringify(hello));
    bytes[bytes.indexOf('Hi')] = 0xff;
    expect(readChatRequest(bytes)).toMatchObject({ code: 'body-not-json' });
  });

  test('no refusal quotes the prompt', () => {
    for (const body of [
      `{"model":"x","messages":[{"role":"user","content":"canary"`,
      JSON.stringify({ ...hello, stop: [1, 'canary'] }),
    ]) {
      const fault = readText(body) as Fault;
      expect(`${fault.message} ${fault.outer} ${fault.stack}`).not.toContain('canary');
    }
  });
});

describe('hostile bodies', () => {
  test('200,000 levels are refused wherever they are, in a moment', () => {
    const deep = '['.repeat(200_000) + ']'.repeat(200_000);
    for (const text of [
      deep,
      `{"model":"x","messages":${deep}}`,
      `{"model":"x","messages":[{"role":"user","content":${deep}}]}`,
      `{"model":"x","messages":[{"role":"user","content":[{"type":"x","y":${deep}}]}]}`,
      `{"model":"x","messages":[{"role":"user","content":"x","y":${deep}}]}`,
      `{"model":"x","messages":[{"role":"user","content":"x"}],"tools":${deep}}`,
      `{"model":"x","messages":[{"role":"user","content":"x"}],"stream":true,"stream_options":{"x":${deep}}}`,
    ]) {
      expect(readText(text)).toBeInstanceOf(Fault);
    }
  });

  test('a megabyte of one letter is refused as one message and read as twelve', () => {
    expect(read({ ...hello, messages: [{ role: 'user', content: 'a'.repeat(1_000_000) }] })).toMatchObject({
      param: 'messages[0].content',
    });
    const twelve = Array.from({ length: 12 }, () => ({ role: 'user', content: 'a'.repeat(90_000) }));
    expect(read({ ...hello, messages: twelve })).toMatchObject({ promptBytes: 1_080_000 });
  });

  test('__proto__ is a name like any other and pollutes nothing', () => {
    const text =
      '{"__proto__":{"stream":true,"n":99},"constructor":1,"model":"x","messages":[{"__proto__":{"role":"x"},"role":"user","content":"x"}]}';
    expect(readText(text)).toMatchObject({ model: 'x', stream: false, n: 1 });
    expect(readText('{"__proto__":{"model":"x"},"messages":[{"role":"user","content":"x"}]}')).toMatchObject({
      param: 'model',
    });
    expect(readText('{"model":"x","messages":[{"__proto__":{"role":"user"},"content":"x"}]}')).toMatchObject({
      param: 'messages[0].role',
    });
    expect(({} as Record<string, unknown>)['stream']).toBeUndefined();
  });

  test('lone surrogates pass, and of a name that comes twice the last counts', () => {
    expect(readText('{"model":"x","messages":[{"role":"user","content":"\\ud800"}]}')).toMatchObject({
      promptBytes: 3,
    });
    expect(readText('{"model":"x","model":"y","messages":[{"role":"user","content":"x"}]}')).toMatchObject({
      model: 'y',
    });
  });
});

test('any JSON at any place is read or refused, never an exception', () => {
  const anything = fc.jsonValue({ maxDepth: 4 });
  const fields = [
    'model',
    'messages',
    'stream',
    'stream_options',
    'max_tokens',
    'n',
    'temperature',
    'stop',
    'tools',
    '__proto__',
    'user',
  ];
  const body = fc.oneof(
    anything,
    fc.dictionary(fc.constantFrom(...fields), anything).map((odd) => ({ ...hello, ...odd })),
    fc
      .array(fc.dictionary(fc.constantFrom('role', 'content', 'name', 'x'), anything))
      .map((messages) => ({ ...hello, messages })),
  );
  fc.assert(
    fc.property(body, (value) => {
      const one = read(value);
      const bound = one instanceof Fault ? 0 : one.promptBytes;
      expect(bound).toBeLessThanOrEqual(Buffer.byteLength(JSON.stringify(value)));
    }),
    { numRuns: 1_000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      expect(readChatRequest(Buffer.from(bytes))).toBeInstanceOf(Fault);
    }),
  );
});

describe('the body that is passed on', () => {
  test('tells nothing of who the consumer is and keeps the rest byte for byte', () => {
    const text =
      '{"seed":12345678901234567890, "user":"ada","model":"x","metadata":{"user":"ada"},"messages":[{"role":"user","content":"my user"}],"store":true}';
    expect(rewriteBody(Buffer.from(text)).toString()).toBe(
      '{"seed":12345678901234567890,"model":"x","messages":[{"role":"user","content":"my user"}]}',
    );
    for (const name of PRIVATE_FIELDS) {
      const body = Buffer.from(JSON.stringify({ [name]: 'canary', ...hello }));
      expect(readChatRequest(body)).toMatchObject({ needsRewrite: true });
      expect(rewriteBody(body).toString()).toBe(JSON.stringify(hello));
    }
  });

  test('carries what is set in place of what was there', () => {
    const body = Buffer.from(JSON.stringify({ ...hello, user: 'ada' }));
    expect(JSON.parse(rewriteBody(body, { set: { model: 'y', max_tokens: 5 } }).toString())).toEqual({
      messages: hello.messages,
      model: 'y',
      max_tokens: 5,
    });
  });
});

describe('what concerns routing', () => {
  const messages = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Hi' },
  ];
  const readOf = (more: object) =>
    readChatRequest(Buffer.from(JSON.stringify({ model: 'm', messages, ...more })));

  test("OpenRouter's fields are read and never forwarded", () => {
    const body = {
      provider: { sort: 'price', require_parameters: true },
      models: ['n', 'o'],
      route: 'fallback',
      seed: 1,
    };
    expect(readOf(body)).toMatchObject({
      needsRewrite: true,
      routing: {
        preferences: { sort: 'price' },
        fallbackModels: ['n', 'o'],
        parameters: ['model', 'messages', 'provider', 'models', 'route', 'seed'],
      },
    });
    const bytes = Buffer.from(JSON.stringify({ model: 'm', messages, ...body }));
    expect(JSON.parse(rewriteBody(bytes).toString())).toEqual({ model: 'm', messages, seed: 1 });
  });

  test('a list of models needs no model beside it', () => {
    expect(readChatRequest(Buffer.from(JSON.stringify({ models: ['n', 'o'], messages })))).toMatchObject({
      model: 'n',
      routing: { fallbackModels: ['n', 'o'] },
    });
  });

  test.each([
    ['nine models', { models: Array.from({ length: 9 }, () => 'm') }, 'models'],
    ['a model without a name', { models: [''] }, 'models'],
    ['a preference that is none', { provider: { order: 7 } }, 'provider.order'],
  ])('%s are refused', (_what, more, param) =>
    expect(readOf(more)).toMatchObject({ code: 'request-invalid', param }),
  );

  test('the turns of a conversation are recognised by how it begins, or by the name that the caller gives it', () => {
    const first = readOf({}) as ChatRequest;
    const later = readOf({
      messages: [...messages, { role: 'assistant', content: 'Hi!' }, { role: 'user', content: 'More' }],
    }) as ChatRequest;
    expect(first.routing?.conversation).toBeDefined();
    expect(later.routing?.conversation).toBe(first.routing?.conversation);
    expect(readOf({ messages: [{ role: 'user', content: 'Ho' }] })).not.toMatchObject({
      routing: { conversation: first.routing?.conversation },
    });
    expect(readOf({ session_id: 's1' })).toMatchObject({ routing: { conversation: 's1' } });
  });
});
