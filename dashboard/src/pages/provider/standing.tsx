import { useQuery } from '@tanstack/react-query';
import { Coins } from 'lucide-react';
import { useMemo } from 'react';
import type { ProviderHealthAnswer, RewardsAnswer } from '#wire/console.ts';
import type { StandingAnswer } from '#wire/dashboard.ts';
import { Badge } from '../../parts/badge.tsx';
import { ButtonLink } from '../../parts/button.tsx';
import { Chart, ChartSkeleton } from '../../parts/chart.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { NOTHING, percent, plural, whole } from '../../parts/format.ts';
import { Meter } from '../../parts/meter.tsx';
import { Note } from '../../parts/note.tsx';
import { Card, PageHead } from '../../parts/page.tsx';
import { Stat } from '../../parts/stat.tsx';
import { Empty, Loaded, Skeleton } from '../../parts/states.tsx';
import { bookDay } from '../../parts/time.tsx';
import { tokenAmount } from '../../parts/tokens.ts';
import { provider } from './api.ts';
import { successOf } from './figures.ts';

type Part = StandingAnswer['parts'][number];
type Day = RewardsAnswer['days'][number];

const PARTS: Readonly<Record<Part['part'], { title: string; words: string }>> = {
  inferences: { title: 'Requests', words: 'Served in 7 days, beside whoever served most.' },
  tokens: { title: 'Tokens', words: 'Made and read in 7 days, beside whoever had most.' },
  uptime: { title: 'Uptime', words: 'Minutes in which a node of yours was here.' },
  quality: { title: 'Quality', words: 'Requests that succeeded, and how fast.' },
  diversity: { title: 'Diversity', words: 'How many models you serve.' },
};

/** Where a provider stands among all, what its score is made of, and what it was rewarded for it. */
export default function Standing() {
  const standing = useQuery(provider.standing());
  const health = useQuery(provider.health('30d')).data;
  const rewards = useQuery(provider.rewards());
  return (
    <>
      <PageHead title="Standing" actions={<ButtonLink to="/leaderboard">Public leaderboard</ButtonLink>}>
        Your place among providers and what makes it. The same score shares out the daily rewards.
      </PageHead>
      <Loaded query={standing} skeleton={<Skeleton className="h-96" />}>
        {(found) => <Score found={found} health={health} />}
      </Loaded>
      <Card
        title="Rewards"
        className="mt-6"
        hint={
          rewards.data &&
          rewards.data.days.length > 0 &&
          `${tokenAmount(rewards.data.payable, rewards.data.decimals)} ${rewards.data.asset} to be paid, ${tokenAmount(
            rewards.data.vesting,
            rewards.data.decimals,
          )} still vesting`
        }
      >
        <Loaded query={rewards} skeleton={<ChartSkeleton />}>
          {(found) => <Rewards found={found} />}
        </Loaded>
      </Card>
    </>
  );
}

