import type { Command } from 'commander';
import { auditFunds } from '#funds/audit.ts';
import { openStrangers, resolveStranger } from '#funds/strangers.ts';
import { auditMarket, type MarketAuditReport } from '#settlement/audit.ts';
import { listAudits, noteAudit } from '#settlement/audit-runs.ts';
import { openSettlement } from '#settlement/open.ts';
import { auditAgreements } from '#sla/audit.ts';
import { checkStatements } from '#statements/check.ts';
import { anyChain } from './chain-session.ts';
import { Refusal, WrongUsage } from './refusal.ts';
import { iso, moment, table } from './report.ts';
import { inSession } from './session.ts';

/** `cygnet audit`. Ends with 1 when the book does not balance. What it finds is kept, and counts for payouts. */
export function audit(command: Command): void {
  command.action((_options: unknown, self: Command) =>
    inSession(self, async ({ config, database, clock, log }) => {
      const chain = await anyChain(config);
      const { dataFolder } = config;
      const minimum = config.money.payoutMinimum;
      const rooms = chain && openSettlement({ database, chain, minimum, dataFolder, clock, log });
      const began = clock.nowMs();
      let report: MarketAuditReport;
      try {
        const funds = () => auditFunds({ database, chain });
        const agreements = () => auditAgreements(database);
        const papers = () => checkStatements(database);
        report = await auditMarket({ database, chain, ...rooms, funds, agreements, papers });
      } finally {
        await chain?.close();
      }
      const { balanced, differences, checkedChain: chainAsked } = report;
      const tookMs = clock.nowMs() - began;
      const at = clock.wallMs();
      await noteAudit(database, { at, occasion: 'command', balanced, chainAsked, tookMs, differences });
      // The report is the answer either way; the exit code is for scripts.
      if (!report.balanced) process.exitCode = 1;
      const counts = `${report.checkedEntries} entries, ${report.checkedAccounts} accounts, ${report.checkedUsage} requests, ${report.checkedSettlements} batches, ${report.checkedPayouts} payouts, ${report.checkedClaims} claims, ${report.checkedDeposits} deposits, ${report.checkedPledges} pledges`;
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
  command
    .command('list')
    .description('list the latest audits and what the chain shows that this ledger does not know of')
    .action((_options: unknown, self: Command) =>
      inSession(self, async ({ database }) => {
        const [runs, open] = await Promise.all([
          listAudits(database, LISTED),
          openStrangers(database.sql, LISTED),
        ]);
        return {
          value: {
            audits: runs.map((run) => ({ ...run, at: iso(run.at) })),
            unknownToTheLedger: open.map((each) => ({ ...each, foundAt: iso(each.foundAt) })),
          },
          lines: [
            ...table(
              ['audit (UTC)', 'occasion', 'result', '>seconds'],
              runs.map((run) => [
                moment(run.at),
                run.occasion,
                run.balanced ? 'balanced' : `${run.differences.length} differences`,
                (run.tookMs / 1_000).toFixed(1),
              ]),
            ),
            ...(open.length === 0
              ? []
              : table(
                  ['on the chain and not in the ledger', 'what'],
                  open.map(({ id, detail }) => [id, detail]),
                )),
          ],
        };
      }),
    );
  command
    .command('explain')
    .description('say what something on the chain is that the ledger does not know of; payouts then go on')
    .argument('<id>', 'as `cygnet audit list` shows it')
    .requiredOption('--reason <text>', 'what it is; kept for ever')
    .action((id: string, { reason }: { reason: string }, self: Command) => {
      const resolution = reason.trim();
      if (resolution === '' || resolution.length > 1_000) {
        throw new WrongUsage('--reason has 1 to 1,000 characters.');
      }
      return inSession(self, async ({ database, clock }) => {
        const answer = await resolveStranger(database, { id, resolution, at: clock.wallMs() });
        if (answer === 'unknown') throw new Refusal(`Nothing of the name ${JSON.stringify(id)} was found.`);
        return {
          value: { id, answer },
          lines: [answer === 'resolved' ? `${id} is explained.` : `${id} was explained before.`],
        };
      });
    });
}

const LISTED = 30;
