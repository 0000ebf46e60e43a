import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { formatUsd } from '#domain/money.ts';
import { SPLIT_POLICIES, type SplitPolicy, shareOut } from '#domain/policy.ts';
import { ask } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import type { TestParty } from '#support/parties.ts';
import { type Answered, visit } from '#support/visitor.ts';
import {
  approvalAnswer,
  catalogueAnswer,
  collateralContractAnswer,
  demandAnswer,
  earningsAnswer,
  modelFilesAnswer,
  modelListAnswer,
  newProviderKeyAnswer,
  providerAnswer,
  providerModelsAnswer,
  providerSignUpAnswer,
  providerStatsAnswer,
  providerStatusAnswer,
  sessionAnswer,
  upgradeAnswer,
} from '#wire/console.ts';

// A double of the Swan agent's REST side: each call as the agent makes it (Part 2.2 of the Swan contract, by its number),
// and each answer read as the agent reads it.

let market: TestMarket;
let waiting: TestMarket;
beforeAll(async () => {
  // Behind a proxy, so that each person of this file comes from an address of their own.
  const access = { trustedProxies: ['127.0.0.1'] };
  market = await TestMarket.open({ config: { access } });
  // The same market with an operator who approves by hand.
  waiting = await TestMarket.open({
    config: {
      access,
      // Demands what nobody brings here, so that a provider stays where it is put.
      providers: { approval: 'operator' },
      funds: { collateralRequired: true },
      benchmarks: { mode: 'enforce' },
    },
  });
});
afterAll(async () => {
  await Promise.all([market.close(), waiting.close()]);
});

const at = (path: string, here = market): string => `${here.url}/api/v1${path}`;
let people = 0;
const from = () => ({ 'x-forwarded-for': `203.0.113.${people}` });
const person = () => ({
  email: `Person.${++people}@example.org`,
  password: 'correct horse',
  display_name: 'A Person',
});

function read<S extends z.ZodType>(answered: Answered, schema: S, status = 200): z.output<S> {
  expect(answered.text, 'the answer').toBeTruthy();
  expect(answered.status).toBe(status);
  return schema.parse(answered.json);
}

async function signedUp(here = market) {
  const who = person();
  const { token, user, api_key } = read(
    await visit(at('/user/signup', here), { body: who, headers: from() }),
    sessionAnswer,
  );
  return { ...who, token, user, apiKey: api_key as string };
}

async function upgraded(here = market) {
  const user = await signedUp(here);
  const made = read(
    await visit(at('/consumer/upgrade-to-provider', here), {
      token: user.token,
      body: { name: 'gpu-barn', wallet_address: '' },
    }),
    upgradeAnswer,
  );
  return { ...user, ...made, key: made.provider_api_key };
}

/** What the agent's two readers of errors make of a body: a text under `error` (or `message`), or an object's `message`. */
const errorText = ({ json }: Answered): string => {
  const text = json.error ?? json.message;
  expect(typeof text).toBe('string');
  return text as string;
};
const errorMessage = ({ json }: Answered): string => {
  expect(typeof json.error.message).toBe('string');
  return json.error.message as string;
};

describe('1: GET /provider/status', () => {
  test('is one flat object, and a new provider is told to connect', async () => {
    const { key, provider_id } = await upgraded();
    const status = read(await visit(at('/provider/status'), { token: key }), providerStatusAnswer);
    expect(status).toMatchObject({
      provider_id,
      status: 'active',
      can_connect: true,
      api_key_valid: true,
      step: 2,
      total_steps: 5,
      step_label: 'Connect',
      earnings_enabled: true,
    });
    expect(status.next_steps[0]).toBe('Connect your agent.');
  });

  test('is the flat object with 401 and a text for a key that does not hold: unknown, revoked, none, a consumer key', async () => {
    const provider = await market.provider();
    await market.revoke(provider.keyId);
    await expect
      .poll(async () => (await visit(at('/provider/status'), { token: provider.key })).status)
      .toBe(401);
    const { apiKey } = await signedUp();
    for (const token of [provider.key, 'sk-prov-nonsense', undefined, apiKey]) {
      const answered = await visit(at('/provider/status'), token === undefined ? {} : { token });
      const status = read(answered, providerStatusAnswer, 401);
      expect(status).toMatchObject({ api_key_valid: false, can_connect: false });
      expect(errorText(answered)).toBe(status.message);
    }
  });

  test('counts the steps as the provider takes them, and never says that it cannot connect', async () => {
    const { key, provider_id } = await upgraded(waiting);
    const look = async () =>
      read(await visit(at('/provider/status', waiting), { token: key }), providerStatusAnswer);
    expect(await look()).toMatchObject({ status: 'pending', step: 2, earnings_enabled: false });
    await waiting.agent({ id: provider_id, key, keyId: '' }, [`${waiting.aModel().id}=rehearsal:`]);
    expect(await look()).toMatchObject({ status: 'pending', step: 4, next_steps: ['Ask for approval.'] });
    const { sql } = waiting.fresh.database;
    const states = [
      ['under_review', 4, false],
      ['approved', 4, false],
      ['activating', 4, false],
      ['active', 5, true],
      ['suspended', 4, false],
    ] as const;
    for (const [state, step, earnings] of states) {
      await sql`update providers set state = ${state} where id = ${provider_id}`;
      await expect
        .poll(look)
        .toMatchObject({ status: state, step, can_connect: true, earnings_enabled: earnings });
    }
  });
});

