import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Database } from '#db/database.ts';
import { type Pico, parseUsd } from '#domain/money.ts';
import type { UsageRecord } from '#domain/usage-record.ts';
import { monthOf } from '#domain/window.ts';
import { auditFunds } from '#funds/audit.ts';
import { Collateral } from '#funds/collateral.ts';
import { Deposits, receive } from '#funds/deposits.ts';
import { Fault } from '#kit/fault.ts';
import { silentLog } from '#kit/log.ts';
import { audit } from '#ledger/audit.ts';
import { writeEntries } from '#ledger/book.ts';
import { planFeeEntry, reversalEntry, slaCreditEntry } from '#ledger/funds-entries.ts';
import { announce } from '#reliability/maintenance.ts';
import { keepRefusals } from '#reliability/refusals.ts';
import { STANDARD_SLA } from '#reliability/sla-terms.ts';
import { dyingDatabase } from '#support/mortal.ts';
import { makeConsumer, makeId, makeProvider, setPlan } from '#support/parties.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { Sales } from '#support/sales.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { auditAgreements } from './audit.ts';
import { SlaDesk } from './desk.ts';
import { enterExclusion, withdrawExclusion } from './exclusions.ts';

/** November 2026: 43,200 minutes. */
const NOVEMBER = Date.UTC(2026, 10, 1);
const DECEMBER = Date.UTC(2026, 11, 1);
const MONTH = monthOf(NOVEMBER);
const MINUTE = 60_000;
const DAY = 86_400_000;

let fresh: FreshDatabase;
let sales: Sales;
let clock: VirtualClock;
beforeEach(async () => {
  fresh = await freshDatabase();
  sales = new Sales(fresh.database);
  clock = new VirtualClock(DECEMBER + 2 * DAY);
});
afterEach(async () => {
  const { database } = fresh;
  const found = [
    ...(await audit(database)).differences,
    ...(await auditFunds({ database })).differences,
    ...(await auditAgreements(database)),
  ];
  await fresh.drop();
  assert.deepEqual(found, []);
});

const collateralOf = (database: Database) =>
  new Collateral({ database, chain: undefined, clock, makeId, log: silentLog });
const deskOf = (database: Database = fresh.database) =>
  new SlaDesk({ database, collateral: collateralOf(database), clock, makeId });

async function pledge(providerId: string, dollars: string): Promise<void> {
  const room = collateralOf(fresh.database);
  const { id } = await room.announceDollars(providerId, parseUsd(dollars));
  await room.confirmDollars(id, { reference: makeId('pay') });
}

const payIn = async (consumerId: string, dollars: string): Promise<void> => {
  const deposits = new Deposits({ database: fresh.database, clock });
  await deposits.confirm({
    method: 'bank',
    consumerId,
    amount: parseUsd(dollars),
    reference: makeId('pay'),
  });
};

/** A consumer who paid money in. */
async function funded(dollars: string): Promise<string> {
  const { id } = await makeConsumer(fresh.database, 0n);
  await payIn(id, dollars);
  return id;
}

/** A consumer who paid `fee` on the 20th. */
async function payer(fee: string): Promise<string> {
  const id = await funded(fee);
  await sales.sell({ consumerId: id, at: NOVEMBER + 20 * DAY, charge: parseUsd(fee) });
  return id;
}

/** A month of the Pro plan that was paid for. */
async function paidPlan(consumerId: string, start: number): Promise<void> {
  const fee = parseUsd('6');
  await payIn(consumerId, '6');
  await fresh.database.transaction(async (sql) => {
    await sql`
      insert into plan_periods (consumer_id, plan, starts_at, ends_at, fee)
      values (${consumerId}, 'pro', ${new Date(start)}, ${new Date(start + 30 * DAY)}, ${fee})`;
    const id = `${consumerId}:pro:${new Date(start).toISOString()}`;
    await writeEntries(sql, [planFeeEntry({ id, at: start, amount: fee, consumerId })]);
  });
}

/** So many minutes, from the `from`-th of the month on, in which both requests of the consumer failed. */
async function failing(
  consumerId: string,
  { from = 0, minutes }: { from?: number; minutes: number },
  about: Partial<UsageRecord> = {},
): Promise<void> {
  const records = Array.from({ length: minutes * 2 }, (_, i) => ({
    consumerId,
    at: NOVEMBER + (from + (i >> 1)) * MINUTE + (i & 1) * 7_000,
    charge: 0n,
    outcome: 'failed' as const,
    errorCode: 'provider-failed',
    ttftMs: null,
    ...about,
  }));
  await sales.sell(...records);
}

/** A provider that was charged $30 of its $100 for 44 minutes, and what it was charged under. */
async function charged(): Promise<{ provider: string; consumer: string; findingId: string }> {
  const { id: provider } = await makeProvider(fresh.database);
  await pledge(provider, '100');
  const consumer = await payer('600');
  await failing(consumer, { minutes: 44 }, { providerId: provider });
  await deskOf().run(MONTH);
  const [charge] = await deskOf().charges({ providerId: provider, limit: 10 });
  assert(charge);
  return { provider, consumer, findingId: charge.findingId };
}

