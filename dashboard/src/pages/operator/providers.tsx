import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { Server } from 'lucide-react';
import { useMemo } from 'react';
import type { OperatorProvider } from '#wire/operator.ts';
import { ButtonLink } from '../../parts/button.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { Segments, TextField } from '../../parts/form.tsx';
import { whole } from '../../parts/format.ts';
import { Card, PageHead } from '../../parts/page.tsx';
import { Empty, Failure } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { useUrlState } from '../../parts/url-state.ts';
import { operator, useOperatorLive } from './api.ts';
import { PROVIDER_STATES, ProviderLink, ProviderState } from './pieces.tsx';

const COLUMNS: readonly Column<OperatorProvider>[] = [
  {
    name: 'Provider',
    sort: (row) => row.name,
    show: (row) => (
      <>
        <ProviderLink id={row.id} name={row.name === '' ? 'Unnamed' : row.name} />
        <p className="max-w-64 truncate text-sm text-faint">{row.reason === '' ? row.id : row.reason}</p>
      </>
    ),
  },
  {
    name: 'State',
    sort: (row) => Object.keys(PROVIDER_STATES).indexOf(row.status),
    show: (row) => <ProviderState status={row.status} />,
  },
  { name: 'Online', number: true, sort: (row) => row.online, show: (row) => whole(row.online) },
  { name: 'Nodes', number: true, wide: true, sort: (row) => row.nodes, show: (row) => whole(row.nodes) },
  {
    name: 'In flight',
    number: true,
    wide: true,
    sort: (row) => row.in_flight,
    show: (row) => whole(row.in_flight),
  },
  {
    name: 'In this state',
    wide: true,
    sort: (row) => row.since,
    show: (row) => <Time at={row.since} as="day" />,
  },
  {
    name: 'Joined',
    wide: true,
    sort: (row) => row.created_at,
    show: (row) => <Time at={row.created_at} as="day" />,
  },
];

const GROUPS: Readonly<Record<string, readonly string[]>> = {
  active: ['active'],
  waiting: ['pending', 'under_review', 'approved', 'activating'],
  suspended: ['suspended'],
  removed: ['removed'],
};

/** Everybody who serves, or wants to. */
export default function Providers() {
  useOperatorLive();
  const query = useQuery(operator.providers());
  const navigate = useNavigate();
  const [state, setState] = useUrlState('state', 'all');
  const [search, setSearch] = useUrlState('q', '');
  const all = query.data?.providers;
  const rows = useMemo(() => {
    const wanted = search.trim().toLowerCase();
    return all?.filter(
      ({ id, name, status }) =>
        (state === 'all' || GROUPS[state]?.includes(status)) &&
        (wanted === '' || name.toLowerCase().includes(wanted) || id.toLowerCase().includes(wanted)),
    );
  }, [all, state, search]);
  const count = (group: string): string => {
    const of = all?.filter(({ status }) => group === 'all' || GROUPS[group]?.includes(status)).length;
    return of === undefined ? '' : ` ${of}`;
  };
  return (
    <>
      <PageHead title="Providers">Who serves, in which state, and why.</PageHead>
      <div className="mb-4 flex flex-wrap items-center justify-between gap-3">
        <Segments
          label="State"
          value={state}
          onChange={setState}
          options={[
            { value: 'all', label: `All${count('all')}` },
            { value: 'active', label: `Active${count('active')}` },
            { value: 'waiting', label: `On the way${count('waiting')}` },
            { value: 'suspended', label: `Suspended${count('suspended')}` },
            { value: 'removed', label: `Removed${count('removed')}` },
          ]}
        />
        <div className="w-full sm:w-64">
          <TextField
            label="Search providers"
            hideLabel
            type="search"
            placeholder="Name or id"
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
            caption="Providers"
            columns={COLUMNS}
            rows={rows}
            rowKey={(row) => row.id}
            onOpen={(row) => void navigate({ to: `/operator/providers/${row.id}` })}
            empty={
              <Empty
                icon={Server}
                title={all?.length === 0 ? 'No provider yet' : 'No provider is like that'}
                action={<ButtonLink to="/sign-up">The way in for providers</ButtonLink>}
              >
                {all?.length === 0
                  ? 'Whoever signs up as a provider, or starts an agent with a key, appears here.'
                  : 'Choose another state, or search for something else.'}
              </Empty>
            }
          />
        )}
      </Card>
    </>
  );
}
