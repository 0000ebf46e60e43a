import type { KeyScope } from '#domain/key-scope.ts';
import { CATEGORIES, type Category } from '#domain/model.ts';
import { formatUsd, type Pico, parseUsd } from '#domain/money.ts';
import { AddressList } from '#kit/address-list.ts';
import { theModel } from './price.ts';
import { WrongUsage } from './refusal.ts';
import { moment } from './report.ts';
import type { Session } from './session.ts';

/** What `cygnet keys create` is told about the limits of a key. */
export interface ScopeOptions {
  models?: string;
  categories?: string;
  capDay?: string;
  capMonth?: string;
  expires?: string;
  ip?: string;
  rate?: string;
}

/** Reads the limits, except for the models, which need the catalogue. Throws `WrongUsage` that quotes what is wrong. */
export function readScope(
  options: ScopeOptions,
  now: number,
): { scope: Omit<KeyScope, 'models'>; models: readonly string[] | null; expiresAt: number | null } {
  const categories = words(options.categories);
  const stranger = categories?.find((each) => !CATEGORIES.includes(each as Category));
  if (stranger !== undefined) {
    throw new WrongUsage(`${JSON.stringify(stranger)} is no category: expected ${CATEGORIES.join(', ')}.`);
  }
  const addresses = words(options.ip);
  try {
    new AddressList(addresses ?? []).has('');
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new WrongUsage(`--ip: expected ${error.message}.`);
  }
  return {
    models: words(options.models),
    expiresAt: options.expires === undefined ? null : expiry(options.expires, now),
    scope: {
      categories: categories as Category[] | null,
      capDay: amount('--cap-day', options.capDay),
      capMonth: amount('--cap-month', options.capMonth),
      addresses,
      requestsPerMinute: options.rate === undefined ? null : rate(options.rate),
    },
  };
}

/** The canonical ids of the models that were named. Throws a `Refusal` for one that is not in the catalogue. */
export async function modelIds(session: Session, names: readonly string[] | null): Promise<string[] | null> {
  if (names === null) return null;
  const ids = new Set<string>();
  for (const name of names) ids.add((await theModel(session, name)).id);
  return [...ids];
}

/** The limits of a key in one line, for people; empty when there are none. */
export function scopeText(scope: KeyScope, expiresAt: number | null): string {
  const parts = [
    scope.models && `only ${scope.models.join(', ')}`,
    scope.categories && `only ${scope.categories.join(', ')}`,
    scope.capDay !== null && `${formatUsd(scope.capDay)} a day`,
    scope.capMonth !== null && `${formatUsd(scope.capMonth)} a month`,
    scope.addresses && `from ${scope.addresses.join(', ')}`,
    scope.requestsPerMinute !== null && `${scope.requestsPerMinute} a minute`,
    expiresAt !== null && `until ${moment(expiresAt)}`,
  ];
  return parts.filter((part) => part !== false && part !== null).join('; ');
}

/** A length of time such as `30d`, `12h` or `90m`, in milliseconds. */
export function duration(option: string, text: string): number {
  const match = /^(\d{1,6})([mhd])$/.exec(text);
  if (!match)
    throw new WrongUsage(
      `${option} is not a length of time such as 30d, 12h or 90m: ${JSON.stringify(text)}.`,
    );
  return Number(match[1]) * { m: 60_000, h: 3_600_000, d: 86_400_000 }[match[2] as 'm' | 'h' | 'd'];
}

function expiry(text: string, now: number): number {
  const at = /^\d+[mhd]$/.test(text) ? now + duration('--expires', text) : Date.parse(text);
  if (!(at > now)) throw new WrongUsage(`--expires is not a moment to come: ${JSON.stringify(text)}.`);
  return at;
}

function words(text: string | undefined): string[] | null {
  const all = text?.split(/[\s,]+/).filter((word) => word !== '') ?? [];
  return all.length === 0 ? null : [...new Set(all)];
}

function amount(option: string, text: string | undefined): Pico | null {
  if (text === undefined) return null;
  let value: Pico;
  try {
    value = parseUsd(text);
  } catch {
    value = -1n;
  }
  if (value < 0n) throw new WrongUsage(`${option} is not an amount of dollars: ${JSON.stringify(text)}.`);
  return value;
}

function rate(text: string): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value < 1)
    throw new WrongUsage(`--rate is not a number of requests a minute: ${JSON.stringify(text)}.`);
  return value;
}
