import { Fault } from '#kit/fault.ts';
import type { SessionsAnswer } from '#wire/dashboard.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route } from './route.ts';

/** Where a user is signed in, and how that ends. */
export function sessionRoutes({ accounts }: ConsoleRooms): Route[] {
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
    route('DELETE /api/v1/user/me/sessions/:id', forUser, async ({ user, params }) => {
      const id = params['id'] ?? '';
      if (!(await accounts.endSession(user.id, id)))
        throw new Fault('thing-unknown', { outer: 'You have no such session.' });
      return { id, ended: true };
    }),
    route('DELETE /api/v1/user/me/sessions', forUser, async ({ user, sessionId }) => ({
      ended: await accounts.endOtherSessions(user.id, sessionId),
    })),
  ];
}
