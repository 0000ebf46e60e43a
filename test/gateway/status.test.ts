import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Asked, ask, askStream, HELLO } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import type { TestModel, TestParty } from '#support/parties.ts';
import type { Script } from '#support/swan-agent.ts';
import { ERRORS, type ErrorCode, errorRow } from '#wire/errors.ts';

// What `POST /v1/chat/completions` answers, by status, over real sockets. Each refusal is its row of the error table in
// OpenAI's shape, and says nothing of us or of a provider.

let market: TestMarket;
/** On the same database, with limits that a test can reach. */
let strict: TestMarket;
let consumer: TestParty;
let sold: TestModel;
beforeAll(async () => {
  market = await TestMarket.open();
  strict = await TestMarket.open({
    on: market,
    config: {
      limits: { requestsPerMinute: { llm: 3 }, concurrentPerKey: 2, requestTimeoutMs: 400 },
      hub: { firstTokenDeadlineMs: 200, gapDeadlineMs: 300 },
    },
  });
  consumer = await market.consumer();
  sold = market.aModel();
  await market.rehearsal(sold, 'rehearsal:tokens=3');
});
afterAll(async () => {
  await strict.close();
  await market.close();
});

const chat = (
  body: unknown,
  more: { key?: string; at?: TestMarket; headers?: Record<string, string> } = {},
) =>
  ask({
    url: (more.at ?? market).url,
    key: more.key ?? consumer.key,
    body,
    ...(more.headers && { headers: more.headers }),
  });

const good = (over: object = {}) => ({ model: sold.id, messages: HELLO, ...over });

/** The rows that were met. */
const met = new Set<ErrorCode>();

/** The answer is the row `code` of the table, whole and clean. */
function expectError(
  answer: Asked,
  code: ErrorCode,
  about: { message?: unknown; param?: string | null } = {},
): void {
  const row = errorRow(code);
  met.add(code);
  expect(answer.json).toEqual({
    error: {
      message: about.message ?? row.sentence,
      type: row.type,
      code: row.openaiCode,
      param: about.param ?? null,
    },
  });
  expect(answer.status).toBe(row.status);
  expect(answer.headers['content-type']).toMatch(/^application\/json/);
  expect(answer.headers['x-request-id']).toMatch(/^req_[0-9A-Z]+$/);
  const mustSayWhen = row.status === 429 || row.status === 503;
  expect(!mustSayWhen || Number(answer.headers['retry-after']) > 0).toBe(true);
  expectClean(answer);
}

/** Nothing that a provider said, no host, no path, no stack, no key. */
function expectClean({ text, headers }: Asked): void {
  expect(text + JSON.stringify(headers)).not.toMatch(
    /prov_|node_|link_|att_|127\.0\.0\.1|localhost|\.internal|\/src\/|\/srv\/|node_modules|at .*\.ts|sk-(swan|prov)-[0-9a-f]|ECONN|CUDA|postgres/,
  );
}

describe('200', () => {
  test.each([
    ['text as parts', { messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }] }],
    [
      'a conversation with a tool call',
      {
        messages: [
          { role: 'user', content: 'What is the time?' },
          {
            role: 'assistant',
            content: null,
            tool_calls: [{ id: 'c1', type: 'function', function: { name: 'now', arguments: '{}' } }],
          },
          { role: 'tool', tool_call_id: 'c1', content: '12:00' },
        ],
      },
    ],
    [
      'nulls where OpenAI allows them',
      { max_tokens: null, stop: null, temperature: null, n: null, stream: null, stream_options: null },
    ],
    ['parameters of tomorrow', { reasoning_effort: 'low', something_new: { deep: [1, 2, 3] } }],
    ['all hundred messages', { messages: Array.from({ length: 100 }, () => HELLO[0]) }],
    [
      'a message of exactly 100,000 characters',
      { messages: [{ role: 'user', content: 'é'.repeat(100_000) }] },
    ],
    ['both names of the limit', { max_tokens: 3, max_completion_tokens: 3 }],
  ])('%s', async (_, over) => {
    const answer = await chat(good(over));
    expect(answer.status).toBe(200);
    expectClean(answer);
  });

  test('a query and a charset change nothing', async () => {
    const answer = await ask({
      url: market.url,
      key: consumer.key,
      path: '/v1/chat/completions?api-version=2024-02-01',
      headers: { 'content-type': 'application/json; charset=utf-8' },
      body: good(),
    });
    expect(answer.status).toBe(200);
  });
});

