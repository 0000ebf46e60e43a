import type { Command } from 'commander';
import { readTiers, setTier } from '#catalogue/tiers.ts';
import { TIER_NAMES, type TierTerms } from '#domain/tier.ts';
import { WrongUsage } from './refusal.ts';
import { table } from './report.ts';
import { inSession } from './session.ts';

/** The least and the most of each term; `none` takes away those that may be without. */
const TERMS = {
  'prompt-tokens': {
    of: 'promptTokensMax',
    least: 1,
    most: 100_000_000,
    none: true,
    about: 'longest prompt',
  },
  'output-tokens': {
    of: 'outputTokensMax',
    least: 1,
    most: 100_000_000,
    none: true,
    about: 'longest answer',
  },
  concurrent: { of: 'concurrent', least: 1, most: 1_000_000, none: true, about: 'requests at once' },
  burst: { of: 'burst', least: 1, most: 1_000_000, none: true, about: 'requests in ten seconds' },
  weight: { of: 'weight', least: 1, most: 1_000, none: false, about: 'share of a busy model' },
  'queue-ms': { of: 'queueDeadlineMs', least: 0, most: 600_000, none: false, about: 'longest wait' },
  retries: { of: 'retriesMax', least: 0, most: 20, none: true, about: 'attempts beyond the first' },
  'price-factor': {
    of: 'priceFactor',
    least: 10_000,
    most: 1_000_000,
    none: false,
    about: 'what of the price is paid, in basis points',
  },
} as const;
const POLICIES = ['before', 'after', 'never'] as const;

/** `cygnet tiers` */
export function tiers(command: Command): void {
  command
    .command('list')
    .description('show what each tier gets')
    .action((_options: unknown, self: Command) =>
      inSession(self, async ({ database }) => {
        const all = await readTiers(database.sql);
        const none = (value: number | null): string => (value === null ? '–' : `${value}`);
        return {
          value: Object.values(all),
          lines: table(
            [
              'tier',
              '>prompt tokens',
              '>output tokens',
              '>at once',
              '>in 10 s',
              '>weight',
              '>waits ms',
              '>retries',
              'smaller model',
              '>price factor',
            ],
            TIER_NAMES.map((name) => all[name]).map((tier) => [
              tier.name,
              none(tier.promptTokensMax),
              none(tier.outputTokensMax),
              none(tier.concurrent),
              none(tier.burst),
              `${tier.weight}`,
              `${tier.queueDeadlineMs}`,
              none(tier.retriesMax),
              tier.smallerModel,
              `${tier.priceFactor}`,
            ]),
          ),
        };
      }),
    );
  const set = command
    .command('set')
    .description('set terms of a tier from now on; what is not named stays')
    .argument('<tier>', TIER_NAMES.join(', '))
    .option('--smaller-model <policy>', `while a model is in trouble: ${POLICIES.join(', ')}`);
  for (const [name, { about, none }] of Object.entries(TERMS))
    set.option(`--${name} <number>`, none ? `${about}, or none` : about);
  set.action((given: string, options: Record<string, string | undefined>, self: Command) => {
    const tier = TIER_NAMES.find((each) => each === given);
    if (!tier)
      throw new WrongUsage(`${JSON.stringify(given)} is no tier: expected ${TIER_NAMES.join(', ')}.`);
    const terms = termsOf(options);
    if (Object.keys(terms).length === 0) throw new WrongUsage('Name at least one term to set.');
    return inSession(self, async ({ database, clock }) => {
      const value = await setTier(database, tier, terms, { actor: 'command line', at: clock.wallMs() });
      return {
        value,
        lines: [`${value.title} has its new terms; every gateway knows them within a second.`],
      };
    });
  });
}

function termsOf(options: Record<string, string | undefined>): Partial<TierTerms> {
  const terms: Record<string, number | string | null> = {};
  for (const [name, { of, least, most, none }] of Object.entries(TERMS)) {
    const given = options[name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())];
    if (given === undefined) continue;
    const number = /^\d{1,9}$/.test(given) ? Number(given) : Number.NaN;
    if (none && given === 'none') terms[of] = null;
    else if (number >= least && number <= most) terms[of] = number;
    else {
      throw new WrongUsage(
        `--${name} is a whole number from ${least} to ${most}${none ? ', or none' : ''}, not ${JSON.stringify(given)}.`,
      );
    }
  }
  const policy = options['smallerModel'];
  if (policy !== undefined) {
    if (!POLICIES.some((each) => each === policy))
      throw new WrongUsage(
        `--smaller-model is one of ${POLICIES.join(', ')}, not ${JSON.stringify(policy)}.`,
      );
    terms['smallerModel'] = policy;
  }
  return terms;
}
