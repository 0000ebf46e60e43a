import { useQuery } from '@tanstack/react-query';
import { FileDown, Handshake, Scale, ShieldOff } from 'lucide-react';
import { useState } from 'react';
import type { SlaCharge, SlaExclusionsAnswer, SlaRunAnswer, SlaSummary } from '#wire/operator.ts';
import { Badge } from '../../parts/badge.tsx';
import { ButtonLink } from '../../parts/button.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { ConfirmButton } from '../../parts/dialog.tsx';
import { Checkbox, Segments, Select, TextArea, TextField } from '../../parts/form.tsx';
import { FormButton } from '../../parts/form-button.tsx';
import { percent, plural, usd, whole } from '../../parts/format.ts';
import { Card, PageHead } from '../../parts/page.tsx';
import { SlaEvidenceButton } from '../../parts/sla-evidence.tsx';
import { Empty, Failure } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { toast } from '../../parts/toast.tsx';
import { useUrlState } from '../../parts/url-state.ts';
import { wallMs } from '../../surroundings.ts';
import { operator, useOperate } from './api.ts';
import { AppealButtons } from './appeal.tsx';
import { ProviderLink, shortId, TextLink } from './pieces.tsx';

type Exclusion = SlaExclusionsAnswer['exclusions'][number];

/** What was agreed, how each month came out, what does not count, and what providers paid for it. */
export default function Sla() {
  const [tab, setTab] = useUrlState('tab', 'reports');
  const [run, setRun] = useState<SlaRunAnswer>();
  return (
    <>
      <PageHead title="Service levels" actions={<CloseMonth onRun={setRun} />}>
        Each month is closed two days after its end: consumers get credit for what was missed, and pledges of
        providers that caused it are charged.
      </PageHead>
      {run && <RunResult run={run} />}
      <div className="mb-4">
        <Segments
          label="What"
          value={tab}
          onChange={setTab}
          options={[
            { value: 'reports', label: 'Reports' },
            { value: 'exclusions', label: 'Exclusions' },
            { value: 'charges', label: 'Charges and appeals' },
          ]}
        />
      </div>
      {tab === 'exclusions' ? <Exclusions /> : tab === 'charges' ? <Charges /> : <Reports />}
    </>
  );
}

/** `2026-10` for a month that many before this one (UTC). */
function monthBefore(count: number): string {
  const now = new Date(wallMs());
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - count, 1)).toISOString().slice(0, 7);
}

function CloseMonth({ onRun }: { onRun: (run: SlaRunAnswer) => void }) {
  const operate = useOperate();
  const [month, setMonth] = useState(() => monthBefore(1));
  const [dry, setDry] = useState(true);
  return (
    <FormButton
      label="Close a month"
      title="Close a month"
      confirm={dry ? 'Show what it would come to' : 'Close it'}
      size="md"
      onOpen={() => {
        setMonth(monthBefore(1));
        setDry(true);
      }}
      act={async () => {
        const answer = await operate<SlaRunAnswer>('POST', '/sla/runs', { month, dry_run: dry });
        onRun(answer);
        if (!dry) toast.done(`${plural(answer.made, 'report')} made for ${month}.`);
      }}
    >
      {(errorOf) => (
        <>
          <p className="text-soft">
            A market does this by itself. A report that was made stays; closing again makes only those that
            are missing.
          </p>
          <TextField
            label="Month"
            type="month"
            required
            value={month}
            onChange={setMonth}
            error={errorOf('month')}
          />
          <Checkbox
            label="Only show what it would come to: nothing is booked"
            checked={dry}
            onChange={setDry}
          />
        </>
      )}
    </FormButton>
  );
}

function RunResult({ run }: { run: SlaRunAnswer }) {
  const credit = run.reports.reduce((sum, each) => sum + Number(each.credit_usd), 0);
  return (
    <Card
      title={run.dry_run ? `What ${run.month} would come to` : `${run.month} is closed`}
      hint={run.dry_run ? 'Nothing was booked' : `${plural(run.made, 'report')} made now`}
      flush
      className="mb-6 overflow-hidden"
    >
      <DataTable
        caption={`Reports of ${run.month}`}
        columns={COLUMNS}
        rows={run.reports}
        rowKey={(row) => row.consumer}
        empty={<p className="px-5 pb-5 text-soft">Nobody had an agreement that month.</p>}
      />
      {run.reports.length > 0 && (
        <p className="figures border-t border-line px-5 py-3 text-right font-medium">
          {usd(credit)} in credits
        </p>
      )}
      {run.failed.length > 0 && (
        <p role="alert" className="border-t border-line px-5 py-3 text-bad">
          Not closed: {run.failed.join(', ')}. It is tried again by itself.
        </p>
      )}
    </Card>
  );
}

