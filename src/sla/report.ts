import { decimalUsd, type Pico } from '#domain/money.ts';
import type { TierName } from '#domain/tier.ts';
import type { Exclusion, SlaResult, Stretch } from '#reliability/credits.ts';
import type { SlaTerms } from '#reliability/sla-terms.ts';
import type { SlaReportBody } from '#wire/sla.ts';
import type { MonthFacts, Span } from './facts.ts';

/** A computed month as the document that is kept and shown: pure. */
export interface ReportParts {
  readonly id: string | null;
  readonly consumerId: string;
  readonly month: string;
  readonly madeAtMs: number;
  readonly span: Span;
  readonly tier: TierName;
  readonly terms: SlaTerms;
  readonly digest: string;
  readonly facts: MonthFacts;
  readonly exclusions: readonly Exclusion[];
  readonly notAgreed: readonly Stretch[];
  readonly result: SlaResult;
  readonly stakes: readonly StakePart[];
}

export interface StakePart {
  readonly finding: string;
  readonly providerId: string;
  readonly minutes: number;
  readonly share: Pico;
  readonly taken: Pico;
}

export function reportBody(parts: ReportParts): SlaReportBody {
  const { terms, facts, result, stakes, span } = parts;
  const taken = stakes.reduce((sum, each) => sum + each.taken, 0n);
  const refusedBy = new Map(result.rejected.map(({ id, reason }) => [id, reason]));
  const window = `of ${iso(span.from)} until ${iso(span.until)}`;
  return {
    document: 'sla-report',
    id: parts.id,
    state: parts.id === null ? 'estimate' : 'final',
    consumer: parts.consumerId,
    month: parts.month,
    made_at: iso(parts.madeAtMs),
    from: iso(span.from),
    until: iso(span.until),
    tier: parts.tier,
    terms: {
      name: terms.name,
      availability_ppm: terms.availabilityPpm,
      minute_fails_above_ppm: terms.minuteFailsAbovePpm,
      availability_credit: {
        step_ppm: terms.availabilityCredit.stepPpm,
        basis_points: terms.availabilityCredit.basisPoints,
      },
      latency_credit: {
        ttft_p95_ms: terms.latencyCredit.ttftP95Ms,
        hours: terms.latencyCredit.hours,
        basis_points: terms.latencyCredit.basisPoints,
        requests_min: terms.latencyCredit.requestsMin,
      },
      cap_basis_points: terms.capBasisPoints,
      maintenance: {
        notice_minutes: terms.maintenance.noticeMinutes,
        minutes_max: terms.maintenance.minutesMax,
      },
    },
    inputs_digest: parts.digest,
    fee_usd: decimalUsd(facts.fee),
    minutes: result.minutes,
    unmeasured_minutes: result.unmeasured,
    unavailable_minutes: result.unavailable.length,
    excluded_minutes: result.excluded.length,
    uptime_ppm: result.uptimePpm,
    unavailable: stretches(result.unavailable),
    market_down: facts.gaps.map(({ fromMs, untilMs }) => ({
      from: iso(fromMs),
      until: iso(untilMs),
      evidence: `The market was down from ${iso(fromMs)} until ${iso(untilMs)}: no process of it left a sign of life.`,
    })),
    not_agreed: parts.notAgreed.map(({ from, until }) => ({
      from: iso(from * 60_000),
      until: iso(until * 60_000),
    })),
    slow_hours: result.slowRuns.map(({ hour, hours }) => ({
      from: iso(hour * 3_600_000),
      until: iso((hour + hours) * 3_600_000),
    })),
    exclusions: parts.exclusions.map((each) => ({
      id: each.id,
      kind: each.kind,
      from: iso(each.from * 60_000),
      until: iso(each.until * 60_000),
      evidence: each.evidence,
      minutes: result.excluded.filter(({ by }) => by === each.id).length,
      refused: refusedBy.get(each.id) ?? null,
    })),
    not_counted: facts.setAside.map(({ kind, code, requests }) => ({
      kind,
      code,
      requests,
      evidence: `Requests ${window} that ended with the code ${code}.`,
    })),
    availability_basis_points: result.availabilityBasisPoints,
    latency_basis_points: result.latencyBasisPoints,
    basis_points: result.basisPoints,
    credit_usd: decimalUsd(result.credit),
    paid_by: {
      market_usd: decimalUsd(result.credit - taken),
      stakes_usd: decimalUsd(taken),
      // Which provider it was is told to that provider and to the operator.
      stakes: stakes.map((each) => ({
        finding: each.finding,
        minutes: each.minutes,
        share_usd: decimalUsd(each.share),
        taken_usd: decimalUsd(each.taken),
      })),
    },
  };
}

/** Minutes in order, those that follow each other as one stretch. */
function stretches(minutes: readonly number[]): { from: string; until: string }[] {
  const found: { from: number; until: number }[] = [];
  for (const minute of minutes) {
    const last = found.at(-1);
    if (last?.until === minute) last.until = minute + 1;
    else found.push({ from: minute, until: minute + 1 });
  }
  return found.map(({ from, until }) => ({ from: iso(from * 60_000), until: iso(until * 60_000) }));
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
