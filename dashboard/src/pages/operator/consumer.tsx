import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { Activity, HandCoins, Landmark } from 'lucide-react';
import { useMemo, useState } from 'react';
import type { ConsumerAnswer } from '#wire/dashboard.ts';
import { Badge, StateDot, type Tone } from '../../parts/badge.tsx';
import { Id } from '../../parts/copy.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { ConfirmButton } from '../../parts/dialog.tsx';
import { Select, TextArea, TextField } from '../../parts/form.tsx';
import { FormButton } from '../../parts/form-button.tsx';
import { duration, NOTHING, percent, plural, short, usd, usdExact } from '../../parts/format.ts';
import { Card, PageHead } from '../../parts/page.tsx';
import { Stat } from '../../parts/stat.tsx';
import { Empty, Failure, Loaded, Skeleton } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { toast } from '../../parts/toast.tsx';
import { AboutLog } from './about-log.tsx';
import { type OperatorRequest, operator, useOperate } from './api.ts';
import { PLANS } from './consumers.tsx';
import { Notice, ProviderLink, useMore } from './pieces.tsx';

type Deposit = ConsumerAnswer['deposits'][number];

/** One consumer: its money, its month, its requests, and what an operator may do about it. */
export default function Consumer() {
  const { id = '' }: { id?: string } = useParams({ strict: false });
  const query = useQuery(operator.consumer(id));
  const consumer = query.data?.consumer;
  return (
    <>
      <PageHead
        title={consumer ? (consumer.name === '' ? 'Unnamed' : consumer.name) : 'Consumer'}
        actions={consumer && <Actions consumer={consumer} />}
      >
        {consumer && (
          <span className="flex flex-wrap items-center gap-x-4 gap-y-1">
            {consumer.email !== null && <span>{consumer.email}</span>}
            <Id value={consumer.id} keep={30} />
          </span>
        )}
      </PageHead>
      <Loaded query={query} skeleton={<Skeleton className="h-96 rounded-xl" />}>
        {(data) => <Report data={data} />}
      </Loaded>
    </>
  );
}

function Actions({ consumer }: { consumer: ConsumerAnswer['consumer'] }) {
  const operate = useOperate();
  const [amount, setAmount] = useState('');
  const [reference, setReference] = useState('');
  const [method, setMethod] = useState<'bank' | 'paypal'>('bank');
  const [plan, setPlan] = useState(consumer.plan);
  const [reason, setReason] = useState('');
  const path = `/consumers/${consumer.id}`;
  const clear = (): void => {
    setAmount('');
    setReference('');
    setReason('');
    setPlan(consumer.plan);
  };
  const money = (errorOf: (field: string) => string | undefined, hint: string) => (
    <>
      <TextField
        label="Amount in dollars"
        inputMode="decimal"
        placeholder="25.00"
        required
        value={amount}
        onChange={setAmount}
        error={errorOf('amount_usd')}
      />
      <TextField
        label="Reference"
        hint={hint}
        required
        value={reference}
        onChange={setReference}
        error={errorOf('reference')}
      />
    </>
  );
  return (
    <>
      <FormButton
        label="Change plan"
        title="Another plan"
        onOpen={clear}
        act={async () => {
          await operate('PUT', `${path}/plan`, { plan });
          toast.done('The plan is changed.');
        }}
      >
        {(errorOf) => (
          <>
            <p className="text-soft">Without a fee, from the next request on.</p>
            <Select
              label="Plan"
              value={plan}
              onChange={setPlan}
              error={errorOf('plan')}
              options={Object.entries(PLANS).map(([value, label]) => ({ value, label }))}
            />
          </>
        )}
      </FormButton>
      <FormButton
        label="Book a payment"
        title="Money that came"
        confirm="Book it"
        onOpen={clear}
        act={async () => {
          await operate('POST', `${path}/payments`, { method, amount_usd: amount, reference });
          toast.done('The payment is booked.');
        }}
      >
        {(errorOf) => (
          <>
            <Select
              label="By"
              value={method}
              onChange={setMethod}
              options={[
                { value: 'bank', label: 'Bank transfer' },
                { value: 'paypal', label: 'PayPal' },
              ]}
            />
            {money(
              errorOf,
              'As the bank states it, in letters, digits and . : - _ such as wire-77. It is never booked twice.',
            )}
          </>
        )}
      </FormButton>
      <FormButton
        label="Give credit"
        title="Give credit"
        kind="primary"
        onOpen={clear}
        act={async () => {
          await operate('POST', `${path}/credit`, { amount_usd: amount, reference });
          toast.done(`${usd(amount)} is given.`);
        }}
      >
        {(errorOf) => (
          <>
            <p className="text-soft">The market pays for what is used of it. It is never paid out.</p>
            {money(
              errorOf,
              'Your own word for it, in letters, digits and . : - _ such as ticket-12. Used again, it gives nothing again.',
            )}
          </>
        )}
      </FormButton>
      {consumer.suspended_at === null ? (
        <FormButton
          label="Suspend"
          title="Suspend this consumer?"
          kind="danger"
          confirmKind="danger"
          onOpen={clear}
          act={async () => {
            await operate('POST', `${path}/suspension`, { suspended: true, reason });
            toast.done('Its keys are refused from now on.');
          }}
        >
          {(errorOf) => (
            <>
              <p className="text-soft">
                Its keys are refused at once; requests that run are finished. Its balance stays its own, and
                you may let it go on.
              </p>
              <TextArea
                label="Reason"
                hint="For whoever looks later."
                required
                rows={3}
                value={reason}
                onChange={setReason}
                error={errorOf('reason')}
              />
            </>
          )}
        </FormButton>
      ) : (
        <ConfirmButton
          label="Let it go on"
          title="End the suspension?"
          danger={false}
          act={async () => {
            await operate('POST', `${path}/suspension`, { suspended: false });
            toast.done('Its keys work again.');
          }}
        >
          Its keys work again at once.
        </ConfirmButton>
      )}
    </>
  );
}

