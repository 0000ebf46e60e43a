import OpenAI, {
  APIConnectionError,
  APIError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
  RateLimitError,
} from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { TestMarket } from '#support/market.ts';
import {
  answerChoices,
  answerWhole,
  answerWords,
  beginStream,
  OpenAiBackend,
} from '#support/openai-backend.ts';
import type { TestModel } from '#support/parties.ts';

// The official client, unmodified: only its base URL and its key are ours. Behind our gateway, hub and agent stands a
// server that speaks OpenAI's own protocol, so that what the client says can be compared with what arrives there.

let market: TestMarket;
let backend: OpenAiBackend;
let model: TestModel;
let seeing: TestModel;
let client: OpenAI;
let key: string;
beforeAll(async () => {
  market = await TestMarket.open({ config: { limits: { concurrentPerKey: 20 } } });
  backend = await OpenAiBackend.open();
  model = market.aModel();
  await market.rehearsal(model, backend.source);
  seeing = market.aModel('multimodal');
  await market.rehearsal(seeing, backend.source);
  key = (await market.consumer()).key;
  client = new OpenAI({ baseURL: `${market.url}/v1`, apiKey: key, maxRetries: 0 });
});
afterAll(async () => {
  await market.close();
  await backend.close();
});
beforeEach(() => {
  backend.answer = answerWords('Hello', ' there', '!');
});

const messages = [{ role: 'user' as const, content: 'Say hello.' }];
const asked = () => backend.asked.at(-1);

describe('chat.completions.create', () => {
  test('unstreamed: a whole completion, under the name the catalogue gives', async () => {
    const { data, request_id } = await client.chat.completions
      .create({ model: model.slug, messages })
      .withResponse();
    expect(data).toMatchObject({
      object: 'chat.completion',
      model: model.id,
      choices: [{ index: 0, message: { role: 'assistant', content: 'Hello there!' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 6, completion_tokens: 3, total_tokens: 9 },
    });
    expect(request_id).toMatch(/^req_/);
  });

  test('streamed: its chunks can be gone through, and end', async () => {
    const stream = await client.chat.completions.create({ model: model.id, messages, stream: true });
    let text = '';
    let reason: string | null = null;
    for await (const chunk of stream) {
      // As many clients do, without looking whether there is one.
      text += (chunk.choices[0] as (typeof chunk.choices)[number]).delta.content ?? '';
      reason = chunk.choices[0]?.finish_reason ?? reason;
      expect(chunk).toMatchObject({ object: 'chat.completion.chunk', model: model.id });
      expect(chunk.usage ?? null).toBeNull();
    }
    expect([text, reason]).toEqual(['Hello there!', 'stop']);
  });

  test('streamed with include_usage: one last chunk without choices, with the count', async () => {
    const stream = await client.chat.completions.create({
      model: model.id,
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks.filter((chunk) => chunk.usage)).toHaveLength(1);
    expect(chunks.at(-1)).toMatchObject({
      choices: [],
      usage: { prompt_tokens: 6, completion_tokens: 3, total_tokens: 9 },
    });
  });

  test('the stream helper puts the answer together and tells its parts', async () => {
    const runner = client.chat.completions.stream({ model: model.id, messages });
    const pieces: string[] = [];
    runner.on('content', (piece) => pieces.push(piece));
    const completion = await runner.finalChatCompletion();
    expect(pieces).toEqual(['Hello', ' there', '!']);
    expect(completion.choices[0]?.message.content).toBe('Hello there!');
    expect(completion.model).toBe(model.id);
  });

  test('a stream that was teed is whole on both sides', async () => {
    const stream = await client.chat.completions.create({ model: model.id, messages, stream: true });
    const read = async (part: AsyncIterable<OpenAI.ChatCompletionChunk>) => {
      let text = '';
      for await (const chunk of part) text += chunk.choices[0]?.delta.content ?? '';
      return text;
    };
    const [left, right] = stream.tee();
    expect(await Promise.all([read(left), read(right)])).toEqual(['Hello there!', 'Hello there!']);
  });

  test('ten at once on one client are kept apart', async () => {
    backend.answer = (turn) => answerWords(`<${turn.request.messages[0].content}>`)(turn);
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        client.chat.completions.create({ model: model.id, messages: [{ role: 'user', content: `${i}` }] }),
      ),
    );
    expect(answers.map((answer) => answer.choices[0]?.message.content)).toEqual(
      Array.from({ length: 10 }, (_, i) => `<${i}>`),
    );
  });

  test('an abort in mid-stream ends it here and at the model server', async () => {
    let gone: Promise<void> | undefined;
    backend.answer = (turn) => {
      gone = new Promise((resolve) => turn.response.on('close', () => resolve()));
      beginStream(turn, [{ index: 0, delta: { content: 'One' }, finish_reason: null }]);
    };
    const stream = await client.chat.completions.create({ model: model.id, messages, stream: true });
    let text = '';
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      stream.controller.abort();
    }
    expect(text).toBe('One');
    await gone;
  });

  test('leaving the loop is an abort too', async () => {
    let gone: Promise<void> | undefined;
    backend.answer = (turn) => {
      gone = new Promise((resolve) => turn.response.on('close', () => resolve()));
      beginStream(turn, [{ index: 0, delta: { content: 'One' }, finish_reason: null }]);
    };
    let heard = 0;
    for await (const _ of await client.chat.completions.create({ model: model.id, messages, stream: true })) {
      heard += 1;
      break;
    }
    await gone;
    expect(heard).toBe(1);
  });
});

