import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RunningAgent } from '#agent/run.ts';
import { startAgent } from '#support/agent.ts';
import { TinyHub, textOf } from '#support/tiny-hub.ts';
import { inferenceResultSchema, streamChunkSchema } from '#wire/agent/messages.ts';
import { rehearsedText } from './backends/rehearsal.ts';

let hub: TinyHub;
let agent: RunningAgent;
const request = { messages: [{ role: 'user', content: 'Hello there' }] };

beforeEach(async () => {
  hub = await TinyHub.open({ extension: false });
  agent = await startAgent(hub.url, ['m=rehearsal:tokens=4']);
  await agent.registered;
});
afterEach(async () => {
  await agent.close();
  await hub.close();
});

const infer = (id: string, more: Record<string, unknown> = {}, body: Record<string, unknown> = {}) =>
  hub.say('inference', id, {
    endpoint_id: 'e',
    model_id: 'm',
    request: { ...request, ...body },
    stream: false,
    ...more,
  });
const chunks = (id: string) =>
  hub.messages
    .filter((each) => each.type === 'stream_chunk' && each.request_id === id)
    .map(
      ({ payload }) => payload as { chunk: Record<string, unknown> | null; done: boolean; error?: string },
    );

describe('a Swan hub', () => {
  it('gets an unstreamed answer inside an ack', async () => {
    infer('r1');
    const { payload } = await hub.message('ack', 'r1');
    expect(payload).toMatchObject({
      request_id: 'r1',
      response: {
        model: 'm',
        choices: [{ message: { content: rehearsedText(4) } }],
        usage: { total_tokens: 7 },
      },
    });
    expect(payload).not.toHaveProperty('status_code');
    expect(inferenceResultSchema.parse(payload)).toEqual(payload);
    expect(payload['latency_ms']).toBeTypeOf('number');
  });

  it('gets a stream as chunks, a usage chunk, a done mark and an end with counts', async () => {
    infer('r2', { stream: true });
    const { payload } = await hub.message('stream_end', 'r2');
    expect(payload).toMatchObject({ request_id: 'r2', tokens_input: 3, tokens_output: 4 });
    expect(payload).not.toHaveProperty('status_code');
    const all = chunks('r2');
    for (const each of all) expect(streamChunkSchema.parse(each)).toEqual(each);
    expect(all.map(({ done }) => done)).toEqual([...all.slice(1).map(() => false), true]);
    const events = all.flatMap(({ chunk }) => (chunk ? [chunk] : []));
    expect(textOf(events)).toBe(rehearsedText(4));
    expect(events.at(-1)).toMatchObject({
      choices: [],
      usage: { prompt_tokens: 3, completion_tokens: 4, prompt_tokens_details: { cached_tokens: 0 } },
    });
  });

  it('serves what the envelope says, where the request contradicts it', async () => {
    infer('r3', {}, { stream: true });
    expect((await hub.message('ack', 'r3')).payload['response']).toBeTruthy();
  });

  it('gets an error chunk before the end when a stream failed before any data', async () => {
    infer('r4', { stream: true }, { rehearsal: 'status=503' });
    expect((await hub.message('stream_end', 'r4')).payload).toMatchObject({
      status_code: 503,
      error: 'Rehearsed.',
    });
    expect(chunks('r4')).toEqual([{ request_id: 'r4', chunk: null, done: true, error: 'Rehearsed.' }]);
  });

  it('gets only the end when a stream broke off after data', async () => {
    infer('r5', { stream: true }, { rehearsal: 'cut=2' });
    expect((await hub.message('stream_end', 'r5')).payload).toMatchObject({ status_code: 502 });
    expect(chunks('r5').every(({ chunk }) => chunk !== null)).toBe(true);
  });

  it.each([
    ['a refusal of the backend', {}, { rehearsal: 'status=429' }, 429],
    ['an unknown model', { model_id: 'other' }, {}, 404],
    ['a recording that is no base64', { operation: 'audio/transcriptions' }, { file: 'no?' }, 400],
  ])('gets the status of %s in the ack', async (_what, more, body, status) => {
    infer('r6', more, body);
    expect((await hub.message('ack', 'r6')).payload).toMatchObject({ response: null, status_code: status });
  });

  it.each([
    ['embeddings', { input: ['a', 'b'] }, { data: [{ index: 0 }, { index: 1 }] }],
    ['images/generations', { prompt: 'a swan', n: 2 }, { data: [{}, {}] }],
    ['audio/transcriptions', { file: 'AAAA', filename: 'a.wav' }, { text: 'I heard 3 bytes.' }],
    ['completions', { prompt: 'Once' }, { object: 'text_completion', choices: [{ index: 0 }] }],
  ])('gets %s, named or guessed from the request', async (operation, body, response) => {
    infer('r20', { operation, request: body });
    expect((await hub.message('ack', 'r20')).payload).toMatchObject({ response });
    if (operation === 'completions') return;
    infer('r21', { operation: undefined, request: body });
    expect((await hub.message('ack', 'r21')).payload).toMatchObject({ response });
  });

  it('hears nothing more of a request that it cancelled', async () => {
    infer('r7', { stream: true }, { rehearsal: 'endless,paced=1' });
    await hub.message('stream_chunk', 'r7');
    hub.say('cancel', undefined, { request_id: 'r7', reason: 'consumer_disconnected' });
    infer('r8');
    await hub.message('ack', 'r8');
    const count = chunks('r7').length;
    infer('r9');
    await hub.message('ack', 'r9');
    expect(chunks('r7').length).toBe(count);
    expect(hub.messages.some(({ type }) => type === 'stream_end')).toBe(false);
  });

  it('is told when it sends nonsense, and the line holds', async () => {
    hub.say('inference', 'bad', 'a text');
    expect((await hub.message('error', 'bad')).payload).toMatchObject({ code: 400 });
    hub.socket?.send('{{{');
    hub.say('type_from_tomorrow', 'x', {});
    infer('r10');
    await hub.message('ack', 'r10');
    expect(hub.connections).toBe(1);
  });

  it('gets its warm-up, benchmark and challenges answered', async () => {
    hub.say('warmup', 'w', { model_id: 'm', warmup_type: 'load' });
    expect((await hub.message('ack', 'w')).payload).toMatchObject({ success: true, model_id: 'm' });
    hub.say('benchmark', 'b', {
      benchmark_id: 'bm',
      test_type: 'math',
      model_id: 'm',
      prompts: [
        { id: 'p1', prompt: 'x', expected_answer: 'QUICK' },
        { id: 'p2', prompt: 'y', expected_answer: '42' },
      ],
      timeout_ms: 1_000,
    });
    expect((await hub.message('benchmark_response', 'b')).payload).toMatchObject({
      benchmark_id: 'bm',
      results: [
        { prompt_id: 'p1', answer: rehearsedText(4), correct: true, tokens_out: 4 },
        { prompt_id: 'p2', correct: false },
      ],
    });
    hub.say('benchmark', 'b0', {
      benchmark_id: 'bm',
      test_type: 'math',
      model_id: 'm',
      prompts: [],
      timeout_ms: 1,
    });
    expect((await hub.message('benchmark_response', 'b0')).payload['results']).toBeNull();
    hub.say('verify', 'v', {
      challenge_id: 'c',
      challenge_type: 'deterministic',
      model_id: 'm',
      challenge: { prompt: 'x', seed: 1, max_tokens: 2 },
    });
    expect((await hub.message('verify', 'v')).payload).toMatchObject({
      challenge_id: 'c',
      success: true,
      response: { tokens: ['the', 'quick'], text: 'the quick' },
    });
    hub.say('verify', 'v2', { challenge_id: 'c2', challenge_type: 'logprob', model_id: 'm', challenge: {} });
    expect((await hub.message('verify', 'v2')).payload).toMatchObject({ success: false, response: null });
  });
});
