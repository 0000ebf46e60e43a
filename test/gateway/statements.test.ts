import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseUsd } from '#domain/money.ts';
import { monthName, monthOf } from '#domain/window.ts';
import { Deposits } from '#funds/deposits.ts';
import { systemClock } from '#kit/clock.ts';
import { Billing } from '#statements/billing.ts';
import { TestMarket } from '#support/market.ts';
import { makeId } from '#support/parties.ts';
import { pdfText } from '#support/pdf-text.ts';
import { Sales } from '#support/sales.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { type Answered, visit } from '#support/visitor.ts';
import { documentSchema } from '#wire/documents.ts';

// Papers over REST: one's own, and nobody else's.

let market: TestMarket;
let people = 0;
let ann: Person;
let bob: Person;
let boss: Person;
let numbers: { ann: string; bob: string };
const DAY = 86_400_000;
/** In the month before this one, whatever day it is. */
const LAST_MONTH = new Date(systemClock.wallMs()).setUTCDate(0);
const month = monthName(monthOf(LAST_MONTH));

interface Person {
  token: string;
  consumerId: string;
  providerId: string;
  providerKey: string;
}

const at = (path: string): string => `${market.url}/api/v1${path}`;
const as = async (who: Person, path: string): Promise<Answered> =>
  await visit(at(path), { token: who.token });

async function person(name: string): Promise<Person> {
  const headers = { 'x-forwarded-for': `192.0.2.${++people}` };
  const body = { email: `p${people}@example.org`, password: 'correct horse', display_name: name };
  const { token } = (await visit(at('/user/signup'), { body, headers })).json;
  const upgraded = await visit(at('/user/upgrade-to-provider'), {
    token,
    body: { name: `${name} GPUs`, wallet_address: '' },
  });
  const [row] = await market.fresh.database.sql<{ consumer_id: string; provider_id: string }[]>`
    select consumer_id, provider_id from users where email = ${body.email}`;
  return {
    token,
    consumerId: row?.consumer_id ?? '',
    providerId: row?.provider_id ?? '',
    providerKey: upgraded.json.provider_api_key,
  };
}

beforeAll(async () => {
  market = await TestMarket.open({ config: { access: { trustedProxies: ['127.0.0.1'] } } });
  [ann, bob, boss] = [await person('=Ann "Å" 1+1'), await person('Bob'), await person('Boss')];
  const { database } = market.fresh;
  await database.sql`update users set is_operator = true where consumer_id = ${boss.consumerId}`;
  const sales = new Sales(database);
  for (const { consumerId } of [ann, bob]) {
    await sales.book(LAST_MONTH).grant(consumerId, parseUsd('1'), consumerId);
    await sales.sell({ consumerId, at: LAST_MONTH, charge: parseUsd('0.25'), providerId: ann.providerId });
    await new Deposits({ database, clock: new VirtualClock(LAST_MONTH) }).confirm({
      method: 'bank',
      consumerId,
      amount: parseUsd('50'),
      reference: `wire ${consumerId}`,
    });
  }
  // As the market does by itself, a few minutes after it was opened.
  const issuer = { name: 'Lake Market', address: [], tax_id: null, note: null };
  const later = new VirtualClock(systemClock.wallMs() + DAY);
  await new Billing({ database, clock: later, issuer }).round();
  const numberOf = async (who: Person): Promise<string> =>
    (await as(who, '/user/me/invoices')).json.documents.find(
      (each: { document: string }) => each.document === 'invoice',
    ).number;
  numbers = { ann: await numberOf(ann), bob: await numberOf(bob) };
});
afterAll(async () => {
  await market.close();
});

