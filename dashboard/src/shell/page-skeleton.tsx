import { Skeleton } from '../parts/states.tsx';

/** While a page's code comes. */
export function PageSkeleton() {
  return (
    <div aria-busy="true" aria-label="Loading">
      <Skeleton className="h-8 w-56" />
      <Skeleton className="mt-3 h-4 w-96 max-w-full" />
      <Skeleton className="mt-8 h-72 rounded-xl" />
    </div>
  );
}
