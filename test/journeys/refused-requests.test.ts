import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseUsd } from '#domain/money.ts';
import { REFUSAL_BOUNDS } from '#ledger/refusal-buffer.ts';
import { type Asked, ask, askStream, HELLO } from '#support/chat-client.ts';
import { CutLine } from '#support/cut-line.ts';
import { TestMarket } from '#support/market.ts';
import type { TestModel, TestParty } from '#support/parties.ts';
import { answerPlainly } from '#support/swan-agent.ts';
import { visit } from '#support/visitor.ts';
import { errorRow } from '#wire/errors.ts';

// What a refused request leaves behind: one row with what is known of it, for its consumer and for the operator; no usage, no
// money, and no word of what was asked.

const CANARY = 'canary-77c1-of-the-prompt';

interface Row {
  readonly id: string;
  readonly consumer: string;
  readonly key: string;
  readonly model: string | null;
  readonly code: string;
  readonly status: number;
  readonly whose: string;
  readonly queue: number | null;
  readonly tries: { modelId: string; result: string }[];
}

/** All rows of refused requests of a market's database, once those of these requests are there. */
async function rowsOf(market: TestMarket, ids: readonly string[]): Promise<Row[]> {
  const read = async (): Promise<Row[]> => [
    ...(await market.fresh.database.sql<Row[]>`
      select request_id as id, consumer_id as consumer, key_id as key, model_id as model, code, status, whose,
        queue_ms as queue, tries from request_refusals order by request_id`),
  ];
  const missing = async (): Promise<string[]> => {
    const there = new Set((await read()).map(({ id }) => id));
    return ids.filter((id) => !there.has(id));
  };
  await expect.poll(missing, { timeout: 60_000 }).toEqual([]);
  return await read();
}

/** The rows of these requests, in order. */
async function theRows(market: TestMarket, ids: readonly string[]): Promise<Row[]> {
  return (await rowsOf(market, ids)).filter(({ id }) => ids.includes(id));
}

