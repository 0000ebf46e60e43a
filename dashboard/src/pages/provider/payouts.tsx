import { useQuery } from '@tanstack/react-query';
import { BadgeCheck, Download, Landmark, Wallet } from 'lucide-react';
import { useState } from 'react';
import type { PayoutsAnswer } from '#wire/dashboard.ts';
import { Badge, type Tone } from '../../parts/badge.tsx';
import { Button, ButtonLink } from '../../parts/button.tsx';
import { CopyButton, Id } from '../../parts/copy.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { Segments } from '../../parts/form.tsx';
import { NOTHING, plural, usd, usdExact } from '../../parts/format.ts';
import { Note } from '../../parts/note.tsx';
import { Card, Facts, PageHead } from '../../parts/page.tsx';
import { Stat } from '../../parts/stat.tsx';
import { Empty, Loaded, Skeleton } from '../../parts/states.tsx';
import { bookDay, Time } from '../../parts/time.tsx';
import { SERIES_CHOICE, TOKENS, tokenShort } from '../../parts/tokens.ts';
import { useUrlState } from '../../parts/url-state.ts';
import { provider, SERIES, type Series } from './api.ts';

import { useProviderLive } from './live.ts';
import { Claim } from './wallet/claim.tsx';
import { chainName } from './wallet/connect.tsx';
import { ProveWallet } from './wallet/prove.tsx';

type Payout = PayoutsAnswer['payouts'][number];

/** What was paid, what waits to be collected, and where to: of earnings, and of rewards. */
export default function Payouts() {
  useProviderLive();
  const [chosen, choose] = useUrlState('asset', 'USD');
  const series = SERIES.find((each) => each === chosen) ?? 'USD';
  const query = useQuery(provider.payouts(series));
  return (
    <>
      <PageHead
        title="Payouts"
        actions={<Segments label="Of" value={series} options={SERIES_CHOICE} onChange={choose} />}
      >
        Each day is settled on chain after midnight UTC. What a batch promises you is yours to collect,
        whenever you like, from a contract that pays nobody else.
      </PageHead>
      {/* A page for each series: a transaction of one says nothing of the other. */}
      <Loaded key={series} query={query} skeleton={<Skeleton className="h-96" />}>
        {(found) => <Content found={found} />}
      </Loaded>
    </>
  );
}

function Content({ found }: { found: PayoutsAnswer }) {
  const { asset, decimals, promised, claimed, payouts } = found;
  const owed = promised !== null && claimed !== null ? BigInt(promised) - BigInt(claimed) : undefined;
  if (payouts.length === 0 && found.claim === null && (promised ?? '0') === '0') {
    return (
      <div className="space-y-6">
        {asset === 'SWAN' && <ToCome />}
        <WalletCard />
        <Card>
          <Empty icon={Landmark} title="Nothing was settled yet">
            {asset === 'SWAN'
              ? 'Rewards are settled from a whole SWAN on, in the night after the day that gave them. What is less waits for the next.'
              : 'The first batch follows the first day on which you earned enough to be paid. What you earned until then stays yours.'}
          </Empty>
        </Card>
      </div>
    );
  }
  const token = TOKENS[asset];
  const show = (units: string | bigint): string => tokenShort(units, decimals ?? 6);
  return (
    <div className="space-y-6">
      <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
        <Stat
          name={`To be collected, ${token}`}
          value={owed === undefined ? NOTHING : show(owed)}
          hint={
            owed === undefined
              ? 'prove a wallet first'
              : owed === 0n
                ? 'nothing waits'
                : 'as the market last saw it'
          }
        />
        <Stat
          name={`Collected, ${token}`}
          value={claimed === null ? NOTHING : show(claimed)}
          hint="as the market last saw the chain"
        />
        <Stat
          name="Promised, in all"
          value={promised === null ? NOTHING : show(promised)}
          hint="by all batches"
        />
        <Stat
          name="Newest batch"
          value={payouts[0] ? `#${payouts[0].batch}` : NOTHING}
          hint={payouts[0] ? `of ${bookDay(payouts[0].day)}` : ''}
        />
      </div>
      {asset === 'SWAN' && <ToCome />}
      <div className="grid items-start gap-6 xl:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
        <Card
          title="Collect"
          hint={
            found.claim
              ? `On ${chainName(found.claim.chain_id)}. The transaction’s fee is yours; everything else goes to the payout address.`
              : undefined
          }
        >
          {found.claim ? (
            <Claim claim={found.claim} series={asset} decimals={decimals ?? 6} />
          ) : (
            <p className="text-soft">
              {found.payout_address === null
                ? 'Prove a payout address first: then batches can promise something to it.'
                : 'No batch that is confirmed promises anything to your payout address yet.'}
            </p>
          )}
        </Card>
        <WalletCard />
      </div>
      {found.claim && <Proof claim={found.claim} series={asset} show={show} />}
      <Card title="Batches" flush className="overflow-hidden">
        <DataTable
          caption="Batches that paid you"
          columns={COLUMNS[asset]}
          rows={payouts.map((each) => ({ ...each, amount: show(each.units) }))}
          rowKey={(row) => `${row.batch} ${row.account}`}
          empty={
            <Empty icon={Landmark} title="No batch has paid you yet">
              A day counts from a smallest amount on; what is below it waits for the next.
            </Empty>
          }
        />
      </Card>
    </div>
  );
}

