import type { BenchmarkRun } from '#wire/operator.ts';
import { Badge, StateDot } from '../../parts/badge.tsx';
import type { Column } from '../../parts/data-table.tsx';
import { duration, rate } from '../../parts/format.ts';
import { Time } from '../../parts/time.tsx';
import { TextLink } from './pieces.tsx';

/** What a run led to, in words. */
export const FOLLOWS: Readonly<Record<string, string>> = {
  none: 'nothing',
  warning: 'a warning',
  withheld: 'requests withheld',
  slash: 'a part of the pledge taken',
  removal: 'removal',
};

/** Runs, as they are listed. */
export const RUN_COLUMNS: readonly Column<BenchmarkRun>[] = [
  {
    name: 'When',
    sort: (row) => row.at,
    show: (row) => (
      <TextLink to={`/operator/benchmarks/${row.id}`}>
        <Time at={row.at} />
      </TextLink>
    ),
  },
  {
    name: 'Model',
    sort: (row) => row.model_id,
    show: (row) => <span className="block max-w-56 truncate font-mono text-sm">{row.model_id}</span>,
  },
  {
    name: 'Result',
    sort: (row) => Number(row.passed),
    show: (row) => (
      <span className="inline-flex flex-wrap items-center gap-2">
        <StateDot tone={row.passed ? 'good' : 'bad'}>{row.passed ? 'Passed' : 'Failed'}</StateDot>
        {row.appeal_asked && !row.appeal && <Badge tone="warn">Appealed</Badge>}
        {row.appeal && (
          <Badge tone={row.appeal.decision === 'granted' ? 'good' : 'neutral'}>
            Appeal {row.appeal.decision}
          </Badge>
        )}
      </span>
    ),
  },
  {
    name: 'Maths',
    number: true,
    wide: true,
    sort: (row) => row.math.right / Math.max(1, row.math.asked),
    show: (row) => `${row.math.right} of ${row.math.asked}`,
  },
  {
    name: 'Code',
    number: true,
    wide: true,
    sort: (row) => row.code.right / Math.max(1, row.code.asked),
    show: (row) => `${row.code.right} of ${row.code.asked}`,
  },
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
];