/** The figures of a page of metrics: `{what: value}` of refusals, and those without a key by code. */
async function countsOf(market: TestMarket): Promise<Record<string, number>> {
  const { text } = await visit(`${market.url}/metrics`);
  const found = text.matchAll(/^cygnet_refusal(?:_rows\{what|s_without_key\{code)="([^"]+)"\} (\d+)$/gm);
  return Object.fromEntries([...found].map(([, what, value]) => [what, Number(value)]));
}

describe('each kind of refusal', () => {
  let market: TestMarket;
  let owner: { token: string; consumerId: string };
  let served: TestModel;
  let busy: TestModel;
  let alone: TestModel;
  /** By request: what its row must say. */
  const expected = new Map<string, object>();

  beforeAll(async () => {
    market = await TestMarket.open({
      config: {
        limits: { concurrentPerKey: 3 },
        routing: { region: 'eu-west' },
        access: { trustedProxies: ['127.0.0.1'] },
      },
    });
    const made = await visit(`${market.url}/api/v1/user/signup`, {
      body: { email: 'owner@example.org', password: 'correct horse' },
    });
    const [user] = await market.fresh.database.sql<{ consumer_id: string }[]>`
      select consumer_id from users where id = ${made.json.user.id as string}`;
    owner = { token: made.json.token, consumerId: user?.consumer_id ?? '' };
    await market.deposit({ id: owner.consumerId }, parseUsd('5'));
    [served, busy, alone] = [market.aModel(), market.aModel(), market.aModel()];
    await market.rehearsal(served, 'rehearsal:tokens=2');
    const provider = await market.provider();
    await market.agent(provider, [`${busy.id}=rehearsal:endless,paced=2`], { perModel: 1 });
  });
  afterAll(() => market.close());

  async function newKey(body: object = {}): Promise<{ id: string; key: string }> {
    const made = await visit(`${market.url}/api/v1/user/me/keys`, { token: owner.token, body });
    expect(made.status).toBe(201);
    return { id: made.json.key.id, key: made.json.api_key };
  }
  const good = (over: object = {}) => ({
    model: served.id,
    messages: [{ role: 'user', content: CANARY }],
    ...over,
  });
  const chat = (key: string, body: unknown, headers: Record<string, string> = {}) =>
    ask({ url: market.url, key, body, headers });

  /** It was refused with this code, its consumer reads so at once, and its row must say so. */
  async function expectError(
    answer: Pick<Asked, 'status' | 'headers'>,
    about: {
      code: string;
      key: { id: string; key: string };
      consumer?: string;
      model?: string | null;
      queue?: unknown;
      tries?: unknown;
    },
  ): Promise<void> {
    const { code, key, model = null, consumer = owner.consumerId, ...more } = about;
    const { status, whose } = errorRow(code);
    expect(answer.status).toBe(status);
    const id = answer.headers['x-request-id'] as string;
    expected.set(id, {
      id,
      consumer,
      key: key.id,
      model,
      code,
      status,
      whose,
      queue: null,
      tries: [],
      ...more,
    });
    const told = await visit(`${market.url}/v1/generation?id=${id}`, { token: key.key });
    expect(told.json.data).toMatchObject({
      request_id: id,
      model,
      outcome: 'refused',
      error_code: code,
      error_status: status,
      at_fault: whose,
      attempts: 0,
      tokens_prompt: 0,
      usage_usd: '0.00',
      provider_name: null,
      region: 'eu-west',
      ...('tries' in more && { attempts: 1 }),
    });
  }

  test.each<[string, () => unknown, Record<string, string>, boolean]>([
    ['body-not-json', () => '{"model":', {}, false],
    ['request-invalid', () => good({ model: 7 }), {}, false],
    ['request-invalid', () => good({ model: 'bge-large-en-v1.5' }), {}, false],
    ['model-unknown', () => good({ model: `${CANARY}/no-such` }), {}, false],
    ['encoding-unsupported', () => good(), { 'content-encoding': 'gzip' }, false],
    ['body-too-large', () => JSON.stringify(good({ filler: 'x'.repeat(10_000_001) })), {}, false],
    ['preferences-unmet', () => good({ provider: { only: ['nobody'] } }), {}, true],
    ['model-without-provider', () => good({ model: alone.id }), {}, true],
  ])('%s', async (code, body, headers, hasModel) => {
    const key = await newKey();
    const sent = body();
    const answer = await chat(key.key, sent, headers);
    const named = (sent as { model?: string }).model;
    const model = hasModel ? named : named === 'bge-large-en-v1.5' ? 'BAAI/bge-large-en-v1.5' : null;
    await expectError(answer, { code, key, model: model ?? null });
  });

  test('of a key that may do less: address, model, rate and spend cap', async () => {
    const bound = await newKey({ addresses: ['203.0.113.0/24'] });
    await expectError(await chat(bound.key, good()), { code: 'address-not-allowed', key: bound });
    const other = await newKey({ models: [busy.id] });
    await expectError(await chat(other.key, good()), {
      code: 'model-not-allowed',
      key: other,
      model: served.id,
    });
    const slow = await newKey({ requests_per_minute: 1 });
    expect((await chat(slow.key, good())).status).toBe(200);
    await expectError(await chat(slow.key, good()), { code: 'rate-limited', key: slow, model: served.id });
    const capped = await newKey({ cap_day_usd: '0.000000001' });
    const answer = await chat(capped.key, good({ max_tokens: 4_000 }));
    await expectError(answer, { code: 'key-cap-reached', key: capped, model: served.id });
  });

  test('of an account without money', async () => {
    const broke = await market.consumer(1n);
    await expectError(await chat(broke.key, good({ max_tokens: 100 })), {
      code: 'balance-short',
      key: { id: broke.keyId, key: broke.key },
      consumer: broke.id,
      model: served.id,
    });
  });

  test('of a busy model: told so after the line, gone from the line, and more at once than the key may', async () => {
    const key = await newKey();
    const stream = await askStream({ url: market.url, key: key.key, body: good({ model: busy.id }) });
    const waiting = askStream({ url: market.url, key: key.key, body: good({ model: busy.id }) });
    const leaving = connect(market.ports.gateway, '127.0.0.1');
    const sent = JSON.stringify(good({ model: busy.id }));
    leaving.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key.key}\r\n` +
        `content-type: application/json\r\ncontent-length: ${sent.length}\r\n\r\n${sent}`,
    );
    // The three places of the key are taken: whoever comes now is one too many.
    let fourth = await chat(key.key, good({ model: busy.id }));
    while (fourth.status !== 429) {
      const code = fourth.json.error.code === 'all_providers_busy' ? 'providers-busy' : 'internal';
      await expectError(fourth, { code, key, model: busy.id, queue: expect.any(Number) });
      fourth = await chat(key.key, good({ model: busy.id }));
    }
    await expectError(fourth, { code: 'too-many-at-once', key });
    leaving.destroy();
    const late = await waiting;
    await expectError(late, { code: 'providers-busy', key, model: busy.id, queue: expect.any(Number) });
    stream.leave();
    const left = async () =>
      await market.fresh.database.sql<{ code: string }[]>`
        select code from request_refusals where key_id = ${key.id} and code = 'client-left'`;
    await expect.poll(left, { timeout: 30_000 }).toEqual([{ code: 'client-left' }]);
  });

  test('of a body whose client hangs up in the middle of it', async () => {
    const { keyId, key, id } = await market.consumer();
    const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\n`;
    const sockets = [0, 1, 2].map(() => connect(market.ports.gateway, '127.0.0.1'));
    for (const socket of sockets) socket.write(`${head}content-length: 500\r\n\r\n{"mod`);
    // They hold all places of the key: then all three are in.
    await expect.poll(async () => (await chat(key, '{')).status, { timeout: 30_000 }).toBe(429);
    for (const socket of sockets) socket.destroy();
    const mine = async () =>
      await market.fresh.database.sql<{ key_id: string; model_id: string | null }[]>`
        select key_id, model_id from request_refusals where consumer_id = ${id} and code = 'client-left'`;
    await expect
      .poll(mine, { timeout: 30_000 })
      .toEqual(sockets.map(() => ({ key_id: keyId, model_id: null })));
  });

  test('at the second model, after an attempt at the first: its attempts are in the row', async () => {
    const [first, second] = [market.aModel(), market.aModel()];
    await market.swan(first, (job) => job.end({ error: 'gone', status_code: 500 }));
    const key = await newKey();
    const body = good({ model: first.id, models: [second.id], max_tokens: 5, stream: true });
    const tried = { modelId: first.id, result: 'failed' };
    const answer = await chat(key.key, body);
    await expectError(answer, {
      code: 'model-without-provider',
      key,
      model: second.id,
      tries: [expect.objectContaining(tried)],
    });
  });

  test('leaves exactly one row, which says what it was, and nothing of the prompt; and nothing of money', async () => {
    await expect.poll(async () => (await countsOf(market))['waiting'], { timeout: 60_000 }).toBe(0);
    const rows = await rowsOf(market, [...expected.keys()]);
    const found = new Map(rows.map((row) => [row.id, row]));
    for (const [id, about] of expected) expect(found.get(id)).toEqual(about);
    expect(found.size).toBe(rows.length);
    const { sql } = market.fresh.database;
    const [all] = await sql<{ text: string }[]>`select json_agg(r)::text as text from request_refusals r`;
    expect(all?.text).not.toContain(CANARY);
    const ids = [...expected.keys()];
    expect(await sql`select id from usage where id = any(${ids})`).toHaveLength(0);
    expect(await sql`select id from entries where id = any(${ids})`).toHaveLength(0);
    const counts = await countsOf(market);
    expect(counts).toMatchObject({
      written: rows.length,
      waiting: 0,
      over_rate: 0,
      no_room: 0,
      not_stored: 0,
    });
  });

  test('is found by its consumer among its requests, and by nobody else', async () => {
    const mine = [...expected.entries()].filter(([, about]) => (about as Row).consumer === owner.consumerId);
    const [id, about] = mine.at(-1) as [string, Row];
    const page = `${market.url}/api/v1/user/me/requests`;
    const one = await visit(`${page}/${id}`, { token: owner.token });
    expect(one.json).toMatchObject({
      id,
      outcome: 'refused',
      error: about.code,
      price: null,
      money: { charged_usd: '0.00' },
      served: { at_fault: about.whose },
    });
    const listed = await visit(`${page}?outcome=refused&limit=100`, { token: owner.token });
    const ids = listed.json.requests.map((each: { id: string }) => each.id);
    expect(ids).toEqual(expect.arrayContaining(mine.map(([each]) => each)));
    const stranger = await visit(`${market.url}/api/v1/user/signup`, {
      body: { email: 'stranger@example.org', password: 'correct horse' },
    });
    expect((await visit(`${page}/${id}`, { token: stranger.json.token })).status).toBe(404);
    expect(
      (await visit(`${market.url}/v1/generation?id=${id}`, { token: stranger.json.api_key })).status,
    ).toBe(404);
  });

  test('is among the requests that the operator looks at, unless only those that were used are wanted', async () => {
    const { sql } = market.fresh.database;
    await sql`update users set is_operator = true where consumer_id = ${owner.consumerId}`;
    const look = async (more: string) =>
      (
        await visit(`${market.url}/api/v1/operator/requests?limit=500&consumer=${owner.consumerId}${more}`, {
          token: owner.token,
        })
      ).json.requests as { id: string; outcome: string; charge_usd: string; at: string }[];
    const all = await look('');
    expect(all.filter(({ outcome }) => outcome === 'refused').map(({ id }) => id)).toEqual(
      expect.arrayContaining(
        [...expected.values()]
          .filter((each) => (each as Row).consumer === owner.consumerId)
          .map((each) => (each as Row).id),
      ),
    );
    expect(all.map(({ at }) => at)).toEqual(
      all
        .map(({ at }) => at)
        .toSorted()
        .toReversed(),
    );
    expect((await look('&refused=false')).filter(({ outcome }) => outcome === 'refused')).toEqual([]);
  });

  test('before a model was known is in the data of a window, and counts neither way', async () => {
    const from = new Date(Date.now() - 3_600_000).toISOString();
    const until = new Date(Date.now() + 60_000).toISOString();
    const { json } = await visit(`${market.url}/api/v1/sla/data?from=${from}&until=${until}`, {
      token: owner.token,
    });
    const without = (
      json.minutes as { model: string | null; requests: number; not_counted: number }[]
    ).filter(({ model }) => model === null);
    const [row] = await market.fresh.database.sql<{ count: bigint }[]>`
      select count(*) from request_refusals where consumer_id = ${owner.consumerId} and model_id is null`;
    expect(without.reduce((sum, each) => sum + each.not_counted, 0)).toBe(Number(row?.count));
    expect(without.every(({ requests }) => requests === 0)).toBe(true);
  });

  test('without a known key is a count by its code, and no row', async () => {
    const before = await countsOf(market);
    for (const key of ['sk-swan-none', `sk-swan-${'0'.repeat(48)}`]) await chat(key, good());
    await ask({ url: market.url, body: good() });
    const after = await countsOf(market);
    expect(after['key-unknown']).toBe((before['key-unknown'] ?? 0) + 2);
    expect(after['key-missing']).toBe((before['key-missing'] ?? 0) + 1);
    expect(after['written']).toBe(before['written']);
  });
});

