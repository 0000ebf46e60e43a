import { useEffect, useRef, useState } from 'react';
import { type Connected, walletWords } from './browser-wallets.ts';

/** How far a transaction is. `asking`: the wallet has it; `sent`: it waits for a block. */
export type Transaction =
  | { readonly state: 'none' }
  | { readonly state: 'asking' }
  | { readonly state: 'sent' | 'done' | 'failed' | 'unknown'; readonly hash: string }
  | { readonly state: 'refused'; readonly words: string };

const NONE: Transaction = { state: 'none' };

/** Sends one transaction after another, and says how far it is. `send` resolves with the hash once it did what it was to do. */
export function useTransaction(): {
  transaction: Transaction;
  busy: boolean;
  send: (connected: Connected, to: string, data: `0x${string}`) => Promise<string | undefined>;
  reset: () => void;
} {
  const [transaction, setTransaction] = useState<Transaction>(NONE);
  const gone = useRef<AbortController>(undefined);
  useEffect(() => {
    const leaving = new AbortController();
    gone.current = leaving;
    return () => leaving.abort();
  }, []);
  return {
    transaction,
    busy: transaction.state === 'asking' || transaction.state === 'sent',
    reset: () => setTransaction(NONE),
    async send(connected, to, data) {
      setTransaction({ state: 'asking' });
      const calls = await import('./contract-calls.ts');
      let hash: string;
      try {
        hash = await calls.sendCall(connected, to, data);
      } catch (error) {
        setTransaction({ state: 'refused', words: walletWords(error) });
        return undefined;
      }
      setTransaction({ state: 'sent', hash });
      const signal = gone.current?.signal ?? new AbortController().signal;
      // Whether it is in a block is known to the chain, whatever becomes of the wallet.
      const outcome = await calls.outcomeOf(connected, hash, signal).catch(() => undefined);
      if (signal.aborted) return undefined;
      setTransaction({ state: outcome ?? 'unknown', hash });
      return outcome === 'done' ? hash : undefined;
    },
  };
}
