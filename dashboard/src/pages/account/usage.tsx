import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { ChartLine, X } from 'lucide-react';
import { useMemo, useState } from 'react';
import type { RequestsAnswer, UsageByAnswer } from '#wire/dashboard.ts';
import { Weighed } from '../../parts/bars.tsx';
import { Button, ButtonLink } from '../../parts/button.tsx';
import { Chart } from '../../parts/chart.tsx';
import { type Column, CsvLink, DataTable } from '../../parts/data-table.tsx';
import { Segments, Select } from '../../parts/form.tsx';
import { duration, percent, short, usd, usdFine } from '../../parts/format.ts';
import { Card, PageHead } from '../../parts/page.tsx';
import { Empty, Failure } from '../../parts/states.tsx';
import { bookDay, Time } from '../../parts/time.tsx';
import { useUrlState } from '../../parts/url-state.ts';
import { wallMs } from '../../surroundings.ts';
import { account, files } from './api.ts';
import { OutcomeBadge } from './outcome.tsx';
import { DURATION_MS, DURATIONS, durationOf, OUTCOMES, shortModel } from './words.ts';

const DAY_MS = 86_400_000;
const GROUPS = [
  { value: 'model', label: 'By model' },
  { value: 'key', label: 'By key' },
  { value: 'day', label: 'By day' },
] as const;
type Group = (typeof GROUPS)[number]['value'];
type Row = UsageByAnswer['rows'][number] & { readonly share: number };

/** Where the money went: by model, key and day, and request by request. Every choice is in the address. */
export default function Usage() {
  const [chosen, choose] = useUrlState('for', '30d');
  const [wish, group] = useUrlState('by', 'model');
  const by: Group = GROUPS.find(({ value }) => value === wish)?.value ?? 'model';
  const span = durationOf(chosen);
  // The end of a stretch moves by the minute, so that what was asked is not asked again with every drawing.
  const [openedAt] = useState(() => Math.ceil(wallMs() / 60_000) * 60_000);
  const stretch = useMemo(
    () => ({
      from: new Date(openedAt - DURATION_MS[span]).toISOString(),
      until: new Date(openedAt + DAY_MS).toISOString(),
    }),
    [openedAt, span],
  );
  const query = useQuery(account.usageBy(by, stretch));
  const rows = useMemo(() => weighed(query.data, by), [query.data, by]);
  return (
    <>
      <PageHead
        title="Usage"
        actions={<Segments label="Stretch of time" value={span} options={DURATIONS} onChange={choose} />}
      >
        What was asked, what came, and what it cost. Open a request to see the way it took.
      </PageHead>
      <div className="space-y-4">
        <Card
          flush
          className="overflow-hidden"
          title={<Segments label="Group" value={by} options={GROUPS} onChange={group} />}
          actions={<CsvLink href={files.usageBy(by, stretch)} />}
        >
          {query.isError ? (
            <Failure error={query.error} retry={() => void query.refetch()} />
          ) : by === 'day' ? (
            <Days rows={rows} />
          ) : (
            <DataTable
              key={by}
              caption={`Usage by ${by}`}
              columns={COLUMNS[by]}
              rows={rows}
              rowKey={(row) => row.id}
              first="Spend"
              skeletonRows={4}
              empty={<NothingYet />}
            />
          )}
        </Card>
        <Requests stretch={stretch} />
      </div>
    </>
  );
}

function NothingYet() {
  return (
    <Empty
      icon={ChartLine}
      title="Nothing was asked in this stretch"
      action={
        <>
          <ButtonLink to="/playground" kind="primary">
            Try the playground
          </ButtonLink>
          <ButtonLink to="/account">First steps</ButtonLink>
        </>
      }
    >
      Requests appear here a moment after they end. Choose a longer stretch, or send one.
    </Empty>
  );
}

function weighed(data: UsageByAnswer | undefined, by: Group): Row[] | undefined {
  if (!data || data.group !== by) return undefined;
  const most = Math.max(...data.rows.map(({ spend_usd }) => Number(spend_usd)), 0);
  return data.rows.map((row) => ({ ...row, share: most === 0 ? 0 : Number(row.spend_usd) / most }));
}

