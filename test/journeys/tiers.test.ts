import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { PlanName } from '#domain/plan.ts';
import { setPlan } from '#identity/consumers.ts';
import { systemClock } from '#kit/clock.ts';
import { ask, HELLO } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import type { TestParty } from '#support/parties.ts';
import { answerPlainly, type Script } from '#support/swan-agent.ts';
import { visit } from '#support/visitor.ts';

// What an operator sets of a tier holds for the next request, and what it keeps for Business is kept.

let market: TestMarket;
let boss: string;
beforeAll(async () => {
  market = await TestMarket.open({ config: { hub: { perModelInFlight: 2 } } });
  const made = await visit(`${market.url}/api/v1/user/signup`, {
    body: { email: 'boss@example.org', password: 'correct horse' },
  });
  await market.fresh.database.sql`update users set is_operator = true where id = ${made.json.user.id}`;
  boss = made.json.token;
});
afterAll(() => market.close());

const operator = (path: string, about: Parameters<typeof visit>[1] = {}) =>
  visit(`${market.url}/api/v1/operator${path}`, { token: boss, ...about });
const set = (tier: string, body: unknown) => operator(`/tiers/${tier}`, { method: 'PATCH', body });

async function on(plan: PlanName): Promise<TestParty> {
  const consumer = await market.consumer();
  await setPlan(market.fresh.database, { id: consumer.id, plan, at: systemClock.wallMs() });
  return await market.anotherKey(consumer);
}

const chat = (party: TestParty, model: { id: string }, more: object = {}) =>
  ask({
    url: market.url,
    key: party.key,
    body: { model: model.id, messages: HELLO, max_tokens: 3, ...more },
  });

