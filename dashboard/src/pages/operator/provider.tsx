import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { Cpu, Gauge } from 'lucide-react';
import { useState } from 'react';
import type { NodesAnswer } from '#wire/dashboard.ts';
import type { OperatorProviderAnswer, ProviderStatus, SlaCharge } from '#wire/operator.ts';
import { Badge, StateDot } from '../../parts/badge.tsx';
import { Id } from '../../parts/copy.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { ConfirmButton } from '../../parts/dialog.tsx';
import { TextArea } from '../../parts/form.tsx';
import { FormButton } from '../../parts/form-button.tsx';
import { NOTHING, plural, usd, whole } from '../../parts/format.ts';
import { Card, Facts, PageHead } from '../../parts/page.tsx';
import { Stat } from '../../parts/stat.tsx';
import { Empty, Loaded, Skeleton } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { toast } from '../../parts/toast.tsx';
import { AboutLog } from './about-log.tsx';
import { operator, useOperate, useOperatorLive } from './api.ts';
import { AppealButtons } from './appeal.tsx';
import { RUN_COLUMNS } from './benchmark-cells.tsx';
import { ProviderState, useMore } from './pieces.tsx';

type Node = NodesAnswer['nodes'][number];

/** One provider: what it is, what it has, how it was judged, and what an operator may do about it. */
export default function Provider() {
  useOperatorLive();
  const { id = '' }: { id?: string } = useParams({ strict: false });
  const query = useQuery(operator.provider(id));
  const name = query.data?.provider.name ?? '';
  return (
    <>
      <PageHead
        title={query.data ? (name === '' ? 'Unnamed' : name) : 'Provider'}
        actions={query.data && <Moves about={query.data} />}
      >
        {query.data && (
          <span className="flex flex-wrap items-center gap-x-4 gap-y-1">
            <ProviderState status={query.data.provider.status} />
            <Id value={id} keep={30} />
          </span>
        )}
      </PageHead>
      <Loaded query={query} skeleton={<Skeleton className="h-96 rounded-xl" />}>
        {(data) => <Report data={data} />}
      </Loaded>
    </>
  );
}

const MOVES: Readonly<Record<ProviderStatus, { label: string; title: string; words: string; done: string }>> =
  {
    pending: { label: 'Wait', title: '', words: '', done: '' },
    under_review: {
      label: 'Take into review',
      title: 'Take into review?',
      words: 'The provider sees that somebody looks at its request.',
      done: 'is in review',
    },
    approved: {
      label: 'Approve',
      title: 'Approve this provider?',
      words:
        'It goes on by itself once its pledge and its benchmark are there, as far as this market wants them.',
      done: 'is approved',
    },
    activating: {
      label: 'Benchmark next',
      title: 'Let the benchmark come next?',
      words: 'Its pledge counts as settled; it is active once a benchmark is passed.',
      done: 'is activating',
    },
    active: {
      label: 'Activate',
      title: 'Let it serve?',
      words: 'Requests go to its machines from now on, whatever it has not done yet.',
      done: 'is active',
    },
    suspended: {
      label: 'Drain',
      title: 'Drain this provider?',
      words:
        'Requests that run are finished and paid. New ones go to others. Its agents stay connected and are told; you may let it serve again.',
      done: 'is drained',
    },
    removed: {
      label: 'Remove',
      title: 'Remove this provider?',
      words: 'Its keys stop working for good. What it earned stays its own and is paid out.',
      done: 'is removed',
    },
  };

