import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { consoleRoutes } from '#gateway/console/console.ts';
import type { ConsoleRooms } from '#gateway/console/rooms.ts';
import { systemClock } from '#kit/clock.ts';

test('every call that the page for authors of pages names is one of the console', () => {
  const routes = new Set(
    consoleRoutes({ clock: systemClock } as unknown as ConsoleRooms).map(
      ({ method, url }) => `${method} ${url}`,
    ),
  );
  const page = readFileSync(new URL('../docs/dashboard-api.md', import.meta.url), 'utf8');
  const named = [...page.matchAll(/`((?:GET|POST|PUT|PATCH|DELETE) \/api\/v1\/[^`\s]*)`/g)].map(
    ([, call]) => call as string,
  );
  expect(named.length).toBeGreaterThan(60);
  expect(named.filter((call) => !routes.has(call))).toEqual([]);
});
