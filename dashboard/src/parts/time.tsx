import { useEffect, useState } from 'react';
import { every, wallMs } from '../surroundings.ts';
import { ago } from './format.ts';

const MOMENT = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
});
const SHORT = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
});
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
const DAY_UTC = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' });

const FORMATS = { moment: MOMENT, short: SHORT, day: DAY };

const utc = (iso: string): string => `${new Date(iso).toISOString().slice(0, 19).replace('T', ' ')} UTC`;

/** An instant in the reader's zone, with UTC on hover: as a moment, without its year (`short`), as a day, or as how long ago. */
export function Time({ at, as = 'moment' }: { at: string; as?: 'moment' | 'short' | 'day' | 'ago' }) {
  const date = new Date(at);
  return (
    <time dateTime={at} title={utc(at)} className="figures whitespace-nowrap">
      {as === 'ago' ? <Ago atMs={date.getTime()} /> : FORMATS[as].format(date)}
    </time>
  );
}

function Ago({ atMs }: { atMs: number }) {
  return ago(atMs, useNow(10_000));
}

/** Wall milliseconds, looked at again every `everyMs`. */
function useNow(everyMs: number): number {
  const [now, setNow] = useState(wallMs);
  useEffect(() => every(everyMs, () => setNow(wallMs())), [everyMs]);
  return now;
}

/** A day of the books (`2026-11-26`), which is a day in UTC. */
export function bookDay(day: string): string {
  return DAY_UTC.format(new Date(`${day}T00:00:00Z`));
}