function Moves({ about: { provider, may_become: moves } }: { about: OperatorProviderAnswer }) {
  const operate = useOperate();
  const [reason, setReason] = useState('');
  const move = async (to: ProviderStatus): Promise<void> => {
    await operate('POST', `/providers/${provider.id}/status`, { state: to, reason });
    toast.done(`${provider.name} ${MOVES[to].done}.`);
  };
  const shown = moves.filter((to) => to !== 'activating');
  return shown.map((to) => {
    const { label, title, words } = MOVES[to];
    const danger = to === 'removed' || to === 'suspended';
    const again = provider.status === 'suspended' && to === 'active';
    return (
      <FormButton
        key={to}
        label={again ? 'Let it serve again' : label}
        title={again ? 'Let it serve again?' : title}
        kind={to === 'removed' ? 'danger' : to === 'active' || to === 'approved' ? 'primary' : 'plain'}
        confirmKind={danger ? 'danger' : 'primary'}
        onOpen={() => setReason('')}
        act={() => move(to)}
      >
        {(errorOf) => (
          <>
            <p className="text-soft">{words}</p>
            <TextArea
              label="Reason"
              hint="The provider reads it, and so does the log."
              rows={3}
              required={danger}
              value={reason}
              onChange={setReason}
              error={errorOf('reason')}
            />
          </>
        )}
      </FormButton>
    );
  });
}

const NODE_COLUMNS: readonly Column<Node>[] = [
  {
    name: 'Node',
    sort: (row) => row.name ?? row.node_id,
    show: (row) => (
      <>
        <span className="font-medium">{row.name ?? 'Unnamed'}</span>
        <p className="max-w-48 truncate font-mono text-xs text-faint">{row.node_id}</p>
      </>
    ),
  },
  {
    name: 'Now',
    sort: (row) => Number(row.online),
    show: (row) => (
      <StateDot tone={row.draining ? 'warn' : row.online ? 'good' : 'neutral'}>
        {row.draining ? 'Drains' : row.online ? 'Online' : 'Away'}
      </StateDot>
    ),
  },
  { name: 'Hardware', wide: true, show: (row) => hardware(row.hardware) },
  {
    name: 'Models',
    wide: true,
    show: (row) =>
      row.models.length === 0 ? (
        NOTHING
      ) : (
        <span className="flex flex-wrap gap-1">
          {row.models.map((each) => (
            <Badge key={each.model} tone={each.eligible ? 'good' : 'warn'}>
              {each.model.split('/').at(-1)}
            </Badge>
          ))}
        </span>
      ),
  },
  {
    name: 'In flight',
    number: true,
    sort: (row) => row.in_flight,
    show: (row) => (row.capacity === null ? whole(row.in_flight) : `${row.in_flight} of ${row.capacity}`),
  },
  { name: 'Last seen', sort: (row) => row.last_seen, show: (row) => <Time at={row.last_seen} as="ago" /> },
];

function hardware(of: Readonly<Record<string, string | number>>): string {
  const gpu = of['gpu_model'] ?? of['gpu'] ?? of['gpu_name'];
  const count = of['gpu_count'] ?? of['gpus'];
  if (gpu !== undefined) return `${count !== undefined && Number(count) > 1 ? `${count} × ` : ''}${gpu}`;
  const words = Object.entries(of)
    .slice(0, 3)
    .map(([name, value]) => `${name.replaceAll('_', ' ')} ${value}`);
  return words.length === 0 ? NOTHING : words.join(', ');
}

const CHARGE_COLUMNS: readonly Column<SlaCharge>[] = [
  { name: 'Month', sort: (row) => row.month, show: (row) => row.month },
  { name: 'Minutes', number: true, sort: (row) => row.minutes, show: (row) => whole(row.minutes) },
  { name: 'Taken', number: true, sort: (row) => Number(row.taken_usd), show: (row) => usd(row.taken_usd) },
  {
    name: 'Appeal',
    show: (row) =>
      row.appeal === null ? (
        <AppealButtons path={`/sla/charges/${row.finding}/appeal`} subject="this charge" />
      ) : (
        <Badge tone={row.appeal === 'granted' ? 'good' : 'neutral'}>
          {row.appeal === 'granted' ? 'Granted' : 'Rejected'}
        </Badge>
      ),
  },
];

