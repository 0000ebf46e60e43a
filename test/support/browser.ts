import { accessSync, constants, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { env } from 'node:process';
import { fileURLToPath } from 'node:url';
import { type BrowserContext, chromium, type Page, type Browser as Program } from 'playwright-core';
import { builtProgram } from './program.ts';

/**
 * Pages in a real browser: the system's Chromium, driven by playwright-core. Where there is none, the tests of pages are
 * skipped and say so aloud; where CI is set, they fail, because there nobody reads what was skipped.
 */
const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

function findProgram(): string | undefined {
  const folders = (env['PATH'] ?? '').split(path.delimiter);
  return folders
    .flatMap((folder) => PROGRAMS.map((name) => path.join(folder, name)))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

const program = findProgram();
if (program === undefined) {
  console.warn(
    'NO BROWSER: Chromium is not installed, so the pages are NOT tested here. Debian has it: apt-get install chromium',
  );
}

/** `test.skipIf(noBrowser)`: there is no browser here, and no CI either that should have one. */
export const noBrowser = program === undefined && env['CI'] === undefined;

export type Theme = 'light' | 'dark';

/** Where screenshots go; undefined where none are wanted (`npm run screens`). */
const SCREENS = env['CYGNET_SCREENS'];

/** The market that pictures are taken of, where it is not the test's own: one that has lived for a month, say. */
export const screensOf = env['CYGNET_SCREENS_OF'];

/** What a screenshot may weigh, in bytes. */
const SCREEN_BYTES_MAX = 150_000;

const PHONE = { width: 390, height: 844 };

/** How long anything on a page may take. */
const WAIT_MS = 15_000;

export class Browser {
  readonly #program: Program;

  private constructor(running: Program) {
    this.#program = running;
  }

  /** Starts the browser, and builds the pages if a source is younger than they are. */
  static async open(): Promise<Browser> {
    await builtProgram();
    if (program === undefined) throw new Error('Chromium is not installed, and these tests need it.');
    return new Browser(
      await chromium.launch({
        executablePath: program,
        args: [
          '--no-sandbox',
          '--disable-gpu',
          '--disable-background-networking',
          '--font-render-hinting=none',
        ],
      }),
    );
  }

  /** A visitor with nothing kept from earlier, who looks at one market. */
  async visitor(
    url: string,
    look: { theme?: Theme; width?: number; height?: number } = {},
  ): Promise<Visitor> {
    const context = await this.#program.newContext({
      baseURL: url,
      colorScheme: look.theme ?? 'light',
      viewport: { width: look.width ?? 1280, height: look.height ?? 860 },
      reducedMotion: 'reduce',
      locale: 'en-GB',
      timezoneId: 'Europe/Zurich',
    });
    context.setDefaultTimeout(WAIT_MS);
    return new Visitor(context, await context.newPage(), { url, theme: look.theme ?? 'light' });
  }

  async close(): Promise<void> {
    await this.#program.close();
  }
}

/** Somebody in front of a browser, and everything that went wrong under their eyes. */
export class Visitor {
  readonly page: Page;
  /** Errors of the console, uncaught ones, whatever the policy of the pages forbade, and calls that left the market. */
  readonly troubles: string[] = [];
  readonly #context: BrowserContext;
  #theme: Theme;

