import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type ReactNode, useMemo } from 'react';
import type { OverviewAnswer, RequestsAnswer, UsageByAnswer } from '#wire/dashboard.ts';
import { StateDot } from '../../parts/badge.tsx';
import { Weighed } from '../../parts/bars.tsx';
import { ButtonLink } from '../../parts/button.tsx';
import { Chart, ChartSkeleton } from '../../parts/chart.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { Segments } from '../../parts/form.tsx';
import { duration, NOTHING, percent, plural, short, usd, usdFine, whole } from '../../parts/format.ts';
import { Card, PageHead } from '../../parts/page.tsx';
import { Stat } from '../../parts/stat.tsx';
import { Loaded, Skeleton } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { useUrlState } from '../../parts/url-state.ts';
import { account, type BalanceBody, type Duration } from './api.ts';
import { FirstSteps } from './first-steps.tsx';
import { MoneyNotice, useBalance, useDaysLeft } from './money.tsx';
import { OutcomeBadge } from './outcome.tsx';
import { changeOn, DURATION_MS, DURATIONS, durationOf, shortModel } from './words.ts';

/** What an account spends and gets, over time. */
export default function Overview() {
  const [chosen, choose] = useUrlState('for', '30d');
  const span = durationOf(chosen);
  const query = useQuery(account.overview(span));
  const { balance, live } = useBalance();
  const latest = useQuery(account.latest());
  const isNew = latest.data?.requests.length === 0;
  return (
    <>
      <PageHead
        title="Overview"
        actions={
          !isNew && <Segments label="Stretch of time" value={span} options={DURATIONS} onChange={choose} />
        }
      />
      <MoneyNotice balance={balance} />
      {isNew ? (
        <div className="grid items-start gap-4 xl:grid-cols-[minmax(0,1fr)_18rem]">
          <FirstSteps balance={balance} />
          <BalanceCard balance={balance} live={live} isNew />
        </div>
      ) : (
        <Loaded query={query} skeleton={<OverviewSkeleton />}>
          {(data) => (
            <Figures
              data={data}
              span={span}
              latest={latest.data}
              balance={<BalanceCard balance={balance} live={live} />}
            />
          )}
        </Loaded>
      )}
    </>
  );
}

function OverviewSkeleton() {
  return (
    <div className="space-y-4">
      <div className="grid gap-4 xl:grid-cols-[minmax(0,1fr)_18rem]">
        <ChartSkeleton height={270} />
        <Skeleton className="h-full min-h-60 rounded-xl" />
      </div>
      <div className="grid grid-cols-2 gap-4 xl:grid-cols-4">
        {[1, 2, 3, 4].map((each) => (
          <Skeleton key={each} className="h-28 rounded-xl" />
        ))}
      </div>
    </div>
  );
}

