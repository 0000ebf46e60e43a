import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { ArrowRight, TriangleAlert } from 'lucide-react';
import { type ReactNode, useMemo, useState } from 'react';
import type { OperatorPricesAnswer, PriceAmounts, PriceSetAnswer, ProposalAnswer } from '#wire/dashboard.ts';
import { Badge } from '../../parts/badge.tsx';
import { Button, ButtonLink } from '../../parts/button.tsx';
import { Chart } from '../../parts/chart.tsx';
import { cx } from '../../parts/class-names.ts';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { Checkbox, Problem, TextField, useForm } from '../../parts/form.tsx';
import { NOTHING, percent, price, usd } from '../../parts/format.ts';
import { Card, PageHead } from '../../parts/page.tsx';
import { Loaded, Skeleton } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { toast } from '../../parts/toast.tsx';
import { wallMs } from '../../surroundings.ts';
import { AboutLog } from './about-log.tsx';
import { operator, useOperate } from './api.ts';

type Version = OperatorPricesAnswer['prices'][number];

/** One model's price: now, before, and the next one, which is set in two steps. */
export default function Price() {
  const { org = '', name = '' }: { org?: string; name?: string } = useParams({ strict: false });
  const model = `${org}/${name}`;
  const query = useQuery(operator.prices(model));
  return (
    <>
      <PageHead
        title={name}
        actions={
          <>
            <ButtonLink to="/operator/prices" size="sm" kind="quiet">
              All prices
            </ButtonLink>
            <ButtonLink to={`/models/${model}`} size="sm">
              Its page
            </ButtonLink>
          </>
        }
      >
        <span className="font-mono text-sm">{model}</span>
      </PageHead>
      <Loaded query={query} skeleton={<Skeleton className="h-96 rounded-xl" />}>
        {(data) => <Report key={data.model} data={data} />}
      </Loaded>
    </>
  );
}

const FIELDS = [
  ['input_price', 'Input / 1M tokens'],
  ['output_price', 'Output / 1M tokens'],
  ['request_price', 'A request'],
  ['minute_price', 'A minute of sound'],
] as const;
type Field = (typeof FIELDS)[number][0];

function Report({ data }: { data: OperatorPricesAnswer }) {
  const current = data.prices.find(({ id }) => id === data.in_force) ?? data.prices[0];
  const columns = useMemo(() => columnsFor(data.in_force, data.prices), [data]);
  return (
    <>
      <div className="grid gap-6 xl:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
        <Card title="Over time" hint="Each step is a version of the price">
          <History versions={data.prices} />
        </Card>
        <Card title="Set another price">
          {current && <TwoSteps model={data.model} now={current.price} />}
        </Card>
      </div>
      <Card title="Versions" flush className="mt-6 overflow-hidden">
        <DataTable
          caption="Versions of the price"
          columns={columns}
          rows={data.prices}
          rowKey={(row) => row.id}
          empty={null}
        />
      </Card>
      <AboutLog
        what="price-proposals"
        where={({ asked, after }) => JSON.stringify([asked, after]).includes(data.model)}
        className="mt-6"
      />
    </>
  );
}

function columnsFor(inForce: string, versions: readonly Version[]): Column<Version>[] {
  return [
    {
      name: 'From',
      sort: (row) => row.effective_from,
      show: (row) => (
        <span className="inline-flex items-center gap-2">
          <Time at={row.effective_from} />
          {row.id === inForce && <Badge tone="good">In force</Badge>}
        </span>
      ),
    },
    ...FIELDS.filter(([field]) => versions.some(({ price: of }) => of[field] !== null)).map(
      ([field, name]): Column<Version> => ({
        name,
        number: true,
        sort: (row) => (row.price[field] === null ? null : Number(row.price[field])),
        show: (row) => (row.price[field] === null ? NOTHING : price(row.price[field] ?? '0')),
      }),
    ),
    { name: 'Set', wide: true, sort: (row) => row.set_at, show: (row) => <Time at={row.set_at} as="ago" /> },
    { name: 'By', wide: true, sort: (row) => row.source, show: (row) => row.source },
  ];
}

function History({ versions }: { versions: readonly Version[] }) {
  const chart = useMemo(() => {
    const rising = versions.toSorted((a, b) => a.effective_from.localeCompare(b.effective_from));
    const last = rising.at(-1);
    const end = last && {
      ...last,
      effective_from: new Date(Math.max(wallMs(), Date.parse(last.effective_from) + 1)).toISOString(),
    };
    const all = end ? [...rising, end] : rising;
    return {
      times: all.map(({ effective_from: from }) => Date.parse(from)),
      series: FIELDS.filter(([field]) => all.some((each) => each.price[field] !== null)).map(
        ([field, name]) => ({
          name,
          values: all.map((each) => (each.price[field] === null ? null : Number(each.price[field]))),
        }),
      ),
    };
  }, [versions]);
  return <Chart label="The price over time" {...chart} as="steps" by="day" format={usd} height={300} />;
}

function Step({
  number,
  title,
  done,
  children,
}: {
  number: number;
  title: string;
  done?: boolean;
  children: ReactNode;
}) {
  return (
    <section className="grid grid-cols-[1.75rem_minmax(0,1fr)] gap-x-3">
      <span
        className={cx(
          'figures inline-flex size-7 items-center justify-center rounded-full text-sm font-semibold',
          done ? 'bg-accent text-accent-ink' : 'bg-sunken text-soft',
        )}
        aria-hidden="true"
      >
        {number}
      </span>
      <div className="min-w-0 pb-1">
        <h3 className="pt-0.5 font-semibold">
          <span className="sr-only">Step {number}: </span>
          {title}
        </h3>
        {children}
      </div>
    </section>
  );
}

