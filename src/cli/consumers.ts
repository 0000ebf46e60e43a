import type { Command } from 'commander';
import { formatUsd, PICO_PER_USD } from '#domain/money.ts';
import { PLANS, type PlanName } from '#domain/plan.ts';
import { createConsumer, listConsumers, setPlan } from '#identity/consumers.ts';
import { properName, theConsumer } from './parties.ts';
import { WrongUsage } from './refusal.ts';
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
    .command('plan')
    .description(`put a consumer on a plan: ${Object.keys(PLANS).join(', ')}`)
    .argument('<consumer>', 'its id or name')
    .argument('<plan>', 'which')
    .action((name: string, plan: string, _options: unknown, self: Command) => {
      if (!Object.hasOwn(PLANS, plan)) {
        throw new WrongUsage(
          `${JSON.stringify(plan)} is no plan: expected ${Object.keys(PLANS).join(', ')}.`,
        );
      }
      return inSession(self, async ({ database, clock }) => {
        const consumer = await theConsumer(database, name);
        await setPlan(database, { id: consumer.id, plan: plan as PlanName, at: clock.wallMs() });
        const { title, monthlyCents } = PLANS[plan as PlanName];
        const fee = formatUsd((BigInt(monthlyCents) * PICO_PER_USD) / 100n);
        return {
          value: { ...consumer, plan },
          lines: [
            `${consumer.name} (${consumer.id}) has the plan ${title}.`,
            ...(monthlyCents > 0
              ? [`The market takes ${fee} a month from the balance; one that is too short ends the plan.`]
              : []),
          ],
        };
      });
    });
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
