import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { ArrowLeft, Download, ExternalLink } from 'lucide-react';
import { useState } from 'react';
import type { SlaReportBody } from '#wire/sla.ts';
import { Badge } from '../../parts/badge.tsx';
import { Button, ButtonLink } from '../../parts/button.tsx';
import { duration, plural, usd, usdExact, whole } from '../../parts/format.ts';
import { Card, Facts, PageHead } from '../../parts/page.tsx';
import { Stat } from '../../parts/stat.tsx';
import { Loaded, Skeleton } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { account, files } from './api.ts';
import { basisPoints, monthName, ppm, worded } from './words.ts';

/** A month's report: what was measured, what was excluded and why, and the credit. */
export default function Report() {
  const { month = '' } = useParams({ strict: false });
  const query = useQuery(account.slaReport(month));
  return (
    <>
      <Link
        to="/account/sla"
        className="mb-3 inline-flex items-center gap-1.5 rounded text-sm text-soft hover:text-ink"
      >
        <ArrowLeft size={14} aria-hidden /> Service level
      </Link>
      <PageHead
        title={
          <span className="flex flex-wrap items-center gap-3">
            {/^\d{4}-(0[1-9]|1[0-2])$/.test(month) ? monthName(month) : month}
            {query.data && (
              <Badge tone={query.data.state === 'final' ? 'good' : 'accent'}>
                {query.data.state === 'final' ? 'Final' : 'Estimate'}
              </Badge>
            )}
          </span>
        }
        tab="Service level report"
        actions={
          <>
            <ButtonLink href={files.slaReport(month, 'html')} icon={ExternalLink}>
              As a page
            </ButtonLink>
            <ButtonLink href={files.slaReport(month, 'pdf')} icon={Download} kind="primary">
              PDF
            </ButtonLink>
          </>
        }
      >
        {query.data && (
          <>
            From <Time at={query.data.from} /> to <Time at={query.data.until} />
          </>
        )}
      </PageHead>
      <Loaded query={query} skeleton={<Skeleton className="h-128 rounded-xl" />}>
        {(report) => <Told report={report} />}
      </Loaded>
    </>
  );
}

