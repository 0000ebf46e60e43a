// Writes deploy/grafana/cygnet.json: a Grafana dashboard over the metrics of docs/operate/metrics.md. A dashboard by hand is
// three thousand lines that nobody reviews; this is one line a panel. `test/deploy.test.ts` holds file and script together.

import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SELECTED = 'model=~"$model",tier=~"$tier"';

interface Panel {
  readonly title: string;
  readonly unit: string;
  /** Query and legend. */
  readonly queries: readonly (readonly [expr: string, legend: string])[];
  /** A line to compare with. */
  readonly limit?: number;
}

const rate = (name: string, by: string): string =>
  `sum by (${by}) (rate(${name}{${SELECTED}}[$__rate_interval]))`;
const quantile = (share: number, name: string): string =>
  `histogram_quantile(${share}, sum by (le) (rate(${name}_bucket{${SELECTED}}[$__rate_interval])))`;
const quantiles = (name: string): Panel['queries'] =>
  [0.5, 0.9, 0.95, 0.99].map((share) => [quantile(share, name), `p${share * 100}`]);

const ROWS: readonly { readonly title: string; readonly panels: readonly Panel[] }[] = [
  {
    title: 'What customers see',
    panels: [
      {
        title: 'Requests',
        unit: 'reqps',
        queries: [[rate('cygnet_requests_total', 'outcome'), '{{outcome}}']],
      },
      {
        title: 'Share that spends the error budget',
        unit: 'percentunit',
        limit: 0.002,
        queries: [
          [
            `${rate('cygnet_server_errors_total', 'tier')} / ${rate('cygnet_requests_total', 'tier')}`,
            '{{tier}}',
          ],
        ],
      },
      { title: 'Time to first token', unit: 's', limit: 1.5, queries: quantiles('cygnet_ttft_seconds') },
      { title: 'Time to last token', unit: 's', limit: 8, queries: quantiles('cygnet_ttlt_seconds') },
      {
        title: 'Tokens per second of an answer',
        unit: 'short',
        queries: quantiles('cygnet_tokens_per_second'),
      },
      {
        title: 'Refused with 429',
        unit: 'reqps',
        queries: [[rate('cygnet_too_many_requests_total', 'tier'), '{{tier}}']],
      },
    ],
  },
  {
    title: 'Where it comes from',
    panels: [
      {
        title: 'Errors by code',
        unit: 'reqps',
        queries: [[rate('cygnet_errors_total', 'code'), '{{code}}']],
      },
      {
        title: 'Retries, fallbacks, broken streams',
        unit: 'reqps',
        queries: [
          [rate('cygnet_retries_total', 'tier'), 'retries {{tier}}'],
          [rate('cygnet_fallbacks_total', 'tier'), 'fallbacks {{tier}}'],
          [rate('cygnet_disconnects_total', 'tier'), 'broken streams {{tier}}'],
        ],
      },
      { title: 'Until somebody was asked', unit: 's', queries: quantiles('cygnet_queue_seconds') },
      {
        title: 'Who could serve',
        unit: 'short',
        queries: [['sum by (state) (cygnet_candidates{model=~"$model"})', '{{state}}']],
      },
      {
        title: 'GPUs, as agents report',
        unit: 'percent',
        queries: [
          ['cygnet_node_reported{figure="gpu_utilization"}', '{{node}}'],
          ['cygnet_node_reported{figure="memory_utilization"}', 'memory {{node}}'],
        ],
      },
      {
        title: 'Under way',
        unit: 'short',
        queries: [
          ['cygnet_requests_in_flight', 'requests'],
          ['cygnet_attempts_in_flight', 'attempts'],
          ['cygnet_agents', 'agents'],
        ],
      },
    ],
  },
  {
    title: 'Money and the process',
    panels: [
      {
        title: 'Tokens',
        unit: 'short',
        queries: [
          [rate('cygnet_input_tokens_total', 'tier'), 'in {{tier}}'],
          [rate('cygnet_output_tokens_total', 'tier'), 'out {{tier}}'],
        ],
      },
      {
        title: 'Charged, and what of it the market keeps',
        unit: 'currencyUSD',
        queries: [
          [rate('cygnet_charged_usd_total', 'tier'), 'charged {{tier}}'],
          [rate('cygnet_market_usd_total', 'tier'), 'market {{tier}}'],
        ],
      },
      {
        title: 'Newest batch of payouts',
        unit: 's',
        queries: [
          ['cygnet_settlement_age_seconds', 'age'],
          ['cygnet_settlement_state', '{{state}}'],
        ],
      },
      { title: 'Ledger behind', unit: 's', limit: 60, queries: [['cygnet_ledger_behind_seconds', 'behind']] },
      { title: 'Promised to requests', unit: 'currencyUSD', queries: [['cygnet_promised_usd', 'promised']] },
      {
        title: 'Event loop delay',
        unit: 's',
        queries: [
          ['nodejs_eventloop_lag_p50_seconds', 'p50'],
          ['nodejs_eventloop_lag_p99_seconds', 'p99'],
        ],
      },
      { title: 'Memory', unit: 'bytes', queries: [['process_resident_memory_bytes', 'resident']] },
      {
        title: 'CPU',
        unit: 'percentunit',
        queries: [['rate(process_cpu_seconds_total[$__rate_interval])', 'cpu']],
      },
    ],
  },
];

