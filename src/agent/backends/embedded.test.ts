import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Operation } from '#domain/operation.ts';
import { silentLog } from '#kit/log.ts';
import { packageRoot } from '#kit/package-root.ts';
import type { BackendEnd, BackendSink } from './backend.ts';
import { EmbeddedBackend } from './embedded.ts';

const MODEL = path.join(packageRoot(), 'models', 'cygnet-nano-q8_0.gguf');

let backend: EmbeddedBackend;

beforeAll(async () => {
  backend = await EmbeddedBackend.open(
    { path: MODEL, sequences: 4, threads: 1, gpu: false },
    { log: silentLog },
  );
}, 30_000);
afterAll(() => backend.close());

/** Serves `body` and gathers everything that is said. `onEvent` may cancel or refuse more. */
function serve(
  body: Record<string, unknown>,
  options: { stream?: boolean; onEvent?: (count: number) => 'cancel' | 'pause' | undefined } = {},
) {
  const said = { text: '', tokens: 0, events: [] as Record<string, unknown>[], answer: undefined as unknown };
  let serving: ReturnType<EmbeddedBackend['serve']> | undefined;
  const ended = new Promise<BackendEnd>((resolve) => {
    const sink: BackendSink = {
      event(head, tail, tokens) {
        const event = JSON.parse(Buffer.concat([head, tail]).toString());
        said.events.push(event);
        said.text += event.choices[0].delta.content ?? '';
        said.tokens += tokens;
        const wish = options.onEvent?.(said.events.length);
        if (wish === 'cancel') serving?.cancel();
        return wish !== 'pause';
      },
      answer(json) {
        said.answer = JSON.parse(json.toString());
      },
      end: resolve,
    };
    serving = backend.serve(
      {
        operation: 'chat/completions',
        body,
        stream: options.stream ?? true,
        identity: { completion: 'chatcmpl-1', model: 'cygnet-nano', createdS: 7 },
      },
      sink,
    );
  });
  return { said, ended, resume: () => serving?.resume() };
}

const ask = (question: string) => [{ role: 'user', content: question }];