/** Rewards that no batch has promised yet. */
function ToCome() {
  const rewards = useQuery(provider.rewards()).data;
  return (
    <div className="grid grid-cols-2 gap-3">
      <Stat
        name="For the next batch, SWAN"
        value={rewards && tokenShort(rewards.payable, rewards.decimals)}
        hint="from a whole SWAN on"
      />
      <Stat
        name="Vesting, SWAN"
        value={rewards && tokenShort(rewards.vesting, rewards.decimals)}
        hint="paid out on the day that each reward names"
      />
    </div>
  );
}

const STATES: Readonly<Record<Payout['state'], { tone: Tone; words: string }>> = {
  pending: { tone: 'neutral', words: 'Being made' },
  submitted: { tone: 'accent', words: 'Sent to the chain' },
  confirmed: { tone: 'good', words: 'On chain' },
  revoked: { tone: 'bad', words: 'Revoked' },
};

const FIGURES: readonly Column<Payout & { amount: string }>[] = [
  { name: 'Batch', sort: (row) => row.batch, show: (row) => <b className="font-medium">#{row.batch}</b> },
  { name: 'Day', sort: (row) => row.day, show: (row) => bookDay(row.day) },
  {
    name: 'State',
    show: (row) => <Badge tone={STATES[row.state].tone}>{STATES[row.state].words}</Badge>,
  },
  { name: 'To', wide: true, show: (row) => <Id value={row.account} keep={13} /> },
  { name: 'Made', wide: true, show: (row) => <Time at={row.made_at} /> },
  {
    name: 'Tokens',
    number: true,
    sort: (row) => Number(row.units),
    show: (row) => row.amount,
  },
];

const WORTH: Column<Payout & { amount: string }> = {
  name: 'Worth',
  number: true,
  sort: (row) => Number(row.paid_usd),
  show: ({ paid_usd: worth }) =>
    worth === null ? NOTHING : <span title={usdExact(worth)}>{usd(worth)}</span>,
};
const COLUMNS = { USD: [...FIGURES, WORTH], SWAN: FIGURES };

/** Where payouts go, and how another address takes its place. */
function WalletCard() {
  const query = useQuery(provider.wallet());
  const [changing, setChanging] = useState(false);
  return (
    <Card title="Payout address" hint="Only a wallet that has signed for it is ever paid.">
      <Loaded query={query} skeleton={<Skeleton className="h-24" />}>
        {(found) => (
          <div className="space-y-4">
            {found.payout_address === '' ? (
              <>
                <p className="flex items-center gap-2.5 text-soft">
                  <Wallet size={16} aria-hidden /> No wallet has proven itself yet.
                </p>
                <ProveWallet purpose="beneficiary" />
              </>
            ) : (
              <>
                <p className="flex flex-wrap items-center gap-2">
                  <BadgeCheck size={18} className="text-good" aria-hidden />
                  <Id value={found.payout_address} keep={25} />
                  <Badge tone="good">Proven</Badge>
                </p>
                {found.next_payout_from !== null && (
                  <Note tone="accent">
                    <Id value={found.next_payout_address} keep={13} /> takes its place{' '}
                    <Time at={found.next_payout_from} />. If that was not you, change your password and prove
                    the old one again.
                  </Note>
                )}
                {changing ? (
                  <ProveWallet purpose="beneficiary" />
                ) : (
                  <Button size="sm" onClick={() => setChanging(true)}>
                    Use another wallet
                  </Button>
                )}
              </>
            )}
          </div>
        )}
      </Loaded>
    </Card>
  );
}

/** What the contract is given, so that anybody can check or send it. */
function Proof({
  claim,
  series,
  show,
}: {
  claim: NonNullable<PayoutsAnswer['claim']>;
  series: Series;
  show: (units: string) => string;
}) {
  const text = JSON.stringify(
    { token: claim.token, account: claim.account, cumulative: claim.cumulative, proof: claim.proof },
    undefined,
    2,
  );
  return (
    <Card
      title="The proof"
      hint={`What the newest batch, #${claim.batch}, lets the contract check. Whoever sends it, it pays to your address.`}
      actions={
        <>
          <CopyButton text={text} label="Copy the proof" words="Copy" />
          <ButtonLink
            size="sm"
            icon={Download}
            href={`/api/v1/settlements/${claim.batch}/claims?asset=${series}`}
          >
            Claims file
          </ButtonLink>
        </>
      }
    >
      <div className="grid gap-x-8 lg:grid-cols-2">
        <Facts
          rows={[
            ['Contract', <Id key="contract" value={claim.contract} keep={17} />],
            ['Token', <Id key="token" value={claim.token} keep={17} />],
          ]}
        />
        <Facts
          rows={[
            ['Account', <Id key="account" value={claim.account} keep={17} />],
            ['Promised until now', show(claim.cumulative)],
          ]}
        />
      </div>
      <details className="mt-3">
        <summary className="cursor-pointer text-sm text-soft hover:text-ink">
          {plural(claim.proof.length, 'hash', 'hashes')} on the way to the root
        </summary>
        <ol className="mt-2 space-y-1 rounded-lg bg-code p-3 font-mono text-xs wrap-anywhere">
          {claim.proof.length === 0 && <li>None: yours is the only leaf.</li>}
          {claim.proof.map((hash) => (
            <li key={hash}>{hash}</li>
          ))}
        </ol>
      </details>
    </Card>
  );
}