function Figures({
  data,
  span,
  latest,
  balance,
}: {
  data: OverviewAnswer;
  span: Duration;
  latest: RequestsAnswer | undefined;
  balance: ReactNode;
}) {
  const { totals, before, buckets } = data;
  const drawn = useMemo(() => {
    const of = (pick: (bucket: OverviewAnswer['buckets'][number]) => number | null) => buckets.map(pick);
    return {
      times: of(({ at }) => Date.parse(at)) as number[],
      spend: [{ name: 'Spend', values: of((each) => Number(each.spend_usd)) }],
      tokens: [
        { name: 'Read', values: of((each) => each.input_tokens) },
        { name: 'Written', values: of((each) => each.output_tokens) },
      ],
      first: [
        { name: 'p50', values: of((each) => each.ttft_p50_ms) },
        { name: 'p95', values: of((each) => each.ttft_p95_ms) },
      ],
      requests: [{ name: 'Requests', values: of((each) => each.requests) }],
      failed: [{ name: 'Failed', values: of((each) => each.failed) }],
    };
  }, [buckets]);
  const by = data.bucket_seconds === 86_400 ? 'day' : 'time';
  const tokens = totals.input_tokens + totals.output_tokens;
  const tokensBefore = before.input_tokens + before.output_tokens;
  const trend = (series: (typeof drawn)['spend']): number[] =>
    series[0]?.values.map((value) => value ?? 0) ?? [];
  return (
    <div className="space-y-4">
      <div className="grid gap-4 xl:grid-cols-[minmax(0,1fr)_18rem]">
        <Card>
          <p className="text-sm text-soft">Spend</p>
          <p className="figures mt-0.5 mb-3 flex flex-wrap items-baseline gap-x-3 text-2xl font-semibold tracking-tight">
            {usd(totals.spend_usd)}
            <span className="text-sm font-normal tracking-normal text-faint">
              {changeOn(Number(totals.spend_usd), Number(before.spend_usd), span) ??
                (Number(totals.covered_usd) > 0
                  ? `${usd(totals.covered_usd)} more was paid by the plan`
                  : '')}
            </span>
          </p>
          <Chart
            label="Spend over time"
            times={drawn.times}
            series={drawn.spend}
            format={usd}
            by={by}
            as="bars"
            height={190}
          />
        </Card>
        {balance}
      </div>
      <div className="grid grid-cols-2 gap-4 xl:grid-cols-4">
        <Stat
          name="Requests"
          value={short(totals.requests)}
          hint={changeOn(totals.requests, before.requests, span) ?? perDay(totals.requests, span)}
          trend={trend(drawn.requests)}
        />
        <Stat
          name="Tokens"
          value={short(tokens)}
          hint={
            changeOn(tokens, tokensBefore, span) ??
            `${short(totals.input_tokens)} read, ${short(totals.output_tokens)} written`
          }
        />
        <Stat
          name="Time to first token"
          value={duration(totals.ttft_p50_ms)}
          hint={`p95 ${duration(totals.ttft_p95_ms)}`}
          trend={trend(drawn.first)}
        />
        <Stat
          name="Failed"
          value={totals.requests === 0 ? NOTHING : percent(totals.failed / totals.requests)}
          hint={plural(totals.failed, 'request')}
          trend={trend(drawn.failed)}
        />
      </div>
      <div className="grid gap-4 lg:grid-cols-2">
        <Card title="Tokens">
          <Chart
            label="Tokens over time"
            times={drawn.times}
            series={drawn.tokens}
            format={short}
            by={by}
            height={170}
          />
        </Card>
        <Card title="Time to first token">
          <Chart
            label="Time to first token over time"
            times={drawn.times}
            series={drawn.first}
            format={duration}
            by={by}
            height={170}
          />
        </Card>
        <Card title="Requests">
          <Chart
            label="Requests over time"
            times={drawn.times}
            series={drawn.requests}
            format={short}
            by={by}
            as="bars"
            height={170}
          />
        </Card>
        <Card
          title="Failed requests"
          hint="Yours to fix, a provider’s, or the market’s: each request says whose."
        >
          <Chart
            label="Failed requests over time"
            times={drawn.times}
            series={drawn.failed}
            format={whole}
            by={by}
            as="bars"
            height={150}
          />
        </Card>
      </div>
      <div className="grid gap-4 lg:grid-cols-2">
        <TopModels from={data.from} until={data.until} />
        <Latest latest={latest} />
      </div>
    </div>
  );
}

function perDay(count: number, span: Duration): string {
  const days = DURATION_MS[span] / 86_400_000;
  return days === 1 ? 'In a day' : `${short(Math.round(count / days))} a day`;
}

function BalanceCard({
  balance,
  live,
  isNew = false,
}: {
  balance: BalanceBody | undefined;
  live: boolean;
  /** Then the first steps hold the way to pay in. */
  isNew?: boolean;
}) {
  const days = useDaysLeft(balance);
  const plan = useQuery(account.plan()).data;
  return (
    <section className="flex flex-col rounded-xl border border-line bg-surface p-5 shadow-low">
      <div className="flex items-center justify-between">
        <h2 className="text-sm text-soft">Available balance</h2>
        {live && (
          <span className="text-xs">
            <StateDot tone="good">Live</StateDot>
          </span>
        )}
      </div>
      <p className="figures mt-0.5 h-9 text-2xl font-semibold tracking-tight">
        {balance ? usd(balance.available) : <Skeleton className="mt-2 h-5 w-24" />}
      </p>
      <dl className="mt-4 space-y-2.5 border-t border-line pt-4">
        <Line name="On hold" value={balance && usd(balance.frozen)} />
        <Line
          name="Lasts"
          value={
            balance &&
            (days === undefined
              ? 'No spend yet'
              : days > 365
                ? 'Over a year'
                : `About ${plural(Math.floor(days), 'day')}`)
          }
        />
        <Line name="Plan" value={plan?.title} />
      </dl>
      <div className="mt-auto flex gap-2 pt-5">
        {!isNew && (
          <ButtonLink
            to="/account/billing"
            search={{ tab: 'add' }}
            size="sm"
            kind="primary"
            className="flex-1"
          >
            Add money
          </ButtonLink>
        )}
        <ButtonLink to="/account/billing" size="sm" className="flex-1">
          Billing
        </ButtonLink>
      </div>
    </section>
  );
}

