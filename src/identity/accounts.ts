import type { Database, Sql } from '#db/database.ts';
import { firstState, type LifeTerms } from '#domain/lifecycle.ts';
import type { ProviderState } from '#domain/party.ts';
import type { Clock } from '#kit/clock.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Randomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { noteEvent } from './account-events.ts';
import { insertKey, type KeyOrigin, makeKey } from './keys.ts';
import type { Passwords } from './passwords.ts';
import { insertProvider } from './providers.ts';
import { type BegunFactor, removeFactor, type SecondFactors } from './second-factors.ts';
import {
  hashSession,
  lastingSessions,
  looksLikeSession,
  type OpenSession,
  openSessions,
  type Session,
  startSession,
} from './sessions.ts';
import { revokeKeysSince, type SignOut, signOut } from './sign-outs.ts';

/** Somebody who signs in: always a consumer, perhaps a provider, perhaps an operator. */
export interface User {
  readonly id: string;
  readonly email: string;
  readonly displayName: string;
  readonly consumerId: string;
  readonly providerId: string | null;
  readonly isOperator: boolean;
}

/** Where somebody signs in from, and with what program. */
interface Place {
  readonly address: string;
  readonly program: string;
}

/**
 * Signing up, logging in and becoming a provider. Each is one transaction: whoever is told that it worked finds all of it
 * after a crash, and whoever is not finds nothing. E-mail addresses are compared without regard to case.
 */
export class Accounts {
  readonly #parts: AccountParts;

  constructor(parts: AccountParts) {
    this.#parts = parts;
  }

  /**
   * A new user with a consumer, a first key and a session. `taken` when the address has an account: the password is hashed
   * all the same, so that the time taken does not tell more than the answer does.
   */
  async signUp(
    person: {
      email: string;
      password: Sealed<string>;
      displayName: string;
    } & Partial<Place>,
  ): Promise<{ user: User; session: Session; apiKey: Sealed<string>; keyId: string } | 'taken'> {
    const { database, clock, makeId, randomness, passwords } = this.#parts;
    const passwordHash = await passwords.hash(person.password.open());
    const at = clock.wallMs();
    const user: User = {
      id: makeId('user'),
      email: person.email,
      displayName: person.displayName,
      consumerId: makeId('cons'),
      providerId: null,
      isOperator: false,
    };
    return await database.transaction(async (sql) => {
      await sql`
        insert into consumers (id, name, created_at) values (${user.consumerId}, ${user.displayName}, ${new Date(at)})`;
      const [made] = await sql`
        insert into users (
          id, email, email_key, display_name, password_hash, consumer_id, created_at, password_set_at
        )
        values (
          ${user.id}, ${user.email}, ${emailKey(user.email)}, ${user.displayName}, ${passwordHash},
          ${user.consumerId}, ${new Date(at)}, ${new Date(at)}
        )
        on conflict (email_key) do nothing returning id`;
      if (!made) {
        await sql`delete from consumers where id = ${user.consumerId}`;
        return 'taken' as const;
      }
      const { secret, prefix, hash } = makeKey('consumer', randomness);
      const key = { id: makeId('key'), kind: 'consumer' as const, ownerId: user.consumerId };
      await insertKey(sql, { ...key, name: 'First key', prefix, hash, at });
      await noteEvent(sql, { at, actor: user.id, what: 'signed-up', about: user.id });
      const session = await this.#startSession(sql, user.id, at, person);
      return { user, session, apiKey: secret, keyId: key.id };
    });
  }

