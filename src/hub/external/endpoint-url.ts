import { isIP } from 'node:net';
import { type AllowedNetworks, refusalOfAddress, type Way } from './reachable.ts';

const URL_CHARS_MAX = 500;

/** Where an endpoint is, read from its URL. */
export interface EndpointPlace extends Way {
  readonly origin: string;
  /** A name, or an address without brackets. */
  readonly host: string;
  /** Before `/chat/completions`, without a slash at its end. */
  readonly path: string;
  /** The URL as it is kept. */
  readonly url: string;
}

/**
 * Reads the URL of an endpoint, as an SDK takes its base URL; without a path, `/v1` is meant. Answers a refusal in one
 * sentence. The URL standard has rewritten odd spellings of an address (decimal, octal, hexadecimal, short, full-width)
 * into the plain one before it is judged here; a name is judged when it is resolved.
 */
export function readEndpointUrl(text: string, allowed: AllowedNetworks): EndpointPlace | { refusal: string } {
  let url: URL;
  try {
    url = new URL(text.trim());
  } catch {
    return { refusal: 'The URL is not one: write it as https://api.example.com/v1.' };
  }
  const { protocol } = url;
  if (text.length > URL_CHARS_MAX) return { refusal: `A URL has at most ${URL_CHARS_MAX} characters.` };
  if (protocol !== 'https:' && protocol !== 'http:') return { refusal: 'The URL must begin with https://.' };
  if (url.username !== '' || url.password !== '') {
    return { refusal: 'The URL must not hold a user or a password: give the key by itself.' };
  }
  if (url.search !== '' || url.hash !== '') {
    return { refusal: 'The URL must end with its path, without ? or #.' };
  }
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = url.port === '' ? (protocol === 'https:' ? 443 : 80) : Number(url.port);
  const way: Way = { protocol, port };
  // An operator's networks hold addresses: whether a name leads into one shows when it is resolved.
  const refusal = isIP(host) === 0 ? undefined : refusalOfAddress(host, way, allowed);
  if (refusal !== undefined) return { refusal };
  const path = url.pathname.replace(/\/+$/, '') || '/v1';
  return { ...way, origin: url.origin, host, path, url: `${url.origin}${path}` };
}

/** Looks a name up and judges every address it leads to. Answers one that may be called, or a refusal. */
export async function addressOf(
  place: Way & { readonly host: string },
  rules: NetworkRules,
): Promise<{ address: string } | { refusal: string }> {
  const { host } = place;
  let addresses: readonly string[];
  if (isIP(host) === 0) {
    try {
      addresses = await rules.resolve(host);
    } catch {
      return { refusal: 'The name in the URL cannot be resolved.' };
    }
  } else addresses = [host];
  const [first] = addresses;
  if (first === undefined) return { refusal: 'The name in the URL has no address.' };
  // One bad address condemns the name: whoever mixes them hopes that we take that one.
  for (const address of addresses) {
    const refusal = refusalOfAddress(address, place, rules.allowed);
    if (refusal !== undefined) return { refusal };
  }
  return { address: first };
}

/** What decides where we may connect. */
export interface NetworkRules {
  readonly allowed: AllowedNetworks;
  /** Every address of a name, as the system resolves it. */
  readonly resolve: (name: string) => Promise<readonly string[]>;
}
