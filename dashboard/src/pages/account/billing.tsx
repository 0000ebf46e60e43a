import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { FileText, Plus, ReceiptText, Wallet } from 'lucide-react';
import type { MovementsAnswer } from '#wire/dashboard.ts';
import { Badge, type Tone } from '../../parts/badge.tsx';
import { Button, ButtonLink } from '../../parts/button.tsx';
import { type Column, CsvLink, DataTable } from '../../parts/data-table.tsx';
import { Segments } from '../../parts/form.tsx';
import { NOTHING, plural, usd, usdExact } from '../../parts/format.ts';
import { Card, PageHead } from '../../parts/page.tsx';
import { Stat } from '../../parts/stat.tsx';
import { Empty, Failure } from '../../parts/states.tsx';
import { bookDay, Time } from '../../parts/time.tsx';
import { useUrlState } from '../../parts/url-state.ts';
import { AddMoney } from './add-money.tsx';
import { account, type DepositBody, type DocumentSummary, files } from './api.ts';
import { MoneyNotice, useBalance, useDaysLeft } from './money.tsx';
import { MOVEMENTS, monthName, worded } from './words.ts';

const TABS = [
  { value: 'invoices', label: 'Invoices' },
  { value: 'deposits', label: 'Deposits' },
  { value: 'account', label: 'Statement' },
  { value: 'add', label: 'Add money' },
] as const;

/** The balance, what came in and went out, and the papers for it. */
export default function Billing() {
  const [wish, setTab] = useUrlState('tab', 'invoices');
  const tab = TABS.find(({ value }) => value === wish)?.value ?? 'invoices';
  const { balance } = useBalance();
  const days = useDaysLeft(balance);
  const deposits = useQuery(account.deposits()).data;
  return (
    <>
      <PageHead
        title="Billing"
        actions={
          tab !== 'add' && (
            <Button kind="primary" icon={Plus} onClick={() => setTab('add')}>
              Add money
            </Button>
          )
        }
      >
        A prepaid balance: nothing is ever charged that you did not put in.
      </PageHead>
      <MoneyNotice balance={balance} />
      <div className="grid grid-cols-2 gap-4 xl:grid-cols-4">
        <Stat
          name="Available"
          value={balance && usd(balance.available)}
          hint={
            days === undefined
              ? 'Nothing spent in 7 days'
              : days > 365
                ? 'Lasts over a year'
                : `Lasts about ${plural(Math.floor(days), 'day')}`
          }
        />
        <Stat name="On hold" value={balance && usd(balance.frozen)} hint="For requests that run now" />
        <Stat
          name="Paid in"
          value={deposits && usd(deposits.total_deposited_usd)}
          hint={
            deposits && Number(deposits.total_bonus_usd) > 0
              ? `and ${usd(deposits.total_bonus_usd)} bonus`
              : 'Since the beginning'
          }
        />
        <Stat name="Spent" value={deposits && usd(deposits.total_spent_usd)} hint="Since the beginning" />
      </div>
      <div className="mt-6 mb-4">
        <Segments label="What to see" value={tab} options={TABS} onChange={setTab} />
      </div>
      {tab === 'add' && <AddMoney />}
      {tab === 'invoices' && <Documents />}
      {tab === 'deposits' && <Deposits />}
      {tab === 'account' && <Statement />}
    </>
  );
}

const PAPERS: Readonly<Record<DocumentSummary['document'], string>> = {
  invoice: 'Invoice',
  'credit-note': 'Credit note',
  receipt: 'Receipt',
};

const DOCUMENT_COLUMNS: readonly Column<DocumentSummary>[] = [
  {
    name: 'Number',
    sort: (row) => row.number,
    show: (row) => (
      <Link
        to="/account/billing/$number"
        params={{ number: row.number }}
        className="figures font-medium hover:text-accent"
      >
        {row.number}
      </Link>
    ),
  },
  { name: 'Kind', sort: (row) => row.document, show: (row) => PAPERS[row.document] },
  {
    name: 'For',
    wide: true,
    sort: (row) => row.month,
    show: (row) =>
      row.month === null ? <span className="text-faint">A deposit</span> : monthName(row.month),
  },
  {
    name: 'Issued',
    wide: true,
    sort: (row) => row.issued_at,
    show: (row) => <Time at={row.issued_at} as="day" />,
  },
  { name: 'Total', number: true, sort: (row) => Number(row.total_usd), show: (row) => usd(row.total_usd) },
  {
    name: 'Files',
    hideName: true,
    number: true,
    show: (row) => (
      <FileLinks
        pdf={files.document(row.number, 'pdf')}
        csv={files.document(row.number, 'csv')}
        name={row.number}
      />
    ),
  },
];

function FileLinks({ pdf, csv, name }: { pdf: string; csv: string; name: string }) {
  const look = 'rounded px-1.5 py-0.5 text-sm font-medium text-accent hover:bg-hover';
  return (
    <span className="inline-flex gap-1">
      <a href={pdf} className={look}>
        PDF<span className="sr-only"> of {name}</span>
      </a>
      <a href={csv} className={look}>
        CSV<span className="sr-only"> of {name}</span>
      </a>
    </span>
  );
}

