import { formatUsd, type Pico, parseUsd } from '#domain/money.ts';
import { CARD_MAXIMUM_CENTS } from '#funds/deposit-rules.ts';
import { Fault } from '#kit/fault.ts';
import { cardCheckoutRequest, listQuery, planRequest } from '#wire/console.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route } from './route.ts';

/** How a consumer pays: ways and addresses, cards, what arrived, and the plan. Amounts are decimal texts of dollars. */
export function fundsRoutes(rooms: ConsoleRooms): Route[] {
  const forUser = { access: 'user', errors: 'text' } as const;

  return [
    route('GET /api/v1/user/me/topup', forUser, async (visit) => {
      const { crypto, card } = rooms.funds;
      return {
        card: card
          ? {
              minimum_usd: usd(BigInt(rooms.funds.terms.cardMinimumCents) * CENT),
              maximum_usd: usd(BigInt(CARD_MAXIMUM_CENTS) * CENT),
            }
          : null,
        crypto: crypto
          ? {
              address: await crypto.addresses.of(visit.user.consumerId),
              chain_id: crypto.chain.chain.id,
              confirmations: crypto.chain.depositConfirmations,
              minimum_usd: usd(rooms.funds.terms.cryptoMinimum),
              swan_bonus_percent: rooms.funds.terms.swanBonusBasisPoints / 100,
              tokens: crypto.chain.assets.map(({ asset, token, decimals }) => ({
                symbol: asset,
                address: token,
                decimals,
              })),
            }
          : null,
      };
    }),
    route('POST /api/v1/user/me/topup/card', { ...forUser, body: cardCheckoutRequest }, async (visit) => {
      if (!rooms.funds.card) throw new Fault('thing-unknown', { outer: 'This market takes no cards.' });
      const { consumerId } = visit.user;
      await rooms.tries.take([{ kind: 'card-checkout', name: consumerId }]);
      const amount = parseUsd(visit.body.amount_usd);
      if (amount % CENT !== 0n) {
        throw new Fault('request-invalid', { outer: 'A card pays whole cents.', param: 'amount_usd' });
      }
      const { id, url } = await rooms.funds.card.checkout(consumerId, Number(amount / CENT));
      return { id, url };
    }),
    route('GET /api/v1/user/me/deposits', { ...forUser, query: listQuery }, async (visit) => {
      const { consumerId } = visit.user;
      const [deposits, totals] = await Promise.all([
        rooms.funds.deposits.list({ consumerId, limit: visit.query.limit }),
        rooms.funds.deposits.totals(consumerId),
      ]);
      return {
        total_deposited_usd: usd(totals.deposited),
        total_bonus_usd: usd(totals.bonus),
        total_spent_usd: usd(totals.spent),
        deposits: deposits.map((each) => ({
          id: each.id,
          method: each.method,
          asset: each.asset,
          units: each.units.toString(),
          value_usd: each.value === null ? null : usd(each.value),
          bonus_usd: usd(each.bonus),
          status: each.state,
          received_at: new Date(each.receivedAt).toISOString(),
        })),
      };
    }),
    route('GET /api/v1/user/me/plan', forUser, async (visit) => {
      const { plan, paidUntil } = await rooms.funds.planFees.standing(visit.user.consumerId);
      const left = await rooms.quotas.left(visit.user.consumerId, plan);
      return {
        plan: plan.name,
        title: plan.title,
        monthly_usd: plan.monthlyCents / 100,
        paid_until: paidUntil === undefined ? null : new Date(paidUntil).toISOString(),
        covered_tiers: plan.coveredTiers,
        tokens_left_this_week: left.tokens,
        images_left_today: left.images,
        covered_usd_left: left.usd === null ? null : usd(left.usd),
      };
    }),
    route('PUT /api/v1/user/me/plan', { ...forUser, body: planRequest }, async (visit) => {
      const { plan } = visit.body;
      if ((await rooms.funds.planFees.choose(visit.user.consumerId, plan)) === 'short') {
        throw new Fault('balance-short', { outer: "The balance does not cover the plan's first month." });
      }
      return { plan };
    }),
  ];
}

const CENT = parseUsd('0.01');

function usd(amount: Pico): string {
  return formatUsd(amount).replace('$', '');
}