const SUMS: readonly Column<Row>[] = [
  { name: 'Requests', number: true, sort: (row) => row.requests, show: (row) => short(row.requests) },
  {
    name: 'Failed',
    number: true,
    wide: true,
    sort: (row) => (row.requests === 0 ? null : row.failed / row.requests),
    show: (row) => percent(row.requests === 0 ? null : row.failed / row.requests),
  },
  {
    name: 'Read',
    number: true,
    wide: true,
    sort: (row) => row.input_tokens,
    show: (row) => short(row.input_tokens),
  },
  {
    name: 'Written',
    number: true,
    wide: true,
    sort: (row) => row.output_tokens,
    show: (row) => short(row.output_tokens),
  },
  {
    name: 'First token',
    number: true,
    wide: true,
    sort: (row) => row.ttft_p50_ms,
    show: (row) => duration(row.ttft_p50_ms),
  },
  {
    name: 'Spend',
    number: true,
    sort: (row) => Number(row.spend_usd),
    show: (row) => <Weighed share={row.share}>{usd(row.spend_usd)}</Weighed>,
  },
];

const narrowTo = (name: string, row: Row) => (before: Record<string, unknown>) => ({
  ...before,
  [name]: row.id,
});

const COLUMNS: Readonly<Record<Group, readonly Column<Row>[]>> = {
  model: [
    {
      name: 'Model',
      sort: (row) => row.id,
      show: (row) => (
        <Link
          to="."
          search={narrowTo('model', row)}
          className="font-medium hover:text-accent"
          title={row.id}
          resetScroll={false}
        >
          {shortModel(row.id)}
        </Link>
      ),
    },
    ...SUMS,
  ],
  key: [
    {
      name: 'Key',
      sort: (row) => row.name ?? row.id,
      show: (row) => (
        <Link
          to="."
          search={narrowTo('key', row)}
          className="font-medium hover:text-accent"
          resetScroll={false}
        >
          {row.name ?? row.id}
        </Link>
      ),
    },
    ...SUMS,
  ],
  day: [
    {
      name: 'Day',
      sort: (row) => row.id,
      show: (row) => (
        <Link
          to="."
          search={narrowTo('day', row)}
          className="font-medium hover:text-accent"
          resetScroll={false}
        >
          {bookDay(row.id)}
        </Link>
      ),
    },
    ...SUMS,
  ],
};

function Days({ rows }: { rows: readonly Row[] | undefined }) {
  const [all, showAll] = useState(false);
  const ordered = useMemo(() => rows?.toSorted((a, b) => a.id.localeCompare(b.id)), [rows]);
  const times = useMemo(() => ordered?.map(({ id }) => Date.parse(`${id}T00:00:00Z`)) ?? [], [ordered]);
  const series = useMemo(
    () => [{ name: 'Spend', values: ordered?.map(({ spend_usd }) => Number(spend_usd)) ?? [] }],
    [ordered],
  );
  const newest = useMemo(() => ordered?.toReversed().slice(0, all ? undefined : 7), [ordered, all]);
  return (
    <>
      {times.length > 1 && (
        <div className="px-5 pt-2 pb-4">
          <Chart
            label="Spend by day"
            times={times}
            series={series}
            format={usd}
            by="day"
            as="bars"
            height={180}
          />
        </div>
      )}
      <DataTable
        caption="Usage by day"
        columns={COLUMNS.day}
        rows={newest}
        rowKey={(row) => row.id}
        empty={<NothingYet />}
      />
      {!all && (ordered?.length ?? 0) > 7 && (
        <div className="border-t border-line px-4 py-2">
          <Button kind="quiet" size="sm" onClick={() => showAll(true)}>
            Show all days
          </Button>
        </div>
      )}
    </>
  );
}

type Line = RequestsAnswer['requests'][number];

const REQUEST_COLUMNS: readonly Column<Line>[] = [
  {
    name: 'When',
    show: (row) => (
      <Link to="/account/usage/$id" params={{ id: row.id }} className="font-medium hover:text-accent">
        <Time at={row.at} as="short" />
      </Link>
    ),
  },
  {
    name: 'Model',
    show: (row) => (
      <>
        <span className="block max-w-28 truncate sm:max-w-48" title={row.model ?? undefined}>
          {shortModel(row.model)}
        </span>
        {row.outcome !== 'completed' && (
          <span className="md:hidden">
            <OutcomeBadge outcome={row.outcome} />
          </span>
        )}
      </>
    ),
  },
  {
    name: 'Key',
    wide: true,
    show: (row) => <span className="block max-w-28 truncate text-soft">{row.key_name ?? row.key_id}</span>,
  },
  { name: 'Outcome', wide: true, show: (row) => <OutcomeBadge outcome={row.outcome} /> },
  {
    name: 'Tokens',
    number: true,
    wide: true,
    show: (row) => (
      <span title="Read, and written">
        {short(row.input_tokens)} <span className="text-faint">→</span> {short(row.output_tokens)}
      </span>
    ),
  },
  { name: 'First token', number: true, wide: true, show: (row) => duration(row.ttft_ms) },
  { name: 'Whole', number: true, wide: true, show: (row) => duration(row.total_ms) },
  { name: 'Charge', number: true, show: (row) => usdFine(row.charge_usd) },
];

