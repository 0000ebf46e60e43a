import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { ChartNoAxesColumn, Cpu, Plus } from 'lucide-react';
import { useState } from 'react';
import type { NodesAnswer, OnboardingAnswer } from '#wire/dashboard.ts';
import { StateDot } from '../../parts/badge.tsx';
import { Button, ButtonLink } from '../../parts/button.tsx';
import { ChartSkeleton } from '../../parts/chart.tsx';
import { Dialog } from '../../parts/dialog.tsx';
import { NOTHING, percent, plural, rate, usd, whole } from '../../parts/format.ts';
import { Note } from '../../parts/note.tsx';
import { Card, PageHead } from '../../parts/page.tsx';
import { Stat } from '../../parts/stat.tsx';
import { Empty, Loaded, Skeleton } from '../../parts/states.tsx';
import { wallMs } from '../../surroundings.ts';
import { AgentCommands } from './agent-commands.tsx';
import { provider, REACH } from './api.ts';
import { EarningsChart } from './earnings-chart.tsx';
import { dayNameOf, shortModel, sumUsd } from './figures.ts';
import { useProviderLive } from './live.ts';
import { FreshKey, NewKey, useFreshKey } from './new-key.tsx';
import { Onboarding } from './onboarding.tsx';

const DAY_MS = 86_400_000;

/** The first look of a provider: what is left to do, what came in, and how the machines are. */
export default function Overview() {
  const live = useProviderLive();
  const [from] = useState(() => dayNameOf(wallMs() - (REACH.day - 1) * DAY_MS));
  const onboarding = useQuery(provider.onboarding());
  const nodes = useQuery(provider.nodes());
  const earnings = useQuery(provider.earnings('day', from));
  const standing = useQuery(provider.standing()).data;
  const [adding, setAdding] = useState(false);
  const open = onboarding.data?.steps.some(({ state }) => state === 'now' || state === 'later');
  // Whoever has served before needs no tour, only to hear what is missing.
  const settled = onboarding.data?.status === 'active' && (earnings.data?.earnings.length ?? 0) > 0;
  const today = earnings.data?.earnings.filter(({ period }) => period === earnings.data.to);
  const online = nodes.data?.nodes.filter((node) => node.online);
  return (
    <>
      <PageHead
        title="Overview"
        actions={
          <Button icon={Plus} onClick={() => setAdding(true)}>
            Add a node
          </Button>
        }
      >
        What came in, and how your machines are.{' '}
        {live === 'live' ? 'It changes by itself.' : 'It is looked at again every few seconds.'}
      </PageHead>
      <AddNode open={adding} onClose={() => setAdding(false)} />
      <div className="space-y-6">
        {onboarding.data && ['suspended', 'removed'].includes(onboarding.data.status) && (
          <Note
            tone="bad"
            action={
              <ButtonLink to="/provider/benchmarks" size="sm">
                See why
              </ButtonLink>
            }
          >
            This provider is {onboarding.data.status}
            {onboarding.data.reason === '' ? '' : `: ${onboarding.data.reason}`}. It gets no requests.
          </Note>
        )}
        <Loaded query={onboarding} skeleton={<Skeleton className="h-0" />}>
          {(found) =>
            !open ? null : settled ? (
              <StillOpen found={found} onConnect={() => setAdding(true)} />
            ) : (
              <Onboarding found={found} />
            )
          }
        </Loaded>

        <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
          <Stat
            name="Earned today"
            value={today && usd(sumUsd(today.map((row) => row.earned_usd)))}
            hint={today && plural(sum(today.map(({ requests }) => requests)), 'request')}
          />
          <Stat
            name="Earned, 30 days"
            value={earnings.data && usd(earnings.data.total_earned_usd)}
            hint={
              earnings.data && plural(sum(earnings.data.earnings.map(({ requests }) => requests)), 'request')
            }
          />
          <Stat
            name="Nodes online"
            value={nodes.data && online && `${whole(online.length)} of ${whole(nodes.data.nodes.length)}`}
            hint={online && `${whole(sum(online.map((node) => node.in_flight)))} in flight now`}
          />
          <Stat
            name="Rank"
            value={
              standing && (standing.rank === null ? NOTHING : `${standing.rank} of ${standing.providers}`)
            }
            hint={standing && `score ${percent(standing.score, 1)}`}
          />
        </div>

        <div className="grid gap-6 xl:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
          <Card
            title="Earned a day"
            hint="Last 30 days, in UTC"
            actions={
              <ButtonLink to="/provider/earnings" size="sm">
                All earnings
              </ButtonLink>
            }
          >
            <Loaded query={earnings} skeleton={<ChartSkeleton />}>
              {(found) =>
                found.earnings.length === 0 ? (
                  <Empty icon={ChartNoAxesColumn} title="Nothing earned yet">
                    The first bar comes with the first request that you serve.
                  </Empty>
                ) : (
                  <EarningsChart found={found} />
                )
              }
            </Loaded>
          </Card>
          <Card
            title="Nodes"
            actions={
              <ButtonLink to="/provider/nodes" size="sm">
                All nodes
              </ButtonLink>
            }
          >
            <Loaded query={nodes} skeleton={<Skeleton className="h-52" />}>
              {(found) => <NodeList found={found} />}
            </Loaded>
          </Card>
        </div>
        <Models />
      </div>
    </>
  );
}

