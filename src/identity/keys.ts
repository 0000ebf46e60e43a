import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Database } from '#db/database.ts';
import type { KeyRecord } from '#domain/party.ts';
import type { Randomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';

/**
 * Keys: `sk-swan-` (a consumer's) or `sk-prov-` (a provider's), 40 hex characters of chance, and 8 of checksum: the
 * CRC-32 (as in zlib) of the 48 characters before it. The checksum lets a scanner recognise a leaked key without asking
 * us, and lets us refuse a mistyped one without a look-up; it protects nothing. Only the SHA-256 of a key is kept: with
 * 160 random bits there is nothing to guess, so neither salt nor a slow hash would add to it.
 */

export type KeyKind = KeyRecord['kind'];

const BEGINNINGS: Record<KeyKind, string> = { consumer: 'sk-swan-', provider: 'sk-prov-' };
const SHAPE = /^sk-(swan|prov)-[0-9a-f]{48}$/;
const SIGNED_CHARS = 48;
const PREFIX_FROM = 8;
const PREFIX_CHARS = 8;

/** A key just made. The secret is shown to its owner once and kept nowhere. */
export interface NewKey {
  readonly secret: Sealed<string>;
  readonly prefix: string;
  /** SHA-256 of the secret, in hex. */
  readonly hash: string;
}

/** Makes a key. `randomness` must be the cryptographic one. */
export function makeKey(kind: KeyKind, randomness: Randomness): NewKey {
  const signed = BEGINNINGS[kind] + randomness.bytes(20).toString('hex');
  const secret = signed + checksum(signed);
  return {
    secret: new Sealed(secret),
    prefix: signed.slice(PREFIX_FROM, PREFIX_FROM + PREFIX_CHARS),
    hash: hashKey(secret),
  };
}

/** What kind of key a text would be, by its shape and checksum alone; undefined when it cannot be a key. */
export function kindOfKey(text: string): KeyKind | undefined {
  const shape = SHAPE.exec(text);
  if (!shape || checksum(text.slice(0, SIGNED_CHARS)) !== text.slice(SIGNED_CHARS)) return undefined;
  return shape[1] === 'swan' ? 'consumer' : 'provider';
}

/** SHA-256 of a key's text, in hex: what is stored and looked up. */
export function hashKey(secret: string): string {
  return hash('sha256', secret, 'hex');
}

function checksum(signed: string): string {
  return crc32(signed).toString(16).padStart(8, '0');
}

/** A key in full, as an operator lists it. */
export interface ListedKey extends KeyRecord {
  /** Wall milliseconds. */
  readonly createdAt: number;
  readonly revokedAt: number | null;
  /** A day in UTC: `2026-11-20`. */
  readonly lastUsedOn: string | null;
}

/**
 * Keeps a new key for its owner. The id is the caller's, so sending it again changes nothing. `no-owner` when there is
 * no such consumer (or provider).
 */
export async function keepKey(
  database: Database,
  key: { id: string; kind: KeyKind; ownerId: string; name: string; prefix: string; hash: string; at: number },
): Promise<'kept' | 'no-owner'> {
  const { sql } = database;
  const owners = key.kind === 'consumer' ? sql`consumers` : sql`providers`;
  const [owner] = await sql`select id from ${owners} where id = ${key.ownerId}`;
  if (!owner) return 'no-owner';
  const column = key.kind === 'consumer' ? sql`consumer_id` : sql`provider_id`;
  await sql`
    insert into keys (id, kind, ${column}, name, prefix, hash, created_at)
    values (${key.id}, ${key.kind}, ${key.ownerId}, ${key.name}, ${key.prefix}, decode(${key.hash}, 'hex'), ${new Date(key.at)})
    on conflict (id) do nothing`;
  return 'kept';
}

/** Revokes a key for good; every process refuses it within a second. Revoking twice keeps the first moment. */
export async function revokeKey(
  database: Database,
  revocation: { id: string; at: number },
): Promise<'revoked' | 'unknown'> {
  const [found] = await database.sql`
    update keys set revoked_at = coalesce(revoked_at, ${new Date(revocation.at)})
    where id = ${revocation.id} returning id`;
  return found ? 'revoked' : 'unknown';
}

/** The keys of one owner, or of all; oldest first, at most `limit`. */
export async function listKeys(
  database: Database,
  which: { ownerId?: string | undefined; limit: number },
): Promise<ListedKey[]> {
  const { sql } = database;
  const rows = await sql<Row[]>`
    select id, kind, owner_id, name, prefix, created_at, revoked_at, last_used_on::text
    from keys
    ${which.ownerId === undefined ? sql`` : sql`where owner_id = ${which.ownerId}`}
    order by created_at, id limit ${which.limit}`;
  return rows.map(listed);
}

/** The keys whose id or displayed prefix is `name`. Prefixes are short: two keys may share one. */
export async function keysNamed(database: Database, name: string): Promise<ListedKey[]> {
  const rows = await database.sql<Row[]>`
    select id, kind, owner_id, name, prefix, created_at, revoked_at, last_used_on::text
    from keys where id = ${name} or prefix = ${name} order by created_at, id limit 20`;
  return rows.map(listed);
}

interface Row {
  id: string;
  kind: KeyKind;
  owner_id: string;
  name: string;
  prefix: string;
  created_at: Date;
  revoked_at: Date | null;
  last_used_on: string | null;
}

function listed(row: Row): ListedKey {
  return {
    id: row.id,
    kind: row.kind,
    ownerId: row.owner_id,
    name: row.name,
    prefix: row.prefix,
    revoked: row.revoked_at !== null,
    createdAt: row.created_at.getTime(),
    revokedAt: row.revoked_at?.getTime() ?? null,
    lastUsedOn: row.last_used_on,
  };
}
