import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { useState } from 'react';
import type { OperatorIncident } from '#wire/incidents.ts';
import { Badge, StateDot } from '../../parts/badge.tsx';
import { Button, ButtonLink } from '../../parts/button.tsx';
import { cx } from '../../parts/class-names.ts';
import { Id } from '../../parts/copy.tsx';
import { Checkbox, Problem, Select, TextArea, useForm } from '../../parts/form.tsx';
import { FormButton } from '../../parts/form-button.tsx';
import { duration } from '../../parts/format.ts';
import { Card, Facts, PageHead } from '../../parts/page.tsx';
import { Loaded, Skeleton } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { toast } from '../../parts/toast.tsx';
import { operator, useOperate, useOperatorLive } from './api.ts';
import { ModelId, Severity, shortId } from './pieces.tsx';

/** One incident: its course, and what an operator adds to it. */
export default function Incident() {
  useOperatorLive();
  const { id = '' }: { id?: string } = useParams({ strict: false });
  const query = useQuery(operator.incident(id));
  const incident = query.data;
  return (
    <>
      <PageHead
        title={incident ? (incident.model === '' ? 'The whole market' : incident.model) : 'Incident'}
        actions={
          <>
            <ButtonLink to="/operator/incidents" size="sm" kind="quiet">
              All incidents
            </ButtonLink>
            {incident?.resolved_at === null && <Actions incident={incident} />}
          </>
        }
      >
        {incident && (
          <span className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <Severity value={incident.severity} />
            <StateDot tone={incident.resolved_at === null ? 'bad' : 'good'}>
              {incident.resolved_at === null ? 'Open' : 'Resolved'}
            </StateDot>
            <Id value={incident.id} keep={28} />
          </span>
        )}
      </PageHead>
      <Loaded query={query} skeleton={<Skeleton className="h-96 rounded-xl" />}>
        {(data) => <Report incident={data} />}
      </Loaded>
    </>
  );
}

function Actions({ incident }: { incident: OperatorIncident }) {
  const operate = useOperate();
  const [words, setWords] = useState('');
  const [minutes, setMinutes] = useState('60');
  return (
    <>
      <FormButton
        label="Silence"
        title="Silence this incident"
        onOpen={() => {
          setWords('');
          setMinutes('60');
        }}
        act={async () => {
          await operate('POST', `/incidents/${incident.id}/silence`, {
            minutes: Number(minutes),
            ...(words !== '' && { words }),
          });
          toast.done('It is silenced.');
        }}
      >
        {(errorOf) => (
          <>
            <p className="text-soft">
              It stays open and on the status page; serving does nothing about it, and nobody is woken.
            </p>
            <Select
              label="For"
              value={minutes}
              onChange={setMinutes}
              options={[
                { value: '60', label: 'An hour' },
                { value: '240', label: 'Four hours' },
                { value: '1440', label: 'A day' },
                { value: '10080', label: 'A week' },
              ]}
            />
            <TextArea label="Why" rows={2} value={words} onChange={setWords} error={errorOf('words')} />
          </>
        )}
      </FormButton>
      <FormButton
        label="Resolve"
        title="Resolve this incident"
        kind="primary"
        onOpen={() => setWords('')}
        act={async () => {
          await operate('POST', `/incidents/${incident.id}/resolve`, { words });
          toast.done('The incident is resolved.');
        }}
      >
        {(errorOf) => (
          <>
            <p className="text-soft">Where a rule still sees trouble, it opens another one.</p>
            <TextArea
              label="How it ended"
              hint="For everybody to read."
              required
              rows={3}
              value={words}
              onChange={setWords}
              error={errorOf('words')}
            />
          </>
        )}
      </FormButton>
    </>
  );
}

const KINDS: Readonly<Record<string, string>> = {
  opened: 'Opened',
  note: 'Note',
  severity: 'Severity changed',
  silenced: 'Silenced',
  resolved: 'Resolved',
  'post-mortem': 'Post-mortem published',
};

