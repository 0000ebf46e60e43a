import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';

/**
 * Whose request it is, for limits by address. `X-Forwarded-For` is whatever the sender wrote, so only the part that known
 * proxies added is believed: it is read from its end for as long as the address before it is one of theirs.
 *
 * An IPv6 address is cut to its first 64 bits: that much is one household's.
 */
export class ClientAddress {
  readonly #proxies: BlockList;

  /** `proxies` are addresses and networks such as `10.0.0.0/8`. Throws `RangeError` for what is neither. */
  constructor(proxies: readonly string[]) {
    this.#proxies = new BlockList();
    for (const text of proxies) addTo(this.#proxies, text);
  }

  of(request: Pick<IncomingMessage, 'headers'> & { socket: { remoteAddress?: string | undefined } }): string {
    let address = plain(request.socket.remoteAddress ?? '');
    const header = request.headers['x-forwarded-for'];
    const forwarded = (Array.isArray(header) ? header.join(',') : (header ?? '')).split(',');
    while (this.#isProxy(address)) {
      const before = plain(forwarded.pop()?.trim() ?? '');
      if (isIP(before) === 0) break;
      address = before;
    }
    return isIP(address) === 6 ? network(address) : address;
  }

  #isProxy(address: string): boolean {
    const version = isIP(address);
    return version !== 0 && this.#proxies.check(address, version === 6 ? 'ipv6' : 'ipv4');
  }
}

/** Adds an address or a network. Throws `RangeError` for what is neither. */
function addTo(list: BlockList, text: string): void {
  const [address = '', bits, more] = text.split('/');
  const version = isIP(address);
  const most = version === 6 ? 128 : 32;
  const prefix = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : -1;
  if (version === 0 || more !== undefined || prefix < 0 || prefix > most)
    throw new RangeError(`${JSON.stringify(text.slice(0, 80))} is neither an address nor a network.`);
  list.addSubnet(address, prefix, version === 6 ? 'ipv6' : 'ipv4');
}

/** An IPv4 address that came through an IPv6 socket, as itself. */
function plain(address: string): string {
  const inner = address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : '';
  return isIP(inner) === 4 ? inner : address;
}

/** The first four groups of an IPv6 address. */
function network(address: string): string {
  const [head = '', tail] = (address.split('%')[0] as string).toLowerCase().split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  const groups = [...before, ...Array.from({ length: Math.max(0, zeros) }, () => '0'), ...after];
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`;
}
