import { describe, expect, test } from 'vitest';
import type { Incident } from './incident-book.ts';
import { type DayCounts, type StatusFacts, statusReport } from './status-report.ts';

const AT = Date.UTC(2026, 10, 26, 12);
const TODAY = AT / 86_400_000 - 0.5;

const counts = (more: Partial<DayCounts>): DayCounts => ({
  modelId: 'm',
  region: '',
  day: TODAY,
  requests: 0,
  failures: 0,
  probes: 0,
  probeFailures: 0,
  minutes: 0,
  minutesDown: 0,
  ...more,
});
const incident = (more: Partial<Incident> = {}): Incident => ({
  id: 'inc_1',
  modelId: 'm',
  region: '',
  openedMs: AT - 600_000,
  openedBy: 'rule',
  severity: 'major',
  worst: 'major',
  triggers: ['errors-rise'],
  because: 'It burns.',
  lastHeldMs: AT,
  silencedUntilMs: null,
  resolvedMs: null,
  ...more,
});
const report = (more: Partial<StatusFacts> = {}) =>
  statusReport({
    atMs: AT,
    fromDay: TODAY - 89,
    toDay: TODAY,
    frozen: false,
    models: [{ id: 'm', name: 'M' }],
    days: [],
    lastDay: new Map(),
    ready: new Map([['m', ['eu', 'us']]]),
    incidents: [],
    steps: [],
    windows: [],
    ...more,
  });
const states = (more: Partial<StatusFacts>): string[] =>
  report(more).components.map(({ region, state }) => `${region || 'all'} ${state}`);

describe('the public status', () => {
  test('has ninety days, and says of each what was answered', () => {
    const [m] = report({
      days: [
        counts({ requests: 1_000, failures: 1, probes: 10, probeFailures: 10 }),
        counts({ day: TODAY - 1, probes: 4, probeFailures: 1 }),
      ],
    }).components;
    expect(m?.days).toHaveLength(90);
    // Customers decide; where nobody asked, the probes do; where nothing is known, nothing is said.
    expect(m?.days.slice(-3).map(({ availability }) => availability)).toEqual([null, 0.75, 0.999]);
    expect(m?.availability_90d).toBe(0.999);
  });

  test('tells a region in trouble from one that is not, and the model is impaired', () => {
    const open = incident({ region: 'eu', severity: 'critical' });
    expect(states({ incidents: [open] })).toEqual(['all degraded', 'eu outage', 'us operational']);
    expect(report({ incidents: [open] }).state).toBe('outage');
    expect(states({ incidents: [incident({ resolvedMs: AT })] })[0]).toBe('all operational');
  });

  test('a model of one region has no row for it, and one that nobody serves says so', () => {
    expect(states({ ready: new Map([['m', ['eu']]]) })).toEqual(['all operational']);
    expect(states({ ready: new Map() })).toEqual(['all unserved']);
  });

  test('a model that answered lately and has nobody now is trouble, and all of them are an outage', () => {
    const models = [
      { id: 'm', name: 'M' },
      { id: 'n', name: 'N' },
    ];
    const served = [counts({ day: TODAY - 6, requests: 9 }), counts({ modelId: 'n', probes: 1 })];
    const state = (more: Partial<StatusFacts>) => report({ models, days: served, ...more }).state;
    expect(state({ ready: new Map(models.map(({ id }) => [id, ['eu']])) })).toBe('operational');
    expect(state({ ready: new Map([['m', ['eu']]]) })).toBe('degraded');
    expect(state({ ready: new Map() })).toBe('outage');
    // One that nobody served lately is nobody's trouble, nor one whose requests all failed.
    expect(state({ ready: new Map([['m', ['eu']]]), days: served.slice(0, 1) })).toBe('operational');
    const old = [counts({ day: TODAY - 7, requests: 9 }), counts({ requests: 9, failures: 9 })];
    expect(state({ ready: new Map(), days: old })).toBe('unserved');
    expect(state({ ready: new Map(), days: [] })).toBe('unserved');
  });

  test('maintenance goes before trouble, while it lasts', () => {
    const window = { id: 'mnt', modelId: '', words: 'x', announcedMs: 0, fromMs: AT - 1, untilMs: AT + 1 };
    expect(states({ windows: [window], incidents: [incident()] })[0]).toBe('all maintenance');
    expect(states({ windows: [{ ...window, untilMs: AT }] })[0]).toBe('all operational');
  });

  test('says nothing that is for operators alone', () => {
    const step = { incidentId: 'inc_1', atMs: AT, actor: 'operator', severity: null, words: 'x' } as const;
    const [shown] = report({
      incidents: [incident()],
      steps: [
        { ...step, seq: 1, kind: 'opened', internal: false },
        { ...step, seq: 2, kind: 'note', internal: true },
        { ...step, seq: 3, kind: 'silenced', internal: false },
      ],
    }).incidents;
    expect(shown?.steps.map(({ kind }) => kind)).toEqual(['opened']);
  });
});
