import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { pause, systemClock } from '#kit/clock.ts';
import { ask, HELLO } from '#support/chat-client.ts';
import { freePorts } from '#support/free-ports.ts';
import { TestMarket } from '#support/market.ts';
import { dashboard } from '../scripts/grafana-dashboard.ts';

// What we hand to Prometheus, read by Prometheus itself: its rules, its configuration, a market's page, and every query of the
// dashboard. A query that Grafana would show as an error is one that Prometheus refuses.

const FOLDER = fileURLToPath(new URL('../deploy/prometheus', import.meta.url));
const there = hasPrometheus();

/** Both programs come in one package. Throws in CI where they are missing, so that nothing goes untested there. */
function hasPrometheus(): boolean {
  const missing = ['prometheus', 'promtool'].filter(
    (name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status !== 0,
  );
  if (missing.length === 0) return true;
  // biome-ignore lint/suspicious/noConsole: whoever runs the tests must see that some are missing.
  console.warn(`${missing.join(' and ')} is not installed: rules, dashboard and scraping are not tested.`);
  if (process.env['CI'] === 'true') throw new Error('CI must install prometheus (.ci/run does).');
  return false;
}

const promtool = (...words: string[]) => {
  const { status, stdout, stderr } = spawnSync('promtool', words, { cwd: FOLDER, encoding: 'utf8' });
  return { status, said: stdout + stderr };
};

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

/** The queries of the dashboard with its variables filled in, as Grafana sends them. */
function queries(): { title: string; expr: string }[] {
  const { panels } = dashboard() as { panels: Panel[] };
  return panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({
      title,
      expr: expr.replaceAll('$__rate_interval', '1m').replaceAll('$model', '.+').replaceAll('$tier', '.+'),
    })),
  );
}

describe.skipIf(!there)('Prometheus', () => {
  test('takes the alert rules, and they fire as their staged outages say', () => {
    expect(promtool('check', 'rules', 'alerts.yml')).toMatchObject({
      status: 0,
      said: expect.stringContaining('rules found'),
    });
    expect(promtool('test', 'rules', 'alerts.test.yml')).toMatchObject({
      status: 0,
      said: expect.stringContaining('SUCCESS'),
    });
  }, 120_000);

  describe('beside a market', () => {
    let market: TestMarket;
    let url: string;
    const closers: (() => Promise<unknown> | void)[] = [];
    beforeAll(async () => {
      const folder = mkdtempSync(path.join(tmpdir(), 'cygnet-prometheus-'));
      closers.push(() => rmSync(folder, { recursive: true, force: true }));
      market = await TestMarket.open();
      closers.push(() => market.close());
      const model = market.aModel();
      const consumer = await market.consumer();
      await market.agent(await market.provider(), [`${model.id}=rehearsal:tokens=5`]);
      const answer = await ask({
        url: market.url,
        key: consumer.key,
        body: { model: model.id, messages: HELLO },
      });
      if (answer.status !== 200) throw new Error(`The request was not served: ${answer.text}`);

      // The file as it ships, but for where the market is and how often it is asked.
      const config = parse(readFileSync(path.join(FOLDER, 'prometheus.yml'), 'utf8'));
      config.global = { scrape_interval: '250ms', scrape_timeout: '250ms', evaluation_interval: '1s' };
      config.scrape_configs[0].authorization = undefined;
      config.scrape_configs[0].static_configs[0].targets = [new URL(market.url).host];
      writeFileSync(path.join(folder, 'prometheus.yml'), stringify(config));
      copyFileSync(path.join(FOLDER, 'alerts.yml'), path.join(folder, 'alerts.yml'));
      const [port] = (await freePorts(1)) as [number];
      url = `http://127.0.0.1:${port}`;
      const child = spawn(
        'prometheus',
        [
          `--config.file=${path.join(folder, 'prometheus.yml')}`,
          `--storage.tsdb.path=${path.join(folder, 'data')}`,
          `--web.listen-address=127.0.0.1:${port}`,
        ],
        { stdio: ['ignore', 'ignore', 'pipe'] },
      );
      let said = '';
      child.stderr.setEncoding('utf8').on('data', (part: string) => {
        said += part;
      });
      const gone = new Promise((resolve) => child.once('exit', resolve));
      closers.push(async () => {
        child.kill('SIGKILL');
        await gone;
      });
      while (!(await fetch(`${url}/-/ready`).catch(() => undefined))?.ok) {
        if (child.exitCode !== null) throw new Error(`Prometheus ended: ${said}`);
        await pause(systemClock, 50);
      }
    }, 60_000);
    afterAll(async () => {
      for (const close of closers.splice(0).toReversed()) await close();
    });

    const asked = async (expr: string) => {
      const response = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(expr)}`);
      return (await response.json()) as {
        status: string;
        error?: string;
        data?: { result: { value: [number, string] }[] };
      };
    };

    test('reads its page, as the shipped configuration says', async () => {
      await expect.poll(async () => (await asked('up{job="cygnet"}')).data?.result[0]?.value[1]).toBe('1');
      await expect
        .poll(async () => (await asked('sum(cygnet_output_tokens_total)')).data?.result[0]?.value[1])
        .toBe('5');
    });

    test('loads every rule without an error, and nothing fires over a market at rest', async () => {
      const rules = async () => {
        const response = await fetch(`${url}/api/v1/rules`);
        const { data } = (await response.json()) as {
          data: {
            groups: { rules: { name: string; health: string; lastError?: string; state?: string }[] }[];
          };
        };
        return data.groups.flatMap((group) => group.rules);
      };
      await expect.poll(async () => (await rules()).filter(({ health }) => health === 'unknown')).toEqual([]);
      const all = await rules();
      expect(all.length).toBeGreaterThan(15);
      expect(all.filter(({ health }) => health !== 'ok')).toEqual([]);
      expect(all.filter(({ state }) => state === 'firing').map(({ name }) => name)).toEqual([]);
    });

    test('answers every query of the dashboard', async () => {
      const all = queries();
      expect(all.length).toBeGreaterThan(30);
      const refused: unknown[] = [];
      for (const { title, expr } of all) {
        const { status, error } = await asked(expr);
        if (status !== 'success') refused.push({ title, expr, error });
      }
      expect(refused).toEqual([]);
    });
  });
});
