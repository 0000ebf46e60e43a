import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { FileCheck2, Timer } from 'lucide-react';
import { Badge } from '../../parts/badge.tsx';
import { ButtonLink } from '../../parts/button.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { plural, usd } from '../../parts/format.ts';
import { Card, PageHead } from '../../parts/page.tsx';
import { Empty, Loaded, Skeleton } from '../../parts/states.tsx';
import { account, files, type SlaSummary } from './api.ts';
import { monthName, ppm } from './words.ts';

/** What was promised and what came: this month so far, and every month that is closed. */
export default function ServiceLevel() {
  const query = useQuery(account.slaReports());
  return (
    <>
      <PageHead title="Service level">
        Measured from your own requests, minute by minute. When a month misses its target, the credit is
        computed and booked for you: there is nothing to claim.
      </PageHead>
      <Loaded query={query} skeleton={<Skeleton className="h-96 rounded-xl" />}>
        {({ reports, so_far }) => (
          <div className="space-y-4">
            {so_far === null ? (
              <Card>
                <Empty
                  icon={Timer}
                  title="Nothing is promised on this plan"
                  action={
                    <ButtonLink to="/account/plan" kind="primary">
                      See the plans
                    </ButtonLink>
                  }
                >
                  Every plan but Free has a service level: 99.9 % of the minutes of a month, or money back.
                </Empty>
              </Card>
            ) : (
              <SoFar now={so_far} />
            )}
            <Card title="Months" flush className="overflow-hidden">
              <DataTable
                caption="Reports by month"
                columns={COLUMNS}
                rows={reports}
                rowKey={(row) => row.month}
                empty={
                  <Empty icon={FileCheck2} title="No month is closed yet">
                    A report is made two days after the end of each month, and never changes.
                  </Empty>
                }
              />
            </Card>
          </div>
        )}
      </Loaded>
    </>
  );
}

function SoFar({ now }: { now: SlaSummary }) {
  const missed = Number(now.credit_usd) > 0;
  return (
    <Card
      title={`${monthName(now.month)} so far`}
      hint="An estimate: it becomes final two days after the month."
      actions={
        <ButtonLink to={`/account/sla/${now.month}`} size="sm">
          See the report
        </ButtonLink>
      }
    >
      <div className="grid grid-cols-2 gap-6 sm:grid-cols-4">
        <Figure name="Available" tone={missed ? 'text-warn' : 'text-good'} value={ppm(now.uptime_ppm)} />
        <Figure name="Unavailable" value={plural(now.unavailable_minutes, 'minute')} />
        <Figure name="Paid for the month" value={usd(now.fee_usd)} />
        <Figure
          name="Credit to come"
          tone={missed ? 'text-good' : undefined}
          value={missed ? `+${usd(now.credit_usd)}` : usd(now.credit_usd)}
        />
      </div>
    </Card>
  );
}

function Figure({ name, value, tone }: { name: string; value: string; tone?: string | undefined }) {
  return (
    <div>
      <p className="text-sm text-soft">{name}</p>
      <p className={`figures mt-0.5 text-2xl font-semibold tracking-tight ${tone ?? ''}`}>{value}</p>
    </div>
  );
}

const COLUMNS: readonly Column<SlaSummary>[] = [
  {
    name: 'Month',
    sort: (row) => row.month,
    show: (row) => (
      <Link to="/account/sla/$month" params={{ month: row.month }} className="font-medium hover:text-accent">
        {monthName(row.month)}
      </Link>
    ),
  },
  {
    name: 'Target',
    show: (row) =>
      Number(row.credit_usd) > 0 ? <Badge tone="warn">Missed</Badge> : <Badge tone="good">Kept</Badge>,
  },
  { name: 'Available', number: true, sort: (row) => row.uptime_ppm, show: (row) => ppm(row.uptime_ppm) },
  {
    name: 'Unavailable',
    number: true,
    wide: true,
    show: (row) => plural(row.unavailable_minutes, 'minute'),
  },
  { name: 'Paid', number: true, wide: true, show: (row) => usd(row.fee_usd) },
  { name: 'Credit', number: true, sort: (row) => Number(row.credit_usd), show: (row) => usd(row.credit_usd) },
  {
    name: 'Files',
    hideName: true,
    number: true,
    show: (row) => (
      <a
        href={files.slaReport(row.month, 'pdf')}
        className="rounded px-1.5 py-0.5 text-sm font-medium text-accent hover:bg-hover"
      >
        PDF<span className="sr-only"> of {monthName(row.month)}</span>
      </a>
    ),
  },
];
