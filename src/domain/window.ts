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

/** The calendar month of an instant, in months since January 1970. */
export function monthOf(wallMs: number): number {
  const date = new Date(wallMs);
  return (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth();
}

/** When a month (as `monthOf` counts) begins, in wall milliseconds. */
export function monthStart(month: number): number {
  return Date.UTC(1970, month, 1);
}
