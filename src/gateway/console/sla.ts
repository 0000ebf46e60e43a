import { chargeAppealUntil } from '#benchmark/appeals.ts';
import { decimalUsd } from '#domain/money.ts';
import { monthOf, parseMonth } from '#domain/window.ts';
import { Fault } from '#kit/fault.ts';
import type { SlaCharge } from '#sla/desk.ts';
import type { EnteredExclusion } from '#sla/exclusions.ts';
import { DATA_DAYS_MAX, type DataMinute } from '#sla/window-data.ts';
import { type ServiceMinute, serviceMinutesCsv } from '#statements/tables.ts';
import {
  allDocumentsQuery,
  listQuery,
  slaAppealRequest,
  slaDataQuery,
  slaExclusionRequest,
  slaExclusionsQuery,
  slaReportQuery,
} from '#wire/console.ts';
import {
  type SlaCharge as ChargeBody,
  type SlaChargesAnswer,
  type SlaEvidenceAnswer,
  type SlaExclusionsAnswer,
  type SlaReportsAnswer,
  type SlaRunAnswer,
  type SlaSummary,
  slaRunRequest,
} from '#wire/operator.ts';
import type { SlaReportBody } from '#wire/sla.ts';
import { SLA_PAGE_HEADERS, slaPage } from '../sla-page.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route, type Visit } from './route.ts';
import { Throttle } from './throttle.ts';

/**
 * Service levels: a consumer's own reports and the data of its own minutes; what a provider's pledge was charged; all of it for
 * the operator. A report is JSON, a page or a PDF; what is another's is answered as if it were not there.
 */
