import type { Command } from 'commander';
import { formatUsd } from '#domain/money.ts';
import { demoDay } from './demo-day.ts';
import { WrongUsage } from './refusal.ts';
import { writeReport } from './report.ts';

/** `cygnet demo day`: needs nothing and leaves nothing behind. Ends with 1 when a figure does not add up. */
export function demoDayCommand(command: Command): void {
  command
    .command('day')
    .description('play a whole day of the market: deposit, requests, midnight, settlement, claims')
    .option('--requests <n>', 'how many requests', '1000')
    .action(async ({ requests: text }: { requests: string }, self: Command) => {
      const requests = /^[1-9]\d{0,5}$/.test(text) ? Number(text) : 0;
      if (requests === 0) throw new WrongUsage('--requests is a number such as 1000.');
      const { json } = self.optsWithGlobals<{ json?: boolean }>();
      const say = (sentence: string): void => void process.stderr.write(`${sentence}\n`);
      const figures = await demoDay({ requests, say });
      const { problems } = figures;
      if (problems.length > 0) process.exitCode = 1;
      const lines = [
        `deposited           ${formatUsd(figures.deposited)}`,
        `charged             ${formatUsd(figures.charged)}  for ${figures.answered} requests`,
        `earned by providers ${formatUsd(figures.earned)}`,
        `paid out            ${formatUsd(figures.paidOut)}`,
        `still owed          ${formatUsd(figures.owed)}  (less than a unit of the token each)`,
        `in the wallets      ${figures.claimed} units of a millionth; the batch promised ${figures.promised}`,
        `root                ${figures.root}`,
        problems.length === 0
          ? 'Everything adds up, to the smallest unit; verifier and audit agree.'
          : 'It does NOT add up:',
        ...problems,
      ];
      writeReport({ value: figures, lines }, json ?? false);
    });
}
