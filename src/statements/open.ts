import type { Database } from '#db/database.ts';
import type { Once } from '#db/round-terms.ts';
import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { Logger } from '#kit/log.ts';
import { Rounds } from '#kit/rounds.ts';
import { type Range, RevenueReading } from '#ledger/revenue-reading.ts';
import type { SlaReportBody } from '#wire/sla.ts';
import { Billing, type TokenDecimals } from './billing.ts';
import { journalCsv } from './journal.ts';
import type { SlaPaper } from './pdf.ts';
import { Press } from './press.ts';
import {
  type TreasuryBalances,
  type TreasuryMovement,
  treasuryBalances,
  treasuryMovements,
} from './treasury.ts';

/**
 * Statements of account: invoices, credit notes and receipts; what was earned and brought in; the accountant's journal; the
 * treasury. This room reads what the ledger and money in and out left behind, and writes nothing but its own documents.
 */
export interface Statements {
  readonly billing: Billing;
  readonly press: Press;
  /** A service level report as it is printed: with whom it is from and for. */
  slaPaper(report: SlaReportBody): Promise<SlaPaper>;
  readonly revenue: RevenueReading;
  treasury(): Promise<TreasuryBalances>;
  movements(range: Range): Promise<TreasuryMovement[]>;
  /** The journal of a range as CSV, piece by piece. */
  journal(range: Range): AsyncGenerator<string>;
}

export interface StatementsSettings {
  readonly issuerName: string;
  readonly issuerAddress: readonly string[];
  readonly issuerTaxId: string | undefined;
  readonly note: string | undefined;
  readonly fontFile: string | undefined;
}

/** How long a statement of this room may take: the longest reads a month of the ledger. */
export const STATEMENTS_DEADLINE_MS = 1_200_000;

/** `database` allows `STATEMENTS_DEADLINE_MS`. */
export function openStatements(parts: {
  database: Database;
  settings: StatementsSettings;
  /** Tokens as the market's chain has them; what they usually are where it has none. */
  assets: readonly { readonly asset: keyof TokenDecimals; readonly decimals: number }[];
  clock: Clock;
}): Statements {
  const { database, settings, clock } = parts;
  const issuer = {
    name: settings.issuerName,
    address: [...settings.issuerAddress],
    tax_id: settings.issuerTaxId ?? null,
    note: settings.note ?? null,
  };
  return {
    billing: new Billing({
      database,
      clock,
      issuer,
      decimals: Object.fromEntries(parts.assets.map(({ asset, decimals }) => [asset, decimals])),
    }),
    press: new Press({ clock, fontFile: settings.fontFile }),
    slaPaper: async (report) => {
      const { consumer: id } = report;
      const [row] = await database.sql<{ name: string }[]>`select name from consumers where id = ${id}`;
      const customer = { id, name: row?.name ?? id };
      return { document: 'sla-report', issuer, customer, report };
    },
    revenue: new RevenueReading(database),
    treasury: () => treasuryBalances(database),
    movements: (range) => treasuryMovements(database, range),
    journal: (range) => journalCsv(database, range),
  };
}

const EVERY_MS = 600_000;

/** Closes months and issues documents while a market is open. What stands still is an error line of the log. */
export function openStatementsRounds(
  { billing }: Statements,
  { clock, log, once = (_name, work) => work() }: { clock: Clock; log: Logger; once?: Once },
): { close(): Promise<void> } {
  return new Rounds(clock, {
    periodMs: EVERY_MS,
    work: async () => {
      await once('statements', async () => {
        const { months, documents } = await billing.round();
        if (months.length > 0) log.info({ months, documents }, 'A month was closed and its invoices issued.');
      });
    },
    failed: (error) => {
      if (error instanceof Fault && ['database-unreachable', 'term-over'].includes(error.code)) {
        log.warn({ err: error }, 'Invoices could not be issued; it will be tried again.');
      } else {
        log.error({ err: error }, 'Invoices stand still: a person must look.');
      }
    },
  });
}
