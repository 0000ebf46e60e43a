import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { FileQuestion } from 'lucide-react';
import { useState } from 'react';
import type { LikenessFindingAnswer } from '#wire/operator.ts';
import { Badge, StateDot, type Tone } from '../../parts/badge.tsx';
import { ButtonLink } from '../../parts/button.tsx';
import { cx } from '../../parts/class-names.ts';
import { Id } from '../../parts/copy.tsx';
import { ConfirmButton } from '../../parts/dialog.tsx';
import { TextArea } from '../../parts/form.tsx';
import { FormButton } from '../../parts/form-button.tsx';
import { duration, plural } from '../../parts/format.ts';
import { Card, Facts, PageHead } from '../../parts/page.tsx';
import { Empty, Loaded, Skeleton } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { toast } from '../../parts/toast.tsx';
import { operator, useOperate } from './api.ts';
import { findingState } from './likeness-words.ts';
import { ModelId, Notice, ProviderLink, TextLink, useMore } from './pieces.tsx';

/** One finding: what was asked, how each answer began, and what an operator may do about it. */
export default function LikenessFindingPage() {
  const { id = '' }: { id?: string } = useParams({ strict: false });
  const query = useQuery(operator.likenessOf(id));
  return (
    <>
      <PageHead
        title="Unlike answers"
        actions={
          <ButtonLink to="/operator/likeness" size="sm" kind="quiet">
            All findings
          </ButtonLink>
        }
      >
        <Id value={id} keep={34} />
      </PageHead>
      <Loaded query={query} skeleton={<Skeleton className="h-96 rounded-xl" />}>
        {(found) => <Report found={found} />}
      </Loaded>
    </>
  );
}

function Report({ found }: { found: LikenessFindingAnswer }) {
  const operate = useOperate();
  const { ended, last_benchmark: run } = found;
  const state = findingState(found);
  return (
    <>
      {ended === null ? (
        <Notice tone="bad" title={`It ${found.because}.`} action={<Clear id={found.id} />}>
          It stands until <Time at={found.until} />, or until its answers are like those of others again.
        </Notice>
      ) : (
        <Notice tone="good" title={state.words}>
          {ended.because}
        </Notice>
      )}
      <div className="mt-6 grid items-start gap-6 xl:grid-cols-[minmax(0,2fr)_minmax(0,3fr)]">
        <Card
          title="The node"
          actions={
            <ConfirmButton
              label="Benchmark it now"
              title="Ask this node now?"
              danger={false}
              act={async () => {
                await operate('POST', `/providers/${found.provider_id}/benchmark`, {
                  node_id: found.node_id,
                  model_id: found.model_id,
                });
                toast.done('Its turn comes now, if it is connected.');
              }}
            >
              Its questions have right answers, so this tells whether it can do what the model can. It does
              not know that it is asked.
            </ConfirmButton>
          }
        >
          <Facts
            rows={[
              [
                'State',
                <StateDot key="state" tone={state.tone}>
                  {state.words}
                </StateDot>,
              ],
              ['Found', <Time key="found" at={found.found_at} />],
              ['Ended', ended === null ? 'not yet' : <Time key="ended" at={ended.at} />],
              ['Unlike', `in ${found.unlike} of ${plural(found.checks, 'check')}`],
              ['Provider', <ProviderLink key="provider" id={found.provider_id} />],
              ['Node', <Id key="node" value={found.node_id} />],
              ['Model', <ModelId key="model" id={found.model_id} />],
              [
                'Last benchmark',
                run ? (
                  <TextLink key="run" to={`/operator/benchmarks/${run.id}`}>
                    {run.passed ? 'Passed' : 'Failed'}, <Time at={run.at} as="ago" />
                  </TextLink>
                ) : (
                  'not asked yet'
                ),
              ],
            ]}
          />
        </Card>
        <Evidence found={found} />
      </div>
    </>
  );
}

function Clear({ id }: { id: string }) {
  const operate = useOperate();
  const [reason, setReason] = useState('');
  return (
    <FormButton
      label="Clear it"
      title="Clear this finding?"
      onOpen={() => setReason('')}
      act={async () => {
        await operate('POST', `/likeness/${id}/clear`, { reason });
        toast.done('The finding is cleared.');
      }}
    >
      {(errorOf) => (
        <>
          <p className="text-soft">
            Its node stands behind nobody for it, and is judged anew from its next answer on. The finding
            stays in the list.
          </p>
          <TextArea
            label="Reason"
            hint="The provider reads it."
            required
            rows={3}
            maxLength={1_000}
            value={reason}
            onChange={setReason}
            error={errorOf('reason')}
          />
        </>
      )}
    </FormButton>
  );
}

const VERDICTS: Readonly<Record<string, { tone: Tone; words: string }>> = {
  alike: { tone: 'good', words: 'Alike' },
  unlike: { tone: 'bad', words: 'Unlike' },
  unclear: { tone: 'neutral', words: 'Unclear' },
};

/** What was asked and how the answers began, the node's own marked. */
function Evidence({ found }: { found: LikenessFindingAnswer }) {
  const [shown, more] = useMore(found.checks_shown, 5);
  return (
    <Card title="Checks" hint="The first words of each answer are compared. Keep them from the provider">
      {found.checks_shown.length === 0 ? (
        <Empty icon={FileQuestion} title="The checks are kept no longer">
          They are dropped after 90 days; the finding stays.
        </Empty>
      ) : (
        <ul className="space-y-4">
          {shown?.map((check) => (
            <li key={check.id} className="rounded-lg border border-line">
              <div className="border-b border-line px-4 py-2.5">
                <p className="text-sm text-faint">
                  <Time at={check.at} />
                </p>
                <p className="mt-1 text-sm whitespace-pre-wrap wrap-anywhere text-soft">{check.prompt}</p>
              </div>
              <ul className="divide-y divide-line">
                {check.answers.map((answer) => {
                  const mine = answer.node_id === found.node_id;
                  const verdict = VERDICTS[answer.verdict] ?? {
                    tone: 'neutral' as const,
                    words: answer.verdict,
                  };
                  return (
                    <li
                      key={answer.node_id}
                      className={cx('space-y-1.5 px-4 py-2.5', mine && 'bg-accent-wash')}
                    >
                      <p className="flex flex-wrap items-center gap-x-3 gap-y-1 text-sm">
                        <Badge tone={verdict.tone}>{verdict.words}</Badge>
                        <ProviderLink id={answer.provider_id} />
                        {mine && <b className="font-medium">this node</b>}
                        <span className="figures ml-auto text-soft">{duration(answer.ttft_ms)}</span>
                      </p>
                      <p className="font-mono text-sm wrap-anywhere">
                        {answer.opening === '' ? 'no answer' : answer.opening}
                      </p>
                    </li>
                  );
                })}
              </ul>
            </li>
          ))}
        </ul>
      )}
      {more}
    </Card>
  );
}
