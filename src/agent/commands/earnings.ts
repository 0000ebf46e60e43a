import type { AgentEnv } from '../env.ts';
import type { Earnings } from '../market.ts';
import { type AccessOptions, withMarket } from './access.ts';
import { type Answer, table, usd } from './print.ts';

/** `cygnet agent earnings`: what came in, by the day or the hour and by model, as the market's ledger has it. */
export async function earnings(
  options: AccessOptions & { days?: string | undefined },
  env: AgentEnv,
): Promise<Answer> {
  return await withMarket(options, env, async ({ market, key }) => {
    const duration = options.days === '1' ? '24h' : options.days === '30' ? '30d' : '7d';
    const [history, stats] = await Promise.all([
      market.earnings(key, duration, duration === '24h' ? '1h' : '1d'),
      market.stats(key),
    ]);
    const busy = history.points.filter(({ requests, usd: amount }) => requests > 0 || amount > 0);
    return {
      value: { ...history, since_ever: stats },
      lines: [
        ...(busy.length === 0
          ? [`Nothing was earned in the last ${duration}.`]
          : table(
              [
                duration === '24h' ? 'HOUR (UTC)' : 'DAY (UTC)',
                '>REQUESTS',
                '>TOKENS IN',
                '>TOKENS OUT',
                '>EARNED',
              ],
              busy.map((point) => [
                point.timestamp.slice(0, duration === '24h' ? 16 : 10).replace('T', ' '),
                String(point.requests),
                String(point.tokens_in),
                String(point.tokens_out),
                usd(point.usd),
              ]),
            )),
        ...byModel(history),
        '',
        `Together ${usd(history.total_usd)} in ${duration}; ${usd(stats.total_earnings_usdc)} since ever for ${stats.total_inferences ?? 0} requests, ${stats.failed_inferences ?? 0} of them failed.`,
      ],
    };
  });
}

function byModel({ points }: Earnings): string[] {
  const sums = new Map<string, { usd: number; requests: number }>();
  for (const { models } of points) {
    for (const [id, each] of Object.entries(models)) {
      const sum = sums.get(id) ?? { usd: 0, requests: 0 };
      sums.set(id, { usd: sum.usd + each.usd, requests: sum.requests + each.requests });
    }
  }
  if (sums.size === 0) return [];
  const rows = [...sums].toSorted(([, a], [, b]) => b.usd - a.usd);
  return [
    '',
    ...table(
      ['MODEL', '>REQUESTS', '>EARNED'],
      rows.map(([id, sum]) => [id, String(sum.requests), usd(sum.usd)]),
    ),
  ];
}

/** Dollars of the points since midnight UTC. */
export function earnedToday({ points }: Earnings, wallMs: number): number {
  const day = new Date(wallMs).toISOString().slice(0, 10);
  return points.filter(({ timestamp }) => timestamp.startsWith(day)).reduce((sum, each) => sum + each.usd, 0);
}
