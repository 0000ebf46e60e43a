import type { Command } from 'commander';
import { type Indicator, objectivesOf } from '#reliability/objective-report.ts';
import { WrongUsage } from './refusal.ts';
import { table } from './report.ts';
import { inSession } from './session.ts';

const DAY_MS = 86_400_000;
const DAYS_MAX = 35;

/** `cygnet objectives` */
export function objectives(command: Command): void {
  command
    .option('--days <number>', `how far back, at most ${DAYS_MAX}`, '30')
    .action(({ days: text }: { days: string }, self: Command) => {
      const days = /^\d{1,2}$/.test(text) ? Number(text) : 0;
      if (days < 1 || days > DAYS_MAX) throw new WrongUsage(`--days is a number from 1 to ${DAYS_MAX}.`);
      return inSession(self, async ({ database, clock }) => {
        const until = clock.wallMs();
        const rows = await objectivesOf(database, { from: until - days * DAY_MS, until });
        return {
          value: rows,
          lines: table(
            ['tier', 'model', 'region', ...HEADS.map((head) => `>${head}`), '>budget left'],
            rows.map((row) => [
              row.tier,
              row.modelId || 'all',
              row.region || 'all',
              ...row.indicators.map(shown),
              `${row.budget.left.toFixed(1)} of ${row.budget.allowed.toFixed(1)} min`,
            ]),
          ),
        };
      });
    });
}

const HEADS = ['available', 'ttft p95', 'ttlt 256', 'ttlt 512', '5xx', '429'];
const MILLISECONDS: ReadonlySet<string> = new Set(['ttft-p95', 'ttlt-256-p95', 'ttlt-512-p95']);

/** What was measured; with a mark where the objective was missed. */
function shown({ name, measured, met }: Indicator): string {
  if (measured === null) return '–';
  const text = MILLISECONDS.has(name) ? `${Math.round(measured)} ms` : `${(measured * 100).toFixed(2)} %`;
  return met === false ? `${text} !` : text;
}
