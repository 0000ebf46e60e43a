import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { CalendarClock, Flame, ShieldCheck, Snowflake } from 'lucide-react';
import { useMemo, useState } from 'react';
import type { OperatorIncident, PostureAnswer, PostureBody } from '#wire/incidents.ts';
import { market } from '../../api.ts';
import { Badge, StateDot } from '../../parts/badge.tsx';
import { ButtonLink } from '../../parts/button.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { ConfirmButton } from '../../parts/dialog.tsx';
import { Select, TextArea, TextField } from '../../parts/form.tsx';
import { FormButton } from '../../parts/form-button.tsx';
import { duration, short } from '../../parts/format.ts';
import { Card, PageHead } from '../../parts/page.tsx';
import { Empty, Failure, Loaded } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { toast } from '../../parts/toast.tsx';
import { wallMs } from '../../surroundings.ts';
import { operator, useOperate, useOperatorLive } from './api.ts';
import { ListSkeleton, ModelId, Notice, Severity, TextLink } from './pieces.tsx';

/** What goes wrong, what serving does about it, and what is announced. */
export default function Incidents() {
  useOperatorLive();
  const query = useQuery(operator.incidents());
  const navigate = useNavigate();
  const all = query.data?.incidents;
  const open = useMemo(() => all?.filter(({ resolved_at: at }) => at === null), [all]);
  const past = useMemo(() => all?.filter(({ resolved_at: at }) => at !== null), [all]);
  return (
    <>
      <PageHead
        title="Incidents"
        actions={
          <>
            <ButtonLink to="/uptime" size="md">
              Status page
            </ButtonLink>
            <OpenIncident />
          </>
        }
      >
        Rules open and resolve incidents by what they measure; you may do both, too. Everybody sees them on
        the status page.
      </PageHead>
      <div className="grid gap-6 xl:grid-cols-2">
        <Card title="Open now">
          <Loaded query={query} skeleton={<ListSkeleton rows={2} />}>
            {() =>
              open?.length === 0 ? (
                <Empty icon={ShieldCheck} title="No incident is open">
                  The rules look at every model once a minute.
                </Empty>
              ) : (
                <ul className="divide-y divide-line">
                  {open?.map((each) => (
                    <li key={each.id} className="py-3 first:pt-0 last:pb-0">
                      <p className="flex flex-wrap items-center gap-2">
                        <Severity value={each.severity} />
                        <TextLink to={`/operator/incidents/${each.id}`}>
                          {each.model === '' ? 'The whole market' : each.model}
                          {each.region !== '' && `, ${each.region}`}
                        </TextLink>
                        {each.silenced_until !== null && <Badge>Silenced</Badge>}
                      </p>
                      <p className="mt-1 text-soft">{each.because}</p>
                      <p className="mt-1 text-sm text-faint">
                        Opened by {each.opened_by === 'rule' ? 'a rule' : 'an operator'},{' '}
                        <Time at={each.opened_at} as="ago" />
                      </p>
                    </li>
                  ))}
                </ul>
              )
            }
          </Loaded>
        </Card>
        <Posture />
      </div>
      <Card title="Past incidents" hint="90 days" flush className="mt-6 overflow-hidden">
        {query.isError && !query.data ? (
          <Failure error={query.error} retry={() => void query.refetch()} />
        ) : (
          <DataTable
            caption="Past incidents"
            columns={PAST}
            rows={past}
            rowKey={(row) => row.id}
            onOpen={(row) => void navigate({ to: `/operator/incidents/${row.id}` })}
            skeletonRows={3}
            empty={
              <Empty icon={ShieldCheck} title="None in 90 days">
                What is resolved stays here, with all that was written about it.
              </Empty>
            }
          />
        )}
      </Card>
      <Maintenance />
    </>
  );
}

const PAST: readonly Column<OperatorIncident>[] = [
  {
    name: 'Incident',
    sort: (row) => row.model,
    show: (row) => (
      <>
        <TextLink to={`/operator/incidents/${row.id}`}>
          {row.model === '' ? 'The whole market' : row.model}
        </TextLink>
        <p className="max-w-xs truncate text-sm text-faint">{row.because}</p>
      </>
    ),
  },
  { name: 'Worst', sort: (row) => RANK.indexOf(row.worst), show: (row) => <Severity value={row.worst} /> },
  { name: 'Opened', sort: (row) => row.opened_at, show: (row) => <Time at={row.opened_at} /> },
  {
    name: 'Lasted',
    number: true,
    sort: (row) => Date.parse(row.resolved_at ?? row.opened_at) - Date.parse(row.opened_at),
    show: (row) => duration(Date.parse(row.resolved_at ?? row.opened_at) - Date.parse(row.opened_at)),
  },
  {
    name: 'Post-mortem',
    wide: true,
    show: (row) =>
      row.steps.some(({ kind }) => kind === 'post-mortem') ? (
        <StateDot tone="good">Published</StateDot>
      ) : row.post_mortem_due_at === null ? (
        <span className="text-faint">not due</span>
      ) : (
        <StateDot tone={Date.parse(row.post_mortem_due_at) < wallMs() ? 'bad' : 'warn'}>
          Due <Time at={row.post_mortem_due_at} as="day" />
        </StateDot>
      ),
  },
];
const RANK = ['minor', 'major', 'critical'];