describe('2 and 3: POST /user/signup and /user/login', () => {
  test('signing up answers a token, the user and a first key that works; logging in a token of its own', async () => {
    const who = person();
    const made = read(await visit(at('/user/signup'), { body: who, headers: from() }), sessionAnswer);
    expect(made.user).toMatchObject({
      email: who.email,
      display_name: who.display_name,
      account_type: 'consumer',
    });
    expect(made.api_key).toMatch(/^sk-swan-[0-9a-f]{48}$/);
    const again = read(
      await visit(at('/user/login'), { body: { email: who.email.toUpperCase(), password: who.password } }),
      sessionAnswer,
    );
    expect(again.user.id).toBe(made.user.id);
    expect(again.token).not.toBe(made.token);
    // The key is a real one: it is the balance that is short.
    const model = market.aModel();
    await market.rehearsal(model);
    const body = { model: model.id, messages: [{ role: 'user', content: 'Hi' }] };
    const refused = await ask({ url: market.url, key: made.api_key as string, body });
    expect(refused.status).toBe(402);
  });

  test('says in a text what is wrong: a wrong password, a taken address, a weak password, no address', async () => {
    const who = await signedUp();
    const wrong = await visit(at('/user/login'), { body: { email: who.email, password: 'wrong' } });
    expect([wrong.status, errorText(wrong)]).toEqual([401, 'The e-mail address or the password is wrong.']);
    const taken = await visit(at('/user/signup'), {
      body: { ...person(), email: who.email },
      headers: from(),
    });
    expect([taken.status, errorText(taken)]).toEqual([
      409,
      'An account with this e-mail address cannot be made.',
    ]);
    for (const change of [{ password: 'short' }, { email: 'nobody' }, { display_name: '' }]) {
      const bad = await visit(at('/user/signup'), { body: { ...person(), ...change }, headers: from() });
      expect(bad.status).toBe(400);
      expect(errorText(bad)).toContain(Object.keys(change)[0]);
    }
  });

  test('a provider who logs in is told so', async () => {
    const who = await upgraded();
    const { user } = read(
      await visit(at('/user/login'), { body: { email: who.email, password: who.password } }),
      sessionAnswer,
    );
    expect(user).toMatchObject({ account_type: 'provider', provider_id: who.provider_id });
  });
});

describe('4: POST /consumer/upgrade-to-provider, also under /user', () => {
  test('answers a provider key with which an agent registers', async () => {
    const { key, provider_id, provider_key_prefix, status } = await upgraded();
    expect(status).toBe('active');
    expect(key.slice(8, 16)).toBe(provider_key_prefix);
    const party: TestParty = { id: provider_id, key, keyId: '' };
    await market.agent(party, [`${market.aModel().id}=rehearsal:`]);
  });

  test('a second time says "already a provider", and of two at once one is made', async () => {
    const { token } = await signedUp();
    const body = { name: 'twice', wallet_address: '' };
    const answers = await Promise.all(
      [1, 2, 3].map(() => visit(at('/user/upgrade-to-provider'), { token, body })),
    );
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409, 409]);
    const refused = answers.find(({ status }) => status === 409) as Answered;
    expect(errorText(refused)).toContain('already a provider');
  });

  test('takes a wallet once, and nobody else may bring it', async () => {
    const wallet = '0xAbCdEf0123456789aBcDeF0123456789abcdef01';
    const [one, two] = [await signedUp(), await signedUp()];
    const body = { name: 'barn', wallet_address: wallet, worker_address: wallet, beneficiary_address: '' };
    read(await visit(at('/consumer/upgrade-to-provider'), { token: one.token, body }), upgradeAnswer);
    const refused = await visit(at('/consumer/upgrade-to-provider'), { token: two.token, body });
    expect(refused.status).toBe(409);
    expect(errorText(refused)).toContain('another provider');
    const bad = await visit(at('/consumer/upgrade-to-provider'), {
      token: two.token,
      body: { ...body, wallet_address: '0x12' },
    });
    expect(bad.status).toBe(400);
    expect(errorText(bad)).toContain('wallet_address: is not an address');
  });

  test('needs a login', async () => {
    const refused = await visit(at('/consumer/upgrade-to-provider'), {
      body: { name: 'x', wallet_address: '' },
    });
    expect(refused.status).toBe(401);
    expect(errorText(refused)).toContain('Log in');
  });
});

