import { Fault } from '#kit/fault.ts';
import { Sealed } from '#kit/sealed.ts';
import {
  type FactorAnswer,
  type FactorBeginAnswer,
  type FactorConfirmedAnswer,
  factorCodeRequest,
  factorRemovalRequest,
} from '#wire/dashboard.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route } from './route.ts';

export const CODE_REFUSED = 'This code is wrong, or was used before.';

/**
 * A second factor of one's own account. Only a session may change it, never a key. `guard` slows down whoever guesses, as at
 * the door (`accounts.ts`).
 */
export function secondFactorRoutes(
  { factors, accounts }: ConsoleRooms,
  guard: (email: string, address: string) => () => void,
): Route[] {
  const forUser = { access: 'user', errors: 'text' } as const;
  return [
    route('GET /api/v1/user/me/second-factor', forUser, async ({ user }): Promise<FactorAnswer> => {
      const { enabled, since, recoveryCodesLeft } = await factors.standing(user.id);
      return {
        enabled,
        since: since === undefined ? null : new Date(since).toISOString(),
        recovery_codes_left: recoveryCodesLeft,
      };
    }),
    route('POST /api/v1/user/me/second-factor', forUser, async ({ user }): Promise<FactorBeginAnswer> => {
      const begun = await factors.begin(user);
      if (begun === 'enabled')
        throw new Fault('conflict', { outer: 'This account has a second factor already.' });
      return { secret: begun.secret.open(), uri: begun.uri.open() };
    }),
    route(
      'POST /api/v1/user/me/second-factor/confirm',
      { ...forUser, body: factorCodeRequest },
      async ({ user, body, address }): Promise<FactorConfirmedAnswer> => {
        const forgive = guard(user.email, address);
        const codes = await factors.confirm(user.id, body.code);
        if (codes === 'unknown')
          throw new Fault('conflict', { outer: 'There is nothing to confirm: begin first.' });
        if (codes === 'wrong') throw new Fault('login-refused', { outer: CODE_REFUSED });
        forgive();
        return { enabled: true, recovery_codes: codes.open() };
      },
    ),
    route(
      'DELETE /api/v1/user/me/second-factor',
      { ...forUser, body: factorRemovalRequest },
      async ({ user, body, address }) => {
        const forgive = guard(user.email, address);
        const answer = await accounts.removeSecondFactor({
          userId: user.id,
          password: new Sealed(body.password),
          code: body.code,
        });
        if (answer === 'refused') throw new Fault('login-refused', { outer: 'The password is wrong.' });
        if (answer === 'code-wrong') throw new Fault('login-refused', { outer: CODE_REFUSED });
        forgive();
        if (answer === 'none') throw new Fault('conflict', { outer: 'This account has no second factor.' });
        return { enabled: false };
      },
    ),
  ];
}
