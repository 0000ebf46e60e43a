import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type Document, parseAllDocuments } from 'yaml';
import { readConfig } from '#config/config.ts';
import { marketGauges } from '#reliability/market-gauges.ts';
import { Metrics } from '#reliability/metrics.ts';
import { ServiceTotals } from '#reliability/service-totals.ts';
import { settlementGauges } from '#reliability/settlement-gauges.ts';
import { watchGauges } from '#reliability/watching.ts';
import { errorRow } from '#wire/errors.ts';
import { DASHBOARD_FILE, dashboard } from '../scripts/grafana-dashboard.ts';

const ALERTS = fileURLToPath(new URL('../deploy/prometheus/alerts.yml', import.meta.url));
const PAGE = fileURLToPath(new URL('../docs/operate/metrics.md', import.meta.url));

/** The names that a market's metrics page has. */
async function shown(): Promise<Set<string>> {
  // The rooms are asked for values only, of which there are none; the names are there all the same.
  const rooms = new Proxy({}, { get: () => undefined }) as Parameters<typeof marketGauges>[0];
  const settlement = settlementGauges({ wallMs: () => 0, last: () => undefined });
  const watched = watchGauges(rooms as never, rooms as never, () => undefined);
  const gauges = [...marketGauges(rooms), ...settlement, ...watched].map((gauge) => ({
    ...gauge,
    read: () => [],
  }));
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

const DEPLOY = fileURLToPath(new URL('../deploy', import.meta.url));

function documentsOf(file: string): Document[] {
  return [
    ...parseAllDocuments(readFileSync(path.join(DEPLOY, file), 'utf8'), { merge: true, uniqueKeys: true }),
  ];
}

// oxlint-disable-next-line typescript/no-explicit-any -- a test reads what it expects
const valuesOf = (file: string): any[] => documentsOf(file).map((each) => each.toJS());

interface Service {
  depends_on?: object;
  volumes?: string[];
  configs?: { source: string }[];
}

const YAML = readdirSync(DEPLOY, { recursive: true, encoding: 'utf8' }).filter((file) =>
  /\.ya?ml$/.test(file),
);

test.each(YAML)('%s is whole, and names only settings that there are', (file) => {
  for (const each of documentsOf(file)) expect([each.errors, each.warnings]).toEqual([[], []]);
  const known = readFileSync(path.join(DEPLOY, '../.env.example'), 'utf8');
  const named =
    readFileSync(path.join(DEPLOY, file), 'utf8').match(/\b(?:CYGNET|DATABASE)_[A-Z_]*[A-Z]\b/g) ?? [];
  expect(named.filter((name) => !known.includes(`${name}=`))).toEqual([]);
});

describe('the compose file', () => {
  const [{ services, volumes, configs }] = valuesOf('compose/compose.yaml');
  const gateways = Object.keys(services).filter((name) => name.startsWith('gateway'));

  test('starts gateways with settings that they take, and stops them no sooner than they drain', () => {
    expect(gateways.length).toBeGreaterThan(1);
    for (const name of gateways) {
      const { environment, stop_grace_period, ports } = services[name];
      const filled = Object.fromEntries(
        Object.entries<string>(environment).map(([key, value]) => [
          key,
          value.replace(/\$\{\w+:\?\}/g, 'x'.repeat(40)),
        ]),
      );
      const config = readConfig(filled);
      expect(config.shared?.link?.url).toBe(`ws://${name}:${config.shared?.link?.port}`);
      expect(config.strangers).toEqual([]);
      expect(Number.parseInt(stop_grace_period, 10) * 1_000).toBeGreaterThan(
        config.life.drainNoticeMs + config.life.graceMs,
      );
      expect(ports.map((port: string) => Number(port.split(':').at(-1)))).toEqual([
        config.gatewayPort,
        config.hubPort,
      ]);
    }
  });

  test('gives each its own folder, and waits for, mounts and asks only what there is', () => {
    const folders = gateways.map((name) => services[name].volumes[0]);
    expect(new Set(folders).size).toBe(gateways.length);
    for (const service of Object.values<Service>(services)) {
      for (const needed of Object.keys(service.depends_on ?? {}))
        expect(services[needed].healthcheck).toBeDefined();
      for (const mount of service.volumes ?? []) {
        const [from = ''] = mount.split(':');
        const isThere = from.startsWith('.')
          ? existsSync(path.join(DEPLOY, 'compose', from))
          : Object.hasOwn(volumes, from);
        expect({ from, isThere }).toEqual({ from, isThere: true });
      }
      for (const { source } of service.configs ?? []) expect(Object.keys(configs)).toContain(source);
    }
    const [prometheus] = valuesOf('prometheus/prometheus.yml');
    expect(prometheus.scrape_configs[0].static_configs[0].targets).toEqual(
      gateways.map((name) => `${name}:8100`),
    );
    for (const file of prometheus.rule_files)
      expect(existsSync(path.join(DEPLOY, 'prometheus', file))).toBe(true);
  });
});

describe('the Kubernetes manifests', () => {
  const all = valuesOf('kubernetes/cygnet.yaml');
  const kind = (name: string, called = 'cygnet') =>
    all.find((each) => each.kind === name && each.metadata.name === called);
  const pod = kind('StatefulSet').spec.template.spec;
  const [container] = pod.containers;
  const config = readConfig({
    ...kind('ConfigMap').data,
    DATABASE_URL: 'postgres://x/y',
    CYGNET_SECRET: 'x'.repeat(40),
    CYGNET_LINK_SECRET: 'x'.repeat(40),
  });
  const ports: Record<string, number> = Object.fromEntries(
    container.ports.map((port: { name: string; containerPort: number }) => [port.name, port.containerPort]),
  );

  test('open the ports that the settings say, and lead to no others', () => {
    expect(config.strangers).toEqual([]);
    expect(ports).toEqual({
      gateway: config.gatewayPort,
      hub: config.hubPort,
      link: config.shared?.link?.port,
    });
    const url = container.env.find((each: { name: string }) => each.name === 'CYGNET_LINK_URL').value;
    expect(url).toBe(`ws://$(POD_NAME).${kind('StatefulSet').spec.serviceName}:${ports['link']}`);
    const services = all.filter((each) => each.kind === 'Service' && each.spec.selector.app === 'cygnet');
    expect(services.map((each): string => each.spec.ports[0].targetPort).toSorted()).toEqual([
      'gateway',
      'hub',
      'link',
    ]);
    for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'] as const) {
      const { tcpSocket, httpGet } = container[probe];
      expect(Object.keys(ports)).toContain((tcpSocket ?? httpGet).port);
    }
  });

  test('take a gateway out before it stops taking requests, and give it time to drain', () => {
    const { readinessProbe, lifecycle } = container;
    const hookMs = Number(/(\d+)\)$/.exec(lifecycle.preStop.exec.command.at(-1))?.[1]);
    const noticedMs = readinessProbe.periodSeconds * readinessProbe.failureThreshold * 1_000;
    expect(config.life.drainNoticeMs).toBeGreaterThan(noticedMs);
    expect(pod.terminationGracePeriodSeconds * 1_000).toBeGreaterThan(
      hookMs + config.life.drainNoticeMs + config.life.graceMs,
    );
    expect(kind('PodDisruptionBudget').spec.maxUnavailable).toBe(1);
    expect(kind('PodDisruptionBudget').spec.selector).toEqual(kind('StatefulSet').spec.selector);
  });
});

test('the dashboard is what its script makes', () => {
  expect(JSON.parse(readFileSync(DASHBOARD_FILE, 'utf8'))).toEqual(dashboard());
});
