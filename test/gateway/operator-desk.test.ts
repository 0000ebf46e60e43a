import assert from 'node:assert/strict';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decimalUsd, parseUsd } from '#domain/money.ts';
import { setOperator } from '#identity/accounts.ts';
import { audit } from '#ledger/audit.ts';
import { ask as askModel } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import { visit } from '#support/visitor.ts';
import {
  approvalsAnswer,
  consumerAnswer,
  consumersAnswer,
  logAnswer,
  operatorPricesAnswer,
  priceSetAnswer,
  proposalAnswer,
  proposalsAnswer,
} from '#wire/dashboard.ts';

let market: TestMarket;
let operator: string;
let consumer: { token: string; id: string; key: string };
const at = (path: string): string => `${market.url}/api/v1${path}`;
const signUp = async (email: string) =>
  (await visit(at('/user/signup'), { body: { email, password: 'correct horse' } })).json;

beforeAll(async () => {
  market = await TestMarket.open();
  operator = (await signUp('boss@example.org')).token;
  await setOperator(market.fresh.database, {
    email: 'boss@example.org',
    isOperator: true,
    actor: 'cli',
    at: Date.now(),
  });
  const made = await signUp('ada@example.org');
  const { sql } = market.fresh.database;
  const [row] = await sql<{ consumer_id: string }[]>`
    select consumer_id from users where id = ${made.user.id}`;
  consumer = { token: made.token, key: made.api_key, id: row?.consumer_id as string };
});
afterAll(async () => {
  const report = await audit(market.fresh.database);
  await market.close();
  assert.deepEqual(report.differences, []);
});

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
const ask = (method: Method, path: string, body?: object, as = operator) =>
  visit(at(`/operator${path}`), { method, token: as, ...(body && { body }) });
const log = async (about: string) =>
  logAnswer.parse((await ask('GET', `/log?about=${encodeURIComponent(about)}`)).json).actions;

describe('a consumer', () => {
  test('is found by a part of its address, and read with what it has', async () => {
    const found = consumersAnswer.parse((await ask('GET', '/consumers?q=ADA@')).json);
    expect(found.consumers.map(({ id }) => id)).toEqual([consumer.id]);
    const { consumer: one } = consumerAnswer.parse((await ask('GET', `/consumers/${consumer.id}`)).json);
    expect(one).toMatchObject({ email: 'ada@example.org', balance_usd: '0.00', suspended_at: null });
  });

  test('gets credit once, however often it is given under one reference', async () => {
    const credit = { amount_usd: '2.5', reference: 'sorry-1' };
    const all = await Promise.all(
      [1, 2, 3].map(() => ask('POST', `/consumers/${consumer.id}/credit`, credit)),
    );
    expect(all.map(({ json }) => json.balance_usd)).toEqual(['2.50', '2.50', '2.50']);
  });

  test('is credited what came by bank, once', async () => {
    const payment = { method: 'bank', amount_usd: '10', reference: 'wire-77' };
    expect((await ask('POST', `/consumers/${consumer.id}/payments`, payment)).json.payment).toBe('booked');
    expect((await ask('POST', `/consumers/${consumer.id}/payments`, payment)).json.payment).toBe('known');
    const other = { ...payment, amount_usd: '11' };
    expect((await ask('POST', `/consumers/${consumer.id}/payments`, other)).status).toBe(409);
  });

  test('that is suspended is refused at once, and is served again when it is restored', async () => {
    const model = market.aModel();
    await market.rehearsal(model);
    const body = { model: model.id, messages: [{ role: 'user', content: 'Hi' }] };
    const suspend = (suspended: boolean, reason = '') =>
      ask('POST', `/consumers/${consumer.id}/suspension`, { suspended, reason });
    expect((await askModel({ url: market.url, key: consumer.key, body })).status).toBe(200);
    expect((await suspend(true)).status).toBe(400);
    expect((await suspend(true, 'stolen card')).json.changed).toBe(true);
    const refused = await askModel({ url: market.url, key: consumer.key, body });
    expect(refused.status).toBe(403);
    expect(refused.text).toContain('account_suspended');
    expect(refused.text).not.toContain('stolen card');
    expect((await suspend(false)).json.changed).toBe(true);
    expect((await askModel({ url: market.url, key: consumer.key, body })).status).toBe(200);
  });

  test('that does not exist is not found', async () => {
    expect(
      (await ask('POST', '/consumers/cons_nobody/credit', { amount_usd: '1', reference: 'x-12' })).status,
    ).toBe(404);
  });
});