describe('a flood of refusals', () => {
  let market: TestMarket;
  let noisy: TestParty;
  let quiet: TestParty;
  const FLOOD = 2_000;
  const ASKERS = 8;
  beforeAll(async () => {
    market = await TestMarket.open();
    [noisy, quiet] = [await market.consumer(), await market.consumer()];
  });
  afterAll(() => market.close());

  test("of one account fills its share of rows, is counted beyond, and leaves another's refusal its row", async () => {
    const body = { model: 'no-such-model', messages: HELLO };
    const flood = async (): Promise<void> => {
      // oxlint-disable-next-line no-await-in-loop -- one after the other, by each of several.
      for (let i = 0; i < FLOOD / ASKERS; i++) await ask({ url: market.url, key: noisy.key, body });
    };
    await Promise.all(Array.from({ length: ASKERS }, flood));
    const answer = await ask({ url: market.url, key: quiet.key, body });
    const id = answer.headers['x-request-id'] as string;
    await expect.poll(async () => (await countsOf(market))['waiting'], { timeout: 30_000 }).toBe(0);
    const rows = await rowsOf(market, [id]);
    expect(rows.filter((row) => row.consumer === noisy.id).length).toBeGreaterThanOrEqual(
      REFUSAL_BOUNDS.eachBurst,
    );
    const { written = 0, over_rate: counted = 0, ...others } = await countsOf(market);
    expect(rows).toHaveLength(written);
    // Beside the flood: how the test found out that the keys are known.
    const asked = rows.filter(({ code }) => code === 'body-not-json').length;
    expect(written + counted).toBe(FLOOD + 1 + asked);
    expect(counted).toBeGreaterThan(0);
    expect(others).toMatchObject({ waiting: 0, no_room: 0, not_stored: 0, over_rate_of_all: 0 });
  });
});

