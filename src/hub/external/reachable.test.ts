import { describe, expect, test } from 'vitest';
import { AddressList } from '#kit/address-list.ts';
import { readEndpointUrl } from './endpoint-url.ts';
import { isPublic, refusalOfAddress } from './reachable.ts';

const NOBODY = new AddressList([]);
const HTTPS = { protocol: 'https:', port: 443 } as const;

describe('an address that is not on the public Internet is refused, however it is spelt:', () => {
  test.each([
    ['127.0.0.1', 'loopback'],
    ['127.1', 'loopback, short'],
    ['127.0.1', 'loopback, shorter'],
    ['2130706433', 'loopback, one decimal number'],
    ['0x7f000001', 'loopback, hexadecimal'],
    ['0x7f.0.0.1', 'loopback, partly hexadecimal'],
    ['017700000001', 'loopback, octal'],
    ['0177.0.0.01', 'loopback, partly octal'],
    ['127.0.0.1.', 'loopback with a dot behind it'],
    ['127.255.255.254', 'all of 127/8 is loopback'],
    ['１２７.０.０.１', 'loopback in full-width digits'],
    ['⑫7.0.0.1', 'loopback with an enclosed number'],
    ['127。0。0。1', 'loopback with ideographic dots'],
    ['%31%32%37.0.0.1', 'loopback, percent-encoded'],
    ['0.0.0.0', 'this host'],
    ['0', 'this host, one number'],
    ['0.1.2.3', 'this network'],
    ['10.0.0.1', 'private'],
    ['10.255.255.255', 'private'],
    ['172.16.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['192.168.1.1', 'private'],
    ['0xc0a80101', 'private, hexadecimal'],
    ['3232235777', 'private, decimal'],
    ['169.254.169.254', 'the metadata service of most clouds'],
    ['0xa9fea9fe', 'the same, hexadecimal'],
    ['2852039166', 'the same, decimal'],
    ['169.254.170.2', 'credentials of containers'],
    ['100.64.0.1', 'carrier-grade NAT'],
    ['100.100.100.200', 'the metadata service of another cloud'],
    ['168.63.129.16', "a cloud's own service on an address that looks public"],
    ['192.0.0.192', 'the metadata service of yet another'],
    ['192.0.2.1', 'for documents'],
    ['198.18.0.1', 'for benchmarks'],
    ['198.51.100.1', 'for documents'],
    ['203.0.113.1', 'for documents'],
    ['192.88.99.1', '6to4 relays'],
    ['224.0.0.1', 'multicast'],
    ['240.0.0.1', 'reserved'],
    ['255.255.255.255', 'broadcast'],
    ['[::1]', 'loopback'],
    ['[0:0:0:0:0:0:0:1]', 'loopback in full'],
    ['[::]', 'this host'],
    ['[::ffff:127.0.0.1]', 'IPv4-mapped'],
    ['[::ffff:7f00:1]', 'IPv4-mapped, hexadecimal'],
    ['[::ffff:8.8.8.8]', 'IPv4-mapped, whatever is in it'],
    ['[::127.0.0.1]', 'IPv4-compatible'],
    ['[64:ff9b::7f00:1]', 'NAT64'],
    ['[64:ff9b:1::1]', 'NAT64 of a network'],
    ['[2002:7f00:1::]', '6to4'],
    ['[2001:0:7f00:1::]', 'Teredo'],
    ['[2001:db8::1]', 'for documents'],
    ['[fc00::1]', 'unique local'],
    ['[fd00:ec2::254]', 'the metadata service of a cloud'],
    ['[fe80::1]', 'link-local'],
    ['[fec0::1]', 'site-local'],
    ['[ff02::1]', 'multicast'],
    ['[100::1]', 'discard-only'],
  ])('%s (%s)', (host) => {
    expect(readEndpointUrl(`https://${host}/v1`, NOBODY)).toEqual({
      refusal: expect.stringMatching(/not on the public Internet|not one/),
    });
  });
});

test.each(['8.8.8.8', '1.1.1.1', '172.15.0.1', '172.32.0.1', '100.63.0.1', '100.128.0.1', '2606:4700::1111'])(
  '%s is on the public Internet',
  (address) => {
    expect(isPublic(address)).toBe(true);
    expect(refusalOfAddress(address, HTTPS, NOBODY)).toBeUndefined();
  },
);

test.each(['', 'localhost', 'fe80::1%eth0', '2606:4700::1111%1', '8.8.8.8 ', '08.8.8.8'])(
  '%j is no address and so not a public one',
  (text) => {
    expect(isPublic(text)).toBe(false);
  },
);

describe('a URL', () => {
  test.each([
    ['ftp://api.example.com', 'https://'],
    ['file:///etc/passwd', 'https://'],
    ['api.example.com', 'not one'],
    ['', 'not one'],
    ['https://me:secret@api.example.com/v1', 'user or a password'],
    ['https://api.example.com/v1?key=1', 'path'],
    ['https://api.example.com/v1#x', 'path'],
    ['http://8.8.8.8/v1', 'https URL'],
    ['https://8.8.8.8:22/v1', 'port'],
    ['https://8.8.8.8:25/v1', 'port'],
    [`https://api.example.com/${'a'.repeat(500)}`, '500'],
  ])('%s is refused with a sentence', (url, words) => {
    const read = readEndpointUrl(url, NOBODY);
    expect(read).toEqual({ refusal: expect.stringContaining(words) });
    expect(JSON.stringify(read)).not.toContain('secret');
  });

  test.each([
    ['https://api.example.com', 'https://api.example.com/v1'],
    ['https://API.example.com/openai/v1/', 'https://api.example.com/openai/v1'],
    ['https://api.example.com:8443/v1', 'https://api.example.com:8443/v1'],
    [' https://api.example.com/v1 ', 'https://api.example.com/v1'],
  ])('%s is kept as %s', (url, kept) => {
    expect(readEndpointUrl(url, NOBODY)).toMatchObject({ url: kept });
  });

  test('in a network that the operator allows may be http, with any port', () => {
    const allowed = new AddressList(['10.1.0.0/16']);
    expect(readEndpointUrl('http://10.1.2.3:80/v1', allowed)).toMatchObject({ port: 80, host: '10.1.2.3' });
    expect(readEndpointUrl('http://10.2.2.3:80/v1', allowed)).toMatchObject({ refusal: expect.anything() });
  });
});