describe('a price', () => {
  const propose = (body: object) => ask('POST', '/price-proposals', body);

  test('is set by whoever confirms it with its token, once', async () => {
    const model = market.aModel();
    const input = decimalUsd(model.inputPico * 2_000_000n);
    const output = decimalUsd(model.outputPico * 2_000_000n);
    const made = proposalAnswer.parse(
      (await propose({ model: model.slug, input_price: input, output_price: output })).json,
    );
    expect(made.before?.input_price).toBe(decimalUsd(model.inputPico * 1_000_000n));
    const waiting = (await ask('GET', '/price-proposals')).text;
    expect(proposalsAnswer.parse(JSON.parse(waiting)).proposals).toHaveLength(1);
    expect(waiting).not.toContain(made.token);
    const confirm = (token: string) => ask('POST', `/price-proposals/${made.id}/confirm`, { token });
    expect((await confirm('0'.repeat(32))).status).toBe(404);
    const both = await Promise.all([confirm(made.token), confirm(made.token)]);
    expect(both.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 404]);
    const set = priceSetAnswer.parse(both.find(({ status }) => status === 200)?.json);
    const history = operatorPricesAnswer.parse((await ask('GET', `/prices/${model.id}`)).json);
    expect(history.prices[0]).toMatchObject({ id: set.price_id, price: { input_price: input } });
  });

  test('that was not confirmed changes nothing, and may be withdrawn', async () => {
    const model = market.aModel();
    const before = operatorPricesAnswer.parse((await ask('GET', `/prices/${model.id}`)).json);
    const made = proposalAnswer.parse(
      (await propose({ model: model.id, input_price: '1', output_price: '1', force: true })).json,
    );
    expect((await ask('DELETE', `/price-proposals/${made.id}`)).status).toBe(200);
    const token = { token: made.token };
    expect((await ask('POST', `/price-proposals/${made.id}/confirm`, token)).status).toBe(404);
    const after = operatorPricesAnswer.parse((await ask('GET', `/prices/${model.id}`)).json);
    expect(after.prices).toEqual(before.prices);
  });

  test.each([
    ['changes by more than a hundred times', { input_price: '900', output_price: '900' }, 409],
    ['is above any bound', { input_price: '1001', output_price: '1', force: true }, 409],
    ['has too many decimals', { input_price: '0.0000001', output_price: '1' }, 400],
    ['names half of it', { input_price: '1' }, 400],
    [
      'begins in the past',
      { input_price: '1', output_price: '1', effective_from: '2020-01-01T00:00:00Z', force: true },
      409,
    ],
  ])('that %s is refused when it is proposed', async (_what, price, status) => {
    const model = market.aModel();
    expect((await propose({ model: model.id, ...price })).status).toBe(status);
  });
});

describe('what operators do', () => {
  test('is written down with who, what, from where, before and after', async () => {
    // What was served before is charged by then: nothing but the credit changes the balance.
    await market.posted();
    await ask('POST', `/consumers/${consumer.id}/credit`, { amount_usd: '1', reference: 'logged-1' });
    const [last] = await log(consumer.id);
    expect(last).toMatchObject({
      email: 'boss@example.org',
      what: 'POST /api/v1/operator/consumers/:id/credit',
      address: '127.0.0.1',
      outcome: 'done',
      asked: { amount_usd: '1', reference: 'logged-1' },
    });
    const { before, after } = last as { before: unknown; after: unknown };
    const balance = (of: unknown): bigint => parseUsd((of as { balance_usd: string }).balance_usd);
    expect(balance(after) - balance(before)).toBe(parseUsd('1'));
  });

  test('is written down when it is refused, too, and without what is secret', async () => {
    await ask('POST', '/price-proposals/prop_none/confirm', { token: 'a'.repeat(32) });
    const [last] = await log('prop_none');
    expect(last).toMatchObject({ outcome: 'refused', code: 'thing-unknown', asked: { token: '[sealed]' } });
  });

  test('cannot be rewritten', async () => {
    const { sql } = market.fresh.database;
    await expect(sql`update operator_actions set what = 'nothing'`).rejects.toThrow('append-only');
    await expect(sql`delete from operator_outcomes`).rejects.toThrow('append-only');
  });

  test('is for operators alone, and nobody else leaves a trace in it', async () => {
    const before = logAnswer.parse((await ask('GET', '/log')).json).actions.length;
    for (const as of [consumer.token, consumer.key]) {
      const tried = await ask(
        'POST',
        `/consumers/${consumer.id}/credit`,
        { amount_usd: '1', reference: 'mine' },
        as,
      );
      expect([401, 403]).toContain(tried.status);
    }
    expect(logAnswer.parse((await ask('GET', '/log')).json).actions.length).toBe(before);
  });
});

