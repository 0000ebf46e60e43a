import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { FileQuestion } from 'lucide-react';
import type { BenchmarkRunAnswer } from '#wire/operator.ts';
import { Badge, StateDot } from '../../parts/badge.tsx';
import { ButtonLink } from '../../parts/button.tsx';
import { Id } from '../../parts/copy.tsx';
import { duration, plural, rate } from '../../parts/format.ts';
import { Card, Facts, PageHead } from '../../parts/page.tsx';
import { Stat } from '../../parts/stat.tsx';
import { Empty, Loaded, Skeleton } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { operator } from './api.ts';
import { AppealButtons } from './appeal.tsx';
import { FOLLOWS } from './benchmark-cells.tsx';
import { ModelId, Notice, ProviderLink } from './pieces.tsx';

/** One run: what was asked, what came back, how it was marked, and the decision about it. */
export default function Benchmark() {
  const { id = '' }: { id?: string } = useParams({ strict: false });
  const query = useQuery(operator.benchmark(id));
  return (
    <>
      <PageHead
        title="Benchmark"
        actions={
          <ButtonLink to="/operator/benchmarks" size="sm" kind="quiet">
            All runs
          </ButtonLink>
        }
      >
        <Id value={id} keep={34} />
      </PageHead>
      <Loaded query={query} skeleton={<Skeleton className="h-96 rounded-xl" />}>
        {(run) => <Report run={run} />}
      </Loaded>
    </>
  );
}

function Report({ run }: { run: BenchmarkRunAnswer }) {
  return (
    <>
      {run.appeal ? (
        <Notice
          tone={run.appeal.decision === 'granted' ? 'good' : 'warn'}
          title={run.appeal.decision === 'granted' ? 'Set aside on appeal' : 'Upheld on appeal'}
        >
          {run.appeal.reason}
        </Notice>
      ) : (
        !run.passed && (
          <Notice
            tone="bad"
            title="Failed"
            action={<AppealButtons path={`/benchmarks/${run.id}/appeal`} subject="this run" />}
          >
            {run.shortcomings.join(' ')}
          </Notice>
        )
      )}
      <div className="mt-6 grid grid-cols-2 gap-3 first:mt-0 xl:grid-cols-4">
        <Stat name="Maths" value={`${run.math.right} of ${run.math.asked}`} hint="right" />
        <Stat name="Code" value={`${run.code.right} of ${run.code.asked}`} hint="right" />
        <Stat name="First token" value={duration(run.ttft_ms)} hint="median of the questions" />
        <Stat name="Speed" value={rate(run.tokens_per_second)} hint={`hardware tier ${run.hardware_tier}`} />
      </div>
      <div className="mt-6 grid gap-6 xl:grid-cols-[minmax(0,2fr)_minmax(0,3fr)]">
        <Card title="The run">
          <Facts
            rows={[
              [
                'Result',
                <StateDot key="result" tone={run.passed ? 'good' : 'bad'}>
                  {run.passed ? 'Passed' : 'Failed'}
                </StateDot>,
              ],
              ['When', <Time key="when" at={run.at} />],
              ['Provider', <ProviderLink key="provider" id={run.provider_id} />],
              ['Node', <Id key="node" value={run.node_id} />],
              ['Model', <ModelId key="model" id={run.model_id} />],
              ['It led to', FOLLOWS[run.follows] ?? run.follows],
              ['Failures in a row', plural(run.failures_in_a_row, 'failure')],
              [
                'Requests withheld until',
                run.withheld_until === null ? 'not withheld' : <Time key="until" at={run.withheld_until} />,
              ],
            ]}
          />
        </Card>
        <Card title="Questions and answers" hint="Kept for operators alone">
          {run.papers.length === 0 ? (
            <Empty icon={FileQuestion} title="The papers are not kept">
              Those of passed runs are thrown away, so that no question is asked twice.
            </Empty>
          ) : (
            <ul className="space-y-4">
              {run.papers.flatMap(({ seed, answers }) =>
                answers.map((each, place) => (
                  <li key={`${seed}-${place}`} className="rounded-lg border border-line">
                    <p className="flex flex-wrap items-center gap-2 border-b border-line px-4 py-2">
                      <Badge>{each.kind}</Badge>
                      <span className="text-sm text-soft">{each.mark === '' ? 'right' : each.mark}</span>
                      <span className="figures ml-auto text-sm text-faint">{duration(each.ttft_ms)}</span>
                    </p>
                    <div className="space-y-2 px-4 py-3 text-sm">
                      <p className="whitespace-pre-wrap wrap-anywhere text-soft">{each.prompt}</p>
                      <p className="rounded-md bg-code px-3 py-2 font-mono whitespace-pre-wrap wrap-anywhere">
                        {each.answer === '' ? 'no answer' : each.answer}
                      </p>
                    </div>
                  </li>
                )),
              )}
            </ul>
          )}
        </Card>
      </div>
    </>
  );
}