const COLUMNS: readonly Column<SlaSummary>[] = [
  {
    name: 'Consumer',
    sort: (row) => row.consumer,
    show: (row) => <TextLink to={`/operator/consumers/${row.consumer}`}>{shortId(row.consumer)}</TextLink>,
  },
  { name: 'Month', sort: (row) => row.month, show: (row) => row.month },
  {
    name: 'Up',
    number: true,
    sort: (row) => row.uptime_ppm,
    show: (row) => percent(row.uptime_ppm / 1_000_000, 3),
  },
  {
    name: 'Minutes missed',
    number: true,
    wide: true,
    sort: (row) => row.unavailable_minutes,
    show: (row) => whole(row.unavailable_minutes),
  },
  {
    name: 'Not counted',
    number: true,
    wide: true,
    sort: (row) => row.excluded_minutes,
    show: (row) => whole(row.excluded_minutes),
  },
  {
    name: 'Fee',
    number: true,
    wide: true,
    sort: (row) => Number(row.fee_usd),
    show: (row) => usd(row.fee_usd),
  },
  { name: 'Credit', number: true, sort: (row) => Number(row.credit_usd), show: (row) => usd(row.credit_usd) },
  {
    name: 'Report',
    hideName: true,
    show: (row) => (
      <span className="flex justify-end gap-2">
        <ButtonLink
          href={`/api/v1/operator/sla/reports/${row.consumer}/${row.month}.pdf`}
          size="sm"
          kind="quiet"
          icon={FileDown}
        >
          PDF
        </ButtonLink>
      </span>
    ),
  },
];

function Reports() {
  const query = useQuery(operator.slaReports(''));
  return (
    <Card flush className="overflow-hidden">
      {query.isError && !query.data ? (
        <Failure error={query.error} retry={() => void query.refetch()} />
      ) : (
        <DataTable
          caption="Service level reports"
          columns={COLUMNS}
          rows={query.data?.reports}
          rowKey={(row) => `${row.consumer} ${row.month}`}
          empty={
            <Empty icon={Handshake} title="No month is closed yet">
              Consumers with the plan Pro or Business have an agreement. Close a month to see how it came out,
              or wait until two days after its end.
            </Empty>
          }
        />
      )}
    </Card>
  );
}

const KINDS = {
  'customer-network': 'The consumer’s network',
  'over-quota': 'Over its quota',
  'force-majeure': 'Force majeure',
  'above-tier-limits': 'Above the limits of its tier',
  misuse: 'Misuse',
} as const;

const EXCLUSIONS: readonly Column<Exclusion>[] = [
  {
    name: 'Why',
    sort: (row) => row.kind,
    show: (row) => (
      <>
        <span className="font-medium">{KINDS[row.kind as keyof typeof KINDS] ?? row.kind}</span>
        <p className="max-w-72 truncate text-sm text-faint">{row.evidence}</p>
      </>
    ),
  },
  {
    name: 'For',
    sort: (row) => row.consumer,
    show: (row) =>
      row.consumer === '' ? (
        'everybody'
      ) : (
        <TextLink to={`/operator/consumers/${row.consumer}`}>{shortId(row.consumer)}</TextLink>
      ),
  },
  { name: 'From', sort: (row) => row.from, show: (row) => <Time at={row.from} /> },
  { name: 'Until', sort: (row) => row.until, show: (row) => <Time at={row.until} /> },
  {
    name: 'Entered',
    wide: true,
    sort: (row) => row.entered_at,
    show: (row) => <Time at={row.entered_at} as="ago" />,
  },
  { name: 'Withdraw', hideName: true, show: (row) => <Withdraw exclusion={row} /> },
];

function Withdraw({ exclusion }: { exclusion: Exclusion }) {
  const operate = useOperate();
  return (
    <span className="flex justify-end">
      <ConfirmButton
        label="Withdraw"
        title="Withdraw this exclusion?"
        act={async () => {
          await operate('DELETE', `/sla/exclusions/${exclusion.id}`);
          toast.done('Those minutes count again.');
        }}
      >
        Its minutes count again in months that are not closed.
      </ConfirmButton>
    </span>
  );
}

function Exclusions() {
  const [month, setMonth] = useUrlState('month', monthBefore(0));
  const query = useQuery(operator.slaExclusions(month));
  return (
    <Card
      title="What does not count"
      hint="With its evidence, for whoever asks"
      flush
      className="overflow-hidden"
      actions={
        <>
          <div className="w-44">
            <TextField label="Month" hideLabel type="month" value={month} onChange={setMonth} />
          </div>
          <Exclude />
        </>
      }
    >
      {query.isError && !query.data ? (
        <Failure error={query.error} retry={() => void query.refetch()} />
      ) : (
        <DataTable
          caption="Exclusions"
          columns={EXCLUSIONS}
          rows={query.data?.exclusions}
          rowKey={(row) => row.id}
          empty={
            <Empty icon={ShieldOff} title="Everything counts">
              Maintenance that was announced in time is left out by itself. What else must not count is
              entered here.
            </Empty>
          }
        />
      )}
    </Card>
  );
}

