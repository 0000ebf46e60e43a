import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { Boxes, ChartNoAxesColumn, MessageSquare } from 'lucide-react';
import { useMemo } from 'react';
import type { PriceHistoryAnswer } from '#wire/market.ts';
import { market } from '../../api.ts';
import { Badge, StateDot } from '../../parts/badge.tsx';
import { ButtonLink } from '../../parts/button.tsx';
import { Chart, ChartSkeleton } from '../../parts/chart.tsx';
import { CodeBlock } from '../../parts/code.tsx';
import { Id } from '../../parts/copy.tsx';
import {
  duration,
  NOTHING,
  percent,
  perMillion,
  plural,
  price,
  rate,
  short,
  tokens,
  usd,
} from '../../parts/format.ts';
import { Card, Facts, PageHead } from '../../parts/page.tsx';
import { Stat } from '../../parts/stat.tsx';
import { Empty, Failure, Loaded, Skeleton } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { wallMs } from '../../surroundings.ts';
import { Days } from './days.tsx';
import { CATEGORIES, type MeasuredModel, STATES, useMeasuredModels } from './figures.ts';
import { samplesFor } from './samples.ts';

/** One model: what it costs, how it does, and how to call it. */
export default function Model() {
  const params: { org?: string; name?: string } = useParams({ strict: false });
  const name = [params.org, params.name].filter(Boolean).join('/');
  const { models, error, retry } = useMeasuredModels();
  const model = models?.find((each) => each.id === name || each.slug === name);
  if (model) return <Known model={model} key={model.id} />;
  if (error !== null) return <Failure error={error} retry={retry} />;
  if (models === undefined) return <Waiting name={name} />;
  return (
    <>
      <PageHead title="No such model" />
      <Empty
        icon={Boxes}
        title={`“${name}” is not on sale`}
        action={
          <ButtonLink to="/models" kind="primary">
            All models
          </ButtonLink>
        }
      >
        It may have been taken off the catalogue, or be called something else.
      </Empty>
    </>
  );
}

function Known({ model }: { model: MeasuredModel }) {
  const demand = useQuery(market.demand()).data?.models.find((each) => each.model_id === model.id);
  const status = useQuery(market.status()).data;
  const component = status?.components.find((each) => each.model === model.id && each.region === '');
  const byToken = model.pricing['prompt'] !== undefined;
  const { tone, words } = STATES[model.state];
  const last = component?.last_24h;
  return (
    <>
      <PageHead
        title={model.name}
        tab={model.name}
        actions={
          model.category !== 'embedding' && (
            <ButtonLink to="/playground" search={{ model: model.id }} kind="primary" icon={MessageSquare}>
              Open in the playground
            </ButtonLink>
          )
        }
      >
        <div className="flex flex-wrap items-center gap-x-3 gap-y-1.5">
          <Id value={model.id} keep={60} />
          <Badge>{CATEGORIES[model.category]}</Badge>
          {model.tier === 'free' && <Badge tone="accent">Free plan</Badge>}
          <StateDot tone={tone}>
            {model.available ? `${plural(model.providers, 'provider')} now` : words}
          </StateDot>
        </div>
      </PageHead>

      <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
        {byToken ? (
          <>
            <Stat name="Input" value={perMillion(model.pricing['prompt'] ?? '0')} hint="per million tokens" />
            <Stat
              name="Output"
              value={perMillion(model.pricing['completion'] ?? '0')}
              hint="per million tokens"
            />
          </>
        ) : (
          <>
            <Stat
              name="Price"
              value={model.pricing['request'] === undefined ? NOTHING : price(model.pricing['request'])}
              hint={model.category === 'image' ? 'per image' : 'per request'}
            />
            <Stat
              name="Per minute"
              value={model.pricing['minute'] === undefined ? NOTHING : price(model.pricing['minute'])}
              hint={model.pricing['minute'] === undefined ? 'not billed by length' : 'of sound'}
            />
          </>
        )}
        <Stat
          name="First token"
          value={status && duration(last?.ttft_p50_ms)}
          hint={last?.ttft_p95_ms == null ? 'not measured yet' : `p95 ${duration(last.ttft_p95_ms)}`}
        />
        <Stat
          name="Speed"
          value={status && rate(model.tokensPerSecond)}
          hint={model.tokensPerSecond === null ? 'not measured' : 'last 24 hours'}
        />
      </div>

      <div className="mt-6 grid gap-6 lg:grid-cols-[minmax(0,1fr)_20rem]">
        <div className="min-w-0 space-y-6">
          <CodeBlock samples={samplesFor(model)} label={`Call ${model.name}`} />
          <Card
            title="Availability"
            hint={
              model.availability === null
                ? 'Nothing was asked in 90 days.'
                : `${percent(model.availability)} of what was asked in 90 days was answered.`
            }
          >
            {component ? (
              <Days days={component.days} />
            ) : status ? (
              <Days days={[]} />
            ) : (
              <Skeleton className="h-9" />
            )}
          </Card>
          <FirstTokens hours={last?.ttft_p95_ms_by_hour} at={status?.at} />
          <Prices modelId={model.id} />
        </div>
        <Card title="About" className="self-start">
          <Facts
            rows={[
              ['Context', model.context_length === null ? NOTHING : `${tokens(model.context_length)} tokens`],
              [
                'Longest answer',
                model.max_output_tokens === null ? NOTHING : `${tokens(model.max_output_tokens)} tokens`,
              ],
              [
                'Short name',
                <code key="slug" className="font-mono text-sm">
                  {model.slug}
                </code>,
              ],
              ['Requests, 24 hours', demand ? short(demand.requests_24h) : NOTHING],
              ['Tokens, 24 hours', demand ? short(demand.tokens_24h) : NOTHING],
              ['Spent, 24 hours', demand ? usd(demand.revenue_24h) : NOTHING],
              [
                'Prompt, median',
                demand?.prompt_tokens_p50 == null ? NOTHING : `${tokens(demand.prompt_tokens_p50)} tokens`,
              ],
              ['Server errors', percent(last?.server_errors)],
              ['Memory to serve it', demand?.vram_known ? `${demand.min_vram_gb} GB` : NOTHING],
            ]}
          />
        </Card>
      </div>
    </>
  );
}

