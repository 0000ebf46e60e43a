import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rehearsedText } from '#agent/backends/rehearsal.ts';
import { ask, askStream, HELLO } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import { answerPlainly, type Script } from '#support/swan-agent.ts';

// Providers that die, refuse, lie or fall silent. The consumer gets an honest error or somebody else's answer, and pays
// for a whole answer exactly once and for a broken one never.

let market: TestMarket;
beforeAll(async () => {
  market = await TestMarket.open({
    config: {
      hub: { firstTokenDeadlineMs: 400, gapDeadlineMs: 400 },
      // Each in turn, so that a test meets the provider it is about.
      routing: { strategy: 'round-robin' },
    },
  });
});
afterAll(() => market.close());

/** Three tokens, and then whatever `then` does. */
const midway =
  (then: Script): Script =>
  (served) => {
    served.role();
    for (const word of ['one ', 'two ', 'three']) served.token(word);
    then(served);
  };

describe('a provider that breaks off after the first token', () => {
  test.each<[string, Script]>([
    ['its agent is killed', midway((served) => served.agent.stop())],
    [
      'its agent ends the stream with an error',
      midway((served) => served.end({ error: 'CUDA OOM on gpu-7.internal', status_code: 500 })),
    ],
    ['its agent falls silent', midway(() => {})],
    [
      'its agent ends the stream as if nothing had been asked',
      midway((served) => served.end({ error: 'gone', status_code: 404 })),
    ],
  ])('%s: an error event, no [DONE], free and unpaid', async (_, script) => {
    const model = market.aModel();
    const provider = await market.swan(model, script);
    const consumer = await market.consumer();
    const { total } = await market.balance(consumer);
    const stream = await askStream({
      url: market.url,
      key: consumer.key,
      body: { model: model.id, messages: HELLO, stream_options: { include_usage: true } },
    });
    expect(stream.status).toBe(200);
    await stream.ended;
    expect(stream.text).toBe('one two three');
    expect(stream.done).toBe(false);
    expect(stream.error).toEqual({
      error: {
        message: 'The answer was cut off. You were not charged.',
        type: 'server_error',
        code: 'provider_cut_off',
        param: null,
      },
    });
    expect(stream.events.at(-1)?.event).toBe('error');
    expect(stream.chunks.some((chunk) => chunk.usage || chunk.choices[0].finish_reason)).toBe(false);
    expect(stream.bytes).not.toMatch(/CUDA|internal|gone|local-name/);
    expect(await market.usage(consumer, 1)).toMatchObject([
      { outcome: 'broken', errorCode: 'provider-cut-off', charge: 0n, providerId: provider.id, attempts: 1 },
    ]);
    expect((await market.balance(consumer)).total).toBe(total);
    expect(await market.account(`provider:${provider.id}`)).toBe(0n);
  });

  test('our own agent, killed without a goodbye: the same', async () => {
    const model = market.aModel();
    const { agent, id } = await market.rehearsal(model, 'rehearsal:endless,paced=1');
    const consumer = await market.consumer();
    const stream = await askStream({
      url: market.url,
      key: consumer.key,
      body: { model: model.id, messages: HELLO },
    });
    await stream.tokens(3);
    await agent.close();
    await stream.ended;
    expect(stream.done).toBe(false);
    expect(stream.error).toMatchObject({ error: { code: 'provider_cut_off' } });
    expect(await market.usage(consumer, 1)).toMatchObject([{ outcome: 'broken', charge: 0n }]);
    expect(await market.account(`provider:${id}`)).toBe(0n);
  });

  test('is not continued by another: what came is a part of one answer', async () => {
    const model = market.aModel();
    await market.rehearsal(model, 'rehearsal:cut=5');
    await market.rehearsal(model, 'rehearsal:cut=5');
    const consumer = await market.consumer();
    const stream = await askStream({
      url: market.url,
      key: consumer.key,
      body: { model: model.id, messages: HELLO },
    });
    await stream.ended;
    expect(stream.text).toBe(rehearsedText(5));
    expect(stream.done).toBe(false);
    expect(await market.usage(consumer, 1)).toMatchObject([{ attempts: 1, charge: 0n }]);
  });

  test('of an unstreamed answer, and nobody else there: 502, free', async () => {
    const model = market.aModel();
    await market.swan(model, (served) => served.agent.stop());
    const consumer = await market.consumer();
    const { status, json } = await ask({
      url: market.url,
      key: consumer.key,
      body: { model: model.id, messages: HELLO },
    });
    expect(status).toBe(502);
    expect(json.error).toMatchObject({ type: 'server_error', code: 'provider_cut_off' });
    expect(await market.usage(consumer, 1)).toMatchObject([{ outcome: 'failed', charge: 0n }]);
  });
});

