import { useQuery } from '@tanstack/react-query';
import { Gauge } from 'lucide-react';
import { useMemo, useState } from 'react';
import type { BenchmarksAnswer } from '#wire/provider.ts';
import { Badge, StateDot } from '../../parts/badge.tsx';
import { Button, ButtonLink } from '../../parts/button.tsx';
import { Chart } from '../../parts/chart.tsx';
import { Id } from '../../parts/copy.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { Select } from '../../parts/form.tsx';
import { duration, NOTHING, percent, rate, whole } from '../../parts/format.ts';
import { Note } from '../../parts/note.tsx';
import { Card, PageHead } from '../../parts/page.tsx';
import { Stat } from '../../parts/stat.tsx';
import { Empty, Loaded, Skeleton } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { useUrlState } from '../../parts/url-state.ts';
import { provider } from './api.ts';
import { AppealButton, Findings } from './appeal.tsx';
import { shortModel } from './figures.ts';

type Found = BenchmarksAnswer['data'];
type Turn = Found['nodes'][number];
type Run = Found['runs'][number];
type Likeness = Found['likeness']['nodes'][number];

const MODES: Readonly<Record<Found['mode'], string>> = {
  off: 'This market asks no questions of its own. What is measured of real requests is all that counts.',
  watch: 'Marks are kept and shown here, and nothing follows from them.',
  enforce:
    'A node that fails gets no requests for a day, and after a second failure in a row collateral is taken.',
};

/** Questions with known answers: how each node stands, every run, and what to do about one that failed. */
export default function Benchmarks() {
  const query = useQuery(provider.benchmarks());
  return (
    <>
      <PageHead title="Benchmarks">
        {query.data ? MODES[query.data.mode] : 'Questions with known answers, at instants of chance.'}
      </PageHead>
      <Loaded query={query} skeleton={<Skeleton className="h-96" />}>
        {(found) => <Content found={found} />}
      </Loaded>
    </>
  );
}

function Content({ found }: { found: Found }) {
  const { nodes, runs } = found;
  const [chosen, choose] = useUrlState('model', '');
  const [older, setOlder] = useState(false);
  const models = [...new Set(runs.map((run) => run.model_id))].toSorted();
  const shown = useMemo(() => runs.filter((run) => chosen === '' || run.model_id === chosen), [runs, chosen]);
  const passing = nodes.filter(({ passed }) => passed).length;
  const newest = runs[0];
  if (runs.length === 0 && nodes.length === 0) {
    return (
      <Card>
        <Empty
          icon={Gauge}
          title="No benchmark yet"
          action={
            <ButtonLink to="/provider" kind="primary">
              Bring a node online
            </ButtonLink>
          }
        >
          {found.mode === 'off'
            ? 'This market has benchmarks switched off: there is nothing to pass.'
            : 'The first run comes a few minutes after a node with a language model was first seen.'}
        </Empty>
      </Card>
    );
  }
  const withheld = nodes.find((node) => node.withheld_until !== null);
  return (
    <div className="space-y-6">
      {withheld?.withheld_until != null && (
        <Note tone="warn">
          {withheld.model_id} gets no requests until <Time at={withheld.withheld_until} />: {withheld.because}
        </Note>
      )}
      <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
        <Stat name="Standing" value={`${passing} of ${nodes.length}`} hint="nodes and models that passed" />
        <Stat
          name="Runs passed"
          value={
            runs.length === 0 ? NOTHING : percent(runs.filter(({ passed }) => passed).length / runs.length, 1)
          }
          hint={`of the latest ${whole(runs.length)}`}
        />
        <Stat
          name="First token, last run"
          value={newest ? duration(newest.ttft_ms) : NOTHING}
          hint="at most 5 s passes"
        />
        <Stat
          name="Speed, last run"
          value={newest ? rate(newest.tokens_per_second) : NOTHING}
          hint={newest ? `class ${newest.hardware_tier}` : ''}
        />
      </div>
      <Findings kind="benchmark" title="Appeals" hint="Against runs that failed, and what became of them" />
      {nodes.length > 0 && (
        <Card title="How each node stands" flush className="overflow-hidden">
          <DataTable
            caption="How each node stands"
            columns={TURNS}
            rows={nodes}
            rowKey={(row) => `${row.node_id} ${row.model_id}`}
            empty={null}
          />
        </Card>
      )}
      {found.likeness.nodes.length > 0 && (
        <Card
          title="Likeness"
          hint="Whether your nodes answer ordinary prompts like the other providers’ nodes of their model"
          flush
          className="overflow-hidden"
        >
          <DataTable
            caption="Likeness of each node"
            columns={LIKENESS}
            rows={found.likeness.nodes}
            rowKey={(row) => `${row.node_id} ${row.model_id}`}
            empty={null}
          />
        </Card>
      )}
      {runs.length > 1 && (
        <Card title="Speed over time" hint="Tokens a second, as runs measured it">
          <SpeedChart runs={shown} />
        </Card>
      )}
      <Card
        title="Runs"
        flush
        className="overflow-hidden"
        actions={
          models.length > 1 && (
            <Select
              label="Model"
              hideLabel
              value={chosen}
              onChange={choose}
              options={[
                { value: '', label: 'All models' },
                ...models.map((model) => ({ value: model, label: shortModel(model) })),
              ]}
            />
          )
        }
      >
        <DataTable
          caption="Runs"
          columns={RUNS}
          rows={shown.slice(0, older ? shown.length : RUNS_SHOWN)}
          rowKey={(row) => row.id}
          empty={<p className="px-5 pb-5 text-soft">No run of this model yet.</p>}
        />
        {!older && shown.length > RUNS_SHOWN && (
          <div className="border-t border-line px-5 py-2.5">
            <Button size="sm" kind="quiet" onClick={() => setOlder(true)}>
              Show {whole(shown.length - RUNS_SHOWN)} older
            </Button>
          </div>
        )}
      </Card>
    </div>
  );
}