describe('what is passed through untouched', () => {
  const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
  const tools: OpenAI.ChatCompletionTool[] = [
    { type: 'function', function: { name: 'weather', description: 'The weather', parameters: schema } },
  ];
  const call = {
    id: 'call_1',
    type: 'function',
    function: { name: 'weather', arguments: '{"city":"Oslo"}' },
  };

  test('every parameter we have no opinion on, known or of tomorrow', async () => {
    const given = {
      temperature: 0.3,
      top_p: 0.9,
      n: 1,
      stop: ['\n\n', 'END'],
      seed: 42,
      presence_penalty: 0.5,
      frequency_penalty: -0.5,
      logit_bias: { '50256': -100 },
      logprobs: true,
      top_logprobs: 3,
      response_format: {
        type: 'json_schema' as const,
        json_schema: { name: 'answer', strict: true, schema },
      },
      tools,
      tool_choice: { type: 'function' as const, function: { name: 'weather' } },
      parallel_tool_calls: false,
      reasoning_effort: 'low' as const,
      max_completion_tokens: 77,
      // Of vLLM, and of nobody.
      guided_regex: '[a-z]+',
      something_of_tomorrow: { deep: [1, { x: null }], big: 12345678901234567890n.toString() },
    };
    await client.chat.completions.create({ model: model.id, messages, ...given });
    expect(asked()).toMatchObject({ ...given, messages, model: 'local-name', stream: false });
  });

  test('numbers, escapes and other letters in a prompt, to the last character', async () => {
    const content = 'a\u0000b\\"\n\r\t\u2028 😀 é 你好 \ud83d\ude00 {"x":1e400} </script>';
    await client.chat.completions.create({ model: model.id, messages: [{ role: 'user', content }] });
    expect(asked().messages[0].content).toBe(content);
  });

  test('images and parts', async () => {
    const content = [
      { type: 'text' as const, text: 'What is this?' },
      {
        type: 'image_url' as const,
        image_url: { url: 'data:image/png;base64,iVBORw0KGgo=', detail: 'low' as const },
      },
    ];
    await client.chat.completions.create({ model: seeing.id, messages: [{ role: 'user', content }] });
    expect(asked().messages).toEqual([{ role: 'user', content }]);
  });

  test('but not who the consumer is, nor our key', async () => {
    await client.chat.completions.create({
      model: model.id,
      messages,
      user: 'alice@example.com',
      metadata: { team: 'blue' },
      store: true,
      safety_identifier: 'sid-1',
    });
    const said = JSON.stringify([asked(), backend.headers.at(-1)]);
    expect(said).not.toMatch(/alice|blue|sid-1|"store"|sk-swan|sk-prov|req_|con_/);
  });

  test('a call of a tool, whole', async () => {
    backend.answer = (turn) =>
      answerWhole(
        turn,
        [
          {
            index: 0,
            message: { role: 'assistant', content: null, tool_calls: [call] },
            finish_reason: 'tool_calls',
          },
        ],
        { prompt_tokens: 6, completion_tokens: 9, total_tokens: 15 },
      );
    const { choices } = await client.chat.completions.create({ model: model.id, messages, tools });
    expect(choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { tool_calls: [call] } });
  });

  test('a call of a tool in pieces, put together by the stream helper', async () => {
    const piece = (part: object) => ({
      index: 0,
      delta: { tool_calls: [{ index: 0, ...part }] },
      finish_reason: null,
    });
    backend.answer = (turn) =>
      answerChoices(
        turn,
        [
          piece({ id: 'call_1', type: 'function', function: { name: 'weather', arguments: '' } }),
          piece({ function: { arguments: '{"city":' } }),
          piece({ function: { arguments: '"Oslo"}' } }),
          { index: 0, delta: {}, finish_reason: 'tool_calls' },
        ],
        { prompt_tokens: 6, completion_tokens: 9, total_tokens: 15 },
      );
    const completion = await client.chat.completions
      .stream({ model: model.id, messages, tools })
      .finalChatCompletion();
    expect(completion.choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: {
        tool_calls: [{ id: 'call_1', function: { name: 'weather', arguments: '{"city":"Oslo"}' } }],
      },
    });
  });

  test('tools that the runner calls, over two turns', async () => {
    let turns = 0;
    backend.answer = (turn) => {
      turns += 1;
      if (turns > 1) return answerWords('Rain in Oslo.')(turn);
      answerWhole(turn, [
        {
          index: 0,
          message: { role: 'assistant', content: null, tool_calls: [call] },
          finish_reason: 'tool_calls',
        },
      ]);
    };
    const runner = client.chat.completions.runTools({
      model: model.id,
      messages,
      tools: [
        {
          type: 'function',
          function: {
            name: 'weather',
            description: 'The weather',
            parameters: schema,
            parse: JSON.parse,
            function: ({ city }: { city: string }) => `Rain in ${city}`,
          },
        },
      ],
    });
    expect(await runner.finalContent()).toBe('Rain in Oslo.');
    expect(asked().messages.at(-1)).toMatchObject({
      role: 'tool',
      tool_call_id: 'call_1',
      content: 'Rain in Oslo',
    });
  });

  test('an answer in a form that was asked for, parsed', async () => {
    backend.answer = answerWords('{"city":', '"Oslo"}');
    const { choices } = await client.chat.completions.parse({
      model: model.id,
      messages,
      response_format: zodResponseFormat(z.object({ city: z.string() }), 'place'),
    });
    expect(choices[0]?.message.parsed).toEqual({ city: 'Oslo' });
    expect(asked().response_format.json_schema.name).toBe('place');
  });

  test('several answers, streamed and not', async () => {
    backend.answer = (turn) => {
      const usage = { prompt_tokens: 6, completion_tokens: 2, total_tokens: 8 };
      const texts = ['left', 'right'];
      if (!turn.request.stream) {
        answerWhole(
          turn,
          texts.map((content, index) => ({
            index,
            message: { role: 'assistant', content },
            finish_reason: 'stop',
          })),
          usage,
        );
        return;
      }
      answerChoices(
        turn,
        [
          ...texts.map((content, index) => ({ index, delta: { content }, finish_reason: null })),
          ...texts.map((_, index) => ({ index, delta: {}, finish_reason: 'stop' })),
        ],
        usage,
      );
    };
    const whole = await client.chat.completions.create({ model: model.id, messages, n: 2 });
    expect(whole.choices.map((choice) => choice.message.content)).toEqual(['left', 'right']);
    const streamed = await client.chat.completions
      .stream({ model: model.id, messages, n: 2 })
      .finalChatCompletion();
    expect(streamed.choices.map((choice) => choice.message.content)).toEqual(['left', 'right']);
  });

  test('log probabilities, and fields we do not know', async () => {
    const logprobs = {
      content: [{ token: 'Hi', logprob: -0.1, bytes: [72, 105], top_logprobs: [] }],
      refusal: null,
    };
    const extra = { reasoning_content: 'Thinking', of_tomorrow: { a: 1 } };
    backend.answer = (turn) =>
      turn.request.stream
        ? answerChoices(turn, [
            { index: 0, delta: { content: 'Hi', ...extra }, logprobs, finish_reason: null },
            { index: 0, delta: {}, logprobs: null, finish_reason: 'stop' },
          ])
        : answerWhole(turn, [
            {
              index: 0,
              message: { role: 'assistant', content: 'Hi', ...extra },
              logprobs,
              finish_reason: 'stop',
            },
          ]);
    const whole = await client.chat.completions.create({ model: model.id, messages, logprobs: true });
    expect(whole.choices[0]).toMatchObject({ logprobs, message: extra });
    const stream = await client.chat.completions.create({
      model: model.id,
      messages,
      logprobs: true,
      stream: true,
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks[1]?.choices[0]).toMatchObject({ logprobs, delta: extra });
  });
});

