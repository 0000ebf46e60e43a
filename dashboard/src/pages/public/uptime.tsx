import { useQuery } from '@tanstack/react-query';
import { Activity, Rss } from 'lucide-react';
import type { StatusBody } from '#wire/status.ts';
import { market } from '../../api.ts';
import { Badge, StateDot, type Tone } from '../../parts/badge.tsx';
import { ButtonLink } from '../../parts/button.tsx';
import { cx } from '../../parts/class-names.ts';
import { duration, percent, plural, rate } from '../../parts/format.ts';
import { Card, PageHead } from '../../parts/page.tsx';
import { Empty, Loaded, Skeleton } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { Days } from './days.tsx';
import { type Component, STATES } from './figures.ts';

const HEADLINES: Readonly<Record<StatusBody['state'], { words: string; look: string }>> = {
  operational: { words: 'Every model that is served answers', look: 'bg-good-wash text-good' },
  degraded: { words: 'Some models are impaired', look: 'bg-warn-wash text-warn' },
  outage: { words: 'Models are down', look: 'bg-bad-wash text-bad' },
  maintenance: { words: 'Maintenance is under way', look: 'bg-accent-wash text-accent' },
  unserved: { words: 'No model is served yet', look: 'bg-accent-wash text-accent' },
};

/** How it goes, and how it went: the same figures as `/status`, which needs no scripts. */
export default function Uptime() {
  const query = useQuery(market.status());
  return (
    <>
      <PageHead
        title="Status"
        actions={
          <ButtonLink href="/status.atom" icon={Rss} size="sm">
            Feed
          </ButtonLink>
        }
      >
        Measured at the gateway, minute by minute. Nothing here is set by hand but maintenance.
      </PageHead>
      <Loaded query={query} skeleton={<Skeleton className="h-96 rounded-xl" />}>
        {(report) => <Report report={report} />}
      </Loaded>
    </>
  );
}

function Report({ report }: { report: StatusBody }) {
  const open = report.incidents.filter((each) => each.resolved_at === null);
  const past = report.incidents.filter((each) => each.resolved_at !== null);
  const coming = report.maintenance.filter((each) => each.until > report.at);
  const { words, look } = HEADLINES[report.state];
  const whole = report.components.filter(({ region }) => region === '');
  return (
    <div className="space-y-6">
      <div className={cx('flex flex-wrap items-center justify-between gap-2 rounded-xl px-5 py-4', look)}>
        <p className="text-xl font-semibold">{words}</p>
        <p className="text-sm">
          As of <Time at={report.at} />
          {report.changes_frozen && '. Changes to this market are on hold.'}
        </p>
      </div>
      {open.length > 0 && <Incidents title="Open incidents" incidents={open} />}
      {coming.length > 0 && (
        <Card title="Maintenance">
          <ul className="space-y-3">
            {coming.map((each) => (
              <li key={each.id}>
                <p className="font-medium">{each.words}</p>
                <p className="text-sm text-soft">
                  {each.model === '' ? 'The whole market' : each.model}, <Time at={each.from} /> to{' '}
                  <Time at={each.until} />
                </p>
              </li>
            ))}
          </ul>
        </Card>
      )}
      <Card title="Models" hint="Each bar is a day: 99.9 % and more, 99 % and more, or less was answered.">
        {whole.length === 0 ? (
          <Empty icon={Activity} title="Nobody has served anything here yet">
            A model appears once a provider has offered it.
          </Empty>
        ) : (
          <ul className="divide-y divide-line">
            {whole.map((component) => (
              <Line
                key={component.model}
                component={component}
                regions={report.components.filter(
                  ({ model, region }) => model === component.model && region !== '',
                )}
              />
            ))}
          </ul>
        )}
      </Card>
      {past.length === 0 ? (
        <Card title="Past incidents">
          <p className="text-soft">None in 90 days.</p>
        </Card>
      ) : (
        <Incidents title="Past incidents" incidents={past} />
      )}
    </div>
  );
}

/** What was answered, and how fast. */
function said({ availability_90d: share, last_24h: last }: Component): string {
  const answered =
    share === null ? 'Nothing was asked in 90 days.' : `${percent(share)} answered in 90 days.`;
  if (last?.ttft_p95_ms == null) return answered;
  const speed = last.tokens_per_second ? `, ${rate(last.tokens_per_second)}` : '';
  return `${answered} First token ${duration(last.ttft_p50_ms)} (p95 ${duration(last.ttft_p95_ms)})${speed} in the last 24 hours.`;
}

function Line({ component, regions }: { component: Component; regions: readonly Component[] }) {
  const { tone, words } = STATES[component.state];
  return (
    <li className="py-5 first:pt-0 last:pb-0">
      <div className="mb-2 flex flex-wrap items-baseline justify-between gap-x-4">
        <h3 className="font-semibold">
          {component.name}
          <span className="ml-2 text-sm font-normal text-soft">
            {plural(component.providers, 'provider')}
          </span>
        </h3>
        <StateDot tone={tone}>{words}</StateDot>
      </div>
      <Days days={component.days} />
      <p className="figures mt-1 text-sm text-soft">{said(component)}</p>
      {regions.length > 0 && (
        <ul className="mt-3 space-y-3 border-l-2 border-line pl-4">
          {regions.map((each) => (
            <li key={each.region}>
              <div className="mb-1 flex flex-wrap items-baseline justify-between gap-x-4 text-sm">
                <h4 className="font-medium">
                  {each.region}
                  <span className="ml-2 font-normal text-soft">{plural(each.providers, 'provider')}</span>
                </h4>
                <StateDot tone={STATES[each.state].tone}>{STATES[each.state].words}</StateDot>
              </div>
              <Days days={each.days} />
              <p className="figures mt-1 text-sm text-soft">{said(each)}</p>
            </li>
          ))}
        </ul>
      )}
    </li>
  );
}

const SEVERITIES: Readonly<Record<StatusBody['incidents'][number]['worst'], Tone>> = {
  minor: 'neutral',
  major: 'warn',
  critical: 'bad',
};

function Incidents({ title, incidents }: { title: string; incidents: StatusBody['incidents'] }) {
  return (
    <Card title={title}>
      <ul className="divide-y divide-line">
        {incidents.map((each) => (
          <li key={each.id} id={each.id} className="py-4 first:pt-0 last:pb-0">
            <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
              <h3 className="font-semibold">
                {[each.model === '' ? 'The whole market' : each.model, each.region]
                  .filter(Boolean)
                  .join(', ')}
              </h3>
              <Badge tone={SEVERITIES[each.worst]}>{each.worst}</Badge>
              <span className="text-sm text-soft">
                <Time at={each.opened_at} />
                {each.resolved_at !== null && (
                  <>
                    {' '}
                    to <Time at={each.resolved_at} />
                  </>
                )}
              </span>
            </div>
            <ol className="mt-2 space-y-1 text-soft">
              {each.steps.toReversed().map((step) => (
                <li key={`${step.at} ${step.words}`}>
                  {step.words}{' '}
                  <span className="text-sm text-faint">
                    <Time at={step.at} />
                  </span>
                </li>
              ))}
            </ol>
          </li>
        ))}
      </ul>
    </Card>
  );
}
