import assert from 'node:assert/strict';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { parseUsd } from '#domain/money.ts';
import { Fault } from '#kit/fault.ts';
import { silentLog } from '#kit/log.ts';
import { audit } from '#ledger/audit.ts';
import { writeEntries } from '#ledger/book.ts';
import { collectionEntry, reversalEntry } from '#ledger/funds-entries.ts';
import { makeConsumer, makeId, operatorsBook } from '#support/parties.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import {
  openStripe,
  paidSession,
  SECRET_KEY,
  type StripeDouble,
  WEBHOOK_SECRET,
  webhook,
} from '#support/stripe.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { auditFunds } from './audit.ts';
import { CardDesk } from './card.ts';
import { Deposits } from './deposits.ts';

let fresh: FreshDatabase;
let stripe: StripeDouble;
const clock = new VirtualClock();
beforeAll(async () => {
  [fresh, stripe] = await Promise.all([freshDatabase(), openStripe()]);
});
afterAll(async () => {
  const report = await audit(fresh.database);
  await fresh.drop();
  await stripe.close();
  assert.deepEqual(report.differences, []);
});

let consumer: string;
let desk: CardDesk;
let payment: string;
let serial = 0;
beforeEach(async () => {
  ({ id: consumer } = await makeConsumer(fresh.database, 0n));
  desk = openDesk();
  payment = `pi_${serial++}`;
});

function openDesk(): CardDesk {
  return new CardDesk({
    settings: {
      secretKey: SECRET_KEY,
      webhookSecret: WEBHOOK_SECRET,
      returnUrl: 'https://market.example/billing',
      api: stripe.api,
    },
    database: fresh.another({ maxConnections: 2 }),
    clock,
    makeId,
    log: silentLog,
  });
}

const hear = (event: { type: string; object: Record<string, unknown> }, through = desk) => {
  const { payload, signature } = webhook(event, { atMs: clock.wallMs() });
  return through.hear(payload, signature);
};
const balance = async () => (await operatorsBook(fresh.database).balance(consumer)).total;
const account = async (id: string) =>
  (await fresh.database.sql<{ balance: bigint }[]>`select balance from accounts where id = ${id}`)[0]
    ?.balance;
const refusal = async (work: Promise<unknown>): Promise<string> =>
  await work.then(
    () => 'none',
    (error: unknown) => (error instanceof Fault ? error.code : String(error)),
  );

async function paid(cents = 2_000): Promise<string> {
  const { id } = await desk.checkout(consumer, cents);
  stripe.payments.set(payment, { cygnet_checkout: id });
  await hear(paidSession(id, { payment, cents }));
  return id;
}

test('a checkout leads to a page of Stripe, and its payment to the balance', async () => {
  const { id, url } = await desk.checkout(consumer, 2_000);
  expect(url).toContain('checkout.stripe.com');
  const call = stripe.calls.at(-1);
  expect(call?.idempotencyKey).toBe(id);
  expect(call?.form.get('line_items[0][price_data][unit_amount]')).toBe('2000');
  expect(call?.form.get('client_reference_id')).toBe(id);
  expect(await balance()).toBe(0n);
  expect(await hear(paidSession(id, { payment, cents: 2_000 }))).toBe('booked');
  expect(await balance()).toBe(parseUsd('20'));
  const [deposit] = await new Deposits({ database: fresh.database, clock }).list({
    consumerId: consumer,
    limit: 5,
  });
  expect(deposit).toMatchObject({
    id: `card:${payment}`,
    method: 'card',
    state: 'booked',
    value: parseUsd('20'),
  });
});

test.each([499, 0, -500, 500.5, 100_000_000, Number.NaN])(
  '%d cents are refused before Stripe is asked',
  async (cents) => {
    const before = stripe.calls.length;
    expect(await refusal(desk.checkout(consumer, cents))).toBe('request-invalid');
    expect(stripe.calls.length).toBe(before);
  },
);

