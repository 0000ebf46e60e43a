import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Sealed } from '#kit/sealed.ts';
import { ask } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import { answerAs, Upstream } from '#support/upstream.ts';

// Traces of a whole market, as a collector receives them over HTTP.

interface Span {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: Record<string, unknown> }[];
  status: { code: number };
}

const CANARY = 'canary-91fe-of-the-prompt';
const received: { text: string; authorization: string | undefined; path: string | undefined }[] = [];
let heard = (): void => {};
let collector: Server;
let upstream: Upstream;
let market: TestMarket;
let broken: TestMarket;

beforeAll(async () => {
  collector = createServer((request, response) => {
    let text = '';
    request.on('data', (part: Buffer) => (text += part.toString()));
    request.on('end', () => {
      received.push({ text, authorization: request.headers.authorization, path: request.url });
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      heard();
    });
  });
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  upstream = await Upstream.open();
  const url = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
  const authorization = new Sealed('Bearer of-the-collector');
  market = await TestMarket.open({ config: { watch: { traces: { url, authorization } } } });
  broken = await TestMarket.open({
    on: market,
    config: { watch: { traces: { url: 'http://127.0.0.1:9', authorization: undefined } } },
  });
});
afterAll(async () => {
  await broken.close();
  await market.close();
  await upstream.close();
  await new Promise((resolve) => collector.close(resolve));
});

async function spans(count: number): Promise<Span[]> {
  for (;;) {
    const all = received.flatMap(({ text }) =>
      (JSON.parse(text) as { resourceSpans: { scopeSpans: { spans: Span[] }[] }[] }).resourceSpans.flatMap(
        (each) => each.scopeSpans.flatMap((scope) => scope.spans),
      ),
    );
    if (all.length >= count) return all;
    // oxlint-disable-next-line no-await-in-loop -- until they have come.
    await new Promise<void>((resolve) => (heard = resolve));
  }
}

test('a request is a span of its caller’s trace, each attempt one below it, and no word or key is in them', async () => {
  const model = market.aModel();
  let seen: string | undefined;
  upstream.answer = (turn) => {
    seen = turn.headers['traceparent'] as string | undefined;
    return answerAs('openai', ['Good', ' morning'], turn);
  };
  const provider = await market.external(model, upstream);
  const consumer = await market.consumer();
  const traceId = 'a'.repeat(31).concat('1');
  const body = { model: model.id, messages: [{ role: 'user', content: CANARY }] };
  const trace = (traceparent: string) =>
    ask({ url: market.url, key: consumer.key, body, headers: { traceparent } });
  const answer = await trace(`00-${traceId}-${'b'.repeat(16)}-01`);
  expect(answer.status).toBe(200);
  const [whole, attempt, ...more] = (await spans(2)) as [Span, Span];
  expect(more).toEqual([]);
  expect(whole).toMatchObject({
    traceId,
    parentSpanId: 'b'.repeat(16),
    name: 'chat/completions',
    status: { code: 1 },
  });
  expect(attempt).toMatchObject({
    traceId,
    parentSpanId: whole.spanId,
    name: 'attempt',
    status: { code: 1 },
  });
  expect(seen).toBe(`00-${traceId}-${attempt.spanId}-01`);
  for (const { spanId } of [whole, attempt]) expect(spanId).toMatch(/^[0-9a-f]{16}$/);
  const said = Object.fromEntries(whole.attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
  expect(said).toMatchObject({
    'cygnet.request': answer.headers['x-request-id'],
    'gen_ai.request.model': model.id,
    'cygnet.tier': 'pro',
    'cygnet.outcome': 'completed',
  });
  expect(attempt.attributes).toContainEqual({ key: 'cygnet.provider', value: { stringValue: provider.id } });
  expect(BigInt(whole.endTimeUnixNano) >= BigInt(attempt.endTimeUnixNano)).toBe(true);
  expect(BigInt(attempt.endTimeUnixNano) >= BigInt(attempt.startTimeUnixNano)).toBe(true);
  expect(BigInt(attempt.startTimeUnixNano) >= BigInt(whole.startTimeUnixNano)).toBe(true);

  // What is no trace begins one of ours; one that is not recorded stays unrecorded, and is not passed on.
  expect((await trace('00-00000000000000000000000000000000-0000000000000000-01')).status).toBe(200);
  const [, , own] = (await spans(4)) as [Span, Span, Span];
  expect(own.traceId).toMatch(/^[0-9a-f]{32}$/);
  expect(own.traceId).not.toMatch(/^0+$/);
  expect(own).not.toHaveProperty('parentSpanId');
  expect((await trace(`00-${'c'.repeat(32)}-${'b'.repeat(16)}-00`)).status).toBe(200);
  expect(seen).toBeUndefined();

  const text = JSON.stringify(received.map((each) => each.text));
  for (const secret of [CANARY, consumer.key, consumer.id, 'Good morning'])
    expect(text).not.toContain(secret);
  expect(received[0]).toMatchObject({ path: '/v1/traces', authorization: 'Bearer of-the-collector' });
});

test('a collector that is away costs no request anything, and the market closes', async () => {
  const model = broken.aModel();
  await broken.rehearsal(model, 'rehearsal:tokens=3');
  const consumer = await broken.consumer();
  const body = { model: model.id, messages: [{ role: 'user', content: 'Hi' }] };
  expect((await ask({ url: broken.url, key: consumer.key, body })).status).toBe(200);
  await broken.stop();
});
