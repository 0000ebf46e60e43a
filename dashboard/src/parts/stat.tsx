import type { ReactNode } from 'react';
import { Skeleton } from './states.tsx';

/** One figure: its name, itself, and what it is compared with or made of. `undefined` while it is not known yet. */
export function Stat({
  name,
  value,
  hint,
  trend,
}: {
  name: string;
  value: ReactNode | undefined;
  hint?: ReactNode;
  /** Its course, oldest first; told in words by `name` and `hint`. */
  trend?: readonly number[] | undefined;
}) {
  return (
    <div className="flex min-h-28 min-w-0 flex-col rounded-xl border border-line bg-surface p-4 shadow-low">
      <p className="text-sm text-soft">{name}</p>
      <div className="figures mt-1 h-8 truncate text-2xl font-semibold tracking-tight">
        {value === undefined ? <Skeleton className="mt-2 h-5 w-24" /> : value}
      </div>
      <div className="mt-auto flex items-end justify-between gap-3 pt-2">
        <p className="figures min-h-5 truncate text-sm text-faint">{hint}</p>
        {trend && trend.length > 1 && <Sparkline values={trend} />}
      </div>
    </div>
  );
}

const BOX = { width: 84, height: 24 } as const;

/** A line without axes, for the course of a figure that stands beside it. */
function Sparkline({ values }: { values: readonly number[] }) {
  const most = Math.max(...values, 0);
  const x = (place: number): number => 1 + (place * (BOX.width - 2)) / Math.max(1, values.length - 1);
  const y = (value: number): number =>
    most === 0 ? BOX.height - 2 : BOX.height - 2 - (value / most) * (BOX.height - 4);
  const line = values
    .map((value, place) => `${place === 0 ? 'M' : 'L'}${x(place).toFixed(1)} ${y(value).toFixed(1)}`)
    .join('');
  return (
    <svg
      viewBox={`0 0 ${BOX.width} ${BOX.height}`}
      className="h-6 w-21 shrink-0 text-accent max-sm:hidden"
      aria-hidden="true"
    >
      <path d={`${line}L${BOX.width - 1} ${BOX.height}L1 ${BOX.height}Z`} fill="currentColor" opacity="0.1" />
      <path
        d={line}
        fill="none"
        stroke="currentColor"
        strokeWidth="1.5"
        strokeLinejoin="round"
        strokeLinecap="round"
      />
    </svg>
  );
}
