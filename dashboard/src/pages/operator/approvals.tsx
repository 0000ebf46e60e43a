import { useQuery } from '@tanstack/react-query';
import { ClipboardCheck, HandCoins } from 'lucide-react';
import { useState } from 'react';
import type { ApprovalsAnswer } from '#wire/dashboard.ts';
import type { LimitsAnswer, OperatorCollateralAnswer } from '#wire/operator.ts';
import { Button, ButtonLink } from '../../parts/button.tsx';
import { TextArea, TextField } from '../../parts/form.tsx';
import { FormButton } from '../../parts/form-button.tsx';
import { plural, usd } from '../../parts/format.ts';
import { Card, PageHead } from '../../parts/page.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { toast } from '../../parts/toast.tsx';
import { tokenAmount } from '../../parts/tokens.ts';
import { operator, useOperate, useOperatorLive } from './api.ts';
import { ListSkeleton, ProviderLink, ProviderState } from './pieces.tsx';

type Waiting = ApprovalsAnswer['approvals'][number];
type Pledge = OperatorCollateralAnswer['pending'][number];

/** Who waits for an operator before it may earn. */
export default function Approvals() {
  useOperatorLive();
  const approvals = useQuery(operator.approvals());
  const pledges = useQuery(operator.collateral());
  const limits = useQuery(operator.limits()).data;
  return (
    <>
      <PageHead title="Approvals">
        Providers that want to serve, and dollars pledged by them that are on their way.
      </PageHead>
      <Card title="Providers" hint={limits && demands(limits)}>
        <Loaded query={approvals} skeleton={<ListSkeleton />}>
          {(data) =>
            data.approvals.length === 0 ? (
              <Empty
                icon={ClipboardCheck}
                title="Nobody waits"
                action={<ButtonLink to="/operator/providers">All providers</ButtonLink>}
              >
                {limits?.provider_demands.approval === 'automatic'
                  ? 'This market approves providers by itself. Those that wait for a pledge or a benchmark appear here.'
                  : 'Whoever asks to serve appears here, with the machines it told of.'}
              </Empty>
            ) : (
              <ul className="divide-y divide-line">
                {data.approvals.map((each) => (
                  <Provider key={each.provider} waiting={each} limits={limits} />
                ))}
              </ul>
            )
          }
        </Loaded>
      </Card>
      <Card
        title="Pledges in dollars"
        hint="Announced by a provider; you see whether they came"
        className="mt-6"
      >
        <Loaded query={pledges} skeleton={<ListSkeleton rows={1} />}>
          {({ pending }) =>
            pending.length === 0 ? (
              <Empty icon={HandCoins} title="No pledge is on its way">
                Tokens are found on chain without you. Dollars that a provider announces appear here.
              </Empty>
            ) : (
              <ul className="divide-y divide-line">
                {pending.map((each) => (
                  <PledgeLine key={each.id} pledge={each} />
                ))}
              </ul>
            )
          }
        </Loaded>
      </Card>
    </>
  );
}

function demands({ provider_demands: life }: LimitsAnswer): string {
  const wanted = [
    ...(life.demandsCollateral ? ['a pledge'] : []),
    ...(life.demandsBenchmark ? ['a passed benchmark'] : []),
  ];
  const after = wanted.length === 0 ? '' : ` Then ${wanted.join(' and ')}.`;
  return life.approval === 'automatic' ? `Approved by rule.${after}` : `Approved by you.${after}`;
}