describe('5: POST /user/me/provider-keys', () => {
  test('answers another key for another machine; a consumer is told that it is no provider', async () => {
    const { token, provider_id } = await upgraded();
    const made = read(
      await visit(at('/user/me/provider-keys'), { token, body: { name: 'CLI Key' } }),
      newProviderKeyAnswer,
    );
    expect(made.provider_id).toBe(provider_id);
    await expect
      .poll(async () => (await visit(at('/provider/status'), { token: made.api_key })).status)
      .toBe(200);
    const consumer = await signedUp();
    const refused = await visit(at('/user/me/provider-keys'), {
      token: consumer.token,
      body: { name: 'CLI Key' },
    });
    expect([refused.status, errorText(refused)]).toEqual([403, 'This account is not a provider.']);
  });
});

describe('6: POST /provider/signup', () => {
  test('answers exactly 201 with a key, and 409 with a message for an owner that exists', async () => {
    const body = { name: 'standalone', owner_address: '0x1111111111111111111111111111111111111111' };
    const made = read(await visit(at('/provider/signup'), { body }), providerSignUpAnswer, 201);
    await expect
      .poll(async () => (await visit(at('/provider/status'), { token: made.api_key })).json)
      .toMatchObject({ provider_id: made.provider_id, api_key_valid: true });
    const again = await visit(at('/provider/signup'), { body });
    expect(again.status).toBe(409);
    expect(errorMessage(again)).toContain('exists');
    const bad = await visit(at('/provider/signup'), { body: { name: 'x', owner_address: 'x' } });
    expect(bad.status).toBe(400);
    expect(errorMessage(bad)).toContain('owner_address');
  });
});

describe('7: POST /provider/request-approval', () => {
  const body = { provider_name: 'barn', hardware_summary: '1x RTX 4090', contact_email: 'a@example.org' };

  test('puts a pending provider under review, once; then there is nothing to approve', async () => {
    const { key, provider_id } = await upgraded(waiting);
    const asked = await visit(at('/provider/request-approval', waiting), { token: key, body });
    expect(read(asked, approvalAnswer)).toMatchObject({ provider_id, status: 'under_review' });
    const again = await visit(at('/provider/request-approval', waiting), { token: key, body });
    expect(again.status).toBe(409);
    expect(errorMessage(again)).toContain('under review');
  });

  test('409 with a message where approval is automatic; 401 with a message for a wrong key', async () => {
    const { key } = await upgraded();
    const refused = await visit(at('/provider/request-approval'), { token: key, body });
    expect([refused.status, errorMessage(refused)]).toEqual([
      409,
      'This provider is active: there is nothing to approve.',
    ]);
    const stranger = await visit(at('/provider/request-approval'), { token: 'sk-prov-x', body });
    expect(stranger.status).toBe(401);
    expect(errorMessage(stranger)).toBeTruthy();
  });
});