describe('the embedded model', () => {
  it('computes its answers and streams them token by token, with exact counts', async () => {
    const { said, ended } = serve({ messages: ask('What is 17 + 25?') });
    const end = await ended;
    expect(said.text).toBe('17 + 25 = 42.');
    expect(end).toMatchObject({ status: 200, finishReason: 'stop' });
    expect(end.usage?.completion_tokens).toBe(said.tokens);
    expect(end.usage?.prompt_tokens).toBeGreaterThan(8);
    expect(said.events[0]).toMatchObject({
      id: 'chatcmpl-1',
      object: 'chat.completion.chunk',
      created: 7,
      model: 'cygnet-nano',
      choices: [{ index: 0, delta: { role: 'assistant' }, finish_reason: null }],
    });
    expect(said.events.at(-1)).toMatchObject({ choices: [{ delta: {}, finish_reason: 'stop' }] });
    expect(said.events.length).toBeGreaterThan(5);
  });

  it('answers unstreamed with one completion', async () => {
    const { said, ended } = serve({ messages: ask('What is 3 + 4?') }, { stream: false });
    const end = await ended;
    expect(said.answer).toMatchObject({
      id: 'chatcmpl-1',
      object: 'chat.completion',
      model: 'cygnet-nano',
      choices: [{ message: { role: 'assistant', content: '3 + 4 = 7.' }, finish_reason: 'stop' }],
      usage: {
        ...end.usage,
        total_tokens: (end.usage?.prompt_tokens ?? 0) + (end.usage?.completion_tokens ?? 0),
      },
    });
  });

  it('gives the same answer when the sequence has served before', async () => {
    const texts: string[] = [];
    for (let i = 0; i < 6; i++) {
      const { said, ended } = serve({ messages: ask('What is the capital of France?') });
      await ended;
      texts.push(said.text);
      await serve({ messages: ask(`What is ${i} + 9?`) }).ended;
    }
    expect(new Set(texts).size).toBe(1);
  });

  it('serves four at once, and a fifth as soon as one ends', async () => {
    const runs = [11, 12, 13, 14, 15].map((n) => serve({ messages: ask(`What is ${n} + 20?`) }));
    await Promise.all(runs.map(({ ended }) => ended));
    expect(runs.map(({ said }) => said.text)).toEqual(
      [11, 12, 13, 14, 15].map((n) => `${n} + 20 = ${n + 20}.`),
    );
  });

  it('stops at max_tokens and says so', async () => {
    const { said, ended } = serve({ messages: ask('What is 17 + 25?'), max_tokens: 3 });
    const end = await ended;
    expect(end).toMatchObject({ status: 200, finishReason: 'length', usage: { completion_tokens: 3 } });
    expect(said.tokens).toBe(3);
  });

  it('ends before a stop text, wherever its pieces are cut', async () => {
    const { said, ended } = serve({ messages: ask('What is 17 + 25?'), stop: [' = 4'] });
    const end = await ended;
    expect(said.text).toBe('17 + 25');
    expect(end).toMatchObject({ status: 200, finishReason: 'stop' });
  });

  it('refuses a prompt over the context before generating anything', async () => {
    const { said, ended } = serve({ messages: ask('count the words '.repeat(400)) });
    const end = await ended;
    expect(end).toMatchObject({ status: 400, code: 'context_length_exceeded' });
    expect(said.events).toEqual([]);
    const huge = serve({ messages: ask('x'.repeat(2_000_000)) });
    expect(await huge.ended).toMatchObject({ status: 400, code: 'context_length_exceeded' });
  });

  it('never generates past the context', async () => {
    const { ended } = serve({
      messages: ask('Tell me a story.'),
      max_tokens: 100_000,
      temperature: 2,
      seed: 5,
    });
    const end = await ended;
    const { prompt_tokens: prompt = 0, completion_tokens: completion = 0 } = end.usage ?? {};
    expect(prompt + completion).toBeLessThanOrEqual(512);
  });

  it('stops within a token of a cancel and states what was generated until then', async () => {
    const { said, ended } = serve(
      { messages: ask('Tell me a story.'), temperature: 1, seed: 3 },
      { onEvent: (count) => (count === 4 ? 'cancel' : undefined) },
    );
    const end = await ended;
    expect(end).toMatchObject({ status: 499, usage: { completion_tokens: 4 } });
    expect(said.events.length).toBe(4);
    // Its sequence is free again: four at once still work.
    await Promise.all([1, 2, 3, 4].map((n) => serve({ messages: ask(`What is ${n} + 1?`) }).ended));
  });

  it('computes nothing while it is asked to pause', async () => {
    const { said, ended, resume } = serve(
      { messages: ask('What is 17 + 25?') },
      { onEvent: (count) => (count === 3 ? 'pause' : undefined) },
    );
    // Another request runs to its end meanwhile.
    await serve({ messages: ask('What is 1 + 1?') }).ended;
    expect(said.events.length).toBe(3);
    resume();
    await ended;
    expect(said.text).toBe('17 + 25 = 42.');
  });

  it('repeats itself for the same seed', async () => {
    const body = { messages: ask('Tell me a story.'), temperature: 0.9, seed: 11, max_tokens: 40 };
    const [one, two] = [serve(body), serve(body)];
    await Promise.all([one.ended, two.ended]);
    expect(one.said.text).toBe(two.said.text);
  });

  it('tells how likely each token was, and what else it thought of, where it is asked to', async () => {
    const body = { messages: ask('What is 17 + 25?'), logprobs: true, top_logprobs: 3 };
    type Entry = {
      token: string;
      logprob: number;
      bytes: number[];
      top_logprobs: { token: string; logprob: number }[];
    };
    const [streamed, whole] = [serve(body), serve(body, { stream: false })];
    const usage = (await streamed.ended).usage;
    await whole.ended;
    const entries = streamed.said.events.flatMap(
      (event) =>
        (event['choices'] as { logprobs: { content: Entry[] } | null }[])[0]?.logprobs?.content ?? [],
    );
    expect(entries.map(({ token }) => token).join('')).toBe('17 + 25 = 42.');
    expect(entries.length).toBe(usage?.completion_tokens);
    for (const { logprob, top_logprobs: top, token, bytes } of entries) {
      expect(logprob).toBeLessThanOrEqual(0);
      expect(top).toHaveLength(3);
      expect(top[0]?.logprob).toBeGreaterThanOrEqual(top[1]?.logprob as number);
      expect(Buffer.from(bytes).toString()).toBe(token);
    }
    expect(whole.said.answer).toMatchObject({ choices: [{ logprobs: { content: entries } }] });
    const plain = serve({ messages: ask('What is 17 + 25?') }, { stream: false });
    await plain.ended;
    expect(plain.said.answer).toMatchObject({ choices: [{ logprobs: null }] });
  });

  it.each([
    ['any JSON', { type: 'json_object' }, () => true],
    [
      'a schema',
      {
        type: 'json_schema',
        json_schema: {
          name: 'sum',
          schema: {
            type: 'object',
            properties: { sum: { type: 'integer' }, sure: { enum: ['yes', 'no'] } },
            required: ['sum', 'sure'],
            additionalProperties: false,
          },
        },
      },
      (value: { sum: number; sure: string }) =>
        Number.isInteger(value.sum) && ['yes', 'no'].includes(value.sure),
    ],
  ])('can be held to %s, and gives nothing else', async (_what, response_format, fits) => {
    const { said, ended } = serve({ messages: ask('What is 17 + 25?'), response_format, max_tokens: 200 });
    const { status, finishReason } = await ended;
    expect(status).toBe(200);
    // A small model may go on about spaces until its room ends; what it says until then is JSON still.
    const isWhole = finishReason === 'stop';
    const good = isWhole ? fits(JSON.parse(said.text) as never) : said.text.trimStart().startsWith('{');
    expect(good).toBe(true);
  });

  it('says less of the same under penalties', async () => {
    const distinct = async (more: object) => {
      const { said, ended } = serve({ messages: ask('Tell me a story.'), max_tokens: 60, ...more });
      await ended;
      return new Set(said.text.split(' ')).size;
    };
    const [plain, punished] = [
      await distinct({}),
      await distinct({ frequency_penalty: 2, presence_penalty: 2 }),
    ];
    expect(punished).toBeGreaterThanOrEqual(plain);
    expect(await distinct({ frequency_penalty: null, presence_penalty: 0 })).toBe(plain);
  });

  it('understands system turns, earlier answers and content in parts', async () => {
    const { said, ended } = serve({
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'My name is Nina.' },
        { role: 'assistant', content: 'Nice to meet you, Nina.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is ' },
            { type: 'text', text: '2 + 2?' },
          ],
        },
      ],
    });
    expect((await ended).status).toBe(200);
    expect(said.text).toContain('4');
  });

  it.each([
    ['images', { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }] }],
    ['no messages', { messages: [] }],
    ['several choices', { messages: ask('Hi'), n: 2 }],
    ['a temperature that is none', { messages: ask('Hi'), temperature: 'hot' }],
    ['a forced tool', { messages: ask('Hi'), tool_choice: 'required' }],
  ])('refuses %s with status 400', async (_what, body) => {
    expect((await serve(body).ended).status).toBe(400);
  });
});