/** First what it shall be; then, with the difference in view, whether that is meant. */
function TwoSteps({ model, now }: { model: string; now: PriceAmounts }) {
  const operate = useOperate();
  const queries = useQueryClient();
  const fields = FIELDS.filter(([field]) => now[field] !== null);
  const [values, setValues] = useState<Partial<Record<Field, string>>>({});
  const [from, setFrom] = useState('');
  const [force, setForce] = useState(false);
  const [proposal, setProposal] = useState<ProposalAnswer>();
  const [meant, setMeant] = useState(false);
  const propose = useForm(async () => {
    const wish = Object.fromEntries(
      fields.map(([field]) => [field, (values[field] ?? now[field] ?? '').trim()]),
    );
    setProposal(
      await operate<ProposalAnswer>('POST', '/price-proposals', {
        model,
        ...wish,
        ...(from !== '' && { effective_from: new Date(from).toISOString() }),
        ...(force && { force }),
      }),
    );
    setMeant(false);
  });
  const confirm = useForm(async () => {
    if (!proposal) return;
    await operate<PriceSetAnswer>('POST', `/price-proposals/${proposal.id}/confirm`, {
      token: proposal.token,
    });
    toast.done('The price is set.');
    setProposal(undefined);
    setValues({});
    setFrom('');
    await queries.invalidateQueries({ queryKey: ['/v1/models'] });
  });
  const withdraw = async (): Promise<void> => {
    if (proposal) await operate('DELETE', `/price-proposals/${proposal.id}`).catch(() => undefined);
    setProposal(undefined);
  };
  return (
    <div className="space-y-4">
      <Step number={1} title="Propose" done={proposal !== undefined}>
        {proposal ? (
          <p className="mt-1 text-soft">
            Proposed by you, until <Time at={proposal.expires_at} />.
          </p>
        ) : (
          <form onSubmit={propose.onSubmit} className="mt-3 space-y-4">
            <div className="grid grid-cols-2 gap-3">
              {fields.map(([field, label]) => (
                <TextField
                  key={field}
                  label={label}
                  inputMode="decimal"
                  required
                  value={values[field] ?? now[field] ?? ''}
                  onChange={(value) => setValues((before) => ({ ...before, [field]: value }))}
                  error={propose.errorOf(field)}
                />
              ))}
            </div>
            <TextField
              label="From"
              type="datetime-local"
              hint="Empty: at once, when it is confirmed."
              value={from}
              onChange={setFrom}
              error={propose.errorOf('effective_from')}
            />
            <Problem>{propose.problem}</Problem>
            {(propose.problem !== undefined || force) && (
              <Checkbox
                label="Also where it changes by more than a hundred times"
                checked={force}
                onChange={setForce}
              />
            )}
            <Button type="submit" kind="primary" busy={propose.busy}>
              Propose
            </Button>
          </form>
        )}
      </Step>
      <Step number={2} title="Confirm">
        {proposal ? (
          <form onSubmit={confirm.onSubmit} className="mt-3 space-y-4">
            <dl className="divide-y divide-line rounded-lg border border-line px-4">
              {fields.map(([field, label]) => (
                <div key={field} className="flex flex-wrap items-center justify-between gap-x-4 py-2.5">
                  <dt className="text-soft">{label}</dt>
                  <dd className="figures inline-flex items-center gap-2">
                    <span className="text-soft">{price(proposal.before?.[field] ?? '0')}</span>
                    <ArrowRight size={14} className="text-faint" aria-label="becomes" />
                    <span className="font-semibold">{price(proposal.price[field] ?? '0')}</span>
                    <Change before={proposal.before?.[field]} after={proposal.price[field]} />
                  </dd>
                </div>
              ))}
              <div className="flex items-center justify-between gap-4 py-2.5">
                <dt className="text-soft">From</dt>
                <dd>
                  {proposal.effective_from === null ? 'at once' : <Time at={proposal.effective_from} />}
                </dd>
              </div>
            </dl>
            {proposal.warning !== null && (
              <p className="flex gap-2.5 rounded-lg bg-warn-wash px-3 py-2 text-warn">
                <TriangleAlert size={16} className="mt-0.5 shrink-0" aria-hidden />
                {proposal.warning}
              </p>
            )}
            <Checkbox label="This is what I mean" checked={meant} onChange={setMeant} />
            <Problem>{confirm.problem}</Problem>
            <div className="flex flex-wrap gap-2">
              <Button type="submit" kind="primary" busy={confirm.busy} disabled={!meant}>
                Set the price
              </Button>
              <Button onClick={() => void withdraw()}>Withdraw</Button>
            </div>
          </form>
        ) : (
          <p className="mt-1 text-soft">
            You see what changes, and by how much, before anything does. Requests that run keep the price they
            began with.
          </p>
        )}
      </Step>
    </div>
  );
}

function Change({ before, after }: { before: string | null | undefined; after: string | null }) {
  const [old, now] = [Number(before ?? 0), Number(after ?? 0)];
  if (old === now) return <Badge>same</Badge>;
  if (old === 0) return <Badge tone="warn">new</Badge>;
  const share = now / old - 1;
  return (
    <Badge
      tone={share > 0 ? 'warn' : 'good'}
    >{`${share > 0 ? '+' : '−'}${percent(Math.abs(share), 1)}`}</Badge>
  );
}
