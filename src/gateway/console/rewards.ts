import { REWARD_ASSET, REWARD_DECIMALS } from '#rewards/book.ts';
import { listQuery, type RewardsAnswer } from '#wire/console.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route } from './route.ts';

/**
 * What a provider was rewarded, day by day, with everything it was judged by: it can compute its share again. What it was
 * promised on chain, and the proof, are with the settlements.
 */
export function rewardRoutes(rooms: ConsoleRooms): Route[] {
  return [
    route(
      'GET /api/v1/provider/me/rewards',
      { access: 'provider', errors: 'object', query: listQuery },
      async (visit): Promise<RewardsAnswer> => {
        const { rewards } = rooms;
        const [standing, days] = await Promise.all([
          rewards.standingOf(visit.providerId),
          rewards.ofProvider(visit.providerId, visit.query.limit),
        ]);
        return {
          asset: REWARD_ASSET,
          decimals: REWARD_DECIMALS,
          payable: standing.payable.toString(),
          vesting: standing.vesting.toString(),
          days: days.map((each) => ({
            day: each.day,
            phase: each.phase,
            pool: each.pool.toString(),
            excluded: each.excluded,
            score: each.score.toString(),
            weight: each.weight.toString(),
            basic_income: each.ubi.toString(),
            contribution: each.contribution.toString(),
            availability_bonus: each.bonus.toString(),
            liquid: each.liquid.toString(),
            locked: each.locked.toString(),
            vests_on: each.vestsOn,
            vested: each.vested,
            measured: {
              hardware_tier: Number(each.tier) / 100,
              inferences: Number(each.inferences),
              tokens: Number(each.tokens),
              succeeded: Number(each.succeeded),
              failed: Number(each.failed),
              avg_latency_ms: Number(each.latencyMs),
              models_served: Number(each.models),
              minutes_online_7d: Number(each.minutes7d),
              minutes_online_30d: Number(each.minutes30d),
              market_minutes_7d: Number(each.marketMinutes7d),
              market_minutes_30d: Number(each.marketMinutes30d),
            },
          })),
        };
      },
    ),
  ];
}