function OpenIncident() {
  const operate = useOperate();
  const navigate = useNavigate();
  const [words, setWords] = useState('');
  const [model, setModel] = useState('');
  const [severity, setSeverity] = useState<'minor' | 'major' | 'critical'>('major');
  return (
    <FormButton
      label="Open an incident"
      title="Open an incident"
      confirm="Open it"
      kind="primary"
      size="md"
      onOpen={() => {
        setWords('');
        setModel('');
        setSeverity('major');
      }}
      act={async () => {
        const made = await operate<OperatorIncident>('POST', '/incidents', {
          words,
          severity,
          ...(model !== '' && { model }),
        });
        toast.done('The incident is open, and on the status page.');
        await navigate({ to: `/operator/incidents/${made.id}` });
      }}
    >
      {(errorOf) => (
        <>
          <TextArea
            label="What is wrong"
            hint="For everybody to read on the status page."
            required
            rows={3}
            value={words}
            onChange={setWords}
            error={errorOf('words')}
          />
          <ModelChoice value={model} onChange={setModel} error={errorOf('model')} />
          <Select
            label="How bad"
            value={severity}
            onChange={setSeverity}
            options={[
              { value: 'minor', label: 'Minor: slower, or for a few' },
              { value: 'major', label: 'Major: many are hit' },
              { value: 'critical', label: 'Critical: nothing goes' },
            ]}
          />
        </>
      )}
    </FormButton>
  );
}

function ModelChoice({
  value,
  onChange,
  error,
}: {
  value: string;
  onChange: (value: string) => void;
  error?: string | undefined;
}) {
  const models = useQuery(market.models()).data ?? [];
  return (
    <Select
      label="Where"
      value={value}
      onChange={onChange}
      error={error}
      options={[
        { value: '', label: 'The whole market' },
        ...models.map(({ id, name }) => ({ value: id, label: name })),
      ]}
    />
  );
}

/** What serving does differently now, and why. */
function Posture() {
  const query = useQuery(operator.posture());
  return (
    <Card title="Posture" hint="What serving does differently while budgets burn" actions={<FreezeChanges />}>
      <Loaded query={query} skeleton={<ListSkeleton rows={2} />}>
        {(posture) => (
          <div className="space-y-4">
            <Freezes />
            <PostureReport posture={posture} />
          </div>
        )}
      </Loaded>
    </Card>
  );
}

/** Freezes of changes that operators declared and that are in force. */
function Freezes() {
  const operate = useOperate();
  const freezes = useQuery(operator.freezes()).data?.freezes.filter((each) => each.in_force) ?? [];
  return freezes.map((each) => (
    <div key={each.id} className="flex items-center justify-between gap-4">
      <span className="wrap-anywhere">
        {each.words}{' '}
        <span className="text-sm text-faint">
          by {each.by}
          {each.until !== null && (
            <>
              , until <Time at={each.until} />
            </>
          )}
        </span>
      </span>
      <ConfirmButton
        label="Lift"
        title="Lift this freeze?"
        act={async () => {
          await operate('DELETE', `/freezes/${each.id}`);
          toast.done('It is lifted; gateways follow within ten seconds.');
        }}
      >
        Changes may be made again, unless something else freezes them.
      </ConfirmButton>
    </div>
  ));
}

function FreezeChanges() {
  const operate = useOperate();
  const [words, setWords] = useState('');
  const [until, setUntil] = useState('');
  return (
    <FormButton
      label="Freeze changes"
      title="Freeze changes by hand"
      confirm="Freeze"
      kind="quiet"
      onOpen={() => {
        setWords('');
        setUntil('');
      }}
      act={async () => {
        await operate('POST', '/freezes', {
          words,
          ...(until !== '' && { until: new Date(until).toISOString() }),
        });
        toast.done('Changes are frozen; gateways follow within ten seconds.');
      }}
    >
      {(errorOf) => (
        <>
          <TextArea label="Why" required value={words} onChange={setWords} error={errorOf('words')} />
          <TextField
            label="Until"
            type="datetime-local"
            hint="Empty: until it is lifted."
            value={until}
            onChange={setUntil}
            error={errorOf('until')}
          />
        </>
      )}
    </FormButton>
  );
}

