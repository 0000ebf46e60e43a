import { useQuery } from '@tanstack/react-query';
import { Trophy } from 'lucide-react';
import type { LeaderboardAnswer } from '#wire/market.ts';
import { market } from '../../api.ts';
import { ButtonLink } from '../../parts/button.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { duration, NOTHING, percent, short, whole } from '../../parts/format.ts';
import { Card, PageHead } from '../../parts/page.tsx';
import { Empty, Failure } from '../../parts/states.tsx';

type Row = LeaderboardAnswer['data']['providers'][number];

const COLUMNS: readonly Column<Row>[] = [
  {
    name: 'Rank',
    sort: (row) => row.rank,
    show: (row) => (
      <span className={row.rank <= 3 ? 'font-semibold text-accent' : 'text-soft'}>{row.rank}</span>
    ),
  },
  {
    name: 'Provider',
    sort: (row) => row.name,
    show: (row) => <span className="font-medium">{row.name === '' ? 'Unnamed' : row.name}</span>,
  },
  { name: 'Requests', number: true, sort: (row) => row.inferences, show: (row) => whole(row.inferences) },
  { name: 'Tokens', number: true, sort: (row) => row.tokens, show: (row) => short(row.tokens) },
  {
    name: 'Success',
    number: true,
    sort: (row) => row.success_rate,
    show: (row) => percent(row.success_rate),
  },
  {
    name: 'Mean latency',
    number: true,
    wide: true,
    sort: (row) => row.avg_latency_ms,
    show: (row) => duration(row.avg_latency_ms),
  },
  {
    name: 'Models',
    number: true,
    wide: true,
    sort: (row) => row.models_served,
    show: (row) => whole(row.models_served),
  },
  {
    name: 'Up, 30 days',
    number: true,
    wide: true,
    sort: (row) => row.uptime_30d,
    show: (row) => percent(row.uptime_30d),
  },
  {
    name: 'Contribution',
    number: true,
    wide: true,
    sort: (row) => row.contribution_score,
    show: (row) => (row.contribution_score === null ? NOTHING : row.contribution_score.toFixed(3)),
  },
];

/** Who serves most, and how well. */
export default function Leaderboard() {
  const query = useQuery(market.leaderboard());
  return (
    <>
      <PageHead title="Leaderboard" actions={<ButtonLink to="/provider/join">Become a provider</ButtonLink>}>
        Providers by the requests they served in the last {query.data?.window_days ?? 30} days. Contribution
        weighs requests, tokens, uptime, quality and diversity, and shares out the daily rewards.
      </PageHead>
      <Card flush className="overflow-hidden">
        {query.isError && query.data === undefined ? (
          <Failure error={query.error} retry={() => void query.refetch()} />
        ) : (
          <DataTable
            caption="Providers by requests served"
            columns={COLUMNS}
            rows={query.data?.providers}
            rowKey={(row) => row.provider_id}
            first="Requests"
            empty={
              <Empty
                icon={Trophy}
                title="Nobody has served anything yet"
                action={
                  <ButtonLink to="/provider/join" kind="primary">
                    Become the first provider
                  </ButtonLink>
                }
              >
                The first place is free. Connect an agent, pass the benchmark, and serve.
              </Empty>
            }
          />
        )}
      </Card>
    </>
  );
}
