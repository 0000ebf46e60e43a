import type { Database, Sql } from '#db/database.ts';
import type { KeyScope } from '#domain/key-scope.ts';
import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Randomness } from '#kit/random.ts';
import type { Sealed } from '#kit/sealed.ts';
import { noteEvent } from './account-events.ts';
import {
  changeKey,
  insertKey,
  type KeyKind,
  type KeyOrigin,
  type ListedKey,
  listKeys,
  makeKey,
  revokeKey,
  rotateKey,
} from './keys.ts';

/** A key just made, with its secret: shown once. */
export interface MadeKey {
  readonly id: string;
  readonly prefix: string;
  readonly secret: Sealed<string>;
}

/** What owners do with their keys. Every question names the owner, so nobody reaches another's key by its id. */
export class KeyDesk {
  readonly #parts: { database: Database; clock: Clock; makeId: IdMaker; randomness: Randomness };

  constructor(parts: { database: Database; clock: Clock; makeId: IdMaker; randomness: Randomness }) {
    this.#parts = parts;
  }

  /** Makes a key for an owner that exists. `too-many` when it has `KEYS_MAX` living ones. */
  async create(key: {
    kind: KeyKind;
    ownerId: string;
    name: string;
    scope?: KeyScope;
    expiresAt?: number | null;
    origin?: KeyOrigin;
    actor: string;
  }): Promise<MadeKey | 'too-many'> {
    const { database, clock, makeId, randomness } = this.#parts;
    const { secret, prefix, hash } = makeKey(key.kind, randomness);
    const id = makeId('key');
    const at = clock.wallMs();
    return await database.transaction(async (sql) => {
      const owners = key.kind === 'consumer' ? sql`consumers` : sql`providers`;
      await sql`select id from ${owners} where id = ${key.ownerId} for no key update`;
      const [living] = await sql<{ count: number }[]>`
        select count(*)::integer as count from keys
        where owner_id = ${key.ownerId} and revoked_at is null
          and (expires_at is null or expires_at > ${new Date(at)})`;
      if ((living?.count ?? 0) >= KEYS_MAX) return 'too-many' as const;
      await holdSession(sql, key.origin, at);
      await insertKey(sql, { ...key, id, prefix, hash, at });
      await noteEvent(sql, { at, actor: key.actor, what: 'key-made', about: id });
      return { id, prefix, secret };
    });
  }

  async list(ownerId: string): Promise<ListedKey[]> {
    return await listKeys(this.#parts.database, { ownerId, limit: LISTED });
  }

  async find(ownerId: string, id: string): Promise<ListedKey | undefined> {
    const [key] = await listKeys(this.#parts.database, { ownerId, id, limit: 1 });
    return key;
  }

  /** Changes name, scope and expiry. False when there is no such living key of this owner. */
  async change(change: {
    id: string;
    ownerId: string;
    name: string;
    scope: KeyScope;
    expiresAt: number | null;
    actor: string;
  }): Promise<boolean> {
    const { database, clock } = this.#parts;
    const done = await changeKey(database, change);
    if (done) {
      const event = { at: clock.wallMs(), actor: change.actor, what: 'key-changed', about: change.id };
      await noteEvent(database.sql, event);
    }
    return done;
  }

  /** A successor with the same scope; the old key works on for `overlapMs`. */
  async rotate(rotation: {
    id: string;
    ownerId: string;
    overlapMs: number;
    origin?: KeyOrigin;
    actor: string;
  }): Promise<(MadeKey & { kind: KeyKind; name: string; overlapUntil: number }) | 'unknown' | 'superseded'> {
    const { database, clock, makeId, randomness } = this.#parts;
    const at = clock.wallMs();
    const id = makeId('key');
    const found = await this.find(rotation.ownerId, rotation.id);
    if (!found) return 'unknown';
    const { secret, prefix, hash } = makeKey(found.kind, randomness);
    const { origin } = rotation;
    const rotated = await database.transaction(async (sql) => {
      await holdSession(sql, origin, at);
      return await rotateKey(sql, {
        id: rotation.id,
        ownerId: rotation.ownerId,
        next: { id, prefix, hash },
        at,
        overlapUntil: at + rotation.overlapMs,
        origin,
      });
    });
    if (typeof rotated === 'string') return rotated;
    await noteEvent(database.sql, {
      at,
      actor: rotation.actor,
      what: 'key-rotated',
      about: rotation.id,
      detail: { successor: id },
    });
    const { kind, name } = rotated.before;
    return { id, prefix, secret, kind, name, overlapUntil: rotated.overlapUntil };
  }

  /** Revokes for good. False when the owner has no such key. */
  async revoke(revocation: { id: string; ownerId: string; actor: string }): Promise<boolean> {
    const { database, clock } = this.#parts;
    const at = clock.wallMs();
    const answer = await revokeKey(database, { ...revocation, at });
    if (answer === 'unknown') return false;
    await noteEvent(database.sql, {
      at,
      actor: revocation.actor,
      what: 'key-revoked',
      about: revocation.id,
    });
    return true;
  }
}

/**
 * Keeps the session that a key is made in as it is until the transaction ends: whoever ends it at this moment waits, and then
 * finds the key. Throws `session-missing` where it has ended.
 */
async function holdSession(sql: Sql, origin: KeyOrigin | undefined, at: number): Promise<void> {
  if (!origin) return;
  const [lasts] = await sql`
    select from sessions where id = ${origin.sessionId} and ended_at is null and expires_at > ${new Date(at)} for share`;
  if (!lasts) throw new Fault('session-missing', { outer: 'This session has ended. Log in again.' });
}

/** So many living keys one owner may have: one who makes keys without end must not fill every gateway's memory. */
const KEYS_MAX = 200;
const LISTED = 1_000;
