import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rehearsedText } from '#agent/backends/rehearsal.ts';
import { PLAYGROUND } from '#gateway/playground.ts';
import { TestMarket } from '#support/market.ts';
import { operatorsBook } from '#support/parties.ts';

const CHAT = 'zai-org/GLM-4.7-Flash';
const account = { id: PLAYGROUND.ownerId };

let market: TestMarket;
beforeAll(async () => {
  // This machine stands for a proxy, so that each test can come from an address of its own.
  market = await TestMarket.open({ config: { access: { trustedProxies: ['127.0.0.0/8'] } } });
  await market.agent(await market.provider(), [`${CHAT}=rehearsal:tokens=500`]);
});
afterAll(() => market.close());

let addresses = 0;
const anAddress = () => `203.0.113.${++addresses}`;

async function chat(from: string, over: Record<string, unknown> = {}, path = 'chat') {
  const answer = await fetch(`${market.url}/v1/playground/${path}`, {
    method: 'POST',
    headers: { 'x-forwarded-for': from },
    body: JSON.stringify({ model: 'glm-4.7-flash', messages: [{ role: 'user', content: 'Hi' }], ...over }),
  });
  return {
    status: answer.status,
    headers: answer.headers,
    body: (await answer.json()) as Record<string, unknown>,
  };
}

describe('the playground', () => {
  test('without credit says so: it is no free money', async () => {
    const { status, body } = await chat(anAddress());
    expect(status).toBe(503);
    expect(body).toMatchObject({ error: { code: 'playground_empty' } });
  });

  test('answers without a key, at most 100 tokens, and its account pays', async () => {
    await operatorsBook(market.fresh.database).grant(account.id, 10_000_000_000n, 'grant_playground');
    const { status, headers, body } = await chat(anAddress(), {
      max_tokens: 400,
      max_completion_tokens: 400,
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      model: CHAT,
      choices: [{ message: { content: rehearsedText(100) }, finish_reason: 'length' }],
      usage: { completion_tokens: 100 },
    });
    expect(headers.get('x-ratelimit-remaining')).toBe('4');
    const [row] = await market.usage(account, 1);
    expect(row).toMatchObject({ outcome: 'completed', outputTokens: 100 });
    expect(await market.balance(account)).toMatchObject({ total: 10_000_000_000n - (row?.charge ?? 0n) });
  });

  test('takes five requests an hour from one address, at either of its addresses, and no longer believes a stranger', async () => {
    const from = anAddress();
    for (let i = 0; i < 5; i++)
      expect(await chat(from, {}, i % 2 ? 'chat' : 'chat/completions')).toMatchObject({ status: 200 });
    const { status, headers, body } = await chat(`1.2.3.4, ${from}`);
    expect(status).toBe(429);
    expect(body).toMatchObject({ error: { code: 'rate_limit_exceeded' } });
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(3_500);
    expect(await chat(anAddress())).toMatchObject({ status: 200 });
  });

  test.each([
    ['streaming', { stream: true }, 'stream'],
    ['several answers', { n: 2 }, 'n'],
  ])('refuses %s', async (_what, over, param) => {
    expect(await chat(anAddress(), over)).toMatchObject({ status: 400, body: { error: { param } } });
  });

  test.each(['max_tokens', 'max_completion_tokens'])('refuses a bad %s by its own bound', async (param) => {
    const { status, body } = await chat(anAddress(), { [param]: 20_000 });
    expect([status, body]).toMatchObject([400, { error: { param } }]);
    expect(JSON.stringify(body)).toContain('from 1 to 100: the playground answers with at most 100 tokens');
  });

  test('refuses a long prompt', async () => {
    const content = 'x'.repeat(70_000);
    expect(await chat(anAddress(), { messages: [{ role: 'user', content }] })).toMatchObject({ status: 413 });
  });

  test('lists what can be chatted with, and nothing else', async () => {
    const answer = await fetch(`${market.url}/v1/playground/models`);
    const { data } = (await answer.json()) as {
      data: { id: string; category: string; available: boolean }[];
    };
    expect(data.find(({ id }) => id === CHAT)).toMatchObject({ available: true });
    expect(new Set(data.map(({ category }) => category))).toEqual(new Set(['llm', 'multimodal']));
  });

  test('is not there when the operator wants none', async () => {
    const without = await TestMarket.open({ on: market, config: { playground: { enabled: false } } });
    const posted = await fetch(`${without.url}/v1/playground/chat`, { method: 'POST', body: '{}' });
    const listed = await fetch(`${without.url}/v1/playground/models`);
    expect([posted.status, listed.status]).toEqual([404, 404]);
    await Promise.all([posted.text(), listed.text()]);
    await without.close();
  });
});
