import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { Users } from 'lucide-react';
import { useDeferredValue } from 'react';
import type { ConsumersAnswer } from '#wire/dashboard.ts';
import { Badge } from '../../parts/badge.tsx';
import { Button } from '../../parts/button.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { Segments, TextField } from '../../parts/form.tsx';
import { usd, whole } from '../../parts/format.ts';
import { Card, PageHead } from '../../parts/page.tsx';
import { Empty, Failure } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { useUrlState } from '../../parts/url-state.ts';
import { operator } from './api.ts';
import { TextLink } from './pieces.tsx';

type Consumer = ConsumersAnswer['consumers'][number];

export const PLANS: Readonly<Record<string, string>> = {
  free: 'Free',
  'pay-as-you-go': 'Pay as you go',
  pro: 'Pro',
  business: 'Business',
};

const COLUMNS: readonly Column<Consumer>[] = [
  {
    name: 'Consumer',
    sort: (row) => row.name,
    show: (row) => (
      <>
        <span className="flex items-center gap-2">
          <TextLink to={`/operator/consumers/${row.id}`} className="max-w-64 truncate">
            {row.name === '' ? 'Unnamed' : row.name}
          </TextLink>
          {row.suspended_at !== null && <Badge tone="bad">Suspended</Badge>}
        </span>
        <p className="max-w-64 truncate text-sm text-faint">{row.email ?? row.id}</p>
      </>
    ),
  },
  { name: 'Plan', wide: true, sort: (row) => row.plan, show: (row) => PLANS[row.plan] ?? row.plan },
  {
    name: 'Balance',
    number: true,
    sort: (row) => Number(row.balance_usd),
    show: (row) => usd(row.balance_usd),
  },
  {
    name: 'On hold',
    number: true,
    wide: true,
    sort: (row) => Number(row.held_usd),
    show: (row) => usd(row.held_usd),
  },
  {
    name: 'Spent, 30 days',
    number: true,
    sort: (row) => Number(row.spent_30d_usd),
    show: (row) => usd(row.spent_30d_usd),
  },
  { name: 'Keys', number: true, wide: true, sort: (row) => row.keys, show: (row) => whole(row.keys) },
  {
    name: 'Since',
    wide: true,
    sort: (row) => row.created_at,
    show: (row) => <Time at={row.created_at} as="day" />,
  },
];

/** Everybody who buys here. */
export default function Consumers() {
  const navigate = useNavigate();
  const [search, setSearch] = useUrlState('q', '');
  const [state, setState] = useUrlState('state', 'all');
  const [before, setBefore] = useUrlState('before', '');
  const wanted = useDeferredValue(search);
  const query = useQuery(
    operator.consumers({
      q: wanted,
      before,
      ...(state !== 'all' && { suspended: state === 'suspended' ? 'true' : 'false' }),
    }),
  );
  const next = query.data?.next;
  return (
    <>
      <PageHead title="Consumers">Who buys here, what they have, and what they spend.</PageHead>
      <div className="mb-4 flex flex-wrap items-center justify-between gap-3">
        <Segments
          label="State"
          value={state}
          onChange={setState}
          options={[
            { value: 'all', label: 'All' },
            { value: 'active', label: 'Active' },
            { value: 'suspended', label: 'Suspended' },
          ]}
        />
        <div className="w-full sm:w-72">
          <TextField
            label="Search consumers"
            hideLabel
            type="search"
            placeholder="Name, address or id"
            value={search}
            onChange={setSearch}
          />
        </div>
      </div>
      <Card flush className="overflow-hidden">
        {query.isError && !query.data ? (
          <Failure error={query.error} retry={() => void query.refetch()} />
        ) : (
          <DataTable
            caption="Consumers"
            columns={COLUMNS}
            rows={query.data?.consumers}
            rowKey={(row) => row.id}
            onOpen={(row) => void navigate({ to: `/operator/consumers/${row.id}` })}
            empty={
              <Empty
                icon={Users}
                title={search === '' && state === 'all' ? 'No consumer yet' : 'Nobody is like that'}
              >
                {search === '' && state === 'all'
                  ? 'Whoever signs up appears here, with a balance of nothing.'
                  : 'Search for a part of the name, the address or the id.'}
              </Empty>
            }
          />
        )}
      </Card>
      {(next || before !== '') && (
        <div className="mt-4 flex justify-end gap-2">
          {before !== '' && (
            <Button size="sm" onClick={() => setBefore('')}>
              To the newest
            </Button>
          )}
          {next && (
            <Button size="sm" onClick={() => setBefore(next)}>
              Earlier ones
            </Button>
          )}
        </div>
      )}
    </>
  );
}
