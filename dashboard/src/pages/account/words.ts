import type { RequestAnswer, RequestsAnswer, SessionsEndedAnswer } from '#wire/dashboard.ts';
import type { Tone } from '../../parts/badge.tsx';
import { plural, whole } from '../../parts/format.ts';
import type { Duration } from './api.ts';

/** Words for what the market has codes for. */
type Outcome = RequestsAnswer['requests'][number]['outcome'];

export const OUTCOMES: Readonly<Record<Outcome, { tone: Tone; words: string }>> = {
  completed: { tone: 'good', words: 'Completed' },
  cancelled: { tone: 'neutral', words: 'Cancelled' },
  broken: { tone: 'warn', words: 'Cut off' },
  failed: { tone: 'bad', words: 'Failed' },
  refused: { tone: 'warn', words: 'Refused' },
};

export const DURATIONS: readonly { value: Duration; label: string }[] = [
  { value: '24h', label: '24 h' },
  { value: '7d', label: '7 days' },
  { value: '30d', label: '30 days' },
  { value: '90d', label: '90 days' },
];
export const DURATION_MS: Readonly<Record<Duration, number>> = {
  '24h': 86_400_000,
  '7d': 7 * 86_400_000,
  '30d': 30 * 86_400_000,
  '90d': 90 * 86_400_000,
};
const LENGTHS: Readonly<Record<Duration, string>> = {
  '24h': '24 hours',
  '7d': '7 days',
  '30d': '30 days',
  '90d': '90 days',
};

export function durationOf(text: string): Duration {
  return DURATIONS.find(({ value }) => value === text)?.value ?? '30d';
}

/** `+12 % on the 30 days before`; undefined where there was nothing to compare with. */
export function changeOn(now: number, before: number, duration: Duration): string | undefined {
  if (before <= 0) return undefined;
  const percents = Math.round((now / before - 1) * 100);
  const said = percents === 0 ? 'As in' : `${percents > 0 ? '+' : '−'}${whole(Math.abs(percents))} % on`;
  return `${said} the ${LENGTHS[duration]} before`;
}

/** What stands for the model of a request that was refused before it was known which. */
const NO_MODEL = 'No model';

/** A model's name without its maker: what fits into a cell. */
export function shortModel(id: string | null): string {
  if (id === null) return NO_MODEL;
  return id.slice(id.lastIndexOf('/') + 1);
}

/** What came of one attempt, as `domain/serving.ts` names it. */
export const RESULTS: Readonly<Record<string, { tone: Tone; words: string }>> = {
  served: { tone: 'good', words: 'Served' },
  empty: { tone: 'warn', words: 'Empty answer' },
  busy: { tone: 'neutral', words: 'Was busy' },
  refused: { tone: 'neutral', words: 'Cannot serve it' },
  failed: { tone: 'bad', words: 'Failed' },
  lost: { tone: 'bad', words: 'Connection lost' },
  slow: { tone: 'warn', words: 'Too slow' },
  endless: { tone: 'warn', words: 'Said too much' },
  left: { tone: 'neutral', words: 'You left' },
  stopped: { tone: 'neutral', words: 'Stopped by the market' },
};

export const FAULTS: Readonly<Record<NonNullable<RequestAnswer['served']['at_fault']>, string>> = {
  caller: 'the request’s own',
  provider: 'the provider’s',
  platform: 'the market’s',
};

export const FALLBACKS: Readonly<Record<NonNullable<RequestAnswer['served']['fallback_used']>, string>> = {
  'smaller-model': 'A smaller model stood in',
  'other-model': 'Another model of your list stood in',
  endpoint: 'A reserve endpoint stood in',
};

export const MOVEMENTS: Readonly<Record<string, string>> = {
  charge: 'Usage',
  deposit: 'Deposit',
  grant: 'Credit',
  bonus: 'Bonus',
  'plan-fee': 'Plan fee',
  'sla-credit': 'Service level credit',
  reversal: 'Deposit taken back',
  reinstatement: 'Deposit given again',
};

/** A code of the market as words: `plan-fee` as `Plan fee`. */
export function worded(code: string): string {
  const text = code.replaceAll(/[-_]/g, ' ');
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

const MONTH = new Intl.DateTimeFormat('en-GB', { month: 'long', year: 'numeric', timeZone: 'UTC' });

/** `2026-11` as November 2026. */
export function monthName(month: string): string {
  return MONTH.format(new Date(`${month}-01T00:00:00Z`));
}

/** Parts per million as percents, never rounded up: 997856 as `99.785 %`. */
export function ppm(parts: number): string {
  return `${(Math.floor(parts / 10) / 1_000).toFixed(3).replace(/0$/, '')} %`;
}

/** Basis points as percents. */
export function basisPoints(points: number): string {
  return `${points / 100} %`;
}

/** The browser and system of a program's own name, as far as they can be told. */
export function programName(program: string): string {
  const browser = BROWSERS.find(([mark]) => program.includes(mark))?.[1];
  const system = SYSTEMS.find(([mark]) => program.includes(mark))?.[1];
  if (browser === undefined)
    return program === '' ? 'Unnamed program' : (program.split(/[\s/]/)[0] ?? program);
  return system === undefined ? browser : `${browser} on ${system}`;
}

const BROWSERS = [
  ['Edg/', 'Edge'],
  ['OPR/', 'Opera'],
  ['Firefox/', 'Firefox'],
  ['Chrome/', 'Chrome'],
  ['Safari/', 'Safari'],
] as const;
const SYSTEMS = [
  ['iPhone', 'iPhone'],
  ['iPad', 'iPad'],
  ['Android', 'Android'],
  ['Windows', 'Windows'],
  ['Mac OS', 'macOS'],
  ['Linux', 'Linux'],
] as const;

/** What became of the keys that were made in sessions that ended, as a sentence to be put behind another. */
export function keysWords({
  keys_made,
  keys_revoked,
}: Pick<SessionsEndedAnswer, 'keys_made' | 'keys_revoked'>): string {
  if (keys_made === 0) return '';
  return keys_revoked > 0
    ? ` ${plural(keys_revoked, 'key')} revoked.`
    : ` ${plural(keys_made, 'key')} made there still work: look at Keys.`;
}