export function slaRoutes(rooms: ConsoleRooms): Route[] {
  const { clock, agreements } = rooms;
  const forUser = { access: 'user', errors: 'text' } as const;
  const forOperator = { access: 'operator', errors: 'text' } as const;
  const prints = new Throttle({ burst: 20, everyMs: 3_000 });
  // An estimate reads a month of usage.
  const reads = new Throttle({ burst: 30, everyMs: 2_000 });

  const limited = (throttle: Throttle, name: string): void => {
    throttle.take(name, clock.nowMs());
  };
  const answer = async (
    visit: Visit<unknown, { format: 'json' | 'html' | 'pdf' }>,
    consumerId: string,
  ): Promise<unknown> => {
    limited(reads, visit.actor);
    const { month, format } = wanted(visit.params['month'] ?? '', visit.query.format);
    const report = await agreements.report(consumerId, month);
    if (!report) throw new Fault('thing-unknown', { outer: 'Nothing was agreed for that month.' });
    if (format === 'json') return report;
    if (format === 'html') {
      visit.reply.headers(SLA_PAGE_HEADERS);
      return slaPage(report);
    }
    limited(prints, visit.actor);
    visit.reply
      .type('application/pdf')
      .header('content-disposition', `attachment; filename="sla-${report.month}.pdf"`);
    return await rooms.statements.press.print(await rooms.statements.slaPaper(report));
  };

  const evidenceOf = async (
    visit: Visit<unknown, unknown>,
    providerId: string | undefined,
  ): Promise<SlaEvidenceAnswer> => {
    limited(reads, visit.actor);
    const finding = visit.params['finding'] ?? '';
    const found = await agreements.evidence(finding, providerId);
    if (!found) throw new Fault('thing-unknown', { outer: 'No report charged this.' });
    const { month, failures, more } = found;
    return {
      finding,
      month,
      more,
      failures: failures.map(({ minute, modelId, code, requests }) => ({
        minute: iso(minute),
        model: modelId,
        error: code,
        requests,
      })),
    };
  };

  return [
    route('GET /api/v1/sla/reports', { ...forUser, query: listQuery }, async (visit) => {
      limited(reads, visit.actor);
      const { consumerId } = visit.user;
      const made = await agreements.list({ consumerId, limit: visit.query.limit });
      const now = await agreements.report(consumerId, monthOf(clock.wallMs()));
      return { reports: made.map(summary), so_far: now ? summary(now) : null };
    }),
    route(
      'GET /api/v1/sla/reports/:month',
      { ...forUser, query: slaReportQuery },
      async (visit) => await answer(visit, visit.user.consumerId),
    ),
    route('GET /api/v1/sla/data', { ...forUser, query: slaDataQuery }, async (visit) => {
      limited(reads, visit.actor);
      const { from, until, format } = visit.query;
      if (from > clock.wallMs()) refuse('from', 'lies in the future: nothing is measured yet');
      if (until - from > DATA_DAYS_MAX * DAY_MS) {
        refuse('until', `is too far from its beginning: a window has at most ${DATA_DAYS_MAX} days`);
      }
      const rows = await agreements.data(visit.user.consumerId, { from, until });
      if (!rows) refuse('until', 'is too far from its beginning: there are more rows than one answer has');
      const minutes = (rows ?? []).map(minuteOf);
      if (format === 'json') return { from: iso(from), until: iso(until), minutes };
      visit.reply
        .type('text/csv; charset=utf-8; header=present')
        .header('content-disposition', 'attachment; filename="service-minutes.csv"');
      return serviceMinutesCsv(minutes);
    }),
    route(
      'GET /api/v1/provider/me/sla-charges',
      { access: 'provider', errors: 'object', query: listQuery },
      async (visit) => {
        const { providerId, query } = visit;
        return { charges: (await agreements.charges({ providerId, limit: query.limit })).map(chargeOf) };
      },
    ),
    route(
      'GET /api/v1/provider/me/sla-charges/:finding',
      { access: 'provider', errors: 'object' },
      async (visit) => await evidenceOf(visit, visit.providerId),
    ),
    route(
      'GET /api/v1/operator/sla/charges/:finding',
      forOperator,
      async (visit) => await evidenceOf(visit, undefined),
    ),
    route(
      'GET /api/v1/operator/sla/reports',
      { ...forOperator, query: allDocumentsQuery },
      async (visit): Promise<SlaReportsAnswer> => {
        const { limit, month, consumer } = visit.query;
        const made = await agreements.list({
          limit,
          ...(month && { month }),
          ...(consumer && { consumerId: consumer }),
        });
        return { reports: made.map((each) => ({ ...summary(each), consumer: each.consumer })) };
      },
    ),
    route(
      'GET /api/v1/operator/sla/reports/:consumer/:month',
      { ...forOperator, query: slaReportQuery },
      async (visit) => await answer(visit, visit.params['consumer'] ?? ''),
    ),
    route(
      'POST /api/v1/operator/sla/runs',
      { ...forOperator, body: slaRunRequest },
      async (visit): Promise<SlaRunAnswer> => {
        limited(reads, visit.actor);
        const { month, dry_run } = visit.body;
        const number = parseMonth(month) ?? 0;
        const { reports, made, failed } = dry_run
          ? { reports: await agreements.rehearse(number), made: 0, failed: [] }
          : await agreements.run(number);
        for (const { consumerId, error } of failed)
          rooms.log.error({ consumer: consumerId, month, err: error }, 'A month could not be closed.');
        visit.changed = { after: { made, failed: failed.length } };
        return {
          month,
          dry_run,
          made,
          failed: failed.map(({ consumerId }) => consumerId),
          reports: reports.map((each) => ({ ...summary(each), consumer: each.consumer })),
        };
      },
    ),
    route(
      'GET /api/v1/operator/sla/charges',
      { ...forOperator, query: listQuery },
      async (visit): Promise<SlaChargesAnswer> => {
        const all = await agreements.charges({ limit: visit.query.limit });
        return { charges: all.map((each) => ({ ...chargeOf(each), provider: each.providerId })) };
      },
    ),
    route(
      'POST /api/v1/operator/sla/charges/:finding/appeal',
      { ...forOperator, body: slaAppealRequest },
      async (visit) => {
        const findingId = visit.params['finding'] ?? '';
        const { known, dollars } = await agreements.decideAppeal({
          findingId,
          ...visit.body,
          actor: visit.actor,
        });
        visit.changed = {
          after: { decision: visit.body.decision, known, given_back_usd: decimalUsd(dollars) },
        };
        return { decision: visit.body.decision, known, given_back_usd: decimalUsd(dollars) };
      },
    ),
    route(
      'GET /api/v1/operator/sla/exclusions',
      { ...forOperator, query: slaExclusionsQuery },
      async (visit): Promise<SlaExclusionsAnswer> => {
        const month = parseMonth(visit.query.month ?? '') ?? monthOf(clock.wallMs());
        return { exclusions: (await agreements.exclusions(month)).map(exclusionOf) };
      },
    ),
    route(
      'POST /api/v1/operator/sla/exclusions',
      { ...forOperator, body: slaExclusionRequest },
      async (visit) => {
        const { consumer, kind, from, until, evidence } = visit.body;
        const about = { consumerId: consumer, kind, fromMs: from, untilMs: until, evidence };
        const after = exclusionOf(await agreements.exclude({ ...about, actor: visit.actor }));
        visit.changed = { after };
        return after;
      },
    ),
    route('DELETE /api/v1/operator/sla/exclusions/:id', forOperator, async (visit) => {
      const id = visit.params['id'] ?? '';
      await agreements.withdraw(id, visit.actor);
      visit.changed = { before: { withdrawn: false }, after: { withdrawn: true } };
      return { id };
    }),
  ];
}