test('while the database is away refusals go on, and their rows are written when it is back', async () => {
  let line: CutLine | undefined;
  const market = await TestMarket.open({
    through: async (url) => {
      const opened = await CutLine.to(url);
      ({ line } = opened);
      return opened.url;
    },
  });
  const { key } = await market.consumer();
  line?.cut();
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) {
    const answer = await ask({ url: market.url, key, body: { model: 'no-such-model', messages: HELLO } });
    expect(answer.status).toBe(404);
    ids.push(answer.headers['x-request-id'] as string);
    expect(await visit(`${market.url}/v1/generation?id=${ids.at(-1)}`, { token: key })).toMatchObject({
      status: expect.any(Number),
    });
  }
  line?.mend();
  expect((await theRows(market, ids)).map(({ id }) => id)).toEqual(ids.toSorted());
  await market.close();
  await line?.close();
});

test('two gateways on one database keep the refusals of both, and each shows those of the other', async () => {
  const market = await TestMarket.open();
  const other = await TestMarket.open({ on: market });
  const { key } = await market.consumer();
  const model = market.aModel();
  await market.swan(model, answerPlainly);
  const body = { model: 'no-such-model', messages: HELLO };
  const ids: string[] = [];
  for (const { url } of [market, other, market, other])
    ids.push((await ask({ url, key, body })).headers['x-request-id'] as string);
  expect((await theRows(market, ids)).map(({ id }) => id)).toEqual(ids.toSorted());
  for (const { url } of [market, other])
    for (const id of ids)
      expect((await visit(`${url}/v1/generation?id=${id}`, { token: key })).json.data).toMatchObject({
        outcome: 'refused',
      });
  await other.close();
  await market.close();
});

test('what was refused just before the market closes has its row', async () => {
  const market = await TestMarket.open();
  const { key } = await market.consumer();
  const answer = await ask({ url: market.url, key, body: '{' });
  await market.stop();
  const id = answer.headers['x-request-id'] as string;
  expect(await theRows(market, [id])).toMatchObject([{ id, code: 'body-not-json' }]);
  await market.close();
});