/** The headers of a request with another key. */
function withKey(given: ConstructorParameters<typeof Headers>[0], other: string): Headers {
  const headers = new Headers(given);
  headers.set('authorization', `Bearer ${other}`);
  return headers;
}

describe('errors are the classes that the client knows', () => {
  const ask = (over: object = {}, other: Partial<ConstructorParameters<typeof OpenAI>[0]> = {}) =>
    client
      .withOptions({ ...other })
      .chat.completions.create({
        model: model.id,
        messages,
        ...over,
      } as OpenAI.ChatCompletionCreateParamsNonStreaming)
      .then(
        () => undefined,
        (error: unknown) => error as APIError,
      );

  test('a wrong key', async () => {
    const error = await ask({}, { apiKey: 'sk-swan-wrong' });
    expect(error).toBeInstanceOf(AuthenticationError);
    expect(error).toMatchObject({
      status: 401,
      code: 'invalid_api_key',
      requestID: expect.stringMatching(/^req_/),
    });
  });

  test('a wrong model', async () => {
    const error = await ask({ model: 'gpt-99' });
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ status: 404, code: 'model_not_found', param: 'model' });
  });

  test('a wrong value', async () => {
    const error = await ask({ temperature: 9 });
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({ status: 400, param: 'temperature', type: 'invalid_request_error' });
  });

  test('no credit', async () => {
    const broke = await market.consumer(1n);
    expect(await ask({ max_tokens: 100 }, { apiKey: broke.key })).toMatchObject({
      status: 402,
      code: 'insufficient_balance',
      type: 'insufficient_quota',
    });
  });

  test('too many at once', async () => {
    const { key: crowded } = await market.consumer();
    backend.answer = (turn) => {
      beginStream(turn, [{ index: 0, delta: { content: 'One' }, finish_reason: null }]);
    };
    const streams = await Promise.all(
      Array.from({ length: 20 }, () =>
        client
          .withOptions({ apiKey: crowded })
          .chat.completions.create({ model: model.id, messages, stream: true }),
      ),
    );
    const error = await ask({}, { apiKey: crowded });
    expect(error).toBeInstanceOf(RateLimitError);
    expect(error).toMatchObject({ status: 429, code: 'concurrency_limit_exceeded' });
    for (const stream of streams) stream.controller.abort();
  });

  test('nobody who serves it', async () => {
    const error = await ask({ model: market.aModel().id });
    expect(error).toBeInstanceOf(InternalServerError);
    expect(error).toMatchObject({ status: 503, code: 'no_provider_available' });
  });

  test('too many in a minute is tried again by the client, when we said it may', async () => {
    let tries = 0;
    let waitedFor: string | null = null;
    // The second try is let through at once: what is tested is that the client understood, not that it waits.
    const impatient: typeof fetch = async (input, init) => {
      tries += 1;
      if (tries > 1) return fetch(input, { ...init, headers: withKey(init?.headers, key) });
      const response = await fetch(input, init);
      waitedFor = response.headers.get('retry-after');
      const headers = new Headers(response.headers);
      headers.set('retry-after-ms', '1');
      return new Response(response.body, { status: response.status, headers });
    };
    const { key: busy } = await market.consumer();
    const held: { controller: AbortController }[] = [];
    backend.answer = (turn) =>
      turn.request.stream
        ? beginStream(turn, [{ index: 0, delta: { content: 'One' }, finish_reason: null }])
        : answerWords('Hello')(turn);
    for (let i = 0; i < 20; i++) {
      held.push(
        await client
          .withOptions({ apiKey: busy })
          .chat.completions.create({ model: model.id, messages, stream: true }),
      );
    }
    expect(await ask({}, { apiKey: busy, maxRetries: 1, fetch: impatient })).toBeUndefined();
    expect(tries).toBe(2);
    expect(Number(waitedFor)).toBeGreaterThan(0);
    for (const { controller } of held) controller.abort();
  });

  test('a stream that breaks in the middle raises, and does not end quietly', async () => {
    backend.answer = (turn) => {
      beginStream(turn, [{ index: 0, delta: { content: 'One' }, finish_reason: null }]);
      setImmediate(() => turn.response.destroy());
    };
    const stream = await client.chat.completions.create({ model: model.id, messages, stream: true });
    let text = '';
    const reading = (async () => {
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    })();
    const error = await reading.then(
      () => undefined,
      (raised: unknown) => raised,
    );
    expect(error).toBeInstanceOf(APIError);
    expect(error).not.toBeInstanceOf(APIConnectionError);
    expect(error).toMatchObject({ code: 'provider_cut_off', message: expect.stringContaining('cut off') });
    expect(text).toBe('One');
  });

  test('and so does the stream helper', async () => {
    backend.answer = (turn) => {
      beginStream(turn, [{ index: 0, delta: { content: 'One' }, finish_reason: null }]);
      setImmediate(() => turn.response.destroy());
    };
    const runner = client.chat.completions.stream({ model: model.id, messages });
    await expect(runner.finalChatCompletion()).rejects.toThrow('cut off');
  });

  test('an unstreamed answer that breaks in the middle is a server error', async () => {
    backend.answer = (turn) => {
      turn.response.writeHead(200, { 'content-type': 'application/json', 'content-length': '5000' });
      turn.response.write('{"id":');
      setImmediate(() => turn.response.destroy());
    };
    expect(await ask()).toBeInstanceOf(InternalServerError);
  });
});

describe('models', () => {
  test('list can be gone through, retrieve finds by id and by slug', async () => {
    const ids: string[] = [];
    for await (const each of client.models.list()) ids.push(each.id);
    expect(ids).toContain(model.id);
    for (const name of [model.id, model.slug]) {
      expect(await client.models.retrieve(name)).toMatchObject({ id: model.id, object: 'model' });
    }
    await expect(client.models.retrieve('gpt-99')).rejects.toBeInstanceOf(NotFoundError);
  });
});
