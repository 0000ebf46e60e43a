import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { systemClock } from '#kit/clock.ts';
import { WsTransport } from './ws-transport.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

/** A transport of ours, and what its other side has heard once `last` was among it. */
async function connected() {
  const server = createServer();
  const sockets = new WebSocketServer({ server });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => server.close());
  const far = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  closers.push(() => far.terminate());
  const heard: { data: Buffer; isBinary: boolean }[] = [];
  far.on('message', (data: Buffer, isBinary: boolean) => heard.push({ data, isBinary }));
  const [ws, request] = (await once(sockets, 'connection')) as [WebSocket, { socket: Socket }];
  const near = new WsTransport({
    ws,
    socket: request.socket,
    address: 'test',
    clock: systemClock,
    anonymousBytesMax: 1_000,
  });
  const until = async (last: string): Promise<{ data: Buffer; isBinary: boolean }[]> => {
    while (heard.at(-1)?.data.toString() !== last) await once(far, 'message');
    return heard;
  };
  return { near, until };
}

test('small binary messages of one turn leave as one, in order with text and with large ones', async () => {
  const { near, until } = await connected();
  const large = Buffer.alloc(10_000, 'L');
  near.send(Buffer.from('a'));
  near.send(Buffer.from('b'));
  near.send('text');
  near.send(Buffer.from('c'));
  near.send(large);
  near.send(Buffer.from('d'));
  near.send('last');
  const heard = await until('last');
  expect(heard.map(({ data, isBinary }) => `${isBinary ? '' : 'text '}${data.toString()}`)).toEqual([
    'ab',
    'text text',
    'c',
    large.toString(),
    'd',
    'text last',
  ]);
});

test('what is joined is bounded, counts as waiting, and leaves at once when asked', async () => {
  const { near, until } = await connected();
  for (let i = 0; i < 9; i++) near.send(Buffer.alloc(4_000, 'j'));
  expect(near.bufferedBytes).toBeGreaterThanOrEqual(9 * 4_000);
  near.flush();
  near.send('last');
  const heard = await until('last');
  const lengths = heard.slice(0, -1).map(({ data }) => data.length);
  expect(lengths).toEqual([16_000, 16_000, 4_000]);
});
