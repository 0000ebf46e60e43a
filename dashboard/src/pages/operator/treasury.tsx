import { useQuery } from '@tanstack/react-query';
import { Cpu, Download, Flame } from 'lucide-react';
import { useMemo, useState } from 'react';
import type { TreasuryAnswer } from '#wire/operator.ts';
import { Badge } from '../../parts/badge.tsx';
import { ButtonLink } from '../../parts/button.tsx';
import { Chart, ChartSkeleton } from '../../parts/chart.tsx';
import { Id } from '../../parts/copy.tsx';
import { type Column, CsvLink, DataTable } from '../../parts/data-table.tsx';
import { TextField } from '../../parts/form.tsx';
import { FormButton } from '../../parts/form-button.tsx';
import { NOTHING, plural, usd, usdExact, whole } from '../../parts/format.ts';
import { Card, PageHead } from '../../parts/page.tsx';
import { Stat } from '../../parts/stat.tsx';
import { Empty, Failure, Loaded } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { toast } from '../../parts/toast.tsx';
import { tokenAmount } from '../../parts/tokens.ts';
import { operator, type RevenueDay, type RevenueGpu, useOperate } from './api.ts';

type Movement = TreasuryAnswer['movements'][number];
type Burn = TreasuryAnswer['burns'][number];

/** What the market holds, what it kept, and what is burned. */
export default function Treasury() {
  const query = useQuery(operator.treasury());
  const revenue = useQuery(operator.revenue());
  const gpus = useQuery(operator.gpus());
  const limits = useQuery(operator.limits()).data;
  const data = query.data;
  if (query.isError && !data) {
    return (
      <>
        <PageHead title="Treasury" />
        <Failure error={query.error} retry={() => void query.refetch()} />
      </>
    );
  }
  return (
    <>
      <PageHead
        title="Treasury"
        actions={
          <>
            <ButtonLink href="/api/v1/operator/journal" size="sm" icon={Download}>
              Journal, CSV
            </ButtonLink>
            <NoteBurn />
          </>
        }
      >
        {limits ? (
          <>
            Of what is paid, providers get {limits.split.provider_percent} %, the treasury{' '}
            {limits.split.treasury_percent} %, and {limits.split.burn_percent} % buys SWAN to burn, after a
            fee of {limits.split.fee_percent} %.
          </>
        ) : (
          'What the market holds, what it kept, and what is burned.'
        )}
      </PageHead>
      <div className="grid grid-cols-2 gap-3 xl:grid-cols-4">
        <Stat name="Treasury" value={data && usd(data.treasury_usd)} hint="its share of what was paid" />
        <Stat
          name="Fees"
          value={data && usd(data.fees_usd)}
          hint={data && `${usd(data.plans_usd)} from plans`}
        />
        <Stat
          name="Waits to be burned"
          value={data && usd(data.burn_due_usd)}
          hint={data && `${usd(data.burned_usd)} burned`}
        />
        <Stat
          name="Given away"
          value={data && usd(data.given_away_usd)}
          hint={data && `${usd(data.sla_credits_usd)} for service levels`}
        />
      </div>
      <Card
        title="Volume"
        hint="Dollars a day, last 30 days (UTC)"
        className="mt-6"
        actions={<CsvLink href="/api/v1/operator/revenue?by=day&format=csv" />}
      >
        <Loaded query={revenue} skeleton={<ChartSkeleton />}>
          {({ days }) => <Volume days={days} />}
        </Loaded>
      </Card>
      <div className="mt-6 grid items-start gap-6 xl:grid-cols-2">
        <Card title="Movements" hint={data && `${data.from} to ${data.to}`} flush className="overflow-hidden">
          <DataTable
            caption="Movements by month"
            columns={MOVEMENTS}
            rows={data?.movements}
            rowKey={(row) => `${row.month} ${row.account} ${row.kind}`}
            empty={
              <Empty icon={Flame} title="Nothing moved">
                Each charge moves a part here.
              </Empty>
            }
          />
        </Card>
        <div className="space-y-6">
          <Card title="Burns" flush className="overflow-hidden">
            <DataTable
              caption="Burns"
              columns={BURNS}
              rows={data?.burns}
              rowKey={(row) => row.transaction}
              skeletonRows={2}
              empty={
                <Empty icon={Flame} title="Nothing was burned yet">
                  Buy SWAN with what waits, send it to the burn address, and note the transaction: the chain
                  is asked whether it is so.
                </Empty>
              }
            />
          </Card>
          <Card
            title="By hardware"
            flush
            className="overflow-hidden"
            actions={<CsvLink href="/api/v1/operator/revenue?by=gpu&format=csv" />}
          >
            <DataTable
              caption="Revenue by hardware"
              columns={GPUS}
              rows={gpus.data?.gpus}
              rowKey={(row) => `${row.gpu ?? ''} ${row.gpus ?? ''}`}
              first="Paid"
              skeletonRows={4}
              empty={
                <Empty icon={Cpu} title="Nothing was served yet">
                  What each kind of GPU brought in 30 days.
                </Empty>
              }
            />
          </Card>
        </div>
      </div>
    </>
  );
}

