import { Secret, TOTP } from 'otpauth';
import type { Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseUsd } from '#domain/money.ts';
import { monthName, monthOf } from '#domain/window.ts';
import { Deposits } from '#funds/deposits.ts';
import { systemClock } from '#kit/clock.ts';
import { Billing } from '#statements/billing.ts';
import { Browser, noBrowser, screensOf, type Visitor } from '#support/browser.ts';
import { TestMarket } from '#support/market.ts';
import { makeId } from '#support/parties.ts';
import { Sales } from '#support/sales.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { visit } from '#support/visitor.ts';

/** What a consumer does, in a real browser, against a real market with a real model behind it. */
const MODEL = 'cygnet/cygnet-nano';
const PASSWORD = 'correct horse';
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** In the month before this one, whatever day it is. */
const LAST_MONTH = new Date(systemClock.wallMs()).setUTCDate(0);

let market: TestMarket;
let browser: Browser | undefined;
/** Somebody with a month of usage, an invoice, and requests of every kind. */
let regular: { email: string; requestId: string; invoice: string };

beforeAll(async () => {
  market = await TestMarket.open();
  await market.agent(await market.provider(), [`${MODEL}=models/cygnet-nano-q8_0.gguf`]);
  regular = await aRegular();
}, 60_000);
afterAll(async () => {
  await browser?.close();
  await market?.close();
});

async function consumerOf(email: string): Promise<string> {
  const [row] = await market.fresh.database.sql<{ consumer_id: string }[]>`
    select consumer_id from users where email = ${email}`;
  return row?.consumer_id ?? '';
}

/** Money comes by bank, as an operator notes it. */
async function payIn(consumerId: string, dollars: string, at = systemClock.wallMs()): Promise<void> {
  await new Deposits({ database: market.fresh.database, clock: new VirtualClock(at) }).confirm({
    method: 'bank',
    consumerId,
    amount: parseUsd(dollars),
    reference: makeId('wire'),
  });
}

/** Issues what is due, as the market does by itself a few minutes after it was opened. */
async function issuePapers(): Promise<void> {
  const issuer = { name: 'Lake Market', address: ['1 Shore Road'], tax_id: 'LM 1', note: null };
  const clock = new VirtualClock(systemClock.wallMs() + DAY);
  await new Billing({ database: market.fresh.database, clock, issuer }).round();
}

async function aRegular(): Promise<typeof regular> {
  const email = 'regular@example.org';
  const made = await visit(`${market.url}/api/v1/user/signup`, {
    body: { email, password: PASSWORD, display_name: 'Reed & Sedge' },
  });
  const consumerId = await consumerOf(email);
  const [key] = await market.fresh.database.sql<{ id: string }[]>`
    select id from keys where consumer_id = ${consumerId}`;
  await payIn(consumerId, '5', LAST_MONTH);
  const common = { consumerId, keyId: key?.id ?? '', modelId: MODEL, providerId: 'prov_gone' };
  const now = systemClock.wallMs();
  const sold = await new Sales(market.fresh.database).sell(
    { ...common, at: LAST_MONTH, charge: parseUsd('0.25') },
    ...Array.from({ length: 30 }, (_, day) => ({
      ...common,
      at: now - day * DAY - HOUR,
      charge: parseUsd('0.03') + BigInt(day),
      ttftMs: 200 + day * 10,
      totalMs: 2_000 + day * 40,
    })),
    { ...common, at: now - HOUR / 2, charge: 0n, outcome: 'failed', errorCode: 'no-provider', ttftMs: null },
  );
  await issuePapers();
  const listed = await visit(`${market.url}/api/v1/user/me/invoices`, { token: made.json.token });
  const invoice = listed.json.documents.find((each: { document: string }) => each.document === 'invoice');
  return {
    email,
    requestId: sold[1]?.id ?? '',
    invoice: invoice.number,
  };
}

async function visitor(look: Parameters<Browser['visitor']>[1] = {}, of?: string): Promise<Visitor> {
  browser ??= await Browser.open();
  return await browser.visitor(of ?? market.url, look);
}

async function signUp({ page }: Visitor, email: string): Promise<string> {
  await page.goto('/sign-up');
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Make the account' }).click();
  await page.getByRole('heading', { name: 'Your first key' }).waitFor();
  return await page.locator('code').first().innerText();
}

async function signIn({ page }: Visitor, email: string, password = PASSWORD): Promise<void> {
  await page.goto('/sign-in');
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in', exact: true }).last().click();
}

const dialog = (page: Page): Locator => page.getByRole('dialog');
/** A call of a program with a key: whether it is served. */
const statusFor = async (key: string): Promise<number> =>
  (await visit(`${market.url}/api/v1/key`, { token: key })).status;

