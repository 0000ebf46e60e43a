import type { Command } from 'commander';
import { dayName, dayOf, parseDay } from '#domain/window.ts';
import { REWARD_DECIMALS, RewardBook } from '#rewards/book.ts';
import { databaseTime, Rewarder } from '#rewards/day.ts';
import type { Phase, Share } from '#rewards/pool.ts';
import { WHOLE, type Work } from '#rewards/score.ts';
import { POOL_MAX, setTerms, setTier, TIERS, termsHistory } from '#rewards/terms.ts';
import { theProvider } from './parties.ts';
import { Refusal, WrongUsage } from './refusal.ts';
import { iso, table } from './report.ts';
import { inSession } from './session.ts';
import { tokens } from './settlements.ts';

const LISTED = 1_000;

/** `cygnet rewards` */
export function rewards(command: Command): void {
  command
    .command('terms')
    .description("set a day's pool of SWAN and how it is shared, or show the history")
    .argument('[swan]', 'whole SWAN of a day, such as 1000 or 0.5; 0 ends rewards')
    .option('--phase <number>', '1, 2 or 3 (default: 3)')
    .option('--ubi <percent>', 'how much of its basic income the phase pays (default: 100)')
    .option('--from <day>', 'the first day, such as 2026-12-01 (default: today)')
    .action(
      (text: string | undefined, wish: { phase?: string; ubi?: string; from?: string }, self: Command) => {
        const pool = text === undefined ? undefined : swan(text);
        if (pool === undefined && (wish.phase ?? wish.ubi ?? wish.from) !== undefined) {
          throw new WrongUsage('Name the pool of a day too.');
        }
        const phase = wish.phase ?? '3';
        if (!/^[123]$/.test(phase)) throw new WrongUsage('--phase is 1, 2 or 3.');
        const ubi = wish.ubi ?? '100';
        if (!/^\d{1,3}(\.\d{1,2})?$/.test(ubi) || Number(ubi) > 100) {
          throw new WrongUsage('--ubi is a percentage from 0 to 100.');
        }
        const from = wish.from === undefined ? undefined : parseDay(wish.from);
        if (wish.from !== undefined && from === undefined) {
          throw new WrongUsage('--from is a day such as 2026-12-01.');
        }
        return inSession(self, async ({ database, clock }) => {
          const at = clock.wallMs();
          if (pool !== undefined) {
            const answer = await setTerms(database, {
              pool,
              phase: Number(phase) as Phase,
              ubiBps: Math.round(Number(ubi) * 100),
              effectiveDay: from ?? dayOf(at),
              setAt: at,
            });
            if (answer === 'past') throw new Refusal('Terms cannot begin in the past.');
            if (answer === 'taken') {
              throw new Refusal('Terms are set for that day: they are never rewritten.');
            }
          }
          const history = await termsHistory(database, LISTED);
          return {
            value: history.map((each) => ({
              ...each,
              effectiveDay: dayName(each.effectiveDay),
              setAt: iso(each.setAt),
            })),
            lines: table(
              ['from (UTC)', '>SWAN a day', '>phase', '>basic income paid'],
              history.map((each) => [
                dayName(each.effectiveDay),
                tokens(each.pool, REWARD_DECIMALS),
                `${each.phase}`,
                `${each.ubiBps / 100} %`,
              ]),
            ),
          };
        });
      },
    );
  command
    .command('tier')
    .description("note what a provider's hardware counts for, which agents only claim")
    .argument('<provider>', 'its id or name')
    .argument('<tier>', '1, 1.5, 2.5 or 4')
    .action((name: string, text: string, _options: unknown, self: Command) => {
      const tier = TIERS.find((each) => `${each / 100}` === text);
      if (!tier) throw new WrongUsage('A tier is 1, 1.5, 2.5 or 4.');
      return inSession(self, async ({ database, clock }) => {
        const provider = await theProvider(database, name);
        await setTier(database, { providerId: provider.id, tier, at: clock.wallMs() });
        return {
          value: { providerId: provider.id, tier: tier / 100 },
          lines: [`The hardware of ${provider.name} counts ${text} times from today on.`],
        };
      });
    });
  command
    .command('run')
    .description('reward every day that is over (an open market does it each night), and free what is due')
    .option('--dry-run', 'show what today would give so far, and do nothing')
    .action((wish: { dryRun?: boolean }, self: Command) =>
      inSession(self, async ({ database, clock, log }) => {
        const rewarder = new Rewarder({
          database,
          clock,
          secondClock: () => databaseTime(database),
          log,
        });
        if (!wish.dryRun) {
          const done = await rewarder.round();
          return {
            value: done,
            lines: [
              done.rewarded.length === 0
                ? 'No day waits to be rewarded.'
                : `Rewarded: ${done.rewarded.join(', ')}.`,
              ...(done.vested.length === 0 ? [] : [`Freed what was locked for: ${done.vested.join(', ')}.`]),
            ],
          };
        }
        const today = dayOf(clock.wallMs());
        const plan = await rewarder.plan(today);
        if (!plan) throw new Refusal(NO_TERMS);
        const { terms, facts, shares, reserve } = plan;
        return {
          value: {
            day: dayName(today),
            pool: terms.pool,
            phase: terms.phase,
            reserve,
            market: facts.market,
            shares,
          },
          lines: [
            `${dayName(today)} so far, of ${tokens(terms.pool, REWARD_DECIMALS)} SWAN in phase ${terms.phase}. Nothing was done.`,
            ...sharesTable(shares.map((share, i) => ({ ...(facts.works[i] as Work), ...share }))),
          ],
        };
      }),
    );
  command
    .command('list')
    .description('list rewarded days, newest first')
    .action((_options: unknown, self: Command) =>
      inSession(self, async ({ database }) => {
        const days = await new RewardBook(database).days(LISTED);
        return {
          value: days,
          lines: table(
            ['day', '>phase', '>pool', '>given', '>reserve', 'locked until'],
            days.map((each) => [
              each.day,
              `${each.phase}`,
              tokens(each.pool, REWARD_DECIMALS),
              tokens(each.given, REWARD_DECIMALS),
              tokens(each.reserve, REWARD_DECIMALS),
              each.vested ? 'free' : each.vestsOn,
            ]),
          ),
        };
      }),
    );
  command
    .command('show')
    .description('show a rewarded day: what was measured, who got what, and whether it comes out again')
    .argument('<day>', 'such as 2026-11-26')
    .action((text: string, _options: unknown, self: Command) => {
      if (parseDay(text) === undefined) throw new WrongUsage('A day is such as 2026-11-26.');
      return inSession(self, async ({ database }) => {
        const book = new RewardBook(database);
        const day = await book.day(text);
        if (!day) throw new Refusal(`${text} was not rewarded.`);
        const shares = await book.sharesOf(text, LISTED);
        const differing = await book.recompute(day);
        return {
          value: { ...day, shares, differing },
          lines: [
            `${day.day}: phase ${day.phase}, ${tokens(day.pool, REWARD_DECIMALS)} SWAN, of which ${tokens(day.given, REWARD_DECIMALS)} were given. The locked part is free on ${day.vestsOn}.`,
            `The market was open ${day.marketMinutes7d} minutes of the week and ${day.marketMinutes30d} of 30 days, and ${Number(day.utilisationPpm) / 10_000} % busy.`,
            differing.length === 0
              ? 'Computed again from what was kept, every share is the same.'
              : `Computed again, these shares are others: ${differing.join(', ')}.`,
            ...sharesTable(shares),
          ],
        };
      });
    });
}