const DAY_MS = 86_400_000;
const ENDINGS = { '.pdf': 'pdf', '.html': 'html', '.json': 'json' } as const;

/** The month of an address, and the form that it asks for by its ending. */
function wanted(
  text: string,
  asked: 'json' | 'html' | 'pdf',
): { month: number; format: 'json' | 'html' | 'pdf' } {
  const [, name = '', ending] = /^(.{7})(\.pdf|\.html|\.json)?$/.exec(text) ?? [];
  const month = parseMonth(name);
  if (month === undefined) {
    throw new Fault('request-invalid', { outer: 'month: is not a month such as 2026-11.', param: 'month' });
  }
  return { month, format: ending === undefined ? asked : ENDINGS[ending as keyof typeof ENDINGS] };
}

function refuse(param: string, why: string): void {
  throw new Fault('request-invalid', { outer: `${param}: ${why}.`, param });
}

function summary(report: SlaReportBody): Omit<SlaSummary, 'consumer'> {
  return {
    month: report.month,
    state: report.state,
    uptime_ppm: report.uptime_ppm,
    unavailable_minutes: report.unavailable_minutes,
    excluded_minutes: report.excluded_minutes,
    fee_usd: report.fee_usd,
    credit_usd: report.credit_usd,
    made_at: report.made_at,
  };
}

export function chargeOf(each: SlaCharge): Omit<ChargeBody, 'provider'> {
  return {
    finding: each.findingId,
    month: each.month,
    at: iso(each.madeAt.getTime()),
    minutes: each.minutes,
    share_usd: decimalUsd(each.share),
    taken_usd: decimalUsd(each.taken),
    appeal: each.appeal,
    appeal_reason: each.appealReason,
    appeal_asked: each.askedBecause,
    appeal_asked_at: each.askedAt && iso(each.askedAt.getTime()),
    appeal_until: iso(chargeAppealUntil(each.madeAt.getTime())),
  };
}

function exclusionOf(each: EnteredExclusion) {
  return {
    id: each.id,
    consumer: each.consumerId,
    kind: each.kind,
    from: iso(each.fromMs),
    until: iso(each.untilMs),
    evidence: each.evidence,
    entered_by: each.actor,
    entered_at: iso(each.enteredMs),
  };
}

function minuteOf(each: DataMinute): ServiceMinute {
  return {
    minute: iso(each.at),
    model: each.modelId,
    requests: each.requests,
    failures: each.failures,
    failures_of_providers: each.byProviders,
    failures_of_market: each.byMarket,
    not_counted: each.notCounted,
    ttft_p95_ms: each.ttftP95Ms,
    input_tokens: each.inputTokens,
    output_tokens: each.outputTokens,
  };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
