import { cx } from './class-names.ts';

const FILLS = { accent: 'bg-accent', good: 'bg-good', warn: 'bg-warn', bad: 'bg-bad' } as const;

/** How much of a whole, from 0 to 1, as a bar. The figure stands beside it; the bar is for the eye. */
export function Meter({
  value,
  tone = 'accent',
  className,
}: {
  value: number;
  tone?: keyof typeof FILLS;
  className?: string;
}) {
  const width = Math.min(1, Math.max(0, value)) * 100;
  return (
    <span className={cx('block h-1.5 overflow-hidden rounded-full bg-sunken', className)} aria-hidden="true">
      <span className={cx('block h-full rounded-full', FILLS[tone])} style={{ width: `${width}%` }} />
    </span>
  );
}
