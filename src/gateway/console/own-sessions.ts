import type { SignOut } from '#identity/sign-outs.ts';
import { Fault } from '#kit/fault.ts';
import { type SessionsAnswer, type SessionsEndedAnswer, sessionEndQuery } from '#wire/dashboard.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route } from './route.ts';

/** Where a user is signed in, and how that ends: with the keys that were made there, or without. */
export function sessionRoutes({ accounts, keys }: ConsoleRooms): Route[] {
  const forUser = { access: 'user', errors: 'text' } as const;
  return [
    route('GET /api/v1/user/me/sessions', forUser, async ({ user, sessionId }): Promise<SessionsAnswer> => {
      const sessions = await accounts.sessions(user.id);
      return {
        sessions: sessions.map(({ id, createdAt, expiresAt, address, program }) => ({
          id,
          created_at: new Date(createdAt).toISOString(),
          expires_at: new Date(expiresAt).toISOString(),
          address,
          program,
          current: id === sessionId,
        })),
      };
    }),
    route(
      'DELETE /api/v1/user/me/sessions/:id',
      { ...forUser, query: sessionEndQuery },
      async ({ user, params, query }) => {
        const id = params['id'] ?? '';
        const revokeKeys = query.revoke_keys === 'true';
        const out = await accounts.endSession(user.id, id, { revokeKeys });
        if (out.ended === 0) throw new Fault('thing-unknown', { outer: 'You have no such session.' });
        await keys.look(out.revoked);
        return { id, ended: true, ...keysOf(out) };
      },
    ),
    route(
      'DELETE /api/v1/user/me/sessions',
      { ...forUser, query: sessionEndQuery },
      async ({ user, sessionId, query }): Promise<SessionsEndedAnswer> => {
        const revokeKeys = query.revoke_keys === 'true';
        const out = await accounts.endOtherSessions(user.id, sessionId, { revokeKeys });
        await keys.look(out.revoked);
        return { ended: out.ended, ...keysOf(out) };
      },
    ),
  ];
}

/** What is told of the keys that were made in sessions that ended. */
export function keysOf({ keysMade, revoked }: SignOut): { keys_made: number; keys_revoked: number } {
  return { keys_made: keysMade, keys_revoked: revoked.length };
}
