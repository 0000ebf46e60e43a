import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AddressList } from '#kit/address-list.ts';
import { systemClock } from '#kit/clock.ts';
import { Sealed } from '#kit/sealed.ts';
import { checkEndpoint } from './check.ts';
import { type NetworkRules, readEndpointUrl } from './endpoint-url.ts';
import { type Line, openLine } from './line.ts';

let server: Server;
let port: number;
const seen: { host: string | undefined; authorization: string | undefined; path: string | undefined }[] = [];
const lines: Line[] = [];

beforeEach(async () => {
  seen.length = 0;
  server = createServer((request, response) => {
    seen.push({
      host: request.headers.host,
      authorization: request.headers.authorization,
      path: request.url,
    });
    if (request.url?.startsWith('/moved')) {
      response.writeHead(302, { location: `http://127.0.0.1:${port}/v1/models` }).end();
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json', connection: 'close' });
    response.end('{"object":"list","data":[{"id":"one"}]}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterEach(async () => {
  await Promise.all(lines.splice(0).map((line) => line.pool.destroy()));
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** A line to `url`, with a resolver that answers these lists one after the other, the last one for ever. */
function lineTo(url: string, answers: string[][] = [], allowed: string[] = ['127.0.0.1']): Line {
  const list = new AddressList(allowed);
  const rules: NetworkRules = {
    allowed: list,
    resolve: async () => (answers.length > 1 ? answers.shift() : answers[0]) ?? [],
  };
  const place = readEndpointUrl(url, list);
  if ('refusal' in place) throw new Error(place.refusal);
  const line = openLine(place, {
    key: new Sealed('sk-upstream'),
    capacity: 1,
    rules,
    marketName: 'cygnet-test',
  });
  lines.push(line);
  return line;
}

const check = (line: Line) => checkEndpoint(line, systemClock);

describe('a connection', () => {
  test('goes to the address that was judged, under the name that was given', async () => {
    const found = await check(lineTo(`http://endpoint.example:${port}/v1`, [['127.0.0.1']]));
    expect(found).toEqual({ healthy: true, models: new Set(['one']) });
    expect(seen).toEqual([
      { host: `endpoint.example:${port}`, authorization: 'Bearer sk-upstream', path: '/v1/models' },
    ]);
  });

  test('is judged anew each time: a name that turns to another address gains nothing', async () => {
    const line = lineTo(`http://rebinding.example:${port}/v1`, [
      ['127.0.0.1'],
      ['127.0.0.2'],
      ['169.254.169.254'],
    ]);
    expect((await check(line)).healthy).toBe(true);
    for (let i = 0; i < 2; i++) {
      // oxlint-disable-next-line no-await-in-loop -- one connection after the other
      expect(await check(line)).toEqual({
        healthy: false,
        because: expect.stringContaining('not on the public'),
      });
    }
    expect(seen).toHaveLength(1);
  });

  test('is refused when one of several addresses is', async () => {
    const line = lineTo(`http://mixed.example:${port}/v1`, [['127.0.0.1', '10.0.0.1']]);
    expect((await check(line)).healthy).toBe(false);
    expect(seen).toHaveLength(0);
  });

  test('is refused to a public address without TLS', async () => {
    const line = lineTo(`http://plain.example:${port}/v1`, [['8.8.8.8']]);
    expect(await check(line)).toEqual({ healthy: false, because: expect.stringContaining('https') });
  });

  test('is refused where the name leads nowhere', async () => {
    expect((await check(lineTo(`http://nowhere.example:${port}/v1`, [[]]))).healthy).toBe(false);
  });

  test('follows no redirect', async () => {
    const line = lineTo(`http://endpoint.example:${port}/moved`, [['127.0.0.1']]);
    expect(await check(line)).toEqual({ healthy: false, because: expect.stringContaining('redirects') });
    expect(seen).toHaveLength(1);
  });

  test('by TLS asks for the name, not for the address it goes to', async () => {
    const hello = new Promise<Buffer>((resolve) => {
      const listener = createTcpServer((socket) => {
        socket.once('data', (bytes) => {
          resolve(bytes);
          socket.destroy();
          listener.close();
        });
        socket.on('error', () => {});
      });
      listener.listen(0, '127.0.0.1', () => {
        const { port: tlsPort } = listener.address() as AddressInfo;
        void check(lineTo(`https://endpoint.example:${tlsPort}/v1`, [['127.0.0.1']]));
      });
    });
    // A ClientHello carries the name in clear.
    expect((await hello).toString('latin1')).toContain('endpoint.example');
  });

  test('to a name of this machine is not made without leave', async () => {
    const line = lineTo(`http://localhost:${port}/v1`, [['127.0.0.1']], []);
    expect((await check(line)).healthy).toBe(false);
    expect(seen).toHaveLength(0);
  });
});