function Documents() {
  const query = useQuery(account.documents());
  return (
    <Card flush className="overflow-hidden">
      {query.isError ? (
        <Failure error={query.error} retry={() => void query.refetch()} />
      ) : (
        <DataTable
          caption="Invoices, credit notes and receipts"
          columns={DOCUMENT_COLUMNS}
          rows={query.data?.documents}
          rowKey={(row) => row.number}
          skeletonRows={4}
          empty={
            <Empty icon={FileText} title="No papers yet">
              A receipt comes with each deposit, and an invoice for each month with usage on the first days of
              the next.
            </Empty>
          }
        />
      )}
    </Card>
  );
}

const DEPOSIT_STATES: Readonly<Record<string, { tone: Tone; words: string }>> = {
  booked: { tone: 'good', words: 'On the balance' },
  small: { tone: 'warn', words: 'Less than the least' },
  unpriced: { tone: 'accent', words: 'Waits for a price' },
};
const METHODS: Readonly<Record<string, string>> = {
  card: 'Card',
  crypto: 'On chain',
  bank: 'Bank',
  paypal: 'PayPal',
};

const DEPOSIT_COLUMNS: readonly Column<DepositBody>[] = [
  {
    name: 'Received',
    sort: (row) => row.received_at,
    show: (row) => <Time at={row.received_at} />,
  },
  {
    name: 'Way',
    sort: (row) => row.method,
    show: (row) => (
      <>
        {METHODS[row.method] ?? worded(row.method)}
        {row.asset !== 'USD' && <span className="text-soft">, {row.asset}</span>}
      </>
    ),
  },
  {
    name: 'State',
    show: (row) => {
      const { tone, words } = DEPOSIT_STATES[row.status] ?? {
        tone: 'neutral' as const,
        words: worded(row.status),
      };
      return <Badge tone={tone}>{words}</Badge>;
    },
  },
  {
    name: 'Bonus',
    number: true,
    wide: true,
    show: (row) =>
      Number(row.bonus_usd) > 0 ? usd(row.bonus_usd) : <span className="text-faint">{NOTHING}</span>,
  },
  {
    name: 'Worth',
    number: true,
    sort: (row) => (row.value_usd === null ? null : Number(row.value_usd)),
    show: (row) => (row.value_usd === null ? NOTHING : usd(row.value_usd)),
  },
  {
    name: 'Receipt',
    hideName: true,
    number: true,
    show: (row) =>
      row.status === 'booked' && (
        <FileLinks pdf={files.receipt(row.id, 'pdf')} csv={files.receipt(row.id, 'csv')} name="the receipt" />
      ),
  },
];

function Deposits() {
  const query = useQuery(account.deposits());
  return (
    <Card flush className="overflow-hidden">
      {query.isError ? (
        <Failure error={query.error} retry={() => void query.refetch()} />
      ) : (
        <DataTable
          caption="Deposits"
          columns={DEPOSIT_COLUMNS}
          rows={query.data?.deposits}
          rowKey={(row) => row.id}
          skeletonRows={4}
          empty={
            <Empty
              icon={Wallet}
              title="Nothing was paid in yet"
              action={
                <ButtonLink to="/account/billing" search={{ tab: 'add' }} kind="primary">
                  Add money
                </ButtonLink>
              }
            >
              What you pay in stands here from the moment it is seen, with its receipt once it is on the
              balance.
            </Empty>
          }
        />
      )}
    </Card>
  );
}

type Movement = MovementsAnswer['movements'][number];

const MOVEMENT_COLUMNS: readonly Column<Movement>[] = [
  {
    name: 'Day',
    sort: (row) => row.at,
    show: (row) => <span className="figures">{bookDay(row.at.slice(0, 10))}</span>,
  },
  {
    name: 'What',
    sort: (row) => row.kind,
    show: (row) =>
      row.kind === 'charge' ? (
        <Link
          to="/account/usage"
          search={{ by: 'day', day: row.at.slice(0, 10) }}
          className="underline decoration-line-strong underline-offset-2 hover:text-accent"
        >
          Usage
        </Link>
      ) : (
        (MOVEMENTS[row.kind] ?? worded(row.kind))
      ),
  },
  {
    name: 'Amount',
    number: true,
    sort: (row) => Number(row.amount_usd),
    show: (row) =>
      row.amount_usd.startsWith('-') ? (
        usdExact(row.amount_usd)
      ) : (
        <span className="font-medium text-good">+{usdExact(row.amount_usd)}</span>
      ),
  },
];

function Statement() {
  const query = useQuery(account.movements());
  return (
    <Card
      flush
      className="overflow-hidden"
      title="Last 30 days"
      hint="Usage is summed up by day, in UTC. Exact to a trillionth of a dollar."
      actions={<CsvLink href={files.movements} />}
    >
      {query.isError ? (
        <Failure error={query.error} retry={() => void query.refetch()} />
      ) : (
        <DataTable
          caption="Movements of the account"
          columns={MOVEMENT_COLUMNS}
          rows={query.data?.movements}
          rowKey={(row) => row.id}
          empty={
            <Empty icon={ReceiptText} title="Nothing moved in 30 days">
              Deposits, usage, fees and credits appear here as they are booked.
            </Empty>
          }
        />
      )}
    </Card>
  );
}
