import { useMemo } from 'react';
import type { EarningsStatementAnswer } from '#wire/provider.ts';
import { Chart } from '../../parts/chart.tsx';
import { usd } from '../../parts/format.ts';
import { periodsBetween, sumUsd } from './figures.ts';

/** What was earned in each period, those without anything included. */
export function EarningsChart({ found, height }: { found: EarningsStatementAnswer; height?: number }) {
  const chart = useMemo(() => {
    const periods = periodsBetween(found.from, found.to, found.period);
    const values = periods.map(({ name }) =>
      Number(sumUsd(found.earnings.filter(({ period }) => period === name).map((row) => row.earned_usd))),
    );
    return { times: periods.map(({ at }) => at), series: [{ name: 'Earned', values }] };
  }, [found]);
  return (
    <Chart
      label={`What was earned by ${found.period}`}
      {...chart}
      by="day"
      as="bars"
      format={usd}
      {...(height !== undefined && { height })}
    />
  );
}