  /**
   * Does something for whoever knows this user's password, in one transaction that a change of it waits for. A session is not
   * enough for what could lock its owner out: it may be stolen.
   */
  async #withPassword<T>(
    userId: string,
    password: Sealed<string>,
    act: (sql: Sql) => Promise<T>,
  ): Promise<T | 'refused'> {
    const { database, passwords } = this.#parts;
    const [row] = await database.sql<{ password_hash: string }[]>`
      select password_hash from users where id = ${userId}`;
    if (!(await passwords.matches(row?.password_hash, password.open())) || !row) return 'refused';
    return await database.transaction(async (sql) =>
      (await isStill(sql, userId, row.password_hash)) ? await act(sql) : 'refused',
    );
  }

  /**
   * A new session, or `refused`: for a wrong password and for an unknown address alike, after the same time. Whoever has a
   * second factor needs a code of it too: `code-missing` and `code-wrong` are only said to who knew the password.
   */
  async logIn(
    person: { email: string; password: Sealed<string>; code?: string | undefined } & Partial<Place>,
  ): Promise<{ user: User; session: Session } | 'refused' | 'code-missing' | 'code-wrong'> {
    const { database, clock, passwords, factors } = this.#parts;
    const { sql } = database;
    const [row] = await sql<(Row & { password_hash: string })[]>`
      ${userColumns(sql)}, u.password_hash from users u where email_key = ${emailKey(person.email)}`;
    if (!(await passwords.matches(row?.password_hash, person.password.open())) || !row) return 'refused';
    const user = userOfRow(row);
    const at = clock.wallMs();
    return await database.transaction(async (inner) => {
      // A password that was changed while we compared the old one must not open a session.
      if (!(await isStill(inner, user.id, row.password_hash))) return 'refused' as const;
      const checked = await factors.check(inner, user.id, person.code);
      if (checked === 'missing') return 'code-missing' as const;
      if (checked === 'wrong') return 'code-wrong' as const;
      return { user, session: await this.#startSession(inner, user.id, at, person) };
    });
  }

  /** Whose session this is, while it lasts. */
  async userOfSession(
    secret: string,
  ): Promise<{ user: User; sessionId: string; isSuspended: boolean } | undefined> {
    if (!looksLikeSession(secret)) return undefined;
    const { sql } = this.#parts.database;
    const [row] = await sql<(Row & { session_id: string; is_suspended: boolean })[]>`
      ${userColumns(sql)}, s.id as session_id,
        exists (select from consumers c where c.id = u.consumer_id and c.suspended_at is not null) as is_suspended
      from sessions s join users u on u.id = s.user_id
      where s.hash = decode(${hashSession(secret)}, 'hex') and s.ended_at is null
        and s.expires_at > ${new Date(this.#parts.clock.wallMs())}`;
    return row && { user: userOfRow(row), sessionId: row.session_id, isSuspended: row.is_suspended };
  }

  /** Those of these sessions that last now, and whether their users are operators. */
  async lastingSessions(ids: readonly string[]): Promise<Map<string, { isOperator: boolean }>> {
    const { database, clock } = this.#parts;
    return await lastingSessions(database, { ids, at: clock.wallMs() });
  }

  /** Ends a session. Ending it twice keeps the first moment. */
  async logOut(sessionId: string): Promise<void> {
    await this.#parts.database.sql`
      update sessions set ended_at = coalesce(ended_at, ${new Date(this.#parts.clock.wallMs())})
      where id = ${sessionId}`;
  }

  /**
   * Sets a new password and ends every other session; with `revokeKeys`, also what was made in them. Undefined when the present
   * one is wrong.
   */
  async changePassword(change: {
    userId: string;
    sessionId: string;
    present: Sealed<string>;
    next: Sealed<string>;
    revokeKeys: boolean;
  }): Promise<SignOut | undefined> {
    const { database, clock, passwords } = this.#parts;
    const [row] = await database.sql<{ password_hash: string }[]>`
      select password_hash from users where id = ${change.userId}`;
    if (!(await passwords.matches(row?.password_hash, change.present.open())) || !row) return undefined;
    const next = await passwords.hash(change.next.open());
    const at = clock.wallMs();
    return await database.transaction(async (sql) => {
      const [changed] = await sql`
        update users set password_hash = ${next}, password_set_at = ${new Date(at)}
        where id = ${change.userId} and password_hash = ${row.password_hash} returning id`;
      if (!changed) return undefined;
      const { userId, sessionId: but, revokeKeys } = change;
      await noteEvent(sql, { at, actor: userId, what: 'password-changed', about: userId });
      return await signOut(sql, { userId, but, revokeKeys, actor: userId, at });
    });
  }

  /** Makes a user a provider as well, with a first provider key. `already` when it is one: also of two tries at once. */
  async upgrade(
    userId: string,
    about: {
      name: string;
      ownerAddress: string | null;
      workerAddress: string | null;
      beneficiaryAddress: string | null;
      description: string;
      origin?: KeyOrigin;
    },
  ): Promise<NewProvider | 'already' | 'owner-taken'> {
    const { database, clock } = this.#parts;
    const at = clock.wallMs();
    return await database.transaction(async (sql) => {
      const [user] = await sql<{ provider_id: string | null }[]>`
        select provider_id from users where id = ${userId} for update`;
      if (!user || user.provider_id !== null) return 'already' as const;
      const made = await this.#makeProvider(sql, about, at, userId);
      if (made !== 'owner-taken') {
        await sql`update users set provider_id = ${made.providerId} where id = ${userId}`;
      }
      return made;
    });
  }

  /** A provider without a user: it is known by its owner's address alone. */
  async signUpProvider(about: { name: string; ownerAddress: string }): Promise<NewProvider | 'owner-taken'> {
    const at = this.#parts.clock.wallMs();
    return await this.#parts.database.transaction((sql) =>
      this.#makeProvider(
        sql,
        { ...about, workerAddress: null, beneficiaryAddress: null, description: '' },
        at,
        'stranger',
      ),
    );
  }

  async #makeProvider(
    sql: Sql,
    about: {
      name: string;
      ownerAddress: string | null;
      workerAddress: string | null;
      beneficiaryAddress: string | null;
      description: string;
      origin?: KeyOrigin;
    },
    at: number,
    actor: string,
  ): Promise<NewProvider | 'owner-taken'> {
    const { makeId, randomness, life } = this.#parts;
    const providerId = makeId('prov');
    const state = firstState(life);
    const { origin, ...provider } = about;
    if (!(await insertProvider(sql, { id: providerId, state, at, ...provider }))) return 'owner-taken';
    const { secret, prefix, hash } = makeKey('provider', randomness);
    const key = { id: makeId('key'), kind: 'provider' as const, ownerId: providerId };
    await insertKey(sql, { ...key, name: 'First key', prefix, hash, at, origin });
    await noteEvent(sql, { at, actor, what: 'became-provider', about: providerId });
    return { providerId, keyId: key.id, secret, prefix, state };
  }

  /** The sessions of a user that have not ended, newest first. */
  async sessions(userId: string): Promise<OpenSession[]> {
    return await openSessions(this.#parts.database, { userId, at: this.#parts.clock.wallMs() });
  }

  /** Ends a session of this user. Nothing ended: it has none of that id that lasts. */
  async endSession(
    userId: string,
    sessionId: string,
    { revokeKeys }: { revokeKeys: boolean },
  ): Promise<SignOut> {
    return await this.#signOut({ userId, only: sessionId, revokeKeys });
  }

  /** Ends every session of this user but one. */
  async endOtherSessions(
    userId: string,
    sessionId: string,
    { revokeKeys }: { revokeKeys: boolean },
  ): Promise<SignOut> {
    return await this.#signOut({ userId, but: sessionId, revokeKeys });
  }

  async #signOut(which: {
    userId: string;
    but?: string;
    only?: string;
    revokeKeys: boolean;
  }): Promise<SignOut> {
    const { database, clock } = this.#parts;
    const about = { ...which, actor: which.userId, at: clock.wallMs() };
    return await database.transaction((sql) => signOut(sql, about));
  }

  /** Revokes every living key of this user that was made at `since` or later (wall milliseconds). Answers their ids. */
  async revokeKeysSince(userId: string, since: number): Promise<readonly string[]> {
    const { database, clock } = this.#parts;
    const about = { userId, since, actor: userId, at: clock.wallMs() };
    return await database.transaction((sql) => revokeKeysSince(sql, about));
  }

  /** Begins a second factor, for the password (`SecondFactors.begin`). */
  async beginSecondFactor(begin: {
    user: Pick<User, 'id' | 'email'>;
    password: Sealed<string>;
  }): Promise<BegunFactor | 'enabled' | 'refused'> {
    const { user, password } = begin;
    return await this.#withPassword(user.id, password, (sql) => this.#parts.factors.begin(sql, user));
  }

  /**
   * Turns the second factor on, for the password and a first code of it. Every other session ends: whoever has one got in
   * without a code; with `revokeKeys`, also what was made in them. Answers the recovery codes, this once.
   */
  async confirmSecondFactor(confirm: {
    userId: string;
    sessionId: string;
    password: Sealed<string>;
    code: string;
    revokeKeys: boolean;
  }): Promise<({ codes: Sealed<string[]> } & SignOut) | 'wrong' | 'unknown' | 'refused'> {
    const { factors, clock } = this.#parts;
    const { userId, sessionId: but, password, code, revokeKeys } = confirm;
    return await this.#withPassword(userId, password, async (sql) => {
      const codes = await factors.confirm(sql, userId, code);
      if (!(codes instanceof Sealed)) return codes;
      const about = { userId, but, revokeKeys, actor: userId, at: clock.wallMs() };
      return { codes, ...(await signOut(sql, about)) };
    });
  }

  /** Takes a user's second factor away, for its password and a code of it. */
  async removeSecondFactor(change: {
    userId: string;
    password: Sealed<string>;
    code: string;
  }): Promise<'removed' | 'refused' | 'code-wrong' | 'none'> {
    const { factors, clock } = this.#parts;
    const { userId, password, code } = change;
    return await this.#withPassword(userId, password, async (sql) => {
      const checked = await factors.check(sql, userId, code);
      if (checked === 'none') return 'none';
      if (checked !== 'right') return 'code-wrong';
      await removeFactor(sql, { userId, actor: userId, at: clock.wallMs() });
      return 'removed';
    });
  }

  async #startSession(sql: Sql, userId: string, at: number, from: Partial<Place>): Promise<Session> {
    const { makeId, randomness, sessionMs } = this.#parts;
    const { address = '', program = '' } = from;
    return await startSession(sql, {
      id: makeId('sess'),
      userId,
      at,
      expiresAt: at + sessionMs,
      randomness,
      address: address.slice(0, 60),
      program: program.replaceAll(/\p{Cc}/gu, ' ').slice(0, 200),
    });
  }
}

export interface AccountParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly makeId: IdMaker;
  /** The cryptographic one. */
  readonly randomness: Randomness;
  readonly passwords: Passwords;
  readonly factors: SecondFactors;
  /** What a provider must have before it is active. */
  readonly life: LifeTerms;
  /** How long a session lasts. */
  readonly sessionMs: number;
}

export interface NewProvider {
  readonly providerId: string;
  readonly keyId: string;
  readonly secret: Sealed<string>;
  readonly prefix: string;
  readonly state: ProviderState;
}

/** Users, oldest first, at most `limit`. */
export async function listUsers(
  database: Database,
  limit: number,
): Promise<(User & { createdAt: number })[]> {
  const { sql } = database;
  const rows = await sql<(Row & { created_at: Date })[]>`
    ${userColumns(sql)}, u.created_at from users u order by u.created_at, u.id limit ${limit}`;
  return rows.map((row) => ({ ...userOfRow(row), createdAt: row.created_at.getTime() }));
}

/** Lets a user do what operators do, or no longer. False when there is no user with this address. */
export async function setOperator(
  database: Database,
  change: { email: string; isOperator: boolean; actor: string; at: number },
): Promise<boolean> {
  return await database.transaction(async (sql) => {
    const [user] = await sql<{ id: string }[]>`
      update users set is_operator = ${change.isOperator} where email_key = ${emailKey(change.email)} returning id`;
    if (!user) return false;
    const what = change.isOperator ? 'made-operator' : 'operator-no-more';
    await noteEvent(sql, { at: change.at, actor: change.actor, what, about: user.id });
    return true;
  });
}

/** Keeps a password as it was checked until the transaction ends. False when it was changed meanwhile. */
async function isStill(sql: Sql, userId: string, passwordHash: string): Promise<boolean> {
  const [same] = await sql`
    select from users where id = ${userId} and password_hash = ${passwordHash} for share`;
  return same !== undefined;
}

/**
 * Takes a user's second factor away, for whoever runs the market: its owner lost the device and the recovery codes. Every
 * session of the user ends, because the device that was lost may have one, and the keys that were made in them are revoked: who
 * asks for this cannot tell them apart.
 */
export async function dropSecondFactor(
  database: Database,
  drop: { email: string; actor: string; at: number },
): Promise<SignOut | 'none' | 'unknown'> {
  return await database.transaction(async (sql) => {
    const [user] = await sql<{ id: string }[]>`
      select id from users where email_key = ${emailKey(drop.email)} for update`;
    if (!user) return 'unknown' as const;
    const { actor, at } = drop;
    if (!(await removeFactor(sql, { userId: user.id, actor, at }))) return 'none' as const;
    return await signOut(sql, { userId: user.id, revokeKeys: true, actor, at });
  });
}

/** What addresses are compared by. */
export function emailKey(email: string): string {
  return email.normalize('NFKC').trim().toLowerCase();
}

interface Row {
  id: string;
  email: string;
  display_name: string;
  consumer_id: string;
  provider_id: string | null;
  is_operator: boolean;
}

function userColumns(sql: Sql) {
  return sql`select u.id, u.email, u.display_name, u.consumer_id, u.provider_id, u.is_operator`;
}

function userOfRow(row: Row): User {
  return {
    id: row.id,
    email: row.email,
    displayName: row.display_name,
    consumerId: row.consumer_id,
    providerId: row.provider_id,
    isOperator: row.is_operator,
  };
}
