import { Fault } from '#kit/fault.ts';
import { Sealed } from '#kit/sealed.ts';
import {
  type FactorAnswer,
  type FactorBeginAnswer,
  type FactorConfirmedAnswer,
  factorBeginRequest,
  factorCodeRequest,
  factorConfirmRequest,
} from '#wire/dashboard.ts';
import { keysOf } from './own-sessions.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route } from './route.ts';

export const CODE_REFUSED = 'This code is wrong, or was used before.';

/**
 * A second factor of one's own account. Only a session may change it, never a key, and only with the password: each account
 * has one, and a session may be stolen. `guard` slows down whoever guesses, as at the door (`accounts.ts`).
 */
export function secondFactorRoutes(
  { factors, accounts, keys }: ConsoleRooms,
  guard: (email: string, address: string) => Promise<() => void>,
): Route[] {
  const forUser = { access: 'user', errors: 'text' } as const;
  return [
    route('GET /api/v1/user/me/second-factor', forUser, async ({ user }): Promise<FactorAnswer> => {
      const { enabled, since, recoveryCodesLeft, lastWrongAt, lockedUntil } = await factors.standing(user.id);
      return {
        enabled,
        since: isoOrNull(since),
        recovery_codes_left: recoveryCodesLeft,
        last_wrong_code_at: isoOrNull(lastWrongAt),
        locked_until: isoOrNull(lockedUntil),
      };
    }),
    route(
      'POST /api/v1/user/me/second-factor',
      { ...forUser, body: factorBeginRequest },
      async ({ user, body, address }): Promise<FactorBeginAnswer> => {
        const forgive = await guard(user.email, address);
        const begun = await accounts.beginSecondFactor({ user, password: new Sealed(body.password) });
        if (begun === 'refused') throw new Fault('login-refused', { outer: PASSWORD_REFUSED });
        forgive();
        if (begun === 'enabled')
          throw new Fault('conflict', { outer: 'This account has a second factor already.' });
        return { secret: begun.secret.open(), uri: begun.uri.open() };
      },
    ),
    route(
      'POST /api/v1/user/me/second-factor/confirm',
      { ...forUser, body: factorConfirmRequest },
      async ({ user, sessionId, body, address }): Promise<FactorConfirmedAnswer> => {
        const forgive = await guard(user.email, address);
        const confirmed = await accounts.confirmSecondFactor({
          userId: user.id,
          sessionId,
          password: new Sealed(body.password),
          code: body.code,
          revokeKeys: body.revoke_keys,
        });
        if (confirmed === 'refused') throw new Fault('login-refused', { outer: PASSWORD_REFUSED });
        if (confirmed === 'wrong') throw new Fault('login-refused', { outer: CODE_REFUSED });
        forgive();
        if (confirmed === 'unknown')
          throw new Fault('conflict', { outer: 'There is nothing to confirm: begin first.' });
        await keys.look(confirmed.revoked);
        return { enabled: true, recovery_codes: confirmed.codes.open(), ...keysOf(confirmed) };
      },
    ),
    route(
      'DELETE /api/v1/user/me/second-factor',
      { ...forUser, body: factorCodeRequest },
      async ({ user, body, address }) => {
        const forgive = await guard(user.email, address);
        const answer = await accounts.removeSecondFactor({
          userId: user.id,
          password: new Sealed(body.password),
          code: body.code,
        });
        if (answer === 'refused') throw new Fault('login-refused', { outer: PASSWORD_REFUSED });
        if (answer === 'code-wrong') throw new Fault('login-refused', { outer: CODE_REFUSED });
        forgive();
        if (answer === 'none') throw new Fault('conflict', { outer: 'This account has no second factor.' });
        return { enabled: false };
      },
    ),
  ];
}

function isoOrNull(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}

const PASSWORD_REFUSED = 'The password is wrong.';