describe('a consumer', () => {
  test.skipIf(noBrowser)(
    'signs up, pays in, streams an answer, sees the request with its charge to the last digit, and reads the statement',
    async () => {
      const someone = await visitor();
      const { page } = someone;
      const email = 'first@example.org';
      const secret = await signUp(someone, email);
      expect(await statusFor(secret)).toBe(200);
      await page.getByRole('link', { name: 'Go on' }).click();
      await page.getByRole('heading', { name: 'First steps' }).waitFor();
      expect(await page.getByRole('tabpanel').innerText()).toContain(`${market.url}/v1/chat/completions`);
      await someone.settled();
      await someone.screenshot('account-first-steps-light');

      // Money arrives while the page is open, and it says so by itself.
      await payIn(await consumerOf(email), '7.5');
      await page.getByText('$7.50').first().waitFor();

      await page.getByRole('link', { name: 'Try the playground' }).click();
      await page.getByRole('button', { name: 'Use my balance' }).click();
      await page.getByRole('textbox', { name: 'Message' }).fill('What is 17 + 25?');
      await page.getByRole('button', { name: 'Send' }).click();
      await page
        .getByRole('log')
        .getByRole('button', { name: 'Copy the answer' })
        .waitFor({ state: 'attached' });
      const [row] = await market.usage({ id: await consumerOf(email) }, 1);
      expect(row?.outcome).toBe('completed');

      await someone.open('/account/usage');
      await page.getByRole('region', { name: 'Requests', exact: true }).getByRole('link').first().click();
      await page.getByRole('heading', { name: 'Route taken' }).waitFor();
      const told = await page.getByRole('main').innerText();
      expect(told).toContain(row?.id);
      expect(told).toContain('Served');
      // What the page says was charged is what the ledger took.
      const charged = /Charged\s+\$([\d.]+)/.exec(told)?.[1] ?? '';
      expect(parseUsd(charged)).toBe(row?.charge);
      // The parts add up to it.
      const parts = ['Provider', 'Market’s fee', 'Treasury', 'Burn'].map((name) =>
        parseUsd(new RegExp(`${name}\\s+\\$([\\d.]+)`).exec(told)?.[1] ?? ''),
      );
      expect(parts.reduce((sum, part) => sum + part)).toBe(row?.charge);

      await someone.open('/account/billing?tab=account');
      const statement = await page.getByRole('region', { name: 'Movements of the account' }).innerText();
      expect(statement).toMatch(/Deposit\s+\+\$7\.50/);
      expect(parseUsd(/Usage\s+−\$([\d.]+)/.exec(statement)?.[1] ?? '')).toBe(row?.charge);
      expect(someone.troubles).toEqual([]);
      await someone.close();
    },
    60_000,
  );

  test.skipIf(noBrowser)(
    'finds the invoice of the month before, line by line, with its PDF and CSV',
    async () => {
      const someone = await visitor();
      const { page } = someone;
      await signIn(someone, regular.email);
      await page.getByRole('heading', { name: 'Overview' }).waitFor();
      await someone.open('/account/billing');
      await page.getByRole('link', { name: regular.invoice, exact: true }).click();
      await page.getByRole('heading', { name: `Invoice ${regular.invoice}` }).waitFor();
      await someone.settled();
      const paper = await page.getByRole('main').innerText();
      expect(paper).toContain('Lake Market');
      expect(paper).toContain('Reed & Sedge');
      expect(paper).toMatch(/Opening balance\s+\$0\.00/);
      for (const [name, type] of [
        ['PDF', 'application/pdf'],
        ['CSV', 'text/csv'],
      ] as const) {
        const href = await page.getByRole('link', { name, exact: true }).getAttribute('href');
        const file = await page.request.get(href ?? '');
        expect(file.status()).toBe(200);
        expect(file.headers()['content-type']).toContain(type);
      }
      expect(someone.troubles).toEqual([]);
      await someone.close();
    },
  );

  test.skipIf(noBrowser)(
    'makes a key with caps that is shown once, rotates it, and revokes it: each holds for programs at once',
    async () => {
      const someone = await visitor();
      const { page } = someone;
      await signUp(someone, 'keys@example.org');
      await someone.open('/account/keys');
      await page.getByRole('button', { name: 'New key' }).click();
      await dialog(page).getByLabel('Name').fill('Night jobs');
      await dialog(page).getByLabel('Cap for a day, in dollars').fill('2.5');
      await dialog(page).getByLabel('Requests a minute').fill('30');
      await dialog(page).getByRole('button', { name: 'Make the key' }).click();
      const secret = await dialog(page).locator('[data-secret]').innerText();
      const { json } = await visit(`${market.url}/api/v1/key`, { token: secret });
      expect(json).toMatchObject({ name: 'Night jobs', cap_day_usd: '2.50', requests_per_minute: 30 });
      await dialog(page).getByRole('button', { name: 'I have kept it' }).click();
      await dialog(page).waitFor({ state: 'detached' });
      await page.getByText('$2.50 a day').waitFor();
      expect(await page.content()).not.toContain(secret);

      await page.getByRole('button', { name: 'Rotate Night jobs' }).click();
      await dialog(page).getByLabel('The old key goes on').selectOption('Not at all');
      await dialog(page).getByRole('button', { name: 'Rotate', exact: true }).click();
      const next = await dialog(page).locator('[data-secret]').innerText();
      expect([await statusFor(secret), await statusFor(next)]).toEqual([401, 200]);
      await dialog(page).getByRole('button', { name: 'I have kept it' }).click();
      await dialog(page).waitFor({ state: 'detached' });

      const row = page.getByRole('row').filter({ hasText: next.slice(0, 16) });
      await row.getByRole('button', { name: 'Revoke' }).click();
      await dialog(page).getByRole('button', { name: 'Revoke' }).click();
      await page.getByText('Night jobs is revoked.').waitFor();
      await row.waitFor({ state: 'detached' });
      expect(await statusFor(next)).toBe(401);
      expect(someone.troubles).toEqual([]);
      await someone.close();
    },
    60_000,
  );

  test.skipIf(noBrowser)(
    'turns on a second factor, is asked for it at the door, and a wrong password signs nobody out',
    async () => {
      const someone = await visitor();
      const { page } = someone;
      const email = 'factor@example.org';
      await signUp(someone, email);
      await someone.open('/account/security');
      await page.getByLabel('Your password').fill(PASSWORD);
      await page.getByRole('button', { name: 'Turn it on' }).click();
      await dialog(page).getByText('Enter it by hand').click();
      const secret = Secret.fromBase32(await dialog(page).locator('[data-secret]').innerText());
      const code = (aheadMs: number): string =>
        new TOTP({ secret }).generate({ timestamp: systemClock.wallMs() + aheadMs });
      await dialog(page).getByRole('textbox', { name: 'Code' }).fill(code(0));
      await dialog(page).getByRole('button', { name: 'Turn it on' }).click();
      await dialog(page).getByText('Shown this once').waitFor();
      expect(await dialog(page).getByRole('listitem').count()).toBe(10);
      await dialog(page).getByRole('button', { name: 'I have kept them' }).click();
      await page.getByText('10 recovery codes left').waitFor();
      expect(someone.troubles).toEqual([]);

      await page.getByLabel('Present password').fill('something else');
      await page.getByLabel('New password').fill('correct horses');
      await page.getByRole('button', { name: 'Change the password' }).click();
      await page.getByText('The present password is wrong.').waitFor();
      await page.reload();
      await page.getByText('10 recovery codes left').waitFor();

      await page.getByRole('button', { name: 'factor' }).click();
      await page.getByRole('menuitem', { name: 'Sign out' }).click();
      await page.getByRole('link', { name: 'Sign in' }).waitFor();
      await signIn(someone, email);
      await page.getByLabel('Code').fill(code(30_000));
      await page.getByRole('button', { name: 'Verify and sign in' }).click();
      await page.getByRole('heading', { name: 'Overview' }).waitFor();
      await someone.close();
    },
    60_000,
  );

  test.skipIf(noBrowser)(
    'keeps what it asks and is answered only while it wants that, reads it, and has it deleted',
    async () => {
      const someone = await visitor();
      const { page } = someone;
      const secret = await signUp(someone, 'debug@example.org');
      await payIn(await consumerOf('debug@example.org'), '1');
      const say = (content: string) =>
        visit(`${market.url}/v1/chat/completions`, {
          token: secret,
          body: { model: MODEL, max_tokens: 4, messages: [{ role: 'user', content }] },
        });
      expect((await say('Before anything is kept')).status).toBe(200);
      await someone.open('/account/security');
      await page.getByText('Off: nothing is kept').waitFor();
      await page.getByRole('button', { name: 'Start the log' }).click();
      await page.getByText('On until').waitFor();

      expect((await say('While it is kept')).status).toBe(200);
      const kept = page.getByRole('region', { name: 'Kept requests' }).getByRole('button', { name: /^req_/ });
      await expect
        .poll(async () => {
          await page.reload();
          await page.getByText('On until').waitFor();
          return await kept.count();
        })
        .toBe(1);
      await kept.click();
      await dialog(page).getByRole('tab', { name: 'Request' }).click();
      await dialog(page).getByText('While it is kept').waitFor();
      await dialog(page).getByRole('button', { name: 'Close' }).click();
      await page.getByText('Last read').waitFor();

      await page.getByRole('button', { name: 'End the log' }).click();
      await page.getByText('Off: nothing is kept').waitFor();
      await page.getByRole('button', { name: 'Delete all' }).click();
      await dialog(page).getByRole('button', { name: 'Delete all' }).click();
      await kept.waitFor({ state: 'detached' });
      expect(someone.troubles).toEqual([]);
    },
    60_000,
  );

  test.skipIf(noBrowser)(
    'keeps what was filtered in the address, and never sees what is another’s',
    async () => {
      const someone = await visitor();
      const { page } = someone;
      await signIn(someone, regular.email);
      await page.getByRole('heading', { name: 'Overview' }).waitFor();
      await someone.open('/account/usage');
      const requests = page.getByRole('region', { name: 'Requests', exact: true });
      await page.getByLabel('Outcome').selectOption('Failed');
      await page.waitForURL('**/account/usage?outcome=failed');
      await page.reload();
      await someone.settled();
      expect(await requests.getByRole('row').count()).toBe(2);

      const other = await visitor();
      await signUp(other, 'other@example.org');
      await other.page.goto(`/account/usage/${regular.requestId}`);
      await other.page.getByText('You made no such request').waitFor();
      await other.page.goto(`/account/billing/${regular.invoice}`);
      await other.page.getByText('There is no such document.').waitFor();
      expect(someone.troubles).toEqual([]);
      await other.close();
      await someone.close();
    },
  );

  test.skipIf(noBrowser)('is told before the money runs out, and when it has', async () => {
    const someone = await visitor();
    await signUp(someone, 'short@example.org');
    const consumerId = await consumerOf('short@example.org');
    await payIn(consumerId, '1');
    const sales = new Sales(market.fresh.database);
    const common = { consumerId, keyId: 'key_x', modelId: MODEL, providerId: 'prov_gone' };
    await sales.sell({ ...common, at: systemClock.wallMs() - HOUR, charge: parseUsd('0.9') });
    await someone.open('/account');
    await someone.page.getByText('The balance runs out soon').waitFor();
    await sales.sell({ ...common, at: systemClock.wallMs() - HOUR, charge: parseUsd('0.1') });
    await someone.open('/account/keys');
    await someone.page.getByText('The balance is used up').waitFor();
    expect(someone.troubles).toEqual([]);
    await someone.close();
  });

  test.skipIf(noBrowser)(
    'finds every page of an account readable by everyone in light and dark, within the policy, and no wider than a phone',
    async () => {
      const someone = await visitor({}, screensOf);
      const { page } = someone;
      const email = screensOf === undefined ? regular.email : DEMO.email;
      const password = screensOf === undefined ? PASSWORD : DEMO.password;
      await signIn(someone, email, password);
      await page.getByRole('heading', { name: 'Overview' }).waitFor();
      const problems: string[] = [];
      const pages = await pagesOf(screensOf ?? market.url, { email, password });
      for (const [name, address] of Object.entries(pages)) {
        await someone.open(address);
        problems.push(...(await someone.look(`account-${name}`)));
        problems.push(
          ...(await someone.lookOnPhone(`account-${name}`, {
            picture: ['overview', 'usage', 'request'].includes(name),
          })),
        );
      }
      expect(problems).toEqual([]);
      expect(someone.troubles).toEqual([]);
      await someone.close();
    },
    240_000,
  );
});

