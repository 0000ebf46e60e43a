import type { UseQueryResult } from '@tanstack/react-query';
import { CircleAlert, type LucideIcon, RotateCw } from 'lucide-react';
import type { ReactNode } from 'react';
import { ApiError, adviceOn } from '../api.ts';
import { Button, ButtonLink } from './button.tsx';
import { cx } from './class-names.ts';

/** There is nothing here yet: why, and what to do so that there is. */
export function Empty({
  icon: Icon,
  title,
  children,
  action,
}: {
  icon: LucideIcon;
  title: string;
  children: ReactNode;
  action?: ReactNode;
}) {
  return (
    <div className="flex flex-col items-center px-6 py-14 text-center">
      <span className="mb-4 inline-flex size-11 items-center justify-center rounded-xl border border-line bg-sunken text-faint">
        <Icon size={20} aria-hidden />
      </span>
      <p className="text-lg font-semibold">{title}</p>
      <p className="mt-1 max-w-md text-soft">{children}</p>
      {action && <div className="mt-5 flex flex-wrap justify-center gap-2">{action}</div>}
    </div>
  );
}

/** Something could not be shown: what the server said, and what to do. */
export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const again = error instanceof ApiError && error.isSessionOver;
  return (
    <div role="alert" className="flex flex-col items-center px-6 py-12 text-center">
      <CircleAlert size={22} className="mb-3 text-bad" aria-hidden />
      <p className="text-lg font-semibold">
        {error instanceof ApiError ? error.message : 'This page met a bug.'}
      </p>
      <p className="mt-1 max-w-md text-soft">{adviceOn(error)}</p>
      <div className="mt-5 flex gap-2">
        {again ? (
          <ButtonLink to="/sign-in" kind="primary">
            Sign in
          </ButtonLink>
        ) : (
          retry && (
            <Button icon={RotateCw} onClick={retry}>
              Try again
            </Button>
          )
        )}
      </div>
    </div>
  );
}

/** Grey where something will be, of the size that it will have. */
export function Skeleton({ className }: { className?: string }) {
  return <span className={cx('skeleton block h-4', className)} aria-hidden="true" />;
}

/**
 * What a query found, or how far it is: the skeleton while it loads (`children` decides its size by what it replaces), what
 * went wrong, or `children` of the data.
 */
export function Loaded<T>({
  query,
  skeleton,
  children,
}: {
  query: UseQueryResult<T>;
  skeleton: ReactNode;
  children: (data: T) => ReactNode;
}) {
  if (query.data !== undefined) return children(query.data);
  if (query.isError) return <Failure error={query.error} retry={() => void query.refetch()} />;
  return (
    <div aria-busy="true" aria-label="Loading">
      {skeleton}
    </div>
  );
}
