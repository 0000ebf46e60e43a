import { Link } from '@tanstack/react-router';
import { type ReactNode, useMemo, useState } from 'react';
import type { LogAnswer, PriceAmounts } from '#wire/dashboard.ts';
import type { ProviderStatus } from '#wire/operator.ts';
import { Badge, StateDot, type Tone } from '../../parts/badge.tsx';
import { Button } from '../../parts/button.tsx';
import { cx } from '../../parts/class-names.ts';
import { NOTHING, price } from '../../parts/format.ts';
import { Skeleton } from '../../parts/states.tsx';

/** What several pages of operators show alike. */
export const PROVIDER_STATES: Readonly<Record<ProviderStatus, { tone: Tone; words: string }>> = {
  pending: { tone: 'warn', words: 'Waits' },
  under_review: { tone: 'warn', words: 'In review' },
  approved: { tone: 'accent', words: 'Approved' },
  activating: { tone: 'accent', words: 'Activating' },
  active: { tone: 'good', words: 'Active' },
  suspended: { tone: 'bad', words: 'Suspended' },
  removed: { tone: 'neutral', words: 'Removed' },
};

export function ProviderState({ status }: { status: string }) {
  const { tone, words } = PROVIDER_STATES[status as ProviderStatus] ?? { tone: 'neutral', words: status };
  return <StateDot tone={tone}>{words}</StateDot>;
}

export function TextLink({
  to,
  search,
  children,
  className,
}: {
  to: string;
  search?: Record<string, string>;
  children: ReactNode;
  className?: string;
}) {
  return (
    <Link to={to} search={search ?? {}} className={cx('font-medium hover:text-accent', className)}>
      {children}
    </Link>
  );
}

export function ProviderLink({ id, name }: { id: string; name?: string | null }) {
  return <TextLink to={`/operator/providers/${id}`}>{name ? name : shortId(id)}</TextLink>;
}

export function shortId(id: string): string {
  return id.length <= 18 ? id : `${id.slice(0, 9)}…${id.slice(-6)}`;
}

export function ModelId({ id }: { id: string }) {
  return id === '' ? 'all models' : <span className="font-mono text-sm wrap-anywhere">{id}</span>;
}

const SEVERITIES = {
  minor: 'neutral',
  major: 'warn',
  critical: 'bad',
} as const satisfies Record<string, Tone>;

export function Severity({ value }: { value: 'minor' | 'major' | 'critical' }) {
  return <Badge tone={SEVERITIES[value]}>{value[0]?.toUpperCase() + value.slice(1)}</Badge>;
}

/** A price in words: per million tokens, or per request. */
export function priceWords(amounts: PriceAmounts | null): string {
  if (!amounts) return NOTHING;
  const { input_price, output_price, request_price, minute_price } = amounts;
  if (request_price !== null)
    return `${price(request_price)} a request${minute_price === null ? '' : `, ${price(minute_price)} a minute`}`;
  return `${price(input_price ?? '0')} in, ${price(output_price ?? '0')} out`;
}

/** Rows of grey, as tall as a list will be. */
export function ListSkeleton({ rows = 3 }: { rows?: number }) {
  return (
    <div className="space-y-3">
      {Array.from({ length: rows }, (_, place) => (
        <Skeleton key={place} className="h-14 rounded-lg" />
      ))}
    </div>
  );
}

/** The first rows of many, and a button for more of them. */
export function useMore<Row>(
  rows: readonly Row[] | undefined,
  step = 25,
): [readonly Row[] | undefined, ReactNode] {
  const [shown, setShown] = useState(step);
  const left = (rows?.length ?? 0) - shown;
  return [
    useMemo(() => rows?.slice(0, shown), [rows, shown]),
    left > 0 ? (
      <div className="border-t border-line px-5 py-3 text-center">
        <Button size="sm" kind="quiet" onClick={() => setShown(shown + step * 4)}>
          Show more ({left})
        </Button>
      </div>
    ) : null,
  ];
}

