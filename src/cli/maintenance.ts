import type { Command } from 'commander';
import { announce, callOff, windowsSince } from '#reliability/maintenance.ts';
import { STANDARD_SLA } from '#reliability/sla-terms.ts';
import { theModel } from './price.ts';
import { Refusal, WrongUsage } from './refusal.ts';
import { moment, table } from './report.ts';
import { inSession } from './session.ts';

/** `cygnet maintenance` */
export function maintenance(command: Command): void {
  command
    .command('add')
    .description('announce maintenance; the status page shows it, and the agreement excludes it')
    .argument('<words>', 'what is done, for everybody to read')
    .requiredOption('--from <time>', 'ISO 8601 with a time zone, such as 2026-12-01T22:00Z')
    .requiredOption('--until <time>', 'likewise')
    .option('--model <model>', 'its id or short name; without it, the whole market')
    .action((words: string, options: { from: string; until: string; model?: string }, self: Command) => {
      const [fromMs, untilMs] = [instant(options.from, '--from'), instant(options.until, '--until')];
      if (untilMs <= fromMs) throw new WrongUsage('--until comes after --from.');
      if (words.trim() === '' || words.length > 500)
        throw new WrongUsage('Say what is done, in at most 500 characters.');
      return inSession(self, async (session) => {
        const { database, clock, makeId } = session;
        const modelId = options.model === undefined ? '' : (await theModel(session, options.model)).id;
        const announcedMs = clock.wallMs();
        if (untilMs <= announcedMs)
          throw new Refusal('That is over already: maintenance is announced ahead.');
        const id = makeId('mnt');
        await announce(database.sql, { id, modelId, words: words.trim(), announcedMs, fromMs, untilMs });
        const { noticeMinutes } = STANDARD_SLA.maintenance;
        const late = fromMs - announcedMs < noticeMinutes * 60_000;
        return {
          value: { id, modelId, fromMs, untilMs, announcedMs, excludes: !late },
          lines: [
            `${id} is announced: ${moment(fromMs)} to ${moment(untilMs)} (UTC).`,
            ...(late
              ? [`It begins in less than ${noticeMinutes / 60} hours, so the agreement does not exclude it.`]
              : []),
          ],
        };
      });
    });
  command
    .command('list')
    .description('list what is announced and what was, of 90 days')
    .action((_options: unknown, self: Command) =>
      inSession(self, async ({ database, clock }) => {
        const all = await windowsSince(database.sql, clock.wallMs() - 90 * 86_400_000);
        return {
          value: all,
          lines: table(
            ['window', 'where', 'from (UTC)', 'until', 'announced', 'what'],
            all.map((each) => [
              each.id,
              each.modelId || 'the whole market',
              moment(each.fromMs),
              moment(each.untilMs),
              moment(each.announcedMs),
              each.words,
            ]),
          ),
        };
      }),
    );
  command
    .command('remove')
    .description('call off a window that is not over')
    .argument('<window>', 'its id')
    .action((id: string, _options: unknown, self: Command) =>
      inSession(self, async ({ database, clock }) => {
        if (!(await callOff(database.sql, id, clock.wallMs())))
          throw new Refusal(
            `There is no window ${JSON.stringify(id.slice(0, 80))} that could be called off.`,
          );
        return { value: { id }, lines: [`${id} is called off.`] };
      }),
    );
}

function instant(text: string, name: string): number {
  const at = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:\d{2})$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
  if (Number.isNaN(at)) throw new WrongUsage(`${name} is a time with its zone, such as 2026-12-01T22:00Z.`);
  return at;
}
