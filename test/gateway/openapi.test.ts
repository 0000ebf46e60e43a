import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CALLS } from '#gateway/console/calls.ts';
import { consoleRoutes } from '#gateway/console/console.ts';
import type { ConsoleRooms } from '#gateway/console/rooms.ts';
import { ROUTES } from '#gateway/openapi.ts';
import { systemClock } from '#kit/clock.ts';
import { TestMarket } from '#support/market.ts';

let market: TestMarket;
beforeAll(async () => {
  market = await TestMarket.open();
});
afterAll(() => market.close());

/** The management API has a document of its own; the first is the consumer's. */
const ELSEWHERE = /^\w+ \/api\/v1\//;

describe('the document of the API', () => {
  test('and the server name the same routes', () => {
    const served = market.marketplace.gateway.routes
      .map((route) => route.replace('/v1/models/*', '/v1/models/{model}'))
      .filter((route) => !ELSEWHERE.test(route));
    const described = ROUTES.map(({ method, path }) => `${method.toUpperCase()} ${path}`);
    expect(described.toSorted()).toEqual(served.toSorted());
  });

  test('is OpenAPI 3.1 whose references all lead somewhere', async () => {
    const answer = await fetch(`${market.url}/openapi.json`);
    expect(answer.headers.get('content-type')).toContain('application/json');
    const text = await answer.text();
    const document = JSON.parse(text) as {
      openapi: string;
      paths: Record<string, Record<string, { operationId: string }>>;
      components: { schemas: Record<string, unknown> };
    };
    expect(document.openapi).toBe('3.1.0');
    const names = [...text.matchAll(/"\$ref":"([^"]*)"/g)].map(([, reference]) => reference);
    expect(names.length).toBeGreaterThan(20);
    for (const name of names) {
      expect(name).toMatch(/^#\/components\/schemas\/\w+$/);
      expect(document.components.schemas).toHaveProperty([name?.split('/').at(-1) ?? '']);
    }
    for (const schema of Object.values(document.components.schemas))
      expect(schema).toMatchObject({ type: 'object', properties: expect.any(Object) });
    const operations = Object.values(document.paths).flatMap((path) => Object.values(path));
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
  });

  test('can be read as a page that loads nothing and runs nothing', async () => {
    const answer = await fetch(`${market.url}/`);
    expect(answer.url).toBe(`${market.url}/docs`);
    const policy = answer.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    const html = await answer.text();
    expect(html).not.toMatch(/<script|<link|<img|<iframe|src=|https?:\/\//i);
    for (const { path } of ROUTES) expect(html).toContain(path);
    const anchors = new Set([...html.matchAll(/id="([^"]+)"/g)].map(([, id]) => id));
    for (const [, target] of html.matchAll(/href="#([^"]+)"/g)) expect(anchors).toContain(target);
  });
});

interface Operation {
  operationId: string;
  summary: string;
  security: object[];
  parameters?: { name: string; in: string }[];
  requestBody?: { content: { 'application/json': { schema: { $ref: string } } } };
  'x-cygnet-access': string;
}
interface ConsoleDocument {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, { properties?: object }> };
}

describe('the document of the management API', () => {
  const fetched = async () => {
    const text = await (await fetch(`${market.url}/api/v1/openapi.json`)).text();
    return { text, document: JSON.parse(text) as ConsoleDocument };
  };

  test('and the server name the same routes, each with a sentence', async () => {
    const { document } = await fetched();
    const described = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`),
    );
    const routes = consoleRoutes({ clock: systemClock } as unknown as ConsoleRooms);
    const served = [
      ...routes.map(({ method, url }) => `${method} ${url}`),
      ...market.marketplace.gateway.routes.filter((each) => ELSEWHERE.test(each)),
      // Read by bytes and by headers of their own, beside the routes.
      'GET /api/v1/provider/status',
      'POST /api/v1/webhooks/stripe',
    ];
    expect(described.toSorted()).toEqual(served.toSorted());
    expect(Object.keys(CALLS).toSorted()).toEqual(served.toSorted());
  });

  test('says of every route who may call it, and what it takes, by the schemas that read it', async () => {
    const { document } = await fetched();
    const differing = consoleRoutes({ clock: systemClock } as unknown as ConsoleRooms).filter((route) => {
      const operation = document.paths[route.url.replaceAll(/:(\w+)/g, '{$1}')]?.[route.method.toLowerCase()];
      const asked = operation?.parameters?.filter((each) => each.in === 'query') ?? [];
      return (
        operation?.['x-cygnet-access'] !== route.access ||
        (operation.security.length === 0) !== (route.access === 'public') ||
        (operation.requestBody !== undefined) !== (route.body !== undefined) ||
        asked.length > 0 !== (route.query !== undefined)
      );
    });
    expect(differing.map(({ method, url }) => `${method} ${url}`)).toEqual([]);
    const put = document.paths['/api/v1/user/me/debug-log']?.['put'];
    const body = put?.requestBody?.content['application/json'].schema.$ref.split('/').at(-1) ?? '';
    expect(Object.keys(document.components.schemas[body]?.properties ?? {})).toEqual(['until']);
  });

  test('is OpenAPI 3.1 whose references all lead somewhere', async () => {
    const { text, document } = await fetched();
    expect(document.openapi).toBe('3.1.0');
    for (const [, reference] of text.matchAll(/"\$ref":"([^"]*)"/g)) {
      expect(reference).toMatch(/^#\/components\/schemas\/\w+$/);
      expect(document.components.schemas).toHaveProperty([reference?.split('/').at(-1) ?? '']);
    }
    const operations = Object.values(document.paths).flatMap((path) => Object.values(path));
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
  });

  test('can be read as a page that loads nothing and runs nothing', async () => {
    const answer = await fetch(`${market.url}/api/v1/docs`);
    expect(answer.headers.get('content-type')).toContain('text/html');
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
    const html = await answer.text();
    expect(html).not.toMatch(/<script|<link|<img|<iframe|src=/i);
    expect(html).toContain('/api/v1/user/me/debug-log/entries/{id}');
    const anchors = new Set([...html.matchAll(/id="([^"]+)"/g)].map(([, id]) => id));
    for (const [, target] of html.matchAll(/href="#([^"]+)"/g)) expect(anchors).toContain(target);
  });
});
