import type { Command } from 'commander';
import { whyLines } from '#agent/why-page.ts';
import type { WhyAnswer } from '#wire/console.ts';
import { aboutWhom, askMarket, asksMarket, type CallOptions } from './market-call.ts';
import { writeReport } from './report.ts';

/** `cygnet providers why`: every gate of routing for a provider's models, its place, and what would put it in front. */
export function why(command: Command): void {
  asksMarket(command).action(async (model: string | undefined, options: CallOptions, self: Command) => {
    const { json } = self.optsWithGlobals<{ json?: boolean }>();
    const query = model === undefined ? '' : `?${new URLSearchParams({ model }).toString()}`;
    const path = `${aboutWhom(options, 'why')}${query}`;
    const answer = (await askMarket(options, path)) as WhyAnswer;
    writeReport({ value: answer, lines: whyLines(answer) }, json ?? false);
  });
}
