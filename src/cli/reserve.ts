import type { Command } from 'commander';
import { addReservation, endReservation, standingReservations } from '#catalogue/reservations.ts';
import { theConsumer } from './parties.ts';
import { theModel } from './price.ts';
import { Refusal, WrongUsage } from './refusal.ts';
import { iso, moment, table } from './report.ts';
import { inSession } from './session.ts';

const REFUSALS = {
  'unknown-consumer': 'There is no such consumer.',
  'not-business':
    'Places are kept for consumers with the plan business: npx cygnet consumers plan <consumer> business',
  twice: 'The consumer has reserved places at this model; end that reservation first.',
  'too-much': 'The shares of a model may come to nine tenths together.',
} as const;

/** `cygnet reserve` */
export function reserve(command: Command): void {
  command
    .command('add')
    .description('keep places at a model for a consumer with the plan business')
    .argument('<consumer>', 'its id or name')
    .argument('<model>', 'its id or short name')
    .option('--slots <number>', 'requests at once')
    .option('--share <percent>', 'of what the providers of the model can do, up to 90')
    .option('--release-idle <seconds>', 'lend the places out after so long without a request')
    .action(
      (
        name: string,
        modelName: string,
        options: { slots?: string; share?: string; releaseIdle?: string },
        self: Command,
      ) => {
        if ((options.slots === undefined) === (options.share === undefined))
          throw new WrongUsage('Say either --slots or --share.');
        const slots = options.slots === undefined ? null : whole(options.slots, '--slots', 100_000);
        const share = options.share === undefined ? null : percent(options.share);
        const releaseIdleS =
          options.releaseIdle === undefined ? null : whole(options.releaseIdle, '--release-idle', 86_400);
        return inSession(self, async (session) => {
          const { database, clock, makeId } = session;
          const consumer = await theConsumer(database, name);
          const model = await theModel(session, modelName);
          const reservation = {
            id: makeId('rsv'),
            consumerId: consumer.id,
            modelId: model.id,
            slots,
            share,
            releaseIdleS,
          };
          const by = { actor: 'command line', at: clock.wallMs() };
          const answer = await addReservation(database, { ...reservation, ...by });
          if (answer !== 'added') throw new Refusal(REFUSALS[answer]);
          return {
            value: reservation,
            lines: [
              `${reservation.id}: ${amountOf(reservation)} of ${model.id} are kept for ${consumer.name}.`,
            ],
          };
        });
      },
    );
  command
    .command('list')
    .description('list what is kept for whom')
    .action((_options: unknown, self: Command) =>
      inSession(self, async ({ database }) => {
        const all = await standingReservations(database);
        return {
          value: all.map((each) => ({ ...each, createdAt: iso(each.createdAt) })),
          lines: table(
            ['reservation', 'consumer', 'model', 'kept', 'lent out', 'since (UTC)'],
            all.map((each) => [
              each.id,
              each.consumerId,
              each.modelId,
              amountOf(each),
              each.releaseIdleS === null ? 'never' : `after ${each.releaseIdleS} s`,
              moment(each.createdAt),
            ]),
          ),
        };
      }),
    );
  command
    .command('end')
    .description('end a reservation')
    .argument('<reservation>', 'its id')
    .action((id: string, _options: unknown, self: Command) =>
      inSession(self, async ({ database, clock }) => {
        if (!(await endReservation(database, id, clock.wallMs())))
          throw new Refusal(`There is no standing reservation ${JSON.stringify(id.slice(0, 80))}.`);
        return { value: { id }, lines: [`${id} has ended.`] };
      }),
    );
}

function amountOf({ slots, share }: { slots: number | null; share: number | null }): string {
  return slots === null ? `${(share ?? 0) / 100} %` : `${slots} ${slots === 1 ? 'place' : 'places'}`;
}

function whole(text: string, name: string, most: number): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > most) throw new WrongUsage(`${name} is a whole number from 1 to ${most}.`);
  return number;
}

/** In basis points. */
function percent(text: string): number {
  const points = /^\d{1,2}(\.\d{1,2})?$/.test(text) ? Math.round(Number(text) * 100) : 0;
  if (points < 1 || points > 9_000) throw new WrongUsage('--share is a percentage from 0.01 to 90.');
  return points;
}
