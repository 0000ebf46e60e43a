import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, HELLO } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import { answerAs, json, Upstream } from '#support/upstream.ts';
import { visit } from '#support/visitor.ts';
import { type WhyAnswer, whyAnswer } from '#wire/console.ts';

// The market asks external endpoints by itself for a small completion: one that lists its models and answers nothing is
// found out before a consumer finds it out.

const LONG = { timeout: 25_000 };
let market: TestMarket;
const servers: Upstream[] = [];
beforeAll(async () => {
  market = await TestMarket.open({
    config: { watch: { probes: true, probePauseMs: { least: 1_000, most: 1_200 } } },
  });
});
afterAll(async () => {
  await market.close();
  await Promise.all(servers.map((each) => each.close()));
});

async function server(): Promise<Upstream> {
  const upstream = await Upstream.open();
  upstream.answer = (turn) => answerAs('vllm', ['Good', ' morning', '.'], turn);
  servers.push(upstream);
  return upstream;
}

test('an endpoint that only lists models leaves rotation after two failed completions, and returns by a trial once it answers', async () => {
  const model = market.aModel();
  const [sound, hollow] = [await server(), await server()];
  hollow.answer = ({ response }) => json(response, 500, { error: { message: 'CUDA out of memory' } });
  await market.external(model, sound);
  const owner = await market.external(model, hollow);
  const why = async (): Promise<WhyAnswer['models'][number]['nodes'][number] | undefined> =>
    whyAnswer.parse((await visit(`${market.url}/api/v1/provider/why`, { token: owner.key })).json).models[0]
      ?.nodes[0];
  const candidate = () =>
    market.marketplace.hub.candidates(model.id).find(({ providerId }) => providerId === owner.id);

  await expect.poll(() => candidate()?.breaker.state, LONG).toBe('open');
  // Its list of models is in order all the while, and its own check says so.
  expect(market.endpoint(owner.endpointId)?.health).toBe('healthy');
  expect(hollow.asked.length).toBeGreaterThanOrEqual(2);
  expect(hollow.asked.length).toBeLessThan(5);
  for (const { body } of hollow.asked) expect(body).toMatchObject({ stream: true, model: 'local-name' });
  expect(Number(hollow.asked[0]?.body['max_tokens'])).toBeLessThanOrEqual(24);
  await expect
    .poll(why, LONG)
    .toMatchObject({ verdict: 'circuit-open', last_probe: { ok: false, because: expect.any(String) } });

  // Consumers are served by the other meanwhile, and the endpoint is left alone.
  const consumer = await market.consumer();
  const before = hollow.asked.length;
  expect(
    (await ask({ url: market.url, key: consumer.key, body: { model: model.id, messages: HELLO } })).status,
  ).toBe(200);
  expect(hollow.asked.length).toBe(before);

  hollow.answer = (turn) => answerAs('vllm', ['Good', ' morning', '.'], turn);
  await expect.poll(() => candidate()?.breaker.state, LONG).toBe('closed');
  await expect.poll(why, LONG).toMatchObject({ verdict: null, last_probe: { ok: true, because: null } });

  // Each answer was paid for, by the platform.
  await market.posted();
  const rows = await market.fresh.database.sql<{ consumer_id: string; charge: bigint }[]>`
    select consumer_id, charge from usage where provider_id = ${owner.id} and charge > 0`;
  expect(rows.length).toBeGreaterThan(0);
  expect(new Set(rows.map((row) => row.consumer_id))).toEqual(new Set(['con_probes']));
});