const NO_TERMS = 'No terms are in force: set a pool with npx cygnet rewards terms.';

function sharesTable(
  shares: readonly (Omit<Share, 'excluded'> & Work & { excluded?: string | null | undefined })[],
): string[] {
  return table(
    ['provider', '>inferences', '>tokens', '>hours', '>score', '>SWAN now', '>SWAN locked', 'why nothing'],
    shares.map((each) => [
      each.providerId,
      `${each.inferences}`,
      `${each.tokens}`,
      `${each.minutes7d / 60n}`,
      (Number(each.score) / Number(WHOLE)).toFixed(4),
      tokens(each.liquid, REWARD_DECIMALS),
      tokens(each.locked, REWARD_DECIMALS),
      each.excluded ?? '',
    ]),
  );
}

/** Whole SWAN as people write them, in units. */
function swan(text: string): bigint {
  const [, whole = '', rest = ''] = /^(\d{1,10})(?:\.(\d{1,18}))?$/.exec(text) ?? [];
  if (whole === '') throw new WrongUsage('The pool is a number of SWAN such as 1000 or 0.5.');
  const units = BigInt(whole + rest.padEnd(REWARD_DECIMALS, '0'));
  if (units > POOL_MAX) throw new WrongUsage('There are no more than 1,000,000,000 SWAN.');
  return units;
}
