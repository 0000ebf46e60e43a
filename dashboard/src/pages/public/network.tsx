import { useQuery } from '@tanstack/react-query';
import { ChartNoAxesColumn, Cpu } from 'lucide-react';
import { useMemo } from 'react';
import { hardwareTier } from '#domain/hardware-tier.ts';
import type { GpuAnswer, NetworkHistoryAnswer } from '#wire/market.ts';
import { market } from '../../api.ts';
import { ButtonLink } from '../../parts/button.tsx';
import { Chart, ChartSkeleton } from '../../parts/chart.tsx';
import { percent, plural, short, usd, whole } from '../../parts/format.ts';
import { Card, PageHead } from '../../parts/page.tsx';
import { Stat } from '../../parts/stat.tsx';
import { Empty, Loaded, Skeleton } from '../../parts/states.tsx';

type Day = NetworkHistoryAnswer['data']['days'][number];

/** The market as a whole: who is here, with what, and what goes through it. */
export default function Network() {
  const network = useQuery(market.network()).data;
  const utilization = useQuery(market.utilization()).data;
  const gpus = useQuery(market.gpus());
  const history = useQuery(market.history());
  const days = history.data?.days;
  const tokens = sum(days?.map((day) => day.tokens) ?? []);
  const paid = sum(days?.map((day) => day.paid_tokens) ?? []);
  return (
    <>
      <PageHead title="Network">
        What the market is made of, and what goes through it. Days are in UTC.
      </PageHead>
      <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
        <Stat
          name="Providers online"
          value={network && whole(network.online_providers)}
          hint={network && plural(network.online_nodes, 'node')}
        />
        <Stat
          name="In flight now"
          value={utilization && whole(utilization.in_flight)}
          hint={
            utilization &&
            (utilization.utilization === null
              ? 'nobody is here to serve'
              : `${percent(utilization.utilization, 0)} of ${whole(utilization.capacity)} at once`)
          }
        />
        <Stat
          name="Tokens, last 24 hours"
          value={network && short(network.tokens_24h)}
          hint={network && plural(network.requests_24h, 'request')}
          trend={days?.map((day) => day.tokens)}
        />
        <Stat
          name="Spent, last 24 hours"
          value={network && usd(network.revenue_24h)}
          hint={days && `${usd(sum(days.map((day) => day.revenue)))} in 30 days`}
          trend={days?.map((day) => day.revenue)}
        />
      </div>

      <div className="mt-6 grid gap-6 lg:grid-cols-2">
        <Card
          title="Tokens a day"
          hint={
            tokens === 0
              ? 'Last 30 days'
              : `${percent(paid / tokens, 1)} of ${short(tokens)} paid from balances, the rest free or covered by plans`
          }
        >
          <Loaded query={history} skeleton={<ChartSkeleton />}>
            {(data) => <TokensChart days={data.days} />}
          </Loaded>
        </Card>
        <Card title="Requests a day" hint="Last 30 days">
          <Loaded query={history} skeleton={<ChartSkeleton />}>
            {(data) => <RequestsChart days={data.days} />}
          </Loaded>
        </Card>
      </div>

      <Card title="Hardware" hint="What agents report of the GPUs that are online" className="mt-6">
        <Loaded query={gpus} skeleton={<Skeleton className="h-40" />}>
          {(data) => <Hardware gpus={data} />}
        </Loaded>
      </Card>
    </>
  );
}

function TokensChart({ days }: { days: readonly Day[] }) {
  const chart = useMemo(
    () => ({
      times: days.map(({ day }) => Date.parse(day)),
      series: [
        { name: 'Paid', values: days.map((day) => day.paid_tokens) },
        { name: 'Free or by plan', values: days.map((day) => day.tokens - day.paid_tokens) },
      ],
    }),
    [days],
  );
  if (days.every((day) => day.tokens === 0)) return <NothingYet />;
  return <Chart label="Tokens a day, paid for and not" {...chart} by="day" format={short} />;
}

function RequestsChart({ days }: { days: readonly Day[] }) {
  const chart = useMemo(
    () => ({
      times: days.map(({ day }) => Date.parse(day)),
      series: [{ name: 'Requests', values: days.map((day) => day.requests) }],
    }),
    [days],
  );
  if (days.every((day) => day.requests === 0)) return <NothingYet />;
  return <Chart label="Requests a day" {...chart} by="day" as="bars" format={short} />;
}

function NothingYet() {
  return (
    <Empty
      icon={ChartNoAxesColumn}
      title="No requests yet"
      action={<ButtonLink to="/playground">Open the playground</ButtonLink>}
    >
      The curve begins with the first request.
    </Empty>
  );
}

const TIERS = [
  ['S', '38 GB and more'],
  ['A', '24 GB and more'],
  ['B', '12 GB and more'],
  ['C', '8 GB and more'],
  ['rejected', 'less than 8 GB'],
  ['unknown', 'not said, or no GPU'],
] as const;

function Hardware({ gpus }: { gpus: GpuAnswer['data'] }) {
  if (gpus.nodes === 0) {
    return (
      <Empty
        icon={Cpu}
        title="No node is online"
        action={<ButtonLink to="/provider/join">Become a provider</ButtonLink>}
      >
        Nodes appear here as soon as an agent connects.
      </Empty>
    );
  }
  const counts = new Map<string, number>([['unknown', gpus.nodes_without_known_gpu]]);
  for (const { vram_gb, count } of gpus.by_vram_gb) {
    const tier = hardwareTier({ vram_gb });
    counts.set(tier, (counts.get(tier) ?? 0) + count);
  }
  return (
    <>
      <ul className="space-y-3">
        {TIERS.filter(([tier]) => (counts.get(tier) ?? 0) > 0).map(([tier, words]) => {
          const count = counts.get(tier) ?? 0;
          return (
            <li key={tier} className="grid grid-cols-[9rem_minmax(0,1fr)_5rem] items-center gap-4">
              <span>
                {tier.length === 1 && <b className="mr-2 font-semibold">{tier}</b>}
                <span className="text-soft">{words}</span>
              </span>
              <svg viewBox="0 0 100 8" preserveAspectRatio="none" className="h-2 w-full" aria-hidden="true">
                <rect width="100" height="8" rx="1" className="fill-sunken" />
                <rect width={(count / gpus.nodes) * 100} height="8" rx="1" className="fill-accent" />
              </svg>
              <span className="figures text-right">{plural(count, 'node')}</span>
            </li>
          );
        })}
      </ul>
      <p className="mt-4 text-sm text-soft">{short(gpus.total_vram_gb)} GB of GPU memory online.</p>
    </>
  );
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