describe('400', () => {
  test.each([
    ['no body', ''],
    ['half a body', '{"model":'],
    ['a body with a comma too much', '{"model":"x",}'],
    ['NaN', '{"model":"x","temperature":NaN}'],
    ['a form', 'model=x&messages=y'],
  ])('body-not-json: %s', async (_, body) => {
    expectError(await chat(body), 'body-not-json');
  });

  test('body-not-json: bytes that are no UTF-8', async () => {
    const answer = await chat(Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]));
    expectError(answer, 'body-not-json', { message: 'The body is not valid UTF-8.' });
  });

  const over = (change: object) => () => JSON.stringify(good(change));
  test.each<[string, () => string, string | null]>([
    ['an array', () => '[]', null],
    ['a number', () => '7', null],
    ['null', () => 'null', null],
    ['no model', () => JSON.stringify({ messages: HELLO }), 'model'],
    ['a model that is a number', over({ model: 5 }), 'model'],
    ['an empty model', over({ model: '' }), 'model'],
    ['no messages', () => JSON.stringify({ model: sold.id }), 'messages'],
    ['messages that are a string', over({ messages: 'Hi' }), 'messages'],
    ['an empty conversation', over({ messages: [] }), 'messages'],
    ['101 messages', over({ messages: Array.from({ length: 101 }, () => HELLO[0]) }), 'messages'],
    ['a message that is a string', over({ messages: ['Hi'] }), 'messages[0]'],
    ['a message without a role', over({ messages: [{ content: 'Hi' }] }), 'messages[0].role'],
    ['content that is a number', over({ messages: [{ role: 'user', content: 7 }] }), 'messages[0].content'],
    [
      'a message of 100,001 characters',
      over({ messages: [{ role: 'user', content: 'x'.repeat(100_001) }] }),
      'messages[0].content',
    ],
    ['max_tokens of zero', over({ max_tokens: 0 }), 'max_tokens'],
    ['max_tokens below zero', over({ max_tokens: -5 }), 'max_tokens'],
    ['max_tokens that are a fraction', over({ max_tokens: 1.5 }), 'max_tokens'],
    ['max_tokens as text', over({ max_tokens: '5' }), 'max_tokens'],
    ['max_tokens above any model', over({ max_tokens: 1e9 }), 'max_tokens'],
    ['nine answers', over({ n: 9 }), 'n'],
    ['a stream that is "yes"', over({ stream: 'yes' }), 'stream'],
    ['stream_options without a stream', over({ stream_options: { include_usage: true } }), 'stream_options'],
    ['a temperature of 3', over({ temperature: 3 }), 'temperature'],
    ['a top_p of 2', over({ top_p: 2 }), 'top_p'],
    ['stops that are numbers', over({ stop: [1] }), 'stop'],
    [
      'tools a hundred levels deep',
      () => JSON.stringify(good()).replace('{', `{"tools":${'['.repeat(100)}${']'.repeat(100)},`),
      'tools',
    ],
  ])('request-invalid: %s', async (_, body, param) => {
    expectError(await chat(body()), 'request-invalid', { message: expect.any(String), param });
  });

  test('request-invalid: a model that does not chat', async () => {
    const answer = await chat(good({ model: 'bge-large-en-v1.5' }));
    expectError(answer, 'request-invalid', {
      message: expect.stringContaining('does not answer chat'),
      param: 'model',
    });
  });

  const refuses =
    (status: number, error: string): Script =>
    (served) =>
      served.stream
        ? served.end({ status_code: status, error })
        : served.result(undefined, { status_code: status, error });

  test.each([
    ['request-refused-by-model', 400, 'bad logit_bias at /srv/vllm/api.py:310 on gpu-7.internal'],
    ['request-refused-by-model', 422, 'CUDA: cannot'],
    ['prompt-too-long', 400, "This model's maximum context length is 8192 tokens, on gpu-7.internal"],
    ['prompt-too-long', 413, 'too long for /srv/models'],
  ] as const)('%s, when its provider answers %s: %s', async (code, status, error) => {
    const model = market.aModel();
    await market.swan(model, refuses(status, error));
    for (const stream of [true, false]) expectError(await chat(good({ model: model.id, stream })), code);
  });

  test('prompt-too-long, by the limit of the market, whatever the model could take', async () => {
    const model = market.aModel();
    await market.rehearsal(model);
    const words = (bytes: number) =>
      Array.from({ length: Math.ceil(bytes / 90_000) }, () => ({
        role: 'user',
        content: 'a word '.repeat(12_857),
      }));
    // 128,000 tokens, of which none has more than eight bytes.
    const { status, json } = await chat(good({ model: model.id, messages: words(1_100_000) }));
    expect(status).toBe(400);
    expect(json.error).toMatchObject({
      code: 'context_length_exceeded',
      message: 'A prompt may have at most 128000 tokens here.',
      param: 'messages',
    });
    expect((await chat(good({ model: model.id, messages: words(900_000) }))).status).toBe(200);
  });

  test('prompt-too-long, from the shipped model itself', async () => {
    const provider = await market.provider();
    await market.agent(provider, ['cygnet/cygnet-nano=models/cygnet-nano-q8_0.gguf']);
    const long = [{ role: 'user', content: 'one two three four five six seven '.repeat(200) }];
    for (const stream of [true, false]) {
      expectError(await chat(good({ model: 'cygnet-nano', messages: long, stream })), 'prompt-too-long');
    }
  });
});

