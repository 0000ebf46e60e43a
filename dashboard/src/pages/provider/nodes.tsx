import { useQuery } from '@tanstack/react-query';
import { Cpu } from 'lucide-react';
import { useMemo } from 'react';
import type { NodesAnswer } from '#wire/dashboard.ts';
import { Badge, StateDot, type Tone } from '../../parts/badge.tsx';
import { ButtonLink } from '../../parts/button.tsx';
import { Id } from '../../parts/copy.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { NOTHING, percent, plural, whole } from '../../parts/format.ts';
import { Meter } from '../../parts/meter.tsx';
import { Card, PageHead } from '../../parts/page.tsx';
import { Stat } from '../../parts/stat.tsx';
import { Empty, Loaded, Skeleton } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { provider } from './api.ts';
import { useProviderLive } from './live.ts';

type Node = NodesAnswer['nodes'][number];
type Session = { node_id: string; connected_at: string; ended_at: string | null; why: string | null };

/** A provider's machines: what they are, what they serve, and how it goes at this moment. */
export default function Nodes() {
  useProviderLive();
  const query = useQuery(provider.nodes());
  const health = useQuery(provider.health('7d')).data;
  const online = query.data?.nodes.filter((node) => node.online);
  const inFlight = sum(online?.map((node) => node.in_flight) ?? []);
  const capacity = sum(online?.map((node) => node.capacity ?? 0) ?? []);
  const sessions = useMemo(() => sessionColumns(query.data?.nodes ?? []), [query.data]);
  const models = new Set(online?.flatMap((node) => node.models.map(({ model }) => model)));
  return (
    <>
      <PageHead title="Nodes">
        Machines that came with one of your keys. What they say of their hardware is theirs; benchmarks check
        what it can do.
      </PageHead>
      <div className="mb-6 grid grid-cols-2 gap-3 lg:grid-cols-4">
        <Stat
          name="Online"
          value={query.data && online && `${whole(online.length)} of ${whole(query.data.nodes.length)}`}
          hint={query.data && 'of the machines that ever came'}
        />
        <Stat
          name="In flight now"
          value={query.data && whole(inFlight)}
          hint={
            query.data &&
            (capacity === 0
              ? 'no room is offered'
              : `${percent(inFlight / capacity, 0)} of ${whole(capacity)} at once`)
          }
        />
        <Stat
          name="Models offered"
          value={query.data && whole(models.size)}
          hint={query.data && 'right now'}
        />
        <Stat
          name="Uptime, 7 days"
          value={health && percent(health.uptime_7d, 1)}
          hint={health && `${percent(health.uptime_30d, 1)} in 30 days`}
        />
      </div>
      <Loaded query={query} skeleton={<Skeleton className="h-64" />}>
        {({ nodes }) =>
          nodes.length === 0 ? (
            <Card>
              <Empty
                icon={Cpu}
                title="No node yet"
                action={
                  <ButtonLink to="/provider" kind="primary">
                    Bring the first one online
                  </ButtonLink>
                }
              >
                Run the agent on the machine with the GPU: it appears here within seconds of connecting.
              </Empty>
            </Card>
          ) : (
            <div className="grid items-start gap-4 xl:grid-cols-2">
              {nodes
                .toSorted((a, b) => Number(b.online) - Number(a.online))
                .map((node) => (
                  <NodeCard key={node.node_id} node={node} />
                ))}
            </div>
          )
        }
      </Loaded>
      {health && health.sessions.length > 0 && (
        <Card
          title="Connections"
          hint="The latest, and why each ended"
          flush
          className="mt-6 overflow-hidden"
        >
          <DataTable
            caption="Connections of your nodes"
            columns={sessions}
            rows={health.sessions.slice(0, SESSIONS_SHOWN)}
            rowKey={(row) => `${row.node_id} ${row.connected_at}`}
            empty={null}
          />
        </Card>
      )}
    </>
  );
}

const SESSIONS_SHOWN = 10;

const SESSIONS: readonly Column<Session>[] = [
  { name: 'Connected', sort: (row) => row.connected_at, show: (row) => <Time at={row.connected_at} /> },
  {
    name: 'Ended',
    sort: (row) => row.ended_at,
    show: (row) =>
      row.ended_at === null ? <StateDot tone="good">Connected</StateDot> : <Time at={row.ended_at} />,
  },
  { name: 'Why', wide: true, show: (row) => <span className="text-soft">{row.why ?? NOTHING}</span> },
];

