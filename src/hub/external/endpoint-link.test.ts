import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AddressList } from '#kit/address-list.ts';
import { systemClock } from '#kit/clock.ts';
import { systemRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { RecordedSink } from '#support/recorded-sink.ts';
import { answerAs, events, json, Upstream, type UpstreamTurn } from '#support/upstream.ts';
import { hubCounters } from '../counters.ts';
import { type Job, ONE_ANSWER } from '../link.ts';
import { DEFAULT_HUB_SETTINGS } from '../settings.ts';
import { EndpointLink } from './endpoint-link.ts';
import { readEndpointUrl } from './endpoint-url.ts';
import { openLine } from './line.ts';

// One endpoint over a real socket, well and badly behaved.

const MODEL = 'zai-org/GLM-4.7-Flash';
const KEY = 'sk-upstream-0123456789abcdef';

let upstream: Upstream;
let link: EndpointLink;
let inFlight: number;
let waiting: number;

beforeEach(async () => {
  upstream = await Upstream.open();
  inFlight = 0;
  waiting = 0;
  const allowed = new AddressList(['127.0.0.1']);
  const place = readEndpointUrl(upstream.url, allowed);
  if ('refusal' in place) throw new Error(place.refusal);
  const rules = { allowed, resolve: async () => [] };
  link = new EndpointLink({
    id: 'link_1',
    line: openLine(place, { key: new Sealed(KEY), capacity: 4, rules, marketName: 'cygnet-test' }),
    models: [
      { modelId: MODEL, upstreamName: 'local-name', operations: ['chat/completions', 'embeddings'] },
      { modelId: 'native', upstreamName: 'local-name', operations: ['completions'] },
    ],
    clock: systemClock,
    random: systemRandomness,
    counters: hubCounters(),
    settings: { ...DEFAULT_HUB_SETTINGS, endWaitMs: 20 },
    occupancy: {
      began: () => void (inFlight += 1),
      ended: () => void (inFlight -= 1),
      buffered: (delta) => (waiting += delta) < 1_000_000_000,
      missing: () => {},
    },
  });
});
afterEach(async () => {
  await link.close();
  await upstream.close();
  // oxlint-disable-next-line vitest/no-standalone-expect -- whatever the test did, nothing may be left
  expect([inFlight, waiting]).toEqual([0, 0]);
});

function job(over: Partial<Job> & { ask?: object } = {}): Job {
  const { ask = { model: MODEL, messages: [{ role: 'user', content: 'Hello' }] }, ...rest } = over;
  return {
    attemptId: 'att_1',
    modelId: MODEL,
    completionId: 'chatcmpl-ours',
    createdS: 1_800_000_000,
    operation: 'chat/completions',
    expects: ONE_ANSWER,
    stream: true,
    body: Buffer.from(JSON.stringify(ask)),
    set: {},
    deadlineMs: 60_000,
    ...rest,
  };
}

/** Serves one job, its consumer taking everything at once. */
async function serve(over: Parameters<typeof job>[0] = {}): Promise<RecordedSink> {
  const sink = new RecordedSink();
  link.start(job(over), sink);
  await sink.ended;
  return sink;
}

const delta = (content: string, finish: string | null = null) => ({
  id: 'theirs',
  model: 'local-name',
  choices: [{ index: 0, delta: { content }, finish_reason: finish }],
});

describe('a request', () => {
  test('keeps its body byte for byte but for the model, the stream and what is to be set', async () => {
    const body = Buffer.from(
      '{"seed": 12345678901234567890, "stream":false,"stream_options":{"include_usage":false}, "model":"x","messages":[]}',
    );
    await serve({ body, set: { max_tokens: 5 } });
    expect(upstream.asked[0]?.path).toBe('/v1/chat/completions');
    expect(upstream.asked[0]?.bytes.toString()).toBe(
      '{"seed": 12345678901234567890,"messages":[],"max_tokens":5,"model":"local-name","stream":true,"stream_options":{"include_usage":true}}',
    );
  });

  test('for embeddings is not told to stream, and every vector is counted', async () => {
    upstream.answer = ({ response }) =>
      json(response, 200, {
        object: 'list',
        model: 'local-name',
        data: [
          { object: 'embedding', index: 0, embedding: [0.5, 1] },
          { object: 'embedding', index: 1, embedding: [0, 1] },
        ],
        usage: { prompt_tokens: 4, total_tokens: 4 },
      });
    const ask = { model: MODEL, input: ['a', 'b'] };
    const about = { operation: 'embeddings', stream: false, ask } as const;
    const good = await serve({ ...about, expects: { items: 2 } });
    expect(good.ending).toMatchObject({ outcome: 'completed', usage: { inputTokens: 4, outputTokens: 0 } });
    expect(upstream.asked[0]?.bytes.toString()).toBe('{"input":["a","b"],"model":"local-name"}');
    expect((await serve({ ...about, expects: { items: 3 } })).ending?.outcome).toBe('failed');
  });

  test('for a transcription carries the recording as a form', async () => {
    upstream.answer = ({ response }) => json(response, 200, { text: 'hello' });
    const recording = Buffer.from('RIFF-recording');
    const sink = await serve({
      operation: 'audio/transcriptions',
      stream: false,
      body: recording,
      set: { model: MODEL, filename: 'a.wav', language: 'en' },
    });
    expect(sink.completion).toEqual({ text: 'hello' });
    const sent = upstream.asked[0]?.bytes.toString();
    expect(sent).toContain('RIFF-recording');
    expect(sent).toContain('name="model"\r\n\r\nlocal-name');
    expect(sent).toContain('filename="a.wav"');
  });

  test('for images brings images', async () => {
    upstream.answer = ({ response }) => json(response, 200, { created: 1, data: [{ b64_json: 'aGk=' }] });
    const sink = await serve({ operation: 'images/generations', stream: false, ask: { prompt: 'x' } });
    expect(sink.completion).toMatchObject({ created: 1_800_000_000, data: [{ b64_json: 'aGk=' }] });
  });

  test('for a text is asked as a chat, unless the endpoint is registered for texts', async () => {
    const ask = { prompt: 'Once' };
    const byChat = await serve({ operation: 'completions', stream: false, ask });
    expect(upstream.asked[0]).toMatchObject({
      path: '/v1/chat/completions',
      body: { messages: [{ content: 'Once' }] },
    });
    expect(byChat.completion).toMatchObject({
      object: 'text_completion',
      choices: [{ text: 'Hello there' }],
    });
    upstream.answer = ({ response }) =>
      json(response, 200, { choices: [{ index: 0, text: ' upon', finish_reason: 'stop' }] });
    const native = await serve({ operation: 'completions', stream: false, modelId: 'native', ask });
    expect(upstream.asked[1]).toMatchObject({ path: '/v1/completions', body: { prompt: 'Once' } });
    expect(native.completion).toMatchObject({ choices: [{ text: ' upon' }] });
  });
});

describe('a stream', () => {
  test('keeps back the role until something is said, so that a failure before that can be hidden', async () => {
    upstream.answer = ({ response }) => {
      events(response)({ choices: [{ index: 0, delta: { role: 'assistant' }, finish_reason: null }] });
      response.socket?.end();
    };
    const sink = await serve();
    expect(sink.events).toEqual([]);
    expect(sink.ending).toMatchObject({ outcome: 'failed' });
  });

  test('is billed by the usage that the endpoint states, and shows none of it', async () => {
    const sink = await serve();
    expect(sink.ending).toMatchObject({ outcome: 'completed', usage: { inputTokens: 6, outputTokens: 2 } });
    expect(sink.events.join('')).not.toContain('usage');
    expect(sink.text).toBe('Hello there');
    expect(sink.tokens).toBe(2);
  });

  test('without its end mark is whole when a finish reason was given', async () => {
    upstream.answer = ({ response }) => {
      events(response)(delta('Hi'), delta('', 'stop'));
      response.end();
    };
    expect((await serve()).ending?.outcome).toBe('completed');
  });

  test('is paused while its consumer does not read, and goes on when it does', async () => {
    const text = 'x'.repeat(1_000);
    upstream.answer = ({ response }) => {
      const write = events(response);
      for (let i = 0; i < 3_000; i++) write(delta(text));
      write(delta('', 'stop'), '[DONE]');
      response.end();
    };
    const sink = new RecordedSink();
    let bytes = 0;
    let behind = 0;
    let most = 0;
    const attempt = link.start(job(), {
      data: (piece, count, tokens, content) => {
        sink.data(piece, count, tokens, content);
        bytes += piece.length;
        behind += piece.length;
        most = Math.max(most, behind);
      },
      result: (...all) => sink.result(...all),
      end: (end) => sink.end(end),
    });
    while (!sink.ending) {
      // oxlint-disable-next-line no-await-in-loop -- a consumer that takes what there is, turn by turn
      await new Promise<void>((resolve) => setImmediate(resolve));
      const taken = behind;
      behind = 0;
      attempt.consumed(taken);
    }
    expect(sink.ending?.outcome).toBe('completed');
    expect(bytes).toBeGreaterThan(3_000_000);
    expect(most).toBeLessThan(1_000_000);
  });

  test('whose attempt is cancelled is cut off at once, and its end is told from within the call', async () => {
    const closed = new Promise<void>((resolve) => {
      upstream.answer = ({ response }) => {
        events(response)(delta('Hi'));
        response.on('close', resolve);
      };
    });
    const sink = new RecordedSink();
    let heard: () => void = () => {};
    const first = new Promise<void>((resolve) => {
      heard = resolve;
    });
    const attempt = link.start(job(), {
      data: (...all) => {
        sink.data(...all);
        heard();
      },
      result: () => {},
      end: (end) => sink.end(end),
    });
    await first;
    attempt.cancel('consumer_disconnected');
    expect(sink.ending?.outcome).toBe('cancelled');
    await closed;
  });

  test('that is cancelled before it was sent asks nothing', async () => {
    const sink = new RecordedSink();
    link.start(job(), sink).cancel('attempt_timeout');
    expect(sink.ending?.outcome).toBe('cancelled');
    await serve();
    expect(upstream.asked).toHaveLength(1);
  });
});

describe('an endpoint that', () => {
  const raw =
    (status: number, headers: Record<string, string>, body: string) =>
    ({ response }: UpstreamTurn) => {
      response.writeHead(status, headers);
      response.end(body);
    };
  const SSE = { 'content-type': 'text/event-stream' };

  test.each<[string, (turn: UpstreamTurn) => void]>([
    ['answers a page instead of a stream', raw(200, { 'content-type': 'text/html' }, '<html>')],
    [
      'answers a whole completion instead of a stream',
      raw(200, { 'content-type': 'application/json' }, '{"choices":[]}'),
    ],
    ['writes events that are no JSON', raw(200, SSE, 'data: hello\n\n')],
    ['writes events that are no objects', raw(200, SSE, 'data: [1]\n\n')],
    ['writes nothing', raw(200, SSE, '')],
    ['writes the end mark alone', raw(200, SSE, 'data: [DONE]\n\n')],
    ['compresses', raw(200, { ...SSE, 'content-encoding': 'gzip' }, 'x')],
    ['sends choices of the wrong shape', raw(200, SSE, 'data: {"choices":[{"delta":"x"}]}\n\n')],
    ['closes the connection', ({ response }) => response.socket?.destroy()],
    ['sends headers that are too large', raw(200, { ...SSE, 'x-large': 'x'.repeat(60_000) }, 'data: {}\n\n')],
    [
      'sends an event without an end',
      ({ response }) => {
        events(response)('x'.repeat(600_000));
      },
    ],
    ['redirects', raw(302, { location: 'http://169.254.169.254/' }, '')],
    ['does not know its key', raw(401, {}, '{"error":{"message":"bad key"}}')],
    ['forbids', raw(403, {}, '')],
    ['wants money', raw(402, {}, '{"error":{"message":"pay"}}')],
    ['has no such path', raw(404, {}, '')],
    ['fails', raw(500, {}, 'Traceback')],
    ['is behind a gateway that fails', raw(502, { 'content-type': 'text/html' }, '<html>')],
    ['answers 400 with a page', raw(400, { 'content-type': 'text/html' }, '<html>')],
    ['answers 400 for its key', raw(400, {}, '{"error":{"message":"no","code":"invalid_api_key"}}')],
    ['answers 400 for its models', raw(400, {}, '{"error":{"message":"no","code":"model_not_found"}}')],
    ['answers 418', raw(418, {}, '')],
  ])('%s has failed, and nothing of it is shown', async (_what, answer) => {
    upstream.answer = answer;
    const sink = await serve();
    expect(sink.events).toEqual([]);
    expect(sink.ending).toMatchObject({ outcome: 'failed', errorCode: 'provider-failed' });
  });

  test.each<[string, number, string]>([
    ['OpenAI', 400, '{"error":{"message":"bad temperature","type":"invalid_request_error","code":null}}'],
    ['vLLM', 400, '{"object":"error","message":"bad temperature","type":"BadRequestError","code":400}'],
    ['TGI', 422, '{"error":"Input validation error: temperature","error_type":"validation"}'],
    ['FastAPI', 422, '{"detail":[{"loc":["body"],"msg":"bad"}]}'],
  ])('refuses the request in the words of %s refuses it for the consumer', async (_who, status, body) => {
    upstream.answer = raw(status, { 'content-type': 'application/json' }, body);
    for (const stream of [true, false]) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { ending } = await serve({ stream });
      expect(ending).toMatchObject({ outcome: 'refused', errorCode: 'request-refused-by-model' });
    }
  });

  test.each<[string, number, string]>([
    [
      'OpenAI',
      400,
      '{"error":{"message":"This model\'s maximum context length is 10","code":"context_length_exceeded"}}',
    ],
    [
      'TGI',
      422,
      '{"error":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 10","error_type":"validation"}',
    ],
    [
      'llama.cpp',
      400,
      '{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}',
    ],
  ])('finds the prompt too long in the words of %s says so to the consumer', async (_who, status, body) => {
    upstream.answer = raw(status, { 'content-type': 'application/json' }, body);
    expect((await serve()).ending).toMatchObject({ outcome: 'refused', errorCode: 'prompt-too-long' });
  });

  test.each([
    [429, '{"error":{"message":"Rate limit"}}'],
    [503, ''],
    [413, '<html>nginx</html>'],
  ])('answers %i has no room, and others are asked', async (status, body) => {
    upstream.answer = raw(status, {}, body);
    expect((await serve()).ending).toMatchObject({ outcome: 'busy' });
  });

  test.each([
    ['{"error":{"message":"overloaded","code":503}}', 'busy'],
    ['{"error":"CUDA","error_type":"generation"}', 'failed'],
    ['{"object":"error","message":"bad","type":"BadRequestError","code":400}', 'refused'],
  ])('writes %s in place of its first event: %s', async (data, outcome) => {
    upstream.answer = raw(200, SSE, `data: ${data}\n\n`);
    expect((await serve()).ending?.outcome).toBe(outcome);
  });

  test('fails in the middle is told as cut off, whatever it calls it', async () => {
    upstream.answer = ({ response }) => {
      events(response)(delta('Hi'), { error: { message: 'bad', code: 400 } });
      response.end();
    };
    const sink = await serve();
    expect(sink.text).toBe('Hi');
    expect(sink.ending).toMatchObject({ outcome: 'failed', errorCode: 'provider-cut-off' });
  });

  test('goes on behind its end mark is cut off, and the answer stays whole', async () => {
    const closed = new Promise<void>((resolve) => {
      upstream.answer = ({ response }) => {
        events(response)(delta('Hi'), delta('', 'stop'), '[DONE]');
        response.on('close', resolve);
        const timer = setInterval(() => response.write('data: more\n\n'), 1);
        response.on('close', () => clearInterval(timer));
      };
    });
    const sink = await serve();
    expect(sink.ending?.outcome).toBe('completed');
    expect(sink.text).toBe('Hi');
    await closed;
  });

  test('keeps the line open behind its end mark loses it, so that lines do not run out', async () => {
    const closed = new Promise<void>((resolve) => {
      upstream.answer = ({ response }) => {
        events(response)(delta('Hi', 'stop'), '[DONE]');
        response.on('close', resolve);
      };
    });
    expect((await serve()).ending?.outcome).toBe('completed');
    await closed;
  });

  test('answers without an end to a request without a stream is stopped at the limit', async () => {
    upstream.answer = ({ response }) => {
      response.writeHead(400, { 'content-type': 'application/json' });
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(16_384)));
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    };
    expect((await serve({ stream: false })).ending?.outcome).toBe('failed');
  });

  test.each([true, false])('echoes its key shows it to nobody (stream: %s)', async (stream) => {
    upstream.answer = (turn) => answerAs('openai', ['You sent ', turn.headers.authorization ?? ''], turn);
    const sink = await serve({ stream });
    expect(sink.ending).toMatchObject({ outcome: 'failed' });
    expect(JSON.stringify([sink.events, sink.body?.toString() ?? '', sink.ending])).not.toContain(KEY);
  });

  test('echoes its key in pieces does not get it out whole', async () => {
    upstream.answer = (turn) => answerAs('vllm', (turn.headers.authorization ?? '').split(''), turn);
    const sink = await serve();
    expect(sink.ending).toMatchObject({ outcome: 'failed', errorCode: 'provider-failed' });
    expect(sink.text).not.toContain(KEY);
  });

  test('echoes its key with escapes, as some writers of JSON do, shows it to nobody', async () => {
    upstream.answer = ({ headers, response }) => {
      const content = (headers.authorization ?? '').replaceAll('k', '\\u006b');
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(`{"choices":[{"index":0,"message":{"role":"assistant","content":"${content}"}}]}`);
    };
    const sink = await serve({ stream: false });
    expect(sink.ending).toMatchObject({ outcome: 'failed', errorCode: 'provider-failed' });
    expect(sink.body).toBeUndefined();
  });

  test.each([
    ['a refusal', (text: string) => ({ refusal: text })],
    ["a tool's arguments", (text: string) => ({ tool_calls: [{ index: 0, function: { arguments: text } }] })],
  ])('echoes its key in pieces of %s does not get it out whole', async (_what, deltaOf) => {
    upstream.answer = ({ headers, response }) => {
      const key = headers.authorization ?? '';
      const write = events(response);
      for (const piece of [key.slice(0, 12), key.slice(12)])
        write({ choices: [{ index: 0, delta: deltaOf(piece), finish_reason: null }] });
      response.end();
    };
    const sink = await serve();
    expect(sink.ending).toMatchObject({ outcome: 'failed', errorCode: 'provider-failed' });
    expect(sink.events).toHaveLength(1);
  });

  test('is not there has failed', async () => {
    await upstream.close();
    expect((await serve()).ending).toMatchObject({ outcome: 'failed' });
    upstream = await Upstream.open();
  });
});

test('an endpoint that leaves lets its answers end, and takes no new ones', async () => {
  let finish: () => void = () => {};
  const asked = new Promise<void>((resolve) => {
    upstream.answer = (turn) => {
      const write = events(turn.response);
      write(delta('Hi'));
      finish = () => {
        write(delta(' there', 'stop'), '[DONE]');
        turn.response.end();
      };
      resolve();
    };
  });
  const sink = new RecordedSink();
  link.start(job(), sink);
  await asked;
  const left = link.retire();
  expect((await serve()).ending?.outcome).toBe('busy');
  finish();
  await left;
  expect(sink.ending?.outcome).toBe('completed');
});
