import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Button } from '../../../parts/button.tsx';
import { Facts } from '../../../parts/page.tsx';
import { Loaded, Skeleton } from '../../../parts/states.tsx';
import { Time } from '../../../parts/time.tsx';
import { TOKENS, tokenShort } from '../../../parts/tokens.ts';
import { act, type Proof, provider, type Series } from '../api.ts';

import { type Connected, walletWords } from './browser-wallets.ts';
import { WithWallet } from './connect.tsx';
import { TransactionView } from './transaction-view.tsx';
import { useTransaction } from './use-transaction.ts';

/** Collects what is promised and not collected yet: what is due is asked of the contract itself, through the wallet. */
export function Claim({ claim, ...about }: { claim: Proof; series: Series; decimals: number }) {
  return (
    <WithWallet chainId={claim.chain_id}>
      {(connected) => <Collect connected={connected} claim={claim} {...about} />}
    </WithWallet>
  );
}

/** What the contract would pay now, and when it pays by a newer batch. */
interface Due {
  readonly batch: number;
  readonly amount: bigint;
  readonly claimed: bigint;
  readonly proof: Proof | undefined;
  /** The batch in its time lock; undefined where there is none. */
  readonly next: { readonly number: number; readonly at: string } | undefined;
}

async function dueFor(connected: Connected, series: Series, claim: Proof): Promise<Due> {
  try {
    const { readClaim } = await import('./contract-calls.ts');
    const { inForce, waiting, claimed } = await readClaim(connected, claim);
    // The newest batch may be in its time lock still: then the contract pays by the one before.
    const proof = inForce.number === 0 ? undefined : await proofOf(series, inForce.number, claim);
    const owed = BigInt(proof?.cumulative ?? 0) - claimed;
    return {
      batch: inForce.number,
      amount: owed > 0n ? owed : 0n,
      claimed,
      proof,
      next:
        waiting.number === 0
          ? undefined
          : { number: waiting.number, at: new Date(waiting.activeAt * 1_000).toISOString() },
    };
  } catch (error) {
    throw new Error(walletWords(error), { cause: error });
  }
}

async function proofOf(series: Series, batch: number, { account }: Proof): Promise<Proof | undefined> {
  return await act.proof(series, batch, account).catch((error: unknown) => {
    if ((error as { status?: number }).status === 404) return undefined;
    throw error;
  });
}

const LOOK_MS = 10_000;

function Collect({
  connected,
  claim,
  series,
  decimals,
}: {
  connected: Connected;
  claim: Proof;
  series: Series;
  decimals: number;
}) {
  const queries = useQueryClient();
  const { transaction, busy, send } = useTransaction();
  const queryKey = [
    'due',
    claim.contract,
    claim.token,
    claim.account,
    connected.wallet.id,
    connected.chainId,
  ];
  const query = useQuery({
    queryKey,
    queryFn: () => dueFor(connected, series, claim),
    refetchInterval: LOOK_MS,
    retry: false,
  });
  const collect = async (due: Due): Promise<void> => {
    if (!due.proof) return;
    const { claimData } = await import('./contract-calls.ts');
    await send(connected, claim.contract, claimData(due.proof));
    await Promise.all(
      [queryKey, provider.payouts(series).queryKey].map((key) =>
        queries.invalidateQueries({ queryKey: key }),
      ),
    );
  };
  return (
    <Loaded query={query} skeleton={<Skeleton className="h-32" />}>
      {(due) => (
        <div className="space-y-4">
          <div>
            <p className="text-sm text-soft">The contract owes you</p>
            <p className="figures text-3xl font-semibold tracking-tight">
              <span data-testid="due">{tokenShort(due.amount, decimals)}</span>{' '}
              <span className="text-base font-medium text-soft">{TOKENS[series]}</span>
            </p>
          </div>
          <Facts
            rows={[
              ['Pays by', due.batch === 0 ? 'no batch yet' : `batch #${due.batch}`],
              ['Collected so far', tokenShort(due.claimed, decimals)],
              ...(due.next
                ? [[`Batch #${due.next.number} counts`, <Time key="next" at={due.next.at} />] as const]
                : []),
            ]}
          />
          {connected.account !== claim.account && (
            <p className="text-sm text-soft">
              This wallet is not the payout address. It may send the claim; what is paid goes to the payout
              address.
            </p>
          )}
          <Button kind="primary" busy={busy} disabled={due.amount === 0n} onClick={() => void collect(due)}>
            {due.amount === 0n
              ? 'Nothing to collect'
              : `Collect ${tokenShort(due.amount, decimals)} ${TOKENS[series]}`}
          </Button>
          <TransactionView
            transaction={transaction}
            done="Collected. The tokens are at your payout address."
          />
        </div>
      )}
    </Loaded>
  );
}