/** So many minutes in which a request was refused because nobody was there. */
async function unserved(
  consumerId: string,
  from: number,
  minutes: number,
  modelId = 'cygnet/cygnet-nano',
): Promise<void> {
  await keepRefusals(
    fresh.database,
    makeId('life'),
    Array.from({ length: minutes }, (_, i) => ({
      minute: NOVEMBER / MINUTE + from + i,
      consumerId,
      modelId,
      code: 'model-without-provider',
      requests: 1,
    })),
  );
}

const balance = async (account: string): Promise<Pico> =>
  (await fresh.database.sql<{ balance: Pico }[]>`select balance from accounts where id = ${account}`)[0]
    ?.balance ?? 0n;
const credits = async (consumerId: string) =>
  await fresh.database.sql<{ id: string; amount: Pico }[]>`
    select id, amount from postings where kind = 'sla-credit' and account = ${`consumer:${consumerId}`}`;

describe('a month by hand', () => {
  test('87 minutes of 43,200 are two steps: 10 % of $600, of which a provider pays for its 60 minutes', async () => {
    // docs/operate/sla.md calculates this month.
    const { id: provider } = await makeProvider(fresh.database);
    await pledge(provider, '100');
    const consumer = await payer('600');
    await failing(consumer, { minutes: 60 }, { providerId: provider });
    await unserved(consumer, 1_000, 20);
    // Two were tried: nobody's fault is proven.
    await failing(consumer, { from: 2_000, minutes: 7 }, { providerId: provider, attempts: 2 });

    const [outcome] = await deskOf().round();
    expect(outcome).toMatchObject({ month: '2026-11', made: 1, failed: [] });
    expect(outcome?.reports[0]).toMatchObject({
      state: 'final',
      fee_usd: '600.00',
      minutes: 43_200,
      unavailable_minutes: 87,
      uptime_ppm: 997_986,
      unavailable: [
        { from: '2026-11-01T00:00:00.000Z', until: '2026-11-01T01:00:00.000Z' },
        { from: '2026-11-01T16:40:00.000Z', until: '2026-11-01T17:00:00.000Z' },
        { from: '2026-11-02T09:20:00.000Z', until: '2026-11-02T09:27:00.000Z' },
      ],
      basis_points: 1_000,
      credit_usd: '60.00',
      paid_by: {
        // 60 × 60 / 87 = 41.37931034482758…, rounded down.
        stakes_usd: '41.379310344827',
        market_usd: '18.620689655173',
        stakes: [{ minutes: 60, share_usd: '41.379310344827', taken_usd: '41.379310344827' }],
      },
    });
    expect(await balance(`consumer:${consumer}`)).toBe(parseUsd('60'));
    expect(await balance(`collateral:${provider}`)).toBe(parseUsd('58.620689655173'));
    expect(await balance('platform:sla')).toBe(-parseUsd('18.620689655173'));
    expect(await balance('platform:slashed')).toBe(0n);
  });

  test('what a pledge does not cover, the market pays', async () => {
    const { id: provider } = await makeProvider(fresh.database);
    await pledge(provider, '10');
    const consumer = await payer('600');
    await failing(consumer, { minutes: 44 }, { providerId: provider });
    const { reports } = await deskOf().run(MONTH);
    expect(reports[0]?.paid_by).toMatchObject({
      stakes_usd: '10.00',
      market_usd: '20.00',
      stakes: [{ share_usd: '30.00', taken_usd: '10.00' }],
    });
    expect(await balance(`consumer:${consumer}`)).toBe(parseUsd('30'));
    expect(await balance(`collateral:${provider}`)).toBe(0n);
  });

  test('what was taken of a pledge goes back when its appeal is granted, once, and the credit stays', async () => {
    const { provider, consumer, findingId } = await charged();
    const desk = deskOf();
    const [charge] = await desk.charges({ providerId: provider, limit: 10 });
    expect(charge).toMatchObject({ minutes: 44, taken: parseUsd('30'), month: '2026-11', appeal: null });
    expect([await balance('platform:slashed'), await balance('platform:sla')]).toEqual([0n, 0n]);
    const grant = { findingId, decision: 'granted', reason: 'Our switch failed.', actor: 'op' } as const;
    // It is decided about here, and nowhere else.
    const elsewhere = {
      id: findingId,
      decision: 'rejected',
      reason: 'no',
      actor: 'op',
      at: NOVEMBER,
    } as const;
    const { database } = fresh;
    const answer = await database.transaction((sql) => collateralOf(database).decideFinding(sql, elsewhere));
    expect(answer).toBe('unknown');
    expect(await desk.decideAppeal(grant)).toEqual({ known: false, dollars: parseUsd('30') });
    expect(await desk.decideAppeal(grant)).toEqual({ known: true, dollars: parseUsd('30') });
    const turned = await desk
      .decideAppeal({ ...grant, decision: 'rejected' })
      .catch((error: unknown) => error);
    expect(turned).toMatchObject({ code: 'conflict' });
    expect(await balance(`collateral:${provider}`)).toBe(parseUsd('100'));
    expect(await balance(`consumer:${consumer}`)).toBe(parseUsd('30'));
    // The market bears it: what was slashed for other reasons is untouched.
    expect([await balance('platform:slashed'), await balance('platform:sla')]).toEqual([0n, parseUsd('-30')]);
    expect(await auditAgreements(fresh.database)).toEqual([]);
    expect(await desk.charges({ limit: 10 })).toMatchObject([
      { appeal: 'granted', appealReason: grant.reason },
    ]);
  });

  test('bug: a decision that dies after any statement leaves nothing or everything', async () => {
    const { provider, findingId } = await charged();
    const grant = { findingId, decision: 'granted', reason: 'Our switch failed.', actor: 'op' } as const;
    let died = 0;
    for (let after = 0; ; after++) {
      const decided = await deskOf(dyingDatabase(fresh.database, after))
        .decideAppeal(grant)
        .catch(() => undefined);
      if (decided) break;
      died += 1;
      expect(await deskOf().charges({ limit: 10 })).toMatchObject([{ appeal: null }]);
      expect(await balance(`collateral:${provider}`)).toBe(parseUsd('70'));
    }
    expect(died).toBeGreaterThan(6);
    expect(await balance(`collateral:${provider}`)).toBe(parseUsd('100'));
    expect(await auditFunds({ database: fresh.database })).toMatchObject({ differences: [] });
  });

  test('a granted appeal of before that gave nothing back is told by the audit, and made good by granting it again', async () => {
    const { provider, findingId } = await charged();
    await fresh.database.sql`
      insert into sla_appeals (finding_id, decision, reason, actor, at) values (${findingId}, 'granted', 'r', 'op', now())`;
    expect(await auditAgreements(fresh.database)).toEqual([
      {
        what: 'A granted appeal did not give back what was charged, or another one did.',
        where: findingId,
        found: '0 for 0',
        expected: `${parseUsd('30')}`,
      },
    ]);
    const again = { findingId, decision: 'granted', reason: 'r', actor: 'op' } as const;
    expect(await deskOf().decideAppeal(again)).toEqual({ known: true, dollars: parseUsd('30') });
    expect(await balance(`collateral:${provider}`)).toBe(parseUsd('100'));
  });

  test('of decisions that are made at once one stands, and what follows is that one’s', async () => {
    const { provider, findingId } = await charged();
    const answers = await Promise.all(
      (['granted', 'rejected', 'granted', 'rejected', 'granted', 'rejected'] as const).map(
        async (decision) =>
          await deskOf(fresh.another({ maxConnections: 1 }))
            .decideAppeal({ findingId, decision, reason: 'r', actor: 'op' })
            .then(
              () => decision,
              (error: unknown) => (error instanceof Fault ? error.code : String(error)),
            ),
      ),
    );
    const appeal = (await deskOf().charges({ limit: 10 }))[0]?.appeal ?? '';
    expect(answers.toSorted()).toEqual(
      ['conflict', 'conflict', 'conflict', appeal, appeal, appeal].toSorted(),
    );
    expect(await balance(`collateral:${provider}`)).toBe(parseUsd(appeal === 'granted' ? '100' : '70'));
  });

  test('what was given back of a charge is no part of the fee, and a plan is', async () => {
    const consumer = await funded('100');
    const [sold] = await sales.sell({ consumerId: consumer, at: NOVEMBER + DAY, charge: parseUsd('100') });
    assert(sold);
    await sales.correct(sold, { at: NOVEMBER + 2 * DAY, refund: parseUsd('20') });
    await paidPlan(consumer, NOVEMBER + 3 * DAY);
    await unserved(consumer, 0, 44);
    const [report] = await deskOf().rehearse(MONTH);
    expect(report).toMatchObject({ fee_usd: '86.00', credit_usd: '4.30' });
  });

  test('a bonus and an earlier credit are spent first, and are no part of the fee', async () => {
    const consumer = await funded('100');
    await fresh.database.transaction((sql) =>
      writeEntries(sql, [
        slaCreditEntry({
          consumerId: consumer,
          month: '2026-10',
          report: 'sla_before',
          at: NOVEMBER + DAY,
          amount: parseUsd('20'),
          fromStakes: 0n,
        }),
      ]),
    );
    const sell = (day: number, dollars: string) =>
      sales.sell({ consumerId: consumer, at: NOVEMBER + day * DAY, charge: parseUsd(dollars) });
    await sell(2, '15');
    await sell(3, '65');
    expect((await deskOf().rehearse(MONTH))[0]).toMatchObject({ fee_usd: '60.00' });
    // The credit has no report: the audit must say so.
    expect(await auditAgreements(fresh.database)).toMatchObject([
      { what: 'A credit and its report differ.', where: `sla-credit:${consumer}:2026-10` },
    ]);
    await fresh.database.sql`
      insert into sla_reports (id, consumer_id, month, made_at, terms, inputs_digest, fee, credit, from_stakes, body)
      values ('sla_before', ${consumer}, '2026-10', now(), 'standard-1', ${'0'.repeat(64)}, ${parseUsd('80')},
        ${parseUsd('20')}, 0, '{}')`;
  });

  test('free credit earns no credit: it is spent first, on requests and plans alike, to the last pico-dollar', async () => {
    const { id: consumer } = await makeConsumer(fresh.database, parseUsd('10') + 1n);
    const sell = (day: number, charge: Pico) =>
      sales.sell({ consumerId: consumer, at: NOVEMBER + day * DAY, charge });
    const feeNow = async () => (await deskOf().rehearse(MONTH))[0]?.fee_usd;
    await unserved(consumer, 0, 44);
    await sell(1, parseUsd('6'));
    expect(await feeNow()).toBe('0.00');
    // Of the plan's $6, $4.000000000001 are left of what was given.
    await paidPlan(consumer, NOVEMBER + 2 * DAY);
    expect(await feeNow()).toBe('1.999999999999');
    // What is given after paid money was spent pays for what comes after it, and takes nothing back.
    await sales.book(NOVEMBER).grant(consumer, 5n, makeId('grant'));
    await payIn(consumer, '1');
    expect(await feeNow()).toBe('1.999999999999');
    await sell(3, 7n);
    expect(await feeNow()).toBe('2.000000000001');
    const [report] = await deskOf().rehearse(MONTH);
    // A twentieth, rounded down: to the market's side.
    expect(report).toMatchObject({ basis_points: 500, credit_usd: '0.10' });
  });

  test('whoever buys from itself with free credit gets no credit for its own failures', async () => {
    const { id: provider } = await makeProvider(fresh.database);
    const { id: consumer } = await makeConsumer(fresh.database, parseUsd('100'));
    await sales.sell({
      consumerId: consumer,
      providerId: provider,
      at: NOVEMBER + DAY,
      charge: parseUsd('100'),
    });
    await failing(consumer, { minutes: 500 }, { providerId: provider });
    const { reports } = await deskOf().run(MONTH);
    expect(reports[0]).toMatchObject({ basis_points: 2_500, fee_usd: '0.00', credit_usd: '0.00' });
    expect(await credits(consumer)).toEqual([]);
  });

  test('card money that went back and is owed was not paid', async () => {
    const consumer = await funded('50');
    const { database } = fresh;
    const reversed = { id: 'refund:pi_1:30', at: NOVEMBER + DAY, consumerId: consumer };
    await database.sql`
      insert into card_checkouts (id, consumer_id, cents, session_id, created_at)
      values ('chk_1', ${consumer}, 3000, 'cs_1', now())`;
    await database.transaction(async (sql) => {
      const payment = { id: 'card:pi_1', units: parseUsd('30'), value: parseUsd('30'), bonus: 0n };
      await receive(sql, NOVEMBER, {
        ...payment,
        method: 'card',
        consumerId: consumer,
        asset: 'USD',
        state: 'booked',
        source: 'cs_1',
        receivedAt: NOVEMBER,
      });
    });
    await sales.sell({ consumerId: consumer, at: NOVEMBER + DAY, charge: parseUsd('75') });
    await database.transaction(async (sql) => {
      await sql`
        insert into card_reversals (id, deposit_id, consumer_id, amount, taken, at)
        values (${reversed.id}, 'card:pi_1', ${consumer}, ${parseUsd('30')}, ${parseUsd('5')}, ${new Date(reversed.at)})`;
      await writeEntries(sql, [reversalEntry({ ...reversed, amount: parseUsd('30'), taken: parseUsd('5') })]);
    });
    await unserved(consumer, 0, 44);
    expect((await deskOf().rehearse(MONTH))[0]).toMatchObject({ fee_usd: '50.00' });
  });

  test('what failed at the machines of its own user counts neither way', async () => {
    const { id: provider } = await makeProvider(fresh.database);
    const consumer = await payer('600');
    await fresh.database.sql`
      insert into users (
        id, email, email_key, display_name, password_hash, consumer_id, provider_id, created_at, password_set_at
      ) values ('usr_1', 'a@b.example', 'a@b.example', 'A', '$argon2id$x', ${consumer}, ${provider}, now(), now())`;
    await failing(consumer, { minutes: 100 }, { providerId: provider });
    expect((await deskOf().rehearse(MONTH))[0]).toMatchObject({
      unavailable_minutes: 0,
      credit_usd: '0.00',
      not_counted: [{ kind: 'misuse', code: 'own-provider', requests: 200 }],
    });
  });

  test('three slow hours earn 5 %, and the market pays them', async () => {
    const { id: provider } = await makeProvider(fresh.database);
    await pledge(provider, '100');
    const consumer = await payer('100');
    const slow = Array.from({ length: 60 }, (_, i) => ({
      consumerId: consumer,
      providerId: provider,
      at: NOVEMBER + i * 3 * MINUTE,
      charge: 0n,
      ttftMs: 1_600,
    }));
    await sales.sell(...slow);
    const { reports } = await deskOf().run(MONTH);
    expect(reports[0]).toMatchObject({
      slow_hours: [{ from: '2026-11-01T00:00:00.000Z', until: '2026-11-01T03:00:00.000Z' }],
      credit_usd: '5.00',
      paid_by: { market_usd: '5.00', stakes: [] },
    });
  });
});

