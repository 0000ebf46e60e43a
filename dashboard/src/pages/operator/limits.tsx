import { useQuery } from '@tanstack/react-query';
import { BookmarkCheck, Plus } from 'lucide-react';
import { useState } from 'react';
import type { LimitsAnswer, OperatorTier, ReservationsAnswer } from '#wire/operator.ts';
import { market } from '../../api.ts';
import { Badge } from '../../parts/badge.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { ConfirmButton } from '../../parts/dialog.tsx';
import { Select, TextField } from '../../parts/form.tsx';
import { FormButton } from '../../parts/form-button.tsx';
import { duration, percent, plural, short, usd, whole } from '../../parts/format.ts';
import { Card, Facts, PageHead } from '../../parts/page.tsx';
import { Empty, Loaded, Skeleton } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { toast } from '../../parts/toast.tsx';
import { operator, useOperate } from './api.ts';
import { ListSkeleton, ModelId, TextLink } from './pieces.tsx';

type Reservation = ReservationsAnswer['reservations'][number];

/** What each tier gets, for whom places are kept, and what holds for everybody. */
export default function Limits() {
  const tiers = useQuery(operator.tiers());
  const limits = useQuery(operator.limits());
  return (
    <>
      <PageHead title="Limits and tiers">
        Tiers and reservations are data: a change holds in ten seconds, everywhere. Limits of the whole market
        are set where it is started.
      </PageHead>
      <Loaded query={tiers} skeleton={<Skeleton className="h-96 rounded-xl" />}>
        {(data) => (
          <div className="grid items-start gap-4 lg:grid-cols-3">
            {data.tiers.map((tier) => (
              <TierCard key={tier.name} tier={tier} />
            ))}
          </div>
        )}
      </Loaded>
      <Reservations />
      <Loaded query={limits} skeleton={<ListSkeleton rows={4} />}>
        {(data) => <ForEverybody data={data} />}
      </Loaded>
    </>
  );
}

const orNone = (value: number | null, show: (value: number) => string = whole): string =>
  value === null ? 'no limit' : show(value);

const SMALLER = {
  before: 'before it waits',
  after: 'after it waited',
  never: 'never',
} as const;

function TierCard({ tier }: { tier: OperatorTier }) {
  const { objectives } = tier;
  return (
    <Card title={tier.title} hint={`Weight ${tier.weight} in the queue`} actions={<EditTier tier={tier} />}>
      <Facts
        rows={[
          ['Prompt', orNone(tier.prompt_tokens_max, (value) => `${short(value)} tokens`)],
          ['Answer', orNone(tier.output_tokens_max, (value) => `${short(value)} tokens`)],
          ['At once', orNone(tier.concurrent)],
          ['In ten seconds', orNone(tier.burst)],
          ['Waits at most', duration(tier.queue_deadline_ms)],
          [
            'Tries again',
            tier.retries_max === null ? 'as the market does' : plural(tier.retries_max, 'time'),
          ],
          ['A smaller model', SMALLER[tier.smaller_model]],
          [
            'Price',
            tier.price_factor === 10_000 ? 'the list' : `${percent(tier.price_factor / 10_000)} of the list`,
          ],
        ]}
      />
      <div className="mt-3 rounded-lg bg-sunken px-4 py-3">
        <div className="flex items-center justify-between gap-4">
          <p className="text-sm font-medium text-soft">Objectives</p>
          <EditObjectives tier={tier} />
        </div>
        <p className="figures mt-1 text-sm">
          {percent(objectives.availability)} answered, first token in {duration(objectives.ttft_p95_ms)} for
          95 of 100
        </p>
      </div>
    </Card>
  );
}

const NUMBERS = [
  ['prompt_tokens_max', 'Prompt, tokens at most', true],
  ['output_tokens_max', 'Answer, tokens at most', true],
  ['concurrent', 'Requests at once', true],
  ['burst', 'Requests in ten seconds', true],
  ['weight', 'Weight in the queue', false],
  ['queue_deadline_ms', 'Waits at most, milliseconds', false],
  ['retries_max', 'Tries again, times', true],
  ['price_factor', 'Price, basis points of the list', false],
] as const;
type NumberField = (typeof NUMBERS)[number][0];