function Provider({ waiting, limits }: { waiting: Waiting; limits: LimitsAnswer | undefined }) {
  const operate = useOperate();
  const [busy, setBusy] = useState(false);
  const [reason, setReason] = useState('');
  const { provider, name, status, since, nodes, asked } = waiting;
  const decides = status === 'pending' || status === 'under_review';
  const more = limits?.provider_demands.demandsCollateral || limits?.provider_demands.demandsBenchmark;
  const to = decides && more ? 'approved' : 'active';
  const move = async (state: string, because: string): Promise<void> => {
    await operate('POST', `/providers/${provider}/status`, { state, reason: because });
  };
  const approve = async (): Promise<void> => {
    setBusy(true);
    try {
      await move(to, '');
      toast.done(`${name} is ${to === 'active' ? 'active' : 'approved'}.`);
    } catch (error) {
      toast.failed(error instanceof Error ? error.message : 'It did not work.');
    } finally {
      setBusy(false);
    }
  };
  return (
    <li className="flex flex-wrap items-start justify-between gap-x-8 gap-y-3 py-4 first:pt-0 last:pb-0">
      <div className="min-w-0 flex-1 basis-72">
        <p className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <ProviderLink id={provider} name={name === '' ? 'Unnamed' : name} />
          <ProviderState status={status} />
        </p>
        <p className="mt-1 text-soft">
          {asked ? asked.hardware : `Has not said what it has. ${plural(nodes, 'node')} seen.`}
        </p>
        <p className="mt-1 text-sm text-faint">
          {asked && <>{asked.contact}, </>}since <Time at={asked?.at ?? since} as="ago" />
          {!decides && (status === 'approved' ? '; waits for its pledge' : '; waits for its benchmark')}
        </p>
      </div>
      <div className="flex flex-wrap gap-2">
        {status === 'pending' && (
          <Button size="sm" onClick={() => void move('under_review', 'taken into review')}>
            Take into review
          </Button>
        )}
        <FormButton
          label="Refuse"
          title={`Refuse ${name}?`}
          kind="danger"
          confirmKind="danger"
          onOpen={() => setReason('')}
          act={async () => {
            await move('removed', reason);
            toast.done(`${name} is refused.`);
          }}
        >
          {(errorOf) => (
            <>
              <p className="text-soft">
                Its keys stop working. This cannot be taken back: it would have to sign up anew.
              </p>
              <TextArea
                label="Reason"
                hint="The provider reads it."
                required
                rows={3}
                value={reason}
                onChange={setReason}
                error={errorOf('reason')}
              />
            </>
          )}
        </FormButton>
        <Button kind={decides ? 'primary' : 'plain'} size="sm" busy={busy} onClick={() => void approve()}>
          {decides ? 'Approve' : 'Activate now'}
        </Button>
      </div>
    </li>
  );
}

function PledgeLine({ pledge }: { pledge: Pledge }) {
  const operate = useOperate();
  const [reference, setReference] = useState('');
  const [amount, setAmount] = useState('');
  const [reason, setReason] = useState('');
  const said = pledge.amount === null ? undefined : tokenAmount(pledge.amount, 12).replaceAll(',', '');
  return (
    <li className="flex flex-wrap items-center justify-between gap-x-8 gap-y-3 py-4 first:pt-0 last:pb-0">
      <div className="min-w-0">
        <p className="flex flex-wrap items-baseline gap-x-3">
          <span className="figures font-semibold">
            {said === undefined ? 'An amount not told' : usd(said)}
          </span>
          <ProviderLink id={pledge.provider} name={pledge.provider_name} />
        </p>
        <p className="mt-1 text-sm text-faint">
          Announced <Time at={pledge.created_at} as="ago" />
        </p>
      </div>
      <div className="flex flex-wrap gap-2">
        <FormButton
          label="Did not come"
          title="Reject this pledge?"
          confirm="Reject"
          kind="quiet"
          confirmKind="danger"
          onOpen={() => setReason('')}
          act={async () => {
            await operate('POST', `/collateral/${pledge.id}/reject`, { reason });
            toast.done('The pledge is rejected.');
          }}
        >
          {(errorOf) => (
            <TextArea
              label="Reason"
              hint="The provider reads it."
              rows={3}
              required
              value={reason}
              onChange={setReason}
              error={errorOf('reason')}
            />
          )}
        </FormButton>
        <FormButton
          label="Confirm"
          title="The money has come"
          onOpen={() => {
            setReference('');
            setAmount(said ?? '');
          }}
          act={async () => {
            await operate('POST', `/collateral/${pledge.id}/confirm`, { reference, amount_usd: amount });
            toast.done('The pledge is confirmed.');
          }}
        >
          {(errorOf) => (
            <>
              <TextField
                label="Amount that came, in dollars"
                inputMode="decimal"
                required
                value={amount}
                onChange={setAmount}
                error={errorOf('amount_usd')}
              />
              <TextField
                label="Reference of the transfer"
                hint="As your bank states it. The same reference is never booked twice."
                required
                value={reference}
                onChange={setReference}
                error={errorOf('reference')}
              />
            </>
          )}
        </FormButton>
      </div>
    </li>
  );
}