test('a payment is booked once, however often and from however many processes at once it is told', async () => {
  const { id } = await desk.checkout(consumer, 500);
  const event = paidSession(id, { payment, cents: 500 });
  const answers = await Promise.all(
    [desk, openDesk(), openDesk()].flatMap((each) => [hear(event, each), hear(event, each)]),
  );
  expect(answers.toSorted()).toEqual(['booked', 'known', 'known', 'known', 'known', 'known']);
  expect(await hear({ ...event, type: 'checkout.session.async_payment_succeeded' })).toBe('known');
  expect(await balance()).toBe(parseUsd('5'));
});

test('a forged, altered, unsigned or late webhook is believed nothing', async () => {
  const { id } = await desk.checkout(consumer, 500);
  const event = paidSession(id, { payment, cents: 500 });
  const atMs = clock.wallMs();
  const forged = webhook(event, { atMs, secret: 'whsec_of_somebody_else' });
  const real = webhook(event, { atMs });
  const old = webhook(event, { atMs: atMs - 301_000 });
  const altered = Buffer.from(
    real.payload.toString('utf8').replace('"amount_total":500', '"amount_total":900'),
  );
  for (const [payload, signature] of [
    [forged.payload, forged.signature],
    [altered, real.signature],
    [real.payload, undefined],
    [real.payload, ''],
    [real.payload, real.signature.replace('v1=', 'v0=')],
    [real.payload, 'nonsense'],
    [Buffer.alloc(0), real.signature],
    [old.payload, old.signature],
  ] as const) {
    expect(await refusal(desk.hear(payload, signature))).toBe('signature-invalid');
  }
  expect(await balance()).toBe(0n);
  expect(await desk.hear(real.payload, real.signature)).toBe('booked');
});

test('a webhook that is replayed after five minutes is refused, within them it changes nothing', async () => {
  const { id } = await desk.checkout(consumer, 500);
  const { payload, signature } = webhook(paidSession(id, { payment, cents: 500 }), { atMs: clock.wallMs() });
  expect(await desk.hear(payload, signature)).toBe('booked');
  expect(await desk.hear(payload, signature)).toBe('known');
  clock.jumpWall(301_000);
  expect(await refusal(desk.hear(payload, signature))).toBe('signature-invalid');
  expect(await balance()).toBe(parseUsd('5'));
});

test('a payment that is not through, of another shop, or in another currency is not booked', async () => {
  const { id } = await desk.checkout(consumer, 500);
  expect(await hear(paidSession(id, { payment, cents: 500, payment_status: 'unpaid' }))).toBe('ignored');
  expect(await hear(paidSession('order_of_another_shop', { payment, cents: 500 }))).toBe('ignored');
  expect(await hear(paidSession(id, { payment, cents: 500, currency: 'jpy' }))).toBe('ignored');
  expect(await hear({ type: 'customer.created', object: { id: 'cus_1' } })).toBe('ignored');
  expect(await balance()).toBe(0n);
});

test('the same payment for another consumer is refused loudly', async () => {
  await paid(500);
  const other = await makeConsumer(fresh.database, 0n);
  const { id } = await desk.checkout(other.id, 500);
  expect(await refusal(hear(paidSession(id, { payment, cents: 500 })))).toBe('conflict');
  expect((await operatorsBook(fresh.database).balance(other.id)).total).toBe(0n);
});

test('refunds are told as a running total: each part is taken back once, in any order', async () => {
  await paid();
  const refunded = (cents: number) =>
    hear({
      type: 'charge.refunded',
      object: { id: 'ch_1', payment_intent: payment, amount_refunded: cents },
    });
  expect(await refunded(500)).toBe('reversed');
  expect(await refunded(500)).toBe('known');
  expect(await refunded(2_000)).toBe('reversed');
  expect(await refunded(1_200)).toBe('known');
  expect(await balance()).toBe(0n);
  expect(await account('platform:receivable')).toBe(0n);
});

