import { Check, CircleAlert, LoaderCircle } from 'lucide-react';
import type { ReactNode } from 'react';
import { cx } from '../../../parts/class-names.ts';
import { Id } from '../../../parts/copy.tsx';
import type { Transaction } from './use-transaction.ts';

const WORDS = {
  asking: 'Confirm it in your wallet.',
  sent: 'Sent. Waiting for a block…',
  done: 'In a block.',
  failed: 'The chain refused it: nothing was moved but the fee.',
  unknown: 'No block has it yet. It may still come: look for it in your wallet.',
} as const;

/** How far a transaction is, with its hash. Nothing where there is none. */
export function TransactionView({ transaction, done }: { transaction: Transaction; done?: ReactNode }) {
  const { state } = transaction;
  if (state === 'none') return null;
  const bad = state === 'failed' || state === 'refused';
  const Icon = state === 'done' ? Check : bad || state === 'unknown' ? CircleAlert : LoaderCircle;
  return (
    <div
      role={bad ? 'alert' : 'status'}
      className={cx(
        'flex items-start gap-2.5 rounded-lg px-3 py-2.5',
        state === 'done' ? 'bg-good-wash text-good' : bad ? 'bg-bad-wash text-bad' : 'bg-sunken text-soft',
      )}
    >
      <Icon
        size={16}
        aria-hidden
        className={cx('mt-0.5 shrink-0', (state === 'asking' || state === 'sent') && 'animate-spin')}
      />
      <div className="min-w-0">
        <p>
          {state === 'refused' ? transaction.words : state === 'done' ? (done ?? WORDS.done) : WORDS[state]}
        </p>
        {'hash' in transaction && (
          <div className="mt-0.5 text-ink">
            <Id value={transaction.hash} />
          </div>
        )}
      </div>
    </div>
  );
}
