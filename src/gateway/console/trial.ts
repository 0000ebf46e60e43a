import type { Address } from '#domain/hex.ts';
import { Fault } from '#kit/fault.ts';
import { testTokensRequest } from '#wire/console.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route } from './route.ts';
import { Throttle } from './throttle.ts';

/** What only a market has that is tried: test tokens for whoever asks (`src/funds/trial.ts`). */
export function trialRoutes({ clock, trial, funds }: ConsoleRooms): Route[] {
  const gifts = new Throttle({ burst: 5, everyMs: 60_000 });
  return [
    route(
      'POST /api/v1/user/me/test-tokens',
      { access: 'user', errors: 'text', body: testTokensRequest },
      async (visit) => {
        if (!trial)
          throw new Fault('thing-unknown', { outer: 'This market is no trial: its tokens have a price.' });
        const { consumerId } = visit.user;
        const wallet = visit.body.address?.toLowerCase() as Address | undefined;
        const to = wallet ?? (await funds.crypto?.addresses.of(consumerId));
        if (to === undefined) throw new Fault('thing-unknown', { outer: 'This market takes no tokens.' });
        gifts.take(consumerId, clock.nowMs());
        const wanted = wallet ? trial.assets : trial.assets.filter(({ asset }) => asset === PAID_IN.asset);
        const amounts = wanted.map(({ asset, token, decimals }) => ({
          symbol: asset,
          token,
          amount: (wallet ? A_WALLET : PAID_IN.amount) * 10n ** BigInt(decimals),
        }));
        await trial.tokens.give(to, amounts, { withFees: wallet !== undefined });
        return {
          to,
          tokens: amounts.map(({ symbol, amount }) => ({ symbol, units: amount.toString() })),
        };
      },
    ),
  ];
}

/** Whole tokens: of one to the balance, of each to a wallet. */
const PAID_IN = { asset: 'USDC', amount: 25n };
const A_WALLET = 100n;