const ACCOUNTS: Readonly<Record<string, string>> = {
  'platform:burn': 'To burn',
  'platform:treasury': 'Treasury',
  'platform:fees': 'Fees',
  'platform:fee': 'Fees',
  'platform:plans': 'Plans',
  'platform:promo': 'Given away',
  'platform:slashed': 'Slashed',
  'platform:sla': 'Service levels',
};
const MOVEMENTS: readonly Column<Movement>[] = [
  // A hyphen at which a month does not break.
  { name: 'Month', sort: (row) => row.month, show: (row) => row.month.replace('-', '\u2011') },
  {
    name: 'Account',
    sort: (row) => row.account,
    show: (row) => ACCOUNTS[row.account] ?? row.account.replace('platform:', ''),
  },
  { name: 'By', sort: (row) => row.kind, show: (row) => <Badge>{row.kind.replaceAll('-', ' ')}</Badge> },
  {
    name: 'Entries',
    number: true,
    wide: true,
    sort: (row) => row.entries,
    show: (row) => whole(row.entries),
  },
  {
    name: 'Amount',
    number: true,
    sort: (row) => Number(row.amount_usd),
    show: (row) => <span title={usdExact(row.amount_usd)}>{usd(row.amount_usd)}</span>,
  },
];
const BURNS: readonly Column<Burn>[] = [
  { name: 'When', sort: (row) => row.at, show: (row) => <Time at={row.at} as="day" /> },
  { name: 'Transaction', show: (row) => <Id value={row.transaction} keep={14} /> },
  { name: 'SWAN', number: true, sort: (row) => Number(row.units), show: (row) => tokenAmount(row.units, 18) },
  { name: 'Cost', number: true, sort: (row) => Number(row.spent_usd), show: (row) => usd(row.spent_usd) },
  {
    name: 'Checked',
    wide: true,
    show: (row) => (
      <Badge tone={row.verified ? 'good' : 'warn'}>{row.verified ? 'On chain' : 'Not checked'}</Badge>
    ),
  },
];
const GPUS: readonly Column<RevenueGpu>[] = [
  {
    name: 'GPU',
    sort: (row) => row.gpu,
    show: (row) => (
      <>
        <span className="font-medium">{row.gpu ?? 'Not told'}</span>
        <p className="text-sm text-faint">
          {plural(row.nodes, 'node')}
          {row.gpus !== undefined && `, ${plural(row.gpus, 'GPU')}`}
        </p>
      </>
    ),
  },
  {
    name: 'Requests',
    number: true,
    wide: true,
    sort: (row) => row.requests,
    show: (row) => whole(row.requests),
  },
  { name: 'Paid', number: true, sort: (row) => Number(row.revenue_usd), show: (row) => usd(row.revenue_usd) },
  {
    name: 'A GPU',
    number: true,
    sort: (row) => (row.revenue_per_gpu_usd === undefined ? null : Number(row.revenue_per_gpu_usd)),
    show: (row) => (row.revenue_per_gpu_usd === undefined ? NOTHING : usd(row.revenue_per_gpu_usd)),
  },
];

function Volume({ days }: { days: readonly RevenueDay[] }) {
  const chart = useMemo(() => {
    const lines = [
      { name: 'Paid', values: days.map((day) => Number(day.paid_usd)) },
      { name: 'Covered by plans', values: days.map((day) => Number(day.covered_usd)) },
      { name: 'Given', values: days.map((day) => Number(day.given_usd)) },
    ];
    return {
      times: days.map(({ day }) => Date.parse(day)),
      series: lines.filter(({ values }, place) => place === 0 || values.some((value) => value > 0)),
    };
  }, [days]);
  return <Chart label="Volume a day" {...chart} by="day" format={usd} />;
}

function NoteBurn() {
  const operate = useOperate();
  const [transaction, setTransaction] = useState('');
  const [spent, setSpent] = useState('');
  return (
    <FormButton
      label="Note a burn"
      title="Note a burn"
      confirm="Check and note"
      kind="primary"
      onOpen={() => {
        setTransaction('');
        setSpent('');
      }}
      act={async () => {
        const { new: fresh } = await operate<{ new: boolean }>('POST', '/burns', {
          tx_hash: transaction.trim(),
          ...(spent !== '' && { spent_usd: spent }),
        });
        toast.done(fresh ? 'The burn is in the books.' : 'That burn was noted before.');
      }}
    >
      {(errorOf) => (
        <>
          <p className="text-soft">The chain is asked whether SWAN was burned, and how much.</p>
          <TextField
            label="Transaction"
            placeholder="0x…"
            required
            className="font-mono"
            value={transaction}
            onChange={setTransaction}
            error={errorOf('tx_hash')}
          />
          <TextField
            label="What it cost, in dollars"
            inputMode="decimal"
            hint="Empty: all that waits to be burned."
            value={spent}
            onChange={setSpent}
            error={errorOf('spent_usd')}
          />
        </>
      )}
    </FormButton>
  );
}
