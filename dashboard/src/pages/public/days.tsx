import { percent, plural } from '../../parts/format.ts';
import { bookDay } from '../../parts/time.tsx';
import type { Component } from './figures.ts';

const BAR = { width: 7, gap: 3, height: 32 } as const;

const FILLS = {
  good: 'fill-good',
  fair: 'fill-warn',
  poor: 'fill-bad',
  none: 'fill-line',
} as const;

/** A bar for each of 90 days, coloured by what was answered; each says its day and share to who points at it. */
export function Days({ days }: { days: Component['days'] }) {
  const step = BAR.width + BAR.gap;
  const width = 90 * step - BAR.gap;
  const first = 90 - days.length;
  const known = days.filter((day) => day.availability !== null);
  return (
    <div>
      <svg
        viewBox={`0 0 ${width} ${BAR.height}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={
          known.length === 0
            ? 'Nothing was asked in 90 days'
            : `${plural(known.length, 'day')} with requests, of 90`
        }
        className="h-9 w-full"
      >
        {Array.from({ length: first }, (_, place) => (
          <rect
            key={place}
            className={FILLS.none}
            x={place * step}
            width={BAR.width}
            height={BAR.height}
            rx="1.5"
          />
        ))}
        {days.map(({ day, requests, probes, availability }, place) => {
          const of = requests > 0 ? plural(requests, 'request') : plural(probes, 'probe');
          const words = availability === null ? 'nothing was asked' : `${percent(availability)} of ${of}`;
          return (
            <rect
              key={day}
              className={FILLS[grade(availability)]}
              x={(first + place) * step}
              width={BAR.width}
              height={BAR.height}
              rx="1.5"
            >
              <title>{`${bookDay(day)}: ${words}`}</title>
            </rect>
          );
        })}
      </svg>
      <div className="mt-1.5 flex justify-between text-xs text-faint">
        <span>90 days ago</span>
        <span>Today</span>
      </div>
    </div>
  );
}

function grade(share: number | null): keyof typeof FILLS {
  return share === null ? 'none' : share >= 0.999 ? 'good' : share >= 0.99 ? 'fair' : 'poor';
}
