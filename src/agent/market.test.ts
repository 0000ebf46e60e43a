import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Sealed } from '#kit/sealed.ts';
import { Market, MarketError } from './market.ts';

// Markets that are not ours: flat answers and answers in an envelope, errors in three shapes, and pages that are none.

const KEY = new Sealed('sk-prov-1');
const open: { server: Server; market: Market }[] = [];
afterEach(async () => {
  for (const { server, market } of open.splice(0)) {
    await market.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function marketThat(
  answers: (asked: string, body: string) => { status?: number; body: unknown },
  base = '',
): Promise<Market> {
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (piece: Buffer) => {
      text += piece.toString();
    });
    request.on('end', () => {
      const { status = 200, body } = answers(`${request.method} ${request.url}`, text);
      response.statusCode = status;
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const market = new Market(`http://127.0.0.1:${(server.address() as AddressInfo).port}${base}`);
  open.push({ server, market });
  return market;
}

describe('a market that is asked', () => {
  it.each([
    ['flat', { total_earnings_usdc: 1.5 }],
    ['in an envelope', { code: 0, msg: 'ok', data: { total_earnings_usdc: 1.5 } }],
    ['with strange fields', { total_earnings_usdc: 1.5, total_tokens: 'many', more: [] }],
  ])('may answer %s', async (_what, body) => {
    const market = await marketThat(() => ({ body }));
    expect(await market.stats(KEY)).toMatchObject({ total_earnings_usdc: 1.5 });
  });

  it.each([
    ['a text', { error: 'No such thing.' }],
    ['an object', { error: { message: 'No such thing.', code: 'x' } }],
    ['a message', { message: 'No such thing.' }],
    ['an envelope', { code: 5, msg: 'No such thing.' }],
  ])('says what is wrong as %s, and we pass it on', async (_what, body) => {
    const market = await marketThat(() => ({ status: 400, body }));
    await expect(market.me(KEY)).rejects.toThrow(new MarketError('No such thing.', 400));
  });

  it('that is none is told apart', async () => {
    const page = await marketThat(() => ({ body: '<html>Welcome</html>' }));
    await expect(page.catalogue()).rejects.toThrow('Is this a market?');
    const odd = await marketThat(() => ({ body: { list: 'none' } }));
    await expect(odd.catalogue()).rejects.toThrow('Is this a market?');
    await expect(new Market('http://127.0.0.1:1').health()).rejects.toThrow('does not answer');
    expect(() => new Market('market.example')).toThrow('no address');
    expect(() => new Market('ftp://market.example')).toThrow('no http');
  });

  it('is asked under its own path, with or without the part that all have', async () => {
    const asked: string[] = [];
    const answers = (what: string) => {
      asked.push(what);
      return { body: { status: 'ok' } };
    };
    for (const base of ['', '/', '/api/v1', '/api']) await (await marketThat(answers, base)).health();
    await (await marketThat(answers, '/place/')).health();
    expect(asked).toEqual([...Array(4).fill('GET /api/v1/health'), 'GET /place/api/v1/health']);
  });

  it('that knows a provider already gives a further key', async () => {
    const market = await marketThat((asked) =>
      asked.includes('upgrade')
        ? { status: 409, body: { error: 'This account is already a provider.' } }
        : { body: { api_key: 'sk-prov-second' } },
    );
    const session = { token: new Sealed('t'), isProvider: false };
    const key = await market.providerKey(session, { name: 'n', keyName: 'k', wallet: undefined });
    expect(key.open()).toBe('sk-prov-second');
  });

  it('that refuses to make a provider says why, and no key is asked for', async () => {
    const asked: string[] = [];
    const market = await marketThat((what) => {
      asked.push(what);
      return { status: 409, body: { error: 'This wallet address belongs to another provider.' } };
    });
    const session = { token: new Sealed('t'), isProvider: false };
    await expect(market.providerKey(session, { name: 'n', keyName: 'k', wallet: '0x' })).rejects.toThrow(
      'another',
    );
    expect(asked).toHaveLength(1);
  });

  it('that settles on no chain is no failure, and models that are not sold are no models', async () => {
    const market = await marketThat((asked) =>
      asked.includes('settlements')
        ? { status: 404, body: { error: { message: 'none' } } }
        : { body: { data: { list: [{ id: 'a' }, { id: 'b', active: false }] } } },
    );
    expect(await market.settlements()).toBeUndefined();
    expect((await market.catalogue()).map(({ id }) => id)).toEqual(['a']);
  });
});
