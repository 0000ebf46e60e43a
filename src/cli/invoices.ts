import type { Command } from 'commander';
import { formatUsd } from '#domain/money.ts';
import { parseMonth } from '#domain/window.ts';
import { checkStatements } from '#statements/check.ts';
import { documentCsv } from '#statements/csv.ts';
import { LONG, printed, statementsOf, written } from './papers.ts';
import { theConsumer } from './parties.ts';
import { Refusal, WrongUsage } from './refusal.ts';
import { iso, moment, table } from './report.ts';
import { inSession } from './session.ts';

const LISTED = 10_000;

/** `cygnet invoices` */
export function invoices(command: Command): void {
  command
    .command('issue')
    .description(
      'issue what is due: every month that is over, and receipts (an open market does it by itself)',
    )
    .action((_options: unknown, self: Command) =>
      inSession(
        self,
        async (session) => {
          const { months, documents } = await statementsOf(session).billing.round();
          return {
            value: { months, documents },
            lines: [
              documents === 0
                ? 'Nothing was due.'
                : `${documents} documents were issued${months.length > 0 ? `, for ${months.join(', ')}` : ''}.`,
            ],
          };
        },
        LONG,
      ),
    );
  command
    .command('list')
    .description('list invoices, credit notes and receipts, newest first')
    .argument('[consumer]', 'its id or name; all without it')
    .option('--month <month>', 'only this month, such as 2026-11')
    .action((name: string | undefined, { month }: { month?: string }, self: Command) => {
      if (month !== undefined && parseMonth(month) === undefined) {
        throw new WrongUsage('--month is a month such as 2026-11.');
      }
      return inSession(self, async (session) => {
        const consumer = name === undefined ? undefined : await theConsumer(session.database, name);
        const all = await statementsOf(session).billing.list({
          ...(consumer && { consumerId: consumer.id }),
          ...(month !== undefined && { month }),
          limit: LISTED,
        });
        return {
          value: all.map((each) => ({ ...each, issuedAt: iso(each.issuedAt) })),
          lines: table(
            ['number', 'what', 'month', 'consumer', '>total', 'issued (UTC)'],
            all.map((each) => [
              each.number,
              each.kind,
              each.month ?? '',
              each.consumerId,
              formatUsd(each.total),
              moment(each.issuedAt),
            ]),
          ),
        };
      });
    });
  command
    .command('check')
    .description('compare documents and burns with the ledger; ends with 1 when they differ')
    .action((_options: unknown, self: Command) =>
      inSession(
        self,
        async ({ database }) => {
          const differences = await checkStatements(database);
          if (differences.length > 0) process.exitCode = 1;
          return {
            value: { differences },
            lines:
              differences.length === 0
                ? ['Every document is what the ledger says, and no number is missing.']
                : table(
                    ['what', 'where', '>found', '>should be'],
                    differences.map(({ what, where, found, expected }) => [what, where, found, expected]),
                  ),
          };
        },
        LONG,
      ),
    );
  command
    .command('show')
    .description('show a document, or write it as a file')
    .argument('<number>', 'such as INV-000042')
    .option('--pdf <file>', 'write it as PDF; - is stdout')
    .option('--csv <file>', 'write it as CSV; - is stdout')
    .action((number: string, wish: { pdf?: string; csv?: string }, self: Command) =>
      inSession(self, async (session) => {
        const { billing } = statementsOf(session);
        const body = await billing.find(number);
        if (!body) throw new Refusal(`There is no document ${JSON.stringify(number)}.`);
        const report = {
          value: body,
          lines: [
            `${body.document} ${body.number} of ${body.issued_at.slice(0, 10)} for ${body.customer.name}`,
            ...(body.document === 'receipt'
              ? [`${body.deposit.amount} ${body.deposit.asset} by ${body.deposit.method}`]
              : table(
                  ['what', 'month', '>count', '>in', '>out', '>amount'],
                  body.lines.map((line) => [
                    line.name,
                    line.month,
                    `${line.count}`,
                    `${line.input_tokens}`,
                    `${line.output_tokens}`,
                    line.amount_usd,
                  ]),
                )),
            `total $${body.total_usd}, in whole cents $${body.total_rounded_usd}`,
          ],
        };
        if (wish.csv !== undefined) return written(wish.csv, documentCsv(body), report);
        if (wish.pdf === undefined) return report;
        const pdf = await printed(body, session.config.statements.fontFile);
        return written(wish.pdf, pdf, report);
      }),
    );
}
