import type { LucideIcon } from 'lucide-react';
import type { ComponentType } from 'react';
import { accountPages } from './pages/account/pages.ts';
import { operatorPages } from './pages/operator/pages.ts';
import { providerPages } from './pages/provider/pages.ts';
import { publicPages } from './pages/public/pages.ts';

/** Whose pages these are; everything but `public` asks for a session with that role. */
export type Area = 'public' | 'account' | 'provider' | 'operator';

/**
 * A page, as data: the router, the navigation, the command palette and the screenshots are all made from these lines. An
 * area's pages stand in `pages/<area>/pages.ts`; docs/dashboard.md walks through making one.
 */
export interface Page {
  /** `/models`, or with what varies: `/account/keys/$id`. */
  readonly path: string;
  readonly title: string;
  readonly area: Area;
  /** With an icon it stands in the navigation. */
  readonly icon?: LucideIcon;
  /** The heading above it and its neighbours in the sidebar. */
  readonly section?: string;
  /** Two keys that lead here, as `g m`. */
  readonly keys?: string;
  /** Loaded with the page: the code, and only what it needs. */
  readonly load: () => Promise<{ default: ComponentType }>;
}

export const PAGES: readonly Page[] = [...publicPages, ...accountPages, ...providerPages, ...operatorPages];

export const AREAS: readonly { area: Exclude<Area, 'public'>; title: string }[] = [
  { area: 'account', title: 'Consumer' },
  { area: 'provider', title: 'Provider' },
  { area: 'operator', title: 'Operator' },
];
