import type { Command } from 'commander';
import { formatUsd } from '#domain/money.ts';
import { Collateral } from '#funds/collateral.ts';
import { pledgedOn } from '#funds/open.ts';
import { slashLadder } from '#funds/slash.ts';
import { anyChain } from './chain-session.ts';
import { dollars } from './credit.ts';
import { referenceOf } from './deposits.ts';
import { theProvider } from './parties.ts';
import { Refusal, WrongUsage } from './refusal.ts';
import { iso, moment, type Report, table } from './report.ts';
import { inSession, type Session } from './session.ts';
import { tokens } from './settlements.ts';

/** `cygnet collateral` */
export function collateral(command: Command): void {
  command
    .command('pending')
    .description('list deposits that wait: dollars for your word, transactions for the chain')
    .action((_options: unknown, self: Command) =>
      withRoom(self, async (room) => {
        const pending = await room.pending();
        return {
          value: pending.map((each) => ({ ...each, createdAt: iso(each.createdAt) })),
          lines: table(
            ['deposit', 'provider', '>announced', 'transaction', 'told (UTC)', 'reason'],
            pending.map((each) => [
              each.id,
              each.providerId,
              each.amount === null ? '' : formatUsd(each.amount),
              each.transaction ?? '',
              moment(each.createdAt),
              each.reason,
            ]),
          ),
        };
      }),
    );
  command
    .command('show')
    .description('show what a provider has pledged')
    .argument('<provider>', 'its id or name')
    .action((name: string, _options: unknown, self: Command) =>
      withRoom(self, async (room, { database }) => {
        const { id } = await theProvider(database, name);
        const standing = await room.standingOf(id);
        const { pledges, hardware, covered, enough } = standing;
        return {
          value: { id, ...standing },
          lines: [
            `${id}: ${enough ? 'enough' : 'not enough'} for ${hardware} hardware (${Number(covered) / 100} %)`,
            ...table(
              ['asset', '>at work', '>waiting', '>slashed', '>refunded', 'refundable (UTC)'],
              pledges.map((each) => [
                each.asset,
                ...[each.locked, each.waiting, each.slashed, each.refunded].map((units) =>
                  tokens(units, DECIMALS[each.asset]),
                ),
                each.refundableAt === undefined ? '' : moment(each.refundableAt),
              ]),
            ),
          ],
        };
      }),
    );
  command
    .command('confirm')
    .description('confirm pledged dollars that arrived')
    .argument('<deposit>', 'its id, as the list of pending ones shows it')
    .requiredOption('--reference <text>', "the payment's reference: it proves one deposit")
    .option('--usd <usd>', 'what arrived, where that is not what was announced')
    .action((id: string, wish: { reference: string; usd?: string }, self: Command) => {
      const reference = referenceOf(wish.reference);
      const amount = wish.usd === undefined ? undefined : dollars(wish.usd);
      return withRoom(self, async (room) => {
        const answer = await room.confirmDollars(id, { reference, ...(amount !== undefined && { amount }) });
        if (answer === 'unknown') throw new Refusal(`There is no deposit of dollars ${JSON.stringify(id)}.`);
        return {
          value: { id, answer },
          lines: [answer === 'confirmed' ? `${id} is confirmed.` : `${id} was confirmed before.`],
        };
      });
    });
  command
    .command('reject')
    .description('give up waiting for announced dollars')
    .argument('<deposit>', 'its id')
    .option('--reason <text>', 'why; the provider reads it', 'It did not arrive.')
    .action((id: string, { reason }: { reason: string }, self: Command) =>
      withRoom(self, async (room) => {
        const answer = await room.reject(id, reason.slice(0, 500));
        if (answer === 'unknown') throw new Refusal(`There is no deposit ${JSON.stringify(id)}.`);
        if (answer === 'decided') throw new Refusal(`${id} is decided on, or for the chain to decide.`);
        return { value: { id, answer }, lines: [`${id} is rejected.`] };
      }),
    );
  command
    .command('refund')
    .description('note that pledged dollars were paid back, seven days after they were asked for')
    .argument('<provider>', 'its id or name')
    .requiredOption('--reference <text>', 'the reference of your payment')
    .action((name: string, wish: { reference: string }, self: Command) => {
      const reference = referenceOf(wish.reference);
      return withRoom(self, async (room, { database }) => {
        const { id } = await theProvider(database, name);
        const answer = await room.payRefund(id, reference);
        if ('refused' in answer) {
          throw new Refusal(
            answer.refused === 'still-waiting'
              ? 'The seven days are not over: until then it can still be slashed.'
              : 'No refund is waiting.',
          );
        }
        const { paid, known } = answer;
        return {
          value: { id, paid, known },
          lines: [
            known ? 'This payment was noted before.' : `Pay ${formatUsd(paid)} to ${id}, if you have not.`,
          ],
        };
      });
    });
  command
    .command('slash')
    .description('judge a failure: warn, take a part, remove, by the ladder')
    .argument('<provider>', 'its id or name')
    .requiredOption('--finding <id>', 'a name of the finding: the same one is judged once')
    .requiredOption('--failures <count>', 'how many in a row this makes')
    .requiredOption('--reason <text>', 'what was found')
    .action((name: string, wish: { finding: string; failures: string; reason: string }, self: Command) => {
      if (!/^[\w:.-]{1,100}$/.test(wish.finding)) {
        throw new WrongUsage('--finding has 1 to 100 letters, digits, and the signs _ : . -');
      }
      if (!/^[1-9]\d{0,3}$/.test(wish.failures)) throw new WrongUsage('--failures is a count such as 2.');
      return withRoom(self, async (room, { database }) => {
        const { id: providerId } = await theProvider(database, name);
        const step = await room.slash({
          id: wish.finding,
          providerId,
          failures: Number(wish.failures),
          reason: wish.reason.slice(0, 1_000),
        });
        const share = step.shareBasisPoints / 100;
        return {
          value: { providerId, ...step },
          lines: [
            share === 0
              ? `${providerId} is warned.`
              : `${providerId} loses ${share} % of what it pledged${step.removes ? ' and is removed' : ''}.`,
          ],
        };
      });
    });
}

const DECIMALS = { USD: 12, USDC: 6, USDT: 6, SWAN: 18 } as const;

async function withRoom(
  command: Command,
  work: (room: Collateral, session: Session) => Promise<Report>,
): Promise<void> {
  await inSession(command, async (session) => {
    const { config, database, clock, makeId, log } = session;
    const market = await anyChain(config);
    try {
      const chain = market && pledgedOn(market, session);
      const ladder = slashLadder(config.benchmarks.slashPercents);
      const room = new Collateral({ database, chain, clock, makeId, log, ladder });
      return await work(room, session);
    } finally {
      await market?.close();
    }
  });
}
