import type { Command } from 'commander';
import { formatUsd } from '#domain/money.ts';
import { latestUsage } from '#ledger/usage-list.ts';
import { theConsumer } from './parties.ts';
import { WrongUsage } from './refusal.ts';
import { iso, moment, table } from './report.ts';
import { inSession } from './session.ts';

const LIMIT_MAX = 10_000;

/** `cygnet usage` */
export function usage(command: Command): void {
  command
    .argument('[consumer]', 'its id or name; everybody when left out')
    .option('--limit <count>', 'how many requests, newest first', '20')
    .action((name: string | undefined, options: { limit: string }, self: Command) => {
      const limit = Number(options.limit);
      if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT_MAX) {
        throw new WrongUsage(
          `--limit is a whole number from 1 to ${LIMIT_MAX}, not ${JSON.stringify(options.limit)}.`,
        );
      }
      return inSession(self, async ({ database }) => {
        const consumerId = name === undefined ? undefined : (await theConsumer(database, name)).id;
        const all = await latestUsage(database, { consumerId, limit });
        return {
          value: all.map((each) => ({ ...each, at: iso(each.at) })),
          lines: table(
            [
              'time (UTC)',
              'request',
              'model',
              '>in',
              '>out',
              '>charge',
              '>market',
              'outcome',
              'tier',
              '>queue',
              '>first token',
              '>total',
              'tried',
            ],
            all.map((each) => [
              moment(each.at),
              each.id,
              each.modelId,
              `${each.inputTokens}`,
              `${each.outputTokens}`,
              formatUsd(each.charge),
              formatUsd(each.marketPart),
              each.errorCode === null ? each.outcome : `${each.outcome} (${each.errorCode})`,
              each.serving?.tier ?? '–',
              each.serving?.queueMs == null ? '–' : `${Math.round(each.serving.queueMs)} ms`,
              each.ttftMs === null ? '–' : `${Math.round(each.ttftMs)} ms`,
              `${Math.round(each.totalMs)} ms`,
              each.serving?.tries.map(({ providerId, result }) => `${providerId} ${result}`).join(', ') ??
                '–',
            ]),
          ),
        };
      });
    });
}
