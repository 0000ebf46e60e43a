import type { Pico } from '#domain/money.ts';
import { assert } from '#kit/assert.ts';
import type { SlaTerms } from './sla-terms.ts';

/**
 * The service level agreement as a function: a month of minutes goes in, uptime, exclusions and credits come out, with the
 * evidence for each. Anybody who has the minutes can compute the same figures; nothing is argued.
 *
 * Four readings of the terms are ours: a step below the target counts as soon as it is begun; a minute that nobody asked
 * in and no probe looked at counts as available and is reported as unmeasured, unless the whole market was down in it; a run
 * of slow hours earns its credit once, however long it is; minutes that nothing was agreed for count neither way.
 */
export interface SlaMonth {
  /** The first minute of the month and the first after it, in minutes since 1970. */
  readonly from: number;
  readonly until: number;
  /** Minutes with traffic or a probe, each once, in any order. */
  readonly minutes: readonly SlaMinute[];
  /** Hours with traffic, each once, in any order. */
  readonly hours: readonly SlaHour[];
  readonly exclusions: readonly Exclusion[];
  /** What the customer paid for the month: the base of credits. */
  readonly fee: Pico;
  /** Minutes that nothing was agreed for, in order; absent: none. */
  readonly notAgreed?: readonly Stretch[];
}

/** Minutes since 1970; `until` is the first behind it. */
export interface Stretch {
  readonly from: number;
  readonly until: number;
}

export interface SlaMinute {
  readonly minute: number;
  /** The customer's requests that count (no mistakes of its own, none above its quota), and how many of them failed. */
  readonly requests: number;
  readonly failures: number;
  /** Probes through the public door in this minute, and how many of them failed. They count where nobody asked. */
  readonly probes: number;
  readonly probeFailures: number;
  /** No process of the market lived in all of it. Counts where nobody asked. */
  readonly marketDown?: true;
}

export interface SlaHour {
  /** Hours since 1970. */
  readonly hour: number;
  readonly requests: number;
  readonly ttftP95Ms: number;
}

export type ExclusionKind =
  | 'customer-network'
  | 'over-quota'
  | 'maintenance'
  | 'force-majeure'
  | 'above-tier-limits'
  | 'misuse';

/** A stretch of time that does not count, and what proves it. */
export interface Exclusion {
  readonly id: string;
  readonly kind: ExclusionKind;
  /** Minutes since 1970; `until` is the first that counts again. */
  readonly from: number;
  readonly until: number;
  /** Where the proof is: an incident, an announcement, rows of the outcome table. Never empty. */
  readonly evidence: string;
  /** Maintenance: the minute in which it was announced. */
  readonly announced?: number;
}

export interface SlaResult {
  readonly minutes: number;
  readonly unmeasured: number;
  /** Unavailable minutes, before exclusions. */
  readonly unavailable: readonly number[];
  /** Those of them that an exclusion takes out, with the exclusion's id. */
  readonly excluded: readonly { readonly minute: number; readonly by: string }[];
  /** Exclusions that take nothing out, and why. */
  readonly rejected: readonly { readonly id: string; readonly reason: ExclusionRefusal }[];
  /** Of the minutes that count, in parts per million, rounded down. */
  readonly uptimePpm: number;
  /** Runs of hours that missed the latency target: first hour and length. */
  readonly slowRuns: readonly { readonly hour: number; readonly hours: number }[];
  readonly availabilityBasisPoints: number;
  readonly latencyBasisPoints: number;
  /** After the cap. */
  readonly basisPoints: number;
  /** What goes to the balance: rounded down, to a pico-dollar. */
  readonly credit: Pico;
}

export type ExclusionRefusal = 'no-evidence' | 'announced-too-late' | 'above-the-allowance' | 'outside';

const PPM = 1_000_000;

/** Computes a month. Exact: the only rounding is that of the credit to a whole pico-dollar. */
export function slaCredits(month: SlaMonth, terms: SlaTerms): SlaResult {
  const { from, until } = month;
  assert(until > from, 'a month has minutes');
  const minutes = agreed(from, until, month.notAgreed);
  const unavailable = unavailableMinutes(month, terms);
  const { accepted, rejected } = judge(month, terms);
  const excluded = unavailable.flatMap((minute) => {
    const by = accepted.find((each) => minute >= each.from && minute < each.until);
    return by ? [{ minute, by: by.id }] : [];
  });
  // Of the whole month, as the fee is: minutes without an agreement count as available, so that whoever has one for an hour
  // cannot make a month's fee hang on it.
  const counted = until - from - excluded.length;
  const down = unavailable.length - excluded.length;
  const uptimePpm = counted === 0 ? PPM : Math.floor(((counted - down) * PPM) / counted);
  const slowRuns = runsAbove(month, accepted, terms);

  const { stepPpm, basisPoints: perStep } = terms.availabilityCredit;
  // In whole minutes, not in the rounded share: counted × target is exact, the share above is only for showing.
  const missedTimesPpm = counted * terms.availabilityPpm - (counted - down) * PPM;
  const steps = missedTimesPpm <= 0 ? 0 : Math.ceil(missedTimesPpm / (counted * stepPpm));
  const availabilityBasisPoints = steps * perStep;
  const latencyBasisPoints = slowRuns.length * terms.latencyCredit.basisPoints;
  const basisPoints = Math.min(availabilityBasisPoints + latencyBasisPoints, terms.capBasisPoints);
  return {
    minutes,
    unmeasured: minutes - month.minutes.filter(({ minute }) => !isIn(minute, month.notAgreed)).length,
    unavailable,
    excluded,
    rejected,
    uptimePpm,
    slowRuns,
    availabilityBasisPoints,
    latencyBasisPoints,
    basisPoints,
    credit: (month.fee * BigInt(basisPoints)) / 10_000n,
  };
}

