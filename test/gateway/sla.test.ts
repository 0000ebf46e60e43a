import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppealDesk } from '#benchmark/appeals.ts';
import { parseUsd } from '#domain/money.ts';
import { monthName, monthOf, monthStart } from '#domain/window.ts';
import { Collateral } from '#funds/collateral.ts';
import { systemClock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import { SlaDesk } from '#sla/desk.ts';
import { TestMarket } from '#support/market.ts';
import { makeId } from '#support/parties.ts';
import { pdfText } from '#support/pdf-text.ts';
import { Sales } from '#support/sales.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { type Answered, visit } from '#support/visitor.ts';
import { appealsAnswer } from '#wire/console.ts';
import { slaChargesAnswer } from '#wire/provider.ts';
import { slaReportSchema } from '#wire/sla.ts';

// Service levels over REST: one's own, and nobody else's.

let market: TestMarket;
let people = 0;
let ann: Person;
let bob: Person;
let pat: Person;
let boss: Person;
let finding: string;
const DAY = 86_400_000;
const MINUTE = 60_000;
const LAST = monthOf(systemClock.wallMs()) - 1;
const month = monthName(LAST);
const begin = monthStart(LAST);
const iso = (ms: number): string => new Date(ms).toISOString();

interface Person {
  token: string;
  consumerId: string;
  providerId: string;
}

const at = (path: string): string => `${market.url}/api/v1${path}`;
const as = async (who: Person, path: string, about: object = {}): Promise<Answered> =>
  await visit(at(path), { token: who.token, ...about });

async function person(name: string): Promise<Person> {
  const headers = { 'x-forwarded-for': `192.0.2.${++people}` };
  const body = { email: `p${people}@example.org`, password: 'correct horse', display_name: name };
  const { token } = (await visit(at('/user/signup'), { body, headers })).json;
  await visit(at('/user/upgrade-to-provider'), { token, body: { name: `${name} GPUs`, wallet_address: '' } });
  const [row] = await market.fresh.database.sql<{ consumer_id: string; provider_id: string }[]>`
    select consumer_id, provider_id from users where email = ${body.email}`;
  return { token, consumerId: row?.consumer_id ?? '', providerId: row?.provider_id ?? '' };
}

beforeAll(async () => {
  market = await TestMarket.open({ config: { access: { trustedProxies: ['127.0.0.1'] } } });
  [ann, bob, pat, boss] = [
    await person('Ann <b>'),
    await person('Bob'),
    await person('Pat'),
    await person('Boss'),
  ];
  const { database } = market.fresh;
  await database.sql`update users set is_operator = true where consumer_id = ${boss.consumerId}`;
  const sales = new Sales(database);
  for (const { consumerId } of [ann, bob]) {
    await sales.book(begin).deposit(consumerId, parseUsd('100'), consumerId);
    await sales.sell({ consumerId, at: begin + 10 * DAY, charge: parseUsd('100') });
  }
  const failed = {
    consumerId: ann.consumerId,
    providerId: pat.providerId,
    charge: 0n,
    ttftMs: null,
  } as const;
  await sales.sell(
    ...Array.from({ length: 50 }, (_, i) => ({
      ...failed,
      at: begin + i * MINUTE,
      outcome: 'failed' as const,
      errorCode: 'provider-failed',
    })),
  );
  const clock = new VirtualClock(Math.max(systemClock.wallMs(), monthStart(LAST + 1) + DAY));
  const collateral = new Collateral({ database, chain: undefined, clock, makeId, log: silentLog });
  const { id } = await collateral.announceDollars(pat.providerId, parseUsd('2'));
  await collateral.confirmDollars(id, { reference: 'wire 1' });
  const desk = new SlaDesk({ database, collateral, clock, makeId });
  await desk.run(LAST);
  finding = (await desk.charges({ limit: 1 }))[0]?.findingId ?? '';
});
afterAll(async () => {
  await market.close();
});

describe('200', () => {
  test('a consumer reads its own report as JSON, as a page and as PDF', async () => {
    const { json } = await as(ann, `/sla/reports/${month}`);
    expect(slaReportSchema.parse(json)).toMatchObject({
      state: 'final',
      consumer: ann.consumerId,
      unavailable_minutes: 50,
      credit_usd: '5.00',
      paid_by: { stakes_usd: '2.00', market_usd: '3.00' },
    });
    const page = await as(ann, `/sla/reports/${month}.html`);
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(page.text).toContain('Credit: 5.00 USD');
    expect(page.text).not.toContain('<script');
    const style = /<style>([\s\S]*)<\/style>/.exec(page.text)?.[1] ?? '';
    const hash = createHash('sha256').update(style).digest('base64');
    expect(page.headers['content-security-policy']).toContain(
      `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`,
    );
    const pdf = await fetch(at(`/sla/reports/${month}.pdf`), {
      headers: { authorization: `Bearer ${ann.token}` },
    });
    expect(pdf.headers.get('content-type')).toBe('application/pdf');
    const [paper] = pdfText(Buffer.from(await pdf.arrayBuffer()));
    for (const words of ['SLA report', 'Ann <b>', '5.00', json.inputs_digest]) {
      expect(paper).toContain(words);
    }
  });

  test('its list has the reports that were made and this month so far, which is not credited', async () => {
    const { json } = await as(ann, '/sla/reports');
    expect(json).toMatchObject({
      reports: [{ month, state: 'final', credit_usd: '5.00' }],
      so_far: { month: monthName(LAST + 1), state: 'estimate', credit_usd: '0.00' },
    });
    const page = await as(ann, `/sla/reports/${monthName(LAST + 1)}?format=html`);
    expect(page.text).toContain('an estimate');
  });

  test('its own minutes of a window are JSON or CSV, and nobody else is in them', async () => {
    const query = `from=${iso(begin)}&until=${iso(begin + 3 * MINUTE)}`;
    const { json } = await as(ann, `/sla/data?${query}`);
    expect(json.minutes).toHaveLength(3);
    expect(json.minutes[0]).toEqual({
      minute: iso(begin),
      model: 'cygnet/cygnet-nano',
      requests: 1,
      failures: 1,
      failures_of_providers: 1,
      failures_of_market: 0,
      not_counted: 0,
      ttft_p95_ms: null,
      input_tokens: 10,
      output_tokens: 20,
    });
    const csv = await as(ann, `/sla/data?${query}&format=csv`);
    expect(csv.text.split('\r\n')).toHaveLength(5);
    expect((await as(bob, `/sla/data?${query}`)).json.minutes).toEqual([]);
  });

  test('a provider sees what its pledge was charged, and no other provider does', async () => {
    const { json } = await as(pat, '/provider/me/sla-charges');
    expect(json.charges).toMatchObject([
      { finding, month, minutes: 50, share_usd: '5.00', taken_usd: '2.00', appeal: null },
    ]);
    expect(JSON.stringify(json)).not.toContain(ann.consumerId);
    expect((await as(bob, '/provider/me/sla-charges')).json.charges).toEqual([]);
  });

  test('a provider reads the minutes that a charge rests on, which name no consumer; others find nothing there', async () => {
    const place = `sla-charges/${encodeURIComponent(finding)}`;
    const { json, text } = await as(pat, `/provider/me/${place}`);
    expect(json).toMatchObject({ finding, month, more: false });
    expect(json.failures).toHaveLength(50);
    expect(json.failures[0]).toEqual({
      minute: iso(begin),
      model: 'cygnet/cygnet-nano',
      error: 'provider-failed',
      requests: 1,
    });
    expect(text).not.toContain(ann.consumerId);
    expect((await as(boss, `/operator/sla/charges/${encodeURIComponent(finding)}`)).json).toEqual(json);
    expect((await as(bob, `/provider/me/${place}`)).status).toBe(404);
    expect((await as(bob, `/operator/sla/charges/${encodeURIComponent(finding)}`)).status).toBe(403);
  });

  test('a provider appeals against a charge once, within 30 days of it, and the operator reads its words', async () => {
    const wish = { about: finding, reason: 'Your switch cut us off.' };
    const open = appealsAnswer.parse((await as(pat, '/provider/appeals')).json);
    expect(open.may_appeal).toMatchObject([{ about: finding, kind: 'service-level' }]);
    const desk = new AppealDesk(market.fresh.database);
    const late = { ...wish, providerId: pat.providerId, actor: 'pat', at: systemClock.wallMs() + 32 * DAY };
    await expect(desk.ask(late)).rejects.toThrow(expect.objectContaining({ code: 'conflict' }));
    expect(await desk.appealable(pat.providerId, late.at)).toEqual([]);
    expect((await as(bob, '/provider/appeals', { body: wish })).status).toBe(404);
    expect(
      (await as(pat, '/provider/appeals', { body: { ...wish, reason: 'x'.repeat(1_001) } })).status,
    ).toBe(400);

    const asked = await Promise.all([1, 2].map(() => as(pat, '/provider/appeals', { body: wish })));
    expect(asked.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 201]);
    const [charge] = slaChargesAnswer.parse((await as(pat, '/provider/me/sla-charges')).json).charges;
    expect(charge).toMatchObject({ appeal: null, appeal_asked: wish.reason });
    expect((await as(boss, '/operator/appeals')).json.appeals).toMatchObject([
      { about: finding, kind: 'service-level', provider_id: pat.providerId, reason: wish.reason },
    ]);
    expect((await as(boss, '/operator/sla/charges')).json.charges).toMatchObject([
      { finding, appeal: null, appeal_asked: wish.reason },
    ]);
    // What is no finding of the operator's own is decided about where service levels are.
    const decision = { decision: 'granted', reason: 'So it was.' };
    expect((await as(boss, `/operator/appeals/${finding}`, { body: decision })).status).toBe(404);
  });

  test('the operator reads any report, enters what does not count, and decides appeals', async () => {
    const { json } = await as(boss, `/operator/sla/reports?month=${month}`);
    expect(json.reports.map((each: { consumer: string }) => each.consumer).toSorted()).toEqual(
      [ann.consumerId, bob.consumerId].toSorted(),
    );
    const one = await as(boss, `/operator/sla/reports/${ann.consumerId}/${month}`);
    expect(one.json.credit_usd).toBe('5.00');
    const entered = await as(boss, '/operator/sla/exclusions', {
      body: {
        consumer: bob.consumerId,
        kind: 'force-majeure',
        from: iso(begin),
        until: iso(begin + DAY),
        evidence: 'inc_1',
      },
    });
    expect(entered.json).toMatchObject({ consumer: bob.consumerId, evidence: 'inc_1' });
    const listed = await as(boss, `/operator/sla/exclusions?month=${month}`);
    expect(listed.json.exclusions).toEqual([entered.json]);
    const gone = await as(boss, `/operator/sla/exclusions/${entered.json.id}`, { method: 'DELETE' });
    expect(gone.status).toBe(200);
    const appeal = await as(boss, `/operator/sla/charges/${finding}/appeal`, {
      body: { decision: 'granted', reason: 'Our switch failed.' },
    });
    expect(appeal.json).toEqual({ decision: 'granted', known: false, given_back_usd: '2.00' });
    expect((await as(pat, '/provider/me/sla-charges')).json.charges[0]).toMatchObject({
      appeal: 'granted',
      appeal_reason: 'Our switch failed.',
    });
    expect((await as(boss, '/operator/appeals')).json.appeals).toEqual([]);
    const { appeals, may_appeal: open } = appealsAnswer.parse((await as(pat, '/provider/appeals')).json);
    expect(appeals).toMatchObject([
      { about: finding, state: 'granted', decided_because: 'Our switch failed.' },
    ]);
    expect(open).toEqual([]);
  });
});

