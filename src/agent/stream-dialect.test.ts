import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RunningAgent } from '#agent/run.ts';
import { startAgent } from '#support/agent.ts';
import { eventsOf, TinyHub, textOf } from '#support/tiny-hub.ts';
import { encodeFrame, FRAME, MAX_FRAME_PAYLOAD_BYTES } from '#wire/agent/frames.ts';
import { rehearsedText } from './backends/rehearsal.ts';

let hub: TinyHub;
let agent: RunningAgent;

const start = async (...models: string[]) => {
  agent = await startAgent(hub.url, models.length > 0 ? models : ['m=rehearsal:tokens=8']);
  await agent.registered;
};
const ask = { messages: [{ role: 'user', content: 'Hello there' }] };

beforeEach(async () => {
  hub = await TinyHub.open({ extension: true });
});
afterEach(async () => {
  await agent?.close();
  await hub.close();
});

describe('a streamed job in the binary dialect', () => {
  it('arrives as finished events of the market, with exact usage in its end and nowhere else', async () => {
    await start();
    const stream = hub.job(ask, { completion: 'chatcmpl-abc', created: 42 });
    const end = await hub.ended(stream);
    expect(end).toEqual({
      status: 200,
      finish_reason: 'stop',
      usage: { prompt_tokens: 3, completion_tokens: 8 },
    });
    const events = eventsOf(stream.sse);
    expect(events.length).toBe(stream.events);
    expect(stream.tokens).toBe(8);
    expect(textOf(events)).toBe(rehearsedText(8));
    for (const event of events) expect(event).toMatchObject({ id: 'chatcmpl-abc', created: 42, model: 'm' });
    expect(stream.sse).not.toMatch(/usage|\[DONE\]/);
  });

  it('takes its body in pieces of any size, between those of others', async () => {
    await start();
    const long = { messages: [{ role: 'user', content: 'x'.repeat(40_000) }] };
    const bytes = Buffer.from(JSON.stringify(long));
    const held = { body_bytes: bytes.length, holdBody: true };
    const one = hub.job(long, held);
    const two = hub.job(long, held);
    const cuts = [hub.bodyFrames(one.id, bytes, 7_001), hub.bodyFrames(two.id, bytes, 9_999)];
    for (let i = 0; i < 8; i++) for (const frames of cuts) if (frames[i]) hub.send(frames[i] as Buffer);
    const whole = { status: 200, usage: { prompt_tokens: 10_000 } };
    expect(await hub.ended(one)).toMatchObject(whole);
    expect(await hub.ended(two)).toMatchObject(whole);
  });

  it('obeys the fields of `set` over those of the body', async () => {
    await start();
    const end = await hub.ended(hub.job({ ...ask, max_tokens: 5 }, { set: { max_tokens: 2 } }));
    expect(end).toMatchObject({ finish_reason: 'length', usage: { completion_tokens: 2 } });
  });

  it('shares its messages with all streams of one decode step', async () => {
    await start('m=rehearsal:tokens=10,paced=20');
    const streams = Array.from({ length: 50 }, () => hub.job(ask));
    await Promise.all(streams.map((stream) => hub.ended(stream)));
    // 50 streams of 11 events each; without packing this would be some 550 messages.
    expect(hub.binaryMessages).toBeLessThan(100);
    expect(hub.largestMessage).toBeLessThanOrEqual(65_536);
  });

  it('sends no more than its credit, resumes with more, and holds up nobody else', async () => {
    await start('m=rehearsal:tokens=200');
    const starved = hub.job(ask, { credit: 1_000 });
    const other = hub.job(ask);
    await hub.ended(other);
    expect(starved.sse.length).toBeGreaterThan(500);
    expect(starved.sse.length).toBeLessThanOrEqual(1_000);
    expect(starved.end).toBeUndefined();
    hub.credit(starved.id, 1_000);
    await hub.until(() => starved.sse.length > 1_500, 'more events');
    expect(starved.sse.length).toBeLessThanOrEqual(2_000);
    hub.credit(starved.id, 1_000_000);
    await hub.ended(starved);
    expect(textOf(eventsOf(starved.sse))).toBe(rehearsedText(200));
  });

  it('cuts an event that no frame can hold, and counts it with its last piece', async () => {
    await start('m=rehearsal:tokens=2,giant=50000');
    const stream = hub.job(ask);
    await hub.ended(stream);
    expect(stream.frames.slice(0, 4).map(({ events }) => events)).toEqual([0, 0, 0, 1]);
    expect(stream.frames.slice(0, 4).map(({ tokens }) => tokens)).toEqual([0, 0, 0, 1]);
    const events = eventsOf(stream.sse);
    expect(events.length).toBe(stream.events);
    expect(textOf(events).slice(0, 50_000)).toBe('g'.repeat(50_000));
  });

  it('passes an event larger than the whole window as credit allows', async () => {
    await start('m=rehearsal:tokens=1,giant=3000');
    const stream = hub.job(ask, { credit: 1_024 });
    await hub.until(() => stream.sse.length === 1_024, 'the first window');
    hub.credit(stream.id, 1_024);
    await hub.until(() => stream.sse.length === 2_048, 'the second window');
    hub.credit(stream.id, 100_000);
    expect(await hub.ended(stream)).toMatchObject({ status: 200 });
    expect(eventsOf(stream.sse).length).toBe(2);
  });

  it('says nothing that was asked for when it rehearses a wrong answer', async () => {
    await start('m=rehearsal:wrong,tokens=1');
    const stream = hub.job(ask);
    await hub.ended(stream);
    expect(stream.sse).toContain('"choices":"wrong"');
  });
});

