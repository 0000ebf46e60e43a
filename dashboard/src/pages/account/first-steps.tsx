import { useQuery } from '@tanstack/react-query';
import { Check } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { market } from '../../api.ts';
import { Button, ButtonLink } from '../../parts/button.tsx';
import { cx } from '../../parts/class-names.ts';
import { CodeBlock } from '../../parts/code.tsx';
import { Card } from '../../parts/page.tsx';
import { samplesFor } from '../public/samples.ts';
import { account, type BalanceBody } from './api.ts';
import { KeyDialog } from './key-dialog.tsx';

/** What a new account does first; shown until its first request. */
export function FirstSteps({ balance }: { balance: BalanceBody | undefined }) {
  const keys = useQuery(account.keys()).data?.keys.filter(({ status }) => status === 'active');
  const models = useQuery(market.models()).data;
  const [making, setMaking] = useState(false);
  const paid = Number(balance?.available ?? 0) > 0;
  const hasKey = (keys?.length ?? 0) > 0;
  const model = models?.find(({ available, category }) => available && category === 'llm') ?? models?.[0];
  return (
    <Card title="First steps" hint="From here to an answer is a few minutes.">
      <ol className="space-y-6">
        <Step
          number={1}
          done={paid}
          title="Add money"
          words="The balance pays for tokens as they come. There is no minimum use and no monthly fee."
          action={
            <ButtonLink
              to="/account/billing"
              search={{ tab: 'add' }}
              kind={paid ? 'plain' : 'primary'}
              size="sm"
            >
              Add money
            </ButtonLink>
          }
        />
        <Step
          number={2}
          done={hasKey}
          title={hasKey ? 'You have a key' : 'Make a key'}
          words={
            hasKey
              ? 'It was shown when you signed up. If it is lost, make another and revoke the old one.'
              : 'Programs show it to use your balance. It can have caps, an end, and models of its own.'
          }
          action={
            <Button size="sm" onClick={() => setMaking(true)}>
              {hasKey ? 'Make another' : 'Make a key'}
            </Button>
          }
        />
        <Step
          number={3}
          done={false}
          title="Send a request"
          words="Any client of OpenAI works: only the address and the key are ours."
          action={
            <ButtonLink to="/playground" size="sm">
              Try the playground
            </ButtonLink>
          }
        >
          {model && (
            <div className="mt-4">
              <CodeBlock samples={samplesFor(model)} label="A first request" />
            </div>
          )}
        </Step>
      </ol>
      <KeyDialog open={making} onClose={() => setMaking(false)} />
    </Card>
  );
}

function Step({
  number,
  done,
  title,
  words,
  action,
  children,
}: {
  number: number;
  done: boolean;
  title: string;
  words: string;
  action: ReactNode;
  children?: ReactNode;
}) {
  return (
    <li className="flex gap-4">
      <span
        className={cx(
          'mt-0.5 flex size-7 shrink-0 items-center justify-center rounded-full text-sm font-semibold',
          done ? 'bg-good-wash text-good' : 'border border-line-strong text-soft',
        )}
      >
        {done ? <Check size={15} aria-label="Done" /> : number}
      </span>
      <div className="min-w-0 flex-1">
        <div className="flex flex-wrap items-start justify-between gap-x-4 gap-y-2">
          <div className="min-w-0 flex-1 basis-56">
            <h3 className="font-semibold">{title}</h3>
            <p className="text-soft">{words}</p>
          </div>
          {action}
        </div>
        {children}
      </div>
    </li>
  );
}