const MODELS_DRAWN = 4;
const RUNS_SHOWN = 12;

function SpeedChart({ runs }: { runs: readonly Run[] }) {
  const chart = useMemo(() => {
    const rising = runs.toReversed();
    const times = [...new Set(rising.map((run) => Date.parse(run.at)))].toSorted((a, b) => a - b);
    const models = [...new Set(rising.map((run) => run.model_id))].slice(0, MODELS_DRAWN);
    return {
      times,
      series: models.map((model) => {
        const known = new Map(
          rising
            .filter((run) => run.model_id === model)
            .map((run) => [Date.parse(run.at), run.tokens_per_second]),
        );
        let last: number | null = null;
        return {
          name: shortModel(model),
          values: times.map((at) => {
            last = known.get(at) ?? last;
            return last;
          }),
        };
      }),
    };
  }, [runs]);
  return (
    <Chart label="Tokens a second, run by run" {...chart} by="day" as="steps" format={rate} height={180} />
  );
}

const LIKENESS: readonly Column<Likeness>[] = [
  { name: 'Node', show: (row) => <Id value={row.node_id} keep={13} /> },
  { name: 'Model', show: (row) => shortModel(row.model_id) },
  {
    name: 'Answers',
    show: (row) =>
      row.state === 'like' ? (
        <StateDot tone="good">Like the others’</StateDot>
      ) : (
        <span title={row.because}>
          <StateDot tone="bad">Unlike the others’</StateDot>
        </span>
      ),
  },
  {
    name: 'Alike',
    number: true,
    wide: true,
    show: (row) => `${whole(row.alike)} of ${whole(row.alike + row.unlike)}`,
  },
  { name: 'Last asked', wide: true, show: (row) => <Time at={row.last_at} as="ago" /> },
];

const TURNS: readonly Column<Turn>[] = [
  {
    name: 'Model',
    sort: (row) => row.model_id,
    show: (row) => <span className="font-medium">{row.model_id}</span>,
  },
  { name: 'Node', wide: true, show: (row) => <Id value={row.node_id} keep={13} /> },
  {
    name: 'Standing',
    sort: (row) => Number(row.passed),
    show: (row) =>
      row.passed ? (
        <StateDot tone="good">Passed</StateDot>
      ) : (
        <span title={row.because}>
          <StateDot tone={row.withheld_until === null ? 'neutral' : 'bad'}>
            {row.withheld_until === null ? 'Not passed yet' : 'Failed'}
          </StateDot>
        </span>
      ),
  },
  {
    name: 'Passed',
    wide: true,
    sort: (row) => row.passed_at,
    show: (row) => (row.passed_at === null ? NOTHING : <Time at={row.passed_at} as="ago" />),
  },
  {
    name: 'Good until',
    wide: true,
    sort: (row) => row.valid_until,
    show: (row) => (row.valid_until === null ? NOTHING : <Time at={row.valid_until} as="day" />),
  },
];

const RUNS: readonly Column<Run>[] = [
  { name: 'When', sort: (row) => row.at, show: (row) => <Time at={row.at} /> },
  {
    name: 'Model',
    sort: (row) => row.model_id,
    show: (row) => <span title={row.model_id}>{shortModel(row.model_id)}</span>,
  },
  {
    name: 'Result',
    sort: (row) => Number(row.passed),
    show: (row) => (
      <span className="inline-flex flex-wrap items-center gap-2">
        <Badge tone={row.passed ? 'good' : 'bad'}>{row.passed ? 'Passed' : 'Failed'}</Badge>
        {row.appeal !== null ? (
          <Badge tone={row.appeal === 'granted' ? 'good' : 'neutral'}>Appeal {row.appeal}</Badge>
        ) : row.appeal_asked ? (
          <Badge tone="accent">Appeal asked</Badge>
        ) : (
          !row.passed && <AppealButton about={row.id} found={row.shortcomings} />
        )}
      </span>
    ),
  },
  { name: 'Math', number: true, wide: true, show: ({ math }) => `${math.right} of ${math.asked}` },
  { name: 'Code', number: true, wide: true, show: ({ code }) => `${code.right} of ${code.asked}` },
  {
    name: 'First token',
    number: true,
    wide: true,
    sort: (row) => row.ttft_ms,
    show: (row) => duration(row.ttft_ms),
  },
  {
    name: 'Speed',
    number: true,
    wide: true,
    sort: (row) => row.tokens_per_second,
    show: (row) => rate(row.tokens_per_second),
  },
  {
    name: 'Lacked',
    wide: true,
    show: (row) => (
      <span className="text-soft">
        {row.shortcomings.length === 0 ? NOTHING : row.shortcomings.join(' ')}
      </span>
    ),
  },
];
