import type { Config } from '#config/config.ts';
import type { Database } from '#db/database.ts';
import type { Pico } from '#domain/money.ts';
import { monthOf, monthStart } from '#domain/window.ts';
import { type Clock, systemClock } from '#kit/clock.ts';
import { checkStatements } from '#statements/check.ts';
import { GRACE_MS } from '#statements/draft.ts';
import { openStatements } from '#statements/open.ts';

/** What the invoices of a demonstration say: the month ends by a clock that is ahead. */
export async function demoInvoices(
  database: Database,
  { statements: settings }: Config,
): Promise<{ numbers: string[]; total: Pico; problems: string[] }> {
  const over = monthStart(monthOf(systemClock.wallMs()) + 1) + GRACE_MS;
  const clock: Clock = { ...systemClock, wallMs: () => over };
  const { billing } = openStatements({ database, settings, assets: [], clock });
  await billing.round();
  const all = await billing.list({ limit: 1_000 });
  const invoices = all.filter(({ kind }) => kind === 'invoice');
  const differences = await checkStatements(database);
  return {
    numbers: invoices.map(({ number }) => number),
    total: invoices.reduce((sum, { total }) => sum + total, 0n),
    problems: differences.map(({ what, where }) => `The papers: ${what} (${where})`),
  };
}
