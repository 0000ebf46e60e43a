import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Check } from 'lucide-react';
import type { PlansAnswer } from '#wire/market.ts';
import { market } from '../../api.ts';
import { Badge } from '../../parts/badge.tsx';
import { Meter } from '../../parts/bars.tsx';
import { ButtonLink } from '../../parts/button.tsx';
import { cx } from '../../parts/class-names.ts';
import { ConfirmButton } from '../../parts/dialog.tsx';
import { short, usd } from '../../parts/format.ts';
import { Notice } from '../../parts/notice.tsx';
import { Card, PageHead } from '../../parts/page.tsx';
import { Loaded, Skeleton } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { toast } from '../../parts/toast.tsx';
import { linesOf } from '../public/plan-lines.ts';
import { account, type BalanceBody, change, type PlanBody } from './api.ts';
import { useBalance } from './money.tsx';

type Plan = PlansAnswer['data']['plans'][number];

/** The plan that holds, what of it is left, and the others. */
export default function PlanPage() {
  const query = useQuery(account.plan());
  const plans = useQuery(market.plans());
  const { balance } = useBalance();
  return (
    <>
      <PageHead title="Plan">
        How much may be asked at once, and what is included. A change holds at once.
      </PageHead>
      <Loaded query={query} skeleton={<span className="block h-0" />}>
        {(standing) => (
          <Standing
            key={standing.plan}
            standing={standing}
            plan={plans.data?.plans.find(({ name }) => name === standing.plan)}
          />
        )}
      </Loaded>
      <Loaded
        query={plans}
        skeleton={
          <div className="grid gap-4 md:grid-cols-3">
            {[1, 2, 3].map((each) => (
              <Skeleton key={each} className="h-80 rounded-xl" />
            ))}
          </div>
        }
      >
        {(data) => (
          <div className="grid gap-4 md:grid-cols-3">
            {data.plans
              .filter((plan) => !plan.by_operator_only || plan.name === query.data?.plan)
              .map((plan) => (
                <Offer key={plan.name} plan={plan} standing={query.data} balance={balance} />
              ))}
          </div>
        )}
      </Loaded>
      <p className="mt-6 text-soft">
        Business has places that are kept for you and terms of its own. Whoever runs this market gives it.
      </p>
    </>
  );
}

function Standing({ standing, plan }: { standing: PlanBody; plan: Plan | undefined }) {
  const meters = [
    standing.tokens_left_this_week !== null && plan?.tokens_per_week
      ? {
          name: 'Tokens left this week',
          left: standing.tokens_left_this_week,
          of: plan.tokens_per_week,
          shown: `${short(standing.tokens_left_this_week)} of ${short(plan.tokens_per_week)}`,
        }
      : undefined,
    standing.images_left_today !== null && plan?.images_per_day
      ? {
          name: 'Images left today',
          left: standing.images_left_today,
          of: plan.images_per_day,
          shown: `${short(standing.images_left_today)} of ${short(plan.images_per_day)}`,
        }
      : undefined,
    standing.covered_usd_left !== null
      ? {
          name: 'Worth left this month',
          left: Number(standing.covered_usd_left),
          of: standing.monthly_usd,
          shown: `${usd(standing.covered_usd_left)} of ${usd(standing.monthly_usd)}`,
        }
      : undefined,
  ].filter((each) => each !== undefined);
  // Where nothing is included or paid for, the offers below say all there is.
  if (meters.length === 0 && standing.paid_until === null) return null;
  return (
    <Card className="mb-6">
      <div className="flex flex-wrap items-start justify-between gap-4">
        <div>
          <p className="text-sm text-soft">Your plan</p>
          <p className="mt-0.5 text-2xl font-semibold">{standing.title}</p>
        </div>
        <p className="figures text-right">
          <span className="text-lg font-semibold">
            {standing.monthly_usd > 0 ? `${usd(standing.monthly_usd)} a month` : 'No monthly fee'}
          </span>
          {standing.paid_until !== null && (
            <span className="block text-sm text-soft">
              Paid until <Time at={standing.paid_until} />
            </span>
          )}
        </p>
      </div>
      {meters.length > 0 && (
        <div className="mt-5 grid gap-x-8 gap-y-5 border-t border-line pt-5 sm:grid-cols-3">
          {meters.map(({ name, left, of, shown }) => (
            <div key={name}>
              <p className="mb-2 flex items-baseline justify-between gap-3">
                <span className="text-soft">{name}</span>
                <span className="figures font-medium">{shown}</span>
              </p>
              <Meter label={name} share={left / of} tone={left / of < 0.1 ? 'warn' : 'accent'} />
            </div>
          ))}
        </div>
      )}
      {standing.covered_tiers.length > 0 && (
        <p className="mt-4 text-sm text-soft">
          Within these, {standing.covered_tiers.join(' and ')} models cost you nothing. Beyond them, and for
          other models, the balance pays.
        </p>
      )}
    </Card>
  );
}

function Offer({
  plan,
  standing,
  balance,
}: {
  plan: Plan;
  standing: PlanBody | undefined;
  balance: BalanceBody | undefined;
}) {
  const queries = useQueryClient();
  const isHeld = standing?.plan === plan.name;
  const isShort =
    plan.monthly_usd > 0 && balance !== undefined && Number(balance.available) < plan.monthly_usd;
  const choose = async (): Promise<void> => {
    await change.choosePlan(plan.name);
    await Promise.all([
      queries.invalidateQueries({ queryKey: account.plan().queryKey }),
      queries.invalidateQueries({ queryKey: account.balance().queryKey }),
    ]);
    toast.done(`You are on ${plan.title} now.`);
  };
  return (
    <section
      className={cx(
        'flex flex-col rounded-xl border bg-surface p-5 shadow-low',
        isHeld ? 'border-accent' : 'border-line',
      )}
    >
      <div className="flex items-center justify-between gap-2">
        <h2 className="text-lg font-semibold">{plan.title}</h2>
        {isHeld && <Badge tone="accent">Yours</Badge>}
      </div>
      <p className="figures mt-1 text-soft">
        {plan.monthly_usd > 0
          ? `${usd(plan.monthly_usd)} a month`
          : plan.name === 'free'
            ? 'Nothing to pay'
            : 'Only what you use'}
      </p>
      <ul className="mt-5 mb-6 space-y-2.5">
        {linesOf(plan).map((line) => (
          <li key={line} className="flex gap-2.5">
            <Check size={16} className="mt-0.5 shrink-0 text-accent" aria-hidden />
            {line}
          </li>
        ))}
      </ul>
      <div className="mt-auto">
        {isHeld ? (
          <p className="text-sm text-soft">This is your plan.</p>
        ) : isShort ? (
          <Notice title={`${usd(plan.monthly_usd)} must be on the balance`}>
            <ButtonLink to="/account/billing" search={{ tab: 'add' }} size="sm" className="mt-2">
              Add money
            </ButtonLink>
          </Notice>
        ) : (
          <ConfirmButton
            label={`Change to ${plan.title}`}
            title={`Change to ${plan.title}?`}
            confirm="Change the plan"
            danger={false}
            size="md"
            act={choose}
          >
            {plan.monthly_usd > 0
              ? `The first month, ${usd(plan.monthly_usd)}, is taken from the balance now, and then each month. If the balance does not cover it, you go back to paying as you go.`
              : 'It holds from the next request on.'}
            {standing?.paid_until != null &&
              plan.monthly_usd === 0 &&
              ' What you have paid for is not given back, but you may come back to it until it ends.'}
          </ConfirmButton>
        )}
      </div>
    </section>
  );
}
