import { describe, expect, test } from 'vitest';
import { AddressList } from '#kit/address-list.ts';
import { ClientAddresses } from './client-address.ts';

const request = (remoteAddress: string | undefined, forwarded?: string | string[], proto?: string) => ({
  socket: { remoteAddress },
  headers: {
    ...(forwarded !== undefined && { 'x-forwarded-for': forwarded }),
    ...(proto !== undefined && { 'x-forwarded-proto': proto }),
  },
});

describe('where a caller is', () => {
  const addresses = new ClientAddresses(['10.0.0.0/8', '::1']);

  test.each([
    ['a stranger is where its connection comes from', '203.0.113.9', undefined, '203.0.113.9'],
    ['a stranger who writes the header is not believed', '203.0.113.9', '198.51.100.1', '203.0.113.9'],
    ['a proxy is believed', '10.1.2.3', '198.51.100.1', '198.51.100.1'],
    ['what the caller wrote before its proxy is not', '10.1.2.3', '6.6.6.6, 198.51.100.1', '198.51.100.1'],
    ['a row of proxies is passed over', '10.1.2.3', '198.51.100.1, 10.9.9.9,10.8.8.8', '198.51.100.1'],
    ['only proxies: the nearest', '10.1.2.3', '10.9.9.9', '10.1.2.3'],
    ['nonsense ends the chain', '10.1.2.3', '198.51.100.1, unknown', '10.1.2.3'],
    ['an empty header says nothing', '10.1.2.3', '', '10.1.2.3'],
    ['IPv4 over an IPv6 socket is IPv4', '::ffff:10.1.2.3', '::ffff:198.51.100.1', '198.51.100.1'],
    ['IPv6 as well', '::1', '2001:db8::7', '2001:db8::7'],
    ['a connection that has gone is nowhere', undefined, '198.51.100.1', ''],
  ])('%s', (_what, peer, forwarded, expected) => {
    expect(addresses.of(request(peer, forwarded))).toBe(expected);
  });

  test('without proxies nothing is believed, not even from this machine', () => {
    expect(new ClientAddresses([]).of(request('127.0.0.1', '198.51.100.1'))).toBe('127.0.0.1');
  });

  test('TLS at a proxy counts, a word from a stranger does not', () => {
    expect(addresses.isSecure(request('10.1.2.3', undefined, 'https'))).toBe(true);
    expect(addresses.isSecure(request('203.0.113.9', undefined, 'https'))).toBe(false);
    expect(addresses.isSecure(request('10.1.2.3', undefined, 'http'))).toBe(false);
  });
});

describe('a list of addresses', () => {
  test.each([
    '',
    'host',
    '1.2.3',
    '1.2.3.4/33',
    '::/129',
    '1.2.3.4/',
    '1.2.3.4/8/8',
    '1.2.3.4/-1',
    '1.2.3.4/ 8',
  ])('refuses %j and quotes it', (entry) => {
    expect(() => new AddressList([entry])).toThrow(JSON.stringify(entry));
  });

  test('knows networks of both families, and keeps them apart', () => {
    const list = new AddressList(['203.0.113.0/24', '2001:db8::/32', '0.0.0.0/32']);
    expect(list.has('203.0.113.255')).toBe(true);
    expect(list.has('::ffff:203.0.113.1')).toBe(true);
    expect(list.has('203.0.114.0')).toBe(false);
    expect(list.has('2001:db8:ffff::1')).toBe(true);
    expect(list.has('2001:db9::1')).toBe(false);
    expect(list.has('nonsense')).toBe(false);
  });
});