describe('what does not count', () => {
  test('a model that was never served to the account: asking for it in every quiet minute earns nothing', async () => {
    const consumer = await payer('1000');
    await unserved(consumer, 0, 500, 'zai-org/GLM-4.7');
    const [outcome] = await deskOf().round();
    expect(outcome?.reports[0]).toMatchObject({
      unavailable_minutes: 0,
      basis_points: 0,
      credit_usd: '0.00',
    });
    expect(await balance('platform:sla')).toBe(0n);
  });

  test('announced maintenance, and what the operator entered with its evidence, take minutes out', async () => {
    const consumer = await payer('600');
    await unserved(consumer, 0, 100);
    await announce(fresh.database.sql, {
      id: 'mnt_1',
      modelId: '',
      words: 'New disks.',
      announcedMs: NOVEMBER - 4 * DAY,
      fromMs: NOVEMBER,
      untilMs: NOVEMBER + 40 * MINUTE,
    });
    const exclusion = {
      id: 'exc_1',
      consumerId: consumer,
      kind: 'force-majeure' as const,
      fromMs: NOVEMBER + 40 * MINUTE,
      untilMs: NOVEMBER + 70 * MINUTE,
      evidence: 'inc_1: the fibre of the whole town was cut',
      actor: 'operator',
      enteredMs: DECEMBER,
    };
    await enterExclusion(fresh.database.sql, exclusion);
    const [report] = await deskOf().rehearse(MONTH);
    expect(report).toMatchObject({
      unavailable_minutes: 100,
      excluded_minutes: 70,
      credit_usd: '0.00',
      exclusions: [
        { id: 'mnt_1', minutes: 40, refused: null },
        { id: 'exc_1', minutes: 30, refused: null, evidence: exclusion.evidence },
      ],
    });
    expect(await withdrawExclusion(fresh.database.sql, { id: 'exc_1', actor: 'op', atMs: DECEMBER })).toBe(
      true,
    );
    expect((await deskOf().rehearse(MONTH))[0]).toMatchObject({ excluded_minutes: 40, credit_usd: '30.00' });
  });

  test("another consumer's exclusion takes nothing out", async () => {
    const consumer = await payer('600');
    await unserved(consumer, 0, 44);
    await enterExclusion(fresh.database.sql, {
      id: 'exc_1',
      consumerId: 'con_other',
      kind: 'misuse',
      fromMs: NOVEMBER,
      untilMs: DECEMBER,
      evidence: 'inc_1',
      actor: 'operator',
      enteredMs: DECEMBER,
    });
    expect((await deskOf().rehearse(MONTH))[0]).toMatchObject({ exclusions: [], credit_usd: '30.00' });
  });

  test('maintenance of one model takes out only where everything that failed was of that model', async () => {
    const consumer = await payer('600');
    await unserved(consumer, 0, 44);
    const window = {
      words: 'A new version.',
      announcedMs: NOVEMBER - 4 * DAY,
      fromMs: NOVEMBER,
      untilMs: NOVEMBER + 60 * MINUTE,
    };
    await announce(fresh.database.sql, { ...window, id: 'mnt_1', modelId: 'another/model' });
    expect((await deskOf().rehearse(MONTH))[0]).toMatchObject({ excluded_minutes: 0 });
    await announce(fresh.database.sql, { ...window, id: 'mnt_2', modelId: 'cygnet/cygnet-nano' });
    expect((await deskOf().rehearse(MONTH))[0]).toMatchObject({ excluded_minutes: 44 });
  });

  test('requests that the client left, or that were over a quota, count neither way and are shown', async () => {
    const consumer = await payer('600');
    await failing(consumer, { minutes: 50 }, { outcome: 'cancelled', errorCode: 'client-left' });
    await keepRefusals(fresh.database, 'life_1', [
      {
        minute: NOVEMBER / MINUTE,
        consumerId: consumer,
        modelId: 'cygnet/cygnet-nano',
        code: 'rate-limited',
        requests: 1_000,
      },
    ]);
    const [report] = await deskOf().rehearse(MONTH);
    expect(report).toMatchObject({
      unavailable_minutes: 0,
      not_counted: [
        { kind: 'customer-network', code: 'client-left', requests: 100 },
        { kind: 'over-quota', code: 'rate-limited', requests: 1_000 },
      ],
    });
  });

  test('where the consumer asked nothing, probes of the models that it uses decide', async () => {
    const consumer = await payer('600');
    await fresh.database.sql`
      insert into probe_minutes (at, model_id, region, probes, failures)
      select ${new Date(NOVEMBER)}::timestamptz + i * interval '1 minute', m, '', 2, 2
      from generate_series(0, 43) as i, unnest(array['cygnet/cygnet-nano', 'another/model']) as m`;
    expect((await deskOf().rehearse(MONTH))[0]).toMatchObject({ unavailable_minutes: 44 });
    await fresh.database.sql`update probe_minutes set failures = 1 where model_id = 'cygnet/cygnet-nano'`;
    expect((await deskOf().rehearse(MONTH))[0]).toMatchObject({ unavailable_minutes: 0 });
    assert(consumer);
  });
});