const STATES: Readonly<Record<string, Tone>> = {
  credited: 'good',
  confirmed: 'good',
  pending: 'warn',
  failed: 'bad',
};
const DEPOSITS: readonly Column<Deposit>[] = [
  { name: 'When', sort: (row) => row.received_at, show: (row) => <Time at={row.received_at} /> },
  { name: 'By', sort: (row) => row.method, show: (row) => <span className="capitalize">{row.method}</span> },
  {
    name: 'State',
    sort: (row) => row.status,
    show: (row) => <Badge tone={STATES[row.status] ?? 'neutral'}>{row.status}</Badge>,
  },
  {
    name: 'Amount',
    number: true,
    sort: (row) => (row.value_usd === null ? null : Number(row.value_usd)),
    show: (row) => (row.value_usd === null ? NOTHING : usd(row.value_usd)),
  },
];

const OUTCOMES: Readonly<Record<string, Tone>> = {
  completed: 'good',
  cancelled: 'neutral',
  broken: 'bad',
  failed: 'bad',
  refused: 'warn',
};
function requestColumns(names: ReadonlyMap<string, string>): Column<OperatorRequest>[] {
  return [
    { name: 'When', show: (row) => <Time at={row.at} /> },
    {
      name: 'Model',
      show: (row) => (
        <span className="block max-w-52 truncate font-mono text-sm">{row.model ?? NOTHING}</span>
      ),
    },
    {
      name: 'Result',
      show: (row) => (
        <StateDot tone={OUTCOMES[row.outcome] ?? 'neutral'}>
          {row.error === null ? row.outcome : row.error.replaceAll('_', ' ')}
        </StateDot>
      ),
    },
    {
      name: 'Served by',
      wide: true,
      show: (row) =>
        row.provider === null ? (
          NOTHING
        ) : (
          <span className="block max-w-44 truncate">
            <ProviderLink id={row.provider} name={names.get(row.provider) ?? null} />
          </span>
        ),
    },
    {
      name: 'Tokens',
      number: true,
      wide: true,
      show: (row) => `${short(row.input_tokens)} in, ${short(row.output_tokens)} out`,
    },
    { name: 'First token', number: true, wide: true, show: (row) => duration(row.ttft_ms) },
    {
      name: 'Charged',
      number: true,
      show: (row) => <span title={usdExact(row.charge_usd)}>{usd(row.charge_usd)}</span>,
    },
  ];
}

function Report({ data: { consumer, usage_30d: usage, deposits } }: { data: ConsumerAnswer }) {
  const requests = useQuery(operator.requestsOf(consumer.id));
  const providers = useQuery(operator.providers()).data?.providers;
  const columns = useMemo(
    () => requestColumns(new Map(providers?.map((each) => [each.id, each.name]))),
    [providers],
  );
  const [shown, more] = useMore(requests.data?.requests, 10);
  return (
    <>
      {consumer.suspended_at !== null && (
        <div className="mb-6">
          <Notice tone="bad" title="Suspended">
            <Time at={consumer.suspended_at} />: {consumer.suspended_because}
          </Notice>
        </div>
      )}
      <div className="grid grid-cols-2 gap-3 xl:grid-cols-4">
        <Stat name="Balance" value={usd(consumer.balance_usd)} hint={`${usd(consumer.held_usd)} on hold`} />
        <Stat
          name="Spent, 30 days"
          value={usd(usage.spend_usd)}
          hint={
            Number(usage.covered_usd) > 0 ? `${usd(usage.covered_usd)} by the plan` : PLANS[consumer.plan]
          }
        />
        <Stat
          name="Requests, 30 days"
          value={short(usage.requests)}
          hint={usage.requests === 0 ? 'none' : `${percent(1 - usage.failed / usage.requests)} answered`}
        />
        <Stat
          name="First token, median"
          value={duration(usage.ttft_p50_ms)}
          hint={`${duration(usage.ttft_p95_ms)} at the 95th of 100`}
        />
      </div>
      <Card
        title="Latest requests"
        hint={`${short(usage.input_tokens + usage.output_tokens)} tokens in 30 days, ${plural(consumer.keys, 'key')}`}
        flush
        className="mt-6 overflow-hidden"
      >
        {requests.isError && !requests.data ? (
          <Failure error={requests.error} retry={() => void requests.refetch()} />
        ) : (
          <DataTable
            caption="Latest requests"
            columns={columns}
            rows={shown}
            rowKey={(row) => row.id}
            empty={
              <Empty icon={Activity} title="No request yet">
                The first request with one of its keys appears here.
              </Empty>
            }
          />
        )}
        {more}
      </Card>
      <Card title="Deposits" flush className="mt-6 overflow-hidden">
        <DataTable
          caption="Deposits"
          columns={DEPOSITS}
          rows={deposits}
          rowKey={(row) => row.id}
          empty={
            <Empty icon={Number(consumer.balance_usd) > 0 ? HandCoins : Landmark} title="Nothing was paid in">
              Cards and tokens are booked by themselves. What came by bank or PayPal is booked by you, above.
            </Empty>
          }
        />
      </Card>
      <AboutLog about={consumer.id} className="mt-6" />
    </>
  );
}