const HOUR_MS = 3_600_000;

function FirstTokens({
  hours,
  at,
}: {
  hours: readonly (number | null)[] | undefined;
  at: string | undefined;
}) {
  const chart = useMemo(() => {
    if (!hours || at === undefined || hours.every((each) => each === null)) return undefined;
    const last = Math.floor(Date.parse(at) / HOUR_MS) * HOUR_MS;
    return {
      times: hours.map((_, place) => last - (hours.length - 1 - place) * HOUR_MS),
      series: [{ name: 'p95', values: hours }],
    };
  }, [hours, at]);
  return (
    <Card title="First token" hint="95th percentile by hour, last 24 hours">
      {at === undefined ? (
        <ChartSkeleton />
      ) : chart ? (
        <Chart
          label="Time to the first token, 95th percentile by hour"
          {...chart}
          by="hour"
          format={duration}
        />
      ) : (
        <Empty icon={ChartNoAxesColumn} title="Nothing measured yet">
          The curve begins with the first answer. Send a request, or open the playground.
        </Empty>
      )}
    </Card>
  );
}

type PriceVersion = PriceHistoryAnswer['data']['prices'][number];

/** Every price that the model had, has or will have. */
function Prices({ modelId }: { modelId: string }) {
  const query = useQuery(market.prices(modelId));
  return (
    <Card title="Price history" hint="A request costs what was published when it came in.">
      <Loaded query={query} skeleton={<ChartSkeleton />}>
        {({ prices }) => <PriceChart prices={prices} />}
      </Loaded>
    </Card>
  );
}

function PriceChart({ prices }: { prices: readonly PriceVersion[] }) {
  const byToken = prices.some((each) => each.input_price !== null);
  const chart = useMemo(() => {
    const rising = prices.toReversed();
    const now = wallMs();
    const last = rising.at(-1);
    if (!last) return undefined;
    // The last price holds to this day, and a new one from its first.
    const points = [
      ...rising,
      {
        ...last,
        effective_from: new Date(Math.max(now, Date.parse(last.effective_from) + 86_400_000)).toISOString(),
      },
    ];
    const line = (name: string, of: (each: PriceVersion) => string | null) => ({
      name,
      values: points.map((each) => (of(each) === null ? null : Number(of(each)))),
    });
    return {
      times: points.map((each) => Date.parse(each.effective_from)),
      series: byToken
        ? [line('Output', (each) => each.output_price), line('Input', (each) => each.input_price)]
        : [line('Price', (each) => each.request_price ?? each.minute_price)],
    };
  }, [prices, byToken]);
  if (!chart) return <p className="text-soft">No price was set yet.</p>;
  return (
    <>
      {prices.length > 1 && (
        <Chart label="Price history" {...chart} as="steps" by="day" format={usd} height={180} />
      )}
      <table className="figures mt-2 w-full">
        <caption className="sr-only">Prices, newest first</caption>
        <thead>
          <tr className="text-left text-xs text-soft">
            <th className="py-2 font-medium">From</th>
            {chart.series.map(({ name }) => (
              <th key={name} className="py-2 text-right font-medium">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {prices.slice(0, 8).map((each) => (
            <tr key={each.effective_from} className="border-t border-line">
              <td className="py-2">
                <Time at={each.effective_from} as="day" />
              </td>
              {byToken ? (
                <>
                  <td className="text-right">
                    {each.output_price === null ? NOTHING : price(each.output_price)}
                  </td>
                  <td className="text-right">
                    {each.input_price === null ? NOTHING : price(each.input_price)}
                  </td>
                </>
              ) : (
                <td className="text-right">{price(each.request_price ?? each.minute_price ?? '0')}</td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

function Waiting({ name }: { name: string }) {
  return (
    <>
      <PageHead title={name.split('/').at(-1) ?? name} />
      <div className="grid grid-cols-2 gap-3 lg:grid-cols-4" aria-busy="true">
        {['Input', 'Output', 'First token', 'Speed'].map((each) => (
          <Stat key={each} name={each} value={undefined} />
        ))}
      </div>
      <Skeleton className="mt-6 h-72 rounded-xl" />
    </>
  );
}
