import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Boxes, Pencil, TrendingDown, TrendingUp } from 'lucide-react';
import { useMemo, useState } from 'react';
import type { AsksAnswer, EconomicsAnswer, ProviderHealthAnswer } from '#wire/console.ts';
import { Badge, StateDot } from '../../parts/badge.tsx';
import { Button, ButtonLink, IconButton } from '../../parts/button.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { Dialog } from '../../parts/dialog.tsx';
import { Problem, TextField, useForm } from '../../parts/form.tsx';
import { duration, NOTHING, percent, plural, rate, usd, whole } from '../../parts/format.ts';
import { Card, PageHead } from '../../parts/page.tsx';
import { Stat } from '../../parts/stat.tsx';
import { Empty, Failure } from '../../parts/states.tsx';
import { toast } from '../../parts/toast.tsx';
import { act, provider } from './api.ts';
import { shortModel, successOf } from './figures.ts';

type Economy = EconomicsAnswer['models'][number];
type Ask = AsksAnswer['asks'][number]['ask'];

interface Row extends Economy {
  readonly measured: ProviderHealthAnswer['models'][number] | undefined;
  readonly ask: Ask | undefined;
}

/** What each model does and brings, what others would bring, and what is asked for it. */
export default function Models() {
  const economics = useQuery(provider.economics());
  const health = useQuery(provider.health('24h')).data;
  const asks = useQuery(provider.asks()).data;
  const [pricing, setPricing] = useState<Row>();
  const rows = useMemo(() => {
    const measured = new Map(health?.models.map((each) => [each.model_id, each]));
    const asked = new Map(asks?.asks.map((each) => [each.model, each.ask]));
    return economics.data?.models.map(
      (each): Row => ({ ...each, measured: measured.get(each.model_id), ask: asked.get(each.model_id) }),
    );
  }, [economics.data, health, asks]);
  const own = rows?.filter((row) => row.offered || row.own_requests_24h > 0 || row.measured !== undefined);
  const others = rows?.filter((row) => own?.includes(row) === false && row.requests_24h > 0);
  const ownColumns = useMemo(() => ownColumnsFor(setPricing), []);
  return (
    <>
      <PageHead title="Models and prices">
        How your models do, what they bring, and what the same hardware could bring with others. Figures are
        of the last 24 hours.
      </PageHead>
      {economics.isError && !economics.data ? (
        <Failure error={economics.error} retry={() => void economics.refetch()} />
      ) : (
        <div className="space-y-6">
          <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
            <Stat
              name="Earned, 24 hours"
              value={economics.data && usd(economics.data.earned_usd)}
              hint={own && plural(own.filter(({ offered }) => offered).length, 'model') + ' offered now'}
            />
            <Stat
              name="A GPU hour"
              value={
                economics.data &&
                (economics.data.usd_per_gpu_hour === null ? NOTHING : usd(economics.data.usd_per_gpu_hour))
              }
              hint={economics.data && `${economics.data.gpu_hours.toFixed(1)} h with one GPU a node`}
            />
            <Stat
              name="Success"
              value={health && percent(successOf(health), 1)}
              hint={health && (health.misses[0] ?? 'of what was tried with you')}
            />
            <Stat
              name="Expected a day"
              value={
                own && usd(own.reduce((total, row) => total + (row.offered ? row.expected_daily_usd : 0), 0))
              }
              hint="of what you offer"
            />
          </div>
          <Card title="Your models" flush className="overflow-hidden">
            <DataTable
              caption="Your models"
              columns={ownColumns}
              rows={own}
              rowKey={(row) => row.model_id}
              first="Earned"
              empty={
                <Empty
                  icon={Boxes}
                  title="You serve no model yet"
                  action={
                    <ButtonLink to="/provider" kind="primary">
                      Bring a node online
                    </ButtonLink>
                  }
                >
                  Models appear with the first agent that offers one of the catalogue. Below is what is asked
                  for.
                </Empty>
              }
            />
          </Card>
          <Card
            title="What else is asked for"
            hint="Expected: an even share with those who offer it, at today’s demand. No promise."
            flush
            className="overflow-hidden"
          >
            <DataTable
              caption="Models that you do not serve"
              columns={OTHERS}
              rows={others}
              rowKey={(row) => row.model_id}
              first="Expected a day"
              empty={
                <p className="px-5 pb-5 text-soft">Nobody asked for another model in the last 24 hours.</p>
              }
            />
          </Card>
        </div>
      )}
      {pricing && <AskDialog key={pricing.model_id} row={pricing} onClose={() => setPricing(undefined)} />}
    </>
  );
}

const OWN: readonly Column<Row>[] = [
  {
    name: 'Model',
    sort: (row) => row.model_id,
    show: (row) => (
      <div className="min-w-40" title={row.model_id}>
        <p className="font-medium">{shortModel(row.model_id)}</p>
        <p className="text-sm text-soft">
          <StateDot tone={row.offered ? 'good' : 'neutral'}>
            {row.offered ? 'Offered' : 'Not offered now'}
          </StateDot>
        </p>
      </div>
    ),
  },
  {
    name: 'Requests',
    number: true,
    sort: (row) => row.own_requests_24h,
    show: (row) => (
      <>
        {whole(row.own_requests_24h)}
        <span className="text-faint"> / {whole(row.requests_24h)}</span>
      </>
    ),
  },
  {
    name: 'First token',
    number: true,
    wide: true,
    sort: (row) => row.measured?.ttft_p50_ms ?? null,
    show: (row) => (
      <span title={`95 of 100 within ${duration(row.measured?.ttft_p95_ms)}`}>
        {duration(row.measured?.ttft_p50_ms)}
      </span>
    ),
  },
  {
    name: 'Speed',
    number: true,
    wide: true,
    sort: (row) => row.measured?.tokens_per_s ?? row.tokens_per_s,
    show: (row) => rate((row.measured?.tokens_per_s ?? row.tokens_per_s) || null),
  },
  {
    name: 'Success',
    number: true,
    wide: true,
    sort: (row) => row.measured?.success_rate ?? null,
    show: (row) => percent(row.measured?.success_rate, 1),
  },
  {
    name: 'Earned',
    number: true,
    sort: (row) => row.own_earned_24h_usd,
    show: (row) => <span className="font-medium">{usd(row.own_earned_24h_usd)}</span>,
  },
  {
    name: 'Expected',
    number: true,
    wide: true,
    sort: (row) => row.expected_daily_usd,
    show: (row) => usd(row.expected_daily_usd),
  },
];

