import type { ReactNode } from 'react';
import { cx } from './class-names.ts';

const FILLS = ['bg-accent', 'bg-faint', 'bg-good', 'bg-warn'] as const;

/** One whole and what it is made of, as a bar and as lines. `value` decides widths alone; `shown` is what is read. */
export function PartsBar({
  label,
  parts,
}: {
  label: string;
  parts: readonly { readonly name: ReactNode; readonly value: number; readonly shown: ReactNode }[];
}) {
  const whole = parts.reduce((sum, { value }) => sum + value, 0);
  return (
    <div>
      <div
        className="flex h-2.5 gap-0.5 overflow-hidden rounded-full bg-sunken"
        role="img"
        aria-label={label}
      >
        {parts.map(({ value }, place) =>
          whole > 0 && value > 0 ? (
            <span
              key={place}
              className={cx('h-full', FILLS[place % FILLS.length])}
              style={{ width: `${(value / whole) * 100}%` }}
            />
          ) : null,
        )}
      </div>
      <dl className="mt-3 divide-y divide-line">
        {parts.map(({ name, shown, value }, place) => (
          <div key={place} className="flex items-center justify-between gap-4 py-2">
            <dt className="flex min-w-0 items-center gap-2 text-soft">
              <i className={cx('size-2 shrink-0 rounded-sm', FILLS[place % FILLS.length])} />
              {name}
            </dt>
            <dd className="figures flex items-baseline gap-3 text-right font-medium">
              {shown}
              <span className="w-12 text-sm font-normal text-faint">
                {whole > 0 ? `${((value / whole) * 100).toFixed(1)} %` : ''}
              </span>
            </dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

/** How much of something there is: `share` from 0 to 1. What it says stands in words above it. */
export function Meter({
  label,
  share,
  tone = 'accent',
}: {
  label: string;
  share: number;
  tone?: 'accent' | 'good' | 'warn' | 'bad';
}) {
  const kept = Math.max(0, Math.min(1, share));
  return (
    <div
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(kept * 100)}
      className="h-2 overflow-hidden rounded-full bg-sunken"
    >
      <span
        className={cx(
          'block h-full rounded-full',
          { accent: 'bg-accent', good: 'bg-good', warn: 'bg-warn', bad: 'bg-bad' }[tone],
        )}
        style={{ width: `${kept * 100}%` }}
      />
    </div>
  );
}

/** A figure in a table with a bar under it, so that rows can be compared at a glance. */
export function Weighed({ share, children }: { share: number; children: ReactNode }) {
  return (
    <span className="inline-block min-w-20 text-right">
      {children}
      <span className="mt-1 block h-1 rounded-full bg-sunken" aria-hidden="true">
        <span
          className="ml-auto block h-full rounded-full bg-accent"
          style={{ width: `${Math.max(0, Math.min(1, share)) * 100}%` }}
        />
      </span>
    </span>
  );
}
