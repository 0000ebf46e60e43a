import type { Command } from 'commander';
import { auditMarket, type MarketAuditReport } from '#settlement/audit.ts';
import { openSettlement } from '#settlement/open.ts';
import { anyChain } from './chain-session.ts';
import { table } from './report.ts';
import { inSession } from './session.ts';

/** `cygnet audit`. Ends with 1 when the book does not balance. */
export function audit(command: Command): void {
  command.action((_options: unknown, self: Command) =>
    inSession(self, async ({ config, database, clock, log }) => {
      const chain = await anyChain(config);
      const { dataFolder } = config;
      const minimum = config.money.payoutMinimum;
      const rooms = chain && openSettlement({ database, chain, minimum, dataFolder, clock, log });
      let report: MarketAuditReport;
      try {
        report = await auditMarket({ database, chain, ...rooms });
      } finally {
        await chain?.close();
      }
      // The report is the answer either way; the exit code is for scripts.
      if (!report.balanced) process.exitCode = 1;
      const counts = `${report.checkedEntries} entries, ${report.checkedAccounts} accounts, ${report.checkedUsage} requests, ${report.checkedSettlements} batches, ${report.checkedPayouts} payouts, ${report.checkedClaims} claims`;
      const lines = [report.balanced ? `Balanced: ${counts} checked.` : `NOT balanced: ${counts} checked.`];
      if (!report.checkedChain) lines.push('No chain was asked: there is none here.');
      if (report.rejectedRecords > 0) {
        lines.push(
          `${report.rejectedRecords} records were rejected and need a person's look (table rejected_usage).`,
        );
      }
      if (report.differences.length > 0) {
        const rows = report.differences.map(({ what, where, found, expected }) => [
          what,
          where,
          found,
          expected,
        ]);
        lines.push(...table(['what', 'where', '>in the book', '>should be'], rows));
      }
      return { value: report, lines };
    }),
  );
}