function Requests({ stretch }: { stretch: { from: string; until: string } }) {
  const navigate = useNavigate();
  const [model, setModel] = useUrlState('model', '');
  const [key, setKey] = useUrlState('key', '');
  const [outcome, setOutcome] = useUrlState('outcome', '');
  const [day, setDay] = useUrlState('day', '');
  const models = useQuery(account.usageBy('model', stretch)).data?.rows ?? [];
  const keys = useQuery(account.keys()).data?.keys ?? [];
  const start = day === '' ? Number.NaN : Date.parse(`${day}T00:00:00Z`);
  const query = useInfiniteQuery(
    account.requests({
      model,
      key,
      outcome,
      ...(Number.isNaN(start)
        ? stretch
        : { from: new Date(start).toISOString(), until: new Date(start + DAY_MS).toISOString() }),
    }),
  );
  const rows = query.data?.pages.flatMap(({ requests }) => requests);
  const isNarrowed = [model, key, outcome, day].some((each) => each !== '');
  const clear = (): void =>
    void navigate({
      to: '.',
      search: (before: Record<string, unknown>) => ({
        ...before,
        model: undefined,
        key: undefined,
        outcome: undefined,
        day: undefined,
      }),
      replace: true,
      resetScroll: false,
    });
  return (
    <Card
      title="Requests"
      flush
      className="overflow-hidden"
      actions={
        <>
          {day !== '' && (
            <Button size="sm" icon={X} onClick={() => setDay('')} aria-label={`Not only ${bookDay(day)}`}>
              {bookDay(day)}
            </Button>
          )}
          {isNarrowed && (
            <Button size="sm" kind="quiet" onClick={clear}>
              Clear
            </Button>
          )}
          <div className="w-full sm:w-44">
            <Select
              label="Model"
              hideLabel
              value={model}
              onChange={setModel}
              options={[
                { value: '', label: 'Every model' },
                ...withChosen(
                  models.map(({ id }) => ({ value: id, label: shortModel(id) })),
                  model,
                ),
              ]}
            />
          </div>
          <div className="w-full sm:w-36">
            <Select
              label="Key"
              hideLabel
              value={key}
              onChange={setKey}
              options={[
                { value: '', label: 'Every key' },
                ...withChosen(
                  keys.map(({ id, name }) => ({ value: id, label: name })),
                  key,
                ),
              ]}
            />
          </div>
          <div className="w-full sm:w-40">
            <Select
              label="Outcome"
              hideLabel
              value={outcome}
              onChange={setOutcome}
              options={[
                { value: '', label: 'Any outcome' },
                ...Object.entries(OUTCOMES).map(([value, { words }]) => ({ value, label: words })),
              ]}
            />
          </div>
        </>
      }
    >
      {query.isError ? (
        <Failure error={query.error} retry={() => void query.refetch()} />
      ) : (
        <DataTable
          caption="Requests"
          columns={REQUEST_COLUMNS}
          rows={rows}
          rowKey={(row) => row.id}
          onOpen={(row) => void navigate({ to: '/account/usage/$id', params: { id: row.id } })}
          skeletonRows={8}
          empty={
            isNarrowed ? (
              <Empty
                icon={ChartLine}
                title="No request is like that"
                action={<Button onClick={clear}>Clear the filters</Button>}
              >
                Nothing in this stretch of time matches all of them.
              </Empty>
            ) : (
              <p className="px-5 pb-6 text-soft">None in this stretch of time.</p>
            )
          }
        />
      )}
      {query.hasNextPage && (
        <div className="border-t border-line px-4 py-2.5">
          <Button size="sm" busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            Show older
          </Button>
        </div>
      )}
    </Card>
  );
}

/** A filter that came with the address stays to be seen, also where nothing has its name. */
function withChosen(
  options: { value: string; label: string }[],
  chosen: string,
): { value: string; label: string }[] {
  if (chosen === '' || options.some(({ value }) => value === chosen)) return options;
  return [...options, { value: chosen, label: shortModel(chosen) }];
}