describe('8 and 9: GET and PUT /provider/me', () => {
  const [mine, other] = ['0x2222222222222222222222222222222222222222', `0x${'Ab'.repeat(20)}`];

  test('the beneficiary is set as often as wished, the owner once', async () => {
    const { key, provider_id } = await upgraded();
    const look = async () => read(await visit(at('/provider/me'), { token: key }), providerAnswer);
    expect(await look()).toMatchObject({ id: provider_id, owner_address: '', beneficiary_address: '' });
    const put = (body: unknown) => visit(at('/provider/me'), { method: 'PUT', token: key, body });
    expect((await put({ beneficiary_address: other })).status).toBe(200);
    expect((await put({ beneficiary_address: mine, owner_address: mine })).status).toBe(200);
    expect((await put({ owner_address: mine })).status).toBe(200);
    const refused = await put({ owner_address: other, beneficiary_address: other });
    expect(refused.status).toBe(409);
    expect(errorMessage(refused)).toContain('cannot be changed');
    expect(await look()).toMatchObject({ owner_address: mine, beneficiary_address: mine });
    for (const body of [{ beneficiary_address: 'x' }, {}, { status: 'active' }]) {
      expect((await put(body)).status).toBe(400);
    }
    // What is paid to the zero address is lost.
    const zero = await put({ beneficiary_address: `0x${'0'.repeat(40)}` });
    expect([zero.status, errorMessage(zero)]).toEqual([
      400,
      'beneficiary_address: is the zero address, which is nobody’s.',
    ]);
    expect(await look()).toMatchObject({ beneficiary_address: mine });
    // A wallet that was changed is money that goes elsewhere: who changed it stays written down.
    const events = await market.fresh.database.sql<{ detail: Record<string, string> }[]>`
      select detail from account_events where about = ${provider_id} and what = 'addresses-set' order by seq`;
    expect(events[1]?.detail).toMatchObject({
      beneficiary: mine,
      beneficiaryBefore: other?.toLowerCase(),
    });
  });

  test('of two providers who claim one owner address at once, one gets it', async () => {
    const wallet = '0x3333333333333333333333333333333333333333';
    const [one, two] = [await upgraded(), await upgraded()];
    const answers = await Promise.all(
      [one, two].map(({ key }) =>
        visit(at('/provider/me'), { method: 'PUT', token: key, body: { owner_address: wallet } }),
      ),
    );
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409]);
  });
});

describe('10 and 11: collateral', () => {
  test('without a chain there is no contract to name; provider keys are refused at the web call', async () => {
    const { key, token } = await upgraded();
    const contract = read(await visit(at('/provider/collateral/contract')), collateralContractAnswer);
    expect(contract.data.chains).toEqual([]);
    expect((await visit(at('/provider/collateral'), { token: key })).status).toBe(401);
    expect((await visit(at('/provider/collateral'), { token })).json).toMatchObject({
      code: 0,
      data: { required: false, enough: false, pledges: [], deposits: [] },
    });
  });
});

describe('12 to 14: the catalogue', () => {
  test('every model has the id and the slug that the wizard matches by', async () => {
    const { data } = read(await visit(at('/models?page_size=200')), modelListAnswer);
    expect(data.list.length).toBe(data.total);
    expect(data.list.find(({ slug }) => slug === 'glm-4.7-flash')).toMatchObject({
      id: 'zai-org/GLM-4.7-Flash',
      active: true,
      input_price: 0.05,
      output_price: 0.36,
    });
    const second = read(await visit(at('/models?page=2&page_size=10')), modelListAnswer);
    expect(second.data.list[0]?.id).toBe(data.list[10]?.id);
  });

  test('the catalogue of weights names every model and invents no file', async () => {
    const { data } = read(await visit(at('/models/catalog')), catalogueAnswer);
    expect(data.models).toHaveLength(data.total);
    for (const path of ['zai-org%2FGLM-4.7-Flash', 'zai-org/GLM-4.7-Flash', 'glm-4.7-flash']) {
      const files = read(await visit(at(`/models/${path}/files`)), modelFilesAnswer);
      expect(files.data).toEqual({
        model_id: 'zai-org/GLM-4.7-Flash',
        files: [],
        total_size_bytes: 0,
        file_count: 0,
      });
    }
    expect((await visit(at('/models/no%2Fsuch/files'))).status).toBe(404);
  });
});

