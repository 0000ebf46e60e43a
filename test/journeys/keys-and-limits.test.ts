import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatUsd, type Pico, parseUsd } from '#domain/money.ts';
import { ask, askStream } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import type { TestModel } from '#support/parties.ts';
import { visit } from '#support/visitor.ts';

// Keys that may do less than their owner: made, changed, rotated and revoked through the API, and judged where it counts, at
// a real request.

let market: TestMarket;
beforeAll(async () => {
  market = await TestMarket.open({ config: { access: { trustedProxies: ['127.0.0.1'] } } });
});
afterAll(async () => {
  await market.close();
});

const DEPOSIT: Pico = 5_000_000_000_000n;
let people = 0;
/** Somebody with an account, money, and a model that a rehearsal serves: `tokens` tokens each time. */
async function somebody(tokens = 10): Promise<Owner> {
  const headers = { 'x-forwarded-for': `198.51.100.${++people}` };
  const body = { email: `owner${people}@example.org`, password: 'correct horse', display_name: 'Owner' };
  const { json } = await visit(`${market.url}/api/v1/user/signup`, { body, headers });
  const { sql } = market.fresh.database;
  const [user] = await sql<{ consumer_id: string }[]>`
    select consumer_id from users where id = ${json.user.id as string}`;
  const consumerId = user?.consumer_id as string;
  await market.deposit({ id: consumerId }, DEPOSIT);
  const model = market.aModel();
  await market.rehearsal(model, `rehearsal:tokens=${tokens},prompt=5`);
  return { token: json.token as string, consumerId, model };
}

interface Owner {
  token: string;
  consumerId: string;
  model: TestModel;
}

async function newKey(owner: Owner, body: object = {}): Promise<{ id: string; secret: string }> {
  const made = await visit(`${market.url}/api/v1/user/me/keys`, { token: owner.token, body });
  expect(made.status).toBe(201);
  return { id: made.json.key.id, secret: made.json.api_key };
}

const change = (owner: Owner, id: string, body: object) =>
  visit(`${market.url}/api/v1/user/me/keys/${id}`, { method: 'PATCH', token: owner.token, body });

/** One request for at most `most` tokens. */
function use(model: TestModel, key: string, more: { most?: number; headers?: Record<string, string> } = {}) {
  const { most = 10, headers } = more;
  const body = { model: model.id, max_tokens: most, messages: [{ role: 'user', content: 'Hi' }] };
  return ask({ url: market.url, key, body, ...(headers && { headers }) });
}

/** What the most and the actual cost of `use` are. */
async function costOf(owner: Owner): Promise<Pico> {
  const { secret } = await newKey(owner);
  expect((await use(owner.model, secret)).status).toBe(200);
  const rows = await market.usage({ id: owner.consumerId }, 1);
  return rows[0]?.charge as Pico;
}

const usd = (amount: Pico): string => formatUsd(amount).slice(1);
const codeOf = ({ status, json }: Awaited<ReturnType<typeof use>>): unknown[] => [
  status,
  json.error?.code,
  json.error?.message,
];

