import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { ArrowLeft, Download } from 'lucide-react';
import type { ReactNode } from 'react';
import type { DocumentBody, DocumentLine } from '#wire/documents.ts';
import { ButtonLink } from '../../parts/button.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { short, usd, usdExact, whole } from '../../parts/format.ts';
import { Card, Facts, PageHead } from '../../parts/page.tsx';
import { Loaded, Skeleton } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { account, files } from './api.ts';
import { MOVEMENTS, monthName, shortModel, worded } from './words.ts';

const TITLES: Readonly<Record<DocumentBody['document'], string>> = {
  invoice: 'Invoice',
  'credit-note': 'Credit note',
  receipt: 'Receipt',
};

/** One paper, as it was issued. */
export default function Document() {
  const { number = '' } = useParams({ strict: false });
  const query = useQuery(account.document(number));
  return (
    <>
      <Link
        to="/account/billing"
        className="mb-3 inline-flex items-center gap-1.5 rounded text-sm text-soft hover:text-ink"
      >
        <ArrowLeft size={14} aria-hidden /> Billing
      </Link>
      <PageHead
        title={query.data ? `${TITLES[query.data.document]} ${number}` : number}
        actions={
          <>
            <ButtonLink href={files.document(number, 'pdf')} icon={Download} kind="primary">
              PDF
            </ButtonLink>
            <ButtonLink href={files.document(number, 'csv')} icon={Download}>
              CSV
            </ButtonLink>
          </>
        }
      />
      <Loaded query={query} skeleton={<Skeleton className="h-128 rounded-xl" />}>
        {(body) => <Paper body={body} />}
      </Loaded>
    </>
  );
}

function Paper({ body }: { body: DocumentBody }) {
  return (
    <div className="space-y-4">
      <Card>
        <div className="flex flex-wrap items-start justify-between gap-6">
          <div>
            <p className="text-sm text-soft">Total</p>
            <p className="figures text-3xl font-semibold tracking-tight">{usd(body.total_rounded_usd)}</p>
            <p className="figures mt-1 text-sm text-faint">{usdExact(body.total_usd)} exactly</p>
          </div>
          <dl className="grid grid-cols-2 gap-x-10 gap-y-4 lg:grid-cols-4">
            <Fact name="From">
              {body.issuer.name}
              {body.issuer.address.map((line) => (
                <span key={line} className="block font-normal text-soft">
                  {line}
                </span>
              ))}
            </Fact>
            <Fact name="To">{body.customer.name}</Fact>
            <Fact name={body.document === 'receipt' ? 'Paid' : 'For'}>
              {body.document === 'receipt' ? (
                <Time at={body.deposit.received_at} as="day" />
              ) : (
                monthName(body.month)
              )}
            </Fact>
            <Fact name="Issued">
              <Time at={body.issued_at} as="day" />
            </Fact>
            {body.issuer.tax_id !== null && <Fact name="Tax number">{body.issuer.tax_id}</Fact>}
            {body.document === 'credit-note' && (
              <Fact name="Corrects">
                <Link
                  to="/account/billing/$number"
                  params={{ number: body.corrects }}
                  className="text-accent underline underline-offset-2"
                >
                  {body.corrects}
                </Link>
              </Fact>
            )}
          </dl>
        </div>
      </Card>
      {body.document === 'receipt' ? (
        <Card title="Deposit">
          <Facts
            rows={[
              ['Way', worded(body.deposit.method)],
              ['Paid', `${body.deposit.amount} ${body.deposit.asset}`],
              ['Bonus', usdExact(body.deposit.bonus_usd)],
              ['Received', <Time key="received" at={body.deposit.received_at} />],
              ['On the balance since', <Time key="booked" at={body.deposit.booked_at} />],
              ['Reference', body.deposit.id],
            ]}
          />
        </Card>
      ) : (
        <Card title="Lines" flush className="overflow-hidden">
          <DataTable
            caption="Lines"
            columns={LINE_COLUMNS}
            rows={body.lines}
            rowKey={(line) => `${line.kind} ${line.name} ${line.month}`}
            empty={<p className="px-5 pb-6 text-soft">No usage in this month.</p>}
          />
        </Card>
      )}
      {body.document === 'invoice' && (
        <Card title="The account over the month" hint="The balance was paid before, so nothing is owed.">
          <Facts
            rows={[
              ['Opening balance', usdExact(body.account.opening_usd)],
              ...body.account.movements.map(({ kind, count, amount_usd }): [ReactNode, ReactNode] => [
                `${MOVEMENTS[kind] ?? worded(kind)}${count > 1 ? `, ${whole(count)} times` : ''}`,
                usdExact(amount_usd),
              ]),
              ['This invoice', usdExact(`-${body.account.charged_usd}`)],
              ['Credit notes', usdExact(body.account.credited_usd)],
              ['Closing balance', <b key="closing">{usdExact(body.account.closing_usd)}</b>],
            ]}
          />
        </Card>
      )}
      {body.issuer.note !== null && <p className="text-sm text-soft">{body.issuer.note}</p>}
    </div>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="text-sm text-soft">{name}</dt>
      <dd className="font-medium">{children}</dd>
    </div>
  );
}

const LINE_COLUMNS: readonly Column<DocumentLine>[] = [
  {
    name: 'For',
    sort: (line) => line.name,
    show: (line) => (
      <span className="font-medium" title={line.name}>
        {line.kind === 'plan-fee' ? `Plan ${worded(line.name)}` : shortModel(line.name)}
      </span>
    ),
  },
  { name: 'Requests', number: true, show: (line) => (line.kind === 'usage' ? whole(line.count) : '') },
  { name: 'Tokens read', number: true, wide: true, show: (line) => short(line.input_tokens) },
  { name: 'Tokens written', number: true, wide: true, show: (line) => short(line.output_tokens) },
  {
    name: 'Amount',
    number: true,
    sort: (line) => Number(line.amount_usd),
    show: (line) => usdExact(line.amount_usd),
  },
];
