import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { Check, Download, ShieldCheck, ShieldX } from 'lucide-react';
import { useMemo } from 'react';
import type { BatchAnswer } from '#wire/dashboard.ts';
import { StateDot } from '../../parts/badge.tsx';
import { ButtonLink } from '../../parts/button.tsx';
import { cx } from '../../parts/class-names.ts';
import { Id } from '../../parts/copy.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { plural, usd } from '../../parts/format.ts';
import { Card, PageHead } from '../../parts/page.tsx';
import { Stat } from '../../parts/stat.tsx';
import { Loaded, Skeleton } from '../../parts/states.tsx';
import { bookDay, Time } from '../../parts/time.tsx';
import { TOKENS } from '../../parts/tokens.ts';
import { useUrlState } from '../../parts/url-state.ts';
import { operator, useOperatorLive } from './api.ts';
import { Notice, ProviderLink, units } from './pieces.tsx';
import { BATCH_STATES } from './settlements.tsx';

type Payout = BatchAnswer['payouts'][number];

/** One batch: each step that it took, what the verifier says, and whom it pays. */
export default function Settlement() {
  useOperatorLive();
  const { batch = '' }: { batch?: string } = useParams({ strict: false });
  const [asset] = useUrlState('asset', 'USD');
  const query = useQuery(operator.settlement(batch, asset));
  const suffix = asset === 'USD' ? '' : `?asset=${asset}`;
  return (
    <>
      <PageHead
        title={`Batch ${batch}`}
        actions={
          <>
            <ButtonLink to="/operator/settlements" size="sm" kind="quiet">
              All batches
            </ButtonLink>
            <ButtonLink href={`/api/v1/settlements/${batch}/claims${suffix}`} size="sm" icon={Download}>
              Claims file
            </ButtonLink>
          </>
        }
      >
        {query.data && (
          <span className="flex flex-wrap items-center gap-x-4">
            <StateDot tone={BATCH_STATES[query.data.state].tone}>
              {BATCH_STATES[query.data.state].words}
            </StateDot>
            <span>Everything up to {bookDay(query.data.day)} (UTC)</span>
          </span>
        )}
      </PageHead>
      <Loaded query={query} skeleton={<Skeleton className="h-96 rounded-xl" />}>
        {(data) => <Report batch={data} token={TOKENS[asset] ?? asset} />}
      </Loaded>
    </>
  );
}

const STEPS: Readonly<Record<string, string>> = {
  cut: 'Cut',
  batch: 'Batch made',
  published: 'Claims published',
  verified: 'Verified',
  submitted: 'Sent to the chain',
  confirmed: 'Confirmed',
};

function columnsFor(token: string, decimals: number): Column<Payout>[] {
  return [
    {
      name: 'Provider',
      sort: (row) => row.name,
      show: (row) => <ProviderLink id={row.provider} name={row.name} />,
    },
    { name: 'Account', wide: true, show: (row) => <Id value={row.account} keep={18} /> },
    {
      name: `Pays, ${token}`,
      number: true,
      sort: (row) => Number(row.units),
      show: (row) => units(row.units, decimals),
    },
    { name: 'Worth', number: true, sort: (row) => Number(row.paid_usd), show: (row) => usd(row.paid_usd) },
  ];
}

function Report({ batch, token }: { batch: BatchAnswer; token: string }) {
  const columns = useMemo(() => columnsFor(token, batch.decimals), [token, batch.decimals]);
  const current = batch.steps.findIndex(({ done }) => !done);
  const { ok, accounts, findings } = batch.verifier;
  return (
    <>
      {batch.held_by !== null && (
        <div className="mb-6">
          <Notice tone="bad" title="Payouts are held">
            {batch.held_by}
          </Notice>
        </div>
      )}
      <div className="grid grid-cols-2 gap-3 xl:grid-cols-4">
        <Stat name="This batch pays" value={units(batch.increase, batch.decimals)} hint={token} />
        <Stat name="Promised in all" value={units(batch.total, batch.decimals)} hint={token} />
        <Stat name="Accounts" value={String(accounts)} hint="in the tree" />
        <Stat name="Paid to" value={plural(batch.payouts.length, 'provider')} hint="by this batch" />
      </div>
      <div className="mt-6 grid items-start gap-6 xl:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
        <Card title="Step by step">
          <ol>
            {batch.steps.map(({ step, done, at, detail }, place) => (
              <li key={step} className="grid grid-cols-[1.5rem_minmax(0,1fr)] gap-x-4">
                <span className="flex flex-col items-center">
                  <span
                    className={cx(
                      'inline-flex size-6 shrink-0 items-center justify-center rounded-full border',
                      done
                        ? 'border-transparent bg-good-wash text-good'
                        : place === current
                          ? 'border-accent text-accent'
                          : 'border-line-strong text-faint',
                    )}
                  >
                    {done ? (
                      <Check size={14} aria-label="done" />
                    ) : (
                      <span className="figures text-xs">{place + 1}</span>
                    )}
                  </span>
                  {place < batch.steps.length - 1 && <span className="my-1 w-px flex-1 bg-line" />}
                </span>
                <div className="min-w-0 pb-4">
                  <p className="flex flex-wrap items-baseline justify-between gap-x-4">
                    <span className={cx('font-medium', !done && place !== current && 'text-faint')}>
                      {STEPS[step] ?? step}
                    </span>
                    {at !== null && (
                      <span className="text-sm text-faint">
                        <Time at={at} />
                      </span>
                    )}
                  </p>
                  {detail !== '' && <p className="text-sm text-soft wrap-anywhere">{detail}</p>}
                </div>
              </li>
            ))}
          </ol>
        </Card>
        <Card title="Verifier">
          <div className="flex items-start gap-3">
            <span
              className={cx(
                'inline-flex size-10 shrink-0 items-center justify-center rounded-xl',
                ok ? 'bg-good-wash text-good' : 'bg-bad-wash text-bad',
              )}
            >
              {ok ? <ShieldCheck size={20} aria-hidden /> : <ShieldX size={20} aria-hidden />}
            </span>
            <div className="min-w-0">
              <p className="font-semibold">{ok ? 'It agrees' : 'It does not agree'}</p>
              <p className="text-soft">
                {ok
                  ? `The tree was built again from the published file: ${plural(accounts, 'account')}, the same root.`
                  : 'Nothing of this batch may be sent.'}
              </p>
              {findings.length > 0 && (
                <ul className="mt-2 list-disc pl-5 text-sm text-bad">
                  {findings.map((finding) => (
                    <li key={finding}>{finding}</li>
                  ))}
                </ul>
              )}
            </div>
          </div>
          <div className="mt-4 rounded-lg bg-sunken px-4 py-3">
            <p className="text-sm text-soft">Root on chain</p>
            <Id value={batch.root} keep={34} />
            <p className="mt-2 text-sm text-soft">Anybody checks it with the file alone:</p>
            <code className="font-mono text-sm wrap-anywhere">npx cygnet verify</code>
          </div>
        </Card>
      </div>
      <Card title="Payouts" flush className="mt-6 overflow-hidden">
        <DataTable
          caption="Payouts of this batch"
          columns={columns}
          rows={batch.payouts}
          rowKey={(row) => `${row.provider} ${row.account}`}
          empty={<p className="px-5 pb-5 text-soft">This batch pays nobody.</p>}
        />
      </Card>
    </>
  );
}
