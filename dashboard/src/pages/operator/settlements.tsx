import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { Layers } from 'lucide-react';
import { useMemo } from 'react';
import type { SettlementAnswer } from '#wire/settlements.ts';
import { StateDot, type Tone } from '../../parts/badge.tsx';
import { Id } from '../../parts/copy.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { Segments } from '../../parts/form.tsx';
import { whole } from '../../parts/format.ts';
import { Card, PageHead } from '../../parts/page.tsx';
import { Empty, Failure } from '../../parts/states.tsx';
import { bookDay, Time } from '../../parts/time.tsx';
import { SERIES_CHOICE, TOKENS, tokenShort } from '../../parts/tokens.ts';
import { useUrlState } from '../../parts/url-state.ts';
import { operator, useBatches, useOperatorLive } from './api.ts';
import { Notice, TextLink } from './pieces.tsx';
import { SettleNow } from './settle-now.tsx';

export const BATCH_STATES: Readonly<Record<SettlementAnswer['state'], { tone: Tone; words: string }>> = {
  pending: { tone: 'warn', words: 'Made' },
  submitted: { tone: 'accent', words: 'Sent' },
  confirmed: { tone: 'good', words: 'Confirmed' },
  revoked: { tone: 'bad', words: 'Revoked' },
};

function columnsFor(asset: string): Column<SettlementAnswer>[] {
  const search = asset === 'USD' ? {} : { asset };
  const token = TOKENS[asset] ?? asset;
  return [
    {
      name: 'Batch',
      sort: (row) => row.batch,
      show: (row) => (
        <TextLink to={`/operator/settlements/${row.batch}`} search={search}>
          {row.batch}
        </TextLink>
      ),
    },
    { name: 'Up to', sort: (row) => row.day, show: (row) => bookDay(row.day) },
    {
      name: 'State',
      sort: (row) => row.state,
      show: (row) => <StateDot tone={BATCH_STATES[row.state].tone}>{BATCH_STATES[row.state].words}</StateDot>,
    },
    { name: 'Accounts', number: true, sort: (row) => row.accounts, show: (row) => whole(row.accounts) },
    {
      name: `Pays, ${token}`,
      number: true,
      sort: (row) => Number(row.increase),
      show: (row) => tokenShort(row.increase, row.decimals),
    },
    {
      name: `In all, ${token}`,
      number: true,
      wide: true,
      sort: (row) => Number(row.total),
      show: (row) => tokenShort(row.total, row.decimals),
    },
    { name: 'Root', wide: true, show: (row) => <Id value={row.root} keep={14} /> },
    { name: 'Made', wide: true, sort: (row) => row.made_at, show: (row) => <Time at={row.made_at} /> },
  ];
}

/** What providers are paid, batch after batch. */
export default function Settlements() {
  useOperatorLive();
  const [asset, setAsset] = useUrlState('asset', 'USD');
  const { query, none } = useBatches(asset);
  const held = useQuery(operator.audits()).data?.held_by;
  const navigate = useNavigate();
  const columns = useMemo(() => columnsFor(asset), [asset]);
  const about = query.data?.data;
  return (
    <>
      <PageHead
        title="Settlements"
        actions={!none && <SettleNow key={asset} asset={asset === 'SWAN' ? 'SWAN' : 'USD'} />}
      >
        Each day is closed into a batch, checked by a verifier that shares no code with it, and put on chain
        for providers to claim.
      </PageHead>
      {held && (
        <div className="mb-6">
          <Notice tone="bad" title="Payouts are held">
            {held}
          </Notice>
        </div>
      )}
      <div className="mb-4 flex flex-wrap items-center justify-between gap-3">
        <Segments label="Asset" value={asset} onChange={setAsset} options={SERIES_CHOICE} />
        {about && (
          <p className="flex flex-wrap items-center gap-x-2 text-sm text-soft">
            Chain {about.chain_id}, distributor <Id value={about.contract} keep={14} />
          </p>
        )}
      </div>
      <Card flush className="overflow-hidden">
        {query.isError && !query.data ? (
          <Failure error={query.error} retry={() => void query.refetch()} />
        ) : (
          <DataTable
            caption="Batches"
            columns={columns}
            rows={none ? [] : query.data?.data.settlements}
            rowKey={(row) => String(row.batch)}
            onOpen={(row) =>
              void navigate({
                to: `/operator/settlements/${row.batch}`,
                search: asset === 'USD' ? {} : { asset },
              })
            }
            empty={
              <Empty icon={Layers} title={none ? 'This market settles no such thing' : 'No batch yet'}>
                {none
                  ? 'A market settles on the chain that its settings name.'
                  : 'The first one is made after midnight UTC, once providers have earned the least that is paid out. Or pay out now, above.'}
              </Empty>
            }
          />
        )}
      </Card>
    </>
  );
}
