import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router';
import { PAGES, type Page } from './pages.ts';
import { Broken, NotFound } from './shell/lost.tsx';
import { PageSkeleton } from './shell/page-skeleton.tsx';
import { Shell } from './shell/shell.tsx';

declare module '@tanstack/react-router' {
  interface StaticDataRouteOption {
    page?: Page;
  }
}

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound });

const routes = PAGES.map((page) =>
  createRoute({
    getParentRoute: () => root,
    path: page.path,
    component: lazyRouteComponent(page.load),
    staticData: { page },
  }),
);

/** The way from an address to its page. Pages are loaded when somebody points at a link to them, or goes there. */
export const router = createRouter({
  routeTree: root.addChildren(routes),
  defaultPreload: 'intent',
  defaultPendingComponent: PageSkeleton,
  defaultErrorComponent: Broken,
  scrollRestoration: true,
});
