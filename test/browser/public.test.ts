import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Browser, noBrowser, type Theme, type Visitor } from '#support/browser.ts';
import { TestMarket } from '#support/market.ts';

/** What anyone sees, in a real browser, against a real market with a real model behind it. */
const MODEL = 'cygnet/cygnet-nano';
const PAGES = {
  landing: '/',
  models: '/models',
  model: `/models/${MODEL}`,
  playground: '/playground',
  pricing: '/pricing',
  leaderboard: '/leaderboard',
  network: '/network',
  uptime: '/uptime',
  'sign-in': '/sign-in',
  'sign-up': '/sign-up',
  parts: '/parts',
} as const;
const THEMES: readonly Theme[] = ['light', 'dark'];

let market: TestMarket;
let browser: Browser | undefined;
const visitors: Visitor[] = [];

beforeAll(async () => {
  market = await TestMarket.open();
  await market.agent(await market.provider(), [`${MODEL}=models/cygnet-nano-q8_0.gguf`]);
}, 60_000);
afterAll(async () => {
  await browser?.close();
  await market?.close();
});

async function visitor(look: Parameters<Browser['visitor']>[1] = {}): Promise<Visitor> {
  browser ??= await Browser.open();
  const made = await browser.visitor(market.url, look);
  visitors.push(made);
  return made;
}

describe('what anyone sees', () => {
  test.skipIf(noBrowser)(
    'from the start page to a model to an answer that streams, paid with a key',
    async () => {
      const consumer = await market.consumer();
      const someone = await visitor();
      const { page } = someone;
      await someone.open('/');
      await page.getByRole('navigation', { name: 'Market' }).getByRole('link', { name: 'Models' }).click();
      await page.getByRole('searchbox', { name: 'Search models' }).fill('nano');
      await page.getByRole('link', { name: 'Cygnet Nano' }).click();
      await page.getByRole('heading', { name: 'Cygnet Nano', level: 1 }).waitFor();
      expect(await page.getByRole('tabpanel').innerText()).toContain(`${market.url}/v1/chat/completions`);
      await page.getByRole('link', { name: 'Open in the playground' }).click();
      await page.getByLabel('Or paste a key').fill(consumer.key);
      await page.getByRole('button', { name: 'Use this key' }).click();
      await page.getByRole('textbox', { name: 'Message' }).fill('What is 17 + 25?');
      await page.getByRole('button', { name: 'Send' }).click();
      const log = page.getByRole('log');
      await log.getByRole('button', { name: 'Copy the answer' }).waitFor({ state: 'attached' });

      const [row] = await market.usage(consumer, 1);
      expect(row).toMatchObject({ outcome: 'completed', operation: 'chat/completions' });
      const said = await log.innerText();
      expect(said).toContain(`${row?.inputTokens} in, ${row?.outputTokens} out`);
      expect(said).toMatch(/First token\s+\d/);
      expect(said).toMatch(/Speed\s+[\d.]+ tok\/s/);
      // What the page says it cost is what the ledger took, to the last digit.
      const cost = /Cost\s+\$([\d.]+)/.exec(said)?.[1] ?? '';
      expect(Number(cost)).toBe(Number(row?.charge) / 1e12);
      await someone.screenshot('playground-answer-light');
      expect(someone.troubles).toEqual([]);
      await someone.close();
    },
    60_000,
  );

  for (const theme of THEMES) {
    test.skipIf(noBrowser)(
      `every page in ${theme} can be read by everyone, breaks no rule of its own policy, and loads nothing from elsewhere`,
      async () => {
        const someone = await visitor({ theme });
        const problems: string[] = [];
        for (const [name, address] of Object.entries(PAGES)) {
          await someone.open(address);
          problems.push(...(await someone.accessibilityProblems()));
          await someone.screenshot(`${name}-${theme}`);
        }
        expect(problems).toEqual([]);
        expect(someone.troubles).toEqual([]);
        await someone.close();
      },
      120_000,
    );
  }

  test.skipIf(noBrowser)(
    'every page fits a phone: nothing is wider than the screen',
    async () => {
      const someone = await visitor({ width: 390, height: 844 });
      const wide: string[] = [];
      for (const [name, address] of Object.entries(PAGES)) {
        await someone.open(address);
        const width = await someone.page.evaluate<number>('document.documentElement.scrollWidth');
        if (width > 390) wide.push(`${name}: ${width}`);
        if (['landing', 'models', 'model', 'playground'].includes(name))
          await someone.screenshot(`${name}-phone`);
      }
      expect(wide).toEqual([]);
      expect(someone.troubles).toEqual([]);
      await someone.close();
    },
    120_000,
  );
});