function EditTier({ tier }: { tier: OperatorTier }) {
  const operate = useOperate();
  const [values, setValues] = useState<Partial<Record<NumberField, string>>>({});
  const [smaller, setSmaller] = useState(tier.smaller_model);
  return (
    <FormButton
      label="Change"
      title={`Change ${tier.title}`}
      confirm="Change it"
      kind="quiet"
      wide
      onOpen={() => {
        setValues(Object.fromEntries(NUMBERS.map(([field]) => [field, String(tier[field] ?? '')])));
        setSmaller(tier.smaller_model);
      }}
      act={async () => {
        const now = Object.fromEntries(
          NUMBERS.map(([field, , mayBeNone]) => {
            const text = (values[field] ?? '').trim();
            return [field, text === '' && mayBeNone ? null : Number(text)];
          }),
        );
        const changed = Object.entries({ ...now, smaller_model: smaller }).filter(
          ([field, value]) => value !== tier[field as keyof OperatorTier],
        );
        if (changed.length > 0) await operate('PATCH', `/tiers/${tier.name}`, Object.fromEntries(changed));
        toast.done(changed.length === 0 ? 'Nothing was changed.' : `${tier.title} is changed.`);
      }}
    >
      {(errorOf) => (
        <>
          <p className="text-soft">Whoever has this tier is served so from the next request on.</p>
          <div className="grid gap-4 sm:grid-cols-2">
            {NUMBERS.map(([field, label, mayBeNone]) => (
              <TextField
                key={field}
                label={label}
                inputMode="numeric"
                required={!mayBeNone}
                placeholder={mayBeNone ? 'no limit' : ''}
                value={values[field] ?? ''}
                onChange={(value) => setValues((before) => ({ ...before, [field]: value }))}
                error={errorOf(field)}
              />
            ))}
            <Select
              label="A smaller model answers"
              value={smaller}
              onChange={setSmaller}
              options={[
                { value: 'before', label: 'Before it waits' },
                { value: 'after', label: 'After it waited' },
                { value: 'never', label: 'Never' },
              ]}
            />
          </div>
        </>
      )}
    </FormButton>
  );
}

/** Each objective, how it is shown and what it is times. Shares are percents here and parts per million there. */
const OBJECTIVES = [
  ['availability_ppm', 'Available minutes, percent', 10_000],
  ['server_errors_ppm', 'Answers that fail at most, percent', 10_000],
  ['ttft_p95_ms', 'First token, milliseconds', 1],
  ['too_many_ppm', 'Refused as too many at most, percent', 10_000],
  ['ttlt_256_p95_ms', 'Up to 256 tokens, milliseconds', 1],
  ['ttlt_512_p95_ms', 'Up to 512 tokens, milliseconds', 1],
] as const;
type ObjectiveField = (typeof OBJECTIVES)[number][0];

