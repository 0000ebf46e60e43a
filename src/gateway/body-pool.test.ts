import { EventEmitter } from 'node:events';
import { afterAll, describe, expect, test } from 'vitest';
import { systemClock } from '#kit/clock.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import type { BodyWork } from './body.worker.ts';
import {
  BodyPool,
  FIRST_READ_DEADLINE_MS,
  LARGE_BODY_BYTES,
  MOST_WAITING,
  READ_DEADLINE_MS,
  type ReadingThread,
} from './body-pool.ts';

const large = (more: object = {}): Buffer =>
  Buffer.from(
    JSON.stringify({
      model: 'x',
      messages: [1, 2].map(() => ({ role: 'user', content: 'a'.repeat(90_000) })),
      ...more,
    }),
  );

class ThreadInHand extends EventEmitter implements ReadingThread {
  readonly works: BodyWork[] = [];
  terminated = false;
  postMessage(work: BodyWork): void {
    this.works.push(work);
  }
  async terminate(): Promise<number> {
    this.terminated = true;
    return 0;
  }
}

function opened() {
  const clock = new VirtualClock();
  const threads: ThreadInHand[] = [];
  const pool = new BodyPool({
    clock,
    start: () => {
      threads.push(new ThreadInHand());
      return threads.at(-1) as ThreadInHand;
    },
  });
  return { clock, threads, pool };
}

const REQUEST = { request: { model: 'x' } };

test('a small body is read at once, without a thread', () => {
  const { pool, threads } = opened();
  const body = Buffer.from('{"model":"x","messages":[{"role":"user","content":"hi"}]}');
  expect(pool.read('chat', body)).toMatchObject({ model: 'x' });
  expect(threads).toHaveLength(0);
});

test('large bodies are read one after another, each answered with its own', async () => {
  const { pool, threads } = opened();
  const reads = [pool.read('chat', large()), pool.read('chat', large()), pool.read('chat', large())];
  expect(threads[0]?.works).toHaveLength(1);
  for (let i = 0; i < 3; i++) threads[0]?.emit('message', { request: { model: `${i}` } });
  expect(await Promise.all(reads.map(async (read) => read))).toEqual([
    { model: '0' },
    { model: '1' },
    { model: '2' },
  ]);
});

test('too many large bodies at once are turned away', () => {
  const { pool } = opened();
  for (let i = 0; i <= MOST_WAITING; i++) expect(pool.read('chat', large())).toBeInstanceOf(Promise);
  expect(pool.read('chat', large())).toMatchObject({ code: 'too-many-at-once', retryAfterS: 1 });
});

test('bodies that wait hold at most 64 MiB', () => {
  const { pool } = opened();
  const huge = Buffer.alloc(10_000_000, 0x20);
  const reads = Array.from({ length: 9 }, () => pool.read('chat', huge));
  expect(reads.filter((read) => read instanceof Promise)).toHaveLength(7);
});

test('a thread that dies or hangs refuses one body; the next gets a new thread', async () => {
  const { pool, threads, clock } = opened();
  const reads = [pool.read('chat', large()), pool.read('chat', large()), pool.read('chat', large())];
  threads[0]?.emit('error', new Error('out of memory'));
  expect(await reads[0]).toMatchObject({ code: 'internal' });
  await clock.advance(FIRST_READ_DEADLINE_MS);
  expect(await reads[1]).toMatchObject({ code: 'internal' });
  expect(threads[1]?.terminated).toBe(true);
  threads[1]?.emit('message', REQUEST);
  threads[2]?.emit('message', { request: { model: 'third' } });
  expect(await reads[2]).toEqual({ model: 'third' });
});

test('bug: a thread that is slow to start is not taken for one that hangs; one that has read before is', async () => {
  const { pool, threads, clock } = opened();
  const reads = [pool.read('chat', large()), pool.read('chat', large())];
  await clock.advance(READ_DEADLINE_MS);
  threads[0]?.emit('message', REQUEST);
  expect(await reads[0]).not.toMatchObject({ code: 'internal' });
  await clock.advance(READ_DEADLINE_MS);
  expect(await reads[1]).toMatchObject({ code: 'internal' });
  expect(threads[0]?.terminated).toBe(true);
});

test('closing answers what waits and stops the thread', async () => {
  const { pool, threads } = opened();
  const reads = [pool.read('chat', large()), pool.read('chat', large())];
  await pool.close();
  for (const read of reads) expect(await read).toMatchObject({ code: 'shutting-down' });
  expect(pool.read('chat', large())).toMatchObject({ code: 'shutting-down' });
  expect(threads[0]?.terminated).toBe(true);
});

describe('the real thread', () => {
  const pool = new BodyPool({ clock: systemClock });
  afterAll(() => pool.close());

  test('reads as the reading at once does, and leaves the bytes with the caller', async () => {
    const body = large({ stream: true, user: 'ada' });
    const length = body.length;
    expect(length).toBeGreaterThan(LARGE_BODY_BYTES);
    expect(await pool.read('chat', body)).toMatchObject({
      stream: true,
      needsRewrite: true,
      promptBytes: 180_000,
    });
    expect(body.length).toBe(length);
    expect(await pool.read('chat', large({ n: 99 }))).toMatchObject({
      code: 'request-invalid',
      param: 'n',
      outer: "'n' must be a whole number from 1 to 8.",
    });
    const deep = Buffer.from('['.repeat(200_000) + ']'.repeat(200_000));
    expect(await pool.read('chat', deep)).toMatchObject({ code: 'request-invalid' });
  });
});
