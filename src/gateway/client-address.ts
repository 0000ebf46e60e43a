import { isIP } from 'node:net';
import { AddressList, plainAddress } from '#kit/address-list.ts';

/**
 * Who is really calling. Anyone can write `X-Forwarded-For`; it counts only when the connection comes from a proxy that
 * the operator named, and then only its last entry that is not such a proxy: what stands before it was written by
 * whoever called that proxy.
 */
export class ClientAddresses {
  readonly #proxies: AddressList;

  /** `proxies`: addresses and networks. Throws `RangeError` that quotes the first that is neither. */
  constructor(proxies: readonly string[]) {
    this.#proxies = new AddressList(proxies);
  }

  /** The caller's address in its plain form; empty when the connection has gone and nobody knows. */
  of(request: AddressedRequest): string {
    const peer = plainAddress(request.socket.remoteAddress ?? '');
    if (!this.#proxies.has(peer)) return peer;
    const forwarded = request.headers['x-forwarded-for'];
    const hops = (Array.isArray(forwarded) ? forwarded.join(',') : (forwarded ?? '')).split(',');
    for (let i = hops.length - 1; i >= 0; i--) {
      const hop = plainAddress((hops[i] as string).trim());
      // What a trusted proxy passes on without checking ends the chain of trust: the proxy itself is the caller then.
      if (isIP(hop) === 0) return peer;
      if (!this.#proxies.has(hop)) return hop;
    }
    return peer;
  }

  /** True when the caller speaks TLS with us or with a proxy that the operator named. */
  isSecure(request: AddressedRequest): boolean {
    if (request.socket.encrypted === true) return true;
    const peer = plainAddress(request.socket.remoteAddress ?? '');
    return this.#proxies.has(peer) && request.headers['x-forwarded-proto'] === 'https';
  }
}

/** What is needed of a request of node:http. */
export interface AddressedRequest {
  readonly socket: { readonly remoteAddress?: string | undefined; readonly encrypted?: boolean };
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}
