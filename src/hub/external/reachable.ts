import { BlockList, isIP } from 'node:net';
import type { AddressList } from '#kit/address-list.ts';

/**
 * Which addresses this process may call for a stranger. A provider writes the URL of its endpoint, and DNS says where
 * that is: without a rule, either could point at our own database, a cloud's metadata service or a router (server-side
 * request forgery). So only addresses of the public Internet count, each is judged at every connect (`guarded-connect.ts`),
 * and the connection goes to exactly the address that was judged.
 *
 * The rule for IPv6 is what may be reached, not what may not: global unicast (2000::/3) without the parts that lead to an
 * IPv4 address in disguise (6to4, Teredo) or are for documents. So NAT64, IPv4-mapped and IPv4-compatible addresses,
 * loopback, link-local, unique local and multicast ones are all refused without being named.
 *
 * Sources: IANA's special-purpose address registries for IPv4 and IPv6 (RFC 6890 and its updates).
 */

/** What may be called beyond the public Internet, by the operator's leave. */
export type AllowedNetworks = Pick<AddressList, 'has'>;

const NOT_PUBLIC_V4: readonly [string, number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.31.196.0', 24],
  ['192.52.193.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['192.175.48.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  // A cloud's own service for its machines, on an address that looks public (Azure).
  ['168.63.129.16', 32],
];

const NOT_PUBLIC_V6: readonly [string, number][] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];

const closed = new BlockList();
for (const [network, bits] of NOT_PUBLIC_V4) closed.addSubnet(network, bits, 'ipv4');
for (const [network, bits] of NOT_PUBLIC_V6) closed.addSubnet(network, bits, 'ipv6');
const global = new BlockList();
global.addSubnet('2000::', 3, 'ipv6');

/** Is this an address of the public Internet? False for anything that is no plain address. */
export function isPublic(address: string): boolean {
  if (address.includes('%')) return false;
  const family = isIP(address);
  if (family === 4) return !closed.check(address, 'ipv4');
  return family === 6 && global.check(address, 'ipv6') && !closed.check(address, 'ipv6');
}

export interface Way {
  readonly protocol: 'http:' | 'https:';
  readonly port: number;
}

/** Why `address` may not be called that way; undefined when it may. The sentence is fit for the endpoint's owner. */
export function refusalOfAddress(address: string, way: Way, allowed: AllowedNetworks): string | undefined {
  if (allowed.has(address)) return undefined;
  if (!isPublic(address)) return 'The URL leads to an address that is not on the public Internet.';
  return refusalOfWay(way);
}

/**
 * Why nobody on the public Internet may be called that way: an upstream key travels encrypted or not at all, and below
 * 1024 only the port of HTTPS speaks HTTP.
 */
function refusalOfWay({ protocol, port }: Way): string | undefined {
  if (protocol !== 'https:') return 'An endpoint on the public Internet must have an https URL.';
  if (port !== 443 && port < 1_024) return 'The port of an endpoint is 443, or 1024 or above.';
  return undefined;
}
