import assert from 'node:assert/strict';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { weigh } from '#benchmark/likeness/judge.ts';
import { LikenessStore } from '#benchmark/likeness/store.ts';
import { BenchmarkStore } from '#benchmark/store.ts';
import { Browser, noBrowser, screensOf, type Visitor } from '#support/browser.ts';
import { ask } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import { makeId } from '#support/parties.ts';
import { builtProgram, run } from '#support/program.ts';
import { visit } from '#support/visitor.ts';
import { batchAnswer } from '#wire/dashboard.ts';
import type { LimitsAnswer } from '#wire/operator.ts';

/** What an operator does, in a real browser, against a real market that lets nobody serve before an operator says so. */
const EMAIL = 'boss@example.org';
const PASSWORD = 'correct horse';

let market: TestMarket;
let browser: Browser | undefined;
let password = '';
let token = '';

const at = (path: string): string => `${market.url}/api/v1${path}`;
const operate = (method: 'GET' | 'POST', path: string, body?: object) =>
  visit(at(`/operator${path}`), { method, token, ...(body && { body }) });

beforeAll(async () => {
  // The market hands out the pages as they are when it opens.
  await builtProgram();
  market = await TestMarket.open({ config: { providers: { approval: 'operator' } } });
  const made = await run(['operator', 'add', EMAIL, '--json'], {
    DATABASE_URL: market.fresh.url,
    CYGNET_DATA_DIR: market.folder,
  });
  assert.equal(made.code, 0, made.err);
  password = JSON.parse(made.out).password;
  token = (await visit(at('/user/login'), { body: { email: EMAIL, password } })).json.token;
}, 60_000);
afterAll(async () => {
  await browser?.close();
  await market?.close();
});

/** Somebody signed in, by default the operator. */
async function someone(
  look: Parameters<Browser['visitor']>[1] = {},
  who = { email: EMAIL, password },
  base = market.url,
): Promise<Visitor> {
  browser ??= await Browser.open();
  const made = await browser.visitor(base, look);
  await made.open('/sign-in');
  await made.page.getByLabel('E-mail').fill(who.email);
  await made.page.getByLabel('Password').fill(who.password);
  await made.page.getByRole('main').getByRole('button', { name: 'Sign in' }).click();
  await made.page.waitForURL((url) => url.pathname !== '/sign-in');
  return made;
}

