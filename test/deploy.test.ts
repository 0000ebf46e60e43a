import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { marketGauges } from '#reliability/market-gauges.ts';
import { Metrics } from '#reliability/metrics.ts';
import { ServiceTotals } from '#reliability/service-totals.ts';
import { settlementGauges } from '#reliability/settlement-gauges.ts';
import { errorRow } from '#wire/errors.ts';
import { DASHBOARD_FILE, dashboard } from '../scripts/grafana-dashboard.ts';

const ALERTS = fileURLToPath(new URL('../deploy/prometheus/alerts.yml', import.meta.url));
const PAGE = fileURLToPath(new URL('../docs/operate/metrics.md', import.meta.url));

/** The names that a market's metrics page has. */
async function shown(): Promise<Set<string>> {
  // The rooms are asked for values only, of which there are none; the names are there all the same.
  const rooms = new Proxy({}, { get: () => undefined }) as Parameters<typeof marketGauges>[0];
  const settlement = settlementGauges({ wallMs: () => 0, last: () => undefined });
  const gauges = [...marketGauges(rooms), ...settlement].map((gauge) => ({ ...gauge, read: () => [] }));
  const metrics = new Metrics({ totals: new ServiceTotals(errorRow), gauges, process: true });
  const names = [...(await metrics.text()).matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  return new Set(
    names.flatMap(([, name, type]) =>
      type === 'histogram' ? ['_bucket', '_sum', '_count'].map((end) => `${name}${end}`) : [name as string],
    ),
  );
}

const metricsIn = (text: string): string[] => [
  ...new Set(text.match(/\b(?:cygnet|process|nodejs)_[a-z0-9_]+\b/g) ?? []),
];

test.each([
  ['the alert rules', ALERTS],
  ['the dashboard', DASHBOARD_FILE],
])('%s ask only for metrics that there are', async (_, file) => {
  const known = await shown();
  const asked = metricsIn(readFileSync(file, 'utf8'));
  expect(asked.length).toBeGreaterThan(5);
  expect(asked.filter((name) => !known.has(name))).toEqual([]);
});

test('every metric of the market is explained on its page', async () => {
  const explained = readFileSync(PAGE, 'utf8');
  const own = [...(await shown())].filter((name) => name.startsWith('cygnet_'));
  const bare = own.map((name) => name.replace(/_(?:bucket|sum|count)$/, ''));
  expect([...new Set(bare)].filter((name) => !explained.includes(name))).toEqual([]);
});

test('the dashboard is what its script makes', () => {
  expect(JSON.parse(readFileSync(DASHBOARD_FILE, 'utf8'))).toEqual(dashboard());
});
