import type { Command } from 'commander';
import { declareFreeze, freezesSince, isInForce, liftFreeze } from '#reliability/change-freeze.ts';
import { Refusal, WrongUsage } from './refusal.ts';
import { moment, table } from './report.ts';
import { inSession } from './session.ts';

const HOURS_MAX = 8_760;
const LISTED_DAYS = 90;

/** `cygnet freeze` */
export function freeze(command: Command): void {
  command
    .command('add')
    .description('freeze changes to the market by hand; every gateway and the status page say so')
    .argument('<words>', 'why, for operators to read')
    .option('--hours <number>', 'how long; without it, until it is lifted')
    .action((words: string, options: { hours?: string }, self: Command) => {
      if (words.trim() === '' || words.trim().length > 500)
        throw new WrongUsage('Say why, in at most 500 characters.');
      const hours = options.hours === undefined ? null : hoursOf(options.hours);
      return inSession(self, async ({ database, clock, makeId }) => {
        const id = makeId('frz');
        const fromMs = clock.wallMs();
        const untilMs = hours === null ? null : fromMs + hours * 3_600_000;
        const value = { id, words: words.trim(), actor: 'command line', fromMs, untilMs };
        await declareFreeze(database.sql, value);
        return {
          value,
          lines: [
            `${id} freezes changes ${untilMs === null ? 'until it is lifted' : `until ${moment(untilMs)} (UTC)`}.`,
          ],
        };
      });
    });
  command
    .command('list')
    .description(`list freezes by hand that are in force, and those of ${LISTED_DAYS} days`)
    .action((_options: unknown, self: Command) =>
      inSession(self, async ({ database, clock }) => {
        const nowMs = clock.wallMs();
        const all = await freezesSince(database.sql, nowMs - LISTED_DAYS * 86_400_000);
        return {
          value: all,
          lines: table(
            ['freeze', 'state', 'from (UTC)', 'until', 'by', 'why'],
            all.map((each) => [
              each.id,
              isInForce(each, nowMs) ? 'in force' : each.liftedMs === null ? 'over' : 'lifted',
              moment(each.fromMs),
              each.untilMs === null ? 'it is lifted' : moment(each.untilMs),
              each.actor,
              each.words,
            ]),
          ),
        };
      }),
    );
  command
    .command('lift')
    .description('lift a freeze that is in force')
    .argument('<freeze>', 'its id')
    .action((id: string, _options: unknown, self: Command) =>
      inSession(self, async ({ database, clock }) => {
        if (!(await liftFreeze(database.sql, id, { actor: 'command line', atMs: clock.wallMs() })))
          throw new Refusal(`There is no freeze ${JSON.stringify(id.slice(0, 80))} in force.`);
        return { value: { id }, lines: [`${id} is lifted.`] };
      }),
    );
}

function hoursOf(text: string): number {
  const hours = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (hours < 1 || hours > HOURS_MAX)
    throw new WrongUsage(`--hours is a whole number from 1 to ${HOURS_MAX}, not ${JSON.stringify(text)}.`);
  return hours;
}