function isIn(minute: number, stretches: readonly Stretch[] = []): boolean {
  return stretches.some(({ from, until }) => minute >= from && minute < until);
}

/** The minutes of a span without those that nothing was agreed for. */
function agreed(from: number, until: number, notAgreed: readonly Stretch[] = []): number {
  return notAgreed.reduce(
    (left, each) => left - Math.max(0, Math.min(each.until, until) - Math.max(each.from, from)),
    until - from,
  );
}

function unavailableMinutes({ minutes, from, until, notAgreed }: SlaMonth, terms: SlaTerms): number[] {
  const seen = new Set<number>();
  const down: number[] = [];
  for (const each of minutes) {
    assert(each.minute >= from && each.minute < until, 'a minute lies in its month');
    assert(!seen.has(each.minute), 'a minute is counted once');
    seen.add(each.minute);
    if (isDown(each, terms) && !isIn(each.minute, notAgreed)) down.push(each.minute);
  }
  return down.toSorted((a, b) => a - b);
}

/** Customers' own requests decide; where there were none, it is down when the market was, or when every probe failed. */
function isDown(minute: SlaMinute, { minuteFailsAbovePpm }: SlaTerms): boolean {
  const { requests, failures, probes, probeFailures, marketDown } = minute;
  assert(failures <= requests && probeFailures <= probes, 'failures are some of what was asked');
  if (requests > 0) return failures * PPM > requests * minuteFailsAbovePpm;
  return marketDown === true || (probes > 0 && probeFailures === probes);
}

/** A stretch that an exclusion takes out. */
type Accepted = Pick<Exclusion, 'id' | 'from' | 'until'>;

/** Which exclusions hold, and how far. Maintenance uses up its allowance in the order of time. */
function judge(
  { exclusions, from, until }: SlaMonth,
  terms: SlaTerms,
): { accepted: Accepted[]; rejected: SlaResult['rejected'] } {
  const accepted: Accepted[] = [];
  const rejected: { id: string; reason: ExclusionRefusal }[] = [];
  let maintenanceLeft = terms.maintenance.minutesMax;
  for (const exclusion of exclusions.toSorted((a, b) => a.from - b.from || (a.id < b.id ? -1 : 1))) {
    const { id } = exclusion;
    const reason = refusalOf(exclusion, { from, until, maintenanceLeft }, terms);
    if (reason) {
      rejected.push({ id, reason });
      continue;
    }
    const begin = Math.max(exclusion.from, from);
    let end = Math.min(exclusion.until, until);
    if (exclusion.kind === 'maintenance') {
      end = Math.min(end, begin + maintenanceLeft);
      maintenanceLeft -= end - begin;
    }
    accepted.push({ id, from: begin, until: end });
  }
  return { accepted, rejected };
}

function refusalOf(
  exclusion: Exclusion,
  about: { from: number; until: number; maintenanceLeft: number },
  { maintenance }: SlaTerms,
): ExclusionRefusal | undefined {
  if (exclusion.evidence.trim() === '') return 'no-evidence';
  if (exclusion.until <= about.from || exclusion.from >= about.until || exclusion.until <= exclusion.from) {
    return 'outside';
  }
  if (exclusion.kind !== 'maintenance') return undefined;
  const { announced } = exclusion;
  if (announced === undefined || exclusion.from - announced < maintenance.noticeMinutes) {
    return 'announced-too-late';
  }
  return about.maintenanceLeft <= 0 ? 'above-the-allowance' : undefined;
}

/** Runs of consecutive hours above the target. An hour of which any minute does not count is no such hour. */
function runsAbove(
  { hours, notAgreed = [] }: SlaMonth,
  accepted: readonly Accepted[],
  { latencyCredit }: SlaTerms,
): { hour: number; hours: number }[] {
  const slow = hours
    .filter(
      ({ hour, requests, ttftP95Ms }) =>
        requests >= latencyCredit.requestsMin &&
        ttftP95Ms > latencyCredit.ttftP95Ms &&
        ![...accepted, ...notAgreed].some(({ from, until }) => from < (hour + 1) * 60 && until > hour * 60),
    )
    .map(({ hour }) => hour)
    .toSorted((a, b) => a - b);
  const runs: { hour: number; hours: number }[] = [];
  for (const hour of slow) {
    const last = runs.at(-1);
    if (last && last.hour + last.hours === hour) last.hours += 1;
    else runs.push({ hour, hours: 1 });
  }
  return runs.filter((run) => run.hours >= latencyCredit.hours);
}
