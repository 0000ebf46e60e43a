import { emailKey, type User } from '#identity/accounts.ts';
import type { Session } from '#identity/sessions.ts';
import { Fault } from '#kit/fault.ts';
import { Sealed } from '#kit/sealed.ts';
import {
  logInRequest,
  passwordRequest,
  providerKeyRequest,
  type SessionAnswer,
  signUpRequest,
  type UserAnswer,
  upgradeRequest,
} from '#wire/console.ts';
import { keysOf, sessionRoutes } from './own-sessions.ts';
import { nextSteps } from './provider-status.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route, type Visit } from './route.ts';
import { CODE_REFUSED, secondFactorRoutes } from './second-factor.ts';
import { noSessionCookie, sessionCookie } from './session-cookie.ts';
import { callerOf } from './throttle.ts';

/**
 * Signing up, logging in and becoming a provider: calls 2 to 5 of the Swan agent's wizard, and what a person's settings
 * need. Guessing passwords is slowed down by address, by account, and by both together; only failures count, so nobody is
 * slowed down by logging in.
 */
export function accountRoutes(rooms: ConsoleRooms): Route[] {
  const { clock, accounts } = rooms;

  const opened = (visit: Visit<unknown, unknown>, user: User, session: Session): SessionAnswer => {
    visit.reply.header(
      'set-cookie',
      sessionCookie(session, { at: clock.wallMs(), isSecure: visit.isSecure }),
    );
    return {
      token: session.secret.open(),
      expires_at: new Date(session.expiresAt).toISOString(),
      user: userBody(user),
    };
  };
  /**
   * Counts a failure in advance, so that many tries at once do not all slip past; answers how to take it back when it was
   * none. Throws when this caller has failed too often.
   */
  const guard = async (email: string, address: string): Promise<() => void> => {
    const caller = callerOf(address);
    const account = emailKey(email).slice(0, 254);
    return await rooms.tries.take([
      { kind: 'guess-pair', name: `${caller} ${account}` },
      { kind: 'guess-account', name: account },
      { kind: 'guess-address', name: caller },
    ]);
  };

  const upgrade = async (visit: Visit<ReturnType<typeof upgradeRequest.parse>>) => {
    const { body } = visit;
    const made = await accounts.upgrade(visit.user.id, {
      name: body.name,
      ownerAddress: body.wallet_address,
      workerAddress: body.worker_address,
      beneficiaryAddress: body.beneficiary_address,
      description: body.description,
      origin: visit.origin,
    });
    // The wizard looks for this phrase and then asks for a key for the new machine.
    if (made === 'already') throw new Fault('conflict', { outer: 'This account is already a provider.' });
    if (made === 'owner-taken') {
      throw new Fault('conflict', { outer: 'This wallet address belongs to another provider.' });
    }
    await rooms.providers.look(made.providerId);
    await rooms.keys.look([made.keyId]);
    return {
      provider_id: made.providerId,
      provider_api_key: made.secret.open(),
      provider_key_prefix: made.prefix,
      status: made.state,
      can_connect: true,
      message: 'You are a provider now. The key is shown this once.',
      next_steps: nextSteps(made.state, false),
    };
  };
  const forUser = { access: 'user', errors: 'text' } as const;
  const forProvider = { access: 'provider-user', errors: 'text' } as const;

  return [
    route(
      'POST /api/v1/user/signup',
      { access: 'public', errors: 'text', body: signUpRequest, opensSession: true },
      async (visit) => {
        if (rooms.signUp === 'closed') throw new Fault('sign-up-closed');
        await rooms.tries.take([{ kind: 'sign-up', name: callerOf(visit.address) }]);
        const { email, password, display_name } = visit.body;
        const displayName = display_name ?? (email.split('@')[0] as string).slice(0, 64);
        const made = await accounts.signUp({
          email,
          password: new Sealed(password),
          displayName,
          address: visit.address,
          program: visit.program,
        });
        if (made === 'taken') {
          throw new Fault('conflict', { outer: 'An account with this e-mail address cannot be made.' });
        }
        await rooms.keys.look([made.keyId]);
        return { ...opened(visit, made.user, made.session), api_key: made.apiKey.open() };
      },
    ),
    route(
      'POST /api/v1/user/login',
      { access: 'public', errors: 'text', body: logInRequest, opensSession: true },
      async (visit) => {
        const { email, password, code } = visit.body;
        const forgive = await guard(email, visit.address);
        const found = await accounts.logIn({
          email,
          password: new Sealed(password),
          code,
          address: visit.address,
          program: visit.program,
        });
        if (found === 'refused') throw new Fault('login-refused');
        if (found === 'code-wrong') throw new Fault('login-refused', { outer: CODE_REFUSED });
        if (found === 'code-missing') {
          // Nothing was guessed.
          forgive();
          throw new Fault('second-factor-needed');
        }
        forgive();
        return opened(visit, found.user, found.session);
      },
    ),
    route('POST /api/v1/user/logout', forUser, async (visit) => {
      await accounts.logOut(visit.sessionId);
      visit.reply.header('set-cookie', noSessionCookie(visit.isSecure));
      return { message: 'Logged out.' };
    }),
    route('GET /api/v1/user/me', forUser, async (visit) => userBody(visit.user)),
    route('PUT /api/v1/user/me/password', { ...forUser, body: passwordRequest }, async (visit) => {
      const forgive = await guard(visit.user.email, visit.address);
      const changed = await accounts.changePassword({
        userId: visit.user.id,
        sessionId: visit.sessionId,
        present: new Sealed(visit.body.present_password),
        next: new Sealed(visit.body.new_password),
        revokeKeys: visit.body.revoke_keys,
      });
      if (!changed) throw new Fault('login-refused', { outer: 'The present password is wrong.' });
      forgive();
      await rooms.keys.look(changed.revoked);
      return { message: 'The password is changed. Every other session has ended.', ...keysOf(changed) };
    }),
    ...secondFactorRoutes(rooms, guard),
    ...sessionRoutes(rooms),
    route('POST /api/v1/consumer/upgrade-to-provider', { ...forUser, body: upgradeRequest }, upgrade),
    route('POST /api/v1/user/upgrade-to-provider', { ...forUser, body: upgradeRequest }, upgrade),
    route(
      'POST /api/v1/user/me/provider-keys',
      { ...forProvider, body: providerKeyRequest },
      async (visit) => {
        const { providerId } = visit;
        const made = await rooms.keyDesk.create({
          kind: 'provider',
          ownerId: providerId,
          name: visit.body.name,
          origin: visit.origin,
          actor: visit.actor,
        });
        if (made === 'too-many') throw new Fault('conflict', { outer: 'This provider has too many keys.' });
        await rooms.keys.look([made.id]);
        return {
          api_key: made.secret.open(),
          provider_id: providerId,
          message: 'The key is shown this once.',
        };
      },
    ),
  ];
}

function userBody(user: User): UserAnswer {
  return {
    id: user.id,
    email: user.email,
    display_name: user.displayName,
    account_type: user.providerId === null ? 'consumer' : 'provider',
    ...(user.providerId !== null && { provider_id: user.providerId }),
    roles: [
      'consumer',
      ...(user.providerId === null ? [] : (['provider'] as const)),
      ...(user.isOperator ? (['operator'] as const) : []),
    ],
  };
}