describe('once', () => {
  test('a run that dies after any statement leaves nothing or everything, and the next one ends it', async () => {
    const { id: provider } = await makeProvider(fresh.database);
    await pledge(provider, '1000');
    const consumer = await payer('600');
    await failing(consumer, { minutes: 87 }, { providerId: provider });
    let died = 0;
    for (let after = 0; ; after++) {
      const database = { ...dyingDatabase(fresh.database, after), sql: fresh.database.sql };
      const outcome = await deskOf(database)
        .run(MONTH)
        .catch(() => undefined);
      if (outcome?.failed.length === 0) break;
      died += 1;
      expect(await credits(consumer)).toEqual([]);
      expect(await balance(`collateral:${provider}`)).toBe(parseUsd('1000'));
    }
    expect(died).toBeGreaterThan(10);
    expect(await credits(consumer)).toEqual([
      { id: `sla-credit:${consumer}:2026-11`, amount: parseUsd('60') },
    ]);
    expect(await balance(`collateral:${provider}`)).toBe(parseUsd('940'));
    expect((await deskOf().run(MONTH)).made).toBe(0);
    expect(await credits(consumer)).toHaveLength(1);
  });

  test('eight runs at the same time book one credit for each consumer', async () => {
    const { id: provider } = await makeProvider(fresh.database);
    await pledge(provider, '1000');
    const consumers = [await payer('600'), await payer('100'), await payer('50')];
    for (const each of consumers) await failing(each, { minutes: 44 }, { providerId: provider });
    const pools = Array.from({ length: 8 }, () => fresh.another({ maxConnections: 2 }));
    const outcomes = await Promise.all(pools.map((database) => deskOf(database).run(MONTH)));
    expect(outcomes.reduce((sum, { made }) => sum + made, 0)).toBe(3);
    for (const each of consumers) expect(await credits(each)).toHaveLength(1);
    expect(await balance(`collateral:${provider}`)).toBe(parseUsd('962.5'));
  });

  test('a report that was made computes the same again, whatever is entered later', async () => {
    const consumer = await payer('600');
    await unserved(consumer, 0, 44);
    const desk = deskOf();
    await desk.run(MONTH);
    await clock.advance(DAY);
    await enterExclusion(fresh.database.sql, {
      id: 'exc_1',
      consumerId: '',
      kind: 'force-majeure',
      fromMs: NOVEMBER,
      untilMs: DECEMBER,
      evidence: 'too late',
      actor: 'operator',
      enteredMs: clock.wallMs(),
    });
    const again = await desk.recompute(consumer, MONTH);
    expect({ ...again?.now, id: again?.kept.id, state: 'final', paid_by: again?.kept.paid_by }).toEqual(
      again?.kept,
    );
    expect(again?.same).toBe(true);
    expect(await desk.report(consumer, MONTH)).toMatchObject({ state: 'final', credit_usd: '30.00' });
    // What arrives later is told, and is none of the report's rows; a row of before that is there no more is seen.
    await unserved(consumer, 500, 1);
    expect(await desk.recompute(consumer, MONTH)).toMatchObject({ same: true, late: 1 });
    const { sql } = fresh.database;
    await sql`alter table consumer_refusals disable trigger all`;
    await sql`delete from consumer_refusals where at = ${new Date(NOVEMBER)}`;
    expect(await desk.recompute(consumer, MONTH)).toMatchObject({ same: false });
  });

  test('what a gateway that was away hands in late changes no report, and its money counts in the next one', async () => {
    const consumer = await funded('1000');
    const [first] = await sales.sell({ consumerId: consumer, at: NOVEMBER + DAY, charge: parseUsd('600') });
    assert(first);
    await unserved(consumer, 0, 44);
    const desk = deskOf();
    await desk.run(MONTH);
    const same = { same: true, kept: { credit_usd: '30.00' } };
    // Late: a charge, minutes that failed, what is given back of a charge that was reported, and credit.
    await sales.sell({ consumerId: consumer, at: NOVEMBER + 2 * DAY, charge: parseUsd('100') });
    await failing(consumer, { from: 2_000, minutes: 100 });
    await sales.correct(first, { at: NOVEMBER + DAY, refund: parseUsd('20') });
    await sales.book(NOVEMBER).grant(consumer, parseUsd('1'), makeId('grant'));
    expect(await desk.recompute(consumer, MONTH)).toMatchObject({ ...same, late: 201 });

    // December: $200 of its own, of which the credit of $30 and the grant of $1 pay a part, $100 late, less $20 given back.
    await sales.sell({ consumerId: consumer, at: DECEMBER + DAY, charge: parseUsd('200') });
    clock = new VirtualClock(Date.UTC(2027, 0, 3));
    const december = (await deskOf().run(MONTH + 1)).reports[0];
    expect(december).toMatchObject({ fee_usd: '249.00', unavailable_minutes: 0 });
    await sales.sell({ consumerId: consumer, at: NOVEMBER + 3 * DAY, charge: parseUsd('10') });
    expect(await deskOf().recompute(consumer, MONTH + 1)).toMatchObject({ same: true, late: 0 });
    expect(await deskOf().recompute(consumer, MONTH)).toMatchObject({ ...same, late: 202 });
    // And once only: January has what came since.
    await sales.sell({ consumerId: consumer, at: Date.UTC(2027, 0, 5), charge: parseUsd('1') });
    clock = new VirtualClock(Date.UTC(2027, 1, 3));
    expect((await deskOf().run(MONTH + 2)).reports[0]).toMatchObject({ fee_usd: '11.00' });
  });

  test('a month is closed by itself two days after its end, by hand a quarter of an hour after, never before', async () => {
    const consumer = await payer('600');
    await unserved(consumer, 0, 44);
    clock = new VirtualClock(DECEMBER);
    const early = await deskOf()
      .run(MONTH)
      .catch((error: unknown) => error);
    assert(early instanceof Fault);
    expect(early.code).toBe('conflict');
    clock = new VirtualClock(DECEMBER + 2 * DAY - 1);
    expect(await deskOf().round()).toEqual([]);
    clock = new VirtualClock(DECEMBER + 2 * DAY);
    expect(await deskOf().round()).toMatchObject([{ month: '2026-11', made: 1 }]);
    expect(await deskOf().round()).toEqual([]);
  });

  test('a month that was closed by hand leaves none before it open', async () => {
    const consumer = await payer('600');
    await sales.sell({ consumerId: consumer, at: Date.UTC(2026, 9, 5), charge: 0n });
    const [early] = await fresh.database.sql<{ at: Date }[]>`select min(at) as at from entries`;
    expect(early?.at.getTime()).toBeGreaterThan(NOVEMBER - 40 * DAY);
    clock = new VirtualClock(Date.UTC(2027, 0, 5));
    await deskOf().run(MONTH + 1);
    const rounds = await deskOf().round();
    expect(rounds.map(({ month }) => month)).toContain('2026-11');
    expect(await deskOf().round()).toEqual([]);
  });

  test('a market that learned of agreements late settles no month before', async () => {
    await payer('600');
    await fresh.database
      .sql`insert into sla_months (month, closed_at, before_all) values ('2026-11', now(), true)`;
    clock = new VirtualClock(Date.UTC(2027, 0, 5));
    expect((await deskOf().round()).map(({ month }) => month)).toEqual(['2026-12']);
  });

  test('a rehearsal, and an estimate of the month so far, book nothing', async () => {
    const consumer = await payer('600');
    await unserved(consumer, 0, 44);
    clock = new VirtualClock(NOVEMBER + 25 * DAY);
    const [report] = await deskOf().rehearse(MONTH);
    expect(report).toMatchObject({
      id: null,
      state: 'estimate',
      minutes: 36_000,
      until: '2026-11-26T00:00:00.000Z',
    });
    expect(await deskOf().report(consumer, MONTH)).toEqual(report);
    expect(await deskOf().report(consumer, MONTH + 1)).toBeUndefined();
    expect(await credits(consumer)).toEqual([]);
  });
});

