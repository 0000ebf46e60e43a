import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { Tag } from 'lucide-react';
import { useMemo } from 'react';
import { type MarketModel, market } from '../../api.ts';
import { Badge } from '../../parts/badge.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { ConfirmButton } from '../../parts/dialog.tsx';
import { TextField } from '../../parts/form.tsx';
import { NOTHING, perMillion, price, whole } from '../../parts/format.ts';
import { Card, PageHead } from '../../parts/page.tsx';
import { Empty, Failure } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { toast } from '../../parts/toast.tsx';
import { useUrlState } from '../../parts/url-state.ts';
import { operator, useOperate } from './api.ts';
import { ModelId, priceWords, TextLink } from './pieces.tsx';

function amount(model: MarketModel, name: string): number {
  return Number(model.pricing[name] ?? 0);
}

const COLUMNS: readonly Column<MarketModel>[] = [
  {
    name: 'Model',
    sort: (row) => row.name,
    show: (row) => (
      <>
        <TextLink to={`/operator/prices/${row.id}`}>{row.name}</TextLink>
        <p className="max-w-72 truncate font-mono text-xs text-faint">{row.id}</p>
      </>
    ),
  },
  { name: 'Kind', wide: true, sort: (row) => row.category, show: (row) => <Badge>{row.category}</Badge> },
  {
    name: 'Input / 1M',
    number: true,
    sort: (row) => amount(row, 'prompt'),
    show: (row) => (amount(row, 'prompt') === 0 ? NOTHING : perMillion(row.pricing['prompt'] ?? '0')),
  },
  {
    name: 'Output / 1M',
    number: true,
    sort: (row) => amount(row, 'completion'),
    show: (row) => (amount(row, 'completion') === 0 ? NOTHING : perMillion(row.pricing['completion'] ?? '0')),
  },
  {
    name: 'Request',
    number: true,
    sort: (row) => amount(row, 'request'),
    show: (row) => (amount(row, 'request') === 0 ? NOTHING : price(row.pricing['request'] ?? '0')),
  },
  {
    name: 'Providers',
    number: true,
    wide: true,
    sort: (row) => row.providers,
    show: (row) => whole(row.providers),
  },
];

/** What everything costs, and what is proposed. */
export default function Prices() {
  const query = useQuery(market.models());
  const navigate = useNavigate();
  const [search, setSearch] = useUrlState('q', '');
  const all = query.data;
  const rows = useMemo(
    () => all?.filter(({ id, name }) => `${id} ${name}`.toLowerCase().includes(search.trim().toLowerCase())),
    [all, search],
  );
  return (
    <>
      <PageHead title="Prices">
        The list: what consumers pay at most. Each price is set in two steps and keeps its history.
      </PageHead>
      <Proposals />
      <Card
        flush
        className="overflow-hidden"
        title="The list"
        actions={
          <div className="w-56">
            <TextField
              label="Search models"
              hideLabel
              type="search"
              placeholder="Search"
              value={search}
              onChange={setSearch}
            />
          </div>
        }
      >
        {query.isError && !query.data ? (
          <Failure error={query.error} retry={() => void query.refetch()} />
        ) : (
          <DataTable
            caption="Listed prices"
            columns={COLUMNS}
            rows={rows}
            rowKey={(row) => row.id}
            onOpen={(row) => void navigate({ to: `/operator/prices/${row.id}` })}
            first="Model"
            empty={
              <Empty icon={Tag} title={search === '' ? 'The catalogue is empty' : 'No model is called that'}>
                {search === ''
                  ? 'Models come with the catalogue of the market.'
                  : 'Search for a part of its name.'}
              </Empty>
            }
          />
        )}
      </Card>
    </>
  );
}

/** Prices that somebody proposed, and nobody confirmed. */
export function Proposals({ model }: { model?: string }) {
  const operate = useOperate();
  const query = useQuery(operator.proposals());
  const waiting = query.data?.proposals.filter((each) => model === undefined || each.model === model) ?? [];
  if (waiting.length === 0) return null;
  return (
    <Card
      title="Proposed, not confirmed"
      hint="Whoever proposed a price confirms it on its page, within a quarter of an hour."
      className="mb-6"
    >
      <ul className="divide-y divide-line">
        {waiting.map((each) => (
          <li
            key={each.id}
            className="flex flex-wrap items-center justify-between gap-3 py-3 first:pt-0 last:pb-0"
          >
            <div className="min-w-0">
              <p>
                <ModelId id={each.model} />
              </p>
              <p className="figures text-sm text-soft">
                {priceWords(each.price)}; ends <Time at={each.expires_at} as="ago" />
              </p>
            </div>
            <ConfirmButton
              label="Withdraw"
              title="Withdraw this proposal?"
              danger={false}
              act={async () => {
                await operate('DELETE', `/price-proposals/${each.id}`);
                toast.done('The proposal is withdrawn.');
              }}
            >
              The price stays as it is.
            </ConfirmButton>
          </li>
        ))}
      </ul>
    </Card>
  );
}