describe('401', () => {
  const asking = (authorization: string | undefined) =>
    ask({
      url: market.url,
      body: good(),
      ...(authorization !== undefined && { headers: { authorization } }),
    });

  test.each([undefined, '', 'Bearer', 'Bearer ', 'Basic dTpw', 'sk-swan-1234'])(
    'key-missing: %s',
    async (given) => {
      expectError(await asking(given), 'key-missing');
    },
  );

  test('key-unknown: never made, mistyped, or of another house', async () => {
    const mistyped = consumer.key.slice(0, -1) + (consumer.key.endsWith('0') ? '1' : '0');
    for (const key of [mistyped, `sk-swan-${'0'.repeat(48)}`, 'sk-proj-abc', 'x'.repeat(8_000)]) {
      expectError(await asking(`Bearer ${key}`), 'key-unknown');
    }
  });

  test('key-revoked and key-of-provider', async () => {
    const gone = await market.consumer();
    await market.revoke(gone.keyId);
    await expect.poll(() => market.knows(gone.key)).toBe(false);
    expectError(await asking(`Bearer ${gone.key}`), 'key-revoked');
    const provider = await market.provider();
    expectError(await asking(`Bearer ${provider.key}`), 'key-of-provider');
  });

  test('is decided before the body is read: a bad body with a bad key is a bad key', async () => {
    expectError(await chat('{', { key: 'sk-swan-none' }), 'key-unknown');
  });
});