describe('whom something was promised', () => {
  test('nothing on the free plan, unless another was paid for in the month; the market itself never', async () => {
    const consumer = await payer('600');
    await unserved(consumer, 0, 44);
    await fresh.database.sql`update consumers set plan = 'free' where id = ${consumer}`;
    expect(await deskOf().rehearse(MONTH)).toEqual([]);
    expect(await deskOf().report(consumer, MONTH)).toBeUndefined();
    await paidPlan(consumer, NOVEMBER - 10 * DAY);
    expect(await deskOf().rehearse(MONTH)).toMatchObject([
      { tier: 'pro', fee_usd: '600.00', credit_usd: '30.00' },
    ]);
    const { database } = fresh;
    const own = new SlaDesk({
      database,
      collateral: collateralOf(database),
      clock,
      makeId,
      ourOwn: [consumer],
    });
    expect(await own.rehearse(MONTH)).toEqual([]);
  });

  test('a report is kept for good', async () => {
    const consumer = await payer('600');
    await unserved(consumer, 0, 44);
    await deskOf().run(MONTH);
    const refused = await fresh.database.sql`update sla_reports set credit = 0`.catch(
      (error: unknown) => error,
    );
    expect(String(refused)).toMatch(/append-only/);
  });
});

describe('a market that was down', () => {
  async function oldPayer(fee: string): Promise<string> {
    const id = await payer(fee);
    await fresh.database
      .sql`update consumers set created_at = ${new Date(NOVEMBER - 30 * DAY)} where id = ${id}`;
    return id;
  }

  /** As the market would have found it when it opened again. */
  async function gap(fromMs: number, untilMs: number): Promise<void> {
    await fresh.database.sql`
      insert into market_gaps (from_at, until_at, life, found_at)
      values (${new Date(fromMs)}, ${new Date(untilMs)}, 'life', ${new Date(untilMs)})`;
  }

  test('is unavailable for the whole minutes of the gap, which is the evidence', async () => {
    const consumer = await oldPayer('600');
    const from = NOVEMBER + 10 * DAY + 30_000;
    await gap(from, from + 45 * MINUTE);
    const [report] = await deskOf().rehearse(MONTH);
    expect(report).toMatchObject({
      consumer,
      unavailable_minutes: 44,
      credit_usd: '30.00',
      paid_by: { market_usd: '30.00' },
      market_down: [{ from: '2026-11-11T00:00:30.000Z', until: '2026-11-11T00:45:30.000Z' }],
    });
    expect(report?.market_down[0]?.evidence).toContain('down from 2026-11-11T00:00:30.000Z until');
  });

  test('is not unavailable in a minute in which the consumer was served, nor before it had an account', async () => {
    const consumer = await oldPayer('600');
    await gap(NOVEMBER + 20 * DAY - 10 * MINUTE, NOVEMBER + 20 * DAY + 34 * MINUTE);
    await gap(NOVEMBER - DAY, NOVEMBER + 5 * MINUTE);
    await fresh.database
      .sql`update consumers set created_at = ${new Date(NOVEMBER + 5 * MINUTE)} where id = ${consumer}`;
    const [report] = await deskOf().rehearse(MONTH);
    expect(report).toMatchObject({ unavailable_minutes: 43, credit_usd: '0.00' });
  });

  test('is excused by maintenance that was announced in time', async () => {
    await oldPayer('600');
    const from = NOVEMBER + 10 * DAY;
    await gap(from, from + 60 * MINUTE);
    await announce(fresh.database.sql, {
      id: 'mnt_gap',
      modelId: '',
      words: 'New machine',
      announcedMs: NOVEMBER,
      fromMs: from,
      untilMs: from + 60 * MINUTE,
    });
    const [report] = await deskOf().rehearse(MONTH);
    expect(report).toMatchObject({ unavailable_minutes: 60, excluded_minutes: 60, credit_usd: '0.00' });
  });

  test('found after a report was made changes nothing of it', async () => {
    const consumer = await oldPayer('600');
    const desk = deskOf();
    await desk.run(MONTH);
    await fresh.database.sql`
      insert into market_gaps (from_at, until_at, life, found_at) values (
        ${new Date(NOVEMBER + DAY)}, ${new Date(NOVEMBER + 2 * DAY)}, 'life', ${new Date(clock.wallMs() + 1)}
      )`;
    expect(await desk.recompute(consumer, MONTH)).toMatchObject({ same: true });
  });
});

