import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestMarket } from '#support/market.ts';
import { visit } from '#support/visitor.ts';
import { nodesAnswer, onboardingAnswer, payoutsAnswer, standingAnswer } from '#wire/dashboard.ts';

let market: TestMarket;
let token: string;
beforeAll(async () => {
  market = await TestMarket.open();
  const made = await visit(`${market.url}/api/v1/user/signup`, {
    body: { email: 'gpu@example.org', password: 'correct horse' },
  });
  token = made.json.token;
  await visit(`${market.url}/api/v1/user/upgrade-to-provider`, {
    token,
    body: { name: 'GPUs', wallet_address: '' },
  });
});
afterAll(() => market.close());

const ask = (path: string, as = token) => visit(`${market.url}/api/v1/provider/me/${path}`, { token: as });

test('a provider that just began is told the next step, and only one', async () => {
  const { steps } = onboardingAnswer.parse((await ask('onboarding')).json);
  expect(steps.map(({ step }) => step)).toEqual([
    'key',
    'connect',
    'wallet',
    'approval',
    'collateral',
    'benchmark',
    'active',
  ]);
  expect(steps[0]).toMatchObject({ step: 'key', state: 'done' });
  expect(steps.filter(({ state }) => state === 'now').map(({ step }) => step)).toEqual(['connect']);
});

test('a provider without machines or payouts reads so', async () => {
  expect(nodesAnswer.parse((await ask('nodes')).json).nodes).toEqual([]);
  expect(payoutsAnswer.parse((await ask('payouts')).json)).toMatchObject({ payouts: [], claim: null });
  const standing = standingAnswer.parse((await ask('standing')).json);
  expect(standing).toMatchObject({ rank: null, score: 0 });
  expect(standing.parts.reduce((sum, { counts_for }) => sum + counts_for, 0)).toBeCloseTo(1);
});

test('machines are shown with what they serve, to their provider alone', async () => {
  const model = market.aModel();
  const { key } = await market.rehearsal(model);
  const { nodes } = nodesAnswer.parse((await ask('nodes', key)).json);
  expect(nodes).toEqual([
    expect.objectContaining({
      online: true,
      in_flight: 0,
      models: [expect.objectContaining({ model: model.id, eligible: true })],
    }),
  ]);
  expect((await ask('nodes')).text).not.toContain(nodes[0]?.node_id as string);
});
