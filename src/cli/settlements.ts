import type { Command } from 'commander';
import { wholeTokens as tokens } from '#domain/asset.ts';
import { payoutsHeldBy } from '#funds/strangers.ts';
import { auditHolds } from '#settlement/audit-runs.ts';
import { openRewardSettlement, openSettlement, type SettlementRoom } from '#settlement/open.ts';
import type { Settlement } from '#settlement/store.ts';
import { theChain } from './chain-session.ts';
import { Refusal, WrongUsage } from './refusal.ts';
import { iso, moment, table } from './report.ts';
import { inSession } from './session.ts';

const LISTED = 1_000;

/** `cygnet settlements` */
export function settlements(command: Command): void {
  command
    .command('list')
    .description('list batches, newest first')
    .option('--rewards', 'those of rewards, in SWAN')
    .action((options: { rewards?: boolean }, self: Command) =>
      inSession(self, async (session) => {
        const chain = await theChain(session.config);
        try {
          const all = await settlementRoom(session, chain, options.rewards).store.list(LISTED);
          return {
            value: all.map(valueOf),
            lines: table(
              ['>batch', 'day', 'state', '>accounts', '>increase', '>total', 'made (UTC)'],
              all.map((each) => [
                `${each.number}`,
                each.day,
                each.state,
                `${each.accounts}`,
                tokens(each.increase, each.decimals),
                tokens(each.total, each.decimals),
                moment(each.madeAt),
              ]),
            ),
          };
        } finally {
          await chain.close();
        }
      }),
    );
  command
    .command('show')
    .description('show a batch and whom it pays')
    .argument('<batch>', 'its number')
    .option('--rewards', 'one of rewards, in SWAN')
    .action((text: string, options: { rewards?: boolean }, self: Command) =>
      inSession(self, async (session) => {
        if (!/^[1-9]\d{0,14}$/.test(text)) throw new WrongUsage('A batch has a number such as 1.');
        const chain = await theChain(session.config);
        try {
          const { store, desk } = settlementRoom(session, chain, options.rewards);
          const found = await store.find(Number(text));
          if (!found) throw new Refusal(`There is no batch ${text}.`);
          const payouts = await store.payoutsOf(found, LISTED);
          const file = await desk.fileOf(found);
          return {
            value: { ...valueOf(found), payouts, file },
            lines: [
              `Batch ${found.number} through ${found.day} (entry ${found.cut}): ${found.state}`,
              `root ${found.root}`,
              `SHA-256 of the claims file ${found.claimsHash}`,
              `file ${file}`,
              ...table(
                ['provider', 'wallet', '>tokens'],
                payouts.map((each) => [each.providerId, each.account, tokens(each.units, found.decimals)]),
              ),
            ],
          };
        } finally {
          await chain.close();
        }
      }),
    );
}

type Parts = Parameters<Parameters<typeof inSession>[1]>[0];

/** The room of earnings, or with `inRewards` that of rewards. Refuses, in a sentence, where none are paid out. */
export function settlementRoom(
  session: Parts,
  chain: Awaited<ReturnType<typeof theChain>>,
  inRewards = false,
): SettlementRoom {
  const { config, database, clock, log } = session;
  const { dataFolder } = config;
  const heldBy = async () => (await payoutsHeldBy(database)) ?? (await auditHolds(database));
  const common = { database, chain, dataFolder, clock, log, heldBy };
  if (!inRewards) return openSettlement({ ...common, minimum: config.money.payoutMinimum });
  const room = openRewardSettlement(common);
  if (room) return room;
  throw new Refusal('Rewards are paid in SWAN: name it with CYGNET_SWAN, and pay earnings in another token.');
}

function valueOf(settlement: Settlement) {
  return { ...settlement, madeAt: iso(settlement.madeAt) };
}

export { wholeTokens as tokens } from '#domain/asset.ts';
