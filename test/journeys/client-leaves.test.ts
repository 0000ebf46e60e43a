import { afterAll, beforeAll, expect, test } from 'vitest';
import { askStream, HELLO } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import type { Script, Served } from '#support/swan-agent.ts';

// A client that leaves: the provider is told at once, what was passed on is paid for, and nothing stays reserved.

let market: TestMarket;
beforeAll(async () => {
  market = await TestMarket.open();
});
afterAll(() => market.close());

/** Begins an answer and goes on only when the test says so. */
function held(): { script: Script; begun: Promise<Served> } {
  let begin: (served: Served) => void = () => {};
  const begun = new Promise<Served>((resolve) => {
    begin = resolve;
  });
  return {
    begun,
    script: (served) => {
      if (served.stream) {
        served.role();
        for (const word of ['one ', 'two ', 'three']) served.token(word);
      }
      begin(served);
    },
  };
}

test('in mid-stream: the agent hears it, three tokens are paid for, the hold is gone', async () => {
  const model = market.aModel();
  const { script, begun } = held();
  const { agent, id } = await market.swan(model, script);
  const consumer = await market.consumer();
  const stream = await askStream({
    url: market.url,
    key: consumer.key,
    body: { model: model.id, messages: HELLO },
  });
  await stream.tokens(3);
  stream.leave();
  const served = await begun;
  await agent.until(() => served.cancelled);
  const [row] = await market.usage(consumer, 1);
  expect(row).toMatchObject({ outcome: 'cancelled', errorCode: 'client-left', outputTokens: 3 });
  expect(row?.charge).toBe(BigInt(row?.inputTokens ?? 0) * model.inputPico + 3n * model.outputPico);
  expect(await market.account(`provider:${id}`)).toBeGreaterThan(0n);
  expect(await market.health()).toMatchObject({ in_flight: 0 });
});

test('of an agent that knows no cancel: its late chunks are dropped and not paid', async () => {
  const model = market.aModel();
  const { script, begun } = held();
  await market.swan(model, script, { generation: 'A' });
  const consumer = await market.consumer();
  const stream = await askStream({
    url: market.url,
    key: consumer.key,
    body: { model: model.id, messages: HELLO },
  });
  await stream.tokens(3);
  stream.leave();
  const served = await begun;
  expect(await market.usage(consumer, 1)).toMatchObject([{ outcome: 'cancelled', outputTokens: 3 }]);
  for (let i = 0; i < 50; i++) served.token(`late ${i} `);
  served.usage(7, 53);
  served.done();
  served.end();
  expect(await market.usage(consumer, 1)).toMatchObject([{ outcome: 'cancelled', outputTokens: 3 }]);
});

test('of our own agent: the bill is what was passed on, never what was made afterwards', async () => {
  const model = market.aModel();
  await market.rehearsal(model, 'rehearsal:endless,paced=1');
  const consumer = await market.consumer();
  const stream = await askStream({
    url: market.url,
    key: consumer.key,
    body: { model: model.id, messages: HELLO },
  });
  await stream.tokens(10);
  stream.leave();
  const [row] = await market.usage(consumer, 1);
  expect(row).toMatchObject({ outcome: 'cancelled' });
  expect(row?.outputTokens).toBeGreaterThanOrEqual(10);
  // Whatever was on its way when the client left; an endless answer ended because it was cancelled.
  expect(row?.outputTokens).toBeLessThan(500);
});

test('before the first token: the agent hears it, and nothing is charged', async () => {
  const model = market.aModel();
  let begin: (served: Served) => void = () => {};
  const begun = new Promise<Served>((resolve) => {
    begin = resolve;
  });
  const { agent } = await market.swan(model, (served) => begin(served));
  const consumer = await market.consumer();
  const leave = new AbortController();
  const asked = fetch(`${market.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${consumer.key}` },
    body: JSON.stringify({ model: model.id, stream: true, messages: HELLO }),
    signal: leave.signal,
  });
  const served = await begun;
  leave.abort();
  await expect(asked).rejects.toThrow('aborted');
  await agent.until(() => served.cancelled);
  expect(await market.usage(consumer, 1)).toMatchObject([
    { outcome: 'cancelled', outputTokens: 0, inputTokens: 0, charge: 0n },
  ]);
});

test('without waiting for an unstreamed answer: cancelled, nothing was passed on, nothing is charged', async () => {
  const model = market.aModel();
  const { script, begun } = held();
  const { agent } = await market.swan(model, script);
  const consumer = await market.consumer();
  const leave = new AbortController();
  const asked = fetch(`${market.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${consumer.key}` },
    body: JSON.stringify({ model: model.id, messages: HELLO }),
    signal: leave.signal,
  });
  const served = await begun;
  leave.abort();
  await expect(asked).rejects.toThrow('aborted');
  await agent.until(() => served.cancelled);
  expect(await market.usage(consumer, 1)).toMatchObject([{ outcome: 'cancelled', charge: 0n }]);
});

test('a hundred times: no place, no hold and no slot is lost', async () => {
  const model = market.aModel();
  await market.rehearsal(model, 'rehearsal:endless,paced=2');
  const consumer = await market.consumer();
  const streams = await Promise.all(
    Array.from({ length: 99 }, () =>
      askStream({
        url: market.url,
        key: consumer.key,
        body: { model: model.id, messages: HELLO, max_tokens: 500 },
      }),
    ),
  );
  for (const stream of streams) stream.leave();
  const rows = await market.usage(consumer, 99);
  expect(rows.every((row) => row.outcome === 'cancelled')).toBe(true);
  expect(await market.health()).toMatchObject({ in_flight: 0 });
  // All hundred places of the key are free again.
  const again = await Promise.all(
    Array.from({ length: 100 }, () =>
      askStream({
        url: market.url,
        key: consumer.key,
        body: { model: model.id, messages: HELLO, max_tokens: 500 },
      }),
    ),
  );
  expect(again.map((stream) => stream.status)).toEqual(Array.from({ length: 100 }, () => 200));
  for (const stream of again) stream.leave();
  await market.usage(consumer, 199);
});