function PostureReport({ posture }: { posture: PostureAnswer }) {
  const { alerts, changes_frozen: frozen, everywhere, models } = posture;
  if (!frozen && alerts.length === 0 && !everywhere && models.length === 0) {
    return (
      <Empty icon={ShieldCheck} title="Business as usual">
        No budget burns, changes may be made, and every model is served as ever.
      </Empty>
    );
  }
  return (
    <div className="space-y-4">
      {frozen && (
        <Notice
          tone="warn"
          title={
            <span className="inline-flex items-center gap-2">
              <Snowflake size={16} aria-hidden /> Changes are frozen
            </span>
          }
        >
          Put off what is not a repair. {posture.frozen_because.join(' ')}
        </Notice>
      )}
      {alerts.map((each) => (
        <div
          key={[each.tier, each.model, each.region, each.consumer, each.rule].join(' ')}
          className="flex items-center justify-between gap-4"
        >
          <span className="inline-flex items-center gap-2.5">
            <Flame size={16} className={each.severity === 'page' ? 'text-bad' : 'text-warn'} aria-hidden />
            <span>
              <span className="font-medium capitalize">{each.tier}</span>
              {each.model !== '' && ` ${each.model}`}
              {each.region !== '' && ` in ${each.region}`}
              {each.consumer !== '' && ` for ${each.consumer}`} burns ({each.rule})
              {each.explained_by !== '' && (
                <span className="text-sm text-faint"> follows from {each.explained_by}</span>
              )}
            </span>
          </span>
          <span className="figures text-sm text-soft">
            {each.long_rate.toFixed(1)}× long, {each.short_rate.toFixed(1)}× short
          </span>
        </div>
      ))}
      {everywhere && <Different name="Every model" posture={everywhere} />}
      {models.map((each) => (
        <Different key={each.model} name={each.model} posture={each} />
      ))}
    </div>
  );
}

function Different({ name, posture }: { name: string; posture: PostureBody }) {
  const caps = (of: Readonly<Record<string, number>>, what: string): string[] =>
    Object.entries(of).map(([tier, most]) => `${tier}: ${what} of ${short(most)} tokens at most`);
  const lines = [
    ...caps(posture.output_tokens_max, 'answers'),
    ...caps(posture.prompt_tokens_max, 'prompts'),
    ...(posture.avoid_regions.length > 0 ? [`avoids ${posture.avoid_regions.join(', ')}`] : []),
    ...(posture.fallback_model === null ? [] : [`${posture.fallback_model} stands in`]),
  ];
  return (
    <div className="rounded-lg border border-line px-4 py-3">
      <p className="font-medium wrap-anywhere">{name}</p>
      <ul className="mt-1 text-sm text-soft">
        {lines.map((line) => (
          <li key={line}>{line}</li>
        ))}
      </ul>
      <p className="mt-1 text-sm text-faint">{posture.because.join(' ')}</p>
    </div>
  );
}

function Maintenance() {
  const operate = useOperate();
  const query = useQuery(operator.maintenance());
  const [words, setWords] = useState('');
  const [from, setFrom] = useState('');
  const [until, setUntil] = useState('');
  const [model, setModel] = useState('');
  return (
    <Card
      title="Maintenance"
      hint="Announced three days ahead, it does not count against agreements"
      className="mt-6"
      actions={
        <FormButton
          label="Announce"
          title="Announce maintenance"
          onOpen={() => {
            setWords('');
            setFrom('');
            setUntil('');
            setModel('');
          }}
          act={async () => {
            const { excluded } = await operate<{ excluded: boolean }>('POST', '/maintenance', {
              words,
              from: new Date(from).toISOString(),
              until: new Date(until).toISOString(),
              ...(model !== '' && { model }),
            });
            toast.done(
              excluded
                ? 'Announced, and early enough for agreements.'
                : 'Announced; too late for agreements to leave it out.',
            );
          }}
        >
          {(errorOf) => (
            <>
              <TextArea
                label="What is done"
                hint="For everybody to read."
                required
                rows={2}
                value={words}
                onChange={setWords}
                error={errorOf('words')}
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
              <ModelChoice value={model} onChange={setModel} error={errorOf('model')} />
            </>
          )}
        </FormButton>
      }
    >
      <Loaded query={query} skeleton={<ListSkeleton rows={1} />}>
        {({ windows }) =>
          windows.length === 0 ? (
            <Empty icon={CalendarClock} title="Nothing is announced">
              Announce what you plan, so that consumers can plan as well.
            </Empty>
          ) : (
            <ul className="divide-y divide-line">
              {windows.map((each) => {
                const over = Date.parse(each.until) < wallMs();
                return (
                  <li
                    key={each.id}
                    className="flex flex-wrap items-center justify-between gap-x-6 gap-y-2 py-3 first:pt-0 last:pb-0"
                  >
                    <div className="min-w-0">
                      <p className="font-medium">{each.words}</p>
                      <p className="text-sm text-soft">
                        <ModelId id={each.model} />, <Time at={each.from} /> to <Time at={each.until} />
                      </p>
                    </div>
                    {over ? (
                      <Badge>Over</Badge>
                    ) : (
                      <ConfirmButton
                        label="Call off"
                        title="Call this off?"
                        act={async () => {
                          await operate('DELETE', `/maintenance/${each.id}`);
                          toast.done('It is called off.');
                        }}
                      >
                        It goes from the status page. Announced anew, its notice begins anew.
                      </ConfirmButton>
                    )}
                  </li>
                );
              })}
            </ul>
          )
        }
      </Loaded>
    </Card>
  );
}
