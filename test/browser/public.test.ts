import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Browser, noBrowser, screensOf, type Visitor } from '#support/browser.ts';
import { TestMarket } from '#support/market.ts';
import { wav } from '#support/sound.ts';

/** What anyone sees, in a real browser, against a real market with a real model behind it. */
const MODEL = 'cygnet/cygnet-nano';
const PICTURES = 'HiDream-ai/HiDream-I1-Full';
const SOUND = 'openai/whisper-large-v3';
const PAGES = {
  landing: '/',
  models: '/models',
  model: '/models/zai-org/GLM-4.7-Flash',
  playground: '/playground',
  pricing: '/pricing',
  leaderboard: '/leaderboard',
  network: '/network',
  uptime: '/uptime',
  'sign-in': '/sign-in',
  'sign-up': '/sign-up',
  parts: '/parts',
} as const;

let market: TestMarket;
let browser: Browser | undefined;

beforeAll(async () => {
  market = await TestMarket.open();
  await market.agent(await market.provider(), [`${MODEL}=models/cygnet-nano-q8_0.gguf`]);
}, 60_000);
afterAll(async () => {
  await browser?.close();
  await market?.close();
});

async function visitor(
  look: Parameters<Browser['visitor']>[1] = {},
  url: string = market.url,
): Promise<Visitor> {
  browser ??= await Browser.open();
  return await browser.visitor(url, look);
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

  test.skipIf(noBrowser)(
    'a picture is made and a recording is heard in the playground, each with what the ledger took for it',
    async () => {
      const consumer = await market.consumer();
      await market.agent(await market.provider(), [`${PICTURES}=rehearsal:`, `${SOUND}=rehearsal:`]);
      const someone = await visitor();
      const { page } = someone;
      await someone.open(`/playground?model=${PICTURES}`);
      await page.getByLabel('Or paste a key').fill(consumer.key);
      await page.getByRole('button', { name: 'Use this key' }).click();
      const costShown = async (): Promise<number> =>
        Number(/Cost\s+\$([\d.]+)/.exec(await page.getByRole('main').innerText())?.[1]);

      await page.getByLabel('What the picture shows').fill('A swan on a lake.');
      await page.getByRole('button', { name: 'Make it' }).click();
      await page.getByRole('img', { name: 'A swan on a lake.' }).waitFor();
      expect(
        await page.evaluate<number>(`document.querySelector('figure img').naturalWidth`),
      ).toBeGreaterThan(0);
      const [drawn] = await market.usage(consumer, 1);
      expect(drawn).toMatchObject({ operation: 'images/generations', outcome: 'completed', units: 1 });
      expect(await costShown()).toBe(Number(drawn?.charge) / 1e12);
      await someone.screenshot('playground-picture-light');

      const sound = wav(3);
      await someone.open(`/playground?model=${SOUND}`);
      await page
        .getByLabel('Recording')
        .setInputFiles({ name: 'swan.wav', mimeType: 'audio/wav', buffer: sound });
      await page.getByRole('button', { name: 'Transcribe' }).click();
      await page.getByText(`I heard ${sound.length} bytes.`).waitFor();
      const [, heard] = await market.usage(consumer, 2);
      expect(heard).toMatchObject({ operation: 'audio/transcriptions', outcome: 'completed', seconds: 3 });
      expect(await costShown()).toBe(Number(heard?.charge) / 1e12);
      await someone.screenshot('playground-recording-light');
      expect(someone.troubles).toEqual([]);
      await someone.close();
    },
    60_000,
  );

  test.skipIf(noBrowser)(
    'the keyboard alone leads to a model, to the keys that there are, and to another theme that stays',
    async () => {
      const someone = await visitor();
      const { page } = someone;
      await someone.open('/');
      await page.keyboard.press('g');
      await page.keyboard.press('n');
      await page.getByRole('heading', { name: 'Network', level: 1 }).waitFor();
      await page.keyboard.press('?');
      await page.getByRole('dialog', { name: 'Keys' }).waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('dialog', { name: 'Keys' }).waitFor({ state: 'detached' });
      await page.keyboard.press('Control+k');
      await page.getByRole('combobox').fill('nano');
      await page.getByRole('option', { name: 'Cygnet Nano' }).waitFor();
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Cygnet Nano', level: 1 }).waitFor();
      await page.keyboard.press('Control+k');
      await page.getByRole('combobox').fill('dark theme');
      await page.keyboard.press('Enter');
      await page.locator('html[data-theme="dark"]').waitFor();
      await page.reload({ waitUntil: 'commit' });
      await page.locator('html[data-theme="dark"]').waitFor();
      expect(someone.troubles).toEqual([]);
      await someone.close();
    },
    60_000,
  );

  test.skipIf(noBrowser)(
    'somebody signs up, sees the first key once, is led on to where they were going, and is told what is wrong: no money, or a false password',
    async () => {
      const someone = await visitor();
      const { page } = someone;
      await someone.open('/');
      await page.getByRole('link', { name: 'Become a provider' }).click();
      await page.getByLabel('E-mail').fill('swan@lake.example');
      await page.getByLabel('Password').fill('a long enough one');
      await page.getByRole('button', { name: 'Make the account' }).click();
      await page.getByRole('heading', { name: 'Your first key' }).waitFor();
      expect(await page.locator('main').innerText()).toMatch(/sk-swan-\w{20,}/);
      // On to what they came for.
      await page.getByRole('link', { name: 'Go on' }).click();
      await page.getByRole('heading', { name: 'Become a provider', level: 1 }).waitFor();
      // There is no money yet: the playground says so, and where to put some.
      await page.getByRole('link', { name: 'Playground' }).first().click();
      await page.getByLabel('Model').selectOption('Cygnet Nano');
      await page.getByRole('button', { name: 'Use my balance' }).click();
      await page.getByText('A key pays').waitFor();
      await page.getByRole('textbox', { name: 'Message' }).fill('What is 17 + 25?');
      await page.getByRole('button', { name: 'Send' }).click();
      await page.getByRole('alert').getByRole('link', { name: 'Add money' }).waitFor();
      expect(someone.troubles.splice(0)).toEqual([expect.stringContaining('402')]);
      await page.getByRole('button', { name: 'swan' }).click();
      await page.getByRole('menuitem', { name: 'Sign out' }).click();
      await page.getByRole('link', { name: 'Sign in' }).first().click();
      await page.getByLabel('E-mail').fill('swan@lake.example');
      await page.getByLabel('Password').fill('not that one');
      await page.getByRole('button', { name: 'Sign in' }).click();
      expect(await page.getByRole('alert').innerText()).not.toBe('');
      // The browser itself says that the answer was a refusal.
      expect(someone.troubles.splice(0)).toEqual([expect.stringContaining('401')]);
      await page.getByLabel('Password').fill('a long enough one');
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('button', { name: 'swan' }).waitFor();
      expect(someone.troubles).toEqual([]);
      await someone.close();
    },
    60_000,
  );

  test.skipIf(noBrowser)(
    'every page, in light and dark, can be read by everyone, breaks no rule of its own policy, loads nothing from elsewhere, and is no wider than a phone',
    async () => {
      const someone = await visitor({}, screensOf);
      const problems: string[] = [];
      for (const [name, address] of Object.entries(PAGES)) {
        await someone.open(address);
        problems.push(...(await someone.look(name)));
        const picture = ['landing', 'models', 'model', 'playground'].includes(name);
        problems.push(...(await someone.lookOnPhone(name, { picture })));
      }
      expect(problems).toEqual([]);
      expect(someone.troubles).toEqual([]);
      await someone.close();
    },
    240_000,
  );
});
