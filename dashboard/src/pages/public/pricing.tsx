import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Boxes, Check } from 'lucide-react';
import type { PlansAnswer } from '#wire/market.ts';
import { market } from '../../api.ts';
import { ButtonLink } from '../../parts/button.tsx';
import { cx } from '../../parts/class-names.ts';
import { DataTable } from '../../parts/data-table.tsx';
import { Card, PageHead } from '../../parts/page.tsx';
import { Empty, Loaded, Skeleton } from '../../parts/states.tsx';
import { useMeasuredModels } from './figures.ts';
import { MODEL_COLUMNS } from './model-cells.tsx';
import { linesOf } from './plan-lines.ts';

type Plan = PlansAnswer['data']['plans'][number];

const COLUMNS = [
  MODEL_COLUMNS.name,
  MODEL_COLUMNS.context,
  MODEL_COLUMNS.input,
  MODEL_COLUMNS.output,
  MODEL_COLUMNS.state,
];

/** Plans, and what each model costs. */
export default function Pricing() {
  const plans = useQuery(market.plans());
  const { models } = useMeasuredModels();
  return (
    <>
      <PageHead title="Pricing">
        Pay for the tokens that you get, exact to a trillionth of a dollar. Failed requests cost nothing, and
        there is no minimum.
      </PageHead>
      <Loaded
        query={plans}
        skeleton={
          <div className="grid gap-4 md:grid-cols-3">
            {[1, 2, 3].map((each) => (
              <Skeleton key={each} className="h-96 rounded-xl" />
            ))}
          </div>
        }
      >
        {(data) => (
          <div className="grid gap-4 md:grid-cols-3">
            {data.plans
              .filter((plan) => !plan.by_operator_only)
              .map((plan) => (
                <PlanCard key={plan.name} plan={plan} />
              ))}
          </div>
        )}
      </Loaded>

      <section className="mt-12">
        <h2 className="text-xl font-semibold">Every model</h2>
        <p className="mb-4 text-soft">
          Dollars per million tokens unless it says otherwise. A price that changes does so from a published
          moment on;{' '}
          <Link to="/models" className="text-accent underline underline-offset-2">
            each model shows its history
          </Link>
          .
        </p>
        <Card flush className="overflow-hidden">
          <DataTable
            caption="Prices"
            columns={COLUMNS}
            rows={models}
            rowKey={(model) => model.id}
            first="Model"
            skeletonRows={10}
            empty={
              <Empty icon={Boxes} title="No models are on sale yet">
                Whoever runs this market adds them to its catalogue.
              </Empty>
            }
          />
        </Card>
      </section>

      <section className="mt-12 grid gap-4 md:grid-cols-3">
        {NOTES.map(([title, words]) => (
          <div key={title}>
            <h3 className="font-semibold">{title}</h3>
            <p className="mt-1 text-soft">{words}</p>
          </div>
        ))}
      </section>
    </>
  );
}

const NOTES = [
  [
    'You pay for what you receive',
    'Tokens are counted by the market itself as they pass. If a provider fails or is cut off, the next one goes on and the loss is ours.',
  ],
  [
    'You cannot overspend',
    'A request is held against your balance before it runs. Keys have caps for the day and the month, and end when you say.',
  ],
  [
    'Reliability is measured',
    'Every minute counts towards the published availability. When a target is missed, the credit is computed for you.',
  ],
] as const;

const CALLS: Readonly<Record<string, string>> = {
  free: 'Start free',
  'pay-as-you-go': 'Start paying as you go',
  pro: 'Choose Pro',
};

function PlanCard({ plan }: { plan: Plan }) {
  const featured = plan.name === 'pay-as-you-go';
  return (
    <section
      className={cx(
        'flex flex-col rounded-xl border bg-surface p-6 shadow-low',
        featured ? 'border-accent' : 'border-line',
      )}
    >
      <h2 className="text-lg font-semibold">{plan.title}</h2>
      <p className="figures mt-3 flex items-baseline gap-1.5">
        <span className="text-3xl font-semibold tracking-tight">
          {featured ? 'Per token' : `$${plan.monthly_usd}`}
        </span>
        {!featured && <span className="text-soft">a month</span>}
      </p>
      <ul className="mt-6 mb-8 space-y-2.5">
        {linesOf(plan).map((line) => (
          <li key={line} className="flex gap-2.5">
            <Check size={16} className="mt-0.5 shrink-0 text-accent" aria-hidden />
            {line}
          </li>
        ))}
      </ul>
      <ButtonLink to="/sign-up" kind={featured ? 'primary' : 'plain'} className="mt-auto">
        {CALLS[plan.name] ?? 'Sign up'}
      </ButtonLink>
    </section>
  );
}