/** Something that must not be overlooked, above a page. */
export function Notice({
  tone,
  title,
  children,
  action,
}: {
  tone: 'warn' | 'bad' | 'accent' | 'good';
  title: ReactNode;
  children?: ReactNode;
  action?: ReactNode;
}) {
  const looks = {
    warn: 'bg-warn-wash text-warn',
    bad: 'bg-bad-wash text-bad',
    accent: 'bg-accent-wash text-accent',
    good: 'bg-good-wash text-good',
  };
  return (
    <div
      className={cx('flex flex-wrap items-center justify-between gap-3 rounded-xl px-5 py-3.5', looks[tone])}
    >
      <div className="min-w-0">
        <p className="font-semibold">{title}</p>
        {children !== undefined && <div className="text-sm wrap-anywhere">{children}</div>}
      </div>
      {action}
    </div>
  );
}

type Action = LogAnswer['actions'][number];

/** What an operator did, in words: the call says it exactly. */
export function actionWords({ what }: Pick<Action, 'what'>): string {
  return ACTIONS[what] ?? what;
}

const ACTIONS: Readonly<Record<string, string>> = {
  'POST /api/v1/operator/providers/:id/status': 'Moved a provider',
  'POST /api/v1/operator/providers/:id/benchmark': 'Asked for a benchmark',
  'POST /api/v1/operator/providers/:id/endpoints': 'Added an endpoint',
  'POST /api/v1/operator/endpoints/:id/check': 'Probed an endpoint',
  'PUT /api/v1/operator/endpoints/:id/ask': 'Set an ask',
  'DELETE /api/v1/operator/endpoints/:id': 'Removed an endpoint',
  'POST /api/v1/operator/consumers/:id/credit': 'Gave credit',
  'POST /api/v1/operator/consumers/:id/payments': 'Booked a payment',
  'POST /api/v1/operator/consumers/:id/suspension': 'Suspended or let go on',
  'PUT /api/v1/operator/consumers/:id/plan': 'Changed a plan',
  'POST /api/v1/operator/price-proposals': 'Proposed a price',
  'POST /api/v1/operator/price-proposals/:id/confirm': 'Set a price',
  'DELETE /api/v1/operator/price-proposals/:id': 'Withdrew a price',
  'POST /api/v1/operator/collateral/:id/confirm': 'Confirmed a pledge',
  'POST /api/v1/operator/collateral/:id/reject': 'Rejected a pledge',
  'POST /api/v1/operator/burns': 'Noted a burn',
  'POST /api/v1/operator/incidents': 'Opened an incident',
  'POST /api/v1/operator/incidents/:id/notes': 'Wrote a note',
  'POST /api/v1/operator/incidents/:id/silence': 'Silenced an incident',
  'POST /api/v1/operator/incidents/:id/resolve': 'Resolved an incident',
  'POST /api/v1/operator/incidents/:id/post-mortem': 'Published a post-mortem',
  'POST /api/v1/operator/maintenance': 'Announced maintenance',
  'DELETE /api/v1/operator/maintenance/:id': 'Called maintenance off',
  'PATCH /api/v1/operator/tiers/:name': 'Changed a tier',
  'POST /api/v1/operator/reservations': 'Reserved places',
  'DELETE /api/v1/operator/reservations/:id': 'Ended a reservation',
  'POST /api/v1/operator/sla/runs': 'Closed a month',
  'POST /api/v1/operator/sla/exclusions': 'Entered an exclusion',
  'DELETE /api/v1/operator/sla/exclusions/:id': 'Withdrew an exclusion',
  'POST /api/v1/operator/sla/charges/:finding/appeal': 'Decided an appeal of a charge',
  'POST /api/v1/operator/benchmarks/:id/appeal': 'Decided an appeal of a benchmark',
  'POST /api/v1/operator/appeals/:id': 'Decided an appeal',
  'POST /api/v1/operator/likeness/:id/clear': 'Cleared a finding of likeness',
  'POST /api/v1/operator/audits': 'Audited the books',
  'POST /api/v1/operator/settlements': 'Paid out by hand',
  'POST /api/v1/operator/strangers/:id/explanation': 'Explained a stranger',
};

export const OUTCOMES: Readonly<Record<string, { tone: Tone; words: string }>> = {
  done: { tone: 'good', words: 'Done' },
  refused: { tone: 'warn', words: 'Refused' },
  failed: { tone: 'bad', words: 'Failed' },
  open: { tone: 'bad', words: 'Not ended' },
};

/** One value of a log, short. */
export function plainly(value: unknown): string {
  if (value === null || value === undefined || value === '') return NOTHING;
  return typeof value === 'string' ? value : JSON.stringify(value);
}