describe('what is refused', () => {
  test("a consumer finds its own report where another's would be, and never the other's", async () => {
    const mine = (await as(bob, `/sla/reports/${month}`)).json;
    expect(mine).toMatchObject({ consumer: bob.consumerId, unavailable_minutes: 0, credit_usd: '0.00' });
    for (const ending of ['', '.html']) {
      expect((await as(bob, `/sla/reports/${month}${ending}`)).text).not.toContain(ann.consumerId);
    }
    for (const path of [
      `/operator/sla/reports/${ann.consumerId}/${month}`,
      `/operator/sla/reports?consumer=${ann.consumerId}`,
      '/operator/sla/charges',
    ]) {
      expect((await as(bob, path)).status).toBe(403);
    }
    expect((await as(bob, `/sla/reports/${month}?consumer=${ann.consumerId}`)).json.consumer).toBe(
      bob.consumerId,
    );
  });

  const windows: [string, string, RegExp][] = [
    ['reversed', `from=${iso(begin + DAY)}&until=${iso(begin)}`, /until comes after from/],
    ['from tomorrow', `from=${iso(systemClock.wallMs() + DAY)}&until=2999-01-01T00:00Z`, /future/],
    ['of a year', `from=${iso(begin - 365 * DAY)}&until=${iso(begin)}`, /at most 7 days/],
    ['without its zone', 'from=2026-11-01T00:00&until=2026-11-02T00:00', /zone/],
    ['without an end', `from=${iso(begin)}`, /until/],
  ];
  test.each(windows)('a window that is %s', async (_, query, why) => {
    const answered = await as(ann, `/sla/data?${query}`);
    expect(answered.status).toBe(400);
    expect(answered.text).toMatch(why);
  });

  const months: [string, number][] = [
    ['2026-13', 400],
    ['november', 400],
    ['2026-11.exe', 400],
    ['2999-01', 404],
  ];
  test.each(months)('the month %s', async (name, status) => {
    expect((await as(ann, `/sla/reports/${name}`)).status).toBe(status);
  });

  test('an exclusion without evidence, of what is not over, or for nobody', async () => {
    const good = { kind: 'misuse', from: iso(begin), until: iso(begin + DAY), evidence: 'inc_1' };
    const status = async (about: object): Promise<number> =>
      (await as(boss, '/operator/sla/exclusions', { body: { ...good, ...about } })).status;
    expect(await status({ evidence: '  ' })).toBe(400);
    expect(await status({ kind: 'maintenance' })).toBe(400);
    expect(await status({ until: iso(systemClock.wallMs() + DAY) })).toBe(409);
    expect(await status({ consumer: 'con_nobody' })).toBe(404);
  });
});
