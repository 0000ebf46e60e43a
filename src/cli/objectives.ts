import type { Command } from 'commander';
import { TIER_NAMES, type TierName } from '#domain/tier.ts';
import { Fault } from '#kit/fault.ts';
import { type Indicator, objectivesOf } from '#reliability/objective-report.ts';
import {
  figuresOf,
  OBJECTIVE_BOUNDS,
  type ObjectiveFigures,
  setObjectives,
  versionsOf,
} from '#reliability/objective-terms.ts';
import { firstObjectives } from '#reliability/objectives.ts';
import { WrongUsage } from './refusal.ts';
import { moment, table } from './report.ts';
import { inSession } from './session.ts';

const DAY_MS = 86_400_000;
const DAYS_MAX = 35;

/** The options of `set`: shares in percent, times in milliseconds. */
const SETTINGS = {
  availability: { of: 'availabilityPpm', percent: true, about: 'least share of available minutes, percent' },
  'ttft-p95-ms': { of: 'ttftP95Ms', percent: false, about: 'p95 of the time to the first token' },
  'ttlt-256-ms': { of: 'ttlt256P95Ms', percent: false, about: 'p95 of answers up to 256 tokens' },
  'ttlt-512-ms': { of: 'ttlt512P95Ms', percent: false, about: 'p95 of answers up to 512 tokens' },
  'server-errors': { of: 'serverErrorsPpm', percent: true, about: 'largest share of 5xx, percent' },
  'too-many': { of: 'tooManyPpm', percent: true, about: 'largest share of 429, percent' },
} as const satisfies Record<string, { of: keyof ObjectiveFigures; percent: boolean; about: string }>;

/** `cygnet objectives` */
export function objectives(command: Command): void {
  report(command);
  const set = command
    .command('set')
    .description('set objectives of a tier from the next minute on; what is not named stays')
    .argument('<tier>', TIER_NAMES.join(', '));
  for (const [name, { about, percent }] of Object.entries(SETTINGS))
    set.option(`--${name} <${percent ? 'percent' : 'number'}>`, about);
  set.action((given: string, options: Record<string, string | undefined>, self: Command) => {
    const tier = tierNamed(given);
    const changes = changesOf(options);
    if (Object.keys(changes).length === 0) throw new WrongUsage('Name at least one objective to set.');
    return inSession(self, async ({ database, clock }) => {
      const by = { actor: 'command line', at: clock.wallMs() };
      const value = await setObjectives(database, tier, changes, by).catch((error: unknown) => {
        if (error instanceof Fault && error.code === 'request-invalid') throw new WrongUsage(error.outer);
        throw error;
      });
      return {
        value,
        lines: [
          `From ${moment(value.fromMs)} on ${tier} is judged by them; what is past is not judged anew.`,
        ],
      };
    });
  });
  command
    .command('history')
    .description('show which objectives of a tier held from when, and who set them')
    .argument('<tier>', TIER_NAMES.join(', '))
    .action((given: string, _options: unknown, self: Command) => {
      const tier = tierNamed(given);
      return inSession(self, async ({ database }) => {
        const value = (await versionsOf(database.sql)).filter((each) => each.tier === tier).toReversed();
        const first = figuresOf(firstObjectives(tier));
        const row = (from: string, by: string, figures: ObjectiveFigures): string[] => [
          from,
          by,
          ...Object.values(SETTINGS).map(({ of, percent }) =>
            percent ? `${figures[of] / 10_000} %` : `${figures[of]} ms`,
          ),
        ];
        return {
          value,
          lines: table(
            ['from (UTC)', 'by', ...HEADS.map((head) => `>${head}`)],
            [
              ...value.map((each) => row(moment(each.fromMs), each.actor, each.figures)),
              row('the beginning', '–', first),
            ],
          ),
        };
      });
    });
}

function tierNamed(given: string): TierName {
  const tier = TIER_NAMES.find((each) => each === given);
  if (!tier) throw new WrongUsage(`${JSON.stringify(given)} is no tier: expected ${TIER_NAMES.join(', ')}.`);
  return tier;
}

function changesOf(options: Record<string, string | undefined>): Partial<ObjectiveFigures> {
  const changes: Partial<Record<keyof ObjectiveFigures, number>> = {};
  for (const [name, { of, percent }] of Object.entries(SETTINGS)) {
    const given = options[name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())];
    if (given === undefined) continue;
    const { least, most } = OBJECTIVE_BOUNDS[of];
    // Four places of a percent are one part per million: more would be rounded.
    const number = (percent ? /^\d{1,3}(\.\d{1,4})?$/ : /^\d{1,6}$/).test(given)
      ? Math.round(Number(given) * (percent ? 10_000 : 1))
      : Number.NaN;
    if (!(number >= least && number <= most)) {
      const bound = (value: number): string => `${percent ? value / 10_000 : value}`;
      throw new WrongUsage(
        `--${name} is a ${percent ? 'share in percent' : 'whole number'} from ${bound(least)} to ${bound(most)}, not ${JSON.stringify(given)}.`,
      );
    }
    changes[of] = number;
  }
  return changes;
}

function report(command: Command): void {
  command
    .option('--days <number>', `how far back, at most ${DAYS_MAX}`, '30')
    .action(({ days: text }: { days: string }, self: Command) => {
      const days = /^\d{1,2}$/.test(text) ? Number(text) : 0;
      if (days < 1 || days > DAYS_MAX) throw new WrongUsage(`--days is a number from 1 to ${DAYS_MAX}.`);
      return inSession(self, async ({ database, clock }) => {
        const until = clock.wallMs();
        const rows = await objectivesOf(database, { from: until - days * DAY_MS, until });
        const stretches = new Set(rows.map(({ from }) => from)).size;
        return {
          value: rows,
          lines: table(
            [
              ...(stretches > 1 ? ['from (UTC)'] : []),
              'tier',
              'model',
              'region',
              ...HEADS.map((head) => `>${head}`),
              '>budget left',
            ],
            rows.map((row) => [
              ...(stretches > 1 ? [moment(row.from)] : []),
              row.tier,
              row.modelId || 'all',
              row.region || 'all',
              ...row.indicators.map(shown),
              `${row.budget.left.toFixed(1)} of ${row.budget.allowed.toFixed(1)} min`,
            ]),
          ),
        };
      });
    });
}

const HEADS = ['available', 'ttft p95', 'ttlt 256', 'ttlt 512', '5xx', '429'];
const MILLISECONDS: ReadonlySet<string> = new Set(['ttft-p95', 'ttlt-256-p95', 'ttlt-512-p95']);

/** What was measured; with a mark where the objective was missed. */
function shown({ name, measured, met }: Indicator): string {
  if (measured === null) return '–';
  const text = MILLISECONDS.has(name) ? `${Math.round(measured)} ms` : `${(measured * 100).toFixed(2)} %`;
  return met === false ? `${text} !` : text;
}