function Report({ incident }: { incident: OperatorIncident }) {
  const lasted =
    incident.resolved_at === null ? null : Date.parse(incident.resolved_at) - Date.parse(incident.opened_at);
  return (
    <div className="grid items-start gap-6 xl:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
      <Card title="Course" hint="Notes marked internal are for operators alone">
        <ol className="relative">
          {incident.steps.map((step, place) => (
            <li key={`${step.at} ${place}`} className="grid grid-cols-[1rem_minmax(0,1fr)] gap-x-4">
              <span className="flex flex-col items-center" aria-hidden="true">
                <span
                  className={cx(
                    'mt-1.5 size-2.5 shrink-0 rounded-full',
                    step.kind === 'opened' ? 'bg-bad' : step.kind === 'resolved' ? 'bg-good' : 'bg-accent',
                  )}
                />
                {place < incident.steps.length - 1 && <span className="w-px flex-1 bg-line" />}
              </span>
              <div className="min-w-0 pb-5">
                <p className="flex flex-wrap items-center gap-x-2.5 gap-y-1 text-sm">
                  <span className="font-semibold">{KINDS[step.kind] ?? step.kind}</span>
                  {step.internal && <Badge tone="warn">Internal</Badge>}
                  <span className="text-faint">
                    <Time at={step.at} />, {step.actor === 'rule' ? 'by a rule' : shortId(step.actor)}
                  </span>
                </p>
                <p className="mt-1 whitespace-pre-wrap wrap-anywhere">{step.words}</p>
              </div>
            </li>
          ))}
        </ol>
        <Note incident={incident} />
      </Card>
      <div className="space-y-6">
        <Card title="About it">
          <Facts
            rows={[
              ['Because', incident.because],
              ['Where', <ModelId key="model" id={incident.model} />],
              ['Region', incident.region === '' ? 'everywhere' : incident.region],
              ['Triggers', incident.triggers.length === 0 ? 'opened by hand' : incident.triggers.join(', ')],
              ['Worst', <Severity key="worst" value={incident.worst} />],
              ['Opened', <Time key="opened" at={incident.opened_at} />],
              ['Lasted', lasted === null ? 'still open' : duration(lasted)],
              [
                'Silenced until',
                incident.silenced_until === null ? (
                  'not silenced'
                ) : (
                  <Time key="until" at={incident.silenced_until} />
                ),
              ],
            ]}
          />
        </Card>
        {incident.resolved_at !== null && <PostMortem incident={incident} />}
      </div>
    </div>
  );
}

function Note({ incident }: { incident: OperatorIncident }) {
  const operate = useOperate();
  const [words, setWords] = useState('');
  const [internal, setInternal] = useState(false);
  const form = useForm(async () => {
    await operate('POST', `/incidents/${incident.id}/notes`, { words, internal });
    toast.done(internal ? 'The note is kept for operators.' : 'The note is on the status page.');
    setWords('');
  });
  return (
    <form onSubmit={form.onSubmit} className="space-y-3 border-t border-line pt-4">
      <TextArea
        label="Add a note"
        rows={3}
        required
        placeholder="What you found, and what you do about it"
        value={words}
        onChange={setWords}
        error={form.errorOf('words')}
      />
      <div className="flex flex-wrap items-center justify-between gap-3">
        <Checkbox label="Internal: operators alone read it" checked={internal} onChange={setInternal} />
        <Button type="submit" busy={form.busy}>
          Add the note
        </Button>
      </div>
      <Problem>{form.problem}</Problem>
    </form>
  );
}

function PostMortem({ incident }: { incident: OperatorIncident }) {
  const operate = useOperate();
  const query = useQuery(operator.postMortem(incident.id));
  const [words, setWords] = useState('');
  return (
    <Card
      title="Post-mortem"
      hint={
        incident.post_mortem_due_at === null ? undefined : (
          <>
            Due <Time at={incident.post_mortem_due_at} as="ago" />
          </>
        )
      }
      actions={
        query.data && (
          <FormButton
            label={query.data.published === null ? 'Write it' : 'Write it anew'}
            title="Post-mortem"
            confirm="Publish"
            wide
            onOpen={() => setWords(query.data.published ?? query.data.draft)}
            act={async () => {
              await operate('POST', `/incidents/${incident.id}/post-mortem`, { words });
              toast.done('It is published.');
            }}
          >
            {(errorOf) => (
              <>
                <p className="text-soft">
                  The draft is made of what was measured and noted. Everybody reads it on the status page.
                </p>
                <TextArea
                  label="Account"
                  rows={16}
                  required
                  className="font-mono text-sm"
                  value={words}
                  onChange={setWords}
                  error={errorOf('words')}
                />
              </>
            )}
          </FormButton>
        )
      }
    >
      <Loaded query={query} skeleton={<Skeleton className="h-40" />}>
        {({ published, draft }) => (
          <>
            {published === null && <p className="mb-2 text-sm text-soft">Not published. The draft so far:</p>}
            <div
              role="region"
              aria-label="Post-mortem"
              className="max-h-96 overflow-auto rounded-lg bg-code px-4 py-3 font-mono text-sm whitespace-pre-wrap wrap-anywhere"
              tabIndex={0}
            >
              {published ?? draft}
            </div>
          </>
        )}
      </Loaded>
    </Card>
  );
}
