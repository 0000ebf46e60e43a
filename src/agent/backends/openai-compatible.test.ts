import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { seededRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import type { BackendEnd, Serving } from './backend.ts';
import { OpenAiCompatibleBackend } from './openai-compatible.ts';

let server: Server;
let backend: OpenAiCompatibleBackend;
/** What the model server does with the next requests. */
let behave: (request: { path: string; body: Record<string, unknown> }, response: ServerResponse) => unknown;
let seen: { path: string; headers: IncomingMessage['headers']; body: Record<string, unknown> }[];
let hungUp: Promise<void>;

beforeEach(async () => {
  seen = [];
  let sayHungUp = (): void => {};
  hungUp = new Promise((resolve) => {
    sayHungUp = resolve;
  });
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const sent = await text(request);
    const body = sent === '' ? {} : (JSON.parse(sent) as Record<string, unknown>);
    seen.push({ path: request.url ?? '', headers: request.headers, body });
    response.on('close', () => {
      if (!response.writableFinished) sayHungUp();
    });
    behave({ path: request.url ?? '', body }, response);
  };
  server = createServer((request, response) => void answer(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  backend = new OpenAiCompatibleBackend(
    {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/`,
      localName: 'local-name',
      apiKey: new Sealed('backend-key'),
    },
    { randomness: seededRandomness(1) },
  );
});
afterEach(async () => {
  await backend.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function serve(stream: boolean, onEvent: (count: number, serving: () => Serving) => boolean = () => true) {
  const said = {
    events: [] as Record<string, unknown>[],
    tokens: [] as number[],
    answer: undefined as unknown,
  };
  let serving: Serving | undefined;
  const ended = new Promise<BackendEnd>((resolve) => {
    serving = backend.serve(
      {
        operation: 'chat/completions',
        body: {
          model: 'cat/alogue',
          messages: [{ role: 'user', content: 'Hi' }],
          stream: !stream,
          stream_options: { a: 1 },
        },
        stream,
        identity: { completion: 'chatcmpl-1', model: 'cat/alogue', createdS: 7 },
      },
      {
        event(head, tail, tokens) {
          said.events.push(JSON.parse(Buffer.concat([head, tail]).toString()) as Record<string, unknown>);
          said.tokens.push(tokens);
          return onEvent(said.events.length, () => serving as Serving);
        },
        answer(json) {
          said.answer = JSON.parse(json.toString());
        },
        end: resolve,
      },
    );
  });
  return { said, ended, serving: () => serving as Serving };
}

const chunk = (delta: unknown, finish: string | null = null, more: Record<string, unknown> = {}) =>
  JSON.stringify({
    id: 'theirs',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'local-name',
    choices: [{ index: 0, delta, finish_reason: finish }],
    ...more,
  });
const usage = { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 };
const usageChunk = JSON.stringify({ id: 'theirs', object: 'x', created: 1, model: 'y', choices: [], usage });
const stream = (response: ServerResponse, ...pieces: string[]) => {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  for (const piece of pieces) response.write(piece);
};
const contents = (events: Record<string, unknown>[]) =>
  events
    .map((event) => (event['choices'] as { delta: { content?: string } }[])[0]?.delta.content ?? '')
    .join('');

describe('a streamed answer of a model server', () => {
  it('carries the market’s identity, no usage, and states the server’s exact counts at the end', async () => {
    behave = (_request, response) => {
      stream(
        response,
        ...[
          chunk({ role: 'assistant', content: '' }),
          chunk({ content: 'Hello' }),
          chunk({ content: ' "wo' }),
          chunk({ content: 'rld"' }, null, { usage: null }),
          chunk({}, 'stop'),
          usageChunk,
          '[DONE]',
        ].map((data) => `data: ${data}\n\n`),
      );
      response.end();
    };
    const { said, ended } = serve(true);
    expect(await ended).toEqual({
      status: 200,
      finishReason: 'stop',
      usage: { prompt_tokens: 5, completion_tokens: 2 },
    });
    expect(contents(said.events)).toBe('Hello "world"');
    expect(said.tokens).toEqual([0, 1, 1, 1, 0]);
    for (const event of said.events) {
      expect(event).toMatchObject({
        id: 'chatcmpl-1',
        object: 'chat.completion.chunk',
        created: 7,
        model: 'cat/alogue',
      });
      expect(event).not.toHaveProperty('usage');
    }
    expect(seen[0]).toMatchObject({
      path: '/v1/chat/completions',
      headers: { authorization: 'Bearer backend-key' },
      body: { model: 'local-name', stream: true, stream_options: { include_usage: true } },
    });
  });

  it.each([
    [
      'choices before everything else, as llama.cpp writes',
      (c: string) => JSON.stringify(reversed(JSON.parse(c))),
    ],
    [
      'a field that we do not know before the choices',
      (c: string) => c.replace('"choices"', '"provider":"p","choices"'),
    ],
    [
      'usage in every event',
      (c: string) => c.replace(/}$/, ',"usage":{"prompt_tokens":5,"completion_tokens":2}}'),
    ],
    [
      'content that looks like our own keys',
      (c: string) => c.replace('Hello', '\\"choices\\":[\\"usage\\":null}'),
    ],
    ['spaces', (c: string) => JSON.stringify(JSON.parse(c), null, 1).replaceAll('\n', ' ')],
  ])('is the same whatever the server writes around it: %s', async (_what, change) => {
    behave = (_request, response) => {
      const chunks = [
        chunk({ content: 'Hello' }),
        chunk({ content: ' you' }),
        chunk({ content: '!' }),
        chunk({}, 'stop'),
      ];
      stream(response, ...chunks.map((each) => `data: ${change(each)}\n\n`), 'data: [DONE]\n\n');
      response.end();
    };
    const { said, ended } = serve(true);
    expect((await ended).status).toBe(200);
    expect(contents(said.events)).toMatch(/(Hello|usage.*) you!$/);
    for (const event of said.events) {
      expect(event).toMatchObject({ id: 'chatcmpl-1', created: 7, model: 'cat/alogue' });
      expect(event).not.toHaveProperty('usage');
    }
  });

  it('survives events cut anywhere, carriage returns, comments, and a missing end', async () => {
    behave = async (_request, response) => {
      const bytes = Buffer.from(
        `: hello\r\n\r\ndata:${chunk({ content: 'swan 🦢' })}\r\n\r\ndata: ${chunk({}, 'stop')}\r\n\r\ndata: ${usageChunk}`,
      );
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (let at = 0; at < bytes.length; at += 40) {
        await new Promise((resolve) => response.write(bytes.subarray(at, at + 40), resolve));
      }
      response.end();
    };
    const { said, ended } = serve(true);
    expect(await ended).toMatchObject({ status: 200, usage: { prompt_tokens: 5 } });
    expect(contents(said.events)).toBe('swan 🦢');
  });

  it.each([
    ['garbage in the middle', [`data: ${chunk({ content: 'a' })}\n\n`, 'data: <html>\n\n'], 502],
    ['an end without a finish', [`data: ${chunk({ content: 'a' })}\n\n`], 502],
    ['nothing at all', ['data: [DONE]\n\n'], 502],
    ['an error as its first event', ['data: {"error":{"message":"no","code":503}}\n\n'], 503],
    [
      'an error in the middle',
      [`data: ${chunk({ content: 'a' })}\n\n`, 'data: {"error":{"message":"no","code":400}}\n\n'],
      502,
    ],
  ])('is a failure with %s', async (_what, pieces, status) => {
    behave = (_request, response) => {
      stream(response, ...pieces);
      response.end();
    };
    expect((await serve(true).ended).status).toBe(status);
  });

  it('is a failure when the connection breaks', async () => {
    behave = (_request, response) => {
      stream(response, `data: ${chunk({ content: 'a' })}\n\n`);
      setImmediate(() => response.destroy());
    };
    expect((await serve(true).ended).status).toBe(502);
  });

  it('is a failure when a page comes instead, and an error in disguise keeps its meaning', async () => {
    behave = (_request, response) => response.end('<html>welcome</html>');
    expect((await serve(true).ended).status).toBe(502);
    behave = (_request, response) =>
      response.end('{"error":{"code":"model_not_found","message":"no such model"}}');
    expect((await serve(true).ended).status).toBe(404);
  });

  it('ends at once when cancelled, and the server is hung up on', async () => {
    behave = (_request, response) => stream(response, `data: ${chunk({ content: 'a' })}\n\n`);
    const { ended } = serve(true, (_count, serving) => {
      serving().cancel();
      return true;
    });
    expect((await ended).status).toBe(499);
    await hungUp;
  });

  it('is not read while a pause is asked for', async () => {
    const event = `data: ${chunk({ content: 'x'.repeat(1_000) })}\n\n`;
    // Far more than all the buffers between the two can hold.
    behave = (_request, response) => {
      const end = [`data: ${chunk({}, 'stop')}\n\n`, 'data: [DONE]\n\n'];
      stream(response, ...Array.from({ length: 20_000 }, () => event), ...end);
    };
    let slow = true;
    const { said, ended, serving } = serve(true, () => !slow);
    while (said.events.length === 0) await new Promise((resolve) => setImmediate(resolve));
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(said.events.length).toBeLessThan(1_000);
    slow = false;
    serving().resume();
    // The server leaves the answer open after its last word; that is no reason to wait.
    expect((await ended).status).toBe(200);
    expect(said.events.length).toBe(20_001);
  });
});

describe('an unstreamed answer of a model server', () => {
  it('carries the market’s identity', async () => {
    behave = (_request, response) =>
      response.end(
        JSON.stringify({
          id: 'theirs',
          created: 1,
          model: 'local-name',
          choices: [{ index: 0, message: { role: 'assistant', content: 'Hi.' }, finish_reason: 'stop' }],
          usage,
        }),
      );
    const { said, ended } = serve(false);
    expect(await ended).toEqual({
      status: 200,
      finishReason: 'stop',
      usage: { prompt_tokens: 5, completion_tokens: 2 },
    });
    expect(said.answer).toMatchObject({ id: 'chatcmpl-1', created: 7, model: 'cat/alogue', usage });
    expect(seen[0]?.body).not.toHaveProperty('stream_options');
    expect(seen[0]?.body['stream']).toBe(false);
  });

  it.each([
    ['not JSON', 200, 'oops', 502],
    ['not an answer', 200, '{"hello":1}', 502],
    ['an error with status 200', 200, '{"error":{"message":"busy","code":429}}', 429],
    ['a refusal', 400, '{"error":{"message":"bad temperature"}}', 400],
    ['a refusal without a body', 422, '', 422],
    ['a redirect', 302, '', 502],
    ['a breakdown', 500, '<html>stack trace</html>', 500],
  ])('is a failure with the right status: %s', async (_what, status, body, expected) => {
    behave = (_request, response) => response.writeHead(status).end(body);
    expect((await serve(false).ended).status).toBe(expected);
  });

  it('says when the prompt was too long, however the server puts it', async () => {
    behave = (_request, response) =>
      response.writeHead(400).end('{"message":"This model\'s maximum context length is 4096 tokens."}');
    expect(await serve(false).ended).toMatchObject({ status: 400, code: 'context_length_exceeded' });
  });

  it('is a failure when nobody listens', async () => {
    const nowhere = new OpenAiCompatibleBackend(
      { url: 'http://127.0.0.1:9' },
      { randomness: seededRandomness(1) },
    );
    backend = nowhere;
    expect((await serve(false).ended).status).toBe(502);
    expect(await nowhere.probe()).toBe(false);
  });
});

describe('the health of a model server', () => {
  it('is seen at /v1/models, and at /health where that is missing', async () => {
    behave = ({ path }, response) => response.writeHead(path === '/health' ? 200 : 404).end();
    expect(await backend.probe()).toBe(true);
    behave = ({ path }, response) =>
      path === '/v1/models'
        ? response.end('{"data":[{"id":"local-name","owned_by":"vllm","max_model_len":8192}]}')
        : response.writeHead(500).end();
    expect(await backend.probe()).toBe(true);
    expect(backend.facts).toEqual({ contextLength: 8_192, engine: 'vllm' });
    behave = (_request, response) => response.writeHead(503).end();
    expect(await backend.probe()).toBe(false);
  });
});

function reversed(value: object): object {
  return Object.fromEntries(Object.entries(value).toReversed());
}

describe('what only a pin asks for', () => {
  const json = (response: ServerResponse, value: unknown): void => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(value));
  };

  it.each([
    ['vLLM', '/version', { version: '0.11.0' }, '0.11.0'],
    ['Ollama', '/api/version', { version: '0.12.6' }, '0.12.6'],
    ['llama.cpp', '/props', { build_info: 'b6673-d8359f5f' }, 'b6673-d8359f5f'],
  ])('the version of %s is read where it says it', async (_name, place, answer, version) => {
    behave = ({ path }, response) => {
      if (path === place) return json(response, answer);
      response.statusCode = 404;
      response.end();
    };
    expect(await backend.identify()).toEqual({ engineVersion: version, tokens: undefined });
  });

  it('the sample is cut by the server itself, without special tokens and by the name of the model there', async () => {
    behave = ({ path }, response) => {
      if (path === '/tokenize') return json(response, { tokens: [1, 2, 3] });
      response.statusCode = 404;
      response.end();
    };
    expect(await backend.identify()).toEqual({ engineVersion: undefined, tokens: [1, 2, 3] });
    expect(seen.at(-1)?.body).toMatchObject({ model: 'local-name', add_special_tokens: false });
  });

  it('a server that answers nonsense, or nothing, is known for nothing', async () => {
    behave = (_request, response) => response.end('<html>');
    expect(await backend.identify()).toEqual({ engineVersion: undefined, tokens: undefined });
    behave = (_request, response) => response.destroy();
    expect(await backend.identify()).toEqual({ engineVersion: undefined, tokens: undefined });
  });
});