function EditObjectives({ tier }: { tier: OperatorTier }) {
  const operate = useOperate();
  const terms = useQuery(operator.objectiveTerms(tier.name)).data;
  const [values, setValues] = useState<Partial<Record<ObjectiveField, string>>>({});
  if (!terms) return null;
  const latest = terms.versions[0];
  const now = latest ?? terms.objectives;
  return (
    <FormButton
      label="Set"
      about={`objectives of ${tier.title}`}
      title={`Objectives of ${tier.title}`}
      confirm="Set them"
      kind="quiet"
      wide
      onOpen={() =>
        setValues(
          Object.fromEntries(OBJECTIVES.map(([field, , times]) => [field, String(now[field] / times)])),
        )
      }
      act={async () => {
        const changed = OBJECTIVES.map(
          ([field, , times]) => [field, Math.round(Number(values[field] ?? '') * times)] as const,
        ).filter(([field, value]) => value !== now[field]);
        if (changed.length > 0)
          await operate('PATCH', `/tiers/${tier.name}/objectives`, Object.fromEntries(changed));
        toast.done(changed.length === 0 ? 'Nothing was changed.' : 'They hold from the next minute on.');
      }}
    >
      {(errorOf) => (
        <>
          <p className="text-soft">
            They hold from the next minute on. What is past is not judged anew, and agreements have their own
            terms.
            {latest && (
              <>
                {' '}
                Last set by {latest.by}, <Time at={latest.set_at} />.
              </>
            )}
          </p>
          <div className="grid gap-4 sm:grid-cols-2">
            {OBJECTIVES.map(([field, label]) => (
              <TextField
                key={field}
                label={label}
                inputMode="decimal"
                required
                value={values[field] ?? ''}
                onChange={(value) => setValues((before) => ({ ...before, [field]: value }))}
                error={errorOf(field)}
              />
            ))}
          </div>
        </>
      )}
    </FormButton>
  );
}

const COLUMNS: readonly Column<Reservation>[] = [
  {
    name: 'Consumer',
    sort: (row) => row.consumer,
    show: (row) => <TextLink to={`/operator/consumers/${row.consumer}`}>{row.consumer}</TextLink>,
  },
  { name: 'Model', sort: (row) => row.model, show: (row) => <ModelId id={row.model} /> },
  {
    name: 'Kept',
    number: true,
    sort: (row) => row.slots ?? (row.share_basis_points ?? 0) / 10_000,
    show: (row) =>
      row.slots === null ? percent((row.share_basis_points ?? 0) / 10_000) : plural(row.slots, 'place'),
  },
  {
    name: 'Lent out',
    wide: true,
    show: (row) =>
      row.release_idle_s === null ? 'never' : `after ${duration(row.release_idle_s * 1_000)} idle`,
  },
  { name: 'Since', wide: true, sort: (row) => row.since, show: (row) => <Time at={row.since} as="day" /> },
  { name: 'End', hideName: true, show: (row) => <End reservation={row} /> },
];

function End({ reservation }: { reservation: Reservation }) {
  const operate = useOperate();
  return (
    <span className="flex justify-end">
      <ConfirmButton
        label="End"
        title="End this reservation?"
        act={async () => {
          await operate('DELETE', `/reservations/${reservation.id}`);
          toast.done('Its places are everybody’s again.');
        }}
      >
        Its places are everybody’s again from now on. Requests that run are finished.
      </ConfirmButton>
    </span>
  );
}

function Reservations() {
  const query = useQuery(operator.reservations());
  return (
    <Card
      title="Reserved places"
      hint="Kept at a model for consumers with the plan Business"
      flush
      className="my-6 overflow-hidden"
      actions={<Reserve />}
    >
      <DataTable
        caption="Reserved places"
        columns={COLUMNS}
        rows={query.data?.reservations}
        rowKey={(row) => row.id}
        skeletonRows={2}
        empty={
          <Empty icon={BookmarkCheck} title="No place is reserved">
            Give a consumer the plan Business, then keep places for it: a number, or a share of what is there.
          </Empty>
        }
      />
    </Card>
  );
}

