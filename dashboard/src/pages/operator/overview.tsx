import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import {
  BookCheck,
  ChevronRight,
  ClipboardCheck,
  Flame,
  Layers,
  type LucideIcon,
  Network,
  Scale,
  ShieldCheck,
  Siren,
  Snowflake,
  Tag,
  Wallet,
} from 'lucide-react';
import { useMemo } from 'react';
import type { LogAnswer } from '#wire/dashboard.ts';
import { market } from '../../api.ts';
import { StateDot } from '../../parts/badge.tsx';
import { ButtonLink } from '../../parts/button.tsx';
import { Chart, ChartSkeleton } from '../../parts/chart.tsx';
import { cx } from '../../parts/class-names.ts';
import { percent, plural, short, usd, whole } from '../../parts/format.ts';
import { Card, Facts, PageHead } from '../../parts/page.tsx';
import { Stat } from '../../parts/stat.tsx';
import { Empty, Loaded, Skeleton } from '../../parts/states.tsx';
import { bookDay, Time } from '../../parts/time.tsx';
import { tokenAmount } from '../../parts/tokens.ts';
import { operator, type RevenueDay, useBatches, useOperatorLive } from './api.ts';
import { actionWords, ListSkeleton, OUTCOMES, shortId, TextLink } from './pieces.tsx';

/** What needs an operator now, and how the market does. */
export default function Overview() {
  const live = useOperatorLive();
  const network = useQuery(market.network()).data;
  const utilization = useQuery(market.utilization()).data;
  const revenue = useQuery(operator.revenue());
  const treasury = useQuery(operator.treasury()).data;
  const days = revenue.data?.days;
  return (
    <>
      <PageHead
        title="Overview"
        actions={
          <span className="text-sm text-soft">
            <StateDot tone={live === 'live' ? 'good' : 'neutral'}>
              {live === 'live' ? 'Live' : live === 'broken' ? 'Comes back' : 'Connecting'}
            </StateDot>
          </span>
        }
      >
        What needs you now, and how the market does.
      </PageHead>
      <Attention />

      <div className="mt-6 grid grid-cols-2 gap-3 xl:grid-cols-4">
        <Stat
          name="Paid, last 24 hours"
          value={network && usd(network.revenue_24h)}
          hint={days && `${usd(total(days.map((day) => Number(day.paid_usd))))} in 30 d`}
          trend={days?.map((day) => Number(day.paid_usd))}
        />
        <Stat
          name="Requests, last 24 hours"
          value={network && short(network.requests_24h)}
          hint={network && `${short(network.tokens_24h)} tokens`}
          trend={days?.map((day) => day.paid_requests + day.free_requests)}
        />
        <Stat
          name="Providers online"
          value={network && whole(network.online_providers)}
          hint={
            utilization &&
            (utilization.utilization === null
              ? 'nobody is here to serve'
              : `${percent(utilization.utilization, 0)} of ${whole(utilization.capacity)} at once`)
          }
        />
        <Stat
          name="Treasury"
          value={treasury && usd(treasury.treasury_usd)}
          hint={treasury && `${usd(treasury.burn_due_usd)} to burn`}
        />
      </div>

      <div className="mt-6 grid gap-6 xl:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
        <Card title="Paid by consumers" hint="Dollars a day, last 30 days (UTC)">
          <Loaded query={revenue} skeleton={<ChartSkeleton />}>
            {(data) => <PaidChart days={data.days} />}
          </Loaded>
        </Card>
        <Card title="Error budget" hint="Minutes of 30 days that may fail, by tier">
          <Budgets />
        </Card>
      </div>

      <div className="mt-6 grid gap-6 xl:grid-cols-2">
        <Card
          title="Payouts and books"
          actions={
            <ButtonLink to="/operator/settlements" size="sm" kind="quiet">
              Settlements
            </ButtonLink>
          }
        >
          <Books />
        </Card>
        <Card
          title="Latest actions"
          actions={
            <ButtonLink to="/operator/log" size="sm" kind="quiet">
              Log
            </ButtonLink>
          }
        >
          <Latest />
        </Card>
      </div>
    </>
  );
}

interface Matter {
  readonly key: string;
  readonly icon: LucideIcon;
  readonly tone: 'bad' | 'warn' | 'accent';
  readonly title: string;
  readonly detail: string;
  readonly to: string;
}

