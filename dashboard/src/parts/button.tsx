import { Link } from '@tanstack/react-router';
import type { LucideIcon } from 'lucide-react';
import type { ComponentProps, ReactNode } from 'react';
import { cx } from './class-names.ts';

/** `primary` once on a screen; `danger` only where something is lost; `quiet` for tools. */
export type ButtonKind = 'primary' | 'plain' | 'quiet' | 'danger';

const KINDS: Readonly<Record<ButtonKind, string>> = {
  primary: 'bg-accent text-accent-ink hover:bg-accent-hover shadow-low',
  plain: 'bg-surface text-ink border border-line-strong hover:bg-hover shadow-low',
  quiet: 'text-soft hover:bg-hover hover:text-ink',
  danger: 'bg-surface text-bad border border-line-strong hover:bg-bad-wash hover:border-bad shadow-low',
};
const SIZES = {
  sm: 'h-7 px-2.5 text-sm gap-1.5',
  md: 'h-9 px-3.5 text-base gap-2',
  lg: 'h-11 px-5 text-lg gap-2',
};

function look(kind: ButtonKind, size: keyof typeof SIZES, more?: string): string {
  return cx(
    'inline-flex shrink-0 items-center justify-center rounded-lg font-medium whitespace-nowrap transition-colors disabled:opacity-55',
    KINDS[kind],
    SIZES[size],
    more,
  );
}

interface Looks {
  kind?: ButtonKind;
  size?: keyof typeof SIZES;
  icon?: LucideIcon;
}

/** A button. While `busy` it cannot be pressed again, and says so. */
export function Button({
  kind = 'plain',
  size = 'md',
  icon: Icon,
  busy = false,
  children,
  className,
  ...rest
}: Looks & { busy?: boolean } & ComponentProps<'button'>) {
  return (
    <button
      type="button"
      {...rest}
      disabled={rest.disabled === true || busy}
      aria-busy={busy || undefined}
      className={look(kind, size, className)}
    >
      {busy ? <Spinner /> : Icon && <Icon size={size === 'sm' ? 14 : 16} aria-hidden />}
      {children}
    </button>
  );
}

/** Goes somewhere, and looks like a button. `to` is one of our pages, `href` an address that is none. */
export function ButtonLink({
  kind = 'plain',
  size = 'md',
  icon: Icon,
  to,
  href,
  search,
  children,
  className,
}: Looks & {
  to?: string;
  href?: string;
  search?: Record<string, string>;
  children: ReactNode;
  className?: string;
}) {
  const content = (
    <>
      {Icon && <Icon size={size === 'sm' ? 14 : 16} aria-hidden />}
      {children}
    </>
  );
  return to === undefined ? (
    <a href={href} className={look(kind, size, className)}>
      {content}
    </a>
  ) : (
    <Link to={to} search={search ?? {}} className={look(kind, size, className)}>
      {content}
    </Link>
  );
}

/** A button that is only an icon; `label` is what it does. */
export function IconButton({
  icon: Icon,
  label,
  className,
  ...rest
}: { icon: LucideIcon; label: string } & ComponentProps<'button'>) {
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      {...rest}
      className={cx(
        'inline-flex size-8 shrink-0 items-center justify-center rounded-lg text-soft transition-colors hover:bg-hover hover:text-ink disabled:opacity-55',
        className,
      )}
    >
      <Icon size={16} aria-hidden />
    </button>
  );
}

function Spinner() {
  return (
    <svg viewBox="0 0 16 16" className="size-4 animate-spin" aria-hidden="true">
      <circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" strokeWidth="2" opacity="0.25" />
      <path d="M14 8a6 6 0 0 0-6-6" fill="none" stroke="currentColor" strokeWidth="2" strokeLinecap="round" />
    </svg>
  );
}