function Report({ data }: { data: OperatorProviderAnswer }) {
  const operate = useOperate();
  const { provider, nodes, runs, charges } = data;
  const failed = runs.filter(({ passed }) => !passed);
  const [shown, more] = useMore(runs, 8);
  return (
    <>
      <div className="grid grid-cols-2 gap-3 xl:grid-cols-4">
        <Stat
          name="Online"
          value={`${provider.online} of ${nodes.length}`}
          hint={nodes.length === 1 ? 'node' : 'nodes'}
        />
        <Stat name="In flight" value={whole(provider.in_flight)} hint="requests now" />
        <Stat
          name="Benchmarks"
          value={runs.length === 0 ? NOTHING : `${runs.length - failed.length} of ${runs.length}`}
          hint={runs.length === 0 ? 'none yet' : 'passed, of the latest'}
        />
        <Stat
          name="Charged for service levels"
          value={usd(charges.reduce((sum, each) => sum + Number(each.taken_usd), 0))}
          hint={plural(charges.length, 'charge')}
        />
      </div>
      <div className="mt-6 grid items-start gap-6 xl:grid-cols-2">
        <Card title="What it is">
          <Facts
            rows={[
              ['State', <ProviderState key="state" status={provider.status} />],
              ['Reason', provider.reason === '' ? NOTHING : provider.reason],
              ['Since', <Time key="since" at={provider.since} />],
              ['Joined', <Time key="joined" at={provider.created_at} />],
              ['In its own words', provider.description === '' ? NOTHING : provider.description],
              ['Region', provider.region ?? 'not noted'],
              [
                'Wallet',
                provider.owner_address === null ? (
                  'not proven'
                ) : (
                  <Id key="owner" value={provider.owner_address} />
                ),
              ],
              [
                'Paid to',
                provider.beneficiary_address === null ? (
                  'its wallet'
                ) : (
                  <Id key="paid" value={provider.beneficiary_address} />
                ),
              ],
            ]}
          />
          {provider.asked && (
            <div className="mt-4 rounded-lg bg-sunken px-4 py-3">
              <p className="text-sm text-soft">
                Asked for approval <Time at={provider.asked.at} as="ago" />
              </p>
              <p className="mt-1 font-medium">{provider.asked.hardware}</p>
              <p className="text-sm">{provider.asked.contact}</p>
            </div>
          )}
        </Card>
        <AboutLog about={provider.id} />
      </div>
      <Card title="Machines" flush className="mt-6 overflow-hidden">
        <DataTable
          caption="Machines of this provider"
          columns={NODE_COLUMNS}
          rows={nodes}
          rowKey={(row) => row.node_id}
          empty={
            <Empty icon={Cpu} title="No machine was here yet">
              It appears once an agent connects with this provider’s key.
            </Empty>
          }
        />
      </Card>
      <Card
        title="Benchmarks and findings"
        hint="A failed run is a finding: it withholds requests, and may cost a part of the pledge. Granting an appeal sets it aside."
        flush
        className="mt-6 overflow-hidden"
        actions={
          nodes.length > 0 && (
            <ConfirmButton
              label="Ask now"
              title="Benchmark it now?"
              danger={false}
              act={async () => {
                const { turns } = await operate<{ turns: number }>(
                  'POST',
                  `/providers/${provider.id}/benchmark`,
                  {},
                );
                toast.done(`${plural(turns, 'turn')} come now.`);
              }}
            >
              Each of its machines is asked about each model as soon as it has room. It is not told when.
            </ConfirmButton>
          )
        }
      >
        <DataTable
          caption="Benchmark runs"
          columns={RUN_COLUMNS}
          rows={shown}
          rowKey={(row) => row.id}
          empty={
            <Empty icon={Gauge} title="No run yet">
              Machines are asked by themselves, soon after they connect.
            </Empty>
          }
        />
        {more}
      </Card>
      {charges.length > 0 && (
        <Card title="Charges for missed service levels" flush className="mt-6 overflow-hidden">
          <DataTable
            caption="Charges"
            columns={CHARGE_COLUMNS}
            rows={charges}
            rowKey={(row) => row.finding}
            empty={null}
          />
        </Card>
      )}
    </>
  );
}