test('who waits for approval is listed with what it asked with', async () => {
  await visit(at('/user/upgrade-to-provider'), {
    token: consumer.token,
    body: { name: 'Ada GPUs', wallet_address: '' },
  });
  const { sql } = market.fresh.database;
  await sql`update providers set state = 'pending' where name = 'Ada GPUs'`;
  await visit(at('/provider/request-approval'), {
    token: consumer.token,
    body: { provider_name: 'Ada GPUs', hardware_summary: '2 × L40S', contact_email: 'ada@example.org' },
  });
  const { approvals } = approvalsAnswer.parse((await ask('GET', '/approvals')).json);
  expect(approvals).toEqual([
    expect.objectContaining({
      name: 'Ada GPUs',
      status: 'under_review',
      asked: expect.objectContaining({ hardware: '2 × L40S' }),
    }),
  ]);
});

test.each(['/limits', '/endpoints', '/burns', '/collateral'])('an operator reads %s', async (path) => {
  expect((await ask('GET', path)).status).toBe(200);
});

describe('over the network, an operator also', () => {
  test('looks into a provider: its machines, its runs, and where it may be moved', async () => {
    const model = market.aModel();
    const { id } = await market.rehearsal(model);
    const { json } = await ask('GET', `/providers/${id}`);
    expect(json).toMatchObject({
      provider: { id, status: 'active', online: 1, nodes: 1 },
      may_become: ['suspended', 'removed'],
      nodes: [{ online: true, models: [{ model: model.id }] }],
      runs: [],
      charges: [],
    });
    expect((await ask('GET', '/providers/prov_nobody')).status).toBe(404);
  });

  test('keeps endpoints in a provider’s place, and each step is in the log', async () => {
    const { id: provider } = await market.provider();
    const model = market.aModel().id;
    const wish = { name: 'there', url: 'http://127.0.0.1:1/v1', models: [model] };
    const made = await ask('POST', `/providers/${provider}/endpoints`, wish);
    expect(made).toMatchObject({
      status: 201,
      json: { provider, health: 'unhealthy', models: [{ model, ask: null }] },
    });
    const { id } = made.json;
    expect((await ask('POST', `/endpoints/${id}/check`)).json).toMatchObject({ id, health: 'unhealthy' });
    const price = { input_price: '0.000001', output_price: '0.000001' };
    const asks = await ask('PUT', `/endpoints/${id}/ask`, { model, ask: price });
    expect(asks.json.models).toMatchObject([{ model, ask: price }]);
    expect((await ask('DELETE', `/endpoints/${id}`)).json).toEqual({ removed: true, id });
    expect((await ask('GET', '/endpoints')).json.endpoints).toEqual([]);
    const steps = await log(id);
    expect(steps.map(({ what, outcome }) => [what.split(' ')[0], outcome])).toEqual([
      ['DELETE', 'done'],
      ['PUT', 'done'],
      ['POST', 'done'],
    ]);
    expect((await log(provider))[0]).toMatchObject({ after: { endpoint: id } });
    for (const [method, path, body] of [
      ['POST', '/check', {}],
      ['PUT', '/ask', { model: 'x', ask: null }],
      ['DELETE', '', undefined],
    ] as const)
      expect((await ask(method, `/endpoints/ext_nobody${path}`, body)).status).toBe(404);
  });

  test('explains what the ledger does not know of, once', async () => {
    await market.fresh.database.sql`
      insert into chain_strangers (id, what, detail, found_at) values ('stranger-1', 'deposit', 'Tokens.', now())`;
    const held = (await ask('GET', '/audits')).json;
    expect(held).toMatchObject({
      unknown_to_the_ledger: [{ id: 'stranger-1' }],
      held_by: expect.any(String),
    });
    const words = { resolution: 'A test of ours.' };
    expect((await ask('POST', '/strangers/stranger-1/explanation', words)).status).toBe(200);
    expect((await ask('POST', '/strangers/stranger-1/explanation', words)).status).toBe(409);
    expect((await ask('POST', '/strangers/nobody/explanation', words)).status).toBe(404);
    expect((await ask('GET', '/audits')).json).toMatchObject({ unknown_to_the_ledger: [], held_by: null });
  });

  test('sees what closing a month would come to, and closes none that is not over', async () => {
    const month = new Date().toISOString().slice(0, 7);
    const dry = await ask('POST', '/sla/runs', { month, dry_run: true });
    expect(dry.json).toMatchObject({ month, dry_run: true, made: 0, failed: [] });
    expect((await ask('POST', '/sla/runs', { month })).status).toBe(409);
  });

  test('finds in the log by what was done, by who did it, and by how it ended', async () => {
    const found = async (query: string) => logAnswer.parse((await ask('GET', `/log?${query}`)).json).actions;
    const refused = await found('what=SLA/runs&outcome=refused');
    expect(refused).toHaveLength(1);
    expect(
      await found(`what=sla/runs&outcome=done&actor=${encodeURIComponent('boss@example.org')}`),
    ).toHaveLength(1);
    expect(await found('actor=nobody@example.org')).toEqual([]);
    expect(await found('outcome=open')).toEqual([]);
  });
});

