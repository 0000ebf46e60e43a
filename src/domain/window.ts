/** Days and months in UTC. The only place that knows when one ends. */

const DAY_MS = 86_400_000;

/** The day of an instant, in days since 1970. */
export function dayOf(wallMs: number): number {
  return Math.floor(wallMs / DAY_MS);
}

/** When a day (as `dayOf` counts) begins, in wall milliseconds. */
export function dayStart(day: number): number {
  return day * DAY_MS;
}

/** A day as it is written: `2026-11-26`. */
export function dayName(day: number): string {
  return new Date(dayStart(day)).toISOString().slice(0, 10);
}

/** Reads a day as `dayName` writes it; undefined when it is none. */
export function parseDay(text: string): number | undefined {
  const at = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(at)) return undefined;
  // The 31st of February would otherwise pass as a day of March.
  return dayName(dayOf(at)) === text ? dayOf(at) : undefined;
}

/** The week of an instant, from Monday, in weeks since Monday the 29th of December 1969. */
export function weekOf(wallMs: number): number {
  return Math.floor((dayOf(wallMs) + 3) / 7);
}

/** When a week (as `weekOf` counts) begins, in wall milliseconds. */
export function weekStart(week: number): number {
  return dayStart(week * 7 - 3);
}

/** The calendar month of an instant, in months since January 1970. */
export function monthOf(wallMs: number): number {
  const date = new Date(wallMs);
  return (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth();
}

/** When a month (as `monthOf` counts) begins, in wall milliseconds. */
export function monthStart(month: number): number {
  return Date.UTC(1970, month, 1);
}

/** A month as it is written: `2026-11`. */
export function monthName(month: number): string {
  return new Date(monthStart(month)).toISOString().slice(0, 7);
}

/** Reads a month as `monthName` writes it; undefined when it is none. */
export function parseMonth(text: string): number | undefined {
  const match = /^(\d{4})-(0[1-9]|1[0-2])$/.exec(text);
  return match ? (Number(match[1]) - 1970) * 12 + Number(match[2]) - 1 : undefined;
}

/**
 * The same day of the month, `months` later; the last of that month where it has no such day (three months after
 * 30 November is 28 or 29 February). Days as `dayOf` counts.
 */
export function monthsAfter(day: number, months: number): number {
  const date = new Date(dayStart(day));
  const month = date.getUTCFullYear() * 12 + date.getUTCMonth() + months;
  const [year, place] = [Math.floor(month / 12), month % 12];
  const last = new Date(Date.UTC(year, place + 1, 0)).getUTCDate();
  return dayOf(Date.UTC(year, place, Math.min(date.getUTCDate(), last)));
}
