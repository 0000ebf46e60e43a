import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { ArrowLeft } from 'lucide-react';
import type { RequestAnswer } from '#wire/dashboard.ts';
import { Badge } from '../../parts/badge.tsx';
import { PartsBar } from '../../parts/bars.tsx';
import { Id } from '../../parts/copy.tsx';
import { duration, NOTHING, rate, usdExact, usdFine, whole } from '../../parts/format.ts';
import { Notice } from '../../parts/notice.tsx';
import { Card, Facts, PageHead } from '../../parts/page.tsx';
import { Stat } from '../../parts/stat.tsx';
import { Loaded, Skeleton } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { account } from './api.ts';
import { OutcomeBadge } from './outcome.tsx';
import { Waterfall } from './waterfall.tsx';
import { FALLBACKS, FAULTS, RESULTS, shortModel, worded } from './words.ts';

/** One request: the way it took, its times, its charge and who got what of it. */
export default function Request() {
  const { id = '' } = useParams({ strict: false });
  const query = useQuery(account.request(id));
  return (
    <>
      <Link
        to="/account/usage"
        className="mb-3 inline-flex items-center gap-1.5 rounded text-sm text-soft hover:text-ink"
      >
        <ArrowLeft size={14} aria-hidden /> Usage
      </Link>
      <PageHead title={query.data ? shortModel(query.data.model) : 'Request'} tab="Request">
        <Id value={id} keep={34} />
      </PageHead>
      <Loaded query={query} skeleton={<Skeleton className="h-128 rounded-xl" />}>
        {(request) => <Told request={request} />}
      </Loaded>
    </>
  );
}

function Told({ request }: { request: RequestAnswer }) {
  const { timing, served, money } = request;
  return (
    <div className="space-y-4">
      {request.error !== null && (
        <Notice tone={request.outcome === 'failed' ? 'bad' : 'warn'} title={worded(request.error)}>
          {served.at_fault === null ? 'It did not end well' : `The fault was ${FAULTS[served.at_fault]}`}
          {Number(money.charged_usd) === 0
            ? ', and nothing was charged.'
            : '. What came was charged, and no more.'}
        </Notice>
      )}
      <div className="grid grid-cols-2 gap-4 xl:grid-cols-4">
        <Stat
          name="Charge"
          value={usdFine(request.charge_usd)}
          hint={<OutcomeBadge outcome={request.outcome} />}
        />
        <Stat
          name="First token"
          value={duration(timing.until_first_token_ms)}
          hint={served.queue_ms === null ? undefined : `${duration(served.queue_ms)} of it in the queue`}
        />
        <Stat name="Speed" value={rate(timing.tokens_per_s)} hint={`${duration(timing.total_ms)} in all`} />
        <Stat
          name="Tokens"
          value={whole(request.input_tokens + request.output_tokens)}
          hint={`${whole(request.input_tokens)} read, ${whole(request.output_tokens)} written`}
        />
      </div>
      <Card title="Timing" hint="From the moment that the market accepted it.">
        <Waterfall request={request} />
      </Card>
      <Route request={request} />
      <div className="grid gap-4 lg:grid-cols-2">
        <Card title="Charge">
          <Facts
            rows={[
              ['Charged', usdExact(money.charged_usd)],
              ...(Number(money.refunded_usd) > 0
                ? ([['Given back', `−${usdExact(money.refunded_usd)}`]] as const)
                : []),
              ...(Number(money.covered_by_plan_usd) > 0
                ? ([['Paid by your plan', usdExact(money.covered_by_plan_usd)]] as const)
                : []),
              ...(request.model === null || request.price === null
                ? []
                : ([
                    [
                      'By the price',
                      <Link
                        key="price"
                        to={modelPath(request.model)}
                        className="text-accent underline underline-offset-2"
                      >
                        {shortModel(request.model)}
                      </Link>,
                    ],
                  ] as const)),
            ]}
          />
          <h3 className="mt-4 mb-3 text-sm font-medium text-soft">Who got it</h3>
          {Number(money.charged_usd) + Number(money.covered_by_plan_usd) === 0 ? (
            <p className="text-soft">Nothing was charged, so nobody got anything.</p>
          ) : (
            <PartsBar
              label="How the charge was shared out"
              parts={[
                ['Provider', money.split.provider_usd] as const,
                ['Market’s fee', money.split.fee_usd] as const,
                ['Treasury', money.split.treasury_usd] as const,
                ['Burn', money.split.burn_usd] as const,
              ].map(([name, amount]) => ({ name, value: Number(amount), shown: usdExact(amount) }))}
            />
          )}
        </Card>
        <Card title="Facts">
          <Facts
            rows={[
              ['When', <Time key="at" at={request.at} />],
              ['Model', request.model ?? NOTHING],
              ['Operation', request.operation],
              ['Streamed', request.streamed ? 'Yes' : 'No'],
              [
                'Key',
                <Link
                  key="key"
                  to="/account/usage"
                  search={{ key: request.key_id }}
                  className="text-accent underline underline-offset-2"
                >
                  {request.key_name ?? request.key_id}
                </Link>,
              ],
              ['Served by', request.provider ?? NOTHING],
              ['Region', served.region ?? NOTHING],
              ['Tier', served.tier === null ? NOTHING : worded(served.tier)],
              ...(served.fallback_used === null
                ? []
                : ([['Stand-in', FALLBACKS[served.fallback_used]]] as const)),
              ...(request.images_or_recordings > 0
                ? ([['Images or recordings', whole(request.images_or_recordings)]] as const)
                : []),
              ...(request.seconds_of_sound > 0
                ? ([['Sound', `${whole(request.seconds_of_sound)} s`]] as const)
                : []),
            ]}
          />
        </Card>
      </div>
    </div>
  );
}