describe('402, 404, 405', () => {
  test('balance-short', async () => {
    const broke = await market.consumer(1n);
    expectError(await chat(good({ max_tokens: 100 }), { key: broke.key }), 'balance-short');
  });

  test.each([
    'no-such-model',
    'zai-org/No-Such',
    '../../etc/passwd',
    "'; drop table models; --",
    '__proto__',
    'constructor',
  ])('model-unknown: %s', async (model) => {
    expectError(await chat(good({ model })), 'model-unknown', { param: 'model' });
  });

  test.each([
    ['POST', '/v1/chat/completion'],
    ['POST', '/v1/chat/completions/'],
    ['GET', '/v2'],
    ['GET', '/v2/models'],
    ['GET', '/v1/../../etc/passwd'],
    ['GET', '/%00'],
    ['GET', '/%zz'],
  ] as const)('route-unknown: %s %s', async (method, path) => {
    const answer = await ask({ url: market.url, key: consumer.key, method, path });
    expectError(answer, 'route-unknown');
  });

  test.each([
    ['GET', '/v1/chat/completions', 'POST'],
    ['PUT', '/v1/chat/completions', 'POST'],
    ['DELETE', '/v1/chat/completions', 'POST'],
    ['OPTIONS', '/v1/chat/completions', 'POST'],
    ['POST', '/v1/models', 'GET, HEAD'],
    ['DELETE', '/v1/models/zai-org/GLM-4.7-Flash', 'GET, HEAD'],
    ['POST', '/health', 'GET, HEAD'],
  ] as const)('method-not-allowed: %s %s says what is allowed', async (method, path, allow) => {
    const answer = await ask({ url: market.url, key: consumer.key, method, path });
    expectError(answer, 'method-not-allowed');
    expect(answer.headers['allow']).toBe(allow);
  });
});

describe('413, 415', () => {
  test('body-too-large: more than 10 MB, stated or not', async () => {
    const body = JSON.stringify(good({ filler: 'x'.repeat(10_000_001) }));
    const stated = await chat(body);
    expectError(stated, 'body-too-large');
    const answer = await fetch(`${market.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${consumer.key}` },
      body: new Blob([body]).stream(),
      duplex: 'half',
    });
    expect(answer.status).toBe(413);
    expect(await answer.json()).toMatchObject({ error: { code: 'request_too_large' } });
  });

  test('prompt-too-large-for-providers: 2 MB and only an agent that reads 1 MiB, whose link lives on', async () => {
    const model = market.aModel();
    const { agent } = await market.swan(model, undefined, { generation: 'A' });
    const messages = Array.from({ length: 21 }, () => ({ role: 'user', content: 'x'.repeat(100_000) }));
    expectError(await chat(good({ model: model.id, messages })), 'prompt-too-large-for-providers');
    expect(agent).toMatchObject({ connected: true, overlong: 0, dials: 1 });
    expect((await chat(good({ model: model.id }))).status).toBe(200);
    // An agent of ours reads what is above 1 MiB and yet within the market's limit on prompts.
    const within = Array.from({ length: 11 }, () => ({ role: 'user', content: 'x'.repeat(92_500) }));
    expectError(await chat(good({ model: model.id, messages: within })), 'prompt-too-large-for-providers');
    await market.rehearsal(model, 'rehearsal:tokens=2');
    expect((await chat(good({ model: model.id, messages: within }))).status).toBe(200);
  });

  test.each(['gzip', 'br', 'deflate'])('encoding-unsupported: %s', async (encoding) => {
    expectError(await chat(good(), { headers: { 'content-encoding': encoding } }), 'encoding-unsupported');
  });
});

describe('429', () => {
  test('rate-limited: the fourth of three a minute, with what is left and when to come again', async () => {
    const model = market.aModel();
    const provider = await market.provider();
    await strict.agent(provider, [`${model.id}=rehearsal:tokens=2`]);
    const { key } = await market.consumer();
    for (const remaining of ['2', '1', '0']) {
      const { status, headers } = await chat(good({ model: model.id }), { key, at: strict });
      expect(status).toBe(200);
      expect(headers).toMatchObject({ 'x-ratelimit-limit': '3', 'x-ratelimit-remaining': remaining });
      expect(Number(headers['x-ratelimit-reset'])).toBeGreaterThan(0);
    }
    const refused = await chat(good({ model: model.id }), { key, at: strict });
    expectError(refused, 'rate-limited', { message: expect.stringContaining('Over 3 requests a minute') });
    expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(60);
    expect(refused.headers).toMatchObject({ 'x-ratelimit-limit': '3', 'x-ratelimit-remaining': '0' });
  });

  test('too-many-at-once: the third of two, and not for another key', async () => {
    const model = market.aModel();
    const provider = await market.provider();
    await strict.agent(provider, [`${model.id}=rehearsal:endless,paced=2`]);
    const [one, two] = [await market.consumer(), await market.consumer()];
    const open = () => askStream({ url: strict.url, key: one.key, body: good({ model: model.id }) });
    const streams = [await open(), await open()];
    expectError(await chat(good({ model: model.id }), { key: one.key, at: strict }), 'too-many-at-once');
    const other = await askStream({ url: strict.url, key: two.key, body: good({ model: model.id }) });
    expect(other.status).toBe(200);
    for (const stream of [...streams, other]) stream.leave();
    await market.usage(one, 2);
  });
});

