import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { Gauge } from 'lucide-react';
import { useMemo } from 'react';
import type { BenchmarkRun } from '#wire/operator.ts';
import { Badge } from '../../parts/badge.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { Segments } from '../../parts/form.tsx';
import { Card, PageHead } from '../../parts/page.tsx';
import { Empty, Failure } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { useUrlState } from '../../parts/url-state.ts';
import { operator } from './api.ts';
import { AppealButtons } from './appeal.tsx';
import { RUN_COLUMNS } from './benchmark-cells.tsx';
import { ProviderLink, TextLink, useMore } from './pieces.tsx';

/** Every run, and those that failed and may be appealed. */
export default function Benchmarks() {
  const query = useQuery(operator.benchmarks());
  const providers = useQuery(operator.providers()).data?.providers;
  const navigate = useNavigate();
  const [shown, setShown] = useUrlState('shown', 'all');
  const runs = query.data?.runs;
  const rows = useMemo(
    () =>
      runs?.filter(
        ({ passed, appeal }) => shown === 'all' || (!passed && (shown === 'failed' || appeal === null)),
      ),
    [runs, shown],
  );
  const names = useMemo(() => new Map(providers?.map(({ id, name }) => [id, name])), [providers]);
  const columns = useMemo(() => columnsFor(names), [names]);
  const [part, more] = useMore(rows);
  const failed = runs?.filter(({ passed }) => !passed);
  return (
    <>
      <PageHead title="Benchmarks">
        Machines are asked at times that they do not know. A failed run may be appealed: you decide, once.
      </PageHead>
      <Appeals names={names} />
      <div className="mb-4">
        <Segments
          label="Which"
          value={shown}
          onChange={setShown}
          options={[
            { value: 'all', label: `All${runs ? ` ${runs.length}` : ''}` },
            { value: 'failed', label: `Failed${failed ? ` ${failed.length}` : ''}` },
            {
              value: 'open',
              label: `Not decided${failed ? ` ${failed.filter(({ appeal }) => appeal === null).length}` : ''}`,
            },
          ]}
        />
      </div>
      <Card flush className="overflow-hidden">
        {query.isError && !runs ? (
          <Failure error={query.error} retry={() => void query.refetch()} />
        ) : (
          <DataTable
            caption="Benchmark runs"
            columns={columns}
            rows={part}
            rowKey={(row) => row.id}
            onOpen={(row) => void navigate({ to: `/operator/benchmarks/${row.id}` })}
            empty={
              <Empty icon={Gauge} title={shown === 'all' ? 'No run yet' : 'No run failed'}>
                {shown === 'all'
                  ? 'Machines are asked soon after they connect, and then now and then.'
                  : 'Every machine did what it said it could.'}
              </Empty>
            }
          />
        )}
        {more}
      </Card>
    </>
  );
}

function columnsFor(names: ReadonlyMap<string, string>): Column<BenchmarkRun>[] {
  const [when, ...rest] = RUN_COLUMNS;
  return [
    ...(when ? [when] : []),
    {
      name: 'Provider',
      sort: (row) => names.get(row.provider_id) ?? row.provider_id,
      show: (row) => <ProviderLink id={row.provider_id} name={names.get(row.provider_id) ?? null} />,
    },
    ...rest,
  ];
}

const AGAINST = {
  benchmark: 'A failed benchmark',
  slash: 'A slash',
  'service-level': 'A service level charge',
} as const;

/** What providers say against what was found of them, and waits for a decision. */
function Appeals({ names }: { names: ReadonlyMap<string, string> }) {
  const appeals = useQuery(operator.appeals()).data?.appeals ?? [];
  if (appeals.length === 0) return null;
  return (
    <Card title="Appeals" hint="Each is decided once, with a reason that the provider reads" className="mb-6">
      <ul className="divide-y divide-line">
        {appeals.map((each) => (
          <li
            key={each.about}
            className="flex flex-wrap items-start justify-between gap-x-8 gap-y-3 py-3 first:pt-0 last:pb-0"
          >
            <div className="min-w-0 flex-1 basis-72">
              <p className="flex flex-wrap items-center gap-x-3 gap-y-1">
                <ProviderLink id={each.provider_id} name={names.get(each.provider_id) ?? null} />
                <Badge tone="warn">{AGAINST[each.kind]}</Badge>
                <span className="text-sm text-faint">
                  <Time at={each.asked_at} as="ago" />
                </span>
              </p>
              <p className="mt-1 wrap-anywhere">{each.reason}</p>
              {each.kind === 'benchmark' && (
                <p className="mt-1 text-sm">
                  <TextLink to={`/operator/benchmarks/${each.about}`}>See the run</TextLink>
                </p>
              )}
              {each.kind === 'service-level' && (
                <p className="mt-1 text-sm">
                  <TextLink to="/operator/sla" search={{ tab: 'charges' }}>
                    See the charge and its evidence
                  </TextLink>
                </p>
              )}
            </div>
            <AppealButtons
              path={
                each.kind === 'service-level' ? `/sla/charges/${each.about}/appeal` : `/appeals/${each.about}`
              }
              subject={each.kind === 'service-level' ? 'this charge' : 'this finding'}
            />
          </li>
        ))}
      </ul>
    </Card>
  );
}
