import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROUTES } from '#gateway/openapi.ts';
import { TestMarket } from '#support/market.ts';

let market: TestMarket;
beforeAll(async () => {
  market = await TestMarket.open();
});
afterAll(() => market.close());

/** The signed-in API has a contract of its own (docs/protocol.md and what agents call); this document is the consumer's. */
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
