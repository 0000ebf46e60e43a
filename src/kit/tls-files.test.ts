import { readFileSync, writeFileSync } from 'node:fs';

import type { AddressInfo } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { TestAuthority } from '#support/certificates.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { silentLog } from './log.ts';
import { TlsFiles } from './tls-files.ts';

let authority: TestAuthority;
beforeAll(async () => {
  authority = await TestAuthority.make('house');
});
afterAll(() => authority.forget());

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A server under the files, that sends back what it receives. */
async function serve(files: TlsFiles): Promise<number> {
  const server = createServer(files.options());
  server.on('secureConnection', (socket: TLSSocket) => socket.pipe(socket).on('error', () => {}));
  files.serve(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    files.close();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A connection, once its handshake is over. */
function dial(port: number, more: { maxVersion?: 'TLSv1.1' | 'TLSv1.2' } = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', ca: authority.pem, minVersion: 'TLSv1', ...more }, () =>
      resolve(socket),
    );
    socket.on('error', reject);
    closing.push(() => socket.destroy());
  });
}

const nameOf = (socket: TLSSocket): unknown => socket.getPeerCertificate().subject.CN;

describe('the files of TLS', () => {
  test('a renewed certificate is used for new connections, and open ones go on', async () => {
    const clock = new VirtualClock();
    const names = await authority.sign('first');
    const files = new TlsFiles(names, { clock, log: silentLog });
    const port = await serve(files);
    const before = await dial(port);
    expect(nameOf(before)).toBe('first');

    const renewed = await authority.sign('second');
    writeFileSync(names.cert, readFileSync(renewed.cert));
    // Only half of the pair is there: the old one stays in force.
    expect(files.reload()).toBe('refused');
    expect(nameOf(await dial(port))).toBe('first');
    writeFileSync(names.key, readFileSync(renewed.key));
    await clock.advance(30_000);
    expect(nameOf(await dial(port))).toBe('second');
    expect(files.reload()).toBe('same');

    before.write('still here');
    expect(String(await new Promise((resolve) => before.once('data', resolve)))).toBe('still here');
  });

  test('nothing older than TLS 1.2 is spoken', async () => {
    const files = new TlsFiles(await authority.sign('modern'), { clock: new VirtualClock(), log: silentLog });
    const port = await serve(files);
    expect((await dial(port, { maxVersion: 'TLSv1.2' })).getProtocol()).toBe('TLSv1.2');
    await expect(dial(port, { maxVersion: 'TLSv1.1' })).rejects.toThrow(/alert|version|protocol/i);
  });

  test('files that cannot be used are refused with their names, and without a word of the key', async () => {
    const parts = { clock: new VirtualClock(), log: silentLog };
    const good = await authority.sign('good');
    const other = await authority.sign('other');
    expect(() => new TlsFiles({ cert: '/nowhere.pem', key: good.key }, parts)).toThrow(
      '/nowhere.pem cannot be read (ENOENT).',
    );
    expect(() => new TlsFiles({ cert: good.cert, key: other.key }, parts)).toThrow(
      `The certificate in ${good.cert} and the key in ${other.key} cannot be used together`,
    );
    expect(() => new TlsFiles({ cert: good.key, key: good.key }, parts)).toThrow('cannot be used together');
    expect(() => new TlsFiles({ ...good, clientCa: good.key }, parts)).toThrow('holds no certificate');
  });
});
