import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestMarket } from '#support/market.ts';
import { builtProgram } from '#support/program.ts';

/** Who gets pages, and who gets what they always got. */
let market: TestMarket;
beforeAll(async () => {
  await builtProgram();
  market = await TestMarket.open();
});
afterAll(() => market.close());

const BROWSER = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

async function get(path: string, headers: Record<string, string> = {}, method: 'GET' | 'POST' = 'GET') {
  const answer = await request(`${market.url}${path}`, { method, headers });
  return {
    status: answer.statusCode,
    headers: answer.headers as Record<string, string>,
    bytes: Buffer.from(await answer.body.arrayBuffer()),
  };
}

/** The addresses of the scripts and styles that the page names. */
async function assets(): Promise<string[]> {
  const { bytes } = await get('/', BROWSER);
  return [...bytes.toString().matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path]) => path ?? '');
}

describe('200', () => {
  test.each(['/', '/models', '/models/cygnet/cygnet-nano', '/account/keys', '/uptime?x=1'])(
    'a browser that goes to %s gets the page, under a policy that allows only files of this server',
    async (path) => {
      const { status, headers, bytes } = await get(path, BROWSER);
      expect(status).toBe(200);
      expect(headers['content-type']).toBe('text/html; charset=utf-8');
      expect(headers['cache-control']).toBe('no-cache');
      const policy = headers['content-security-policy'] ?? '';
      expect(policy).toContain("default-src 'none'");
      expect(policy).not.toMatch(/unsafe|\*|https?:/);
      // Nothing inside the document that such a policy forbids.
      expect(bytes.toString()).not.toMatch(/<script>|<style|style=|\son\w+=|https?:\/\//);
    },
  );

  test('what the page names is there, for a year, and compressed for who can read that', async () => {
    const paths = await assets();
    expect(paths.some((path) => path.endsWith('.css'))).toBe(true);
    for (const path of paths) {
      const plain = await get(path);
      expect(plain.status).toBe(200);
      expect(plain.headers['cache-control']).toContain('immutable');
      expect(plain.headers['x-content-type-options']).toBe('nosniff');
      if (path.endsWith('.woff2')) continue;
      const br = await get(path, { 'accept-encoding': 'gzip, br' });
      expect(br.headers['content-encoding']).toBe('br');
      expect(brotliDecompressSync(br.bytes).equals(plain.bytes)).toBe(true);
      const gzip = await get(path, { 'accept-encoding': 'gzip' });
      expect(gunzipSync(gzip.bytes).equals(plain.bytes)).toBe(true);
    }
  });

  test('the status page without scripts stays where it is', async () => {
    const { status, bytes } = await get('/status', BROWSER);
    expect(status).toBe(200);
    expect(bytes.toString()).not.toContain('<script');
  });
});

describe('302', () => {
  test.each([{}, { accept: 'application/json' }, { accept: '*/*' }])(
    'a program at / is led to the documentation, as ever',
    async (headers) => {
      const { status, headers: said } = await get('/', headers);
      expect([status, said['location']]).toEqual([302, '/docs']);
    },
  );
});

describe('304', () => {
  test('a browser that has the page is told that it did not change', async () => {
    const { headers } = await get('/models', BROWSER);
    const again = await get('/models', { ...BROWSER, 'if-none-match': headers['etag'] ?? '' });
    expect([again.status, again.bytes.length]).toEqual([304, 0]);
  });
});

describe('404', () => {
  test('a browser at an address without a page gets the page that says so', async () => {
    const { status, headers } = await get('/nowhere', BROWSER);
    expect([status, headers['content-type']]).toEqual([404, 'text/html; charset=utf-8']);
  });

  test.each([
    ['/v1/nowhere', BROWSER],
    ['/api/v1/nowhere', BROWSER],
    ['/assets/nowhere.js', BROWSER],
    ['/models', { accept: 'application/json' }],
    ['/nowhere', {}],
  ])('%s is answered as the API answers', async (path, headers) => {
    const { status, bytes } = await get(path, headers);
    expect(status).toBe(404);
    expect(JSON.parse(bytes.toString())).toMatchObject({ error: { type: 'invalid_request_error' } });
  });

  test('nothing is posted to a page', async () => {
    const { status, headers } = await get('/models', BROWSER, 'POST');
    expect([status, headers['content-type']]).toEqual([404, 'application/json; charset=utf-8']);
  });
});