describe('a scoped key', () => {
  test('calls its models only, by whatever name, and its categories only', async () => {
    const owner = await somebody();
    const other = await somebody();
    const { secret } = await newKey(owner, { models: [owner.model.slug] });
    expect((await use(owner.model, secret)).status).toBe(200);
    expect(codeOf(await use(other.model, secret))).toEqual([
      403,
      'model_not_allowed',
      `This key may not call ${other.model.id}.`,
    ]);
    const images = await newKey(owner, { categories: ['image', 'embedding'] });
    expect((await use(owner.model, images.secret)).status).toBe(403);
  });

  test('is refused after its expiry, and works until then', async () => {
    const owner = await somebody();
    const soon = await newKey(owner, { expires_at: new Date(Date.now() + 3_600_000).toISOString() });
    expect((await use(owner.model, soon.secret)).status).toBe(200);
    await market.fresh.database.sql`
      update keys set expires_at = now() - interval '1 second' where id = ${soon.id}`;
    await expect
      .poll(async () => codeOf(await use(owner.model, soon.secret)))
      .toEqual([401, 'invalid_api_key', 'This API key has expired.']);
    const listed = await visit(`${market.url}/api/v1/user/me/keys/${soon.id}`, { token: owner.token });
    expect(listed.json.key.status).toBe('expired');
  });

  test('works from its addresses only, and a header from a stranger does not change where it is', async () => {
    const owner = await somebody();
    const { secret } = await newKey(owner, { addresses: ['203.0.113.0/24', '2001:db8::/32'] });
    const from = async (address: string) =>
      (await use(owner.model, secret, { headers: { 'x-forwarded-for': address } })).status;
    expect(await from('203.0.113.77')).toBe(200);
    expect(await from('2001:db8::1')).toBe(200);
    expect(await from('203.0.114.1')).toBe(403);
    // Whoever stands behind a stranger's proxy can write anything to the left of it.
    expect(await from('203.0.113.77, 203.0.114.1')).toBe(403);
    const strict = await TestMarket.open({ on: market });
    try {
      const body = { model: owner.model.id, messages: [{ role: 'user', content: 'Hi' }] };
      const headers = { 'x-forwarded-for': '203.0.113.77' };
      const refused = await ask({ url: strict.url, key: secret, body, headers });
      expect(codeOf(refused)).toEqual([
        403,
        'address_not_allowed',
        'This key may not be used from this address.',
      ]);
    } finally {
      await strict.close();
    }
  });

  test('has a rate of its own', async () => {
    const owner = await somebody();
    const { secret } = await newKey(owner, { requests_per_minute: 2 });
    const answers = [await use(owner.model, secret), await use(owner.model, secret)];
    expect(answers.map(({ headers }) => headers['x-ratelimit-remaining-requests'])).toEqual(['1', '0']);
    const refused = await use(owner.model, secret);
    expect(codeOf(refused)).toEqual([
      429,
      'rate_limit_exceeded',
      'Over 2 requests a minute, which is the limit of this key.',
    ]);
    expect(refused.headers).toMatchObject({
      'retry-after': '30',
      'x-ratelimit-limit-requests': '2',
      'x-ratelimit-reset-requests': '60s',
    });
  });

  test('can be narrowed and widened while it is used, at once', async () => {
    const owner = await somebody();
    const other = await somebody();
    const { id, secret } = await newKey(owner);
    expect((await use(owner.model, secret)).status).toBe(200);
    expect((await change(owner, id, { models: [other.model.id] })).status).toBe(200);
    expect((await use(owner.model, secret)).status).toBe(403);
    // What is left out stays; null takes a limit away.
    const renamed = await change(owner, id, { name: 'narrow' });
    expect(renamed.json.key).toMatchObject({ name: 'narrow', models: [other.model.id] });
    expect((await change(owner, id, { models: null })).json.key.models).toBeNull();
    expect((await use(owner.model, secret)).status).toBe(200);
  });

  test.each([
    [{ models: ['no/such-model'] }, 'models'],
    [{ models: [] }, 'models'],
    [{ categories: ['video'] }, 'categories'],
    [{ addresses: ['10.0.0.0/99'] }, 'addresses'],
    [{ cap_day_usd: '-1' }, 'cap_day_usd'],
    [{ cap_month_usd: '1e3' }, 'cap_month_usd'],
    [{ requests_per_minute: 0 }, 'requests_per_minute'],
    [{ expires_at: '2020-01-01T00:00:00Z' }, 'expires_at'],
    [{ expires_at: 'tomorrow' }, 'expires_at'],
  ])('with a limit that is none is not made: %j', async (body, field) => {
    const owner = { token: (await somebodyPoor()).token };
    const refused = await visit(`${market.url}/api/v1/user/me/keys`, { token: owner.token, body });
    expect(refused.status).toBe(400);
    expect(refused.json.error).toContain(field);
  });
});

let poor: Promise<{ token: string }> | undefined;
function somebodyPoor(): Promise<{ token: string }> {
  poor ??= (async () => {
    const headers = { 'x-forwarded-for': `198.51.100.${++people}` };
    const body = { email: 'poor@example.org', password: 'correct horse' };
    const { json } = await visit(`${market.url}/api/v1/user/signup`, { body, headers });
    return { token: json.token as string };
  })();
  return poor;
}

