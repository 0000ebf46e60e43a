import { useQuery } from '@tanstack/react-query';
import { Check, CircleHelp, Minus, X } from 'lucide-react';
import { Fragment, type ReactNode } from 'react';
import type { WhyAnswer } from '#wire/console.ts';
import { Badge } from '../../parts/badge.tsx';
import { ButtonLink } from '../../parts/button.tsx';
import { cx } from '../../parts/class-names.ts';
import { Id } from '../../parts/copy.tsx';
import { duration, NOTHING, percent, plural, rate, usd } from '../../parts/format.ts';
import { Note } from '../../parts/note.tsx';
import { Card, Facts, PageHead } from '../../parts/page.tsx';
import { Empty, Loaded, Skeleton } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { useUrlState } from '../../parts/url-state.ts';
import { provider } from './api.ts';
import { shortModel } from './figures.ts';

type Model = WhyAnswer['models'][number];
type Node = Model['nodes'][number];
type Gate = WhyAnswer['steps'][number];

/** What stands between a request and this provider: every gate in its order, its place, and what would put it in front. */
export default function Why() {
  const query = useQuery(provider.why());
  return (
    <>
      <PageHead title="Why no traffic">
        What the market looks at before it sends a request, in its order, with the figure that decides. It is
        as of now.
      </PageHead>
      <Loaded query={query} skeleton={<Skeleton className="h-96" />}>
        {(found) => <Answer found={found} />}
      </Loaded>
    </>
  );
}

