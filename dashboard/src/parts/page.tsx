import { type ReactNode, useEffect, useRef } from 'react';
import { cx } from './class-names.ts';

/** The head of a page: names the tab, and takes the focus so that a reader of screens hears where it is. */
export function PageHead({
  title,
  tab = title,
  children,
  actions,
}: {
  title: ReactNode;
  /** What the browser's tab says, where the title is more than text. */
  tab?: ReactNode;
  children?: ReactNode;
  actions?: ReactNode;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  const name = typeof tab === 'string' ? tab : 'Cygnet';
  useEffect(() => {
    document.title = name === 'Cygnet' ? name : `${name} · Cygnet`;
  }, [name]);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  return (
    <header className="mb-6 flex flex-wrap items-start justify-between gap-x-6 gap-y-4">
      <div className="min-w-0">
        <h1 ref={heading} tabIndex={-1} className="text-2xl font-semibold wrap-anywhere">
          {title}
        </h1>
        {children && <div className="mt-1 max-w-2xl text-pretty text-soft">{children}</div>}
      </div>
      {actions && <div className="flex flex-wrap gap-2">{actions}</div>}
    </header>
  );
}

/** A frame around what belongs together. `flush`: its content reaches the edge, as a table does. */
export function Card({
  title,
  hint,
  actions,
  flush = false,
  className,
  children,
}: {
  title?: ReactNode;
  hint?: ReactNode;
  actions?: ReactNode;
  flush?: boolean;
  className?: string;
  children: ReactNode;
}) {
  return (
    <section className={cx('min-w-0 rounded-xl border border-line bg-surface shadow-low', className)}>
      {(title !== undefined || actions !== undefined) && (
        <header className="flex flex-wrap items-center justify-between gap-3 px-5 pt-4 pb-3">
          <div className="min-w-0">
            <h2 className="text-lg font-semibold">{title}</h2>
            {hint !== undefined && <p className="text-sm text-soft">{hint}</p>}
          </div>
          {actions !== undefined && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
        </header>
      )}
      <div className={flush ? 'min-w-0' : cx('px-5 pb-5', title === undefined && 'pt-5')}>{children}</div>
    </section>
  );
}

/** Names and what they are, in a grid of two columns. */
export function Facts({ rows }: { rows: readonly (readonly [ReactNode, ReactNode])[] }) {
  return (
    <dl className="divide-y divide-line">
      {rows.map(([name, value], place) => (
        <div key={place} className="flex items-baseline justify-between gap-6 py-2.5">
          <dt className="text-soft">{name}</dt>
          <dd className="figures min-w-0 text-right font-medium wrap-anywhere">{value}</dd>
        </div>
      ))}
    </dl>
  );
}
