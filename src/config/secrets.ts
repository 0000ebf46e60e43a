import { Sealed } from '#kit/sealed.ts';

/**
 * The settings that must never be printed, kept apart: each is sealed the moment it is read, and a bad one is described
 * without being quoted. `env.ts` lists them beside the others; only their parsers live here.
 */

/** A secret to derive keys from, sealed. Throws `RangeError` when it is too short to be one. */
export function marketSecret(text: string): Sealed<string> {
  if (text.length < 32 || text.length > 1_024) throw new RangeError('32 to 1,024 characters');
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