describe('a spend cap', () => {
  test('is exact with fifty requests at once, and named when it refuses', async () => {
    const owner = await somebody();
    const cost = await costOf(owner);
    // Each request reserves more than it costs (its prompt is counted in bytes at first), so fewer than four may run
    // together, and never is more charged than the cap.
    const cap = cost * 4n;
    const { id, secret } = await newKey(owner, { cap_day_usd: usd(cap) });
    const answers = await Promise.all(Array.from({ length: 50 }, () => use(owner.model, secret)));
    const served = answers.filter(({ status }) => status === 200);
    expect(served.length).toBeGreaterThan(0);
    for (const refused of answers.filter(({ status }) => status !== 200)) {
      expect(codeOf(refused)).toEqual([
        402,
        'spend_cap_reached',
        'The spend cap of this key for a day leaves too little for this request.',
      ]);
    }
    while ((await use(owner.model, secret)).status === 200);
    await market.posted();
    const [spent] = await market.fresh.database.sql<{ sum: Pico }[]>`
      select sum(charge)::numeric as sum from usage where key_id = ${id}`;
    expect(spent?.sum).toBeLessThanOrEqual(cap);
    expect(spent?.sum).toBeGreaterThan(0n);
    // Another key of the same owner is not affected.
    expect((await use(owner.model, (await newKey(owner)).secret)).status).toBe(200);
  });

  test('stands in the headers with what is left of it, and at GET /key', async () => {
    const owner = await somebody();
    const cost = await costOf(owner);
    const { secret } = await newKey(owner, { cap_day_usd: usd(cost * 20n), cap_month_usd: usd(cost * 100n) });
    const first = await use(owner.model, secret);
    expect(first.headers).toMatchObject({
      'x-key-cap-day-usd': usd(cost * 20n),
      'x-key-remaining-day-usd': usd(cost * 19n),
      'x-key-cap-month-usd': usd(cost * 100n),
      'x-key-remaining-month-usd': usd(cost * 99n),
      'x-ratelimit-limit-concurrent': '100',
      'x-ratelimit-remaining-concurrent': '99',
    });
    const { json } = await visit(`${market.url}/api/v1/key`, { token: secret });
    expect(json).toMatchObject({
      cap_day_usd: usd(cost * 20n),
      cap_day_remaining_usd: usd(cost * 19n),
      cap_month_remaining_usd: usd(cost * 99n),
      plan: { name: 'pay-as-you-go' },
    });
  });

  test('of the month is named too', async () => {
    const owner = await somebody();
    const { secret } = await newKey(owner, { cap_month_usd: 0 });
    expect(codeOf(await use(owner.model, secret))[2]).toBe(
      'The spend cap of this key for a month leaves too little for this request.',
    );
  });

  test('is not forgotten by a restart, nor escaped by rotation, nor by taking it away and setting it again', async () => {
    const owner = await somebody();
    const cost = await costOf(owner);
    const first = await newKey(owner);
    for (let i = 0; i < 3; i++) expect((await use(owner.model, first.secret)).status).toBe(200);
    // The cap comes after the spending and counts it all the same.
    const cap = cost * 3n;
    expect((await change(owner, first.id, { cap_day_usd: usd(cap) })).status).toBe(200);
    expect((await use(owner.model, first.secret)).status).toBe(402);
    const rotated = await visit(`${market.url}/api/v1/user/me/keys/${first.id}/rotate`, {
      token: owner.token,
      body: { overlap_hours: 1 },
    });
    expect(rotated.status).toBe(201);
    expect((await use(owner.model, rotated.json.api_key)).status).toBe(402);

    await market.agentsLeave();
    await market.restart();
    await market.rehearsal(owner.model, 'rehearsal:tokens=10,prompt=5');
    expect((await use(owner.model, rotated.json.api_key)).status).toBe(402);
    expect((await change(owner, rotated.json.id, { cap_day_usd: null })).status).toBe(200);
    expect((await use(owner.model, rotated.json.api_key)).status).toBe(200);
    expect((await change(owner, rotated.json.id, { cap_day_usd: usd(cost * 4n) })).status).toBe(200);
    expect((await use(owner.model, rotated.json.api_key)).status).toBe(402);
  });

  test('without a limit of its own, an answer is cut to what the cap allows', async () => {
    const owner = await somebody(2_000);
    const perToken = owner.model.outputPico;
    const { secret } = await newKey(owner, { cap_day_usd: usd(perToken * 400n) });
    const stream = await askStream({
      url: market.url,
      key: secret,
      body: { model: owner.model.id, messages: [{ role: 'user', content: 'Hi' }] },
    });
    expect(await stream.ended).toBe('end');
    const [row] = await market.usage({ id: owner.consumerId }, 1);
    expect(row?.charge).toBeGreaterThan(0n);
    expect(row?.charge).toBeLessThanOrEqual(perToken * 400n);
  });
});