describe('what was agreed', () => {
  const MINE = { ...STANDARD_SLA, name: 'acme-1', availabilityPpm: 999_900, capBasisPoints: 5_000 };

  test('holds for the minutes in which the plan promised it', async () => {
    const consumer = await payer('600');
    // On Hobby from the 11th to the 21st; both outages last 44 minutes.
    await setPlan(fresh.database, { id: consumer, plan: 'free', at: NOVEMBER + 10 * DAY });
    await setPlan(fresh.database, { id: consumer, plan: 'pay-as-you-go', at: NOVEMBER + 20 * DAY });
    await unserved(consumer, 5 * 1_440, 44);
    await unserved(consumer, 15 * 1_440, 44);
    const [report] = await deskOf().rehearse(MONTH);
    expect(report).toMatchObject({
      minutes: 20 * 1_440,
      unavailable_minutes: 44,
      not_agreed: [{ from: '2026-11-11T00:00:00.000Z', until: '2026-11-21T00:00:00.000Z' }],
    });
    const { reports } = await deskOf().run(MONTH);
    expect(reports[0]?.not_agreed).toHaveLength(1);
    await setPlan(fresh.database, { id: consumer, plan: 'free', at: clock.wallMs() });
    expect(await deskOf().recompute(consumer, MONTH)).toMatchObject({ same: true });
  });

  test('is what the plan was, not what it is when the month is settled', async () => {
    const consumer = await payer('600');
    await setPlan(fresh.database, { id: consumer, plan: 'free', at: DECEMBER + DAY });
    await unserved(consumer, 0, 44);
    const [report] = await deskOf().rehearse(MONTH);
    expect(report).toMatchObject({ consumer, tier: 'pro', unavailable_minutes: 44, not_agreed: [] });
  });

  test('with one account takes the place of its tier from its month on, in versions that stay', async () => {
    clock = new VirtualClock(NOVEMBER + DAY);
    const consumer = await payer('600');
    const desk = deskOf();
    const about = { consumerId: consumer, actor: 'op' };
    expect(await desk.contract({ ...about, month: MONTH, terms: MINE })).toMatchObject({ version: 1 });
    expect(await desk.contract({ ...about, month: MONTH + 1, terms: null })).toMatchObject({ version: 2 });
    // 44 of 43,200 minutes: 99.898 %, one step of 0.1 % begun below 99.99 %.
    await unserved(consumer, 0, 44);
    clock = new VirtualClock(DECEMBER + 2 * DAY);
    const [report] = await deskOf().rehearse(MONTH);
    expect(report?.terms).toMatchObject({
      name: 'acme-1',
      availability_ppm: 999_900,
      cap_basis_points: 5_000,
    });
    expect(report).toMatchObject({ unavailable_minutes: 44, availability_basis_points: 500 });
    expect((await deskOf().report(consumer, MONTH + 1))?.terms.name).toBe(STANDARD_SLA.name);
    expect(await deskOf().contracts(consumer)).toMatchObject([{ terms: MINE }, { terms: undefined }]);
    await expect(fresh.database.sql`update sla_contracts set terms = null`).rejects.toThrow(/append-only/);
  });

  test('is refused for a month that is over, for nobody, and where it is no terms', async () => {
    const { id } = await makeConsumer(fresh.database);
    const desk = deskOf();
    const refusal = async (change: Partial<Parameters<SlaDesk['contract']>[0]>) =>
      await desk
        .contract({ consumerId: id, month: MONTH + 1, terms: MINE, actor: 'op', ...change })
        .catch((error: unknown) => error);
    expect(await refusal({ month: MONTH })).toMatchObject({ code: 'conflict' });
    expect(await refusal({ consumerId: 'con_none' })).toMatchObject({ code: 'thing-unknown' });
    expect(await refusal({ terms: { ...MINE, capBasisPoints: 10_001 } })).toMatchObject({
      code: 'request-invalid',
    });
    expect(await refusal({ terms: {} })).toMatchObject({ code: 'request-invalid' });
  });
});
