import { useQuery } from '@tanstack/react-query';
import { BadgeCheck, Download, Landmark, Wallet } from 'lucide-react';
import { useState } from 'react';
import type { PayoutsAnswer } from '#wire/dashboard.ts';
import { Badge, type Tone } from '../../parts/badge.tsx';
import { Button, ButtonLink } from '../../parts/button.tsx';
import { CopyButton, Id } from '../../parts/copy.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { NOTHING, plural, usd, usdExact } from '../../parts/format.ts';
import { Note } from '../../parts/note.tsx';
import { Card, Facts, PageHead } from '../../parts/page.tsx';
import { Stat } from '../../parts/stat.tsx';
import { Empty, Loaded, Skeleton } from '../../parts/states.tsx';
import { bookDay, Time } from '../../parts/time.tsx';
import { provider } from './api.ts';
import { tokenAmount } from './figures.ts';
import { useProviderLive } from './live.ts';
import { Claim } from './wallet/claim.tsx';
import { chainName } from './wallet/connect.tsx';
import { ProveWallet } from './wallet/prove.tsx';

type Payout = PayoutsAnswer['payouts'][number];

/** What was paid, what waits to be collected, and where to. */
export default function Payouts() {
  useProviderLive();
  const query = useQuery(provider.payouts());
  return (
    <>
      <PageHead title="Payouts">
        Each day is settled on chain after midnight UTC. What a batch promises you is yours to collect,
        whenever you like, from a contract that pays nobody else.
      </PageHead>
      <Loaded query={query} skeleton={<Skeleton className="h-96" />}>
        {(found) => <Content found={found} />}
      </Loaded>
    </>
  );
}

function Content({ found }: { found: PayoutsAnswer }) {
  const { decimals, promised, claimed, payouts } = found;
  const owed = promised !== null && claimed !== null ? BigInt(promised) - BigInt(claimed) : undefined;
  if (decimals === null && promised === null && payouts.length === 0) {
    return (
      <div className="space-y-6">
        <WalletCard />
        <Card>
          <Empty icon={Landmark} title="Nothing was settled yet">
            The first batch follows the first day on which you earned enough to be paid. What you earned until
            then stays yours.
          </Empty>
        </Card>
      </div>
    );
  }
  const show = (units: string | bigint): string => tokenAmount(units, decimals ?? 6);
  return (
    <div className="space-y-6">
      <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
        <Stat
          name="To be collected"
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
          name="Collected"
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
            <Claim claim={found.claim} decimals={decimals ?? 6} />
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
      {found.claim && <Proof claim={found.claim} show={show} />}
      <Card title="Batches" flush className="overflow-hidden">
        <DataTable
          caption="Batches that paid you"
          columns={COLUMNS}
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

const STATES: Readonly<Record<Payout['state'], { tone: Tone; words: string }>> = {
  pending: { tone: 'neutral', words: 'Being made' },
  submitted: { tone: 'accent', words: 'Sent to the chain' },
  confirmed: { tone: 'good', words: 'On chain' },
  revoked: { tone: 'bad', words: 'Revoked' },
};

const COLUMNS: readonly Column<Payout & { amount: string }>[] = [
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
  {
    name: 'Worth',
    number: true,
    sort: (row) => Number(row.paid_usd),
    show: (row) => <span title={usdExact(row.paid_usd)}>{usd(row.paid_usd)}</span>,
  },
];

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
  show,
}: {
  claim: NonNullable<PayoutsAnswer['claim']>;
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
          <ButtonLink size="sm" icon={Download} href={`/api/v1/settlements/${claim.batch}/claims`}>
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