describe('200', () => {
  test('a consumer lists its own documents, and reads one as JSON, CSV and PDF', async () => {
    const list = await as(ann, `/user/me/invoices?month=${month}`);
    expect(list.json.documents).toEqual([
      { number: numbers.ann, document: 'invoice', month, issued_at: expect.any(String), total_usd: '0.25' },
    ]);
    const json = await as(ann, `/user/me/invoices/${numbers.ann}`);
    expect(documentSchema.parse(json.json)).toMatchObject({
      customer: { id: ann.consumerId },
      total_usd: '0.25',
    });
    const csv = await as(ann, `/user/me/invoices/${numbers.ann}?format=csv`);
    expect(csv.headers['content-type']).toContain('text/csv');
    expect(csv.headers['content-disposition']).toBe(`attachment; filename="${numbers.ann}.csv"`);
    // The name was not meant to be computed.
    expect(csv.text).toContain(`,"'=Ann ""Å"" 1+1",`);
    const pdf = await fetch(at(`/user/me/invoices/${numbers.ann}?format=pdf`), {
      headers: { authorization: `Bearer ${ann.token}` },
    });
    expect(pdf.headers.get('content-type')).toBe('application/pdf');
    const [page] = pdfText(Buffer.from(await pdf.arrayBuffer()));
    expect(page).toContain(numbers.ann);
    expect(page).toContain('=Ann "Å" 1+1');
  });

  test('the receipt of a deposit is there as soon as it is asked for', async () => {
    const reference = makeId('wire');
    await new Deposits({ database: market.fresh.database, clock: systemClock }).confirm({
      method: 'paypal',
      consumerId: ann.consumerId,
      amount: parseUsd('12.5'),
      reference,
    });
    const path = `/user/me/deposits/${encodeURIComponent(`paypal:${reference}`)}/receipt`;
    const { json } = await as(ann, path);
    expect(json).toMatchObject({ document: 'receipt', total_usd: '12.50', deposit: { method: 'paypal' } });
    expect((await as(ann, path)).json).toEqual(json);
  });

  test('a provider reads its earnings by day, week and month, with its key or signed in', async () => {
    const days = `from=${new Date(LAST_MONTH).toISOString().slice(0, 10)}`;
    for (const period of ['day', 'week', 'month']) {
      for (const token of [ann.token, ann.providerKey]) {
        const { json } = await visit(at(`/provider/me/earnings?period=${period}&${days}`), { token });
        // Of two times 25 cents, 66.5 %.
        expect(json).toMatchObject({
          period,
          total_earned_usd: '0.3325',
          earnings: [{ requests: 2, earned_usd: '0.3325' }],
        });
      }
    }
    const csv = await as(ann, `/provider/me/earnings?period=month&${days}&format=csv`);
    expect(csv.text.split('\r\n')).toEqual([
      'period,model,requests,input_tokens,output_tokens,paid_by_consumers_usd,earned_usd',
      `${month},cygnet/cygnet-nano,2,20,40,0.50,0.3325`,
      'total,,2,20,40,0.50,0.3325',
      '',
    ]);
    expect((await as(bob, `/provider/me/earnings?${days}`)).json).toMatchObject({
      earnings: [],
      total_earned_usd: '0.00',
    });
  });

  test("an operator reads everybody's documents, the treasury, revenue and the journal", async () => {
    const all = await as(boss, `/operator/invoices?month=${month}`);
    expect(all.json.documents.map((each: { consumer: string }) => each.consumer).toSorted()).toEqual(
      [ann.consumerId, bob.consumerId].toSorted(),
    );
    const one = await as(boss, `/operator/invoices?consumer=${bob.consumerId}&month=${month}`);
    expect(one.json.documents).toHaveLength(1);
    expect((await as(boss, `/operator/invoices/${numbers.bob}`)).json.customer.name).toBe('Bob');
    const days = `from=${new Date(LAST_MONTH).toISOString().slice(0, 10)}`;
    const treasury = await as(boss, `/operator/treasury?${days}`);
    expect(treasury.json).toMatchObject({
      treasury_usd: '0.095',
      burn_due_usd: '0.0475',
      burned_usd: '0.00',
      burns: [],
    });
    const volume = await as(boss, `/operator/revenue?${days}`);
    expect(volume.json.days).toMatchObject([{ given_requests: 2, given_usd: '0.50', paid_usd: '0.00' }]);
    const nodes = await as(boss, `/operator/revenue?by=node&${days}`);
    expect(nodes.json.nodes).toMatchObject([{ node_id: 'node_1', gross_usd: '0.50', gpu: null }]);
    expect((await as(boss, `/operator/revenue?by=gpu&${days}&format=csv`)).text).toContain(
      ',1,0,2,0.50,0.3325,',
    );
    const journal = await as(boss, `/operator/journal?${days}`);
    expect(journal.headers['content-type']).toContain('text/csv');
    const lines = journal.text.trimEnd().split('\r\n');
    const [, , , , all_, , debit, credit] = lines.at(-1)?.split(',') ?? [];
    expect([all_, debit]).toEqual(['all', credit]);
    expect(lines.length).toBeGreaterThan(10);
  });
});

describe('400', () => {
  test.each([
    '/user/me/invoices?month=2026-13',
    '/user/me/invoices/INV-000001?format=exe',
    '/provider/me/earnings?from=2026-02-30',
    '/provider/me/earnings?from=2026-03-02&to=2026-03-01',
    '/provider/me/earnings?from=2025-01-01&to=2026-12-01',
    '/provider/me/earnings?period=year',
  ])('%s', async (path) => {
    expect((await as(ann, path)).status).toBe(400);
  });
});

describe('401 and 403', () => {
  test.each([
    '/operator/invoices',
    '/operator/invoices/INV-000001',
    '/operator/treasury',
    '/operator/revenue',
    '/operator/journal',
  ])('%s is for operators alone', async (path) => {
    expect((await visit(at(path))).status).toBe(401);
    expect((await as(ann, path)).status).toBe(403);
    expect((await visit(at(path), { token: ann.providerKey })).status).toBe(401);
  });
});

describe('404', () => {
  test("another's document, and one that does not exist, are the same to whoever asks", async () => {
    const deposit = encodeURIComponent(`bank:wire ${bob.consumerId}`);
    for (const format of ['json', 'csv', 'pdf']) {
      const theirs = await as(ann, `/user/me/invoices/${numbers.bob}?format=${format}`);
      const none = await as(ann, `/user/me/invoices/INV-999999?format=${format}`);
      expect([theirs.status, theirs.text]).toEqual([404, none.text]);
      const receipt = await as(ann, `/user/me/deposits/${deposit}/receipt?format=${format}`);
      expect([receipt.status, receipt.text]).toEqual([404, none.text]);
    }
    expect((await as(bob, `/user/me/deposits/${deposit}/receipt`)).status).toBe(200);
  });
});