describe('rotation', () => {
  const rotate = (owner: Owner, id: string, hours: number) =>
    visit(`${market.url}/api/v1/user/me/keys/${id}/rotate`, {
      token: owner.token,
      body: { overlap_hours: hours },
    });

  test('both keys work through the overlap, with one scope; without overlap the old one ends at once', async () => {
    const owner = await somebody();
    const other = await somebody();
    const first = await newKey(owner, { models: [owner.model.id], name: 'prod' });
    const second = (await rotate(owner, first.id, 24)).json;
    for (const key of [first.secret, second.api_key]) {
      expect((await use(owner.model, key)).status).toBe(200);
      expect((await use(other.model, key)).status).toBe(403);
    }
    const third = (await rotate(owner, second.id, 0)).json;
    expect((await use(owner.model, second.api_key)).status).toBe(401);
    expect((await use(owner.model, third.api_key)).status).toBe(200);
    const { json } = await visit(`${market.url}/api/v1/user/me/keys`, { token: owner.token });
    expect(
      json.keys.slice(-3).map((key: { name: string; rotated_from: string }) => key.rotated_from),
    ).toEqual([null, first.id, first.id]);
    expect(JSON.stringify(json)).not.toContain(third.api_key.slice(16));
  });

  test('a key has one successor, also when two rotate it at once', async () => {
    const owner = await somebody();
    const { id } = await newKey(owner);
    const answers = await Promise.all([1, 2, 3].map(() => rotate(owner, id, 1)));
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 409, 409]);
  });

  test('a revocation may name the type of the body that it does not have, as many clients do', async () => {
    const owner = await somebody();
    const { id } = await newKey(owner);
    const answer = await fetch(`${market.url}/api/v1/user/me/keys/${id}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${owner.token}`, 'content-type': 'application/json' },
    });
    expect([answer.status, await answer.json()]).toEqual([200, { id, status: 'revoked' }]);
  });

  test('a key that is revoked works no more when the answer comes', async () => {
    const owner = await somebody();
    const { id, secret } = await newKey(owner);
    const answered = await visit(`${market.url}/api/v1/user/me/keys/${id}`, {
      method: 'DELETE',
      token: owner.token,
    });
    expect(answered.json).toEqual({ id, status: 'revoked' });
    expect((await use(owner.model, secret)).status).toBe(401);
    expect((await rotate(owner, id, 1)).status).toBe(409);
    expect((await change(owner, id, { name: 'x' })).status).toBe(409);
  });
});

test('a balance is one sum, of which what is set aside for requests is frozen', async () => {
  const owner = await somebody();
  const { secret } = await newKey(owner);
  const balance = async () => {
    const { json } = await visit(`${market.url}/api/v1/user/me/balance`, { token: owner.token });
    return [json.total, json.frozen, json.available].map(parseUsd) as [Pico, Pico, Pico];
  };
  expect(await balance()).toEqual([DEPOSIT, 0n, DEPOSIT]);
  await use(owner.model, secret);
  const [total, frozen, available] = await balance();
  expect(frozen).toBeGreaterThan(0n);
  expect(available).toBe(total - frozen);
});

test('a plan limits the minute, and its change is known at once', async () => {
  const owner = await somebody();
  const { secret } = await newKey(owner);
  expect((await use(owner.model, secret)).headers['x-ratelimit-limit-requests']).toBe('200');
  await market.fresh.database.sql`update consumers set plan = 'pro' where id = ${owner.consumerId}`;
  await expect
    .poll(async () => (await use(owner.model, secret)).headers['x-ratelimit-limit-requests'])
    .toBe('50');
  await market.fresh.database.sql`update consumers set plan = 'free' where id = ${owner.consumerId}`;
  const [tier] = await market.fresh.database.sql<{ tier: string }[]>`
    select tier from models where id = ${owner.model.id}`;
  await expect
    .poll(async () => (await use(owner.model, secret)).headers['x-ratelimit-limit-requests'] ?? '403')
    .toBe(tier?.tier === 'free' ? '10' : '403');
});