/** Whose pages are taken pictures of where `CYGNET_SCREENS_OF` names a market that `cygnet demo` has filled. */
const DEMO = { email: 'reed@demo.example', password: 'a demo password' };

/** The pages of an account, with a request, a failed one and an invoice of its own. */
async function pagesOf(
  url: string,
  who: { email: string; password: string },
): Promise<Record<string, string>> {
  const { token } = (await visit(`${url}/api/v1/user/login`, { body: who })).json;
  const firstOf = async (path: string, list: string): Promise<{ id: string; number: string } | undefined> =>
    (await visit(`${url}/api/v1/user/me/${path}`, { token })).json[list][0];
  const served = await firstOf('requests?outcome=completed&limit=1', 'requests');
  const failed =
    (await firstOf('requests?outcome=failed&limit=1', 'requests')) ??
    (await firstOf('requests?outcome=broken&limit=1', 'requests'));
  const paper = await firstOf('invoices', 'documents');
  return {
    overview: '/account',
    usage: '/account/usage',
    'usage-by-day': '/account/usage?by=day',
    request: `/account/usage/${served?.id}`,
    'request-failed': `/account/usage/${failed?.id}`,
    keys: '/account/keys',
    billing: '/account/billing',
    'billing-deposits': '/account/billing?tab=deposits',
    'billing-statement': '/account/billing?tab=account',
    'billing-add': '/account/billing?tab=add',
    invoice: `/account/billing/${paper?.number}`,
    plan: '/account/plan',
    sla: '/account/sla',
    'sla-report': `/account/sla/${monthName(monthOf(systemClock.wallMs()))}`,
    security: '/account/security',
  };
}