describe('502, 503, 504', () => {
  const secret = 'Traceback: /srv/vllm/engine.py on gpu-7.internal, CUDA error';
  test.each([
    ['provider-failed', 500],
    ['provider-failed', 502],
    ['provider-failed', 503],
    ['provider-failed', 401],
    ['provider-failed', 404],
    ['providers-busy', 429],
    ['provider-too-slow', 504],
  ] as const)('%s, when the only provider answers %s', async (code, status) => {
    for (const stream of [true, false]) {
      // One each: after a 404 an agent is not asked for that model again.
      const model = market.aModel();
      await market.swan(model, (served) =>
        served.stream
          ? served.end({ status_code: status, error: secret })
          : served.result({ error: secret }, { status_code: status, error: secret }),
      );
      expectError(await chat(good({ model: model.id, stream })), code);
    }
  });

  test('provider-cut-off, when the only provider dies over an unstreamed answer', async () => {
    const model = market.aModel();
    await market.swan(model, (served) => served.agent.stop());
    expectError(await chat(good({ model: model.id })), 'provider-cut-off');
  });

  test('model-without-provider', async () => {
    expectError(await chat(good({ model: market.aModel().id })), 'model-without-provider');
  });

  test('providers-busy: the only place is taken for longer than anybody waits', async () => {
    const model = market.aModel();
    const provider = await market.provider();
    await market.agent(provider, [`${model.id}=rehearsal:endless,paced=2`], { perModel: 1 });
    const { key } = await market.consumer();
    const stream = await askStream({ url: market.url, key, body: good({ model: model.id }) });
    const answer = await chat(good({ model: model.id }), { key });
    expectError(answer, 'providers-busy');
    expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    stream.leave();
  });

  test('provider-too-slow: no answer in time, streamed or not', async () => {
    const model = market.aModel();
    const provider = await market.provider();
    await strict.agent(provider, [`${model.id}=rehearsal:silent`]);
    const { key } = await market.consumer();
    for (const stream of [true, false]) {
      expectError(await chat(good({ model: model.id, stream }), { key, at: strict }), 'provider-too-slow');
    }
  });
});

test('every other row is of another address, of a journey (test/journeys), or a bug', () => {
  const unmet = (Object.keys(ERRORS) as ErrorCode[]).filter((code) => !met.has(code));
  expect(unmet.toSorted()).toEqual([
    'account-suspended',
    'address-not-allowed',
    'card-unavailable',
    'chain-disagrees',
    'chain-reorganised',
    'chain-reverted',
    'chain-unreachable',
    'client-left',
    'client-too-slow',
    'conflict',
    'cross-site',
    'gateway-lost',
    'generation-unknown',
    'internal',
    'key-cap-reached',
    'key-expired',
    'ledger-unavailable',
    'login-refused',
    'metrics-token-wrong',
    'model-not-allowed',
    'playground-empty',
    'preferences-unmet',
    'prompt-shed',
    'request-loops',
    'request-quarantined',
    'role-missing',
    'second-factor-needed',
    'session-missing',
    'shutting-down',
    'sign-up-closed',
    'signature-invalid',
    'thing-unknown',
    'tried-too-often',
  ]);
});