describe('the log of what operators do has before and after', () => {
  test('of the terms of a tier', async () => {
    const before = (await ask('GET', '/tiers')).json.tiers.find(
      (each: { name: string }) => each.name === 'hobby',
    );
    const weight = before.weight + 1;
    expect((await ask('PATCH', '/tiers/hobby', { weight })).status).toBe(200);
    const [told] = await log('hobby');
    expect(told).toMatchObject({
      outcome: 'done',
      before: { weight: before.weight },
      after: { weight },
    });
  });

  test('of objectives, which every version of is kept', async () => {
    const path = '/tiers/business/objectives';
    const { objectives: before, versions } = (await ask('GET', path)).json;
    expect(versions).toEqual([]);
    const set = await ask('PATCH', path, { ttft_p95_ms: 900, availability_ppm: 999_500 });
    expect(set).toMatchObject({
      status: 200,
      json: { ...before, ttft_p95_ms: 900, availability_ppm: 999_500 },
    });
    expect(Date.parse(set.json.from) % 60_000).toBe(0);
    await ask('PATCH', path, { ttlt_256_p95_ms: 7_000 });
    expect((await ask('GET', path)).json.versions).toMatchObject([
      { ttft_p95_ms: 900, ttlt_256_p95_ms: 7_000 },
      { ttft_p95_ms: 900, ttlt_256_p95_ms: before.ttlt_256_p95_ms },
    ]);
    const told = await log('business');
    expect(
      told.find(
        ({ after }) => (after as { ttlt_256_p95_ms?: number })?.ttlt_256_p95_ms === before.ttlt_256_p95_ms,
      ),
    ).toMatchObject({
      outcome: 'done',
      before: { ttft_p95_ms: before.ttft_p95_ms },
      after: { ttft_p95_ms: 900 },
    });
  });

  test.each([
    [{}],
    [{ availability_ppm: 1_000_000 }],
    [{ availability_ppm: 0.999 }],
    [{ ttft_p95_ms: 0 }],
    [{ ttft_p95_ms: '900' }],
    [{ server_errors_ppm: -1 }],
    [{ ttlt_256_p95_ms: 50_000, ttlt_512_p95_ms: 40_000 }],
    [{ uptime: 1 }],
  ])('objectives of %j are refused, and nothing is kept', async (body) => {
    const versions = (await ask('GET', '/tiers/hobby/objectives')).json.versions.length;
    expect((await ask('PATCH', '/tiers/hobby/objectives', body)).status).toBe(400);
    expect((await ask('GET', '/tiers/hobby/objectives')).json.versions).toHaveLength(versions);
    expect((await ask('PATCH', '/tiers/gold/objectives', { ttft_p95_ms: 900 })).status).toBe(404);
  });

  test('of an incident and of maintenance', async () => {
    const opened = await ask('POST', '/incidents', { words: 'It burns.', severity: 'major' });
    expect(opened.status).toBe(200);
    const { id } = opened.json;
    expect((await ask('POST', `/incidents/${id}/resolve`, { words: 'It does not.' })).status).toBe(200);
    expect((await log(id))[0]).toMatchObject({
      before: { resolved_at: null },
      after: { resolved_at: expect.any(String) },
    });
    const from = new Date(Date.now() + 3_600_000).toISOString();
    const until = new Date(Date.now() + 7_200_000).toISOString();
    const window = await ask('POST', '/maintenance', { words: 'A disk is changed.', from, until });
    expect(window.status).toBe(200);
    expect((await ask('DELETE', `/maintenance/${window.json.id}`)).status).toBe(200);
    expect((await log(window.json.id))[0]).toMatchObject({
      before: { called_off: false },
      after: { called_off: true },
    });
  });

  test('of a stretch that does not count', async () => {
    const now = Date.now();
    const made = await ask('POST', '/sla/exclusions', {
      kind: 'force-majeure',
      from: new Date(now - 7_200_000).toISOString(),
      until: new Date(now - 3_600_000).toISOString(),
      evidence: 'The river rose.',
    });
    expect(made.status).toBe(200);
    expect((await ask('DELETE', `/sla/exclusions/${made.json.id}`)).status).toBe(200);
    expect((await log(made.json.id))[0]).toMatchObject({
      before: { withdrawn: false },
      after: { withdrawn: true },
    });
  });
});