function sessionColumns(nodes: readonly Node[]): readonly Column<Session>[] {
  const names = new Map(nodes.map((node) => [node.node_id, node.name]));
  const nameOf = ({ node_id: id }: Session): string => names.get(id) ?? id;
  return [
    { name: 'Node', sort: nameOf, show: (row) => <span className="font-medium">{nameOf(row)}</span> },
    ...SESSIONS,
  ];
}

const HEALTH: Readonly<Record<Node['models'][number]['health'], { tone: Tone; words: string }>> = {
  healthy: { tone: 'good', words: 'Healthy' },
  degraded: { tone: 'warn', words: 'Impaired' },
  unhealthy: { tone: 'bad', words: 'Down' },
  unknown: { tone: 'neutral', words: 'Not known' },
};

function NodeCard({ node }: { node: Node }) {
  const hardware = hardwareOf(node.hardware);
  return (
    <section className="flex min-w-0 flex-col rounded-xl border border-line bg-surface shadow-low">
      <header className="flex items-start justify-between gap-4 px-5 pt-4">
        <div className="min-w-0">
          <h2 className="truncate text-lg font-semibold">{node.name ?? 'Unnamed node'}</h2>
          <p className="truncate text-soft">
            {hardware === '' ? 'It says nothing of its hardware' : hardware}
          </p>
        </div>
        {node.draining ? (
          <Badge tone="warn">Draining</Badge>
        ) : (
          <Badge tone={node.online ? 'good' : 'neutral'}>{node.online ? 'Online' : 'Away'}</Badge>
        )}
      </header>
      {node.online && (
        <div className="px-5 pt-3">
          <div className="figures flex justify-between text-sm text-soft">
            <span>{plural(node.in_flight, 'request')} in flight</span>
            <span>{node.capacity === null ? 'no limit stated' : `room for ${whole(node.capacity)}`}</span>
          </div>
          <Meter
            className="mt-1.5"
            value={node.capacity === null ? 0 : node.in_flight / Math.max(1, node.capacity)}
          />
        </div>
      )}
      <ul className="mt-3 flex-1 divide-y divide-line border-t border-line px-5">
        {node.models.length === 0 && (
          <li className="py-2.5 text-soft">
            {node.online
              ? 'No model of the catalogue is offered.'
              : 'Its models are shown while it is online.'}
          </li>
        )}
        {node.models.map((each) => {
          const { tone, words } = HEALTH[each.health];
          return (
            <li key={each.model} className="py-2.5">
              <div className="flex items-center justify-between gap-4">
                <span className="min-w-0 truncate font-medium">{each.model}</span>
                <span className="figures shrink-0 text-soft">
                  {whole(each.in_flight)} / {whole(each.capacity)}
                </span>
              </div>
              <div className="flex flex-wrap gap-x-4 text-sm text-soft">
                <StateDot tone={tone}>{words}</StateDot>
                {!each.eligible && <span>gets no requests</span>}
                {each.behind !== null && <span>stands behind others: {each.behind}</span>}
              </div>
            </li>
          );
        })}
      </ul>
      <footer className="flex flex-wrap items-center justify-between gap-x-4 border-t border-line px-5 py-2 text-sm text-soft">
        <Id value={node.node_id} keep={17} />
        <span>
          {node.online ? 'heard' : 'last here'} <Time at={node.last_seen} as="ago" />
        </span>
      </footer>
    </section>
  );
}

/** What agents say of their machine, in one line. */
function hardwareOf(said: Node['hardware']): string {
  const text = (name: string): string | undefined =>
    said[name] === undefined ? undefined : String(said[name]);
  const gpu = text('gpu_name') ?? text('gpu') ?? text('gpu_model') ?? text('gpuName');
  const count = Number(text('gpu_count') ?? text('gpus') ?? 1);
  const memory = text('vram_gb') ?? text('gpu_memory_gb');
  return [
    gpu === undefined ? undefined : count > 1 ? `${count} × ${gpu}` : gpu,
    memory === undefined ? undefined : `${memory} GB each`.replace(count > 1 ? '' : ' each', ''),
    text('cpu'),
    text('region'),
  ]
    .filter((each) => each !== undefined && each !== '')
    .join(' · ');
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
