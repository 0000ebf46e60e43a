import { Readable } from 'node:stream';
import { decimalUsd, type Pico } from '#domain/money.ts';
import { dayName, dayOf, dayStart } from '#domain/window.ts';
import { Fault } from '#kit/fault.ts';
import type { Range } from '#ledger/revenue-reading.ts';
import type { IssuedDocument } from '#statements/billing.ts';
import { documentCsv } from '#statements/csv.ts';
import { byGpu, earningsCsv, gpusCsv, nodesCsv, volumeCsv } from '#statements/tables.ts';
import {
  allDocumentsQuery,
  documentQuery,
  documentsQuery,
  providerEarningsQuery,
  rangeQuery,
  revenueQuery,
} from '#wire/console.ts';
import type { DocumentBody } from '#wire/documents.ts';
import type { TreasuryAnswer } from '#wire/operator.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route, type Visit } from './route.ts';
import { Throttle } from './throttle.ts';

/**
 * Papers: a consumer's own invoices, credit notes and receipts; a provider's own earnings; everything for the operator. Each is
 * JSON, or a file where `format` asks for one. What is another's is answered as if it were not there.
 */
export function statementRoutes(rooms: ConsoleRooms): Route[] {
  const { clock } = rooms;
  const forUser = { access: 'user', errors: 'text' } as const;
  const forOperator = { access: 'operator', errors: 'text' } as const;
  const prints = new Throttle({ burst: 20, everyMs: 3_000 });
  const reports = new Throttle({ burst: 20, everyMs: 3_000 });

  const limited = (throttle: Throttle, name: string): void => {
    throttle.take(name, clock.nowMs());
  };
  const answer = async (
    visit: Visit<unknown, { format: 'json' | 'csv' | 'pdf' }>,
    body: DocumentBody | undefined,
  ): Promise<unknown> => {
    if (!body) throw new Fault('thing-unknown', { outer: 'There is no such document.' });
    const { format } = visit.query;
    if (format === 'json') return body;
    if (format === 'csv') return file(visit, `${body.number}.csv`, documentCsv(body));
    limited(prints, visit.actor);
    return file(visit, `${body.number}.pdf`, await rooms.statements.press.print(body));
  };
  /** Days that were asked for, the last thirty otherwise; both included. */
  const rangeOf = (asked: { from?: number | undefined; to?: number | undefined }) => {
    const to = asked.to ?? Math.max(dayOf(clock.wallMs()), asked.from ?? 0);
    const from = asked.from ?? to - 29;
    const range: Range = { from: dayStart(from), to: dayStart(to + 1) };
    return { range, days: { from: dayName(from), to: dayName(to) } };
  };

  return [
    route('GET /api/v1/user/me/invoices', { ...forUser, query: documentsQuery }, async (visit) => {
      const { limit, month } = visit.query;
      const { consumerId } = visit.user;
      const all = await rooms.statements.billing.list({ consumerId, limit, ...(month && { month }) });
      return { documents: all.map(summary) };
    }),
    route('GET /api/v1/user/me/invoices/:number', { ...forUser, query: documentQuery }, async (visit) => {
      const { billing } = rooms.statements;
      return await answer(visit, await billing.find(visit.params['number'] ?? '', visit.user.consumerId));
    }),
    route('GET /api/v1/user/me/deposits/:id/receipt', { ...forUser, query: documentQuery }, async (visit) => {
      const { billing } = rooms.statements;
      return await answer(visit, await billing.receiptFor(visit.params['id'] ?? '', visit.user.consumerId));
    }),
    route(
      'GET /api/v1/provider/me/earnings',
      { access: 'provider', errors: 'object', query: providerEarningsQuery },
      async (visit) => {
        limited(reports, visit.providerId);
        const { period, format } = visit.query;
        const { range, days } = rangeOf(visit.query);
        const rows = await rooms.statements.revenue.earned(visit.providerId, period, range);
        if (format === 'csv') {
          return file(visit, `earnings-${days.from}-to-${days.to}.csv`, earningsCsv(rows));
        }
        return {
          period,
          ...days,
          total_earned_usd: decimalUsd(rows.reduce((sum, { earned }) => sum + earned, 0n)),
          earnings: rows.map((row) => ({
            period: row.period,
            model: row.modelId,
            requests: row.requests,
            input_tokens: row.inputTokens,
            output_tokens: row.outputTokens,
            paid_by_consumers_usd: decimalUsd(row.gross),
            earned_usd: decimalUsd(row.earned),
          })),
        };
      },
    ),
    route('GET /api/v1/operator/invoices', { ...forOperator, query: allDocumentsQuery }, async (visit) => {
      const { limit, month, consumer } = visit.query;
      const all = await rooms.statements.billing.list({
        limit,
        ...(month && { month }),
        ...(consumer && { consumerId: consumer }),
      });
      return { documents: all.map((each) => ({ ...summary(each), consumer: each.consumerId })) };
    }),
    route(
      'GET /api/v1/operator/invoices/:number',
      { ...forOperator, query: documentQuery },
      async (visit) => await answer(visit, await rooms.statements.billing.find(visit.params['number'] ?? '')),
    ),
    route(
      'GET /api/v1/operator/treasury',
      { ...forOperator, query: rangeQuery },
      async (visit): Promise<TreasuryAnswer> => {
        const { range, days } = rangeOf(visit.query);
        const [balances, movements, burns] = await Promise.all([
          rooms.statements.treasury(),
          rooms.statements.movements(range),
          rooms.funds.burns.list(LISTED),
        ]);
        return {
          treasury_usd: decimalUsd(balances.treasury),
          burn_due_usd: decimalUsd(balances.burnDue),
          burned_usd: decimalUsd(balances.burned),
          fees_usd: decimalUsd(balances.fees),
          plans_usd: decimalUsd(balances.plans),
          slashed_usd: decimalUsd(balances.slashed),
          given_away_usd: decimalUsd(-balances.promo),
          sla_credits_usd: decimalUsd(-balances.sla),
          ...days,
          movements: movements.map(({ month, account, kind, entries, amount }) => ({
            month,
            account,
            kind,
            entries,
            amount_usd: decimalUsd(amount),
          })),
          burns: burns.map((each) => ({
            chain_id: each.chainId,
            transaction: each.transaction,
            units: each.units.toString(),
            spent_usd: decimalUsd(each.spent),
            verified: each.verified,
            at: new Date(each.at).toISOString(),
          })),
        };
      },
    ),
    route('GET /api/v1/operator/revenue', { ...forOperator, query: revenueQuery }, async (visit) => {
      const { by, format } = visit.query;
      const { range, days } = rangeOf(visit.query);
      const { revenue } = rooms.statements;
      const name = `revenue-by-${by}-${days.from}-to-${days.to}.csv`;
      if (by === 'day') {
        const volume = await revenue.volume(range);
        if (format === 'csv') return file(visit, name, volumeCsv(volume));
        return { by, ...days, days: volume.map((each) => snake(each)) };
      }
      const nodes = await revenue.byNode(range);
      if (by === 'node') {
        if (format === 'csv') return file(visit, name, nodesCsv(nodes));
        return { by, ...days, nodes: nodes.map((each) => snake(each)) };
      }
      const gpus = byGpu(nodes);
      if (format === 'csv') return file(visit, name, gpusCsv(gpus));
      return { by, ...days, gpus: gpus.map((each) => snake(each)) };
    }),
    route('GET /api/v1/operator/journal', { ...forOperator, query: rangeQuery }, async (visit) => {
      const { range, days } = rangeOf(visit.query);
      return file(
        visit,
        `journal-${days.from}-to-${days.to}.csv`,
        Readable.from(rooms.statements.journal(range), { objectMode: false }),
      );
    }),
  ];
}

const LISTED = 1_000;
const TYPES = { csv: 'text/csv; charset=utf-8; header=present', pdf: 'application/pdf' } as const;

function file<T>(visit: Visit<unknown, unknown>, name: string, content: T): T {
  visit.reply
    .type(TYPES[name.endsWith('.pdf') ? 'pdf' : 'csv'])
    .header('content-disposition', `attachment; filename="${name}"`);
  return content;
}

function summary(each: IssuedDocument) {
  return {
    number: each.number,
    document: each.kind,
    month: each.month,
    issued_at: new Date(each.issuedAt).toISOString(),
    total_usd: decimalUsd(each.total),
  };
}

/** A row as JSON has it: names in snake case, amounts as decimal texts of dollars. */
function snake(row: object): Record<string, string | number | null> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]: [string, Pico | string | number | null]) => {
      const written = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      return typeof value === 'bigint' ? [`${written}_usd`, decimalUsd(value)] : [written, value];
    }),
  );
}
