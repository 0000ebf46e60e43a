import type { Command } from 'commander';
import { formatUsd } from '#domain/money.ts';
import { dayOf, parseDay } from '#domain/window.ts';
import { type Clock, pause } from '#kit/clock.ts';
import type { CarriedOver } from '#settlement/batch.ts';
import type { Progress, Settler } from '#settlement/day.ts';
import { theChain } from './chain-session.ts';
import { Refusal, WrongUsage } from './refusal.ts';
import { table } from './report.ts';
import { inSession } from './session.ts';
import { settlementRoom, tokens } from './settlements.ts';

const POLL_MS = 250;
const WAIT_MS = 180_000;

/** `cygnet settle`: pays providers through a day, now. A market that is open does so by itself after each midnight. */
export function settle(command: Command): void {
  command
    .option(
      '--until <day>',
      'the last day that counts, such as 2026-11-26; may be today (default: yesterday)',
    )
    .option('--rewards', 'pay out rewards, in SWAN, and no earnings')
    .option('--dry-run', 'show what would be paid, and do nothing')
    .action((options: { until?: string; rewards?: boolean; dryRun?: boolean }, self: Command) =>
      inSession(self, async (session) => {
        const { config, clock } = session;
        const today = dayOf(clock.wallMs());
        const day = options.until === undefined ? today - 1 : parseDay(options.until);
        if (day === undefined) throw new WrongUsage('--until is a day such as 2026-11-26.');
        if (day > today) throw new Refusal('A day that has not begun cannot be settled.');
        const chain = await theChain(config);
        try {
          const inRewards = options.rewards === true;
          const { settler, desk, decimals } = settlementRoom(session, chain, inRewards);
          if (!settler) throw new Refusal('This process has no operator key: set CYGNET_OPERATOR_KEY.');
          const money = (amount: bigint): string =>
            inRewards ? tokens(amount, decimals) : formatUsd(amount);
          if (options.dryRun) {
            const plan = await settler.plan(day);
            const { payouts, carriedOver, increase } = plan.batch;
            return {
              value: { ...plan, batch: { payouts, carriedOver, increase } },
              lines: [
                `Through ${plan.day}, entry ${plan.cut}: ${payouts.length} payouts, ${tokens(increase, decimals)} tokens in all. Nothing was done.`,
                ...table(
                  ['provider', 'wallet', '>tokens', '>remainder'],
                  payouts.map((each) => [
                    each.providerId,
                    each.account,
                    tokens(each.units, decimals),
                    money(each.remainder),
                  ]),
                ),
                ...carriedOverLines(carriedOver, money),
              ],
            };
          }
          const done = await finished(settler, await settler.settle(day), clock);
          if (!done?.settlement) {
            return { value: { settlement: null }, lines: ['Nobody is due a payout.'] };
          }
          const { settlement, step } = done;
          return {
            value: { settlement, step, file: await desk.fileOf(settlement) },
            lines: [
              `Batch ${settlement.number} through ${settlement.day}: ${tokens(settlement.increase, decimals)} tokens. It is ${settlement.state}${step === 'locked' ? ', and can be claimed when its time lock has passed' : ''}.`,
              `root ${settlement.root}`,
              `file ${await desk.fileOf(settlement)}`,
              ...(step === 'locked' || step === 'settled'
                ? []
                : [`It waits (${step}); the open market carries it on, or this command again.`]),
            ],
          };
        } finally {
          await chain.close();
        }
      }),
    );
}

function carriedOverLines(carriedOver: readonly CarriedOver[], money: (owed: bigint) => string): string[] {
  if (carriedOver.length === 0) return [];
  return [
    'Carried over:',
    ...table(
      ['provider', '>owed', 'why'],
      carriedOver.map((each) => [each.providerId, money(each.owed), each.reason]),
    ),
  ];
}

/** Rounds until the batch is published, or waits for something that takes long. */
async function finished(
  settler: Settler,
  progress: Progress | undefined,
  clock: Clock,
): Promise<Progress | undefined> {
  let now = progress;
  for (let waited = 0; now && waited < WAIT_MS; waited += POLL_MS) {
    if (now.step === 'settled' || now.step === 'locked' || now.step === 'previous-locked') return now;
    await pause(clock, POLL_MS);
    now = await settler.carryOn();
  }
  return now;
}