function Reserve() {
  const operate = useOperate();
  const models = useQuery(market.models()).data ?? [];
  const [consumer, setConsumer] = useState('');
  const [model, setModel] = useState('');
  const [by, setBy] = useState<'slots' | 'share'>('slots');
  const [amount, setAmount] = useState('');
  const [idle, setIdle] = useState('');
  return (
    <FormButton
      label="Reserve"
      title="Reserve places"
      icon={Plus}
      onOpen={() => {
        setConsumer('');
        setModel(models[0]?.id ?? '');
        setAmount('');
        setIdle('');
      }}
      act={async () => {
        await operate('POST', '/reservations', {
          consumer: consumer.trim(),
          model,
          ...(by === 'slots'
            ? { slots: Number(amount) }
            : { share_basis_points: Math.round(Number(amount) * 100) }),
          ...(idle !== '' && { release_idle_s: Number(idle) }),
        });
        toast.done('The places are kept.');
      }}
    >
      {(errorOf) => (
        <>
          <TextField
            label="Consumer"
            placeholder="cons_…"
            hint="Its id. It has the plan Business."
            required
            value={consumer}
            onChange={setConsumer}
            error={errorOf('consumer')}
          />
          <Select
            label="Model"
            value={model}
            onChange={setModel}
            error={errorOf('model')}
            options={models.map(({ id, name }) => ({ value: id, label: name }))}
          />
          <div className="grid grid-cols-2 gap-4">
            <Select
              label="Kept by"
              value={by}
              onChange={setBy}
              options={[
                { value: 'slots', label: 'Number' },
                { value: 'share', label: 'Share' },
              ]}
            />
            <TextField
              label={by === 'slots' ? 'Requests at once' : 'Percent of what is there'}
              inputMode="decimal"
              required
              value={amount}
              onChange={setAmount}
              error={errorOf('slots') ?? errorOf('share_basis_points')}
            />
          </div>
          <TextField
            label="Lent out after, seconds idle"
            inputMode="numeric"
            hint="Empty: never lent out."
            value={idle}
            onChange={setIdle}
            error={errorOf('release_idle_s')}
          />
        </>
      )}
    </FormButton>
  );
}

function ForEverybody({
  data: { limits, playground, plans, split, provider_demands: life },
}: {
  data: LimitsAnswer;
}) {
  return (
    <div className="grid items-start gap-6 lg:grid-cols-2">
      <Card title="For everybody" hint="Set where the market is started">
        <Facts
          rows={[
            [
              'Requests a minute',
              Object.entries(limits.requests_per_minute)
                .map(([kind, count]) => `${kind} ${whole(count)}`)
                .join(', '),
            ],
            ['At once, each key', whole(limits.concurrent_per_key)],
            ['Body of a request', `${short(limits.body_bytes / 1_000_000)} MB`],
            ['Messages', `${whole(limits.messages)}, ${short(limits.message_chars)} characters each`],
            ['Prompt, answer', `${short(limits.input_tokens)}, ${short(limits.output_tokens)} tokens`],
            ['Embedding', `${short(limits.embedding_tokens)} tokens`],
            ['A request takes at most', duration(limits.request_timeout_ms)],
            [
              'Playground without a key',
              playground.enabled
                ? `${plural(playground.requests_per_hour, 'request')} an hour, ${playground.output_tokens} tokens`
                : 'closed',
            ],
          ]}
        />
      </Card>
      <div className="space-y-6">
        <Card title="Plans">
          <Facts
            rows={plans.map((plan) => [
              plan.title,
              `${plan.monthly_usd === 0 ? 'no fee' : `${usd(plan.monthly_usd)} a month`}, ${
                plan.requests_per_minute === null ? 'no limit' : `${whole(plan.requests_per_minute)} a minute`
              }`,
            ])}
          />
        </Card>
        <Card title="Where money goes" hint={`Policy ${split.version}`}>
          <Facts
            rows={[
              ['Fee of the market', `${split.fee_percent} %`],
              ['Then to the provider', `${split.provider_percent} %`],
              ['To the treasury', `${split.treasury_percent} %`],
              ['To burn', `${split.burn_percent} %`],
            ]}
          />
        </Card>
        <Card title="What providers need">
          <div className="flex flex-wrap gap-2">
            <Badge tone="accent">
              {life.approval === 'automatic' ? 'Approved by rule' : 'Approved by an operator'}
            </Badge>
            <Badge tone={life.demandsCollateral ? 'accent' : 'neutral'}>
              {life.demandsCollateral ? 'A pledge' : 'No pledge'}
            </Badge>
            <Badge tone={life.demandsBenchmark ? 'accent' : 'neutral'}>
              {life.demandsBenchmark ? 'A passed benchmark' : 'No benchmark'}
            </Badge>
          </div>
        </Card>
      </div>
    </div>
  );
}
