import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { Gauge } from 'lucide-react';
import { useMemo } from 'react';
import type { BenchmarkRun } from '#wire/operator.ts';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { Segments } from '../../parts/form.tsx';
import { Card, PageHead } from '../../parts/page.tsx';
import { Empty, Failure } from '../../parts/states.tsx';
import { useUrlState } from '../../parts/url-state.ts';
import { operator } from './api.ts';
import { RUN_COLUMNS } from './benchmark-cells.tsx';
import { ProviderLink, useMore } from './pieces.tsx';

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
  const columns = useMemo<Column<BenchmarkRun>[]>(() => {
    const names = new Map(providers?.map(({ id, name }) => [id, name]));
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
  }, [providers]);
  const [part, more] = useMore(rows);
  const failed = runs?.filter(({ passed }) => !passed);
  return (
    <>
      <PageHead title="Benchmarks">
        Machines are asked at times that they do not know. A failed run may be appealed: you decide, once.
      </PageHead>
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