describe('what a tier is given', () => {
  test('everybody can read it, beside the plans that lead there', async () => {
    const { data } = (await visit(`${market.url}/api/v1/plans`)).json;
    expect(data.plans.map((plan: { name: string; tier: string }) => [plan.name, plan.tier])).toEqual([
      ['free', 'hobby'],
      ['pay-as-you-go', 'pro'],
      ['pro', 'pro'],
      ['business', 'business'],
    ]);
    expect(data.tiers[0]).toMatchObject({
      name: 'hobby',
      weight: 1,
      price_factor: 10_000,
      objectives: { availability: 0.995 },
    });
  });

  test('limits of prompts and answers are told with the tier, and nothing is sent anywhere', async () => {
    const model = market.aModel();
    await market.rehearsal(model, 'rehearsal:tokens=3');
    const party = await on('business');
    expect((await chat(party, model)).status).toBe(200);
    expect((await set('business', { prompt_tokens_max: 100, output_tokens_max: 50 })).status).toBe(200);
    const long = await chat(party, model, { messages: [{ role: 'user', content: 'x'.repeat(900) }] });
    expect([long.status, long.json.error.message]).toEqual([
      400,
      'A prompt may have at most 100 tokens in the tier Business.',
    ]);
    const much = await chat(party, model, { max_tokens: 51 });
    expect([much.status, much.json.error.param]).toEqual([400, 'max_tokens']);
    expect(much.json.error.message).toBe('An answer may have at most 50 tokens in the tier Business.');
    expect((await chat(party, model, { max_tokens: 50 })).status).toBe(200);
    // Who says nothing of a limit gets the tier's.
    const open = await ask({ url: market.url, key: party.key, body: { model: model.id, messages: HELLO } });
    expect(open.status).toBe(200);
    await set('business', { prompt_tokens_max: null, output_tokens_max: null });
    expect(await market.usage(party, 3)).toHaveLength(3);
  });

  test('a burst above the limit of the tier is refused with the time to come again, and so are too many at once', async () => {
    const model = market.aModel();
    let heard = (): void => {};
    const here = new Promise<void>((resolve) => (heard = resolve));
    let holding = true;
    const held: (() => void)[] = [];
    await market.swan(model, (served) => {
      if (!holding) return answerPlainly(served);
      held.push(() => answerPlainly(served));
      heard();
    });
    const party = await on('business');
    await set('business', { burst: 2, concurrent: 1 });
    const first = chat(party, model);
    await here;
    const second = await chat(party, model);
    expect([second.status, second.headers['retry-after']]).toEqual([429, '1']);
    expect(second.json.error.message).toBe('Over 1 requests at once for the tier of this account.');
    await set('business', { concurrent: null });
    const third = chat(party, model);
    const fourth = await chat(party, model);
    expect(fourth.status).toBe(429);
    expect(Number(fourth.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(fourth.json.error.message).toContain('Over 2 requests in ten seconds');
    await set('business', { burst: null });
    const fifth = chat(party, model);
    holding = false;
    for (const end of held) end();
    expect((await Promise.all([first, third, fifth])).map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  test('a price factor is what is held, charged and written down, to the pico-dollar', async () => {
    const model = market.aModel();
    await market.rehearsal(model, 'rehearsal:tokens=3,prompt=7');
    const party = await on('business');
    await set('business', { price_factor: 12_345 });
    const answer = await chat(party, model);
    await set('business', { price_factor: 10_000 });
    const plain = await chat(party, model);
    expect([answer.status, plain.status]).toEqual([200, 200]);
    const rows = await market.usage(party, 2);
    const scaled = (pico: bigint): bigint => (pico * 12_345n + 9_999n) / 10_000n;
    expect(rows.map(({ charge }) => charge)).toEqual([
      7n * scaled(model.inputPico) + 3n * scaled(model.outputPico),
      7n * model.inputPico + 3n * model.outputPico,
    ]);
    const [row] = await market.fresh.database
      .sql`select price_factor from usage where id = ${rows[0]?.id ?? ''}`;
    expect(row?.['price_factor']).toBe(12_345);
  });

  test.each([
    ['a price below what providers ask', 'pro', { price_factor: 9_999 }, 400],
    ['no weight', 'pro', { weight: 0 }, 400],
    ['a term that there is not', 'pro', { prompt_tokens: 5 }, 400],
    ['a text for a number', 'pro', { burst: 'many' }, 400],
    ['a tier that there is not', 'gold', { weight: 2 }, 404],
  ])('%s is refused', async (_what, tier, body, status) => {
    expect((await set(tier, body)).status).toBe(status);
  });

  test('nobody but an operator sets it, and no consumer takes Business by itself', async () => {
    const consumer = await visit(`${market.url}/api/v1/user/signup`, {
      body: { email: 'someone@example.org', password: 'correct horse' },
    });
    const { token } = consumer.json;
    expect((await operator('/tiers/pro', { method: 'PATCH', body: { weight: 2 }, token })).status).toBe(403);
    const choose = await visit(`${market.url}/api/v1/user/me/plan`, {
      method: 'PUT',
      token,
      body: { plan: 'business' },
    });
    expect(choose.status).toBe(400);
  });
});

describe('places that are kept for a Business consumer', () => {
  test('a flood of Hobby does not make it wait', async () => {
    const model = market.aModel();
    const open: { who: string; end: () => void }[] = [];
    const waiting: { count: number; done: () => void }[] = [];
    const until = async (count: number): Promise<void> => {
      if (open.length >= count) return;
      await new Promise<void>((done) => waiting.push({ count, done }));
    };
    const script: Script = (served) => {
      open.push({
        who: JSON.stringify(served.request).includes('flood') ? 'flood' : 'big',
        end: () => answerPlainly(served),
      });
      for (const each of waiting) if (open.length >= each.count) each.done();
    };
    // Two places, of which one is kept.
    await market.swan(model, script);
    const big = await on('business');
    const made = await operator('/reservations', {
      body: { consumer: big.id, model: model.id, slots: 1 },
    });
    expect(made.status).toBe(200);
    const hobby = await on('free');
    await market.fresh.database.sql`update models set tier = 'free' where id = ${model.id}`;
    // Longer than the tier's answers: refused for that as soon as the model is known to be one for all.
    await vi.waitFor(async () => expect((await chat(hobby, model, { max_tokens: 9_000 })).status).toBe(400));
    const say = (content: string) => ({ messages: [{ role: 'user', content }] });
    const flood = Array.from({ length: 2 }, () => chat(hobby, model, say('flood')));
    await until(1);
    const urgent = chat(big, model, say('urgent'));
    await until(2);
    expect(open.map(({ who }) => who)).toEqual(['flood', 'big']);
    // Its next one finds the place again as soon as the first is over, before all who wait.
    const again = chat(big, model, say('again'));
    open[1]?.end();
    expect((await urgent).status).toBe(200);
    await until(3);
    expect(open[2]?.who).toBe('big');
    // Ended, it is everybody's.
    expect((await operator(`/reservations/${made.json.id}`, { method: 'DELETE' })).status).toBe(200);
    open[2]?.end();
    await until(4);
    expect(open[3]?.who).toBe('flood');
    for (const at of [0, 3]) open[at]?.end();
    expect((await Promise.all([...flood, again])).map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  test('are listed, and refused to whom they cannot be kept for', async () => {
    const model = market.aModel();
    const big = await on('business');
    const small = await on('pro');
    const add = (body: object) => operator('/reservations', { body });
    const first = await add({
      consumer: big.id,
      model: model.slug,
      share_basis_points: 5_000,
      release_idle_s: 60,
    });
    expect(first.status).toBe(200);
    const { reservations } = (await operator('/reservations')).json;
    expect(reservations.filter((each: { model: string }) => each.model === model.id)).toMatchObject([
      { id: first.json.id, consumer: big.id, model: model.id, slots: null, share_basis_points: 5_000 },
    ]);
    const other = await on('business');
    for (const [body, status] of [
      [{ consumer: big.id, model: model.id, slots: 1 }, 409],
      [{ consumer: small.id, model: model.id, slots: 1 }, 409],
      [{ consumer: other.id, model: model.id, share_basis_points: 4_001 }, 409],
      [{ consumer: 'con_nobody', model: model.id, slots: 1 }, 404],
      [{ consumer: big.id, model: 'no-such-model', slots: 1 }, 404],
      [{ consumer: other.id, model: model.id }, 400],
      [{ consumer: other.id, model: model.id, slots: 1, share_basis_points: 1 }, 400],
      [{ consumer: other.id, model: model.id, slots: 0 }, 400],
    ] as const) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other.
      expect([body, (await add(body)).status]).toEqual([body, status]);
    }
    expect((await operator('/reservations/rsv_none', { method: 'DELETE' })).status).toBe(404);
  });
});
