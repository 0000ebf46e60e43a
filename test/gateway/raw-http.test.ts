import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HELLO } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import type { TestModel, TestParty } from '#support/parties.ts';

// Bytes on the gateway's socket that no library would send: not HTTP, ambiguous, endless, slow, or cut short.

let market: TestMarket;
/** On the same database: waits for nobody, and lets each key ask for one thing at a time. */
let hasty: TestMarket;
let consumer: TestParty;
let model: TestModel;
beforeAll(async () => {
  market = await TestMarket.open();
  hasty = await TestMarket.open({
    on: market,
    config: { limits: { headTimeoutMs: 500, bodyTimeoutMs: 800, concurrentPerKey: 1 } },
  });
  consumer = await market.consumer();
  model = market.aModel();
  await market.rehearsal(model, 'rehearsal:tokens=3');
});
afterAll(async () => {
  await hasty.close();
  await market.close();
});

/** A connection whose every byte is kept; `ended` when the other side has closed it. */
class Wire {
  readonly socket: Socket;
  readonly ended: Promise<void>;
  heard = '';
  #waiting: (() => void)[] = [];

  constructor(at: TestMarket = market) {
    this.socket = connect(at.ports.gateway, '127.0.0.1');
    this.socket.setEncoding('latin1').on('data', (text) => {
      this.heard += text;
      for (const wake of this.#waiting.splice(0)) wake();
    });
    this.socket.on('error', () => {});
    this.ended = new Promise((resolve) => this.socket.on('close', () => resolve()));
  }

  async until(text: string): Promise<void> {
    while (!this.heard.includes(text)) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

async function answerTo(text: string | Buffer, at: TestMarket = market): Promise<string> {
  const wire = new Wire(at);
  wire.socket.write(text);
  await wire.ended;
  return wire.heard;
}

const body = () => JSON.stringify({ model: model.id, messages: HELLO });
const head = (more: string[] = [], length: number | string = Buffer.byteLength(body())) =>
  [
    'POST /v1/chat/completions HTTP/1.1',
    'Host: market',
    `Authorization: Bearer ${consumer.key}`,
    ...(length === '' ? [] : [`Content-Length: ${length}`]),
    ...more,
    '',
    '',
  ].join('\r\n');

describe('what is no HTTP is told so in our shape, and cut', () => {
  test.each<[string, () => string | Buffer]>([
    ['noise', () => Buffer.from(Array.from({ length: 300 }, (_, i) => (i * 37) % 256))],
    ['TLS', () => Buffer.from('16030100a5010000a1', 'hex')],
    ['a header without a colon', () => 'GET /health HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n'],
    ['a folded header', () => 'GET /health HTTP/1.1\r\nHost: x\r\nA: b\r\n c: d\r\n\r\n'],
    ['a space before the colon', () => 'GET /health HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nhello'],
    ['two lengths', () => head(['Content-Length: 5']) + body()],
    ['a length below zero', () => head([], -1) + body()],
    ['a length and chunks', () => head(['Transfer-Encoding: chunked']) + body()],
    ['chunks of no size', () => `${head(['Transfer-Encoding: chunked'], '')}zz\r\n`],
    ['64 kB of headers', () => `GET /health HTTP/1.1\r\nHost: x\r\nA: ${'a'.repeat(65_536)}\r\n\r\n`],
    ['no host', () => 'GET /health HTTP/1.1\r\nConnection: close\r\n\r\n'],
  ])('%s', async (_, text) => {
    const heard = await answerTo(text());
    expect(heard).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(heard.toLowerCase()).toContain('connection: close');
    expect(heard).not.toMatch(/Fastify|node|at .*\.ts|HPE_/i);
    // A second request hidden in the first must not be answered.
    expect(heard.match(/HTTP\/1\.1/g)).toHaveLength(1);
  });
});

test('two requests in one packet are answered in order on one connection', async () => {
  const heard = await answerTo(head() + body() + head(['Connection: close']) + body());
  expect(heard.match(/HTTP\/1\.1 200/g)).toHaveLength(2);
  expect(heard.match(/"object":"chat\.completion"/g)).toHaveLength(2);
});

test('a body that comes in pieces, byte by byte at first, is one body', async () => {
  const wire = new Wire();
  const text = body();
  wire.socket.write(head(['Connection: close', 'Transfer-Encoding: chunked'], ''));
  for (const byte of text.slice(0, 20)) wire.socket.write(`1\r\n${byte}\r\n`);
  const rest = text.slice(20);
  wire.socket.write(`${Buffer.byteLength(rest).toString(16)}\r\n${rest}\r\n0\r\n\r\n`);
  await wire.ended;
  expect(wire.heard).toContain('HTTP/1.1 200');
});

test('a client that asks first whether it may send is told to go on', async () => {
  const wire = new Wire();
  wire.socket.write(head(['Expect: 100-continue', 'Connection: close']));
  await wire.until('100 Continue');
  wire.socket.write(body());
  await wire.ended;
  expect(wire.heard).toContain('HTTP/1.1 200');
});

test('a client that is slow over its head is cut with 408', async () => {
  const wire = new Wire(hasty);
  wire.socket.write('POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthor');
  await wire.ended;
  expect(wire.heard).toMatch(/^HTTP\/1\.1 408 /);
  expect(JSON.parse(wire.heard.slice(wire.heard.indexOf('{')))).toMatchObject({
    error: { code: 'client_too_slow' },
  });
});

test('a client that is slow over its body is cut with 408, and its place among its requests is free again', async () => {
  const slow = new Wire(hasty);
  slow.socket.write(head([], 10_000) + body());
  await slow.ended;
  expect(slow.heard).toMatch(/^HTTP\/1\.1 408 /);
  // Nobody serves the model there: a request that gets as far as that had a place.
  const next = () => answerTo(head(['Connection: close']) + body(), hasty);
  await expect.poll(next, { timeout: 10_000 }).toContain('no_provider_available');
});

test('a client that goes away in the middle of its body costs nothing and keeps nothing', async () => {
  const gone = await market.consumer();
  for (let i = 0; i < 150; i++) {
    const wire = new Wire();
    wire.socket.write(head([], 10_000).replace(consumer.key, gone.key) + body());
    await new Promise((resolve) => wire.socket.once('connect', resolve));
    wire.socket.destroy();
  }
  const heard = await answerTo(head(['Connection: close']).replace(consumer.key, gone.key) + body());
  expect(heard).toMatch(/^HTTP\/1\.1 200 /);
  expect(await market.usage(gone, 1)).toHaveLength(1);
});

test('a client that reads nothing holds up nobody, and is given up', async () => {
  const slow = market.aModel();
  await market.rehearsal(slow, 'rehearsal:tokens=16384,paced=0');
  const big = await market.consumer();
  const wire = new Wire();
  wire.socket.pause();
  const asked = JSON.stringify({ model: slow.id, messages: HELLO, stream: true, max_tokens: 16_384 });
  wire.socket.write(head([], asked.length).replace(consumer.key, big.key) + asked);
  // It is under way, or has gone into the buffers between us as a whole already.
  const begun = async (): Promise<boolean> => {
    const { in_flight } = await market.health();
    const done = await market.fresh.database.sql`select id from usage where consumer_id = ${big.id}`;
    return in_flight === 1 || done.length === 1;
  };
  await expect.poll(begun, { timeout: 10_000 }).toBe(true);
  // Others are served by the same node meanwhile.
  const quick = JSON.stringify({ model: slow.id, messages: HELLO, max_tokens: 2 });
  expect(await answerTo(head(['Connection: close'], quick.length) + quick)).toMatch(/^HTTP\/1\.1 200 /);
  wire.socket.destroy();
  const [row] = await market.usage(big, 1);
  expect(row?.outputTokens).toBeLessThanOrEqual(16_384);
});

test('large bodies that take up all the room there is are turned away, and small ones go on', async () => {
  const tight = await TestMarket.open({ on: market, config: { limits: { bodiesBytesMax: 200_000 } } });
  try {
    const half = 'x'.repeat(150_000);
    const holding = new Wire(tight);
    holding.socket.write(head([], 1_000_000) + half);
    // The same again has room only once the first has left.
    const more = () => answerTo(head(['Connection: close'], half.length) + half, tight);
    await expect.poll(more, { timeout: 10_000 }).toContain('HTTP/1.1 429 ');
    expect(await answerTo(head(['Connection: close'], 2) + '{}', tight)).toContain('HTTP/1.1 400 ');
    holding.socket.destroy();
    await expect.poll(more, { timeout: 10_000 }).toContain('HTTP/1.1 400 ');
  } finally {
    await tight.close();
  }
});
