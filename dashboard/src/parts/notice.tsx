import { CircleAlert, Info, type LucideIcon, TriangleAlert } from 'lucide-react';
import type { ReactNode } from 'react';
import { cx } from './class-names.ts';

const LOOKS: Readonly<Record<'info' | 'warn' | 'bad', { icon: LucideIcon; ground: string; ink: string }>> = {
  info: { icon: Info, ground: 'bg-accent-wash', ink: 'text-accent' },
  warn: { icon: TriangleAlert, ground: 'bg-warn-wash', ink: 'text-warn' },
  bad: { icon: CircleAlert, ground: 'bg-bad-wash', ink: 'text-bad' },
};

/** Something to know before going on: what it is, what follows from it, and what to do. */
export function Notice({
  tone = 'info',
  title,
  children,
  action,
  className,
}: {
  tone?: keyof typeof LOOKS;
  title: ReactNode;
  children?: ReactNode;
  action?: ReactNode;
  className?: string;
}) {
  const { icon: Icon, ground, ink } = LOOKS[tone];
  return (
    <div
      role="note"
      className={cx(
        'flex flex-wrap items-center gap-x-4 gap-y-3 rounded-xl border border-line px-4 py-3',
        ground,
        className,
      )}
    >
      <Icon size={18} className={cx('shrink-0 max-sm:hidden', ink)} aria-hidden />
      <div className="min-w-0 flex-1 basis-60">
        <p className={cx('font-semibold', ink)}>{title}</p>
        {children && <p className="text-ink">{children}</p>}
      </div>
      {action}
    </div>
  );
}
