import { useQueryClient } from '@tanstack/react-query';
import { Check } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import type { OnboardingAnswer } from '#wire/dashboard.ts';
import { Badge } from '../../parts/badge.tsx';
import { Button, ButtonLink } from '../../parts/button.tsx';
import { cx } from '../../parts/class-names.ts';
import { Problem, TextArea, TextField, useForm } from '../../parts/form.tsx';
import { Card } from '../../parts/page.tsx';
import { useUser } from '../../shell/roles.ts';
import { AgentCommands } from './agent-commands.tsx';
import { act, provider } from './api.ts';
import { FreshKey, NewKey, useFreshKey } from './new-key.tsx';
import { ProveWallet } from './wallet/prove.tsx';

type Step = OnboardingAnswer['steps'][number];

const TITLES: Readonly<Record<Step['step'], string>> = {
  key: 'Have a provider key',
  connect: 'Bring the first node online',
  wallet: 'Say where you are paid',
  approval: 'Be approved',
  collateral: 'Pledge collateral',
  benchmark: 'Pass the benchmark',
  active: 'Active and earning',
};

/** The way to the first earning: what is done, what is to be done now and how, what comes later. It follows what happens. */
export function Onboarding({ found }: { found: OnboardingAnswer }) {
  const steps = found.steps.filter(({ state }) => state !== 'not-needed');
  const done = steps.filter(({ state }) => state === 'done').length;
  const [opened, setOpened] = useState<Step['step']>();
  return (
    <Card
      title="Until the first earning"
      hint="Each step is ticked off by itself as soon as the market sees it."
      actions={
        <Badge tone="accent">
          {done} of {steps.length} done
        </Badge>
      }
    >
      <ol>
        {steps.map((step, place) => (
          <StepView
            key={step.step}
            step={step}
            number={place + 1}
            last={place === steps.length - 1}
            status={found.status}
            open={step.state === 'now' || opened === step.step}
            onOpen={() => setOpened(opened === step.step ? undefined : step.step)}
          />
        ))}
      </ol>
    </Card>
  );
}

function StepView({
  step,
  number,
  last,
  status,
  open,
  onOpen,
}: {
  step: Step;
  number: number;
  last: boolean;
  status: string;
  open: boolean;
  onOpen: () => void;
}) {
  const { state } = step;
  return (
    <li
      className={cx('relative flex gap-4', !last && 'pb-5')}
      aria-current={state === 'now' ? 'step' : undefined}
    >
      {!last && (
        <span
          aria-hidden="true"
          className={cx(
            'absolute top-8 bottom-1 left-3.5 w-px',
            state === 'done' ? 'bg-good' : 'bg-line-strong',
          )}
        />
      )}
      <span
        className={cx(
          'figures z-1 inline-flex size-7 shrink-0 items-center justify-center rounded-full text-sm font-semibold',
          state === 'done'
            ? 'bg-good-wash text-good'
            : state === 'now'
              ? 'bg-accent text-accent-ink'
              : 'border border-line-strong bg-surface text-faint',
        )}
      >
        {state === 'done' ? <Check size={15} aria-hidden /> : number}
      </span>
      <div className="min-w-0 flex-1 pt-0.5">
        <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <h3 className={cx('font-semibold', state === 'later' && 'text-soft')}>{TITLES[step.step]}</h3>
          {state === 'done' && <span className="sr-only">Done</span>}
          {state === 'now' && <Badge tone="accent">Now</Badge>}
          {state === 'later' && !open && (
            <button type="button" onClick={onOpen} className="text-sm text-accent hover:underline">
              Do it already
              <span className="sr-only">: {TITLES[step.step]}</span>
            </button>
          )}
        </div>
        <p className="text-soft wrap-anywhere">{wordsOf(step, status)}</p>
        {open && state !== 'done' && (
          <div className="mt-3">
            <StepWork step={step} status={status} />
          </div>
        )}
      </div>
    </li>
  );
}

function wordsOf({ step, state, detail }: Step, status: string): string {
  if (state === 'done') {
    if (step === 'key') return detail === '1 keys' ? 'One key works.' : `${detail} work.`;
    if (step === 'connect') return `${detail}.`;
    if (step === 'wallet') return `Payouts go to ${detail}.`;
    if (step === 'active') return 'Requests come as soon as somebody asks for what you serve.';
    return DONE[step];
  }
  if (step === 'approval' && status === 'under_review')
    return 'The operator has been asked, and will decide.';
  if (step === 'active') return `Follows by itself. Now: ${status.replaceAll('_', ' ')}.`;
  return AHEAD[step];
}

const DONE = {
  approval: 'The operator lets you in.',
  collateral: 'Enough is pledged.',
  benchmark: 'Your machine does what it says.',
} as const;
const AHEAD = {
  key: 'Your agents show it to the market.',
  connect: 'Run the agent on the machine with the GPU. It needs no public address and no open port.',
  wallet: 'A wallet proves by a signature that it is yours. Nobody else can be paid then.',
  approval: 'This market lets providers in by hand.',
  collateral: 'What you lose when you cheat, and get back when you leave.',
  benchmark: 'Comes by itself, a few minutes after a node is here: questions with known answers.',
} as const;

function StepWork({ step: { step }, status }: { step: Step; status: string }): ReactNode {
  const fresh = useFreshKey();
  switch (step) {
    case 'key': {
      return <NewKey onMade={fresh.note} />;
    }
    case 'connect': {
      return (
        <div className="space-y-4">
          {fresh.secret === undefined ? (
            <NewKey onMade={fresh.note} size="sm" />
          ) : (
            <FreshKey secret={fresh.secret} />
          )}
          <AgentCommands secret={fresh.secret} />
          <p className="flex items-center gap-2.5 text-soft">
            <span className="relative flex size-2" aria-hidden="true">
              <span className="absolute inline-flex size-full animate-ping rounded-full bg-accent opacity-60" />
              <span className="relative inline-flex size-2 rounded-full bg-accent" />
            </span>
            Waiting for the first node. This page notices it within seconds.
          </p>
        </div>
      );
    }
    case 'wallet': {
      return <ProveWallet purpose="beneficiary" />;
    }
    case 'approval': {
      return status === 'pending' ? <AskForApproval /> : null;
    }
    case 'collateral': {
      return <ButtonLink to="/provider/collateral">Pledge collateral</ButtonLink>;
    }
    case 'benchmark': {
      return <ButtonLink to="/provider/benchmarks">See the benchmarks</ButtonLink>;
    }
    default: {
      return null;
    }
  }
}

function AskForApproval() {
  const queries = useQueryClient();
  const user = useUser();
  const [hardware, setHardware] = useState('');
  const [contact, setContact] = useState(user?.email ?? '');
  const form = useForm(async () => {
    await act.requestApproval({
      provider_name: user?.display_name ?? 'A provider',
      hardware_summary: hardware,
      contact_email: contact,
    });
    await queries.invalidateQueries({ queryKey: provider.onboarding().queryKey });
  });
  return (
    <form onSubmit={form.onSubmit} className="max-w-lg space-y-4">
      <TextArea
        label="What you bring"
        rows={3}
        placeholder="2 × RTX 4090, 1 Gbit/s, in Zürich"
        value={hardware}
        onChange={setHardware}
        error={form.errorOf('hardware_summary')}
      />
      <TextField
        label="E-mail for questions"
        type="email"
        required
        value={contact}
        onChange={setContact}
        error={form.errorOf('contact_email')}
      />
      <Problem>{form.problem}</Problem>
      <Button type="submit" busy={form.busy}>
        Ask for approval
      </Button>
    </form>
  );
}
