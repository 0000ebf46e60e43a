import type { Command } from 'commander';
import { createConsumer, listConsumers } from '#identity/consumers.ts';
import { properName } from './parties.ts';
import { iso, moment, table } from './report.ts';
import { inSession } from './session.ts';

const LISTED = 1_000;

/** `cygnet consumers` */
export function consumers(command: Command): void {
  command
    .command('create')
    .description('add a consumer')
    .argument('<name>', 'how you call it')
    .action((given: string, _options: unknown, self: Command) =>
      inSession(self, async ({ database, clock, makeId }) => {
        const consumer = { id: makeId('cons'), name: properName(given) };
        await createConsumer(database, { ...consumer, at: clock.wallMs() });
        return {
          value: consumer,
          lines: [
            consumer.id,
            `Give it credit with: npx cygnet credit ${consumer.id} 5`,
            `and a key with: npx cygnet keys create --consumer ${consumer.id}`,
          ],
        };
      }),
    );
  command
    .command('list')
    .description('list consumers, oldest first')
    .action((_options: unknown, self: Command) =>
      inSession(self, async ({ database }) => {
        const all = await listConsumers(database, LISTED);
        return {
          value: all.map((each) => ({ ...each, createdAt: iso(each.createdAt) })),
          lines: table(
            ['id', 'name', 'since (UTC)'],
            all.map((each) => [each.id, each.name, moment(each.createdAt)]),
          ),
        };
      }),
    );
}