  constructor(context: BrowserContext, page: Page, about: { url: string; theme: Theme }) {
    this.#context = context;
    this.page = page;
    this.#theme = about.theme;
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning')
        this.troubles.push(`${page.url()} said: ${message.text()}`);
    });
    page.on('pageerror', (error) => this.troubles.push(`${page.url()} threw: ${error.message}`));
    page.on('request', (request) => {
      if (!request.url().startsWith(about.url) && !request.url().startsWith('data:'))
        this.troubles.push(`${page.url()} asked ${request.url()}`);
    });
  }

  /** Goes to a page, and waits until it has its title and nothing is loading. */
  async open(address: string): Promise<void> {
    await this.page.goto(address);
    await this.settled();
  }

  /** Resolves when the page shows what it will show. */
  async settled(): Promise<void> {
    await this.page.locator('h1').first().waitFor();
    // What a page shows as an example of waiting is marked as one.
    await this.page
      .locator(':is([aria-busy="true"], .skeleton):not([data-example] *)')
      .first()
      .waitFor({ state: 'detached' });
    await this.page.evaluate('document.fonts.ready.then(() => undefined)');
  }

  /**
   * Looks at the page that is open, in one theme and then in the other, as somebody does who switches: what axe-core finds in
   * each, a line each, and a picture `<name>-light` and `<name>-dark` where pictures are wanted.
   */
  async look(name: string): Promise<string[]> {
    const problems: string[] = [];
    for (const theme of ['dark', 'light'] as const) {
      // One after the other: there is one page.
      // oxlint-disable-next-line no-await-in-loop
      await this.#wear(theme);
      // oxlint-disable-next-line no-await-in-loop
      problems.push(...(await this.accessibilityProblems()));
      // oxlint-disable-next-line no-await-in-loop
      await this.screenshot(`${name}-${theme}`);
    }
    return problems;
  }

  /**
   * Looks at the page that is open on a phone, as somebody does who makes the window narrow: a line where anything is wider than
   * the screen, and a picture `<name>-phone` where one is wanted. The window is as it was afterwards.
   */
  async lookOnPhone(name: string, { picture = false } = {}): Promise<string[]> {
    const before = this.page.viewportSize();
    await this.page.setViewportSize(PHONE);
    // Charts are drawn anew a moment after.
    const problems = await this.page
      .waitForFunction(`document.documentElement.scrollWidth <= ${PHONE.width}`)
      .then(
        () => [],
        () => [`${name} (${this.page.url()}) is wider than a phone`],
      );
    if (picture) await this.screenshot(`${name}-phone`);
    if (before) await this.page.setViewportSize(before);
    return problems;
  }

  async #wear(theme: Theme): Promise<void> {
    this.#theme = theme;
    await this.page.emulateMedia({ colorScheme: theme });
    await this.page.locator(`html[data-theme="${theme}"]`).waitFor();
    await this.settled();
    // Colours that fade are neither of the two until they have.
    await this.page.evaluate(FADED);
  }

  /** What axe-core finds against WCAG 2.2 AA, a line each. */
  async accessibilityProblems(): Promise<string[]> {
    const axe = fileURLToPath(import.meta.resolve('axe-core/axe.min.js'));
    // Through the debugger, which the policy of the pages does not bind.
    if (!(await this.page.evaluate(`'axe' in window`))) await this.page.evaluate(readFileSync(axe, 'utf8'));
    const found = await this.page.evaluate<string[]>(SCAN);
    return found.map((problem) => `${this.#theme} ${this.page.url()} ${problem}`);
  }

  /** Keeps a picture of the page as `<name>.webp`, where pictures are wanted. Throws when it is too heavy. */
  async screenshot(name: string): Promise<void> {
    if (SCREENS === undefined) return;
    const session = await this.#context.newCDPSession(this.page);
    const [width, height, viewport] = await this.page.evaluate<[number, number, number]>(
      '[innerWidth, Math.min(document.documentElement.scrollHeight, 2400), innerHeight]',
    );
    const take = async (quality: number): Promise<Buffer> => {
      const { data } = await session.send('Page.captureScreenshot', {
        format: 'webp',
        quality,
        // Where it is not needed, the page would be laid out once more, as on a smaller screen.
        captureBeyondViewport: height > viewport,
        clip: { x: 0, y: 0, width, height, scale: 1 },
      });
      return Buffer.from(data, 'base64');
    };
    let picture = await take(82);
    // A page of long lists, most likely, which a little less does no harm.
    if (picture.length > SCREEN_BYTES_MAX) picture = await take(60);
    if (picture.length > SCREEN_BYTES_MAX)
      throw new Error(`The picture of ${name} has ${picture.length} bytes; ${SCREEN_BYTES_MAX} are allowed.`);
    mkdirSync(SCREENS, { recursive: true });
    writeFileSync(path.join(SCREENS, `${name}.webp`), picture);
    await session.detach();
  }

  async close(): Promise<void> {
    await this.#context.close();
  }
}

/**
 * Resolves when everything that moves and comes to an end has come to it. A change of colours begins with the frame after the one
 * that sets it, so nothing that moves now is no sign that nothing will.
 */
const FADED = `(async () => {
  const frame = () => new Promise(requestAnimationFrame);
  for (;;) {
    await frame();
    await frame();
    const moving = document
      .getAnimations()
      .filter(({ effect, playState }) => playState === 'running' && effect.getComputedTiming().iterations < Infinity);
    if (moving.length === 0) return;
    await Promise.allSettled(moving.map(({ finished }) => finished));
  }
})()`;

/** What runs in the page is text: here there is no document. */
const SCAN = `axe.run(document, {
  runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
}).then(({ violations }) =>
  violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ html, any }) => id + ': ' + help + ': ' + html.slice(0, 200) + ' ' + (any[0]?.message ?? '')),
  ),
)`;
