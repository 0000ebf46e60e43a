import { writeFileSync } from 'node:fs';
import { dayName, dayOf, dayStart, parseDay } from '#domain/window.ts';
import type { Clock } from '#kit/clock.ts';
import type { Range } from '#ledger/revenue-reading.ts';
import { openStatements, STATEMENTS_DEADLINE_MS, type Statements } from '#statements/open.ts';
import type { SlaPaper } from '#statements/pdf.ts';
import type { DocumentBody } from '#wire/documents.ts';
import { Refusal, WrongUsage } from './refusal.ts';
import type { Report } from './report.ts';
import type { Session } from './session.ts';

/** What the commands about invoices, earnings and exports share. */

export const LONG = { deadlineMs: STATEMENTS_DEADLINE_MS };

export function statementsOf({ config, database, clock }: Session): Statements {
  return openStatements({ database, settings: config.statements, assets: config.chain.assets, clock });
}

export interface DaysWish {
  readonly from?: string;
  readonly to?: string;
}

/** Reads `--from` and `--to`: days in UTC, both included; the last thirty where they are left out. */
export function daysOf(wish: DaysWish, clock: Clock): { range: Range; from: string; to: string } {
  const read = (text: string | undefined, option: string): number | undefined => {
    if (text === undefined) return undefined;
    const day = parseDay(text);
    if (day === undefined) throw new WrongUsage(`${option} is a day such as 2026-11-26.`);
    return day;
  };
  const [asked, until] = [read(wish.from, '--from'), read(wish.to, '--to')];
  const to = until ?? Math.max(dayOf(clock.wallMs()), asked ?? 0);
  const from = asked ?? to - 29;
  if (from > to) throw new WrongUsage('--from is not after --to.');
  return { range: { from: dayStart(from), to: dayStart(to + 1) }, from: dayName(from), to: dayName(to) };
}

/** Writes a file of an answer; `-` is stdout, and then the answer is the file alone. */
export function written(file: string, content: string | Buffer, report: Report): Report | undefined {
  if (file === '-') {
    process.stdout.write(content);
    return undefined;
  }
  try {
    writeFileSync(file, content);
  } catch (error) {
    throw new Refusal(`${file} cannot be written: ${(error as NodeJS.ErrnoException).code}.`);
  }
  return { value: report.value, lines: [...report.lines, `Written to ${file}.`] };
}

/** A document as PDF, printed here. */
export async function printed(body: DocumentBody | SlaPaper, fontFile: string | undefined): Promise<Buffer> {
  // The library is large: it is loaded where something is printed.
  const { documentFonts, pdfOf } = await import('#statements/pdf.ts');
  try {
    return await pdfOf(body, documentFonts(fontFile));
  } catch (error) {
    if (fontFile === undefined) throw error;
    throw new Refusal(
      `CYGNET_INVOICE_FONT is ${fontFile}, which is no font that documents can be written in.`,
    );
  }
}
