import { describe, expect, test } from 'vitest';
import { ClientAddress } from './client-address.ts';

const from = (remoteAddress: string, forwarded?: string) => ({
  socket: { remoteAddress },
  headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
});

describe('whose request it is', () => {
  const address = new ClientAddress(['10.0.0.0/8', '2001:db8::1']);
  test.each([
    ['the socket, without proxies', from('203.0.113.7'), '203.0.113.7'],
    ['the socket, whatever a stranger claims', from('203.0.113.7', '1.2.3.4'), '203.0.113.7'],
    ['what a known proxy saw', from('10.1.2.3', '203.0.113.7'), '203.0.113.7'],
    [
      'what the last proxy saw, not what was claimed before',
      from('10.1.2.3', '1.2.3.4, 203.0.113.7'),
      '203.0.113.7',
    ],
    ['through two known proxies', from('10.1.2.3', '203.0.113.7, 10.9.9.9'), '203.0.113.7'],
    ['the proxy itself, when it says nothing', from('10.1.2.3'), '10.1.2.3'],
    ['the proxy itself, when it says nonsense', from('10.1.2.3', 'unknown'), '10.1.2.3'],
    ['an IPv4 address in an IPv6 socket', from('::ffff:10.1.2.3', '::ffff:203.0.113.7'), '203.0.113.7'],
    ['an IPv6 network', from('2001:db8::1', '2001:db8:a:b:c:d:e:f'), '2001:db8:a:b::/64'],
    ['an IPv6 network, written short', from('2001:DB8:0:0001::9'), '2001:db8:0:1::/64'],
    ['this machine', from('::1'), '0:0:0:0::/64'],
  ])('%s', (_what, request, expected) => {
    expect(address.of(request)).toBe(expected);
  });

  test('without known proxies nobody is believed', () => {
    expect(new ClientAddress([]).of(from('127.0.0.1', '1.2.3.4'))).toBe('127.0.0.1');
  });

  test.each(['', 'proxy.example.org', '10.0.0.0/33', '10.0.0.0/8/8', '10.0.0.0/x'])(
    '%j is no proxy',
    (text) => {
      expect(() => new ClientAddress([text])).toThrow(RangeError);
    },
  );
});