/** Whatever waits for an operator, worst first; undefined while something of it is not known. */
function useMatters(): { matters: Matter[] | undefined; failed: boolean } {
  const approvals = useQuery(operator.approvals());
  const pledges = useQuery(operator.collateral());
  const incidents = useQuery(operator.incidents());
  const posture = useQuery(operator.posture());
  const audits = useQuery(operator.audits());
  const { query: batches } = useBatches('USD');
  const endpoints = useQuery(operator.endpoints());
  const proposals = useQuery(operator.proposals());
  const appeals = useQuery(operator.appeals());
  const all = [approvals, pledges, incidents, posture, audits, endpoints, proposals, appeals];
  // A market without a chain has no batches; that is no failure.
  if (all.some(({ data, isError }) => data === undefined && !isError))
    return { matters: undefined, failed: false };
  const matters: Matter[] = [];
  const open = incidents.data?.incidents.filter(({ resolved_at: at }) => at === null) ?? [];
  for (const each of open) {
    matters.push({
      key: each.id,
      icon: Siren,
      tone: each.severity === 'minor' ? 'warn' : 'bad',
      title: `${each.severity === 'critical' ? 'Critical incident' : each.severity === 'major' ? 'Major incident' : 'Minor incident'}: ${each.model === '' ? 'the whole market' : each.model}`,
      detail: each.because,
      to: `/operator/incidents/${each.id}`,
    });
  }
  const late = incidents.data?.incidents.filter(({ post_mortem_due_at: due }) => due !== null) ?? [];
  if (late.length > 0) {
    matters.push({
      key: 'post-mortems',
      icon: Siren,
      tone: 'warn',
      title: `${plural(late.length, 'post-mortem')} to write`,
      detail: 'An incident is over, and its account is not published.',
      to: `/operator/incidents/${late[0]?.id ?? ''}`,
    });
  }
  for (const { tier, model, consumer, rule, severity, long_rate: rate, explained_by: explained } of posture
    .data?.alerts ?? []) {
    if (explained !== '') continue;
    matters.push({
      key: `burn ${tier} ${model} ${consumer} ${rule}`,
      icon: Flame,
      tone: severity === 'page' ? 'bad' : 'warn',
      title: `The error budget of ${[tier, model, consumer].filter((each) => each !== '').join(', ')} burns`,
      detail: `${rate.toFixed(1)} times as fast as it may (${rule}).`,
      to: '/operator/incidents',
    });
  }
  if (posture.data?.changes_frozen) {
    matters.push({
      key: 'frozen',
      icon: Snowflake,
      tone: 'warn',
      title: 'Changes are frozen',
      detail: `Put off what is not a repair. ${posture.data.frozen_because.join(' ')}`,
      to: '/operator/incidents',
    });
  }
  if (audits.data?.held_by) {
    matters.push({
      key: 'held',
      icon: BookCheck,
      tone: 'bad',
      title: 'Payouts are held',
      detail: audits.data.held_by,
      to: '/operator/audits',
    });
  }
  const waiting = approvals.data?.approvals.filter(({ status }) => WAITS.has(status)) ?? [];
  if (waiting.length > 0) {
    matters.push({
      key: 'approvals',
      icon: ClipboardCheck,
      tone: 'accent',
      title: `${plural(waiting.length, 'provider')} to approve`,
      detail: waiting.map(({ name }) => name).join(', '),
      to: '/operator/approvals',
    });
  }
  const pending = pledges.data?.pending ?? [];
  if (pending.length > 0) {
    matters.push({
      key: 'pledges',
      icon: Wallet,
      tone: 'accent',
      title: `${plural(pending.length, 'pledge')} to confirm`,
      detail: pending.map((each) => each.provider_name ?? each.provider).join(', '),
      to: '/operator/approvals',
    });
  }
  const objections = appeals.data?.appeals ?? [];
  if (objections.length > 0) {
    matters.push({
      key: 'appeals',
      icon: Scale,
      tone: 'accent',
      title: `${plural(objections.length, 'appeal')} to decide`,
      detail: objections.map(({ reason }) => reason).join(' '),
      to: '/operator/benchmarks',
    });
  }
  const unwell = endpoints.data?.endpoints.filter(({ health }) => health === 'unhealthy') ?? [];
  if (unwell.length > 0) {
    matters.push({
      key: 'endpoints',
      icon: Network,
      tone: 'warn',
      title: `${plural(unwell.length, 'endpoint')} out of order`,
      detail: unwell.map(({ name, because }) => `${name}: ${because ?? 'not reached'}`).join(' '),
      to: '/operator/endpoints',
    });
  }
  const proposed = proposals.data?.proposals ?? [];
  if (proposed.length > 0) {
    matters.push({
      key: 'prices',
      icon: Tag,
      tone: 'accent',
      title: `${plural(proposed.length, 'price')} proposed, not confirmed`,
      detail: proposed.map(({ model }) => model).join(', '),
      to: '/operator/prices',
    });
  }
  const stuck = batches.data?.data.settlements.filter(({ state }) => state === 'pending') ?? [];
  if (stuck.length > 0) {
    matters.push({
      key: 'batches',
      icon: Layers,
      tone: 'warn',
      title: `${plural(stuck.length, 'batch', 'batches')} not sent to the chain yet`,
      detail: stuck.map(({ day }) => bookDay(day)).join(', '),
      to: '/operator/settlements',
    });
  }
  return { matters, failed: all.some(({ isError }) => isError) };
}