const ownColumnsFor = (onPrice: (row: Row) => void): readonly Column<Row>[] => [
  ...OWN,
  {
    name: 'Price',
    number: true,
    show: (row) => (
      <span className="inline-flex items-center gap-1">
        <Price row={row} />
        <IconButton
          icon={Pencil}
          label={`Set what you ask for ${row.model_id}`}
          onClick={() => onPrice(row)}
        />
      </span>
    ),
  },
];

const OTHERS: readonly Column<Row>[] = [
  {
    name: 'Model',
    sort: (row) => row.model_id,
    show: (row) => (
      <span title={row.model_id} className="font-medium">
        {shortModel(row.model_id)}
      </span>
    ),
  },
  { name: 'Requests', number: true, sort: (row) => row.requests_24h, show: (row) => whole(row.requests_24h) },
  {
    name: 'Trend',
    wide: true,
    show: ({ demand_trend: trend }) =>
      trend === 'stable' ? (
        <span className="text-soft">Steady</span>
      ) : (
        <span className={trend === 'up' ? 'text-good' : 'text-bad'}>
          {trend === 'up' ? (
            <TrendingUp size={14} className="mr-1.5 inline" aria-hidden />
          ) : (
            <TrendingDown size={14} className="mr-1.5 inline" aria-hidden />
          )}
          {trend === 'up' ? 'Rising' : 'Falling'}
        </span>
      ),
  },
  {
    name: 'Providers',
    number: true,
    wide: true,
    sort: (row) => row.online_providers,
    show: (row) => whole(row.online_providers),
  },
  {
    name: 'Paid to providers',
    number: true,
    wide: true,
    sort: (row) => row.paid_to_providers_24h_usd,
    show: (row) => usd(row.paid_to_providers_24h_usd),
  },
  {
    name: 'Expected a day',
    number: true,
    sort: (row) => row.expected_daily_usd,
    show: (row) => <span className="font-medium">{usd(row.expected_daily_usd)}</span>,
  },
];

function Price({ row }: { row: Row }) {
  const { price, ask } = row;
  const text =
    price.request_price > 0
      ? `${usd(price.request_price)} each`
      : `${usd(price.input_price)} / ${usd(price.output_price)}`;
  return (
    <span title="Dollars per million tokens in and out, or per piece">
      {text}
      {ask && (
        <span className="ml-2">
          <Badge tone="accent">Yours</Badge>
        </span>
      )}
    </span>
  );
}

/** What the provider asks for a model, up to the listed price; without an ask the list holds. */
function AskDialog({ row, onClose }: { row: Row; onClose: () => void }) {
  const queries = useQueryClient();
  const perPiece = row.price.request_price > 0;
  const [input, setInput] = useState(String(row.price.input_price));
  const [output, setOutput] = useState(String(row.price.output_price));
  const [each, setEach] = useState(String(row.price.request_price));
  const save = async (ask: Record<string, string> | null): Promise<void> => {
    await act.setAsk(row.model_id, ask);
    toast.done(ask ? 'Your price holds from the next request on.' : 'The listed price holds again.');
    await Promise.all(
      [provider.asks(), provider.economics(), provider.why()].map(({ queryKey }) =>
        queries.invalidateQueries({ queryKey }),
      ),
    );
    onClose();
  };
  const form = useForm(() =>
    save(perPiece ? { request_price: each } : { input_price: input, output_price: output }),
  );
  const back = useForm(() => save(null));
  return (
    <Dialog open onClose={onClose} title="What you ask">
      <p className="mb-4 text-soft">
        <b className="font-medium text-ink">{row.model_id}</b>. A lower price than the listed one may put you
        in front of others; a higher one is refused. It holds for requests from now on.
      </p>
      <form onSubmit={form.onSubmit} className="space-y-4">
        {perPiece ? (
          <TextField label="Dollars per piece" inputMode="decimal" required value={each} onChange={setEach} />
        ) : (
          <div className="grid grid-cols-2 gap-3">
            <TextField
              label="Input"
              hint="$ per million tokens"
              inputMode="decimal"
              required
              value={input}
              onChange={setInput}
            />
            <TextField
              label="Output"
              hint="$ per million tokens"
              inputMode="decimal"
              required
              value={output}
              onChange={setOutput}
            />
          </div>
        )}
        <Problem>{form.errorOf('ask') ?? form.problem ?? back.problem}</Problem>
        <div className="flex flex-wrap justify-end gap-2">
          {row.ask && (
            <Button busy={back.busy} onClick={back.onSubmit}>
              Use the listed price
            </Button>
          )}
          <Button type="submit" kind="primary" busy={form.busy}>
            Ask this
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