function Line({ name, value }: { name: string; value: string | undefined }) {
  return (
    <div className="flex items-baseline justify-between gap-4">
      <dt className="text-soft">{name}</dt>
      <dd className="figures font-medium">{value ?? <Skeleton className="w-16" />}</dd>
    </div>
  );
}

type ModelRow = UsageByAnswer['rows'][number] & { share: number };

const MODEL_COLUMNS: readonly Column<ModelRow>[] = [
  {
    name: 'Model',
    show: (row) => (
      <Link
        to="/account/usage"
        search={{ model: row.id }}
        className="font-medium hover:text-accent"
        title={row.id}
      >
        {shortModel(row.id)}
      </Link>
    ),
  },
  { name: 'Requests', number: true, show: (row) => short(row.requests) },
  { name: 'Spend', number: true, show: (row) => <Weighed share={row.share}>{usd(row.spend_usd)}</Weighed> },
];

function TopModels({ from, until }: { from: string; until: string }) {
  const query = useQuery(account.usageBy('model', { from, until }));
  const rows = useMemo(() => {
    const all = (query.data?.rows ?? []).toSorted((a, b) => Number(b.spend_usd) - Number(a.spend_usd));
    const most = Math.max(...all.map(({ spend_usd }) => Number(spend_usd)), 0);
    return all.slice(0, 6).map((row) => ({ ...row, share: most === 0 ? 0 : Number(row.spend_usd) / most }));
  }, [query.data]);
  return (
    <Card
      title="Models"
      flush
      actions={
        <ButtonLink to="/account/usage" size="sm" kind="quiet">
          Explore usage
        </ButtonLink>
      }
    >
      <Loaded query={query} skeleton={<Skeleton className="m-5 h-64" />}>
        {() => (
          <DataTable
            caption="Spend by model"
            columns={MODEL_COLUMNS}
            rows={rows}
            rowKey={(row) => row.id}
            empty={<p className="px-5 pb-6 text-soft">No model was used in this stretch.</p>}
          />
        )}
      </Loaded>
    </Card>
  );
}

const LATEST_COLUMNS: readonly Column<RequestsAnswer['requests'][number]>[] = [
  {
    name: 'When',
    show: (row) => (
      <Link to="/account/usage/$id" params={{ id: row.id }} className="font-medium hover:text-accent">
        <Time at={row.at} as="ago" />
      </Link>
    ),
  },
  {
    name: 'Model',
    show: (row) => (
      <span className="flex items-center gap-2">
        <span className="max-w-44 truncate" title={row.model ?? undefined}>
          {shortModel(row.model)}
        </span>
        {row.outcome !== 'completed' && <OutcomeBadge outcome={row.outcome} />}
      </span>
    ),
  },
  { name: 'Charge', number: true, show: (row) => usdFine(row.charge_usd) },
];

function Latest({ latest }: { latest: RequestsAnswer | undefined }) {
  return (
    <Card
      title="Latest requests"
      flush
      actions={
        <ButtonLink to="/account/usage" size="sm" kind="quiet">
          All requests
        </ButtonLink>
      }
    >
      <DataTable
        caption="Latest requests"
        columns={LATEST_COLUMNS}
        rows={latest?.requests}
        rowKey={(row) => row.id}
        empty={<p className="px-5 pb-6 text-soft">No requests yet.</p>}
      />
    </Card>
  );
}
