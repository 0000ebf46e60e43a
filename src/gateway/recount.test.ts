import { EventEmitter, once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { UsageRecord } from '#domain/usage-record.ts';
import { systemClock } from '#kit/clock.ts';
import { packageRoot } from '#kit/package-root.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { DeliveredText } from './delivered.ts';
import {
  COUNT_DEADLINE_MS,
  type CountingThread,
  MOST_BYTES,
  MOST_WAITING,
  openRecounter,
  type RecountJob,
} from './recount.ts';
import { answerCounter } from './recount-answer.ts';
import type { ExactCount } from './verdict.ts';

const NANO = 'cygnet/cygnet-nano';
const folder = path.join(packageRoot(), 'data', 'tokenizers');
const vectors: {
  texts: [string, number][];
  chats: [{ role: string; content: string }[], number, string, number, string][];
} = JSON.parse(readFileSync(path.join(packageRoot(), 'test', 'vectors', 'nano-tokens.json'), 'utf8'));

const bytes = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const completion = (text: string, finish: string | null = 'length', more: object = {}): Uint8Array =>
  bytes({
    choices: [{ index: 0, message: { role: 'assistant', content: text, ...more }, finish_reason: finish }],
  });
const event = (content: string | undefined, finish: string | null = null, index = 0): Buffer =>
  Buffer.from(
    `data: ${JSON.stringify({ choices: [{ index, delta: { content }, finish_reason: finish }] })}\n\n`,
  );
const none = new Uint8Array();

describe('the count', () => {
  const count = answerCounter(folder);

  test('of each text is the count of llama.cpp', () => {
    expect(vectors.texts.length).toBeGreaterThanOrEqual(500);
    const differing = vectors.texts.filter(
      ([text, tokens]) =>
        count({ modelId: NANO, request: none, answer: completion(text), streamed: false }).outputTokens !==
        tokens,
    );
    expect(differing).toEqual([]);
  });

  test('of each conversation is the prompt that llama.cpp consumed, and of its answer what it generated', () => {
    for (const [messages, consumed, answer, generated, stop] of vectors.chats) {
      const finish = stop === 'eogToken' ? 'stop' : 'length';
      const exact = count({
        modelId: NANO,
        request: bytes({ messages }),
        answer: completion(answer, finish),
        streamed: false,
      });
      expect((exact.outputTokens as number) + exact.stopTokens).toBe(generated);
      // The meter of node-llama-cpp leaves out the last token of a prompt, and its wrapper joins or leaves out some messages.
      const plain = messages.every(
        ({ role, content }, i) => content !== '' && (role !== 'system' || messages[i - 1]?.role !== 'system'),
      );
      expect(exact.inputTokens).toBeGreaterThan(consumed);
      expect(plain ? exact.inputTokens : consumed + 1).toBe(consumed + 1);
    }
  });

  test('of a stream is that of its joined text, however it was cut into events', () => {
    const text = vectors.texts
      .slice(0, 20)
      .map(([one]) => one)
      .join(' ');
    const whole = count({ modelId: NANO, request: none, answer: completion(text, 'stop'), streamed: false });
    const events = Buffer.concat([
      ...Array.from(text, (character) => event(character)),
      event(undefined, 'stop'),
      Buffer.from('data: [DONE]\n\n'),
    ]);
    expect(count({ modelId: NANO, request: none, answer: events, streamed: true })).toEqual(whole);
    expect(whole).toMatchObject({ stopTokens: 1, complete: true });
  });

  test('of several choices is their sum', () => {
    const answer = Buffer.concat([
      event('one', null, 0),
      event('two', null, 1),
      event('', 'stop', 1),
      event('', 'length', 0),
    ]);
    const one = (text: string) =>
      count({ modelId: NANO, request: none, answer: completion(text), streamed: false })
        .outputTokens as number;
    expect(count({ modelId: NANO, request: none, answer, streamed: true })).toMatchObject({
      outputTokens: one('one') + one('two'),
      stopTokens: 1,
      complete: true,
    });
  });

  test('of what is not only text, or not understood, is not made up', () => {
    const called = count({
      modelId: NANO,
      request: bytes({ messages: [], tools: [{}] }),
      answer: completion('', 'tool_calls', { tool_calls: [{}] }),
      streamed: false,
    });
    expect(called).toMatchObject({ inputTokens: undefined, outputTokens: undefined });
    for (const messages of [
      undefined,
      'x',
      [null],
      [{ role: 'tool', content: 'x' }],
      [{ role: 'user', content: [{ type: 'image_url' }] }],
    ]) {
      expect(
        count({ modelId: NANO, request: bytes({ messages }), answer: completion('x'), streamed: false })
          .inputTokens,
      ).toBeUndefined();
    }
    for (const answer of [
      '',
      'nonsense',
      '[]',
      'null',
      '{"choices":{}}',
      '{"choices":[null,1,"x"]}',
      'data: {"choices":[{"delta":1}]}',
    ]) {
      for (const streamed of [true, false]) {
        expect(
          count({ modelId: NANO, request: Buffer.from('{'), answer: Buffer.from(answer), streamed }),
        ).toMatchObject({ inputTokens: undefined, outputTokens: 0 });
      }
    }
    expect(
      count({ modelId: 'other', request: none, answer: completion('x'), streamed: false }).outputTokens,
    ).toBeUndefined();
  });

  test('of a cut stream says that it is cut', () => {
    expect(count({ modelId: NANO, request: none, answer: event('half'), streamed: true }).complete).toBe(
      false,
    );
  });

  test.each(['a', ' ', '1', 'ab', ' \n'])('of 100,000 characters of %j comes within seconds', (piece) => {
    const started = performance.now();
    count({
      modelId: NANO,
      request: none,
      answer: completion(piece.repeat(100_000 / piece.length)),
      streamed: false,
    });
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

/** A thread that answers when the test says so. */
class ThreadInHand extends EventEmitter implements CountingThread {
  readonly works: { modelId: string; request: Uint8Array }[] = [];
  terminated = false;
  postMessage(work: { modelId: string; request: Uint8Array }): void {
    this.works.push(work);
  }
  async terminate(): Promise<number> {
    this.terminated = true;
    return 0;
  }
}

const PRICE = { id: 'price_1', unit: 'token', inputPico: 1n, outputPico: 2n } as const;
const EXACT: ExactCount = { inputTokens: 1, outputTokens: 2, stopTokens: 0, complete: true };

describe('the queue', () => {
  const job = (id: string, answer = 'x', modelId = NANO): RecountJob => ({
    record: { id, modelId } as UsageRecord,
    price: PRICE,
    body: none,
    answer,
  });
  function opened() {
    const clock = new VirtualClock();
    const threads: ThreadInHand[] = [];
    const results: string[] = [];
    const recounter = openRecounter({
      clock,
      onResult: ({ record }) => results.push(record.id),
      start: () => {
        threads.push(new ThreadInHand());
        return threads.at(-1) as ThreadInHand;
      },
    });
    return { clock, threads, results, recounter };
  }

  test('counts what it knows the vocabulary of, one at a time and in order', () => {
    const { recounter, threads, results } = opened();
    expect(recounter.has(NANO)).toBe(true);
    expect(recounter.has('no/such-model')).toBe(false);
    recounter.submit(job('unknown', 'x', 'no/such-model'));
    expect(threads).toHaveLength(0);
    for (const id of ['a', 'b', 'c']) recounter.submit(job(id));
    expect(threads[0]?.works).toHaveLength(1);
    for (let i = 0; i < 3; i++) threads[0]?.emit('message', EXACT);
    expect(results).toEqual(['a', 'b', 'c']);
    expect(threads).toHaveLength(1);
    expect(recounter.counts).toEqual({ done: 3, dropped: 0, tooLarge: 0, failed: 0 });
  });

  test('drops the oldest when it is full, and counts what it dropped', () => {
    const { recounter, threads, results } = opened();
    for (let i = 0; i < MOST_WAITING + 11; i++) recounter.submit(job(`${i}`));
    expect(recounter.counts.dropped).toBe(10);
    for (let i = 0; i <= MOST_WAITING; i++) threads[0]?.emit('message', EXACT);
    expect(results.slice(0, 3)).toEqual(['0', '11', '12']);
    expect(results).toHaveLength(MOST_WAITING + 1);
  });

  test('holds at most 32 MiB, and nothing over 1 MiB', () => {
    const { recounter } = opened();
    recounter.submit(job('large', 'x'.repeat(MOST_BYTES + 1)));
    const kept = new DeliveredText(10);
    kept.add(Buffer.alloc(11));
    recounter.submit({ ...job('more than was kept'), answer: kept });
    expect(recounter.counts.tooLarge).toBe(2);
    for (let i = 0; i < 40; i++) recounter.submit(job(`${i}`, 'x'.repeat(MOST_BYTES)));
    expect(recounter.counts.dropped).toBe(40 - 1 - 32);
  });

  test('copies what it is given: later changes of the caller’s buffers do not matter', () => {
    const { recounter, threads } = opened();
    const body = Buffer.from('{"a":1}');
    recounter.submit({ ...job('a'), body });
    body.fill(0);
    const work = threads[0]?.works[0];
    expect(Buffer.from(work?.request as Uint8Array).toString()).toBe('{"a":1}');
    expect(work?.request.buffer.byteLength).toBe(7);
  });

  test('a thread that dies costs one answer; a new one comes, later each time', async () => {
    const { recounter, threads, results, clock } = opened();
    recounter.submit(job('deadly'));
    recounter.submit(job('deadly too'));
    recounter.submit(job('fine'));
    threads[0]?.emit('error', new Error('out of memory'));
    threads[0]?.emit('exit', 1);
    expect(threads).toHaveLength(1);
    await clock.advance(250);
    expect(threads).toHaveLength(2);
    threads[1]?.emit('exit', 1);
    await clock.advance(499);
    expect(threads).toHaveLength(2);
    await clock.advance(1);
    threads[2]?.emit('message', EXACT);
    expect(results).toEqual(['fine']);
    expect(recounter.counts).toMatchObject({ done: 1, failed: 2 });
  });

  test('a thread that hangs is put down at the deadline, and its late answer is not believed', async () => {
    const { recounter, threads, results, clock } = opened();
    recounter.submit(job('endless'));
    await clock.advance(COUNT_DEADLINE_MS);
    expect(threads[0]?.terminated).toBe(true);
    threads[0]?.emit('message', EXACT);
    expect(results).toEqual([]);
    expect(recounter.counts.failed).toBe(1);
  });

  test('an answer that cannot be counted is counted as failed and the next one follows', () => {
    const { recounter, threads, results } = opened();
    recounter.submit(job('odd'));
    recounter.submit(job('even'));
    threads[0]?.emit('message', undefined);
    threads[0]?.emit('message', EXACT);
    expect(results).toEqual(['even']);
    expect(recounter.counts).toMatchObject({ done: 1, failed: 1 });
  });

  test('closing stops the thread, drops what waits and takes nothing more', async () => {
    const { recounter, threads, clock } = opened();
    recounter.submit(job('a'));
    recounter.submit(job('b'));
    await recounter.close();
    recounter.submit(job('c'));
    await clock.advance(3_600_000);
    expect(threads).toHaveLength(1);
    expect(threads[0]?.terminated).toBe(true);
    expect(recounter.counts.dropped).toBe(2);
  });
});

describe('the real thread', () => {
  const results = new EventEmitter();
  const recounter = openRecounter({
    clock: systemClock,
    onResult: ({ record, exact }) => results.emit(record.id, exact),
  });
  afterAll(() => recounter.close());

  test('counts as llama.cpp does', async () => {
    const [messages, consumed, answer, generated] = vectors.chats[0] as (typeof vectors.chats)[0];
    const counted = once(results, 'req_1', { signal: AbortSignal.timeout(20_000) });
    const delivered = new DeliveredText(10_000);
    delivered.add(event(answer));
    delivered.add(event(undefined, 'stop'));
    recounter.submit({
      record: { id: 'req_1', modelId: NANO } as UsageRecord,
      price: PRICE,
      body: bytes({ messages }),
      answer: delivered,
    });
    expect((await counted)[0]).toEqual({
      inputTokens: consumed + 1,
      outputTokens: generated - 1,
      stopTokens: 1,
      complete: true,
    });
  });
});