describe('a provider that fails before the first token', () => {
  const failures: [string, Script][] = [
    ['dies', (served) => served.agent.stop()],
    ['answers 500', (served) => served.end({ error: 'boom', status_code: 500 })],
    ['answers 401, as if our key were meant', (served) => served.end({ error: 'bad key', status_code: 401 })],
    [
      'answers 404, as if our model were unknown',
      (served) => served.end({ error: 'no model', status_code: 404 }),
    ],
    ['is busy', (served) => served.end({ error: 'busy', status_code: 429 })],
    ['is silent', () => {}],
    [
      'calls an empty answer complete',
      (served) => {
        served.done();
        served.end();
      },
    ],
  ];
  test.each(failures)('that %s is replaced, and the consumer pays once', async (_, script) => {
    const model = market.aModel();
    const failing = await market.swan(model, script);
    const good = await market.swan(model, answerPlainly);
    const consumer = await market.consumer();
    const stream = await askStream({
      url: market.url,
      key: consumer.key,
      // Asked for first, so that it is met: otherwise chance decides.
      body: { model: model.id, messages: HELLO, provider: { order: [failing.id] } },
    });
    await stream.ended;
    expect(stream.status).toBe(200);
    expect(stream.text).toBe('one two three');
    expect(stream.done).toBe(true);
    expect(failing.agent.inferences).toHaveLength(1);
    const rows = await market.usage(consumer, 1);
    expect(rows.map((row) => row.attempts)).toEqual([2]);
    const charge = 7n * model.inputPico + 3n * model.outputPico;
    for (const row of rows) expect(row).toMatchObject({ outcome: 'completed', providerId: good.id, charge });
    expect(await market.account(`provider:${failing.id}`)).toBe(0n);
  });

  test('fails the request when all three that are tried fail, and tries no fourth', async () => {
    const model = market.aModel();
    const agents = [];
    for (let i = 0; i < 5; i++) {
      agents.push(await market.swan(model, (served) => served.end({ error: 'boom', status_code: 500 })));
    }
    const consumer = await market.consumer();
    const { status, json } = await ask({
      url: market.url,
      key: consumer.key,
      body: { model: model.id, messages: HELLO, stream: true },
    });
    expect(status).toBe(502);
    expect(json.error.code).toBe('provider_failed');
    expect(agents.map(({ agent }) => agent.inferences.length).toSorted((a, b) => a - b)).toEqual([
      0, 0, 1, 1, 1,
    ]);
    expect(await market.usage(consumer, 1)).toMatchObject([{ outcome: 'failed', attempts: 3, charge: 0n }]);
  });

  test('by refusing the request itself is believed: 400, nobody else is asked', async () => {
    const model = market.aModel();
    const one = await market.swan(model, (served) =>
      served.end({ error: 'unsupported: logit_bias at /srv/vllm/api.py:310', status_code: 400 }),
    );
    const consumer = await market.consumer();
    const { status, json, text } = await ask({
      url: market.url,
      key: consumer.key,
      body: { model: model.id, messages: HELLO, stream: true },
    });
    expect(status).toBe(400);
    expect(json.error.type).toBe('invalid_request_error');
    expect(text).not.toContain('vllm');
    expect(one.agent.inferences).toHaveLength(1);
    expect(await market.usage(consumer, 1)).toMatchObject([{ outcome: 'failed', attempts: 1, charge: 0n }]);
  });
});

test('a request that kills its providers is not tried across the fleet', async () => {
  const model = market.aModel();
  const fleet = [];
  for (let i = 0; i < 6; i++) fleet.push(await market.swan(model, (served) => served.agent.reconnect()));
  const consumer = await market.consumer();
  const poison = { model: model.id, messages: [{ role: 'user', content: 'the killing prompt' }] };
  const statuses: number[] = [];
  for (let i = 0; i < 4; i++) {
    statuses.push((await ask({ url: market.url, key: consumer.key, body: poison })).status);
  }
  const lost = fleet.reduce((sum, { agent }) => sum + agent.inferences.length, 0);
  expect(lost).toBeLessThanOrEqual(3);
  expect(statuses.at(-1)).toBe(400);
});
