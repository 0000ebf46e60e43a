import { decimalUsd, parseUsd } from '#domain/money.ts';
import type { ProviderHealthAnswer } from '#wire/console.ts';
import type { Period } from './api.ts';

const DAY_MS = 86_400_000;

/** What somebody typed, `20` or `20.5`, in the token's smallest unit; undefined for what is no such amount. */
export function tokenUnits(text: string, decimals: number): bigint | undefined {
  const found = /^(\d{1,12})(?:\.(\d+))?$/.exec(text.trim());
  if (!found) return undefined;
  const [, whole = '0', rest = ''] = found;
  return rest.length > decimals ? undefined : BigInt(`${whole}${rest.padEnd(decimals, '0')}`);
}

/** Decimal texts of dollars, added up exactly. */
export function sumUsd(amounts: readonly string[]): string {
  return decimalUsd(amounts.reduce((sum, each) => sum + signed(each), 0n));
}

function signed(text: string): bigint {
  return text.startsWith('-') ? -parseUsd(text.slice(1)) : parseUsd(text);
}

/** The name of a day in UTC, `2026-11-26`. */
export function dayNameOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** Periods from a day to a day (both included), oldest first: as statements name them, and the instant that each begins. */
export function periodsBetween(from: string, to: string, period: Period): { name: string; at: number }[] {
  const found = new Map<string, number>();
  for (let at = Date.parse(from); at <= Date.parse(to); at += DAY_MS) {
    const name = periodOf(at, period);
    if (!found.has(name)) found.set(name, beginning(at, period));
  }
  return [...found].map(([name, at]) => ({ name, at }));
}

function periodOf(at: number, period: Period): string {
  const day = dayNameOf(at);
  if (period === 'day') return day;
  if (period === 'month') return day.slice(0, 7);
  // ISO 8601: a week belongs to the year of its Thursday.
  const thursday = beginning(at, 'week') + 3 * DAY_MS;
  const year = new Date(thursday).getUTCFullYear();
  const week = Math.floor((thursday - Date.UTC(year, 0, 1)) / (7 * DAY_MS)) + 1;
  return `${year}-W${String(week).padStart(2, '0')}`;
}

function beginning(at: number, period: Period): number {
  if (period === 'month') return Date.parse(`${dayNameOf(at).slice(0, 7)}-01`);
  if (period === 'day') return at;
  return at - ((new Date(at).getUTCDay() + 6) % 7) * DAY_MS;
}

/** The last part of a model's id, for where there is little room. */
export function shortModel(id: string): string {
  return id.slice(id.lastIndexOf('/') + 1);
}

/** Of what was tried with a provider, how much it served; null where nothing was. */
export function successOf(health: Pick<ProviderHealthAnswer, 'models'>): number | null {
  const served = health.models.reduce((sum, each) => sum + each.attempts_served, 0);
  const failed = health.models.reduce((sum, each) => sum + each.attempts_failed, 0);
  return served + failed === 0 ? null : served / (served + failed);
}
