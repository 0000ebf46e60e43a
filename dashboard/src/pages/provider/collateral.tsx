import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Scale, ShieldCheck } from 'lucide-react';
import { useEffect, useState } from 'react';
import type { CollateralAnswer, SlaChargesAnswer } from '#wire/provider.ts';
import { Badge, type Tone } from '../../parts/badge.tsx';
import { Button } from '../../parts/button.tsx';
import { Id } from '../../parts/copy.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { ConfirmButton } from '../../parts/dialog.tsx';
import { Problem, Segments, TextField, useForm } from '../../parts/form.tsx';
import { duration, NOTHING, plural, usd, whole } from '../../parts/format.ts';
import { Meter } from '../../parts/meter.tsx';
import { Note } from '../../parts/note.tsx';
import { Card, PageHead } from '../../parts/page.tsx';
import { SlaEvidenceButton } from '../../parts/sla-evidence.tsx';
import { Stat } from '../../parts/stat.tsx';
import { Empty, Loaded, Skeleton } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { toast } from '../../parts/toast.tsx';
import { tokenAmount } from '../../parts/tokens.ts';
import { useUrlState } from '../../parts/url-state.ts';
import { every, wallMs } from '../../surroundings.ts';
import { act, provider } from './api.ts';
import { AppealButton, Findings } from './appeal.tsx';

import { PledgeTokens, RefundTokens } from './wallet/pledge.tsx';

type Found = CollateralAnswer['data'];
type Pledge = Found['pledges'][number];
type Deposit = Found['deposits'][number];
type Charge = SlaChargesAnswer['charges'][number];

/** Decimals of what is pledged; dollars are counted in pico-dollars. */
const DECIMALS: Readonly<Record<string, number>> = { USDC: 6, USDT: 6, SWAN: 18, USD: 12 };

function amountOf(units: string | null, asset: string | null): string {
  if (units === null || asset === null) return NOTHING;
  const amount = tokenAmount(units, DECIMALS[asset] ?? 18);
  return asset === 'USD' ? `$${amount}` : `${amount} ${asset}`;
}

/** What stands behind a provider's word: pledging it, following it, getting it back, and what was taken of it. */
export default function Collateral() {
  const query = useQuery(provider.collateral());
  return (
    <>
      <PageHead title="Collateral">
        What you stand to lose when you cheat. It stays yours, and comes back seven days after you ask for it.
      </PageHead>
      <Loaded query={query} skeleton={<Skeleton className="h-96" />}>
        {(found) => <Content found={found} />}
      </Loaded>
    </>
  );
}

function Content({ found }: { found: Found }) {
  const locked = found.pledges.filter(({ locked: units }) => units !== '0');
  const waiting = found.pledges.filter(({ waiting: units }) => units !== '0');
  const slashed = found.pledges.filter(({ slashed: units }) => units !== '0');
  const list = (pledges: readonly Pledge[], part: 'locked' | 'waiting' | 'slashed'): string =>
    pledges.length === 0 ? NOTHING : pledges.map((each) => amountOf(each[part], each.asset)).join(', ');
  const soonest = waiting
    .map(({ refundable_at: at }) => at)
    .filter((at) => at !== null)
    .toSorted()[0];
  return (
    <div className="space-y-6">
      {found.enough ? null : found.required ? (
        <Note tone="warn">
          Not enough is pledged: your nodes get no requests until it is. Your machines are of the class{' '}
          {found.hardware_class}.
        </Note>
      ) : (
        <Note>
          This market does not ask for collateral now. You may pledge all the same; it counts as soon as it is
          asked for.
        </Note>
      )}
      <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
        <Stat
          name="Covered"
          value={`${whole(Math.floor(found.covered_percent))} %`}
          hint={
            <Meter
              value={found.covered_percent / 100}
              tone={found.enough ? 'good' : 'warn'}
              className="mt-1 w-24"
            />
          }
        />
        <Stat name="At work" value={list(locked, 'locked')} hint={`class ${found.hardware_class}`} />
        <Stat
          name="Asked back"
          value={list(waiting, 'waiting')}
          hint={soonest === undefined ? 'nothing waits' : <Countdown to={soonest} />}
        />
        <Stat
          name="Taken"
          value={list(slashed, 'slashed')}
          hint={slashed.length === 0 ? 'nothing, ever' : 'see below'}
        />
      </div>

      <div className="grid items-start gap-6 xl:grid-cols-2">
        <PledgeCard />
        <Card title="What you pledged">
          {found.pledges.length === 0 ? (
            <Empty icon={ShieldCheck} title="Nothing is pledged">
              Any of the assets will do, and parts of several add up.
            </Empty>
          ) : (
            <ul className="divide-y divide-line">
              {found.pledges.map((pledge) => (
                <PledgeLine key={pledge.asset} pledge={pledge} />
              ))}
            </ul>
          )}
        </Card>
      </div>

      <Card
        title="Deposits"
        hint="What you told of, and what was seen by itself"
        flush
        className="overflow-hidden"
      >
        <DataTable
          caption="Deposits"
          columns={DEPOSITS}
          rows={found.deposits}
          rowKey={(row) => row.id}
          empty={<p className="px-5 pb-5 text-soft">No deposit yet.</p>}
        />
      </Card>
      <Findings
        kind="slash"
        title="Findings"
        hint="What took from your pledge, and what became of appeals. What was taken comes back when one is granted."
      />
      <Charges />
    </div>
  );
}

