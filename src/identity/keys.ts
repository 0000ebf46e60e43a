import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Database, Sql } from '#db/database.ts';
import { type KeyScope, WHOLE_SCOPE } from '#domain/key-scope.ts';
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

/** In which session a key was made, and from where that session was used then. */
export interface KeyOrigin {
  readonly sessionId: string;
  readonly address: string;
  readonly program: string;
}

/** A key in full, as its owner or an operator lists it. */
export interface ListedKey {
  readonly id: string;
  readonly kind: KeyKind;
  readonly ownerId: string;
  readonly name: string;
  readonly prefix: string;
  readonly revoked: boolean;
  /** The first key of its line (see rotation); its own id when it is the first. */
  readonly familyId: string;
  readonly scope: KeyScope;
  /** Wall milliseconds. */
  readonly expiresAt: number | null;
  readonly createdAt: number;
  readonly revokedAt: number | null;
  /** A day in UTC: `2026-11-20`. */
  readonly lastUsedOn: string | null;
  /** Null: no session made it (at sign-up, by an operator), or it is of before that was noted. */
  readonly origin: KeyOrigin | null;
}

/** A key to be kept. */
export interface KeyToKeep {
  readonly id: string;
  readonly kind: KeyKind;
  readonly ownerId: string;
  readonly name: string;
  readonly prefix: string;
  readonly hash: string;
  readonly at: number;
  readonly scope?: KeyScope;
  readonly expiresAt?: number | null;
  readonly origin?: KeyOrigin | undefined;
}

/**
 * Keeps a new key for its owner. The id is the caller's, so sending it again changes nothing. `no-owner` when there is
 * no such consumer (or provider).
 */
export async function keepKey(database: Database, key: KeyToKeep): Promise<'kept' | 'no-owner'> {
  const { sql } = database;
  const owners = key.kind === 'consumer' ? sql`consumers` : sql`providers`;
  const [owner] = await sql`select id from ${owners} where id = ${key.ownerId}`;
  if (!owner) return 'no-owner';
  await insertKey(sql, key);
  return 'kept';
}

/** The row of a new key, for whoever has made sure of its owner. A known id changes nothing. */
export async function insertKey(sql: Sql, key: KeyToKeep, familyId: string | null = null): Promise<void> {
  const column = key.kind === 'consumer' ? sql`consumer_id` : sql`provider_id`;
  await sql`
    insert into keys (
      id, kind, ${column}, name, prefix, hash, created_at, family_id, expires_at, models, categories, cap_day_pico,
      cap_month_pico, addresses, requests_per_minute, session_id, made_from, made_with
    )
    values (
      ${key.id}, ${key.kind}, ${key.ownerId}, ${key.name}, ${key.prefix}, decode(${key.hash}, 'hex'),
      ${new Date(key.at)}, ${familyId}, ${moment(key.expiresAt)}, ${scopeValues(sql, key.scope ?? WHOLE_SCOPE)},
      ${key.origin?.sessionId ?? null}, ${placeText(key.origin?.address, 60)}, ${placeText(key.origin?.program, 200)}
    )
    on conflict (id) do nothing`;
}

/** The columns of a scope, in the order of `insertKey`. */
function scopeValues(sql: Sql, scope: KeyScope) {
  return sql`
    ${list(scope.models)}::text[], ${list(scope.categories)}::text[], ${scope.capDay}::numeric,
    ${scope.capMonth}::numeric, ${list(scope.addresses)}::text[], ${scope.requestsPerMinute}::integer`;
}

/** Changes what a key is called and may do. `expiresAt` null: never. False when it is revoked or not this owner's. */
export async function changeKey(
  database: Database,
  change: { id: string; ownerId: string; name: string; scope: KeyScope; expiresAt: number | null },
): Promise<boolean> {
  const { scope } = change;
  const [changed] = await database.sql`
    update keys set name = ${change.name}, expires_at = ${moment(change.expiresAt)},
      (models, categories, cap_day_pico, cap_month_pico, addresses, requests_per_minute)
        = row(${scopeValues(database.sql, scope)})
    where id = ${change.id} and owner_id = ${change.ownerId} and revoked_at is null returning id`;
  return changed !== undefined;
}

/**
 * Makes `next` the successor of a key: same owner, family, scope, and (where it had one of its own) expiry; the old key
 * goes on working until `overlapUntil`, or until its own earlier end. A key has one successor: `superseded` when it has
 * it already (also when two rotate at once), `unknown` when there is no such living key of this owner. Within the caller's
 * transaction.
 */
export async function rotateKey(
  sql: Sql,
  rotation: {
    id: string;
    ownerId: string;
    next: { id: string; prefix: string; hash: string };
    at: number;
    overlapUntil: number;
    origin?: KeyOrigin | undefined;
  },
): Promise<{ before: ListedKey; overlapUntil: number } | 'unknown' | 'superseded'> {
  const [row] = await sql<Row[]>`
    ${columns(sql)}
    where id = ${rotation.id} and owner_id = ${rotation.ownerId} and revoked_at is null
      and (expires_at is null or expires_at > ${new Date(rotation.at)})
    for update`;
  if (!row) return 'unknown';
  if (row.superseded_by !== null) return 'superseded';
  const before = listed(row);
  const { kind, ownerId, name, scope, expiresAt } = before;
  const overlapUntil = Math.min(rotation.overlapUntil, expiresAt ?? Number.POSITIVE_INFINITY);
  await insertKey(
    sql,
    { ...rotation.next, kind, ownerId, name, at: rotation.at, scope, expiresAt, origin: rotation.origin },
    before.familyId,
  );
  await sql`
    update keys set expires_at = ${new Date(overlapUntil)}, superseded_by = ${rotation.next.id} where id = ${before.id}`;
  return { before, overlapUntil };
}

