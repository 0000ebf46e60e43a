import { request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseUsd } from '#domain/money.ts';
import { TestMarket } from '#support/market.ts';
import { visit } from '#support/visitor.ts';
import { balanceEvent, incidentsEvent, nodesEvent } from '#wire/dashboard.ts';

let market: TestMarket;
beforeAll(async () => {
  market = await TestMarket.open();
});
afterAll(() => market.close());

async function signUp(name: string) {
  const made = await visit(`${market.url}/api/v1/user/signup`, {
    body: { email: `${name}@example.org`, password: 'correct horse' },
  });
  const { sql } = market.fresh.database;
  const [row] = await sql<
    { consumer_id: string }[]
  >`select consumer_id from users where id = ${made.json.user.id}`;
  return {
    cookie: String(made.headers['set-cookie']).split(';')[0] as string,
    key: made.json.api_key as string,
    id: row?.consumer_id as string,
  };
}

/** Reads a stream until it has told so many events of a topic. */
async function listen(headers: Record<string, string>, topics: string) {
  const answer = await request(`${market.url}/api/v1/events?topics=${topics}`, { headers });
  let text = '';
  const reading = answer.body[Symbol.asyncIterator]();
  return {
    status: answer.statusCode,
    headers: answer.headers,
    async until(topic: string, count: number): Promise<unknown> {
      for (;;) {
        const found = [...text.matchAll(new RegExp(`^event: ${topic}\\ndata: (.*)$`, 'gm'))];
        if (found.length >= count) return JSON.parse(found[count - 1]?.[1] as string);
        const { done, value } = await reading.next();
        if (done) throw new Error(`The stream ended: ${text}`);
        text += String(value);
      }
    },
    get text() {
      return text;
    },
    leave: () => answer.body.destroy(),
  };
}

/** The topics that are told to who asks once. */
async function told(headers: Record<string, string>, topics: string): Promise<string[]> {
  const answer = await request(`${market.url}/api/v1/events?topics=${topics}&once=true`, { headers });
  expect(answer.statusCode).toBe(200);
  return [...(await answer.body.text()).matchAll(/^event: (\w+)$/gm)].map(([, topic]) => topic as string);
}

test('a page hears of its balance as it changes, by its cookie', async () => {
  const consumer = await signUp('ada');
  const stream = await listen({ cookie: consumer.cookie }, 'balance,incidents');
  expect(stream.status).toBe(200);
  expect(stream.headers['content-type']).toContain('text/event-stream');
  expect(balanceEvent.parse(await stream.until('balance', 1)).total_usd).toBe('0.00');
  expect(incidentsEvent.parse(await stream.until('incidents', 1)).open).toEqual([]);
  await market.deposit({ id: consumer.id }, parseUsd('3'));
  expect(balanceEvent.parse(await stream.until('balance', 2)).total_usd).toBe('3.00');
  stream.leave();
});

test('a key hears what its owner may, a provider of its nodes', async () => {
  const consumer = await signUp('eve');
  const mine = await listen({ authorization: `Bearer ${consumer.key}` }, 'balance,nodes,operator,incidents');
  await mine.until('incidents', 1);
  mine.leave();
  const provider = await market.provider();
  const stream = await listen({ authorization: `Bearer ${provider.key}` }, 'nodes');
  expect(nodesEvent.parse(await stream.until('nodes', 1)).online).toBe(0);
  stream.leave();
});

test('a key that may do less than its owner hears nothing of its money or use', async () => {
  const consumer = await signUp('team');
  const headers = { cookie: consumer.cookie, 'x-cygnet-request': '1' };
  for (const limit of [
    { models: [market.aModel().id] },
    { cap_day_usd: '1' },
    { addresses: ['127.0.0.1'] },
  ]) {
    const made = await visit(`${market.url}/api/v1/user/me/keys`, {
      headers,
      body: { name: 'less', ...limit },
    });
    expect(made.status).toBe(201);
    const scoped = { authorization: `Bearer ${made.json.api_key}` };
    const stream = await listen(scoped, 'balance,usage,incidents');
    await stream.until('incidents', 1);
    expect(stream.text).not.toContain('event: balance');
    stream.leave();
    expect(await told(scoped, 'balance,usage,settlement')).toEqual(['settlement']);
  }
  expect(await told({ authorization: `Bearer ${consumer.key}` }, 'balance,usage')).toEqual([
    'balance',
    'usage',
  ]);
});

test('a stream ends with the session or the key that it was opened with', async () => {
  const consumer = await signUp('leaves');
  const headers = { cookie: consumer.cookie, 'x-cygnet-request': '1' };
  const made = await visit(`${market.url}/api/v1/user/me/keys`, { headers, body: { name: 'brief' } });
  const byKey = await listen({ authorization: `Bearer ${made.json.api_key}` }, 'balance');
  const bySession = await listen({ cookie: consumer.cookie }, 'balance');
  await byKey.until('balance', 1);
  await bySession.until('balance', 1);
  const over = [
    await visit(`${market.url}/api/v1/user/me/keys/${made.json.key.id}`, { method: 'DELETE', headers }),
    await visit(`${market.url}/api/v1/user/logout`, { method: 'POST', headers }),
  ];
  expect(over.map(({ status }) => status)).toEqual([200, 200]);
  for (const stream of [byKey, bySession])
    await expect(stream.until('balance', 2)).rejects.toThrow('The stream ended');
});

test('who asks how things are is answered at once, and not without end', async () => {
  const consumer = await signUp('asks');
  const headers = { authorization: `Bearer ${consumer.key}` };
  const other = await listen({ cookie: (await signUp('waits')).cookie }, 'incidents');
  expect(await told(headers, 'balance,incidents')).toEqual(['balance', 'incidents']);
  const all = await Promise.all(
    Array.from({ length: 40 }, () =>
      visit(`${market.url}/api/v1/events?topics=incidents&once=true`, { headers }),
    ),
  );
  expect(all.filter(({ status }) => status === 429).length).toBeGreaterThan(0);
  other.leave();
});

test('nobody hears anything without a session or a key', async () => {
  const answer = await request(`${market.url}/api/v1/events`);
  await answer.body.dump();
  expect(answer.statusCode).toBe(401);
});

test('a seventh stream of one account is refused in a sentence', async () => {
  const { key } = await signUp('many');
  const headers = { authorization: `Bearer ${key}` };
  const streams = await Promise.all(Array.from({ length: 6 }, () => listen(headers, 'incidents')));
  const refused = await visit(`${market.url}/api/v1/events`, { token: key });
  expect(refused.status).toBe(429);
  for (const stream of streams) stream.leave();
});
