import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestMarket } from '#support/market.ts';
import type { TestModel, TestParty } from '#support/parties.ts';

let market: TestMarket;
let model: TestModel;
beforeAll(async () => {
  market = await TestMarket.open();
  model = market.aModel();
  // Two places of 60 ms each: about 33 answers a second.
  await market.agent(await market.provider(), [`${model.id}=rehearsal:tokens=3,first=60`], { perModel: 2 });
});
afterAll(() => market.close());

interface Seen {
  readonly who: string;
  readonly status: number;
  readonly retryAfter: string | null;
}

async function ask(who: string, party: TestParty): Promise<Seen> {
  const answer = await fetch(`${market.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${party.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: model.id, max_tokens: 3, messages: [{ role: 'user', content: 'Hi' }] }),
  });
  await answer.text();
  return { who, status: answer.status, retryAfter: answer.headers.get('retry-after') };
}

test('requests wait for a busy model instead of being refused, and a tenant that floods it does not shut out others', async () => {
  const greedy = await market.consumer();
  const modest = await Promise.all([1, 2, 3].map(() => market.consumer()));
  const flood = Array.from({ length: 60 }, () => ask('greedy', greedy));
  const others = modest.flatMap((party, at) => [1, 2].map(() => ask(`modest ${at}`, party)));
  const seen = await Promise.all([...flood, ...others]);
  expect(seen.filter(({ who }) => who !== 'greedy').map(({ status }) => status)).toEqual([
    200, 200, 200, 200, 200, 200,
  ]);
  const refused = seen.filter(({ status }) => status !== 200);
  for (const { status, retryAfter } of refused) {
    expect(status).toBe(503);
    expect(Number(retryAfter)).toBeGreaterThanOrEqual(1);
  }
  // Far more than the two that had a place at once.
  expect(seen.length - refused.length).toBeGreaterThan(20);
});

test('a client that leaves while it waits is charged nothing, and its place goes to the next', async () => {
  const party = await market.consumer();
  const leaver = await market.consumer();
  const busy = Array.from({ length: 10 }, () => ask('busy', party));
  const leaving = new AbortController();
  const left = fetch(`${market.url}/v1/chat/completions`, {
    method: 'POST',
    signal: leaving.signal,
    headers: { authorization: `Bearer ${leaver.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: model.id, messages: [{ role: 'user', content: 'Hi' }] }),
  }).catch(() => 'left');
  leaving.abort();
  expect(await left).toBe('left');
  expect((await Promise.all(busy)).every(({ status }) => status === 200)).toBe(true);
  await market.posted();
  expect(await market.usage(leaver, 0)).toEqual([]);
});
