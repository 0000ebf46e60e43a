import { dayName } from '#domain/window.ts';
import type { StatusBody } from '#wire/status.ts';
import type { Incident, TimelineStep } from './incident-book.ts';
import type { MaintenanceWindow } from './maintenance.ts';
import { rank, type Severity } from './triggers.ts';

/**
 * The public status as a pure function of what is known: counts by day, figures of the last day, incidents, maintenance, and
 * who could serve now. Pages, feeds and programs all read this one report.
 */
export interface DayCounts {
  readonly modelId: string;
  /** `''`: everywhere. */
  readonly region: string;
  /** Days since 1970. */
  readonly day: number;
  readonly requests: number;
  readonly failures: number;
  readonly probes: number;
  readonly probeFailures: number;
  /** Measured by a request or a probe, and those of them that were unavailable. */
  readonly minutes: number;
  readonly minutesDown: number;
}

export interface LastDay {
  readonly ttftP50Ms: number | null;
  readonly ttftP95Ms: number | null;
  readonly ttlt256P95Ms: number | null;
  readonly requests: number;
  readonly failures: number;
  readonly tooMany: number;
  readonly tokensPerS: number | null;
  /** By hour, oldest first. */
  readonly ttftP95ByHour: readonly (number | null)[];
}

export interface StatusFacts {
  readonly atMs: number;
  /** The first and the last day that is shown. */
  readonly fromDay: number;
  readonly toDay: number;
  readonly frozen: boolean;
  readonly models: readonly { readonly id: string; readonly name: string }[];
  readonly days: readonly DayCounts[];
  /** By `lastDayKey`. */
  readonly lastDay: ReadonlyMap<string, LastDay>;
  /** By model: the region of everybody who could serve it now. */
  readonly ready: ReadonlyMap<string, readonly string[]>;
  readonly incidents: readonly Incident[];
  readonly steps: readonly TimelineStep[];
  readonly windows: readonly MaintenanceWindow[];
}

/** Of a model everywhere, or in a region. */
export function lastDayKey(modelId: string, region: string): string {
  return region === '' ? modelId : `${modelId}\n${region}`;
}

type Component = StatusBody['components'][number];

export function statusReport(facts: StatusFacts): StatusBody {
  const components = facts.models.flatMap((model) =>
    regionsOf(facts, model.id).map((region) => componentOf(facts, model, region)),
  );
  const marketWide = facts.incidents.filter((each) => each.modelId === '' && each.resolvedMs === null);
  return {
    at: iso(facts.atMs),
    state: overall(components, marketWide, facts.toDay),
    changes_frozen: facts.frozen,
    components,
    incidents: facts.incidents.map((incident) => ({
      id: incident.id,
      model: incident.modelId,
      region: incident.region,
      severity: incident.severity,
      worst: incident.worst,
      opened_at: iso(incident.openedMs),
      resolved_at: incident.resolvedMs === null ? null : iso(incident.resolvedMs),
      because: incident.because,
      steps: facts.steps
        .filter((step) => step.incidentId === incident.id && !step.internal && step.kind !== 'silenced')
        .map(({ atMs, kind, words }) => ({ at: iso(atMs), kind, words })),
    })),
    maintenance: facts.windows.map((window) => ({
      id: window.id,
      model: window.modelId,
      words: window.words,
      announced_at: iso(window.announcedMs),
      from: iso(window.fromMs),
      until: iso(window.untilMs),
    })),
  };
}

/** Everywhere first, then each region when a model has more than one. */
function regionsOf({ days, ready }: StatusFacts, modelId: string): string[] {
  const regions = new Set(ready.get(modelId));
  for (const each of days) if (each.modelId === modelId) regions.add(each.region);
  regions.delete('');
  return ['', ...(regions.size > 1 ? [...regions].toSorted() : [])];
}

