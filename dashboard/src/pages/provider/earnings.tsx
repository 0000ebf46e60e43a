import { useQuery } from '@tanstack/react-query';
import { ChartNoAxesColumn, Download } from 'lucide-react';
import { useMemo, useState } from 'react';
import type { EarningsStatementAnswer } from '#wire/provider.ts';
import { ButtonLink } from '../../parts/button.tsx';
import { ChartSkeleton } from '../../parts/chart.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { Segments } from '../../parts/form.tsx';
import { NOTHING, percent, short, usd, usdExact, whole } from '../../parts/format.ts';
import { Meter } from '../../parts/meter.tsx';
import { Card, PageHead } from '../../parts/page.tsx';
import { Stat } from '../../parts/stat.tsx';
import { Empty, Failure, Loaded } from '../../parts/states.tsx';
import { bookDay } from '../../parts/time.tsx';
import { useUrlState } from '../../parts/url-state.ts';
import { wallMs } from '../../surroundings.ts';
import { earningsPath, type Period, provider, REACH } from './api.ts';
import { EarningsChart } from './earnings-chart.tsx';
import { dayNameOf, periodsBetween, sumUsd } from './figures.ts';

const DAY_MS = 86_400_000;
const PERIODS = [
  { value: 'day', label: 'Day' },
  { value: 'week', label: 'Week' },
  { value: 'month', label: 'Month' },
] as const;
const SPANS: Readonly<Record<Period, string>> = {
  day: 'Last 30 days',
  week: 'Last 12 weeks',
  month: 'Last 12 months',
};

interface Line {
  readonly name: string;
  readonly at: number;
  readonly requests: number;
  readonly tokens: number;
  readonly paid: string;
  readonly earned: string;
}

/** What came in, by day, week or month: as a chart, by model, and as a table that can be taken away. */
export default function Earnings() {
  const [chosen, choose] = useUrlState('by', 'day');
  const period = PERIODS.find(({ value }) => value === chosen)?.value ?? 'day';
  const [today] = useState(wallMs);
  const from = dayNameOf(today - (REACH[period] - 1) * DAY_MS);
  const query = useQuery(provider.earnings(period, from));
  const found = query.data;
  const byModel = useMemo(() => found && linesOf(found, (row) => row.model), [found]);
  const byPeriod = useMemo(() => found && periodLines(found), [found]);
  const requests = byModel && sum(byModel.map((line) => line.requests));
  const tokens = byModel && sum(byModel.map((line) => line.tokens));
  const paid = byModel && sumUsd(byModel.map((line) => line.paid));
  const best = byPeriod?.reduce<Line | undefined>(
    (most, line) => (Number(line.earned) > Number(most?.earned ?? 0) ? line : most),
    undefined,
  );
  const models = useMemo(() => modelColumns(Number(found?.total_earned_usd ?? 0)), [found]);
  return (
    <>
      <PageHead
        title="Earnings"
        actions={
          <>
            <Segments label="By" value={period} options={PERIODS} onChange={choose} />
            <ButtonLink href={earningsPath(period, from, 'csv')} icon={Download}>
              CSV
            </ButtonLink>
          </>
        }
      >
        Your part of what consumers paid, to the last digit as the ledger has it. Days are in UTC.
      </PageHead>
      {query.isError && !found ? (
        <Failure error={query.error} retry={() => void query.refetch()} />
      ) : (
        <div className="space-y-6">
          <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
            <Stat
              name="Earned"
              value={found && usd(found.total_earned_usd)}
              hint={SPANS[period]}
              trend={byPeriod?.toReversed().map((line) => Number(line.earned))}
            />
            <Stat
              name="Consumers paid"
              value={paid && usd(paid)}
              hint={
                found && paid && Number(paid) > 0
                  ? `${percent(Number(found.total_earned_usd) / Number(paid), 1)} is yours`
                  : NOTHING
              }
            />
            <Stat
              name="Requests"
              value={requests === undefined ? undefined : whole(requests)}
              hint={tokens === undefined ? '' : `${short(tokens)} tokens`}
            />
            <Stat
              name={`Best ${period}`}
              value={found && (best ? usd(best.earned) : NOTHING)}
              hint={best ? nameOf(best, period) : ''}
            />
          </div>
          <Card title={`Earned by ${period}`} hint={SPANS[period]}>
            <Loaded query={query} skeleton={<ChartSkeleton height={260} />}>
              {(data) =>
                data.earnings.length === 0 ? <Nothing /> : <EarningsChart found={data} height={260} />
              }
            </Loaded>
          </Card>
          {byModel?.length !== 0 && (
            <>
              <Card title="By model" flush className="overflow-hidden">
                <DataTable
                  caption="Earned by model"
                  columns={models}
                  rows={byModel}
                  rowKey={(row) => row.name}
                  first="Earned"
                  empty={<Nothing />}
                />
              </Card>
              <Card title={`By ${period}`} flush className="overflow-hidden">
                <DataTable
                  caption={`Earned by ${period}`}
                  columns={COLUMNS[period]}
                  rows={byPeriod}
                  rowKey={(row) => row.name}
                  empty={<Nothing />}
                />
              </Card>
            </>
          )}
        </div>
      )}
    </>
  );
}