const STATES: Readonly<Record<string, { tone: Tone; words: string }>> = {
  pending: { tone: 'accent', words: 'On its way' },
  confirmed: { tone: 'good', words: 'At work' },
  rejected: { tone: 'bad', words: 'Rejected' },
  refund_requested: { tone: 'warn', words: 'Asked back' },
  refunded: { tone: 'neutral', words: 'Refunded' },
  slashed: { tone: 'bad', words: 'Taken' },
};

function State({ of }: { of: string }) {
  const { tone, words } = STATES[of] ?? { tone: 'neutral' as const, words: of };
  return <Badge tone={tone}>{words}</Badge>;
}

const DEPOSITS: readonly Column<Deposit>[] = [
  { name: 'When', sort: (row) => row.created_at, show: (row) => <Time at={row.created_at} /> },
  {
    name: 'Amount',
    number: true,
    show: (row) => (row.amount === null ? 'not known yet' : amountOf(row.amount, row.asset)),
  },
  {
    name: 'State',
    sort: (row) => row.status,
    show: (row) => (
      <span className="inline-flex flex-wrap items-center gap-2">
        <State of={row.status} />
        {row.reason !== null && row.reason !== '' && <span className="text-sm text-soft">{row.reason}</span>}
      </span>
    ),
  },
  {
    name: 'By',
    wide: true,
    show: (row) =>
      row.tx_hash === null ? (
        <span className="text-soft">{row.method === 'chain' ? 'Tokens' : 'Dollars'}</span>
      ) : (
        <Id value={row.tx_hash} keep={17} />
      ),
  },
];

function PledgeLine({ pledge }: { pledge: Pledge }) {
  const queries = useQueryClient();
  const again = () => queries.invalidateQueries({ queryKey: provider.collateral().queryKey });
  const isUsd = pledge.asset === 'USD';
  return (
    <li className="space-y-2 py-3 first:pt-0 last:pb-0">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <div>
          <p className="figures text-lg font-semibold">{amountOf(pledge.locked, pledge.asset)}</p>
          <p className="figures text-sm text-soft">
            of {amountOf(pledge.deposited, pledge.asset)} deposited
            {pledge.slashed !== '0' && `, ${amountOf(pledge.slashed, pledge.asset)} taken`}
            {pledge.refunded !== '0' && `, ${amountOf(pledge.refunded, pledge.asset)} refunded`}
          </p>
        </div>
        <State of={pledge.status} />
      </div>
      {pledge.waiting !== '0' && pledge.refundable_at !== null && (
        <Note
          tone="accent"
          action={
            isUsd ? (
              <ConfirmButton
                label="Take it back"
                title="Pledge it again?"
                confirm="Pledge again"
                danger={false}
                act={async () => {
                  await act.cancelRefund();
                  await again();
                  toast.done('It is pledged again.');
                }}
              >
                What waits counts as collateral again at once. If you want it back later, the seven days begin
                anew.
              </ConfirmButton>
            ) : undefined
          }
        >
          {amountOf(pledge.waiting, pledge.asset)} asked back: <Countdown to={pledge.refundable_at} />, on{' '}
          <Time at={pledge.refundable_at} />. Until then it can still be taken.
        </Note>
      )}
      {isUsd && pledge.locked !== '0' && pledge.waiting === '0' && (
        <ConfirmButton
          label="Ask for it back"
          title="Ask for your dollars back?"
          act={async () => {
            await act.requestRefund();
            await again();
            toast.done('The seven days have begun.');
          }}
        >
          It counts as collateral no more from now on: where the market demands some, your nodes get no
          requests. After seven days the operator pays it out; until then you can change your mind.
        </ConfirmButton>
      )}
      {!isUsd && (
        <RefundTokens asset={pledge.asset} pledge={pledge} decimals={DECIMALS[pledge.asset] ?? 18} />
      )}
    </li>
  );
}