const MISSING: Partial<Record<OnboardingAnswer['steps'][number]['step'], string>> = {
  key: 'You have no key: no agent can connect.',
  connect: 'No node of yours is online: requests go to others.',
  wallet: 'No wallet has proven itself: what you earn waits, and cannot be paid out.',
  collateral: 'Not enough collateral is pledged.',
  benchmark: 'No node of yours has passed its benchmark.',
};

/** What an active provider lacks, each with the way to it. */
function StillOpen({ found, onConnect }: { found: OnboardingAnswer; onConnect: () => void }) {
  const open = found.steps.filter(
    ({ state, step }) => (state === 'now' || state === 'later') && MISSING[step],
  );
  return (
    <div className="space-y-3">
      {open.map(({ step }) => (
        <Note
          key={step}
          tone="warn"
          action={
            step === 'key' || step === 'connect' ? (
              <Button size="sm" onClick={onConnect}>
                How to connect
              </Button>
            ) : (
              <ButtonLink size="sm" to={WHERE[step] ?? '/provider'}>
                Do it now
              </ButtonLink>
            )
          }
        >
          {MISSING[step]}
        </Note>
      ))}
    </div>
  );
}

const WHERE: Readonly<Record<string, string>> = {
  wallet: '/provider/payouts',
  collateral: '/provider/collateral',
  benchmark: '/provider/benchmarks',
};

const LISTED = 6;

function NodeList({ found }: { found: NodesAnswer }) {
  if (found.nodes.length === 0) {
    return (
      <Empty icon={Cpu} title="No node yet">
        Machines appear here as soon as their agent connects.
      </Empty>
    );
  }
  return (
    <ul className="divide-y divide-line">
      {found.nodes.slice(0, LISTED).map((node) => (
        <li key={node.node_id} className="flex items-center justify-between gap-4 py-2.5">
          <div className="min-w-0">
            <p className="truncate font-medium">{node.name ?? 'Unnamed'}</p>
            <p className="truncate text-sm text-soft">
              {node.models.length === 0
                ? 'no model is offered now'
                : node.models.map(({ model }) => shortModel(model)).join(', ')}
            </p>
          </div>
          <StateDot tone={node.draining ? 'warn' : node.online ? 'good' : 'neutral'}>
            {node.draining ? 'Draining' : node.online ? `${node.in_flight} in flight` : 'Away'}
          </StateDot>
        </li>
      ))}
    </ul>
  );
}

/** What each model of the provider's brought in a day, in a row each. */
function Models() {
  const economics = useQuery(provider.economics());
  const own = economics.data?.models.filter(
    ({ offered, own_requests_24h }) => offered || own_requests_24h > 0,
  );
  if (own?.length === 0) return null;
  return (
    <Card
      title="Models, last 24 hours"
      actions={
        <ButtonLink to="/provider/models" size="sm">
          Models and prices
        </ButtonLink>
      }
    >
      {own ? (
        <ul className="divide-y divide-line">
          {own.slice(0, LISTED).map((row) => (
            <li
              key={row.model_id}
              className="figures grid grid-cols-[minmax(0,1fr)_auto] items-center gap-x-6 py-2.5 sm:grid-cols-[minmax(0,1fr)_7rem_7rem_6rem]"
            >
              <Link
                to="/provider/why"
                search={{ model: row.model_id }}
                className="truncate font-medium hover:text-accent"
              >
                {shortModel(row.model_id)}
              </Link>
              <span className="text-right text-soft max-sm:hidden">
                {plural(row.own_requests_24h, 'request')}
              </span>
              <span className="text-right text-soft max-sm:hidden">{rate(row.tokens_per_s || null)}</span>
              <span className="text-right font-medium">{usd(row.own_earned_24h_usd)}</span>
            </li>
          ))}
        </ul>
      ) : (
        <Skeleton className="h-40" />
      )}
    </Card>
  );
}

function AddNode({ open, onClose }: { open: boolean; onClose: () => void }) {
  const fresh = useFreshKey();
  return (
    <Dialog open={open} onClose={onClose} title="Add a node" wide>
      <p className="mb-4 text-soft">
        A machine may use a key of its own or one that others use. Run this where the GPU is.
      </p>
      <div className="space-y-4">
        {fresh.secret === undefined ? (
          <NewKey onMade={fresh.note} size="sm" />
        ) : (
          <FreshKey secret={fresh.secret} />
        )}
        <AgentCommands secret={fresh.secret} />
      </div>
    </Dialog>
  );
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
