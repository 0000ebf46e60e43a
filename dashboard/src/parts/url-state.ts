import { useNavigate, useSearch } from '@tanstack/react-router';

/**
 * A choice that belongs into the address, so that it can be sent to somebody and survives a reload: a search, a filter, a
 * tab. At its default it is left out.
 */
export function useUrlState(name: string, standard: string): [string, (value: string) => void] {
  const search: Readonly<Record<string, unknown>> = useSearch({ strict: false });
  const navigate = useNavigate();
  const found = search[name];
  const value = typeof found === 'string' || typeof found === 'number' ? String(found) : standard;
  const set = (next: string): void => {
    void navigate({
      to: '.',
      search: (before: Record<string, unknown>) => ({
        ...before,
        [name]: next === standard ? undefined : next,
      }),
      replace: true,
    });
  };
  return [value, set];
}