const WAYS = [
  { value: 'wallet', label: 'From a wallet' },
  { value: 'sent', label: 'Already sent' },
  { value: 'dollars', label: 'In dollars' },
] as const;

function PledgeCard() {
  const contract = useQuery(provider.contract());
  const noTokens = contract.data?.chains.length === 0;
  const [chosen, choose] = useUrlState('way', noTokens ? 'dollars' : 'wallet');
  const way = WAYS.find(({ value }) => value === chosen)?.value ?? 'wallet';
  return (
    <Card title="Pledge" actions={<Segments label="Way" value={way} options={WAYS} onChange={choose} />}>
      {way === 'dollars' ? (
        <Dollars />
      ) : (
        <Loaded query={contract} skeleton={<Skeleton className="h-40" />}>
          {({ chains }) =>
            chains.length === 0 ? (
              <p className="text-soft">This market takes no tokens. Pledge in dollars instead.</p>
            ) : way === 'wallet' ? (
              <PledgeTokens tokens={chains} />
            ) : (
              <Sent chainId={chains[0]?.chain_id} contract={chains[0]?.contract_address ?? ''} />
            )
          }
        </Loaded>
      )}
    </Card>
  );
}

function Dollars() {
  const queries = useQueryClient();
  const [amount, setAmount] = useState('20');
  const form = useForm(async () => {
    await act.tellDeposit({ amount_usd: amount });
    toast.done('Noted. It counts when the operator has seen the money.');
    await queries.invalidateQueries({ queryKey: provider.collateral().queryKey });
  });
  return (
    <form onSubmit={form.onSubmit} className="space-y-4">
      <p className="text-soft">
        Say what you will pay, then pay it as the operator tells you. It is at work as soon as the operator
        has seen it.
      </p>
      <TextField
        label="Dollars"
        inputMode="decimal"
        required
        value={amount}
        onChange={setAmount}
        error={form.errorOf('amount_usd')}
      />
      <Problem>{form.problem}</Problem>
      <Button type="submit" kind="primary" busy={form.busy}>
        I will pay {/^\d+(\.\d+)?$/.test(amount) ? usd(amount) : 'this'}
      </Button>
    </form>
  );
}

/** A deposit that was made elsewhere is told by its transaction; one that nobody tells of is found as well. */
function Sent({ chainId, contract }: { chainId: number | undefined; contract: string }) {
  const queries = useQueryClient();
  const [hash, setHash] = useState('');
  const form = useForm(async () => {
    const told = await act.tellDeposit({
      tx_hash: hash.trim(),
      ...(chainId !== undefined && { chain_id: chainId }),
    });
    if (told.status === 'rejected') throw new Error(told.reason ?? 'It is not such a deposit.');
    toast.done('Found. It counts once it is deep enough.');
    setHash('');
    await queries.invalidateQueries({ queryKey: provider.collateral().queryKey });
  });
  return (
    <form onSubmit={form.onSubmit} className="space-y-4">
      <p className="text-soft">
        Call <code className="font-mono text-sm">deposit(token, amount)</code> of the contract from your owner
        address. Tokens that are merely sent to it are lost.
      </p>
      <p className="flex flex-wrap items-center gap-2 rounded-lg border border-line bg-canvas px-3 py-2">
        <span className="text-sm text-soft">Contract</span>
        <Id value={contract} keep={42} />
      </p>
      <TextField
        label="Transaction"
        placeholder="0x…"
        required
        spellCheck={false}
        value={hash}
        onChange={setHash}
        error={form.errorOf('tx_hash')}
      />
      <Problem>{form.problem}</Problem>
      <Button type="submit" kind="primary" busy={form.busy}>
        Look for it
      </Button>
    </form>
  );
}

