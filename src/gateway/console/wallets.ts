import type { WalletStanding } from '#funds/wallets.ts';
import { walletChallengeRequest, walletProofRequest } from '#wire/console.ts';
import type { ConsoleRooms } from './rooms.ts';
import { enveloped, type Route, route } from './route.ts';

/** How a provider proves that a wallet is its own: it asks for a text, the wallet signs it, the signature is handed in. */
export function walletRoutes(rooms: ConsoleRooms): Route[] {
  const forProvider = { access: 'provider', errors: 'text' } as const;
  return [
    route('GET /api/v1/provider/wallet', forProvider, async ({ providerId }) =>
      enveloped(standingBody(await rooms.funds.wallets.standing(providerId))),
    ),
    route(
      'POST /api/v1/provider/wallet/challenge',
      { ...forProvider, body: walletChallengeRequest },
      async ({ providerId, body }) => {
        const { nonce, message, expiresAt } = await rooms.funds.wallets.challenge({ providerId, ...body });
        return enveloped({ nonce, message, expires_at: new Date(expiresAt).toISOString() });
      },
    ),
    route(
      'POST /api/v1/provider/wallet/prove',
      { ...forProvider, body: walletProofRequest },
      async ({ providerId, body, actor }) => {
        const { purpose, address } = await rooms.funds.wallets.prove({ providerId, ...body, actor });
        return enveloped({
          purpose,
          address,
          ...standingBody(await rooms.funds.wallets.standing(providerId)),
        });
      },
    ),
  ];
}

function standingBody({ owner, payout, next }: WalletStanding) {
  return {
    owner_address: owner ?? '',
    payout_address: payout ?? '',
    next_payout_address: next?.address ?? '',
    next_payout_from: next ? new Date(next.from).toISOString() : null,
  };
}
