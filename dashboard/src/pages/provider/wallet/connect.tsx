import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Coins, PlugZap, Unplug } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { Button } from '../../../parts/button.tsx';
import { Id } from '../../../parts/copy.tsx';
import { Problem, useForm } from '../../../parts/form.tsx';
import { toast } from '../../../parts/toast.tsx';
import { act, provider } from '../api.ts';
import {
  type BrowserWallet,
  browserWallets,
  type Connected,
  useBrowserWallets,
  walletWords,
} from './browser-wallets.ts';

const CHAINS: Readonly<Record<number, string>> = {
  1: 'Ethereum',
  254: 'Swan Chain',
  31_337: 'Local chain',
  20_241_133: 'Swan Proxima',
};

export function chainName(id: number): string {
  return CHAINS[id] ?? `Chain ${id}`;
}

/** Which wallet is connected, or a button for each that there is; `children` of the connected one, once it is on the chain. */
export function WithWallet({
  chainId,
  children,
}: {
  /** The chain that it has to be on; undefined where any will do. */
  chainId: number | undefined;
  children: (connected: Connected) => ReactNode;
}) {
  const { wallets, connected } = useBrowserWallets();
  const trial = useQuery(provider.facts()).data?.trial ?? undefined;
  const [problem, setProblem] = useState<string>();
  const [busy, setBusy] = useState<string>();
  const asking = async (name: string, ask: () => Promise<unknown>): Promise<void> => {
    setBusy(name);
    setProblem(undefined);
    try {
      await ask();
    } catch (error) {
      setProblem(walletWords(error));
    } finally {
      setBusy(undefined);
    }
  };
  if (!connected) {
    return (
      <div className="space-y-3">
        {wallets.length === 0 ? (
          <p className="rounded-lg border border-dashed border-line-strong px-4 py-3 text-soft">
            No wallet is in this browser. Install one as an extension (any that speaks EIP-1193, such as
            MetaMask or Rabby), then reload the page.
          </p>
        ) : (
          <div className="flex flex-wrap gap-2">
            {wallets.map((wallet) => (
              <Button
                key={wallet.id}
                busy={busy === wallet.id}
                disabled={busy !== undefined}
                onClick={() => void asking(wallet.id, () => browserWallets.connect(wallet))}
              >
                <WalletIcon wallet={wallet} />
                Connect {wallet.name}
              </Button>
            ))}
          </div>
        )}
        <Problem>{problem}</Problem>
      </div>
    );
  }
  const wrong = chainId !== undefined && connected.chainId !== chainId;
  return (
    <div className="space-y-3">
      <div className="flex flex-wrap items-center justify-between gap-2 rounded-lg border border-line bg-canvas px-3 py-2">
        <span className="flex min-w-0 items-center gap-2">
          <WalletIcon wallet={connected.wallet} />
          <span className="font-medium">{connected.wallet.name}</span>
          <Id value={connected.account} keep={13} />
          <span className="text-sm text-soft max-sm:hidden">{chainName(connected.chainId)}</span>
        </span>
        <Button size="sm" kind="quiet" icon={Unplug} onClick={() => browserWallets.forget()}>
          Disconnect
        </Button>
      </div>
      {wrong ? (
        <div className="flex flex-wrap items-center justify-between gap-3 rounded-lg bg-warn-wash px-3 py-2.5 text-warn">
          <p>
            The wallet is on {chainName(connected.chainId)}. The market pays on {chainName(chainId)}.
          </p>
          <Button
            size="sm"
            busy={busy === 'chain'}
            onClick={() =>
              void asking('chain', () =>
                browserWallets.switchTo(
                  connected,
                  chainId,
                  trial?.chain_id === chainId ? trial.rpc_url : undefined,
                ),
              )
            }
          >
            Switch to {chainName(chainId)}
          </Button>
        </div>
      ) : (
        <>
          {chainId !== undefined && trial?.chain_id === chainId && <TestTokens account={connected.account} />}
          {children(connected)}
        </>
      )}
      <Problem>{problem}</Problem>
    </div>
  );
}

/** On a market that is only tried: tokens to pledge with, and coins for the fees of transactions. They are worth nothing. */
function TestTokens({ account }: { account: string }) {
  const queries = useQueryClient();
  const form = useForm(async () => {
    await act.testTokens(account);
    toast.done('Test tokens are in the wallet.');
    await queries.invalidateQueries({ queryKey: ['token'] });
  });
  return (
    <form
      onSubmit={form.onSubmit}
      className="flex flex-wrap items-center justify-between gap-2 rounded-lg border border-dashed border-line-strong px-3 py-2"
    >
      <p className="text-sm text-soft">
        This market is a trial: its tokens, and coins for fees, cost nothing.
      </p>
      <Button type="submit" size="sm" icon={Coins} busy={form.busy}>
        Get test tokens
      </Button>
      <Problem>{form.problem}</Problem>
    </form>
  );
}

function WalletIcon({ wallet: { icon } }: { wallet: BrowserWallet }) {
  return icon === '' ? (
    <PlugZap size={16} aria-hidden />
  ) : (
    <img src={icon} alt="" className="size-4 rounded" />
  );
}
