import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Sealed } from '#kit/sealed.ts';
import { TestMarket } from '#support/market.ts';
import type { TestParty } from '#support/parties.ts';

const CHAT = 'zai-org/GLM-4.7-Flash';
const TOKEN = 'read-the-metrics-please';

let market: TestMarket;
let guarded: TestMarket;
let consumer: TestParty;
beforeAll(async () => {
  market = await TestMarket.open();
  guarded = await TestMarket.open({ on: market, config: { access: { metricsToken: new Sealed(TOKEN) } } });
  consumer = await market.consumer();
  await market.agent(await market.provider(), [`${CHAT}=rehearsal:tokens=5`]);
});
afterAll(async () => {
  await guarded.close();
  await market.close();
});

async function read(of: TestMarket, headers: Record<string, string> = {}) {
  const answer = await fetch(`${of.url}/metrics`, { headers });
  return { status: answer.status, type: answer.headers.get('content-type'), text: await answer.text() };
}

async function ask(model: string, stream = true): Promise<number> {
  const answer = await fetch(`${market.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${consumer.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, stream, messages: [{ role: 'user', content: 'canary-7f3a' }] }),
  });
  await answer.text();
  return answer.status;
}

/** The samples of a page: every line is a comment or `name{labels} value`. */
function samplesOf(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('# ')) continue;
    const match = /^([a-z_:][a-z0-9_:]*(?:\{(?:[a-z_]+="[^"\n]*",?)*\})?) (-?[0-9.e+-]+|NaN|[+-]Inf)$/i.exec(
      line,
    );
    if (!match) throw new Error(`Not a sample: ${line}`);
    samples.set(match[1] as string, Number(match[2]));
  }
  return samples;
}

describe('what a page of metrics says', () => {
  test('counts, durations and tokens of what was served, and who could serve it', async () => {
    expect(await ask(CHAT)).toBe(200);
    expect(await ask(CHAT, false)).toBe(200);
    const page = await read(market);
    expect(page).toMatchObject({ status: 200, type: expect.stringContaining('version=0.0.4') });
    const samples = samplesOf(page.text);
    const of = (name: string, more = ''): number | undefined =>
      samples.get(`${name}{model="${CHAT}",tier="pro"${more}}`);
    expect(of('cygnet_requests_total', ',outcome="completed"')).toBe(2);
    expect(of('cygnet_output_tokens_total')).toBe(10);
    for (const name of ['ttft', 'ttlt', 'queue']) {
      expect(of(`cygnet_${name}_seconds_count`)).toBe(2);
      expect(of(`cygnet_${name}_seconds_bucket`, ',le="+Inf"')).toBe(2);
    }
    expect(of('cygnet_tokens_per_second_count')).toBe(1);
    expect(samples.get(`cygnet_candidates{model="${CHAT}",state="ready"}`)).toBe(1);
    expect(samples.get('cygnet_agents')).toBe(1);
    expect(samples.get('cygnet_journal_healthy')).toBe(1);
    expect(page.text).not.toContain('canary-7f3a');
    expect(page.text).not.toContain(consumer.id);
  });

  test('a model without a provider spends the error budget, under its code', async () => {
    const { id } = market.aModel();
    expect(await ask(id)).toBe(503);
    const samples = samplesOf((await read(market)).text);
    expect(samples.get(`cygnet_server_errors_total{model="${id}",tier="pro"}`)).toBe(1);
    expect(samples.get(`cygnet_errors_total{model="${id}",tier="pro",code="model-without-provider"}`)).toBe(
      1,
    );
    expect(samples.get(`cygnet_requests_total{model="${id}",tier="pro",outcome="refused"}`)).toBe(1);
  });

  test('the buckets of a histogram grow to its count', async () => {
    await ask(CHAT);
    const rows = [...samplesOf((await read(market)).text)].filter(([name]) =>
      name.startsWith(`cygnet_ttft_seconds_bucket{model="${CHAT}"`),
    );
    expect(rows.length).toBeGreaterThan(10);
    for (let i = 1; i < rows.length; i++)
      expect((rows[i] as [string, number])[1]).toBeGreaterThanOrEqual((rows[i - 1] as [string, number])[1]);
  });
});

describe('who may read it', () => {
  test('this machine, where there is no token; not through a proxy', async () => {
    expect((await read(market)).status).toBe(200);
    expect((await read(market, { 'x-forwarded-for': '203.0.113.9' })).status).toBe(404);
    expect((await read(market, { forwarded: 'for=127.0.0.1' })).status).toBe(404);
  });

  test('whoever has the token, where there is one; nobody else, not even here', async () => {
    expect((await read(guarded, { authorization: `Bearer ${TOKEN}` })).status).toBe(200);
    expect((await read(guarded, { authorization: `Bearer ${TOKEN}x` })).status).toBe(401);
    const without = await read(guarded);
    expect(without.status).toBe(401);
    expect(without.text).toContain('metrics_token_wrong');
  });
});

test('what was measured is in the table when the market has closed', async () => {
  const other = await TestMarket.open({ on: market });
  const key = await other.consumer();
  await other.agent(await other.provider(), ['cygnet/cygnet-nano=rehearsal:tokens=3']);
  const answer = await fetch(`${other.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'cygnet/cygnet-nano', messages: [{ role: 'user', content: 'Hi' }] }),
  });
  expect(answer.status).toBe(200);
  await other.close();
  const rows = await market.fresh.database.sql<{ requests: bigint; tier: string; output_tokens: bigint }[]>`
    select requests, tier, output_tokens from service_minutes where model_id = 'cygnet/cygnet-nano'`;
  expect(rows).toEqual([{ requests: 1n, tier: 'pro', output_tokens: 3n }]);
});
