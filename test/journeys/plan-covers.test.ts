import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatUsd, type Pico, parseUsd } from '#domain/money.ts';
import { PLANS } from '#domain/plan.ts';
import { PlanFees } from '#funds/plan-fees.ts';
import { setPlan } from '#identity/consumers.ts';
import { systemClock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import { ask, HELLO } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import type { TestModel, TestParty } from '#support/parties.ts';

// A consumer on Pro: its fee is paid, its balance is empty, and within its quota it asks all the same.

const QUOTA = PLANS.pro.tokensPerWeek;
let market: TestMarket;
beforeAll(async () => {
  market = await TestMarket.open();
});
afterAll(() => market.close());

const { sql } = { sql: () => market.fresh.database.sql };
async function subscriber(): Promise<TestParty> {
  const consumer = await market.consumer(parseUsd('6'));
  const fees = new PlanFees({ database: market.fresh.database, clock: systemClock, log: silentLog });
  expect(await fees.choose(consumer.id, 'pro')).toBe('chosen');
  // A key that is made now is known with the plan from the first.
  return await market.anotherKey(consumer);
}
/** A model that Pro covers, and nobody else here uses. */
async function coveredModel(): Promise<TestModel> {
  const rows = await sql()<{ id: string }[]>`select id from models where tier in ('free', 'standard')`;
  const covered = new Set(rows.map(({ id }) => id));
  for (;;) {
    const model = market.aModel();
    if (covered.has(model.id) && model.inputPico > 0n && model.outputPico > 0n) return model;
  }
}
/** The consumer has used all of its week but `left` tokens. */
async function usedAllBut(left: number, consumer: TestParty): Promise<void> {
  const id = `req_before_${consumer.id}`;
  await sql()`
    insert into usage (
      id, at, consumer_id, key_id, model_id, operation, provider_id, streamed, outcome, input_tokens, output_tokens,
      units, seconds, events, bytes, attempts, total_ms, price_id, policy, charge, covered_tokens
    ) values (
      ${id}, now(), ${consumer.id}, ${consumer.keyId}, 'm', 'chat/completions', 'prov_x', false, 'completed', 0, 0,
      0, 0, 0, 0, 1, 1, 'p', 'standard-1', 0, ${QUOTA - left}
    )`;
}
const balanceOf = async (account: string): Promise<Pico> =>
  (await sql()<{ balance: Pico }[]>`select balance from accounts where id = ${account}`)[0]?.balance ?? 0n;
const usageOf = async (consumer: TestParty) =>
  await sql()<{ input: bigint; output: bigint; charge: Pico; covered: Pico; tokens: bigint }[]>`
    select input_tokens as input, output_tokens as output, charge, covered, covered_tokens as tokens
    from usage where consumer_id = ${consumer.id} and provider_id <> 'prov_x' order by at, id`;
const posted = async (on: TestMarket, consumer: TestParty, requests: number) =>
  await expect
    .poll(async () => (await usageOf(consumer)).length, { timeout: 10_000, interval: 20 })
    .toBe(requests)
    .then(() => on);
const asking = (on: TestMarket, consumer: TestParty, model: TestModel, more: object = {}) =>
  ask({ url: on.url, key: consumer.key, body: { model: model.id, messages: HELLO, ...more } });

test('within its quota a request costs the consumer nothing, and the provider earns what it always does', async () => {
  const model = await coveredModel();
  const provider = await market.rehearsal(model, 'rehearsal:tokens=5');
  const consumer = await subscriber();
  const plans = await balanceOf('platform:plans');
  expect(formatUsd(plans)).toBe('$6.00');
  expect((await asking(market, consumer, model, { stream: true })).status).toBe(200);
  expect((await asking(market, consumer, model)).status).toBe(200);
  await posted(market, consumer, 2);
  const gross = (await usageOf(consumer)).reduce((sum, row) => {
    expect(row.charge).toBe(0n);
    expect(row.tokens).toBe(row.input + row.output);
    expect(row.covered).toBe(row.input * model.inputPico + row.output * model.outputPico);
    return sum + row.covered;
  }, 0n);
  expect(gross).toBeGreaterThan(0n);
  expect(await balanceOf(`consumer:${consumer.id}`)).toBe(0n);
  expect(await balanceOf('platform:plans')).toBe(plans - gross);
  const earned = await balanceOf(`provider:${provider.id}`);
  expect(earned).toBeGreaterThan(0n);
  // 66.5 % of it, rounded down request by request.
  expect(gross * 665n - earned * 1_000n).toBeLessThan(3_000n);
});

test('a premium model, and a consumer without the plan, are paid for from the balance', async () => {
  const [row] = await sql()<{ id: string }[]>`
    select id from models where tier = 'premium' and category = 'llm' order by id limit 1`;
  const dear = { id: row?.id ?? '' } as TestModel;
  await market.rehearsal(dear);
  expect((await asking(market, await subscriber(), dear)).status).toBe(402);
  const model = await coveredModel();
  await market.rehearsal(model);
  expect((await asking(market, await market.consumer(0n), model)).status).toBe(402);
});

test('at the border a request is covered up to it, to the token, also after a restart and by many at once', async () => {
  const model = await coveredModel();
  const consumer = await subscriber();
  await usedAllBut(200, consumer);
  const second = await TestMarket.open({ on: market });
  try {
    await second.rehearsal(model, 'rehearsal:tokens=5');
    // Without money nobody may reach over the border.
    expect((await asking(second, consumer, model, { max_tokens: 500 })).status).toBe(402);
    await second.deposit(consumer, parseUsd('1'));
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(
        Array.from({ length: 8 }, () => asking(second, consumer, model, { max_tokens: 8 })),
      );
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    }
    await posted(second, consumer, 24);
    const covered = async () => (await usageOf(consumer)).reduce((sum, { tokens }) => sum + tokens, 0n);
    expect(await covered()).toBeLessThanOrEqual(200n);
    let requests = 24;
    while ((await covered()) < 200n) {
      expect((await asking(second, consumer, model, { max_tokens: 8 })).status).toBe(200);
      await posted(second, consumer, ++requests);
    }
    expect(await covered()).toBe(200n);
    const before = await balanceOf(`consumer:${consumer.id}`);
    expect((await asking(second, consumer, model, { max_tokens: 8 })).status).toBe(200);
    await posted(second, consumer, ++requests);
    const rows = await usageOf(consumer);
    for (const { input, output, charge, covered: paid } of rows) {
      expect(charge + paid).toBe(input * model.inputPico + output * model.outputPico);
    }
    const last = rows.at(-1);
    expect(last).toMatchObject({ covered: 0n, tokens: 0n });
    expect(await balanceOf(`consumer:${consumer.id}`)).toBe(before - (last?.charge ?? 0n));
  } finally {
    await second.close();
  }
}, 60_000);