function Exclude() {
  const operate = useOperate();
  const [kind, setKind] = useState<keyof typeof KINDS>('force-majeure');
  const [consumer, setConsumer] = useState('');
  const [from, setFrom] = useState('');
  const [until, setUntil] = useState('');
  const [evidence, setEvidence] = useState('');
  return (
    <FormButton
      label="Exclude"
      title="Minutes that do not count"
      onOpen={() => {
        setConsumer('');
        setFrom('');
        setUntil('');
        setEvidence('');
      }}
      act={async () => {
        await operate('POST', '/sla/exclusions', {
          kind,
          consumer: consumer.trim(),
          from: new Date(from).toISOString(),
          until: new Date(until).toISOString(),
          evidence,
        });
        toast.done('Those minutes do not count.');
      }}
    >
      {(errorOf) => (
        <>
          <Select
            label="Why"
            value={kind}
            onChange={setKind}
            options={Object.entries(KINDS).map(([value, label]) => ({
              value: value as keyof typeof KINDS,
              label,
            }))}
          />
          <TextField
            label="Consumer"
            placeholder="cons_…"
            hint="Empty: everybody."
            value={consumer}
            onChange={setConsumer}
            error={errorOf('consumer')}
          />
          <div className="grid gap-4 sm:grid-cols-2">
            <TextField
              label="From"
              type="datetime-local"
              required
              value={from}
              onChange={setFrom}
              error={errorOf('from')}
            />
            <TextField
              label="Until"
              type="datetime-local"
              required
              value={until}
              onChange={setUntil}
              error={errorOf('until')}
            />
          </div>
          <TextArea
            label="Evidence"
            hint="Shown to the consumer in its report."
            required
            rows={3}
            value={evidence}
            onChange={setEvidence}
            error={errorOf('evidence')}
          />
        </>
      )}
    </FormButton>
  );
}

const CHARGES: readonly Column<SlaCharge>[] = [
  { name: 'Provider', sort: (row) => row.provider, show: (row) => <ProviderLink id={row.provider} /> },
  { name: 'Month', sort: (row) => row.month, show: (row) => row.month },
  { name: 'Minutes', number: true, sort: (row) => row.minutes, show: (row) => whole(row.minutes) },
  {
    name: 'Its share',
    number: true,
    wide: true,
    sort: (row) => Number(row.share_usd),
    show: (row) => usd(row.share_usd),
  },
  { name: 'Taken', number: true, sort: (row) => Number(row.taken_usd), show: (row) => usd(row.taken_usd) },
  {
    name: 'Evidence',
    hideName: true,
    show: (row) => (
      <SlaEvidenceButton of={row.finding} month={row.month} asked={operator.slaEvidence(row.finding)} />
    ),
  },
  {
    name: 'The provider says',
    show: (row) =>
      row.appeal_asked === null ? (
        <span className="text-faint">no appeal</span>
      ) : (
        <span className="block max-w-72 min-w-40 text-sm wrap-anywhere">“{row.appeal_asked}”</span>
      ),
  },
  {
    name: 'Appeal',
    sort: (row) => Number(row.appeal === null) + Number(row.appeal === null && row.appeal_asked !== null),
    show: (row) =>
      row.appeal === null ? (
        <AppealButtons path={`/sla/charges/${row.finding}/appeal`} subject="this charge" />
      ) : (
        <span title={row.appeal_reason ?? ''}>
          <Badge tone={row.appeal === 'granted' ? 'good' : 'neutral'}>
            {row.appeal === 'granted' ? 'Granted' : 'Rejected'}
          </Badge>
        </span>
      ),
  },
];

function Charges() {
  const query = useQuery(operator.slaCharges());
  return (
    <Card flush className="overflow-hidden">
      {query.isError && !query.data ? (
        <Failure error={query.error} retry={() => void query.refetch()} />
      ) : (
        <DataTable
          caption="Charges of providers"
          columns={CHARGES}
          rows={query.data?.charges}
          rowKey={(row) => row.finding}
          empty={
            <Empty icon={Scale} title="No provider was charged">
              When a credit is owed for what a provider caused, its pledge pays a part, and it may appeal.
            </Empty>
          }
        />
      )}
    </Card>
  );
}