/**
 * Revokes a key (of `ownerId`, where given) for good; every process refuses it within a second. Revoking twice keeps the
 * first moment.
 */
export async function revokeKey(
  database: Database,
  revocation: { id: string; at: number; ownerId?: string },
): Promise<'revoked' | 'unknown'> {
  const { sql } = database;
  const [found] = await sql`
    update keys set revoked_at = coalesce(revoked_at, ${new Date(revocation.at)})
    where id = ${revocation.id}
      ${revocation.ownerId === undefined ? sql`` : sql`and owner_id = ${revocation.ownerId}`}
    returning id`;
  return found ? 'revoked' : 'unknown';
}

/** Revokes the living keys of owners that were made in one of these sessions, or at `since` or later. Answers their ids. */
export async function revokeKeys(
  sql: Sql,
  which: { owners: readonly string[]; sessions?: readonly string[]; since?: number; at: number },
): Promise<string[]> {
  const at = new Date(which.at);
  const since = which.since === undefined ? sql`false` : sql`created_at >= ${new Date(which.since)}`;
  const rows = await sql<{ id: string }[]>`
    update keys set revoked_at = ${at}
    where owner_id = any(${[...which.owners]}::text[]) and revoked_at is null
      and (expires_at is null or expires_at > ${at})
      and (session_id = any(${[...(which.sessions ?? [])]}::text[]) or ${since})
    returning id`;
  return rows.map(({ id }) => id);
}

/** The keys of one owner (the one with this id, where given), or of all; oldest first, at most `limit`. */
export async function listKeys(
  database: Database,
  which: { ownerId?: string | undefined; id?: string; limit: number },
): Promise<ListedKey[]> {
  const { sql } = database;
  const rows = await sql<Row[]>`
    ${columns(sql)}
    where ${which.ownerId === undefined ? sql`true` : sql`owner_id = ${which.ownerId}`}
      and ${which.id === undefined ? sql`true` : sql`id = ${which.id}`}
    order by created_at, id limit ${which.limit}`;
  return rows.map(listed);
}

/** The keys whose id or displayed prefix is `name`. Prefixes are short: two keys may share one. */
export async function keysNamed(database: Database, name: string): Promise<ListedKey[]> {
  const { sql } = database;
  const rows = await sql<Row[]>`
    ${columns(sql)} where id = ${name} or prefix = ${name} order by created_at, id limit 20`;
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
  expires_at: Date | null;
  family_id: string;
  superseded_by: string | null;
  models: string[] | null;
  categories: KeyScope['categories'];
  cap_day_pico: bigint | null;
  cap_month_pico: bigint | null;
  addresses: string[] | null;
  requests_per_minute: number | null;
  session_id: string | null;
  made_from: string;
  made_with: string;
}

function columns(sql: Sql) {
  return sql`
    select id, kind, owner_id, name, prefix, created_at, revoked_at, last_used_on::text, expires_at,
      coalesce(family_id, id) as family_id, superseded_by, models, categories, cap_day_pico, cap_month_pico, addresses,
      requests_per_minute, session_id, made_from, made_with
    from keys`;
}

/** The scope that a row of `keys` describes. */
export function scopeOfRow(
  row: Pick<
    Row,
    'models' | 'categories' | 'cap_day_pico' | 'cap_month_pico' | 'addresses' | 'requests_per_minute'
  >,
): KeyScope {
  return {
    models: row.models,
    categories: row.categories,
    capDay: row.cap_day_pico,
    capMonth: row.cap_month_pico,
    addresses: row.addresses,
    requestsPerMinute: row.requests_per_minute,
  };
}

function moment(wallMs: number | null | undefined): Date | null {
  return wallMs === null || wallMs === undefined ? null : new Date(wallMs);
}

/** What a visitor says of itself, as it can be kept. */
function placeText(text: string | undefined, max: number): string {
  return (text ?? '')
    .replaceAll(/\p{Cc}/gu, ' ')
    .slice(0, max)
    .toWellFormed();
}

function list(values: readonly string[] | null): string[] | null {
  return values === null ? null : [...values];
}

function listed(row: Row): ListedKey {
  return {
    id: row.id,
    kind: row.kind,
    ownerId: row.owner_id,
    name: row.name,
    prefix: row.prefix,
    revoked: row.revoked_at !== null,
    familyId: row.family_id,
    scope: scopeOfRow(row),
    expiresAt: row.expires_at?.getTime() ?? null,
    createdAt: row.created_at.getTime(),
    revokedAt: row.revoked_at?.getTime() ?? null,
    lastUsedOn: row.last_used_on,
    origin:
      row.session_id === null
        ? null
        : { sessionId: row.session_id, address: row.made_from, program: row.made_with },
  };
}
