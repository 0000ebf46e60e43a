import type { Command } from 'commander';
import { wholeTokens } from '#domain/asset.ts';
import type { Hex } from '#domain/hex.ts';
import { formatUsd } from '#domain/money.ts';
import { Burns } from '#funds/burns.ts';
import { anyChain } from './chain-session.ts';
import { dollars } from './credit.ts';
import { type DaysWish, daysOf, LONG, statementsOf } from './papers.ts';
import { Refusal, WrongUsage } from './refusal.ts';
import { iso, moment, table } from './report.ts';
import { inSession } from './session.ts';

const LISTED = 1_000;
const SWAN_DECIMALS = 18;

/** `cygnet treasury` */
export function treasury(command: Command): void {
  command
    .command('show')
    .description('what the market itself has, and what is due to be burned')
    .action((_options: unknown, self: Command) =>
      inSession(self, async (session) => {
        const has = await statementsOf(session).treasury();
        return {
          value: has,
          lines: table(
            ['account', '>amount'],
            [
              ['treasury', formatUsd(has.treasury)],
              ['due to be burned', formatUsd(has.burnDue)],
              ['burned so far', formatUsd(has.burned)],
              ['fees of charges', formatUsd(has.fees)],
              ['fees of plans', formatUsd(has.plans)],
              ['slashed collateral', formatUsd(has.slashed)],
              ['credit given away', formatUsd(-has.promo)],
              ['service level credits', formatUsd(-has.sla)],
            ],
          ),
        };
      }),
    );
  command
    .command('history')
    .description('what raised and lowered the treasury and the money for burns, by month')
    .option('--from <day>', 'the first day, such as 2026-11-01 (default: thirty days in all)')
    .option('--to <day>', 'the last day (default: today)')
    .action((wish: DaysWish, self: Command) =>
      inSession(
        self,
        async (session) => {
          const rows = await statementsOf(session).movements(daysOf(wish, session.clock).range);
          return {
            value: rows,
            lines: table(
              ['month', 'account', 'kind', '>entries', '>amount'],
              rows.map((row) => [row.month, row.account, row.kind, `${row.entries}`, formatUsd(row.amount)]),
            ),
          };
        },
        LONG,
      ),
    );
  command
    .command('burn')
    .description('note SWAN that was burned with the money set aside for it')
    .requiredOption('--tx <hash>', 'the transaction that burned it: repeating it notes nothing twice')
    .option('--swan <amount>', 'how much was burned at least (default: what the chain saw)')
    .option('--usd <usd>', "what it cost (default: at the operator's rate of now)")
    .option('--unverified <chain>', 'believe it without asking, on the chain of this id')
    .action((wish: { tx: string; swan?: string; usd?: string; unverified?: string }, self: Command) => {
      if (!/^0x[0-9a-fA-F]{64}$/.test(wish.tx)) {
        throw new WrongUsage('--tx is a transaction: 0x and 64 hexadecimal digits.');
      }
      const transaction = wish.tx.toLowerCase() as Hex;
      const spent = wish.usd === undefined ? undefined : dollars(wish.usd);
      const unverified = wish.unverified === undefined ? undefined : { chainId: chainIdOf(wish.unverified) };
      return inSession(self, async ({ config, database, clock }) => {
        const chain = unverified ? undefined : await anyChain(config);
        try {
          const decimals = chain?.assets.find(({ asset }) => asset === 'SWAN')?.decimals ?? SWAN_DECIMALS;
          const units = wish.swan === undefined ? undefined : unitsOf(wish.swan, decimals);
          const burns = new Burns({ database, chain, clock });
          const answer = await burns.note({ transaction, units, spent, unverified, actor: 'cli' });
          if (answer.state === 'refused') throw new Refusal(answer.reason);
          const { burn, state } = answer;
          return {
            value: { ...burn, at: iso(burn.at), state },
            lines: [
              `${wholeTokens(burn.units, decimals)} SWAN for ${formatUsd(burn.spent)}${burn.verified ? '' : ', not verified'}: ${state === 'noted' ? 'noted' : 'noted before, nothing changed'}.`,
            ],
          };
        } finally {
          await chain?.close();
        }
      });
    });
  command
    .command('burns')
    .description('list burns, newest first')
    .action((_options: unknown, self: Command) =>
      inSession(self, async ({ database, clock }) => {
        const all = await new Burns({ database, chain: undefined, clock }).list(LISTED);
        return {
          value: all.map((each) => ({ ...each, at: iso(each.at) })),
          lines: table(
            ['noted (UTC)', 'chain', 'transaction', '>SWAN', '>cost', 'verified'],
            all.map((each) => [
              moment(each.at),
              `${each.chainId}`,
              each.transaction,
              wholeTokens(each.units, SWAN_DECIMALS),
              formatUsd(each.spent),
              each.verified ? 'yes' : 'no',
            ]),
          ),
        };
      }),
    );
}

function chainIdOf(text: string): number {
  const id = Number(text);
  if (!Number.isSafeInteger(id) || id < 1)
    throw new WrongUsage('--unverified is the id of a chain, such as 254.');
  return id;
}

/** Reads whole tokens as their smallest unit. */
function unitsOf(text: string, decimals: number): bigint {
  const match = /^(\d{1,30})(?:\.(\d+))?$/.exec(text);
  const rest = match?.[2] ?? '';
  if (!match || rest.length > decimals) {
    throw new WrongUsage(`--swan is an amount of at most ${decimals} decimals, such as 1000.5.`);
  }
  const units =
    BigInt(match[1] as string) * 10n ** BigInt(decimals) + BigInt(rest.padEnd(decimals, '0') || '0');
  if (units === 0n) throw new WrongUsage('--swan is more than nothing.');
  return units;
}
