import { useQuery } from '@tanstack/react-query';
import { me, type User } from '../api.ts';
import { AREAS, type Area, PAGES } from '../pages.ts';

const ROLES: Readonly<Record<Exclude<Area, 'public'>, User['roles'][number]>> = {
  account: 'consumer',
  provider: 'provider',
  operator: 'operator',
};

/** Who is here: undefined while that is not known, null for a visitor. */
export function useUser(): User | null | undefined {
  return useQuery(me()).data;
}

/** Whether somebody may open an area. The server asks again at every call. */
export function mayOpen(area: Area, user: User | null | undefined): boolean {
  return area === 'public' || (user?.roles.includes(ROLES[area]) ?? false);
}

/** The areas of somebody that have pages. */
export function areasOf(user: User | null | undefined): typeof AREAS {
  return AREAS.filter(({ area }) => mayOpen(area, user) && PAGES.some((page) => page.area === area));
}

/** Where somebody goes after signing in. */
export function homeOf(user: User): string {
  const area = areasOf(user)[0]?.area;
  return PAGES.find((page) => page.area === area && page.icon)?.path ?? '/playground';
}