function Nothing() {
  return (
    <Empty
      icon={ChartNoAxesColumn}
      title="Nothing earned in this time"
      action={
        <ButtonLink to="/provider/why" kind="primary">
          See why there is no traffic
        </ButtonLink>
      }
    >
      Earnings begin with the first request that one of your nodes answers.
    </Empty>
  );
}

const FIGURES: readonly Column<Line>[] = [
  { name: 'Requests', number: true, sort: (row) => row.requests, show: (row) => whole(row.requests) },
  { name: 'Tokens', number: true, wide: true, sort: (row) => row.tokens, show: (row) => short(row.tokens) },
  {
    name: 'Consumers paid',
    number: true,
    wide: true,
    sort: (row) => Number(row.paid),
    show: (row) => usd(row.paid),
  },
  {
    name: 'Earned',
    number: true,
    sort: (row) => Number(row.earned),
    show: (row) => (
      <span className="font-medium" title={usdExact(row.earned)}>
        {usd(row.earned)}
      </span>
    ),
  },
];

const modelColumns = (total: number): readonly Column<Line>[] => [
  { name: 'Model', sort: (row) => row.name, show: (row) => <span className="font-medium">{row.name}</span> },
  ...FIGURES,
  {
    name: 'Share',
    number: true,
    wide: true,
    show: (row) => {
      const share = total === 0 ? 0 : Number(row.earned) / total;
      return (
        <span className="inline-flex items-center gap-3">
          <Meter value={share} className="w-20" />
          <span className="w-12">{percent(share, 1)}</span>
        </span>
      );
    },
  },
];

const columnsOf = (period: Period): readonly Column<Line>[] => [
  {
    name: period === 'day' ? 'Day' : period === 'week' ? 'Week' : 'Month',
    sort: (row) => row.at,
    show: (row) => nameOf(row, period),
  },
  ...FIGURES,
];
const COLUMNS: Readonly<Record<Period, readonly Column<Line>[]>> = {
  day: columnsOf('day'),
  week: columnsOf('week'),
  month: columnsOf('month'),
};

const MONTH = new Intl.DateTimeFormat('en-GB', { month: 'long', year: 'numeric', timeZone: 'UTC' });

function nameOf({ name, at }: Line, period: Period): string {
  if (period === 'month') return MONTH.format(at);
  const day = bookDay(dayNameOf(at));
  return period === 'day' ? day : `${day} (${name.slice(5)})`;
}

function linesOf(
  found: EarningsStatementAnswer,
  by: (row: EarningsStatementAnswer['earnings'][number]) => string,
): Line[] {
  const groups = new Map<string, EarningsStatementAnswer['earnings']>();
  for (const row of found.earnings) groups.set(by(row), [...(groups.get(by(row)) ?? []), row]);
  return [...groups].map(([name, rows]) => ({
    name,
    at: 0,
    requests: sum(rows.map((row) => row.requests)),
    tokens: sum(rows.map((row) => row.input_tokens + row.output_tokens)),
    paid: sumUsd(rows.map((row) => row.paid_by_consumers_usd)),
    earned: sumUsd(rows.map((row) => row.earned_usd)),
  }));
}

/** Every period of the stretch, newest first. */
function periodLines(found: EarningsStatementAnswer): Line[] {
  const known = new Map(linesOf(found, ({ period }) => period).map((line) => [line.name, line]));
  return periodsBetween(found.from, found.to, found.period)
    .map(({ name, at }) => ({
      ...(known.get(name) ?? { name, requests: 0, tokens: 0, paid: '0', earned: '0' }),
      at,
    }))
    .toReversed();
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
