import type { Command } from 'commander';
import { formatUsd } from '#domain/money.ts';
import type { Period } from '#ledger/revenue-reading.ts';
import { earningsCsv } from '#statements/tables.ts';
import { type DaysWish, daysOf, LONG, statementsOf, written } from './papers.ts';
import { theProvider } from './parties.ts';
import { WrongUsage } from './refusal.ts';
import { table } from './report.ts';
import { inSession } from './session.ts';

const PERIODS: readonly Period[] = ['day', 'week', 'month'];

/** `cygnet earnings` */
export function earnings(command: Command): void {
  command
    .argument('<provider>', 'its id or name')
    .option('--by <period>', 'day, week (ISO, from Monday) or month, in UTC', 'day')
    .option('--from <day>', 'the first day, such as 2026-11-01 (default: thirty days in all)')
    .option('--to <day>', 'the last day (default: today)')
    .option('--csv <file>', 'write a table as CSV; - is stdout')
    .action((name: string, wish: DaysWish & { by: string; csv?: string }, self: Command) => {
      const period = PERIODS.find((each) => each === wish.by);
      if (!period) throw new WrongUsage(`--by is one of: ${PERIODS.join(', ')}.`);
      return inSession(
        self,
        async (session) => {
          const { range, from, to } = daysOf(wish, session.clock);
          const { id } = await theProvider(session.database, name);
          const rows = await statementsOf(session).revenue.earned(id, period, range);
          const total = rows.reduce((sum, { earned }) => sum + earned, 0n);
          const report = {
            value: { providerId: id, period, from, to, earned: total, rows },
            lines: [
              ...table(
                [period, 'model', '>requests', '>in', '>out', '>paid by consumers', '>earned'],
                rows.map((row) => [
                  row.period,
                  row.modelId,
                  `${row.requests}`,
                  `${row.inputTokens}`,
                  `${row.outputTokens}`,
                  formatUsd(row.gross),
                  formatUsd(row.earned),
                ]),
              ),
              `${formatUsd(total)} from ${from} to ${to}`,
            ],
          };
          return wish.csv === undefined ? report : written(wish.csv, earningsCsv(rows), report);
        },
        LONG,
      );
    });
}
