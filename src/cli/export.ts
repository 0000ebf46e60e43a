import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { type DaysWish, daysOf, LONG, statementsOf } from './papers.ts';
import { Refusal } from './refusal.ts';
import { inSession } from './session.ts';

/** `cygnet export`: the accountant's journal. */
export function exportJournal(command: Command): void {
  command
    .option('--from <day>', 'the first day, such as 2026-11-01 (default: thirty days in all)')
    .option('--to <day>', 'the last day (default: today)')
    .option('--out <file>', 'where to write it (default: stdout)')
    .action((wish: DaysWish & { out?: string }, self: Command) =>
      inSession(
        self,
        async (session) => {
          const { range, from, to } = daysOf(wish, session.clock);
          const journal = Readable.from(statementsOf(session).journal(range));
          const { out } = wish;
          if (out === undefined) {
            await pipeline(journal, process.stdout, { end: false });
            return undefined;
          }
          await pipeline(journal, createWriteStream(out)).catch((error: NodeJS.ErrnoException) => {
            if (error.syscall === 'open') throw new Refusal(`${out} cannot be written: ${error.code}.`);
            throw error;
          });
          return {
            value: { from, to, file: out },
            lines: [`The journal from ${from} to ${to} is in ${out}.`],
          };
        },
        LONG,
      ),
    );
}