describe('an unstreamed job in the binary dialect', () => {
  it('arrives whole, with id, model and creation time of the market', async () => {
    await start();
    const stream = hub.job(ask, { stream: false, completion: 'chatcmpl-x', created: 9 });
    const end = await hub.ended(stream);
    expect(end).toMatchObject({ status: 200, usage: { prompt_tokens: 3, completion_tokens: 8 } });
    expect(JSON.parse(stream.result)).toMatchObject({
      id: 'chatcmpl-x',
      created: 9,
      model: 'm',
      choices: [{ message: { content: rehearsedText(8) } }],
      usage: { total_tokens: 11 },
    });
  });

  it('lets tokens overtake a long answer', async () => {
    await start('m=rehearsal:giant=4000000,tokens=1');
    const long = hub.job(ask, { stream: false });
    const short = hub.job({ ...ask, rehearsal: 'giant=10,tokens=3' }, { stream: true });
    await Promise.all([hub.ended(long), hub.ended(short)]);
    expect(Math.max(...short.messages)).toBeLessThan(Math.max(...long.messages));
    expect(long.result.length).toBeGreaterThan(4_000_000);
  });

  it('stops sending a long answer that was cancelled', async () => {
    await start('m=rehearsal:giant=8000000,tokens=1');
    const stream = hub.job(ask, { stream: false });
    await hub.until(() => stream.result.length > 0, 'the beginning of the answer');
    hub.cancel(stream.id);
    expect(await hub.ended(stream)).toMatchObject({ status: 499, usage: { completion_tokens: 1 } });
    expect(stream.result.length).toBeLessThan(8_000_000);
  });
});

describe('a cancel in the binary dialect', () => {
  it('stops the backend at once and is answered with the exact usage so far', async () => {
    await start('m=rehearsal:endless,paced=2');
    const stream = hub.job(ask, { credit: 10_000_000 });
    await hub.until(() => stream.tokens >= 5, 'five tokens');
    hub.cancel(stream.id);
    const end = await hub.ended(stream);
    expect(end).toMatchObject({ status: 499, usage: { prompt_tokens: 3, completion_tokens: stream.tokens } });
  });

  it('frees a stream that has no credit', async () => {
    await start('m=rehearsal:tokens=100');
    const stream = hub.job(ask, { credit: 0 });
    hub.cancel(stream.id);
    expect(await hub.ended(stream)).toMatchObject({ status: 499 });
    expect(stream.sse).toBe('');
  });

  it('ends a job whose body never came, and one that never answers', async () => {
    await start('m=rehearsal:silent');
    const bodiless = hub.job(ask, { holdBody: true });
    const silent = hub.job(ask);
    hub.cancel(bodiless.id);
    hub.cancel(silent.id);
    expect(await hub.ended(bodiless)).toMatchObject({ status: 499 });
    expect(await hub.ended(silent)).toMatchObject({ status: 499, usage: { completion_tokens: 0 } });
  });

  it('of an unknown stream, and frames of unknown types, are passed over', async () => {
    await start();
    hub.cancel(4_000_000_000);
    hub.send(encodeFrame(0x7f, 3, Buffer.from('from tomorrow')));
    expect(await hub.ended(hub.job(ask))).toMatchObject({ status: 200 });
    expect(hub.connections).toBe(1);
  });
});

describe('a job that cannot be served', () => {
  it.each([
    ['an unknown model', {}, { model: 'other' }, 404],
    ['another operation', {}, { operation: 'from/tomorrow' as 'embeddings' }, 501],
    ['a body over the limit', {}, { body_bytes: 65 * 1_048_576, holdBody: true }, 413],
    ['a body that is not JSON', {}, { bodyText: '{"messages":' }, 400],
    ['a body that is no object', {}, { bodyText: '[1]' }, 400],
    ['more body than announced', {}, { body_bytes: 5 }, 400],
    ['a header that makes no sense', {}, { credit: -1, holdBody: true }, 400],
    ['a backend that refuses', { rehearsal: 'status=503' }, {}, 503],
    ['a backend that breaks off', { rehearsal: 'cut=3' }, {}, 502],
  ])('is told so: %s', async (_what, body, header, status) => {
    await start();
    expect(await hub.ended(hub.job({ ...ask, ...body }, header))).toMatchObject({ status });
    // The line holds, and serves on.
    expect(await hub.ended(hub.job(ask))).toMatchObject({ status: 200 });
    expect(hub.connections).toBe(1);
  });

  it('waits for room within limits, and is sent away with 429 beyond them', async () => {
    agent = await startAgent(hub.url, ['m=rehearsal:endless,paced=5'], { perModel: 2 });
    await agent.registered;
    const streams = Array.from({ length: 2 + 256 + 1 }, () => hub.job(ask));
    expect(await hub.ended(streams.at(-1) as (typeof streams)[0])).toMatchObject({ status: 429 });
    expect(streams.filter(({ events }) => events > 0).length).toBeLessThanOrEqual(2);
    // The next in line takes the place of one that leaves.
    hub.cancel(streams[0]?.id as number);
    await hub.until(() => (streams[2]?.events ?? 0) > 0, 'the third stream to begin');
  });
});

describe('a hub that breaks the protocol', () => {
  it.each([
    ['half a frame', Buffer.of(FRAME.job, 1, 0)],
    ['a frame over the limit', encodeFrame(FRAME.body, 1, Buffer.alloc(MAX_FRAME_PAYLOAD_BYTES + 1))],
    ['credit of the wrong size', undefined],
  ])('loses the line, and gets a new one: %s', async (_what, message) => {
    await start('m=rehearsal:silent');
    const stream = hub.job(ask);
    hub.send(message ?? encodeFrame(FRAME.credit, stream.id, Buffer.alloc(3)));
    await hub.until(() => hub.connections === 2, 'the agent to come back');
    expect(stream.end).toBeUndefined();
  });
});