const PROMETHEUS = { type: 'prometheus', uid: '${datasource}' };

export function dashboard(): unknown {
  let id = 0;
  let y = 0;
  const panels: unknown[] = [];
  for (const { title, panels: row } of ROWS) {
    panels.push({
      id: ++id,
      type: 'row',
      title,
      collapsed: false,
      gridPos: { x: 0, y, w: 24, h: 1 },
      panels: [],
    });
    y += 1;
    row.forEach((panel, at) => {
      const gridPos = { x: (at % 3) * 8, y: y + Math.floor(at / 3) * 8, w: 8, h: 8 };
      panels.push(panelOf(++id, panel, gridPos));
    });
    y += Math.ceil(row.length / 3) * 8;
  }
  return {
    uid: 'cygnet',
    title: 'Cygnet',
    description: 'The golden signals of a market. Made by scripts/grafana-dashboard.ts.',
    schemaVersion: 39,
    version: 1,
    editable: true,
    refresh: '30s',
    time: { from: 'now-6h', to: 'now' },
    templating: {
      list: [
        { name: 'datasource', label: 'Prometheus', type: 'datasource', query: 'prometheus' },
        variable('model', 'Model'),
        variable('tier', 'Tier'),
      ],
    },
    panels,
  };
}

function panelOf(id: number, { title, unit, queries, limit }: Panel, gridPos: unknown): unknown {
  const steps = [
    { color: 'green', value: null },
    ...(limit === undefined ? [] : [{ color: 'red', value: limit }]),
  ];
  return {
    id,
    type: 'timeseries',
    title,
    datasource: PROMETHEUS,
    gridPos,
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        thresholds: { mode: 'absolute', steps },
        custom: { thresholdsStyle: { mode: limit === undefined ? 'off' : 'line' }, showPoints: 'never' },
      },
      overrides: [],
    },
    options: { tooltip: { mode: 'multi' }, legend: { displayMode: 'list', placement: 'bottom' } },
    targets: queries.map(([expr, legendFormat], at) => ({
      refId: String.fromCharCode(65 + at),
      datasource: PROMETHEUS,
      expr,
      legendFormat,
    })),
  };
}

function variable(name: string, label: string): unknown {
  return {
    name,
    label,
    type: 'query',
    datasource: PROMETHEUS,
    query: `label_values(cygnet_requests_total, ${name})`,
    refresh: 2,
    includeAll: true,
    multi: true,
    allValue: '.*',
    current: { text: 'All', value: '$__all' },
  };
}

export const DASHBOARD_FILE = fileURLToPath(new URL('../deploy/grafana/cygnet.json', import.meta.url));

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(DASHBOARD_FILE, `${JSON.stringify(dashboard(), null, 2)}\n`);
}
