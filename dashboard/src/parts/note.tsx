import { CircleAlert, CircleCheck, Info, TriangleAlert } from 'lucide-react';
import type { ReactNode } from 'react';
import type { Tone } from './badge.tsx';
import { cx } from './class-names.ts';

const LOOKS = {
  neutral: ['bg-sunken text-soft', Info],
  accent: ['bg-accent-wash text-accent', Info],
  good: ['bg-good-wash text-good', CircleCheck],
  warn: ['bg-warn-wash text-warn', TriangleAlert],
  bad: ['bg-bad-wash text-bad', CircleAlert],
} as const satisfies Record<Tone, unknown>;

/** One thing that the reader has to know here, with what to do about it at its end. */
export function Note({
  tone = 'neutral',
  children,
  action,
}: {
  tone?: Tone;
  children: ReactNode;
  action?: ReactNode;
}) {
  const [look, Icon] = LOOKS[tone];
  return (
    <div className={cx('flex flex-wrap items-center gap-x-4 gap-y-2 rounded-xl px-4 py-3', look)}>
      <div className="flex min-w-0 flex-1 basis-64 items-start gap-2.5">
        <Icon size={16} aria-hidden className="mt-0.5 shrink-0" />
        <div className="min-w-0">{children}</div>
      </div>
      {action}
    </div>
  );
}