function Score({ found, health }: { found: StandingAnswer; health: ProviderHealthAnswer | undefined }) {
  const weakest = found.parts.reduce<Part | undefined>(
    (most, part) =>
      (1 - part.value) * part.counts_for > (most ? (1 - most.value) * most.counts_for : 0) ? part : most,
    undefined,
  );
  return (
    <div className="space-y-6">
      {found.excluded !== null && (
        <Note tone="warn">
          {found.excluded === 'low-uptime'
            ? 'You are not rewarded now: your nodes were here for too little of the last 7 days.'
            : 'You are not rewarded now: only active providers are.'}
        </Note>
      )}
      {health?.behind === true && (
        <Note
          tone="warn"
          action={
            <ButtonLink to="/provider/why" size="sm">
              Why
            </ButtonLink>
          }
        >
          You stand behind others: {health.misses.join('; ')}.
        </Note>
      )}
      <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
        <Stat
          name="Rank"
          value={found.rank === null ? NOTHING : whole(found.rank)}
          hint={`of ${plural(found.providers, 'provider')}`}
        />
        <Stat name="Score" value={percent(found.score, 1)} hint="of the best that is possible" />
        <Stat
          name="Uptime, 30 days"
          value={health && percent(health.uptime_30d, 1)}
          hint={health && `${percent(health.uptime_7d, 1)} in 7 days`}
        />
        <Stat
          name="Success, 30 days"
          value={health && percent(health.success_30d ?? successOf(health), 1)}
          hint={health && (health.in_grace ? 'in your first week' : 'of what was tried with you')}
        />
      </div>
      <Card
        title="What the score is made of"
        hint={weakest && `Most is to be won with ${PARTS[weakest.part].title.toLowerCase()}.`}
      >
        <ul className="divide-y divide-line">
          {found.parts.map((part) => (
            <li
              key={part.part}
              className="grid grid-cols-[minmax(0,1fr)_4.5rem] items-center gap-x-6 gap-y-2 py-3 md:grid-cols-[14rem_minmax(0,1fr)_4.5rem_7rem]"
            >
              <div>
                <p className="font-medium">{PARTS[part.part].title}</p>
                <p className="text-sm text-soft">{PARTS[part.part].words}</p>
              </div>
              <Meter value={part.value} className="max-md:order-last max-md:col-span-2" />
              <span className="figures text-right font-medium">{percent(part.value, 1)}</span>
              <span className="figures text-right text-sm text-soft max-md:hidden">
                {whole(part.value * part.counts_for * 100)} of {whole(part.counts_for * 100)} points
              </span>
            </li>
          ))}
        </ul>
      </Card>
    </div>
  );
}

function Rewards({ found }: { found: RewardsAnswer }) {
  const { days, decimals, asset } = found;
  const chart = useMemo(() => {
    const rising = days.toReversed();
    return {
      times: rising.map(({ day }) => Date.parse(day)),
      series: [{ name: 'Rewarded', values: rising.map((each) => whole18(sumOf(each), decimals)) }],
      format: (value: number) => `${value.toLocaleString('en-GB', { maximumFractionDigits: 1 })} ${asset}`,
    };
  }, [days, decimals, asset]);
  const columns = useMemo(() => columnsOf(decimals), [decimals]);
  if (days.length === 0) {
    return (
      <Empty icon={Coins} title="No rewards yet">
        Where a market rewards in SWAN, a day’s part stands here after midnight UTC.
      </Empty>
    );
  }
  return (
    <>
      <Chart label="Rewards by day" {...chart} by="day" as="bars" height={160} />
      <div className="-mx-5 mt-4 -mb-5 border-t border-line">
        <DataTable
          caption="Rewards by day"
          columns={columns}
          rows={days}
          rowKey={(row) => row.day}
          empty={null}
        />
      </div>
    </>
  );
}

function columnsOf(decimals: number): readonly Column<Day>[] {
  const amount = (units: string | bigint): string => short18(units, decimals);
  return [
    { name: 'Day', sort: (row) => row.day, show: (row) => bookDay(row.day) },
    { name: 'Basic', number: true, wide: true, show: (row) => amount(row.basic_income) },
    { name: 'Contribution', number: true, wide: true, show: (row) => amount(row.contribution) },
    { name: 'Availability', number: true, wide: true, show: (row) => amount(row.availability_bonus) },
    {
      name: 'Together',
      number: true,
      show: (row) => <span className="font-medium">{amount(sumOf(row))}</span>,
    },
    {
      name: 'Vests',
      show: (row) =>
        row.excluded !== null ? (
          <Badge tone="warn">{row.excluded === 'low-uptime' ? 'Too little uptime' : 'Not active'}</Badge>
        ) : row.vested ? (
          <Badge tone="good">Vested</Badge>
        ) : (
          <span className="text-soft">{bookDay(row.vests_on)}</span>
        ),
    },
  ];
}

function sumOf(day: Day): bigint {
  return BigInt(day.basic_income) + BigInt(day.contribution) + BigInt(day.availability_bonus);
}

/** As a number for a chart, to six places. */
function whole18(units: bigint, decimals: number): number {
  return Number((units * 1_000_000n) / 10n ** BigInt(decimals)) / 1_000_000;
}

function short18(units: string | bigint, decimals: number): string {
  return whole18(BigInt(units), decimals).toLocaleString('en-GB', {
    minimumFractionDigits: 2,
    maximumFractionDigits: 2,
  });
}