describe('15 to 18: demand and earnings', () => {
  test('are what was really served and paid, to the last digit', async () => {
    // A market of its own: the demand table is kept for half a minute once somebody has looked.
    const here = await TestMarket.open();
    try {
      const model = here.aModel();
      const who = await upgraded(here);
      const party = { id: who.provider_id, key: who.key, keyId: '' };
      await here.agent(party, [`${model.id}=rehearsal:tokens=40,prompt=9`]);
      const consumer = await here.consumer();
      const body = { model: model.id, messages: [{ role: 'user', content: 'Hi' }] };
      for (let i = 0; i < 3; i++)
        expect((await ask({ url: here.url, key: consumer.key, body })).status).toBe(200);
      const rows = await here.usage(consumer, 3);
      await here.posted();
      const policy = SPLIT_POLICIES['standard-1'] as SplitPolicy;
      const charges = rows.map(({ charge }) => charge);
      const earned = charges.reduce((sum, charge) => sum + shareOut(charge, policy).provider, 0n);
      const usd = Number(formatUsd(earned).slice(1));
      expect(usd).toBeGreaterThan(0);

      const stats = read(
        await visit(at('/provider/me/stats', here), { token: who.key }),
        providerStatsAnswer,
      );
      expect(stats).toMatchObject({
        total_inferences: 3,
        successful_inferences: 3,
        failed_inferences: 0,
        total_tokens: 3 * 49,
        total_earnings_usdc: usd,
      });
      expect(stats.last_connected).not.toBeNull();

      for (const [query, points] of [
        ['duration=24h&bucket=1h', 24],
        ['duration=7d&bucket=1d', 7],
        ['duration=30d&bucket=1d', 30],
        ['', 24],
      ] as const) {
        const history = read(
          await visit(at(`/provider/me/earnings/history?${query}`, here), { token: who.token }),
          earningsAnswer,
        );
        expect(history).toMatchObject({ currency: 'USD', total_usd: usd, total_pay_as_you_go_usd: usd });
        expect(history.points).toHaveLength(points);
        expect(
          history.points.at(-1)?.models[model.id] ?? history.points.at(-2)?.models[model.id],
        ).toMatchObject({ requests: 3, tokens_in: 27, tokens_out: 120, subscription_usd: 0 });
      }
      expect(
        (await visit(at('/provider/me/earnings/history?duration=9y', here), { token: who.key })).status,
      ).toBe(400);

      const details = read(
        await visit(at(`/providers/${who.provider_id}/models/details`, here), { token: who.key }),
        providerModelsAnswer,
      );
      expect(details.models).toEqual([
        expect.objectContaining({
          model_id: model.id,
          offered: true,
          available: true,
          total_requests: 3,
          success_count: 3,
          recent_success_count: 3,
          total_tokens: 3 * 49,
        }),
      ]);

      const demand = read(await visit(at('/stats/model-demand', here)), demandAnswer);
      const entry = demand.data.models.find(({ model_id }) => model_id === model.id);
      const paid = charges.reduce((sum, charge) => sum + charge, 0n);
      expect(entry).toMatchObject({
        online_providers: 1,
        requests_24h: 3,
        tokens_24h: 3 * 49,
        revenue_24h: Number(formatUsd(paid).slice(1)),
        demand_trend: 'up',
        prompt_tokens_p50: 9,
        total_tokens_p95: 49,
        est_daily_earnings: usd,
        est_entrant_daily_earnings: usd / 2,
        plan_covered: false,
      });
      const idle = demand.data.models.find(({ requests_24h }) => requests_24h === 0);
      expect(idle).toMatchObject({ avg_latency_ms: null, prompt_tokens_max: null, demand_trend: 'stable' });
    } finally {
      await here.close();
    }
  });

  test("a provider's price is the list price times its share of the policy in force", async () => {
    const { data } = read(await visit(at('/stats/model-demand?category=llm')), demandAnswer);
    expect(data.models.find(({ model_id }) => model_id === 'zai-org/GLM-4.7-Flash')).toMatchObject({
      input_price: 0.05,
      output_price: 0.36,
      provider_input_price: 0.03325,
      provider_output_price: 0.2394,
    });
    expect(data.models.every(({ category }) => category === 'llm')).toBe(true);
  });

  test("another provider's details read like those of one that does not exist", async () => {
    const [one, two] = [await upgraded(), await upgraded()];
    const [others, nobodys] = await Promise.all([
      visit(at(`/providers/${two.provider_id}/models/details`), { token: one.key }),
      visit(at('/providers/prov_none/models/details'), { token: one.key }),
    ]);
    expect(others.status).toBe(404);
    expect(others.text).toBe(nobodys.text);
  });
});

test('19: GET /health answers 200', async () => {
  expect((await visit(at('/health'))).status).toBe(200);
});

describe('part 3: the public figures', () => {
  test.each([
    '/stats/network',
    '/stats/leaderboard',
    '/stats/gpu',
    '/stats/utilization',
    '/dashboard/summary',
    '/plans',
  ])('GET %s needs no key and comes in the envelope', async (path) => {
    const answered = await visit(at(path));
    expect(answered.status).toBe(200);
    expect(answered.json).toMatchObject({ code: 0, msg: 'success', data: expect.any(Object) });
  });
});
