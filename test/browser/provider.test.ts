import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { toFunctionSignature } from 'viem';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { RunningAgent } from '#agent/run.ts';
import { readCatalogueFile, seedCatalogue } from '#catalogue/seed.ts';
import { merkleDistributorAbi, providerCollateralAbi, testTokenAbi } from '#chain/artifacts.ts';
import { tokenBalance } from '#chain/distributor.ts';
import { addressOf } from '#chain/local-chain.ts';
import { type MarketChain, openMarketChain } from '#chain/market-chain.ts';
import { readConfig } from '#config/config.ts';
import type { Hex } from '#domain/hex.ts';
import { parseUsd } from '#domain/money.ts';
import { monthOf, monthStart } from '#domain/window.ts';
import { Collateral } from '#funds/collateral.ts';
import { trialOf } from '#funds/trial.ts';
import { type Clock, pause, systemClock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import { systemRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { type Marketplace, openMarketplace } from '#marketplace';
import { openRewardSettlement, openSettlement } from '#settlement/open.ts';
import { SlaDesk } from '#sla/desk.ts';
import { startAgent } from '#support/agent.ts';
import { Browser, noBrowser, screensOf, type Visitor } from '#support/browser.ts';
import { injectWallet, type TestWallet } from '#support/browser-wallet.ts';
import { makeConsumer, makeId } from '#support/parties.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { run } from '#support/program.ts';
import { Sales } from '#support/sales.ts';
import { earns, isRewarded } from '#support/settlement.ts';
import { Upstream } from '#support/upstream.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { visit } from '#support/visitor.ts';
import { batchAnswer } from '#wire/dashboard.ts';
import {
  benchmarksAnswer,
  collateralAnswer,
  earningsStatementAnswer,
  slaChargesAnswer,
  walletAnswer,
} from '#wire/provider.ts';
import { COLLATERAL, DISTRIBUTOR, TOKEN } from '../../dashboard/src/pages/provider/wallet/contracts.ts';

/** What a provider does in a browser, against a real market, a real agent, and a real chain that its own wallet speaks to. */
const MODEL = 'meta-llama/Llama-3.3-70B-Instruct';
const EMAIL = 'provider@lake.example';
const PASSWORD = 'a long enough one';
const DAY_MS = 86_400_000;
const PAGES = {
  overview: '/provider',
  nodes: '/provider/nodes',
  models: '/provider/models',
  endpoints: '/provider/endpoints',
  why: '/provider/why',
  benchmarks: '/provider/benchmarks',
  standing: '/provider/standing',
  earnings: '/provider/earnings',
  payouts: '/provider/payouts',
  collateral: '/provider/collateral',
  join: '/provider/join',
} as const;

let fresh: FreshDatabase;
let folder: string;
let chain: MarketChain;
let market: Marketplace;
let url: string;
let walletKey: Sealed<Hex>;
let browser: Browser | undefined;
let agent: RunningAgent | undefined;

beforeAll(async () => {
  fresh = await freshDatabase();
  folder = mkdtempSync(path.join(tmpdir(), 'cygnet-provider-pages-'));
  await seedCatalogue(fresh.database, { catalogue: readCatalogueFile(), at: systemClock.wallMs() });
  const config = readConfig(
    {},
    {
      dataFolder: folder,
      databaseUrl: new Sealed(fresh.url),
      gatewayPort: 0,
      hubPort: 0,
      host: '127.0.0.1',
      benchmarks: { mode: 'off' },
      watch: { probes: false },
      external: { allowNetworks: ['127.0.0.1'] },
      routing: { warmUp: false },
    },
  );
  chain = await openMarketChain(config.chain, {
    dataFolder: folder,
    clock: systemClock,
    random: systemRandomness,
  });
  market = await openMarketplace({
    config,
    database: fresh.database,
    databaseUrl: fresh.url,
    chain,
    clock: systemClock,
    random: systemRandomness,
    log: silentLog,
  });
  url = `http://127.0.0.1:${market.gatewayPort}`;
  walletKey = chain.demoWallets[1] as Sealed<Hex>;
}, 90_000);
afterAll(async () => {
  await browser?.close();
  await agent?.close();
  await market?.close();
  await chain?.close('stop');
  await fresh?.drop();
  rmSync(folder, { recursive: true, force: true });
});

async function visitor(look: Parameters<Browser['visitor']>[1] = {}, at = url): Promise<Visitor> {
  browser ??= await Browser.open();
  return await browser.visitor(at, look);
}

async function signIn(someone: Visitor, email = EMAIL, password = PASSWORD): Promise<void> {
  const { page } = someone;
  await someone.open('/sign-in');
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('main').getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL((address) => address.pathname !== '/sign-in');
  await someone.settled();
}

/** A wallet in the visitor's browser, on another chain than the market's. */
async function walletOf(someone: Visitor): Promise<TestWallet> {
  return await injectWallet(someone.page, {
    key: walletKey,
    node: chain.rpcUrls[0] as string,
    beginsOn: 1,
  });
}

async function providerId(): Promise<string> {
  const [row] = await fresh.database.sql<{ id: string }[]>`
    select provider_id as id from users where email = ${EMAIL}`;
  return row?.id ?? '';
}

/** Somebody asks for an answer, and pays for it. */
async function sellOne(): Promise<void> {
  const consumer = await makeConsumer(fresh.database);
  // The key becomes known, and the provider active, a moment after they were made.
  await vi.waitFor(
    async () => {
      const { status } = await visit(`${url}/v1/chat/completions`, {
        token: consumer.key,
        body: { model: MODEL, messages: [{ role: 'user', content: 'hello' }] },
      });
      expect(status).toBe(200);
    },
    { timeout: 20_000, interval: 200 },
  );
}

/** Many more of the kind, at one stroke. */
async function earnMore(): Promise<void> {
  const id = await providerId();
  await fresh.database.sql`
    insert into accounts (id, kind) values (${`provider:${id}`}, 'provider') on conflict do nothing`;
  await earns(fresh.database, id, parseUsd('61.5'), systemClock.wallMs() - 1_000);
}

/** Midnight comes, the day is settled, of earnings or of rewards, and the batch is in force. */
async function settleToday(series: 'USD' | 'SWAN' = 'USD'): Promise<void> {
  const tomorrow: Clock = { ...systemClock, wallMs: () => systemClock.wallMs() + DAY_MS };
  const parts = { database: fresh.database, chain, dataFolder: folder, clock: tomorrow, log: silentLog };
  const { settler } =
    series === 'USD'
      ? openSettlement({ ...parts, minimum: parseUsd('0.0001') })
      : (openRewardSettlement(parts) ?? {});
  for (let round = 0; round < 400; round += 1) {
    const step = (await settler?.round())?.step;
    if (step === 'settled') return;
    if (step === 'locked') await chain.pass(61);
    else await pause(systemClock, 50);
  }
  throw new Error('The batch did not come into force.');
}

/** A consumer's month failed at this provider for fifty minutes, and the month is closed. */
async function isCharged(id: string): Promise<void> {
  const { database } = fresh;
  const month = monthOf(systemClock.wallMs()) - 1;
  const begin = monthStart(month);
  const consumer = await makeConsumer(database);
  await database.sql`update consumers set plan = 'pro' where id = ${consumer.id}`;
  const sales = new Sales(database);
  const common = { consumerId: consumer.id, keyId: 'key_x', modelId: MODEL };
  await sales.book(begin).deposit(consumer.id, parseUsd('100'), consumer.id);
  await sales.sell(
    { ...common, providerId: 'prov_gone', at: begin + 10 * DAY_MS, charge: parseUsd('100') },
    ...Array.from({ length: 50 }, (_, minute) => ({
      ...common,
      providerId: id,
      at: begin + minute * 60_000,
      charge: 0n,
      ttftMs: null,
      outcome: 'failed' as const,
      errorCode: 'provider-failed',
    })),
  );
  const clock = new VirtualClock(Math.max(systemClock.wallMs(), monthStart(month + 1) + DAY_MS));
  const collateral = new Collateral({ database, chain: undefined, clock, makeId, log: silentLog });
  const desk = new SlaDesk({ database, collateral, clock, makeId });
  await desk.run(month);
}

describe('a provider in a browser', () => {
  test.skipIf(noBrowser)(
    'somebody becomes a provider, brings a node online, proves a wallet, earns, and collects on chain',
    async () => {
      const someone = await visitor();
      const { page } = someone;
      const wallet = await walletOf(someone);
      await someone.open('/sign-up');
      await page.getByLabel('E-mail').fill(EMAIL);
      await page.getByLabel('Password').fill(PASSWORD);
      await page.getByRole('button', { name: 'Make the account' }).click();
      await page.getByRole('heading', { name: 'Your first key' }).waitFor();
      await someone.open('/provider');
      await page.getByRole('link', { name: 'Become a provider' }).click();
      await page.getByLabel('Provider name').fill('Lakeside Compute');
      await page.getByRole('button', { name: 'Become a provider' }).click();

      // The key is in the commands that are to be copied.
      await page.getByText('Bring the first node online').waitFor();
      const commands = await page.getByRole('tabpanel').innerText();
      const key = /--key (sk-prov-\w+)/.exec(commands)?.[1] ?? '';
      expect(commands).toContain(`npx cygnet agent setup --market ${url}`);
      agent = await startAgent(`ws://127.0.0.1:${market.hubPort}`, [`${MODEL}=rehearsal:`], {
        key: new Sealed(key),
        name: 'lakeside-1',
      });
      await agent.registered;
      // The page notices by itself.
      await page.getByText('1 node is here.').waitFor();

      // A signature that is declined changes nothing, and can be asked for again.
      await page.getByRole('button', { name: 'Connect Test Wallet' }).click();
      wallet.declineNext();
      await page.getByRole('button', { name: 'Sign to prove it is yours' }).click();
      await page.getByText('You declined it in the wallet').waitFor();
      await page.getByRole('button', { name: 'Sign to prove it is yours' }).click();
      await page.getByText('The wallet has proven itself.').waitFor();
      await page.getByText('Until the first earning').waitFor({ state: 'detached' });

      await sellOne();
      await earnMore();
      await settleToday();
      await page.getByRole('link', { name: 'Payouts' }).click();
      await page.getByText('The wallet is on Ethereum. The market pays on Local chain.').waitFor();
      await page.getByRole('button', { name: 'Switch to Local chain' }).click();
      const collect = page.getByRole('button', { name: /^Collect 61\.5/ });
      await collect.waitFor();
      const due = (await page.getByTestId('due').innerText()).replace(',', '');

      const place = { token: chain.payoutToken.address, account: addressOf(walletKey) };
      const before = await tokenBalance(chain.chain, place.token, place.account);
      wallet.declineNext();
      await collect.click();
      await page.getByText('You declined it in the wallet').waitFor();
      expect(await tokenBalance(chain.chain, place.token, place.account)).toBe(before);
      await collect.click();
      await page.getByText('Collected. The tokens are at your payout address.').waitFor();
      await page.getByRole('button', { name: 'Nothing to collect' }).waitFor();
      const paid = (await tokenBalance(chain.chain, place.token, place.account)) - before;
      expect(Number(paid) / 1e6).toBe(Number(due));
      await someone.screenshot('provider-collected-light');
      expect(someone.troubles).toEqual([]);
      await someone.close();
    },
    90_000,
  );

  test.skipIf(noBrowser)(
    'rewards are collected on chain as earnings are, each from its own batches',
    async () => {
      const someone = await visitor();
      const { page } = someone;
      await walletOf(someone);
      await signIn(someone);
      await isRewarded(fresh.database, await providerId(), 12_500_000_000_000_000_001n, systemClock.wallMs());
      await someone.open('/provider/payouts');
      await page.getByRole('button', { name: 'Rewards' }).click();
      await page.getByText('12.50', { exact: true }).waitFor();
      await settleToday('SWAN');
      await someone.open('/provider/payouts?asset=SWAN');
      await page.getByRole('button', { name: 'Connect Test Wallet' }).click();
      await page.getByRole('button', { name: 'Switch to Local chain' }).click();

      const token = chain.assets.find(({ asset }) => asset === 'SWAN')?.token as Hex;
      const dollars = { token: chain.payoutToken.address, account: addressOf(walletKey) };
      const before = await tokenBalance(chain.chain, token, dollars.account);
      const dollarsBefore = await tokenBalance(chain.chain, dollars.token, dollars.account);
      await page.getByRole('button', { name: 'Collect 12.50 SWAN' }).click();
      await page.getByText('Collected. The tokens are at your payout address.').waitFor();
      await page.getByRole('button', { name: 'Nothing to collect' }).waitFor();
      expect(await tokenBalance(chain.chain, token, dollars.account)).toBe(
        before + 12_500_000_000_000_000_001n,
      );
      expect(await tokenBalance(chain.chain, dollars.token, dollars.account)).toBe(dollarsBefore);
      await someone.screenshot('provider-rewards-collected-light');
      expect(someone.troubles).toEqual([]);
      await someone.close();
    },
    90_000,
  );

  test.skipIf(noBrowser)(
    'tokens are pledged from the owner’s wallet, and what was taken of a pledge is appealed against',
    async () => {
      const id = await providerId();
      const { database } = fresh;
      const collateral = new Collateral({
        database,
        chain: undefined,
        clock: systemClock,
        makeId,
        log: silentLog,
      });
      const dollars = await collateral.announceDollars(id, parseUsd('20'));
      await collateral.confirmDollars(dollars.id, { reference: makeId('ref') });
      await collateral.slash({
        id: makeId('finding'),
        providerId: id,
        failures: 2,
        reason: 'It answered wrongly.',
      });

      const someone = await visitor();
      const { page } = someone;
      await walletOf(someone);
      await signIn(someone);
      await someone.open('/provider/collateral');
      await page.getByRole('button', { name: 'Connect Test Wallet' }).click();
      await page.getByRole('button', { name: 'Sign to prove it is yours' }).click();
      await page.getByRole('button', { name: 'Switch to Local chain' }).click();
      // The market's own chain is a trial: whoever has no tokens gets some.
      await page.getByRole('button', { name: 'Get test tokens' }).click();
      await page.getByText('Test tokens are in the wallet.').waitFor();
      await page.getByRole('button', { name: 'Pledge 20 USDC' }).click();
      await page.getByText('Deposited. It counts once it is deep enough.').waitFor();
      await page.getByRole('region', { name: 'Deposits' }).getByText('20.00 USDC').waitFor();

      await page.getByRole('button', { name: 'Appeal' }).click();
      await page.getByLabel('Why it was not your fault').fill('The line was cut by a digger.');
      await page.getByRole('button', { name: 'Send the appeal' }).click();
      await page.getByText('Appeal asked').waitFor();

      // So is what a service level charged, of which the minutes are shown.
      await isCharged(id);
      await someone.open('/provider/collateral');
      const charges = page.getByRole('region', { name: 'Service level charges' }).first();
      await charges.getByRole('button', { name: 'Evidence' }).click();
      await page.getByRole('dialog').getByText('provider failed').first().waitFor();
      expect(await someone.accessibilityProblems()).toEqual([]);
      await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
      await charges.getByRole('button', { name: 'Appeal' }).click();
      await page.getByLabel('Why it was not your fault').fill('Your switch cut us off.');
      await page.getByRole('button', { name: 'Send the appeal' }).click();
      await charges.getByText('Appeal asked').waitFor();
      expect(someone.troubles).toEqual([]);
      await someone.close();
    },
    60_000,
  );

  test.skipIf(noBrowser)(
    'a lower price is asked for, and holds; one above the list is refused where it is typed',
    async () => {
      const someone = await visitor();
      const { page } = someone;
      await signIn(someone);
      await someone.open('/provider/models');
      await page.getByRole('button', { name: `Set what you ask for ${MODEL}` }).click();
      const dialog = page.getByRole('dialog', { name: 'What you ask' });
      await dialog.getByLabel('Output').fill('9000');
      await dialog.getByRole('button', { name: 'Ask this' }).click();
      await dialog.getByRole('alert').waitFor();
      expect(someone.troubles.splice(0)).toEqual([expect.stringContaining('400')]);
      await dialog.getByLabel('Input').fill('0.01');
      await dialog.getByLabel('Output').fill('0.02');
      await dialog.getByRole('button', { name: 'Ask this' }).click();
      await dialog.waitFor({ state: 'detached' });
      await page.getByText('Yours').waitFor();
      const { token } = (
        await visit(`${url}/api/v1/user/login`, { body: { email: EMAIL, password: PASSWORD } })
      ).json;
      const { json } = await visit(`${url}/api/v1/provider/asks`, { token });
      expect(json.asks).toEqual([{ model: MODEL, ask: { input_price: '0.01', output_price: '0.02' } }]);
      expect(someone.troubles).toEqual([]);
      await someone.close();
    },
    60_000,
  );

  test.skipIf(noBrowser)(
    'a server without an agent is added with its key, answers, asks less, stops answering, and is removed',
    async () => {
      const upstream = await Upstream.open();
      upstream.key = 'the-key';
      const someone = await visitor();
      const { page } = someone;
      await signIn(someone);
      await someone.open('/provider/endpoints');
      await page.getByRole('button', { name: 'Add an endpoint' }).click();
      const adding = page.getByRole('dialog', { name: 'Add an endpoint' });
      await adding.getByLabel('Name').fill('South hall');
      await adding.getByLabel('Base address').fill(upstream.url);
      await adding.getByLabel('Its key').fill('the-key');
      await adding.getByLabel('Models').fill(`${MODEL} = local-name`);
      await adding.getByRole('button', { name: 'Add and probe' }).click();
      await page.getByText('South hall answers and may serve.').waitFor();
      await page.getByText('there called local-name').waitFor();
      expect(await page.getByRole('main').innerText()).not.toContain('the-key');

      await page.getByRole('button', { name: 'Set ask' }).click();
      const asking = page.getByRole('dialog', { name: `What it asks for ${MODEL}` });
      await asking.getByLabel('Input, dollars per million tokens').fill('0.01');
      await asking.getByLabel('Output, dollars per million tokens').fill('0.02');
      await asking.getByRole('button', { name: 'Set it' }).click();
      await page.getByText('asks $0.01 in, $0.02 out').waitFor();
      await someone.screenshot('provider-endpoint-light');

      upstream.key = 'another-key';
      // One that answered is given another probe, and each says that it failed.
      for (let probe = 0; probe < 2; probe += 1) {
        const probed = page.waitForResponse(/\/check$/);
        await page.getByRole('button', { name: 'Probe now' }).click();
        await probed;
        await page.getByText('South hall: ').nth(probe).waitFor();
      }
      await page.getByText('Out of order').waitFor();
      expect(await someone.accessibilityProblems()).toEqual([]);
      await page.getByRole('button', { name: 'Remove' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
      await page.getByText('No endpoint yet').waitFor();
      expect(someone.troubles).toEqual([]);
      await someone.close();
      await upstream.close();
    },
    60_000,
  );

  test.skipIf(noBrowser)(
    'every page, in light and dark, can be read by everyone, breaks no rule of its own policy, loads nothing from elsewhere, and is no wider than a phone',
    async () => {
      const someone = await visitor({}, screensOf);
      await (screensOf === undefined
        ? signIn(someone)
        : signIn(someone, 'north@demo.example', 'a demo password'));
      const problems: string[] = [];
      for (const [name, address] of Object.entries(PAGES)) {
        await someone.open(address);
        problems.push(...(await someone.look(`provider-${name}`)), ...(await someone.lookOnPhone(name)));
      }
      expect(problems).toEqual([]);
      expect(someone.troubles).toEqual([]);
      await someone.close();
    },
    240_000,
  );
});

test('what the pages are told is what they were promised', async () => {
  const { json } = await visit(`${url}/api/v1/user/login`, { body: { email: EMAIL, password: PASSWORD } });
  const told = async (place: string): Promise<unknown> =>
    (await visit(`${url}/api/v1/provider/${place}`, { token: json.token })).json;
  const promised = {
    'me/earnings?period=week': earningsStatementAnswer,
    benchmarks: benchmarksAnswer,
    wallet: walletAnswer,
    collateral: collateralAnswer,
    'me/sla-charges': slaChargesAnswer,
  };
  for (const [place, schema] of Object.entries(promised))
    expect({ place, error: schema.safeParse(await told(place)).error }).toEqual({ place, error: undefined });
});

test.skipIf(noBrowser)(
  'operators see each step of a batch with its transaction, of earnings and of rewards',
  async () => {
    const made = await run(['operator', 'add', 'boss@lake.example', '--json'], {
      DATABASE_URL: fresh.url,
      CYGNET_DATA_DIR: folder,
    });
    expect(made).toMatchObject({ code: 0 });
    const { password } = JSON.parse(made.out) as { password: string };
    const someone = await visitor();
    const { page } = someone;
    await signIn(someone, 'boss@lake.example', password);
    for (const asset of ['USD', 'SWAN']) {
      await someone.open(`/operator/settlements/1?asset=${asset}`);
      const answer = await page.request.get(`${url}/api/v1/operator/settlements/1?asset=${asset}`);
      expect(await answer.text()).toContain('steps');
      const batch = batchAnswer.parse(await answer.json());
      const sent = batch.steps.find(({ step }) => step === 'submitted');
      expect(sent?.transactions).toMatchObject([{ outcome: 'done' }]);
      const hash = sent?.transactions[0]?.hash ?? '';
      expect(await chain.chain.receipt(hash as Hex)).toMatchObject({ hash });
      await page.getByText(hash.slice(0, 8)).first().waitFor();
      expect(batch.steps.filter(({ done }) => done).map(({ step }) => step)).toContain('in-force');
      // Dollars have a worth in dollars; rewards have none.
      expect(batch.payouts.map(({ paid_usd: paid }) => paid === null)).toEqual([asset === 'SWAN']);
      await someone.screenshot(`operator-batch-${asset}-light`);
    }
    expect(await someone.accessibilityProblems()).toEqual([]);

    // By hand, too: first what it would pay, then the batch.
    await someone.open('/operator/settlements');
    await earnMore();
    await page.getByRole('button', { name: 'Pay out now' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('From this many dollars on').fill('0');
    await dialog.getByRole('button', { name: 'See what it would pay' }).click();
    await dialog.getByText('1 provider would be paid 61.50').waitFor();
    expect(await someone.accessibilityProblems()).toEqual([]);
    await dialog.getByRole('button', { name: 'Make the batch' }).click();
    await page.getByText('Batch 2 is made.').waitFor();
    expect(someone.troubles).toEqual([]);
    await someone.close();
  },
  60_000,
);

test('whoever tries a market on its own chain pays in with tokens that cost nothing; on a public one there are none', async () => {
  const email = 'trial@lake.example';
  const { token } = (await visit(`${url}/api/v1/user/signup`, { body: { email, password: PASSWORD } })).json;
  const give = (body: object) => visit(`${url}/api/v1/user/me/test-tokens`, { token, body });
  expect((await give({ address: 'nowhere' })).status).toBe(400);
  const { json } = await give({});
  expect(json.tokens).toEqual([{ symbol: 'USDC', units: '25000000' }]);
  await vi.waitFor(
    async () => {
      const { json: paid } = await visit(`${url}/api/v1/user/me/deposits`, { token });
      expect(paid).toMatchObject({ total_deposited_usd: '25.00' });
    },
    { timeout: 60_000, interval: 300 },
  );
  const alone = { host: '127.0.0.1', publicUrl: undefined, trustedProxies: [] };
  expect(trialOf(alone, chain)).toMatchObject({ chainId: 31_337, rpcUrl: chain.rpcUrls[0] });
  const reachable = [
    { ...alone, host: '0.0.0.0' },
    { ...alone, publicUrl: 'https://market.example' },
    { ...alone, trustedProxies: ['127.0.0.1'] },
  ];
  for (const each of reachable) expect(trialOf(each, chain)).toBeUndefined();
  expect(trialOf(alone, { ...chain, isLocal: false })).toBeUndefined();
  expect(trialOf(alone, undefined)).toBeUndefined();
}, 90_000);

test('the pages call the contracts as they were compiled', () => {
  const compiled = [...merkleDistributorAbi, ...providerCollateralAbi, ...testTokenAbi]
    .filter((each) => each.type === 'function')
    .map((each) => toFunctionSignature(each));
  const called = [...DISTRIBUTOR, ...COLLATERAL, ...TOKEN].map((each) => toFunctionSignature(each));
  expect(called.filter((each) => !compiled.includes(each))).toEqual([]);
});