test('a month covers no more than its fee came to, also for whoever is served by a provider of its own', async () => {
  const model = await coveredModel();
  const left = 200n * (model.inputPico > model.outputPico ? model.inputPico : model.outputPico);
  // A period of so small a fee that a few requests use it up.
  const consumer = await market.consumer(0n);
  await setPlan(market.fresh.database, { id: consumer.id, plan: 'pro', at: systemClock.wallMs() });
  await sql()`
    insert into plan_periods (consumer_id, plan, starts_at, ends_at, fee)
    values (${consumer.id}, 'pro', now(), now() + interval '1 month', ${left})`;
  const second = await TestMarket.open({ on: market });
  try {
    await second.rehearsal(model, 'rehearsal:tokens=5');
    let served = 0;
    for (; served < 200; served++) {
      const { status } = await asking(second, consumer, model, { max_tokens: 5 });
      if (status === 402) break;
      expect(status).toBe(200);
    }
    await posted(second, consumer, served);
    // Its quota of tokens is hardly touched, its balance is empty, and the purse is what ends it.
    expect(served).toBeGreaterThan(0);
    expect(served).toBeLessThan(200);
    const rows = await usageOf(consumer);
    const covered = rows.reduce((sum, row) => sum + row.covered, 0n);
    expect(covered).toBeLessThanOrEqual(left);
    expect(covered).toBeGreaterThan(0n);
    expect(rows.every(({ charge }) => charge === 0n)).toBe(true);
  } finally {
    await second.close();
  }
});