describe('an operator', () => {
  test.skipIf(noBrowser)(
    'who was made by the command signs in, lets a provider serve, and drains it again',
    async () => {
      const model = market.aModel();
      const provider = await market.provider('pending');
      await market.agent(provider, [`${model.id}=rehearsal:`]);
      const consumer = await market.consumer(10n ** 12n);
      const asked = { model: model.id, messages: [{ role: 'user', content: 'Hello' }], max_tokens: 4 };
      const status = async (): Promise<number> =>
        (await ask({ url: market.url, key: consumer.key, body: asked })).status;
      expect(await status()).toBe(503);

      const boss = await someone();
      const { page } = boss;
      await boss.open('/operator');
      await page.getByRole('link', { name: /1 provider to approve/ }).click();
      await page.getByRole('heading', { name: 'Approvals', level: 1 }).waitFor();
      await page.getByRole('button', { name: 'Approve' }).click();
      await page.getByText('is active.').waitFor();
      await vi.waitFor(async () => expect(await status()).toBe(200), { timeout: 15_000, interval: 200 });

      await boss.open(`/operator/providers/${provider.id}`);
      await page.getByRole('button', { name: 'Drain' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Reason').fill('Its machine room is too warm.');
      await dialog.getByRole('button', { name: 'Drain' }).click();
      await page.getByText('Suspended').first().waitFor();
      await page.getByText('status: active → suspended').waitFor();
      await vi.waitFor(async () => expect(await status()).toBe(503), { timeout: 15_000, interval: 200 });

      const { json } = await operate('GET', `/log?about=${provider.id}`);
      expect(json.actions.map((each: { asked: object }) => each.asked)).toEqual([
        { state: 'suspended', reason: 'Its machine room is too warm.' },
        { state: 'active', reason: '' },
      ]);
      expect(boss.troubles).toEqual([]);
      await boss.close();
    },
    60_000,
  );

  test.skipIf(noBrowser)(
    'opens an incident that everybody sees, writes about it, and closes it',
    async () => {
      const boss = await someone();
      const { page } = boss;
      await boss.open('/operator/incidents');
      await page.getByRole('button', { name: 'Open an incident' }).click();
      await page.getByLabel('What is wrong').fill('Answers stop halfway.');
      await page.getByRole('button', { name: 'Open it' }).click();
      await page.getByRole('button', { name: 'Resolve' }).waitFor();
      await page.getByLabel('Add a note').fill('A cable was loose.');
      await page.getByRole('button', { name: 'Add the note' }).click();
      await page.getByRole('listitem').filter({ hasText: 'A cable was loose.' }).waitFor();
      const incidents = async () => (await visit(`${market.url}/status.json`, {})).json.incidents;
      // Rules may have opened others meanwhile.
      const ours = async () =>
        (await incidents()).filter((each: { because: string }) => each.because === 'Answers stop halfway.');
      await vi.waitFor(async () => expect(await ours()).toMatchObject([{ resolved_at: null }]), {
        timeout: 20_000,
        interval: 300,
      });
      const anybody = await (browser as Browser).visitor(market.url);
      await anybody.open('/uptime');
      await anybody.page.getByText('Answers stop halfway.').first().waitFor();
      expect(await anybody.page.getByText('A cable was loose.').count()).toBe(1);

      await page.getByRole('button', { name: 'Resolve' }).click();
      await page.getByLabel('How it ended').fill('The cable is in again.');
      await page.getByRole('dialog').getByRole('button', { name: 'Resolve' }).click();
      await page.getByText('Resolved', { exact: true }).first().waitFor();
      await vi.waitFor(
        async () => expect(await ours()).toMatchObject([{ resolved_at: expect.any(String) }]),
        { timeout: 20_000, interval: 300 },
      );
      // Another browser: this one may keep what it was told for a while.
      const later = await (browser as Browser).visitor(market.url);
      await later.open('/uptime');
      await later.page.getByText('The cable is in again.').waitFor();
      expect([...boss.troubles, ...anybody.troubles, ...later.troubles]).toEqual([]);
      await anybody.close();
      await later.close();
      await boss.close();
    },
    60_000,
  );

  test.skipIf(noBrowser)(
    'freezes changes by hand and lifts that, and sets what a tier is meant to reach',
    async () => {
      const boss = await someone();
      const { page } = boss;
      await boss.open('/operator/incidents');
      await page.getByRole('button', { name: 'Freeze changes' }).click();
      await page.getByLabel('Why').fill('The launch is near.');
      await page.getByRole('dialog').getByRole('button', { name: 'Freeze' }).click();
      const freezes = async () => (await operate('GET', '/freezes')).json.freezes;
      await page.getByRole('button', { name: 'Lift' }).waitFor({ timeout: 40_000 });
      expect(await freezes()).toMatchObject([{ words: 'The launch is near.', in_force: true }]);
      await page.getByRole('button', { name: 'Lift' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Lift' }).click();
      await page.getByRole('button', { name: 'Lift' }).waitFor({ state: 'detached' });
      expect(await freezes()).toMatchObject([{ in_force: false }]);

      await boss.open('/operator/limits');
      await page.getByRole('button', { name: 'Set objectives of Business' }).click();
      await page.getByLabel('Available minutes, percent').fill('99.95');
      await page.getByRole('button', { name: 'Set them' }).click();
      await page.getByText('They hold from the next minute on.').first().waitFor();
      // The window says the same words before it is done.
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      const { versions } = (await operate('GET', '/tiers/business/objectives')).json;
      expect(versions).toMatchObject([{ availability_ppm: 999_500 }]);
      expect(boss.troubles).toEqual([]);
      await boss.close();
    },
    90_000,
  );

  test.skipIf(noBrowser)(
    'sets a price in two steps, with the change in view before anything happens',
    async () => {
      const model = market.aModel();
      const prices = async () => (await operate('GET', `/prices/${model.id}`)).json;
      const before = await prices();
      const boss = await someone();
      const { page } = boss;
      await boss.open(`/operator/prices/${model.id}`);
      const field = page.getByLabel('Output / 1M tokens');
      const old = Number(await field.inputValue());
      await field.fill(String(old * 2));
      await page.getByRole('button', { name: 'Propose' }).click();
      await page.getByText('+100 %').waitFor();
      const set = page.getByRole('button', { name: 'Set the price' });
      expect(await set.isDisabled()).toBe(true);
      expect((await prices()).in_force).toBe(before.in_force);
      await page.getByLabel('This is what I mean').check();
      await set.click();
      await page.getByText('The price is set.').waitFor();
      const after = await prices();
      expect(after.prices).toHaveLength(before.prices.length + 1);
      expect(Number(after.prices[0].price.output_price)).toBe(old * 2);
      expect(boss.troubles).toEqual([]);
      await boss.close();
    },
    60_000,
  );
});

describe('the pages of operators', () => {
  let pages: Readonly<Record<string, string>> = {};

  beforeAll(async () => {
    const consumer = await market.consumer(5n * 10n ** 12n);
    const model = market.aModel();
    const provider = await market.rehearsal(model);
    const incident = await operate('POST', '/incidents', { words: 'Slow.', model: model.id });
    const benchmark = await failedRun(provider.id, model.id);
    const unlike = await foundUnlike(provider.id, model.id);
    pages = {
      overview: '/operator',
      incidents: '/operator/incidents',
      incident: `/operator/incidents/${incident.json.id}`,
      approvals: '/operator/approvals',
      providers: '/operator/providers',
      provider: `/operator/providers/${provider.id}`,
      consumers: '/operator/consumers',
      consumer: `/operator/consumers/${consumer.id}`,
      prices: '/operator/prices',
      price: `/operator/prices/${model.id}`,
      endpoints: '/operator/endpoints',
      benchmarks: '/operator/benchmarks',
      benchmark: `/operator/benchmarks/${benchmark}`,
      likeness: '/operator/likeness',
      'likeness-finding': `/operator/likeness/${unlike}`,
      limits: '/operator/limits',
      'service-levels': '/operator/sla',
      exclusions: '/operator/sla?tab=exclusions',
      charges: '/operator/sla?tab=charges',
      settlements: '/operator/settlements',
      settlement: '/operator/settlements/7',
      treasury: '/operator/treasury',
      audits: '/operator/audits',
      log: '/operator/log',
    };
  }, 60_000);

  test.skipIf(noBrowser)(
    'can be read by everyone in light and dark, break no rule of their own policy, and are no wider than a phone',
    async () => {
      const boss = screensOf ? await someone({}, DEMO, screensOf) : await someone();
      if (!screensOf) await settles(boss);
      const problems: string[] = [];
      const shown = screensOf ? await demoPages(screensOf, pages) : pages;
      for (const [name, address] of Object.entries(shown)) {
        await boss.open(address);
        problems.push(...(await boss.look(`operator-${name}`)));
        const picture = name === 'overview';
        problems.push(...(await boss.lookOnPhone(`operator-${name}`, { picture })));
      }
      expect(problems).toEqual([]);
      expect(boss.troubles).toEqual([]);
      await boss.close();
    },
    240_000,
  );

  test.skipIf(noBrowser)(
    'show whose answers are unlike, on which evidence, and end a finding with a reason; the books are audited on demand',
    async () => {
      const boss = await someone();
      const { page } = boss;
      await boss.open('/operator/likeness');
      await page.getByRole('link', { name: 'Unlike' }).click();
      await page.getByText('a swan is a bird of the lake').first().waitFor();
      await page.getByRole('button', { name: 'Clear it' }).click();
      await page.getByRole('dialog').getByLabel('Reason').fill('A trial that we had agreed on.');
      await page.getByRole('dialog').getByRole('button', { name: 'Clear it' }).click();
      await page.getByText('The finding is cleared.').waitFor();
      await page.getByText('A trial that we had agreed on.').waitFor();
      const { findings } = (await operate('GET', '/likeness')).json;
      expect(findings).toMatchObject([
        { ended: { as: 'cleared', because: 'A trial that we had agreed on.' } },
      ]);

      await boss.open('/operator/audits');
      await page.getByRole('button', { name: 'Audit now' }).click();
      await page.getByText('The books balance.').waitFor();
      await page.getByText('By hand').waitFor();
      expect(boss.troubles).toEqual([]);
      await boss.close();
    },
    60_000,
  );

  test.skipIf(noBrowser)(
    'are closed to a consumer, who reads how to get the role; the server refuses on its own',
    async () => {
      const who = { email: 'ada@example.org', password: PASSWORD };
      await visit(at('/user/signup'), { body: who });
      const ada = await someone({}, who);
      const { page } = ada;
      for (const address of Object.values(pages)) {
        await page.goto(address);
        await page.getByText('npx cygnet operator add').waitFor();
      }
      for (const path of [
        'approvals',
        'providers',
        'consumers',
        'log',
        'treasury',
        'posture',
        'sla/reports',
        'likeness',
      ]) {
        const answer = await page.request.get(at(`/operator/${path}`));
        expect([path, answer.status()]).toEqual([path, 403]);
      }
      expect(await ada.accessibilityProblems()).toEqual([]);
      expect(ada.troubles).toEqual([]);
      await ada.close();
    },
    60_000,
  );
});

/** Who operates a market that `cygnet demo` has filled, where `CYGNET_SCREENS_OF` names one to take pictures of. */
const DEMO = { email: 'operator@demo.example', password: 'a demo password' };

/** The same pages there, each about the first of what is listed. */
async function demoPages(
  url: string,
  pages: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  const { token: demo } = (await visit(`${url}/api/v1/user/login`, { body: DEMO })).json;
  const first = async (path: string, list: string, key = 'id'): Promise<string> => {
    const { json } = await visit(`${url}/api/v1/${path}`, { token: demo });
    return String((json.data ?? json)[list][0][key]);
  };
  const [incident, provider, consumer, benchmark, batch] = await Promise.all([
    first('operator/incidents', 'incidents'),
    first('operator/providers', 'providers'),
    first('operator/consumers', 'consumers'),
    first('operator/benchmarks', 'runs'),
    first('settlements', 'settlements', 'batch'),
  ]);
  // Nobody there answers unlike others.
  const { 'likeness-finding': _, ...kept } = pages;
  return {
    ...kept,
    incident: `/operator/incidents/${incident}`,
    provider: `/operator/providers/${provider}`,
    consumer: `/operator/consumers/${consumer}`,
    price: '/operator/prices/zai-org/GLM-4.7',
    benchmark: `/operator/benchmarks/${benchmark}`,
    settlement: `/operator/settlements/${batch}`,
  };
}

/** A run that a provider failed, written as the sampler writes it. */
async function failedRun(providerId: string, modelId: string): Promise<string> {
  const store = new BenchmarkStore(market.fresh.database);
  const [node] = await market.fresh.database.sql<{ id: string }[]>`
    select node_id as id from nodes where provider_id = ${providerId}`;
  const place = { providerId, modelId, nodeId: node?.id as string };
  const id = makeId('bench');
  const now = Date.now();
  await store.enter(place, now - 1_000);
  await store.claim(place, { runId: id, at: now, until: now + 60_000 });
  await store.finish(
    {
      ...place,
      id,
      beganAt: now,
      endedAt: now,
      score: { math: [2, 10], code: [1, 10], ttftMs: 900, tokensPerSecond: 12.5 },
      shortcomings: ['2 of 10 questions in mathematics were answered right; 7 are wanted.'],
      tier: 'B',
      papers: [
        {
          seed: 'a',
          answers: [{ kind: 'math', prompt: 'What is 3 + 4?', answer: '8', why: 'wrong', ttftMs: 900 }],
        },
      ],
    },
    () => ({ passed: false, counted: true, failures: 1, step: 'warning', withheldUntil: null }),
    () => now + 3_600_000,
  );
  return id;
}

/** A node whose answers differed from two others', check after check, written as the rounds write it. */
async function foundUnlike(providerId: string, modelId: string): Promise<string> {
  const store = new LikenessStore(market.fresh.database);
  const [node] = await market.fresh.database.sql<{ id: string }[]>`
    select node_id as id from nodes where provider_id = ${providerId}`;
  const [north, south] = [await market.provider(), await market.provider()];
  const answer = (who: [node: string, provider: string], verdict: 'alike' | 'unlike', opening: string) => ({
    nodeId: who[0],
    providerId: who[1],
    verdict,
    opening,
    ttftMs: 120,
  });
  const id = makeId('like');
  for (let check = 1; check <= 13; check += 1) {
    // Each moves the account that the one before left.
    // oxlint-disable-next-line no-await-in-loop
    await store.finish(
      {
        id: makeId('check'),
        modelId,
        at: Date.now() - check * 60_000,
        prompt: 'Write one sentence about a swan.',
        answers: [
          answer([node?.id as string, providerId], 'unlike', 'as a language model i'),
          answer(['north', north.id], 'alike', 'a swan is a bird of the lake'),
          answer(['south', south.id], 'alike', 'a swan is a bird of the lake'),
        ],
      },
      { weigh, findingId: () => id, validMs: 30 * 86_400_000 },
    );
  }
  return id;
}

/** This market has no chain: what one with a chain answers about its batches, in the shape that the wire says. */
async function settles({ page }: Visitor): Promise<void> {
  const batch = { batch: 7, day: '2026-11-24', state: 'submitted' as const, decimals: 6 };
  const amounts = { increase: '67739244', total: '195233717', root: `0x${'fa'.repeat(32)}` };
  await page.route('**/api/v1/operator/limits', async (route) => {
    const answer = (await (await route.fetch()).json()) as LimitsAnswer;
    await route.fulfill({ json: { ...answer, settles: ['USD'] } });
  });
  await page.route('**/api/v1/settlements', (route) =>
    route.fulfill({
      json: {
        code: 0,
        msg: 'success',
        data: {
          chain_id: 31_337,
          contract: `0x${'1'.repeat(40)}`,
          token: `0x${'2'.repeat(40)}`,
          settlements: [
            {
              ...batch,
              ...amounts,
              cut: '12',
              accounts: 2,
              claims_hash: amounts.root,
              made_at: '2026-11-25T00:01:00.000Z',
            },
          ],
        },
      },
    }),
  );
  await page.route('**/api/v1/operator/settlements/7', (route) =>
    route.fulfill({
      json: batchAnswer.parse({
        ...batch,
        ...amounts,
        chain_id: 31_337,
        contract: `0x${'1'.repeat(40)}`,
        token: `0x${'2'.repeat(40)}`,
        steps: [
          { ...done('cut', '2026-11-25T00:00:58.000Z'), detail: 'entries up to 12' },
          { ...done('batch', '2026-11-25T00:01:00.000Z'), detail: '2 accounts' },
          { ...done('published', null), detail: 'claims file' },
          { ...done('verified', null), detail: 'the independent verifier agrees, asked a moment ago' },
          { ...done('funded', null), detail: 'the contract had enough' },
          {
            ...done('submitted', '2026-11-25T00:01:04.000Z'),
            detail: `the root ${amounts.root}`,
            transactions: [
              {
                hash: `0x${'ab'.repeat(32)}`,
                block: null,
                outcome: null,
                signed_at: '2026-11-25T00:01:04.000Z',
              },
            ],
          },
          { ...done('confirmed', null), done: false, detail: 'waits for blocks' },
          { ...done('in-force', null), done: false, detail: 'waits for the time lock' },
          { ...done('collected', null), done: false, detail: 'taken in full by 0 of 1' },
        ],
        collected: { accounts: 0, of: 1, units: '0' },
        verifier: { ok: true, accounts: 2, findings: [] },
        payouts: [
          {
            provider: 'prov_1',
            name: 'North',
            account: `0x${'3'.repeat(40)}`,
            units: '67739244',
            paid_usd: '67.73',
          },
        ],
        held_by: null,
      }),
    }),
  );
}

function done(step: string, when: string | null) {
  return { step, done: true, at: when, detail: '', transactions: [] };
}
