import { hash } from 'node:crypto';
import type { Database, Sql } from '#db/database.ts';
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
  session: {
    id: string;
    userId: string;
    at: number;
    expiresAt: number;
    randomness: Randomness;
    address: string;
    program: string;
  },
): Promise<Session> {
  const secret = `sess-${session.randomness.bytes(32).toString('hex')}`;
  await sql`
    insert into sessions (id, user_id, hash, created_at, expires_at, address, program)
    values (
      ${session.id}, ${session.userId}, decode(${hashSession(secret)}, 'hex'), ${new Date(session.at)},
      ${new Date(session.expiresAt)}, ${session.address}, ${session.program}
    )`;
  await sql`
    delete from sessions where id in (
      select id from sessions where expires_at < ${new Date(session.at)}::timestamptz - interval '7 days'
      order by expires_at limit 20 for update skip locked
    )`;
  return { id: session.id, secret: new Sealed(secret), expiresAt: session.expiresAt };
}

/** Ends the sessions of a user that last: all, all but one, or one. Answers their ids. */
export async function endSessions(
  sql: Sql,
  which: { userId: string; but?: string; only?: string; at: number },
): Promise<string[]> {
  const at = new Date(which.at);
  const ended = await sql<{ id: string }[]>`
    update sessions set ended_at = ${at}
    where user_id = ${which.userId} and id <> ${which.but ?? ''}
      and (${which.only ?? null}::text is null or id = ${which.only ?? null})
      and ended_at is null and expires_at > ${at}
    returning id`;
  return ended.map(({ id }) => id);
}

/** A session as its user sees it. */
export interface OpenSession {
  readonly id: string;
  /** Wall milliseconds. */
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly address: string;
  readonly program: string;
}

/** The sessions of a user that last at an instant, newest first. */
export async function openSessions(
  database: Database,
  which: { userId: string; at: number },
): Promise<OpenSession[]> {
  const rows = await database.sql<
    { id: string; created_at: Date; expires_at: Date; address: string; program: string }[]
  >`
    select id, created_at, expires_at, address, program from sessions
    where user_id = ${which.userId} and ended_at is null and expires_at > ${new Date(which.at)}
    order by created_at desc, id desc limit ${LISTED}`;
  return rows.map(({ id, created_at, expires_at, address, program }) => ({
    id,
    createdAt: created_at.getTime(),
    expiresAt: expires_at.getTime(),
    address,
    program,
  }));
}

const LISTED = 200;

/** Those of these sessions that last, and whether their users are operators. */
export async function lastingSessions(
  database: Database,
  which: { ids: readonly string[]; at: number },
): Promise<Map<string, { isOperator: boolean }>> {
  const rows = await database.sql<{ id: string; is_operator: boolean }[]>`
    select s.id, u.is_operator from sessions s join users u on u.id = s.user_id
    where s.id = any(${[...which.ids]}) and s.ended_at is null and s.expires_at > ${new Date(which.at)}`;
  return new Map(rows.map(({ id, is_operator: isOperator }) => [id, { isOperator }]));
}

/** Could this text be a session's secret? */
export function looksLikeSession(text: string): boolean {
  return SHAPE.test(text);
}

export function hashSession(secret: string): string {
  return hash('sha256', secret, 'hex');
}