function Told({ report }: { report: SlaReportBody }) {
  const { terms } = report;
  return (
    <div className="space-y-4">
      <div className="grid grid-cols-2 gap-4 xl:grid-cols-4">
        <Stat
          name="Available"
          value={ppm(report.uptime_ppm)}
          hint={`${ppm(terms.availability_ppm)} was promised`}
        />
        <Stat
          name="Unavailable"
          value={plural(report.unavailable_minutes, 'minute')}
          hint={`of ${whole(report.minutes - report.excluded_minutes)} that count`}
        />
        <Stat
          name="Slow hours"
          value={whole(report.slow_hours.length)}
          hint={`First token p95 above ${duration(terms.latency_credit.ttft_p95_ms)}`}
        />
        <Stat
          name="Credit"
          value={usd(report.credit_usd)}
          hint={`${basisPoints(report.basis_points)} of ${usd(report.fee_usd)}`}
        />
      </div>
      <div className="grid gap-4 lg:grid-cols-2">
        <Card title="How the credit comes about">
          <Facts
            rows={[
              ['Paid for the month', usdExact(report.fee_usd)],
              [
                `For availability: ${basisPoints(terms.availability_credit.basis_points)} for each ${basisPoints(terms.availability_credit.step_ppm / 100)} begun`,
                basisPoints(report.availability_basis_points),
              ],
              [
                `For slow hours: ${basisPoints(terms.latency_credit.basis_points)} for each ${terms.latency_credit.hours} in a row`,
                basisPoints(report.latency_basis_points),
              ],
              [`Together, at most ${basisPoints(terms.cap_basis_points)}`, basisPoints(report.basis_points)],
              ['Credit', <b key="credit">{usdExact(report.credit_usd)}</b>],
              ['Paid by the market', usdExact(report.paid_by.market_usd)],
              ['Paid from providers’ pledges', usdExact(report.paid_by.stakes_usd)],
            ]}
          />
        </Card>
        <Card title="What was measured">
          <Facts
            rows={[
              ['Minutes of the month', whole(report.minutes)],
              ['Without a request or a probe', whole(report.unmeasured_minutes)],
              ['Excluded', whole(report.excluded_minutes)],
              ['Tier', worded(report.tier)],
              ['Terms', report.terms.name],
              [report.state === 'final' ? 'Made' : 'Estimated', <Time key="made" at={report.made_at} />],
            ]}
          />
          <p className="mt-3 text-sm text-soft">
            A minute is unavailable when more than {basisPoints(terms.minute_fails_above_ppm / 100)} of your
            requests in it failed by the market’s or a provider’s fault. Where you asked nothing, probes
            decide; a minute without either counts as available.
          </p>
          <p className="mt-3 text-sm text-faint">
            Inputs <code className="font-mono wrap-anywhere">{report.inputs_digest}</code>
          </p>
        </Card>
      </div>
      <div className="grid gap-4 lg:grid-cols-2">
        <Stretches title="Unavailable" stretches={report.unavailable} none="No minute was unavailable." />
        <Stretches title="Slow hours" stretches={report.slow_hours} none="No hour was slow." />
      </div>
      <Card title="Excluded" hint="What takes unavailable minutes out, and the evidence for it.">
        {report.exclusions.length === 0 ? (
          <p className="text-soft">Nothing was excluded.</p>
        ) : (
          <ul className="divide-y divide-line">
            {report.exclusions.map((each) => (
              <li key={each.id} className="py-3 first:pt-0 last:pb-0">
                <p className="flex flex-wrap items-baseline justify-between gap-x-4 font-medium">
                  {worded(each.kind)}
                  <span className="figures text-soft">{plural(each.minutes, 'minute')}</span>
                </p>
                <p className="text-sm text-soft">
                  <Time at={each.from} /> to <Time at={each.until} />. {each.evidence}
                  {each.refused !== null && ` Refused: ${each.refused}`}
                </p>
              </li>
            ))}
          </ul>
        )}
      </Card>
      <Card title="Counted neither way" hint="Requests that say nothing about the service.">
        {report.not_counted.length === 0 ? (
          <p className="text-soft">Every request counted.</p>
        ) : (
          <Facts
            rows={report.not_counted.map((each) => [
              <span key={each.code} title={each.evidence}>
                {worded(each.code)}
              </span>,
              plural(each.requests, 'request'),
            ])}
          />
        )}
      </Card>
    </div>
  );
}

const FEW = 8;

function Stretches({
  title,
  stretches,
  none,
}: {
  title: string;
  stretches: SlaReportBody['unavailable'];
  none: string;
}) {
  const [all, showAll] = useState(false);
  const newest = stretches.toReversed();
  return (
    <Card title={title} hint={stretches.length > 0 ? 'Newest first.' : undefined}>
      {stretches.length === 0 ? (
        <p className="text-soft">{none}</p>
      ) : (
        <>
          <Facts
            rows={(all ? newest : newest.slice(0, FEW)).map(({ from, until }) => [
              <Time key="from" at={from} />,
              minutes(Date.parse(until) - Date.parse(from)),
            ])}
          />
          {!all && stretches.length > FEW && (
            <Button size="sm" kind="quiet" className="mt-2" onClick={() => showAll(true)}>
              Show all {stretches.length}
            </Button>
          )}
        </>
      )}
    </Card>
  );
}

function minutes(ms: number): string {
  const count = Math.round(ms / 60_000);
  return count < 60
    ? plural(count, 'minute')
    : `${plural(Math.floor(count / 60), 'hour')}${count % 60 > 0 ? ` ${count % 60} min` : ''}`;
}