/** How long until an instant, to the minute. */
function Countdown({ to }: { to: string }) {
  const [now, setNow] = useState(wallMs);
  useEffect(() => every(30_000, () => setNow(wallMs())), []);
  const left = Date.parse(to) - now;
  return (
    <span className="figures whitespace-nowrap">{left <= 0 ? 'due now' : `${duration(left)} left`}</span>
  );
}

/** What service levels took of pledged dollars, on which evidence, and the way to appeal. It is no failure, and withholds nothing. */
function Charges() {
  const query = useQuery(provider.charges());
  return (
    <Card
      title="Service level charges"
      hint="Where a consumer got a credit for minutes that failed at your machines and nowhere else"
      flush
      className="overflow-hidden"
    >
      <Loaded query={query} skeleton={<Skeleton className="m-5 h-16" />}>
        {({ charges }) => (
          <DataTable
            caption="Service level charges"
            columns={CHARGES}
            rows={charges}
            rowKey={(row) => row.finding}
            empty={
              <p className="flex items-center gap-2.5 px-5 pb-5 text-soft">
                <Scale size={16} aria-hidden className="shrink-0" /> Nothing was charged. Keep it so: stay
                online, or drain before you stop.
              </p>
            }
          />
        )}
      </Loaded>
    </Card>
  );
}

const CHARGES: readonly Column<Charge>[] = [
  { name: 'Month', sort: (row) => row.month, show: (row) => row.month },
  { name: 'Made', wide: true, sort: (row) => row.at, show: (row) => <Time at={row.at} as="day" /> },
  { name: 'For', show: (row) => plural(row.minutes, 'minute') },
  { name: 'Your share', number: true, wide: true, show: (row) => usd(row.share_usd) },
  { name: 'Taken', number: true, show: (row) => <b className="font-medium">{usd(row.taken_usd)}</b> },
  {
    name: 'Evidence',
    hideName: true,
    show: (row) => (
      <SlaEvidenceButton of={row.month} month={row.month} asked={provider.evidence(row.finding)} />
    ),
  },
  {
    name: 'Appeal',
    show: (row) => <ChargeAppeal charge={row} />,
  },
];

function ChargeAppeal({ charge }: { charge: Charge }) {
  if (charge.appeal !== null) {
    return (
      <span className="space-y-1">
        <Badge tone={charge.appeal === 'granted' ? 'good' : 'bad'}>
          {charge.appeal === 'granted' ? 'Granted, and given back' : 'Rejected'}
        </Badge>
        <span className="block text-sm text-soft wrap-anywhere">{charge.appeal_reason}</span>
      </span>
    );
  }
  if (charge.appeal_asked !== null) {
    return (
      <span title={charge.appeal_asked}>
        <Badge tone="accent">Appeal asked</Badge>
      </span>
    );
  }
  if (Number(charge.taken_usd) === 0) return <span className="text-sm text-soft">nothing was taken</span>;
  if (Date.parse(charge.appeal_until) <= wallMs()) {
    return <span className="text-sm text-soft">its 30 days are over: write to the operator</span>;
  }
  return (
    <span className="inline-flex flex-wrap items-center gap-x-3 gap-y-1">
      <AppealButton
        about={charge.finding}
        found={[
          `${usd(charge.taken_usd)} were taken for ${plural(charge.minutes, 'minute')} of ${charge.month} in which every request of a consumer failed at your machines.`,
        ]}
      />
      <span className="text-sm text-soft">
        until <Time at={charge.appeal_until} as="day" />
      </span>
    </span>
  );
}
