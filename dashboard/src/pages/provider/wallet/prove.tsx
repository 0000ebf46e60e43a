import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { ApiError } from '../../../api.ts';
import { Button } from '../../../parts/button.tsx';
import { Problem } from '../../../parts/form.tsx';
import { toast } from '../../../parts/toast.tsx';
import { act, allPayouts, provider } from '../api.ts';
import { type Connected, signText, walletWords } from './browser-wallets.ts';
import { WithWallet } from './connect.tsx';

const PURPOSES = {
  beneficiary: 'payouts go to',
  owner: 'pledges come from',
} as const;

/** Has a wallet prove that it is the provider's own: Sign-In with Ethereum, a signature that costs nothing and moves nothing. */
export function ProveWallet({ purpose }: { purpose: 'owner' | 'beneficiary' }) {
  return (
    <WithWallet chainId={undefined}>
      {(connected) => <Prove purpose={purpose} connected={connected} />}
    </WithWallet>
  );
}

function Prove({ purpose, connected }: { purpose: 'owner' | 'beneficiary'; connected: Connected }) {
  const queries = useQueryClient();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();
  const prove = async (): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    try {
      const { nonce, message } = await act.challenge(purpose, connected.account);
      await act.prove(nonce, await signText(connected, message));
      toast.done('The wallet has proven itself.');
      await Promise.all(
        [provider.wallet(), provider.onboarding(), ...allPayouts].map(({ queryKey }) =>
          queries.invalidateQueries({ queryKey }),
        ),
      );
    } catch (error) {
      setProblem(error instanceof ApiError ? error.message : walletWords(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <div className="space-y-3">
      <Button kind="primary" busy={busy} onClick={() => void prove()}>
        Sign to prove it is yours
      </Button>
      <p className="text-sm text-soft">
        The wallet shows a text that names this market and your provider. Signing it costs nothing, moves
        nothing, and makes this the address that {PURPOSES[purpose]}.
      </p>
      <Problem>{problem}</Problem>
    </div>
  );
}