function Answer({ found }: { found: WhyAnswer }) {
  const [chosen, choose] = useUrlState('model', '');
  const model = found.models.find(({ model_id: id }) => id === chosen) ?? found.models[0];
  const blocked = found.steps.find(({ passes }) => passes === false);
  return (
    <div className="space-y-6">
      {blocked ? (
        <Note
          tone="warn"
          action={
            <ButtonLink to="/provider" size="sm">
              What to do
            </ButtonLink>
          }
        >
          No model of yours gets requests: {sentence(blocked.gate)} is “{blocked.found}”, and “
          {blocked.wanted}” is wanted.
        </Note>
      ) : (
        found.models.length > 0 &&
        (found.models.every(({ serving }) => serving) ? (
          <Note tone="good">All {plural(found.models.length, 'model')} of yours may get requests.</Note>
        ) : (
          <Note tone="warn">
            {plural(found.models.filter(({ serving }) => !serving).length, 'model')} of {found.models.length}{' '}
            get no requests.
          </Note>
        ))
      )}
      <Card title="For all your models" hint={`You are ${found.status.replaceAll('_', ' ')}.`}>
        <Gates gates={found.steps} />
      </Card>
      {model === undefined ? (
        <Card>
          <Empty
            icon={CircleHelp}
            title="No model is offered"
            action={
              <ButtonLink to="/provider/nodes" kind="primary">
                Look at your nodes
              </ButtonLink>
            }
          >
            Nothing of the catalogue is offered by a node of yours at this moment.
          </Empty>
        </Card>
      ) : (
        <div className="grid items-start gap-6 lg:grid-cols-[16rem_minmax(0,1fr)]">
          <nav aria-label="Models" className="min-w-0">
            <ul className="space-y-1">
              {found.models.map((each) => (
                <li key={each.model_id}>
                  <button
                    type="button"
                    aria-pressed={each === model}
                    onClick={() => choose(each.model_id)}
                    className={cx(
                      'flex w-full items-center gap-2.5 rounded-lg border px-3 py-2 text-left transition-colors',
                      each === model
                        ? 'border-line bg-surface font-medium shadow-low'
                        : 'border-transparent text-soft hover:bg-hover hover:text-ink',
                    )}
                  >
                    <Mark passes={each.serving} />
                    <span className="min-w-0 flex-1 truncate">{shortModel(each.model_id)}</span>
                    {each.rank !== null && <span className="figures text-sm text-soft">#{each.rank}</span>}
                  </button>
                </li>
              ))}
            </ul>
          </nav>
          <ModelView key={model.model_id} model={model} strategy={found.strategy} />
        </div>
      )}
    </div>
  );
}

function ModelView({ model, strategy }: { model: Model; strategy: string | null }) {
  const lead = model.to_lead;
  return (
    <div className="min-w-0 space-y-6">
      <Card
        title={model.model_id}
        hint={model.summary}
        actions={
          <Badge tone={model.serving ? 'good' : 'warn'}>
            {model.serving ? 'May get requests' : 'Gets none'}
          </Badge>
        }
      >
        <Gates gates={model.steps} />
        <div className="mt-4 grid gap-x-8 md:grid-cols-2">
          <Facts
            rows={[
              ['Your place', model.rank === null ? 'none' : `${model.rank} of ${model.may_serve}`],
              ['Who offers it', plural(model.candidates, 'node')],
            ]}
          />
          <Facts
            rows={[
              ['Chosen by', strategy === null ? NOTHING : strategy.replaceAll('-', ' ')],
              ['Nobody is healthy', model.panic ? 'yes: all are tried' : 'no'],
            ]}
          />
        </div>
      </Card>
      {lead && <Lead lead={lead} own={model.nodes.find(({ rank }) => rank === model.rank)} />}
      {model.wishes.some(({ passes }) => !passes) && (
        <Card
          title="Requests with wishes"
          hint="Consumers may ask for more than the model; these you do not meet"
        >
          <Gates
            gates={model.wishes
              .filter(({ passes }) => !passes)
              .map(({ wish, passes, found }) => ({ gate: wish, passes, found, wanted: '' }))}
          />
        </Card>
      )}
      {model.nodes.map((node) => (
        <NodeView key={node.node_id} node={node} />
      ))}
      {model.nodes_not_shown > 0 && (
        <p className="text-soft">
          {plural(model.nodes_not_shown, 'more node')} of yours offer it and are not shown.
        </p>
      )}
    </div>
  );
}

/** What whoever is in front has, and what this provider would need. */
function Lead({ lead, own }: { lead: NonNullable<Model['to_lead']>; own: Node | undefined }) {
  const { leader, decides } = lead;
  if (decides === 'nothing' || leader === null) {
    return <Note tone="good">Nobody is in front of you here.</Note>;
  }
  const wins: ReactNode[] = [];
  if (lead.ttft_ms !== null) wins.push(<>a first token within {duration(lead.ttft_ms)}</>);
  if (lead.price_below !== null) wins.push(<>a price below {priceOf(lead.price_below)}</>);
  return (
    <Card
      title="What would put you in front"
      hint={
        wins.length === 0
          ? 'No change of speed or price alone would: it takes more successful requests.'
          : undefined
      }
      actions={
        <ButtonLink to="/provider/models" size="sm">
          Set a price
        </ButtonLink>
      }
    >
      {wins.length > 0 && (
        <p className="mb-3 text-lg font-medium">
          {wins.map((each, place) => (
            <Fragment key={place}>
              {place > 0 && <span className="font-normal text-soft"> or </span>}
              {each}
            </Fragment>
          ))}
        </p>
      )}
      <div className="overflow-x-auto" role="region" aria-label="You and whoever leads" tabIndex={0}>
        <table className="figures w-full text-right">
          <thead className="text-sm text-soft">
            <tr>
              <th scope="col" className="py-1.5 text-left font-medium">
                <span className="sr-only">Figure</span>
              </th>
              <th scope="col" className="py-1.5 font-medium">
                In front
              </th>
              <th scope="col" className="py-1.5 font-medium">
                You
              </th>
            </tr>
          </thead>
          <tbody className="[&_tr]:border-t [&_tr]:border-line">
            {COMPARED.map(([name, show]) => (
              <tr key={name}>
                <th scope="row" className="py-2 text-left font-normal text-soft">
                  {name}
                </th>
                <td className="py-2">{show(leader)}</td>
                <td className="py-2 font-medium">{own ? show(own) : NOTHING}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

type Figures = Pick<Node, 'success_rate' | 'ttft_ms' | 'tokens_per_s' | 'load' | 'price' | 'score'>;

const COMPARED: readonly (readonly [string, (of: Figures) => string])[] = [
  ['First token', (of) => duration(of.ttft_ms)],
  ['Speed', (of) => rate(of.tokens_per_s)],
  ['Success', (of) => percent(of.success_rate, 1)],
  ['Busy', (of) => percent(of.load, 0)],
  ['Price', (of) => priceOf(of.price)],
  ['Score', (of) => (of.score === null ? NOTHING : of.score.toFixed(3))],
];

function priceOf(price: Node['price']): string {
  return price.request_price > 0
    ? `${usd(price.request_price)} each`
    : `${usd(price.input_price)} / ${usd(price.output_price)}`;
}

function NodeView({ node }: { node: Node }) {
  const { last_probe: probe, last_benchmark: benchmark } = node;
  return (
    <Card
      title={
        <span className="flex flex-wrap items-center gap-2">
          Node <Id value={node.node_id} keep={13} />
        </span>
      }
      hint={
        node.verdict === null
          ? node.behind === null
            ? node.trial
              ? 'It gets a few requests, to show how it does.'
              : 'Every gate is open.'
            : `It stands behind others: ${node.behind}.`
          : `Requests pass it by: ${sentence(node.verdict).toLowerCase()}.`
      }
      actions={
        <Badge tone={node.verdict === null ? 'good' : 'warn'}>
          {node.rank === null ? 'No place' : `Place ${node.rank}`}
        </Badge>
      }
    >
      <Gates gates={node.gates} />
      <div className="mt-4 grid gap-x-8 md:grid-cols-2">
        <Facts
          rows={[
            ['First token', duration(node.ttft_ms)],
            ['Speed', rate(node.tokens_per_s)],
            ['Success', percent(node.success_rate, 1)],
            [
              'Served last',
              node.last_served_s_ago === null ? 'never' : `${duration(node.last_served_s_ago * 1_000)} ago`,
            ],
          ]}
        />
        <Facts
          rows={[
            [
              'Last probe',
              probe === null ? (
                'none yet'
              ) : (
                <span key="probe" className={probe.ok ? undefined : 'text-bad'}>
                  {probe.ok ? `answered in ${duration(probe.ttft_ms)}` : (probe.because ?? 'failed')},{' '}
                  <Time at={probe.at} as="ago" />
                </span>
              ),
            ],
            [
              'Last benchmark',
              benchmark === null ? (
                'none yet'
              ) : (
                <span key="benchmark" className={benchmark.passed ? undefined : 'text-bad'}>
                  {benchmark.passed ? 'passed' : 'failed'}, <Time at={benchmark.at} as="ago" />
                </span>
              ),
            ],
            ['Busy', percent(node.load, 0)],
            ['Price', priceOf(node.price)],
          ]}
        />
      </div>
      {benchmark && !benchmark.passed && (
        <p className="mt-3 text-sm text-soft">
          {benchmark.shortcomings.join(' ')}{' '}
          <ButtonLink to="/provider/benchmarks" size="sm" kind="quiet">
            Look at it
          </ButtonLink>
        </p>
      )}
    </Card>
  );
}

function Gates({ gates }: { gates: readonly Gate[] }) {
  return (
    <ol className="divide-y divide-line">
      {gates.map((gate) => (
        <li
          key={gate.gate}
          className="grid grid-cols-[1rem_minmax(0,1fr)] items-baseline gap-x-3 gap-y-0.5 py-2 sm:grid-cols-[1rem_11rem_minmax(0,1fr)_minmax(0,1fr)]"
        >
          <Mark passes={gate.passes} />
          <span className="font-medium">{GATES[gate.gate] ?? sentence(gate.gate)}</span>
          <span
            className={cx(
              'wrap-anywhere max-sm:col-start-2',
              gate.passes === false ? 'text-bad' : 'text-ink',
            )}
          >
            {gate.found}
          </span>
          <span className="text-sm wrap-anywhere text-soft max-sm:col-start-2">
            {gate.wanted !== '' && `wanted: ${gate.wanted}`}
          </span>
        </li>
      ))}
    </ol>
  );
}

function Mark({ passes }: { passes: boolean | null }) {
  const [Icon, look, words] =
    passes === null
      ? ([Minus, 'text-faint', 'Not looked at'] as const)
      : passes
        ? ([Check, 'text-good', 'Passes'] as const)
        : ([X, 'text-bad', 'Does not pass'] as const);
  return (
    <span className={cx('inline-flex shrink-0 self-center', look)}>
      <Icon size={16} aria-hidden />
      <span className="sr-only">{words}</span>
    </span>
  );
}

/** Gates are named after whom they turn away; a mark of having passed reads better beside what was asked. */
const GATES: Readonly<Record<string, string>> = {
  'not-eligible': 'May serve',
  'cannot-do-it': 'Can do what is asked',
  draining: 'Takes work',
  'model-unhealthy': 'Model is healthy',
  'request-too-large': 'Request fits',
  'asks-too-much': 'Price is within the list',
  'plan-without-fallback': 'Plan allows it',
  'circuit-open': 'Has not failed too often',
  'model-full': 'Room at the model',
  'link-full': 'Room on the line',
  zdr: 'Zero data retention',
};

/** `not-eligible` as a reader has it. */
function sentence(name: string): string {
  const words = name.replaceAll(/[-_]/g, ' ');
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}
