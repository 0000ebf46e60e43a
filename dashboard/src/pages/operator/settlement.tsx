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
import { NOTHING, plural, usd, whole } from '../../parts/format.ts';
import { Card, PageHead } from '../../parts/page.tsx';
import { Stat } from '../../parts/stat.tsx';
import { Loaded, Skeleton } from '../../parts/states.tsx';
import { bookDay, Time } from '../../parts/time.tsx';
import { TOKENS, tokenShort } from '../../parts/tokens.ts';
import { useUrlState } from '../../parts/url-state.ts';
import { operator, useOperatorLive } from './api.ts';
import { Notice, ProviderLink } from './pieces.tsx';
import { BATCH_STATES } from './settlements.tsx';

type Payout = BatchAnswer['payouts'][number];
type Step = BatchAnswer['steps'][number];

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

const STEPS: Readonly<Record<Step['step'], string>> = {
  cut: 'Cut',
  batch: 'Batch made',
  published: 'Claims published',
  verified: 'Verified',
  funded: 'Contract funded',
  submitted: 'Sent to the chain',
  confirmed: 'Confirmed',
  'in-force': 'In force',
  collected: 'Collected',
};

const WORTH: Column<Payout> = {
  name: 'Worth',
  number: true,
  sort: (row) => Number(row.paid_usd),
  show: (row) => (row.paid_usd === null ? NOTHING : usd(row.paid_usd)),
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
      show: (row) => tokenShort(row.units, decimals),
    },
    ...(token === TOKENS['SWAN'] ? [] : [WORTH]),
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
        <Stat name="This batch pays" value={tokenShort(batch.increase, batch.decimals)} hint={token} />
        <Stat name="Promised in all" value={tokenShort(batch.total, batch.decimals)} hint={token} />
        <Stat
          name="Collected of it"
          value={tokenShort(batch.collected.units, batch.decimals)}
          hint={`${batch.collected.accounts} of ${plural(batch.collected.of, 'account')} took all of theirs`}
        />
        <Stat
          name="Paid to"
          value={plural(batch.payouts.length, 'provider')}
          hint={`${plural(accounts, 'account')} in the tree`}
        />
      </div>
      <div className="mt-6 grid items-start gap-6 xl:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
        <Card title="Step by step">
          <ol>
            {batch.steps.map(({ step, done, at, detail, transactions }, place) => (
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
                      {STEPS[step]}
                    </span>
                    {at !== null && (
                      <span className="text-sm text-faint">
                        <Time at={at} />
                      </span>
                    )}
                  </p>
                  {detail !== '' && <p className="text-sm text-soft wrap-anywhere">{detail}</p>}
                  {transactions.map((each) => (
                    <TransactionLine key={each.hash} transaction={each} chainId={batch.chain_id} />
                  ))}
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

const OUTCOMES = {
  done: 'in block',
  reverted: 'refused in block',
  displaced: 'displaced by another in block',
};

/** A transaction by its hash, which leads to the explorer of its chain where that is known. */
function TransactionLine({
  transaction: { hash, block, outcome, signed_at: signedAt },
  chainId,
}: {
  transaction: Step['transactions'][number];
  chainId: number;
}) {
  const explorer = EXPLORERS[chainId];
  return (
    <p className="mt-1 flex flex-wrap items-baseline gap-x-3 text-sm text-soft">
      <Id value={hash} keep={18} />
      <span>
        {outcome === null || block === null
          ? 'in no block yet'
          : `${OUTCOMES[outcome]} ${whole(Number(block))}`}
        , signed <Time at={signedAt} />
      </span>
      {explorer !== undefined && (
        <a
          className="text-accent hover:underline"
          href={`${explorer}/tx/${hash}`}
          rel="noreferrer"
          target="_blank"
        >
          Explorer
        </a>
      )}
    </p>
  );
}

const EXPLORERS: Readonly<Record<number, string>> = {
  1: 'https://etherscan.io',
  254: 'https://swanscan.io',
};
