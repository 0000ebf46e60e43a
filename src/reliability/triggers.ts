import type { Objectives } from './objectives.ts';

/**
 * What makes an incident: rules over the last minutes of one component (a model in a region). Pure: figures in, the triggers
 * that hold out, each with the figure that decided, so that a page and a post-mortem can say it.
 */
export interface ComponentFigures {
  /** Probes through the public door that failed in a row, up to now. */
  readonly probesFailed: number;
  /** Over the last five minutes. */
  readonly requests: number;
  readonly failures: number;
  readonly streams: number;
  readonly disconnects: number;
  readonly ttftP95Ms: number | null;
  /** How many answers that is of, and since when it was above the objective without a break. */
  readonly ttftCount: number;
  readonly slowForMs: number;
  /** Candidates that could serve now, and the usual number: the most that could in the last hour. */
  readonly ready: number;
  readonly usual: number;
}

export type TriggerName =
  | 'no-provider'
  | 'probes-fail'
  | 'errors-rise'
  | 'slow'
  | 'disconnects-rise'
  | 'budget-burns'
  | 'pool-shrinks';

/** `critical`: nothing is served. `major`: a good part fails. `minor`: it works, and worse than promised. */
export type Severity = 'minor' | 'major' | 'critical';

export interface Trigger {
  readonly name: TriggerName;
  readonly severity: Severity;
  /** What was measured and where the line is, in words with figures. */
  readonly because: string;
}

export interface TriggerTerms {
  readonly probesInRow: number;
  readonly slowForMs: number;
  /** Shares of the last five minutes. */
  readonly errorsMinor: number;
  readonly errorsMajor: number;
  readonly disconnects: number;
  /** Fewer than so many prove nothing. */
  readonly countMin: number;
  /** The pool has shrunk when at most this share of the usual is left. */
  readonly poolLeft: number;
}

const TRIGGER_TERMS: TriggerTerms = {
  probesInRow: 2,
  slowForMs: 300_000,
  errorsMinor: 0.02,
  errorsMajor: 0.1,
  disconnects: 0.05,
  countMin: 5,
  poolLeft: 0.5,
};

/** The triggers that hold, worst first. */
export function triggersOf(
  figures: ComponentFigures,
  objectives: Objectives,
  terms: TriggerTerms = TRIGGER_TERMS,
): Trigger[] {
  const found: Trigger[] = [];
  const { requests, failures, streams, disconnects, ready, usual } = figures;
  if (usual > 0 && ready === 0) {
    found.push({ name: 'no-provider', severity: 'critical', because: `0 of ${usual} providers are left` });
  }
  if (figures.probesFailed >= terms.probesInRow) {
    const because = `${figures.probesFailed} probes in a row failed`;
    found.push({ name: 'probes-fail', severity: 'major', because });
  }
  const errors = requests === 0 ? 0 : failures / requests;
  if (failures >= terms.countMin && errors >= terms.errorsMinor) {
    found.push({
      name: 'errors-rise',
      severity: errors >= terms.errorsMajor ? 'major' : 'minor',
      because: `${failures} of ${requests} requests of five minutes failed (${percent(errors)})`,
    });
  }
  const { ttftP95Ms, ttftCount, slowForMs } = figures;
  if (ttftP95Ms !== null && ttftCount >= terms.countMin && slowForMs >= terms.slowForMs) {
    found.push({
      name: 'slow',
      severity: 'minor',
      because: `the p95 of the time to first token is ${ttftP95Ms} ms, above ${objectives.ttftP95Ms} ms for ${minutes(slowForMs)}`,
    });
  }
  if (disconnects >= terms.countMin && streams > 0 && disconnects / streams >= terms.disconnects) {
    found.push({
      name: 'disconnects-rise',
      severity: 'major',
      because: `${disconnects} of ${streams} streams of five minutes broke (${percent(disconnects / streams)})`,
    });
  }
  if (usual >= 2 && ready > 0 && ready <= usual * terms.poolLeft) {
    found.push({
      name: 'pool-shrinks',
      severity: 'minor',
      because: `${ready} of ${usual} providers are left`,
    });
  }
  return found.toSorted((a, b) => rank(b.severity) - rank(a.severity));
}

/** For comparing: worse is more. */
export function rank(severity: Severity): number {
  return severity === 'critical' ? 2 : severity === 'major' ? 1 : 0;
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
const minutes = (ms: number): string => `${Math.floor(ms / 60_000)} minutes`;
