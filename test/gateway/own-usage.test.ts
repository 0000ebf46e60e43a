import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseUsd } from '#domain/money.ts';
import { TestMarket } from '#support/market.ts';
import { Sales } from '#support/sales.ts';
import { visit } from '#support/visitor.ts';
import {
  movementsAnswer,
  overviewAnswer,
  requestAnswer,
  requestsAnswer,
  usageByAnswer,
} from '#wire/dashboard.ts';

let market: TestMarket;
let mine: Person;
let other: Person;
let sold: string[];
let theirs: string;

interface Person {
  token: string;
  consumerId: string;
  keyId: string;
}

async function person(name: string): Promise<Person> {
  const made = await visit(`${market.url}/api/v1/user/signup`, {
    body: { email: `${name}@example.org`, password: 'correct horse' },
  });
  const { sql } = market.fresh.database;
  const [row] = await sql<{ consumer_id: string; key_id: string }[]>`
    select u.consumer_id, k.id as key_id from users u join keys k on k.consumer_id = u.consumer_id
    where u.id = ${made.json.user.id}`;
  const { consumer_id: consumerId, key_id: keyId } = row as NonNullable<typeof row>;
  await market.deposit({ id: consumerId }, parseUsd('5'));
  return { token: made.json.token, consumerId, keyId };
}

const HOUR = 3_600_000;
beforeAll(async () => {
  market = await TestMarket.open();
  mine = await person('mine');
  other = await person('other');
  const sales = new Sales(market.fresh.database);
  const now = Date.now();
  const common = { consumerId: mine.consumerId, keyId: mine.keyId, providerId: 'prov_1' };
  const records = await sales.sell(
    { ...common, at: now - 50 * HOUR, modelId: 'a/one', charge: 1_000_001n, ttftMs: 100, totalMs: 1_100 },
    { ...common, at: now - 3 * HOUR, modelId: 'a/two', charge: 3_000_000n, ttftMs: 300, totalMs: 900 },
    {
      ...common,
      at: now - 3 * HOUR + 1,
      modelId: 'a/two',
      charge: 0n,
      outcome: 'broken',
      errorCode: 'provider-cut-off',
    },
  );
  await sales.correct(records[1] as (typeof records)[number], {
    refund: 1_000_000n,
    inputTokens: 5,
    outputTokens: 6,
  });
  sold = records.map(({ id }) => id);
  const [foreign] = await sales.sell({
    consumerId: other.consumerId,
    keyId: other.keyId,
    at: now - HOUR,
    modelId: 'b/other',
    charge: 77_000_000n,
  });
  theirs = foreign?.id as string;
});
afterAll(() => market.close());

const ask = (path: string, as = mine) => visit(`${market.url}/api/v1/user/me/${path}`, { token: as.token });

test('an overview adds up what was spent, corrections taken off, bucket by bucket', async () => {
  const { totals, before, buckets, ...about } = overviewAnswer.parse(
    (await ask('overview?duration=7d')).json,
  );
  expect(totals).toMatchObject({ requests: 3, failed: 1, spend_usd: '0.000003000001', ttft_p50_ms: 100 });
  expect(before.requests).toBe(0);
  expect(about.bucket_seconds).toBe(21_600);
  expect(buckets).toHaveLength(28);
  expect(buckets.reduce((sum, each) => sum + each.requests, 0)).toBe(3);
});

test('an overview of a day shows nothing older', async () => {
  const { totals, buckets } = overviewAnswer.parse((await ask('overview?duration=24h')).json);
  expect(totals).toMatchObject({ requests: 2, spend_usd: '0.000002' });
  expect(buckets).toHaveLength(24);
});

test.each([
  ['model', ['a/two', 'a/one']],
  ['key', [expect.stringMatching(/^key_/)]],
  ['day', expect.any(Array)],
])('usage by %s has everything once', async (group, ids) => {
  const { rows } = usageByAnswer.parse((await ask(`usage/by?group=${group}`)).json);
  expect(rows.map(({ id }) => id)).toEqual(ids);
  expect(rows.reduce((sum, each) => sum + each.requests, 0)).toBe(3);
});

test('usage comes as a table for spreadsheets', async () => {
  const answered = await ask('usage/by?group=model&format=csv');
  expect(answered.headers['content-type']).toContain('text/csv');
  expect(answered.text.split('\r\n')[1]).toBe('a/two,,2,1,15,26,0.000002,0.00');
});

test('requests come page by page, and by what they were', async () => {
  const first = requestsAnswer.parse((await ask('requests?limit=2')).json);
  expect(first.requests.map(({ id }) => id)).toEqual([sold[2], sold[1]]);
  const second = requestsAnswer.parse((await ask(`requests?limit=2&before=${first.next}`)).json);
  expect(second).toMatchObject({ requests: [{ id: sold[0] }], next: null });
  const broken = requestsAnswer.parse((await ask('requests?outcome=broken')).json);
  expect(broken.requests.map(({ id }) => id)).toEqual([sold[2]]);
});

test('one request tells its times, and its money to the last pico-dollar', async () => {
  const found = requestAnswer.parse((await ask(`requests/${sold[1]}`)).json);
  expect(found.timing).toMatchObject({ until_first_token_ms: 300, generation_ms: 600, total_ms: 900 });
  expect(found.served).toMatchObject({ tier: null, route: null });
  expect(found.money).toMatchObject({ charged_usd: '0.000003', refunded_usd: '0.000001' });
  const { split } = found.money;
  const parts = Object.values(split).reduce((sum, part) => sum + parseUsd(part), 0n);
  expect(parts).toBe(2_000_000n);
});

test("another's requests are nobody's business", async () => {
  expect((await ask(`requests/${theirs}`)).status).toBe(404);
  expect((await ask(`requests/${sold[0]}`, other)).status).toBe(404);
  for (const path of [
    'overview?duration=7d',
    'usage/by',
    'usage/by?group=key',
    `requests?before=${theirs}`,
    'requests',
  ]) {
    const { text } = await ask(path);
    expect(text).not.toContain('b/other');
    expect(text).not.toContain(other.keyId);
    expect(text).not.toContain('0.000077');
  }
});

test('movements tell what came in and, day by day, what was used', async () => {
  const { movements } = movementsAnswer.parse((await ask('movements')).json);
  const sum = movements.reduce(
    (total, { amount_usd }) =>
      total + parseUsd(amount_usd.replace('-', '')) * (amount_usd.startsWith('-') ? -1n : 1n),
    0n,
  );
  expect(sum).toBe(parseUsd('5') - 3_000_001n);
  expect(movements.filter(({ kind }) => kind === 'charge').length).toBeLessThanOrEqual(3);
  expect((await ask('movements?format=csv')).text).toMatch(/^id,kind,at,amount_usd\r\n/);
});

test('readings of usage are not made without end, and one account slows down no other', async () => {
  const hasty = await person('hasty');
  const paths = ['overview?duration=90d', 'usage/by', 'requests', 'requests/req_none', 'movements'];
  const asked = await Promise.all(
    Array.from({ length: 120 }, (_, n) => paths[n % paths.length] as string).map(async (path) => ({
      path,
      status: (await ask(path, hasty)).status,
    })),
  );
  const slowed = asked.filter(({ status }) => status === 429);
  expect(new Set(slowed.map(({ path }) => path))).toEqual(new Set(paths));
  expect((await ask('requests')).status).toBe(200);
});

test('a stretch that ends before it begins is refused', async () => {
  const answered = await ask('usage/by?from=2026-11-02T00:00:00Z&until=2026-11-01T00:00:00Z');
  expect(answered.status).toBe(400);
});
