import { BlockList, isIP } from 'node:net';

/** Addresses and networks of both families, asked about one address. */
export class AddressList {
  readonly #list = new BlockList();
  readonly #empty: boolean;

  /** Throws `RangeError` that quotes the first entry that is neither an address nor a network. */
  constructor(entries: readonly string[]) {
    this.#empty = entries.length === 0;
    for (const entry of entries) {
      const [address = '', bits, ...rest] = entry.split('/');
      const family = isIP(address);
      const most = family === 4 ? 32 : 128;
      const length = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
      if (family === 0 || rest.length > 0 || !(length <= most)) {
        throw new RangeError(`an address or a network such as 203.0.113.0/24, not ${JSON.stringify(entry)}`);
      }
      this.#list.addSubnet(address, length, family === 4 ? 'ipv4' : 'ipv6');
    }
  }

  has(address: string): boolean {
    if (this.#empty) return false;
    const bare = plainAddress(address);
    const family = isIP(bare);
    return family !== 0 && this.#list.check(bare, family === 4 ? 'ipv4' : 'ipv6');
  }
}

/** An IPv4 address that came over an IPv6 socket, in its own form; everything else as it is. */
export function plainAddress(address: string): string {
  return /^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(address) ? address.slice(7) : address;
}