function modelPath(id: string): string {
  return `/models/${id.split('/').map(encodeURIComponent).join('/')}`;
}

/** Each attempt in words. */
function Route({ request }: { request: RequestAnswer }) {
  const { route } = request.served;
  return (
    <Card
      title="Route taken"
      hint={
        route === null
          ? undefined
          : route.length === 1
            ? 'The first provider that was asked.'
            : `${route.length} attempts. When one fails, the next goes on, and the loss is not yours.`
      }
    >
      {route === null ? (
        <p className="text-soft">The way that a request took is kept for a while, and this one’s is gone.</p>
      ) : route.length === 0 ? (
        <p className="text-soft">No provider was asked.</p>
      ) : (
        <ol className="divide-y divide-line">
          {route.map((each, place) => {
            const { tone, words } = RESULTS[each.result] ?? {
              tone: 'neutral' as const,
              words: worded(each.result),
            };
            return (
              <li
                key={each.attempt}
                className="flex flex-wrap items-center gap-x-4 gap-y-1 py-3 first:pt-0 last:pb-0"
              >
                <span className="figures flex size-6 shrink-0 items-center justify-center rounded-full bg-sunken text-xs font-medium text-soft">
                  {place + 1}
                </span>
                <span className="min-w-0 flex-1 basis-48">
                  <span className="font-medium">{each.provider ?? 'A provider that has left'}</span>
                  <span className="block text-sm text-soft">
                    {[
                      each.connection_mode === 'external' ? 'Reserve endpoint' : 'Its own machine',
                      each.region,
                      each.model === request.model ? undefined : shortModel(each.model),
                    ]
                      .filter(Boolean)
                      .join(' · ')}
                  </span>
                </span>
                <Badge tone={tone}>{words}</Badge>
                <span className="figures text-soft max-sm:w-full max-sm:pl-10 sm:w-24 sm:text-right">
                  {duration(each.took_ms)}
                </span>
              </li>
            );
          })}
        </ol>
      )}
    </Card>
  );
}