/** Asks for something else than a chat; what it was told comes back. */
async function askFor(operation: Operation, body: Record<string, unknown>, stream = false) {
  const events: string[] = [];
  let answer: unknown;
  const end = await new Promise<BackendEnd>((resolve) => {
    backend.serve(
      {
        operation,
        body,
        stream,
        identity: { completion: 'cmpl-1', model: 'cygnet-nano', createdS: 7 },
      },
      {
        event(head, tail) {
          events.push(Buffer.concat([head, tail]).toString());
          return true;
        },
        answer(json) {
          answer = JSON.parse(json.toString());
        },
        end: resolve,
      },
    );
  });
  return { end, answer: answer as Record<string, unknown>, events: events.map((event) => JSON.parse(event)) };
}

describe('the embedded model, asked to go on from a text', () => {
  it('does so, whole and streamed alike, with exact counts', async () => {
    const whole = await askFor('completions', { prompt: 'The', max_tokens: 6, temperature: 0 });
    expect(whole.end).toMatchObject({ status: 200, usage: { completion_tokens: 6 } });
    expect(whole.answer).toMatchObject({
      id: 'cmpl-1',
      object: 'text_completion',
      model: 'cygnet-nano',
      choices: [{ finish_reason: 'length' }],
    });
    const streamed = await askFor('completions', { prompt: ['The'], max_tokens: 6, temperature: 0 }, true);
    const text = streamed.events.map(({ choices }) => choices[0].text).join('');
    expect(text).toBe((whole.answer['choices'] as { text: string }[])[0]?.text);
    expect(streamed.end.usage).toEqual(whole.end.usage);
  });

  it.each([{ prompt: ['a', 'b'] }, { prompt: 'a', echo: true }, { prompt: 'a', n: 2 }])(
    'refuses what it cannot do: %j',
    async (body) => {
      expect((await askFor('completions', body)).end).toMatchObject({ status: 400 });
    },
  );
});

describe('the embedded model, asked for embeddings', () => {
  const vectorOf = async (input: unknown) => {
    const { answer } = await askFor('embeddings', { input });
    return (answer['data'] as { embedding: number[] }[]).map(({ embedding }) => embedding);
  };

  it('gives each text a vector that depends on the text alone', async () => {
    const [first, second, again] = await vectorOf(['What is 17 + 25?', 'A swan.', 'What is 17 + 25?']);
    expect(first?.length).toBeGreaterThan(8);
    expect(second).not.toEqual(first);
    for (const [i, value] of (again ?? []).entries()) expect(value).toBeCloseTo(first?.[i] ?? 0, 3);
  });

  it('counts what it read', async () => {
    const { end } = await askFor('embeddings', { input: [[1, 2, 3]] });
    expect(end).toMatchObject({ status: 200, usage: { completion_tokens: 0 } });
    expect(end.usage?.prompt_tokens).toBeGreaterThanOrEqual(3);
  });

  it.each([
    ['a text over its context', { input: 'word '.repeat(5_000) }],
    ['a length of its vectors', { input: 'a', dimensions: 3 }],
  ])('refuses %s', async (_what, body) => {
    expect((await askFor('embeddings', body)).end).toMatchObject({ status: 400 });
  });
});
