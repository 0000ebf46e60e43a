import { Sealed } from '#kit/sealed.ts';

/**
 * The settings that must never be printed, kept apart: each is sealed the moment it is read, and a bad one is described
 * without being quoted. `env.ts` lists them beside the others; only their parsers live here.
 */

/** A private key: 32 bytes in hexadecimal digits after `0x`. Throws `RangeError` naming what is expected, never the text. */
export function privateKey(text: string): Sealed<`0x${string}`> {
  if (!/^0x[0-9a-fA-F]{64}$/.test(text)) throw new RangeError('0x and 64 hexadecimal digits');
  return new Sealed(text.toLowerCase() as `0x${string}`);
}

/** A secret of another house, of whatever form. Throws `RangeError` for one with spaces, most likely a slip. */
export function anySecret(text: string): Sealed<string> {
  if (!/^[\x21-\x7e]{8,500}$/.test(text)) throw new RangeError('8 to 500 characters without spaces');
  return new Sealed(text);
}

/**
 * Addresses of RPC servers, with commas between them. Sealed because many carry the key of an account. Throws `RangeError`
 * naming what is expected, never the text.
 */
export function rpcUrls(text: string): Sealed<readonly string[]> {
  const urls = text.split(/[\s,]+/).filter((url) => url !== '');
  for (const url of urls) {
    if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
      throw new RangeError('URLs that begin with https:// or http://, with commas between them');
    }
  }
  return new Sealed(urls);
}

/** A secret to derive keys from, sealed. Throws `RangeError` when it is too short to be one. */
export function marketSecret(text: string): Sealed<string> {
  if (text.length < 32 || text.length > 1_024) throw new RangeError('32 to 1,024 characters');
  return new Sealed(text);
}

/** A Redis or Valkey URL (`redis://:password@host:port/number`), sealed because it may carry a password. */
export function redisUrl(text: string): Sealed<string> {
  if (!/^rediss?:\/\/[^\s]+$/.test(text) || !URL.canParse(text)) {
    throw new RangeError('a URL that begins with redis:// or rediss://');
  }
  return new Sealed(text);
}

/**
 * A PostgreSQL URL (`postgres://user:password@host:port/database`), sealed because it carries a password. Throws
 * `RangeError` naming what is expected, never the text.
 */
export function databaseUrl(text: string): Sealed<string> {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new RangeError('a URL such as postgres://user:password@host:5432/database');
  }
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') {
    throw new RangeError('a URL that begins with postgres:// or postgresql://');
  }
  if (url.pathname.length < 2) throw new RangeError('a URL that names a database after the host');
  return new Sealed(text);
}
