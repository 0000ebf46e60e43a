import type { Sql } from '#db/database.ts';
import { noteEvent } from './account-events.ts';
import { revokeKeys } from './keys.ts';
import { endSessions } from './sessions.ts';

/**
 * Ending sessions, and what was made in them. A session may have been stolen, and a key that a thief made in it would outlive
 * it. But a key is what programs run with, and most sessions are ended by who was merely signed in elsewhere: so the keys go on
 * unless the user says otherwise, and the user is told how many there are.
 */
export interface SignOut {
  /** How many sessions ended. */
  readonly ended: number;
  /** Living keys that were made in them, those that were revoked now included. */
  readonly keysMade: number;
  /** Ids of the keys that were revoked. */
  readonly revoked: readonly string[];
}

/** Ends the sessions of a user that last: all, all but one, or one; and revokes what was made in them where that is asked. */
export async function signOut(
  sql: Sql,
  which: { userId: string; but?: string; only?: string; revokeKeys: boolean; actor: string; at: number },
): Promise<SignOut> {
  const { userId, actor, at } = which;
  const sessions = await endSessions(sql, which);
  if (sessions.length === 0) return { ended: 0, keysMade: 0, revoked: [] };
  const owners = await ownersOf(sql, userId);
  const revoked = which.revokeKeys ? await revokeKeys(sql, { owners, sessions, at }) : [];
  await noteRevocations(sql, revoked, { actor, at });
  const [left] = await sql<{ count: number }[]>`
    select count(*)::integer as count from keys
    where owner_id = any(${owners}::text[]) and session_id = any(${sessions}::text[]) and revoked_at is null
      and (expires_at is null or expires_at > ${new Date(at)})`;
  return { ended: sessions.length, keysMade: revoked.length + (left?.count ?? 0), revoked };
}

/** Revokes every living key of a user that was made at `since` or later, of its consumer and of its provider. Answers their ids. */
export async function revokeKeysSince(
  sql: Sql,
  which: { userId: string; since: number; actor: string; at: number },
): Promise<readonly string[]> {
  const { userId, since, actor, at } = which;
  const revoked = await revokeKeys(sql, { owners: await ownersOf(sql, userId), since, at });
  await noteRevocations(sql, revoked, { actor, at });
  return revoked;
}

async function ownersOf(sql: Sql, userId: string): Promise<string[]> {
  const [user] = await sql<{ consumer_id: string; provider_id: string | null }[]>`
    select consumer_id, provider_id from users where id = ${userId}`;
  return user ? [user.consumer_id, ...(user.provider_id === null ? [] : [user.provider_id])] : [];
}

async function noteRevocations(
  sql: Sql,
  ids: readonly string[],
  { actor, at }: { actor: string; at: number },
): Promise<void> {
  for (const about of ids) await noteEvent(sql, { at, actor, what: 'key-revoked', about });
}
