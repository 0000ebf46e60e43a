import { hash } from 'node:crypto';
import type { Sql } from '#db/database.ts';
import type { Randomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';

/**
 * Sessions: what a login is worth for some hours. The secret (`sess-` and 256 random bits in hex) is always ours, never one
 * that a visitor brought, so nobody can be made to log in to a session that somebody else knows. Only its SHA-256 is kept.
 */

const SHAPE = /^sess-[0-9a-f]{64}$/;

export interface Session {
  readonly id: string;
  readonly secret: Sealed<string>;
  /** Wall milliseconds. */
  readonly expiresAt: number;
}

/** Begins a session for a user. Old ones that ended more than a week ago are swept, a few at a time. */
export async function startSession(
  sql: Sql,
  session: { id: string; userId: string; at: number; expiresAt: number; randomness: Randomness },
): Promise<Session> {
  const secret = `sess-${session.randomness.bytes(32).toString('hex')}`;
  await sql`
    insert into sessions (id, user_id, hash, created_at, expires_at)
    values (
      ${session.id}, ${session.userId}, decode(${hashSession(secret)}, 'hex'), ${new Date(session.at)},
      ${new Date(session.expiresAt)}
    )`;
  await sql`
    delete from sessions where id in (
      select id from sessions where expires_at < ${new Date(session.at)}::timestamptz - interval '7 days'
      order by expires_at limit 20 for update skip locked
    )`;
  return { id: session.id, secret: new Sealed(secret), expiresAt: session.expiresAt };
}

/** Could this text be a session's secret? */
export function looksLikeSession(text: string): boolean {
  return SHAPE.test(text);
}

export function hashSession(secret: string): string {
  return hash('sha256', secret, 'hex');
}
