import { afterAll, beforeAll, expect, test } from 'vitest';
import { SPLIT_POLICIES, type SplitPolicy, shareOut } from '#domain/policy.ts';
import { ask } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import { visit } from '#support/visitor.ts';

// What a request leaves behind about the way it took: for its consumer, for the operator, and for nobody else.

const CANARY = 'canary-4b1d-of-the-prompt';

let market: TestMarket;
beforeAll(async () => {
  market = await TestMarket.open();
});
afterAll(() => market.close());

async function operator(): Promise<string> {
  const made = await visit(`${market.url}/api/v1/user/signup`, {
    body: { email: 'boss@example.org', password: 'correct horse' },
  });
  await market.fresh.database.sql`update users set is_operator = true where id = ${made.json.user.id}`;
  return made.json.token as string;
}

test('a request that took two attempts shows both, with queue time, region, blame and parts, to those whom it concerns', async () => {
  const model = market.aModel();
  const bad = await market.swan(model, (served) => served.end({ error: 'gone', status_code: 500 }));
  const good = await market.rehearsal(model, 'rehearsal:tokens=3');
  await market.fresh.database.sql`update providers set region = 'eu-west' where id = ${good.id}`;
  const consumer = await market.consumer();
  const stranger = await market.consumer();
  const body = {
    model: model.id,
    max_tokens: 3,
    messages: [{ role: 'user', content: CANARY }],
    provider: { order: [bad.id] },
  };
  const answer = await ask({ url: market.url, key: consumer.key, body });
  expect(answer.status).toBe(200);
  const generation = async (id: string, key: string) =>
    await visit(`${market.url}/v1/generation?id=${id}`, { token: key });
  const retried = await generation(answer.headers['x-request-id'] as string, consumer.key);
  expect(retried.json.data).toMatchObject({ attempts: 2, tier: 'pro', at_fault: null, fallback_used: null });
  const { route, queue_ms: queueMs } = retried.json.data as {
    route: { provider: string; result: string; started_ms: number; took_ms: number }[];
    queue_ms: number;
  };
  expect(route).toMatchObject([
    { provider: bad.id, model: model.id, result: 'failed', connection_mode: 'websocket' },
    { provider: good.id, model: model.id, result: 'served', connection_mode: 'websocket' },
  ]);
  expect(queueMs).toBeGreaterThanOrEqual(0);
  expect(route[0]?.started_ms).toBeGreaterThanOrEqual(queueMs);
  expect(route[1]?.started_ms).toBeGreaterThanOrEqual((route[0]?.started_ms ?? 0) + (route[0]?.took_ms ?? 0));

  await market.posted();
  const id = retried.json.data.request_id as string;
  expect((await generation(id, consumer.key)).json.data).toEqual(retried.json.data);
  expect((await generation(id, stranger.key)).status).toBe(404);

  const listed = await visit(`${market.url}/api/v1/operator/requests?consumer=${consumer.id}`, {
    token: await operator(),
  });
  const mine = listed.json.requests.find((each: { id: string }) => each.id === id);
  expect(mine).toMatchObject({ consumer: consumer.id, provider: good.id, tier: 'pro' });
  expect(mine.route).toMatchObject([{ provider: bad.id }, { provider: good.id, node: expect.any(String) }]);
  const [row] = await market.fresh.database.sql<
    { charge: bigint; policy: string; provider_part: bigint; market_part: bigint }[]
  >`select u.charge, u.policy, o.provider_part, o.market_part from usage u
    join request_outcomes o on o.request_id = u.id where u.id = ${id}`;
  const { charge, policy, provider_part: part, market_part: kept } = row as NonNullable<typeof row>;
  expect(part).toBe(shareOut(charge, SPLIT_POLICIES[policy] as SplitPolicy).provider);
  expect(part + kept).toBe(charge);
  expect(charge).toBeGreaterThan(0n);

  expect(
    (await visit(`${market.url}/api/v1/operator/requests`, { token: consumer.key })).status,
  ).toBeGreaterThanOrEqual(401);
  const [all] = await market.fresh.database.sql`select json_agg(o)::text as text from request_outcomes o`;
  expect(all?.['text']).toContain(id);
  expect(all?.['text']).not.toContain(CANARY);
  expect(all?.['text']).not.toContain(consumer.key);
});