const WAITS: ReadonlySet<string> = new Set(['pending', 'under_review']);
const LOOKS = {
  bad: 'bg-bad-wash text-bad',
  warn: 'bg-warn-wash text-warn',
  accent: 'bg-accent-wash text-accent',
} as const;

function Attention() {
  const { matters, failed } = useMatters();
  if (!matters) {
    return (
      <Card title="Needs you" hint="Looking at every desk">
        <div aria-busy="true">
          <ListSkeleton rows={2} />
        </div>
      </Card>
    );
  }
  if (matters.length === 0 && !failed) {
    return (
      <Card>
        <div className="flex items-center gap-4">
          <span className="inline-flex size-10 shrink-0 items-center justify-center rounded-xl bg-good-wash text-good">
            <ShieldCheck size={20} aria-hidden />
          </span>
          <div>
            <h2 className="text-lg font-semibold">Nothing needs you</h2>
            <p className="text-soft">
              No incident is open, nobody waits for approval, the books balance, and payouts go on.
            </p>
          </div>
        </div>
      </Card>
    );
  }
  return (
    <Card
      title="Needs you"
      hint={
        failed
          ? 'Something could not be looked at: this list may be short.'
          : plural(matters.length, 'matter')
      }
      flush
    >
      <ul className="pb-2">
        {matters.map(({ key, icon: Icon, tone, title, detail, to }) => (
          <li key={key} className="border-t border-line">
            <Link to={to} className="flex items-center gap-4 px-5 py-3 transition-colors hover:bg-hover">
              <span
                className={cx(
                  'inline-flex size-9 shrink-0 items-center justify-center rounded-lg',
                  LOOKS[tone],
                )}
              >
                <Icon size={17} aria-hidden />
              </span>
              <span className="min-w-0 flex-1">
                <span className="block font-medium wrap-anywhere">{title}</span>
                <span className="block truncate text-sm text-soft">{detail}</span>
              </span>
              <ChevronRight size={16} className="shrink-0 text-faint" aria-hidden />
            </Link>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function PaidChart({ days }: { days: readonly RevenueDay[] }) {
  const chart = useMemo(
    () => ({
      times: days.map(({ day }) => Date.parse(day)),
      series: [{ name: 'Paid', values: days.map((day) => Number(day.paid_usd)) }],
    }),
    [days],
  );
  if (chart.series[0]?.values.every((value) => value === 0)) {
    return (
      <Empty
        icon={Wallet}
        title="Nothing was paid yet"
        action={<ButtonLink to="/playground">Open the playground</ButtonLink>}
      >
        The first paid request begins the chart.
      </Empty>
    );
  }
  return <Chart label="Dollars paid by consumers a day" {...chart} by="day" as="bars" format={usd} />;
}

/** What of each tier's budget is left, as a bar. */
function Budgets() {
  const query = useQuery(operator.objectives());
  return (
    <Loaded query={query} skeleton={<ListSkeleton />}>
      {({ objectives }) => {
        const tiers = objectives.filter(({ model, region }) => model === '' && region === '');
        if (tiers.length === 0) {
          return (
            <Empty icon={ShieldCheck} title="Nothing was measured yet">
              The budget begins with the first request.
            </Empty>
          );
        }
        return (
          <ul className="space-y-5">
            {tiers.map(({ tier, requests, budget_minutes: budget }) => {
              const left = budget.allowed <= 0 ? 0 : Math.max(0, budget.left / budget.allowed);
              const tone = left === 0 ? 'fill-bad' : left < 0.25 ? 'fill-warn' : 'fill-accent';
              const most = objectives
                .filter(
                  (each) =>
                    each.tier === tier &&
                    each.model !== '' &&
                    each.region === '' &&
                    each.budget_minutes.spent > 0,
                )
                .toSorted((a, b) => b.budget_minutes.spent - a.budget_minutes.spent)
                .slice(0, 4);
              return (
                <li key={tier}>
                  <div className="mb-1.5 flex items-baseline justify-between gap-4">
                    <span className="font-medium capitalize">{tier}</span>
                    <span className="figures text-sm text-soft">
                      {left === 0 ? 'spent' : `${percent(left, 0)} left`}
                    </span>
                  </div>
                  <svg
                    viewBox="0 0 100 6"
                    preserveAspectRatio="none"
                    className="h-1.5 w-full"
                    aria-hidden="true"
                  >
                    <rect width="100" height="6" rx="1" className="fill-sunken" />
                    <rect width={(1 - left) * 100} height="6" rx="1" className={tone} />
                  </svg>
                  <p className="figures mt-1.5 text-sm text-faint">
                    {budget.spent.toFixed(0)} of {budget.allowed.toFixed(0)} minutes failed,{' '}
                    {plural(requests, 'request')}
                  </p>
                  {most.length > 0 && (
                    <ul className="mt-3 space-y-1.5 border-l border-line pl-3">
                      {most.map(({ model, budget_minutes: { spent } }) => (
                        <li key={model} className="flex items-baseline justify-between gap-4 text-sm">
                          <span className="truncate text-soft">{model}</span>
                          <span className="figures shrink-0">{plural(Math.round(spent), 'minute')}</span>
                        </li>
                      ))}
                    </ul>
                  )}
                </li>
              );
            })}
          </ul>
        );
      }}
    </Loaded>
  );
}

function Books() {
  const { query: batches, none } = useBatches('USD');
  const audits = useQuery(operator.audits());
  const treasury = useQuery(operator.treasury());
  if ((!batches.data && !batches.isError && !none) || !audits.data || !treasury.data) {
    return (
      <div aria-busy="true">
        <Skeleton className="h-52 rounded-lg" />
      </div>
    );
  }
  const [newest] = batches.data?.data.settlements ?? [];
  const [audit] = audits.data.audits;
  return (
    <Facts
      rows={[
        [
          'Newest batch',
          newest ? (
            <span key="batch">
              <TextLink to={`/operator/settlements/${newest.batch}`}>
                {newest.batch}, {bookDay(newest.day)}
              </TextLink>
            </span>
          ) : none ? (
            'this market settles on no chain'
          ) : (
            'none yet'
          ),
        ],
        ['It pays', newest ? `${tokenAmount(newest.increase, newest.decimals)} USDC` : '–'],
        [
          'Last audit',
          audit ? (
            <StateDot key="audit" tone={audit.balanced ? 'good' : 'bad'}>
              {audit.balanced ? 'Balanced' : plural(audit.differences.length, 'difference')}
            </StateDot>
          ) : (
            'none yet'
          ),
        ],
        ['Made', audit ? <Time key="at" at={audit.at} as="ago" /> : '–'],
        ['Fees kept', usd(treasury.data.fees_usd)],
        ['Waits to be burned', usd(treasury.data.burn_due_usd)],
      ]}
    />
  );
}

function Latest() {
  const query = useQuery(operator.log({ limit: '6' }));
  return (
    <Loaded query={query} skeleton={<ListSkeleton />}>
      {({ actions }) =>
        actions.length === 0 ? (
          <Empty icon={ClipboardCheck} title="Nobody did anything yet">
            Every change that an operator makes is written down here before it is done.
          </Empty>
        ) : (
          <ul className="divide-y divide-line">
            {actions.map((each) => (
              <ActionLine key={each.id} action={each} />
            ))}
          </ul>
        )
      }
    </Loaded>
  );
}

function ActionLine({ action }: { action: LogAnswer['actions'][number] }) {
  const outcome = OUTCOMES[action.outcome ?? 'open'];
  return (
    <li className="flex items-baseline justify-between gap-4 py-2.5">
      <span className="min-w-0">
        <span className="block truncate font-medium">{actionWords(action)}</span>
        <span className="block truncate text-sm text-soft">
          {action.email ?? shortId(action.actor)}
          {action.outcome !== 'done' && outcome ? `, ${outcome.words.toLowerCase()}` : ''}
        </span>
      </span>
      <span className="shrink-0 text-sm text-faint">
        <Time at={action.at} as="ago" />
      </span>
    </li>
  );
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