function componentOf(
  facts: StatusFacts,
  model: { readonly id: string; readonly name: string },
  region: string,
): Component {
  const counted = new Map(
    facts.days
      .filter((each) => each.modelId === model.id && each.region === region)
      .map((each) => [each.day, each]),
  );
  const days: Component['days'] = [];
  for (let day = facts.fromDay; day <= facts.toDay; day++) {
    const {
      requests = 0,
      failures = 0,
      probes = 0,
      probeFailures = 0,
      minutes = 0,
      minutesDown = 0,
    } = counted.get(day) ?? {};
    days.push({
      day: dayName(day),
      requests,
      failures,
      probes,
      probe_failures: probeFailures,
      availability: availability({ requests, failures, probes, probeFailures }),
      minutes,
      minutes_unavailable: minutesDown,
    });
  }
  const sum = (of: (day: Component['days'][number]) => number): number =>
    days.reduce((total, day) => total + of(day), 0);
  const providers = (facts.ready.get(model.id) ?? []).filter((each) => region === '' || each === region);
  const last = facts.lastDay.get(lastDayKey(model.id, region));
  return {
    model: model.id,
    name: model.name,
    region,
    state: stateOf(facts, model.id, region, providers.length),
    providers: providers.length,
    availability_90d: availability({
      requests: sum((day) => day.requests),
      failures: sum((day) => day.failures),
      probes: sum((day) => day.probes),
      probeFailures: sum((day) => day.probe_failures),
    }),
    minutes_90d: minutesOf(
      sum((day) => day.minutes),
      sum((day) => day.minutes_unavailable),
    ),
    days,
    last_24h: last
      ? {
          ttft_p50_ms: last.ttftP50Ms,
          ttft_p95_ms: last.ttftP95Ms,
          ttlt_256_p95_ms: last.ttlt256P95Ms,
          server_errors: last.requests === 0 ? null : last.failures / last.requests,
          too_many_requests:
            last.requests + last.tooMany === 0 ? null : last.tooMany / (last.requests + last.tooMany),
          tokens_per_second: last.tokensPerS,
          ttft_p95_ms_by_hour: [...last.ttftP95ByHour],
        }
      : null,
  };
}

function minutesOf(measured: number, unavailable: number): Component['minutes_90d'] {
  return {
    measured,
    unavailable,
    availability: measured === 0 ? null : (measured - unavailable) / measured,
  };
}

/** What customers asked decides; where nobody asked, the probes do. */
function availability(counts: {
  requests: number;
  failures: number;
  probes: number;
  probeFailures: number;
}): number | null {
  const { requests, failures, probes, probeFailures } = counts;
  if (requests > 0) return (requests - failures) / requests;
  return probes > 0 ? (probes - probeFailures) / probes : null;
}

function stateOf(facts: StatusFacts, modelId: string, region: string, providers: number): Component['state'] {
  const { atMs, windows, incidents } = facts;
  const inWindow = windows.some(
    (each) => (each.modelId === '' || each.modelId === modelId) && each.fromMs <= atMs && atMs < each.untilMs,
  );
  if (inWindow) return 'maintenance';
  const worst = worstOf(
    incidents.filter(
      (each) =>
        each.resolvedMs === null &&
        each.modelId === modelId &&
        (each.region === '' || each.region === region),
    ),
  );
  if (worst === 'critical') return 'outage';
  // A region that is down impairs the model, and no more.
  const elsewhere =
    region === '' && incidents.some((each) => each.resolvedMs === null && each.modelId === modelId);
  if (worst !== undefined || elsewhere) return 'degraded';
  return providers === 0 ? 'unserved' : 'operational';
}

/**
 * The worst there is. A model that answered within the last week and that nobody serves now is trouble too, though no rule has
 * opened an incident: all of them together are an outage. What was not served lately says nothing of how it goes.
 */
function overall(
  components: readonly Component[],
  marketWide: readonly Incident[],
  toDay: number,
): StatusBody['state'] {
  const states = new Set(components.map(({ state }) => state));
  const lately = components.filter(
    (each) => each.region === '' && answeredSince(each, dayName(toDay - LATELY_DAYS)),
  );
  const gone = lately.filter(({ state }) => state === 'unserved').length;
  const worst = worstOf(marketWide);
  const allGone = gone > 0 && gone === lately.length;
  if (states.has('outage') || worst === 'critical' || allGone) return 'outage';
  if (states.has('degraded') || worst !== undefined || gone > 0) return 'degraded';
  if (states.has('maintenance')) return 'maintenance';
  return states.has('operational') ? 'operational' : 'unserved';
}

const LATELY_DAYS = 7;

function answeredSince({ days }: Component, since: string): boolean {
  return days.some(
    ({ day, requests, failures, probes, probe_failures }) =>
      day > since && requests - failures + probes - probe_failures > 0,
  );
}

function worstOf(incidents: readonly Incident[]): Severity | undefined {
  return incidents.map(({ severity }) => severity).toSorted((a, b) => rank(b) - rank(a))[0];
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