test('a refund of money that is spent is owed, and collected when there is money again', async () => {
  await paid();
  const book = operatorsBook(fresh.database);
  const deposits = new Deposits({ database: fresh.database, clock });
  await deposits.withdraw({
    consumerId: consumer,
    amount: parseUsd('15'),
    reference: makeId('wd'),
    reason: '',
  });
  expect(
    await hear({
      type: 'charge.dispute.funds_withdrawn',
      object: { id: `dp_${payment}`, payment_intent: payment, amount: 2_000 },
    }),
  ).toBe('reversed');
  expect(await balance()).toBe(0n);
  expect(await account('platform:receivable')).toBe(-parseUsd('15'));
  await book.deposit(consumer, parseUsd('4'), makeId('dep'));
  expect(await desk.collect()).toBe(1);
  expect(await desk.collect()).toBe(0);
  await book.deposit(consumer, parseUsd('100'), makeId('dep'));
  await Promise.all([desk.collect(), openDesk().collect()]);
  expect(await balance()).toBe(parseUsd('89'));
  expect(await account('platform:receivable')).toBe(0n);
  const reinstated = {
    type: 'charge.dispute.funds_reinstated',
    object: { id: `dp_${payment}`, payment_intent: payment, amount: 2_000 },
  };
  expect(await hear(reinstated)).toBe('reinstated');
  expect(await hear(reinstated)).toBe('known');
  expect(await balance()).toBe(parseUsd('109'));
});

test('bug: the audit finds a debt that another consumer was made to pay, though all debts together are right', async () => {
  await paid();
  const [reversal, deposit] = [`refund:${payment}:test`, `card:${payment}`];
  const { id: other } = await makeConsumer(fresh.database, 0n);
  const book = operatorsBook(fresh.database);
  for (const each of [consumer, other]) await book.deposit(each, parseUsd('5'), makeId('dep'));
  await fresh.database.transaction(async (sql) => {
    const about = { at: 0, amount: parseUsd('5') };
    await sql`
      insert into card_reversals (id, deposit_id, consumer_id, amount, taken, at)
      values (${reversal}, ${deposit}, ${consumer}, ${about.amount}, ${about.amount}, now())`;
    await writeEntries(sql, [
      reversalEntry({ ...about, id: reversal, consumerId: consumer, taken: 0n }),
      collectionEntry({ ...about, id: `${reversal}:0`, consumerId: other }),
    ]);
  });
  const { differences } = await auditFunds({ database: fresh.database });
  expect(differences.filter(({ where }) => where === reversal).map(({ what }) => what)).toEqual([
    'What was taken for card money that went back is not what its entries took.',
  ]);
});

test('what is set aside for requests stays, whatever a refund asks', async () => {
  await paid();
  await fresh.database.sql`
    select grow_lease('other', ${consumer}, ${parseUsd('12')}::numeric, ${parseUsd('12')}::numeric, 'c1')`;
  await hear({
    type: 'charge.refunded',
    object: { id: 'ch_2', payment_intent: payment, amount_refunded: 2_000 },
  });
  expect(await operatorsBook(fresh.database).balance(consumer)).toEqual({
    total: parseUsd('12'),
    held: parseUsd('12'),
    available: 0n,
  });
});

test('a refund that is told before its payment is asked for again; of another shop it is nothing to us', async () => {
  const { id } = await desk.checkout(consumer, 500);
  stripe.payments.set(payment, { cygnet_checkout: id });
  const refund = {
    type: 'charge.refunded',
    object: { id: 'ch_3', payment_intent: payment, amount_refunded: 500 },
  };
  expect(await refusal(hear(refund))).toBe('conflict');
  await hear(paidSession(id, { payment, cents: 500 }));
  expect(await hear(refund)).toBe('reversed');
  expect(await balance()).toBe(0n);
  const foreign = { id: 'ch_4', payment_intent: 'pi_of_another_shop', amount_refunded: 500 };
  expect(await hear({ type: 'charge.refunded', object: foreign })).toBe('ignored');
});

test('a checkout that Stripe did not answer in order is asked for again under the same name', async () => {
  stripe.failures.push('hang-up', 500);
  const { id } = await desk.checkout(consumer, 500);
  const keys = stripe.calls.slice(-3).map(({ idempotencyKey }) => idempotencyKey);
  expect(keys).toEqual([id, id, id]);
});

test('while Stripe is down a checkout is refused with a reason', async () => {
  stripe.failures.push(500, 500, 500);
  expect(await refusal(desk.checkout(consumer, 500))).toBe('card-unavailable');
  stripe.failures.length = 0;
});
