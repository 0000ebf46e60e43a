import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { CollateralContractAnswer } from '#wire/console.ts';
import type { CollateralAnswer } from '#wire/provider.ts';
import { Button } from '../../../parts/button.tsx';
import { Id } from '../../../parts/copy.tsx';
import { Select, TextField } from '../../../parts/form.tsx';
import { whole } from '../../../parts/format.ts';
import { Loaded, Skeleton } from '../../../parts/states.tsx';
import { tokenAmount } from '../../../parts/tokens.ts';
import { wallMs } from '../../../surroundings.ts';
import { act, provider } from '../api.ts';
import { tokenUnits } from '../figures.ts';
import type { Connected } from './browser-wallets.ts';
import { WithWallet } from './connect.tsx';
import { ProveWallet } from './prove.tsx';
import { TransactionView } from './transaction-view.tsx';
import { useTransaction } from './use-transaction.ts';

type Token = CollateralContractAnswer['data']['chains'][number];
type Pledge = CollateralAnswer['data']['pledges'][number];

/** Pledges tokens from the wallet that is the owner address: allowed to the contract first, deposited then. */
export function PledgeTokens({ tokens }: { tokens: readonly Token[] }) {
  const wallet = useQuery(provider.wallet());
  return (
    <Loaded query={wallet} skeleton={<Skeleton className="h-40" />}>
      {({ owner_address: owner }) =>
        owner === '' ? (
          <div className="space-y-4">
            <p className="text-soft">
              Pledges count from one wallet, the owner address, and go back to it. Prove it first; it cannot
              be changed later.
            </p>
            <ProveWallet purpose="owner" />
          </div>
        ) : (
          <WithWallet chainId={tokens[0]?.chain_id}>
            {(connected) =>
              connected.account === owner ? (
                <Deposit connected={connected} tokens={tokens} />
              ) : (
                <p className="text-soft">
                  Pledges count only from your owner address, <Id value={owner} keep={17} />. Choose that
                  account in the wallet.
                </p>
              )
            }
          </WithWallet>
        )
      }
    </Loaded>
  );
}

function Deposit({ connected, tokens }: { connected: Connected; tokens: readonly Token[] }) {
  const queries = useQueryClient();
  const [symbol, setSymbol] = useState(tokens[0]?.token_symbol ?? '');
  const token = tokens.find(({ token_symbol }) => token_symbol === symbol) ?? tokens[0];
  const [typed, setTyped] = useState<string>();
  const allowing = useTransaction();
  const depositing = useTransaction();
  const spender = token?.contract_address ?? '';
  const queryKey = ['token', token?.token_address, connected.account, connected.chainId];
  const held = useQuery({
    queryKey,
    queryFn: async () => {
      const { readToken } = await import('./contract-calls.ts');
      return await readToken(connected, { token: token?.token_address ?? '', spender });
    },
    retry: false,
  });
  if (!token) return null;
  const text = typed ?? String(token.min_collateral);
  const units = tokenUnits(text, token.token_decimals);
  const tooMuch = units !== undefined && held.data !== undefined && units > held.data.balance;
  const error =
    units === undefined || units === 0n
      ? `is no amount of ${symbol}`
      : tooMuch
        ? `is more than the wallet has`
        : undefined;
  const go = async (): Promise<void> => {
    if (units === undefined || held.data === undefined) return;
    depositing.reset();
    const { approveData, depositData } = await import('./contract-calls.ts');
    if (held.data.allowance < units) {
      const allowed = await allowing.send(connected, token.token_address, approveData(spender, units));
      if (allowed === undefined) return;
    }
    const hash = await depositing.send(connected, spender, depositData(token.token_address, units));
    await queries.invalidateQueries({ queryKey });
    if (hash === undefined) return;
    // The contract's events are what counts; telling makes the deposit seen at once.
    await act.tellDeposit({ tx_hash: hash, chain_id: connected.chainId }).catch(() => undefined);
    await queries.invalidateQueries({ queryKey: provider.collateral().queryKey });
  };
  return (
    <form
      className="space-y-4"
      onSubmit={(event) => {
        event.preventDefault();
        if (error === undefined) void go();
      }}
    >
      <div className="grid grid-cols-[minmax(0,1fr)_8rem] gap-3">
        <TextField
          label="Amount"
          inputMode="decimal"
          required
          value={text}
          onChange={setTyped}
          error={error}
          hint={
            held.data
              ? `The wallet has ${tokenAmount(held.data.balance, token.token_decimals)} ${symbol}.`
              : `From ${whole(token.min_collateral)} ${symbol} on, by hardware.`
          }
        />
        <Select
          label="Token"
          value={symbol}
          onChange={(next) => {
            setSymbol(next);
            setTyped(undefined);
          }}
          options={tokens.map(({ token_symbol: value }) => ({ value, label: value }))}
        />
      </div>
      <Button
        type="submit"
        kind="primary"
        busy={allowing.busy || depositing.busy}
        disabled={error !== undefined || held.data === undefined}
      >
        Pledge {units === undefined ? '' : tokenAmount(units, token.token_decimals, 0)} {symbol}
      </Button>
      <p className="text-sm text-soft">
        The wallet asks twice: that the contract may take this much, and that it takes it.
      </p>
      <TransactionView transaction={allowing.transaction} done="Allowed." />
      <TransactionView
        transaction={depositing.transaction}
        done="Deposited. It counts once it is deep enough."
      />
    </form>
  );
}

/** Tokens come back in two steps on the contract, seven days apart, from the owner's wallet. */
export function RefundTokens({
  asset,
  pledge,
  decimals,
}: {
  asset: string;
  pledge: Pledge;
  decimals: number;
}) {
  const contract = useQuery(provider.contract()).data;
  const [open, setOpen] = useState(false);
  const token = contract?.chains.find(({ token_symbol }) => token_symbol === asset);
  const nothing = pledge.locked === '0' && pledge.waiting === '0';
  if (!token || nothing) return null;
  if (!open) {
    return (
      <Button size="sm" onClick={() => setOpen(true)}>
        {pledge.waiting === '0' ? 'Ask for it back' : 'Take it out'}
      </Button>
    );
  }
  return (
    <WithWallet chainId={token.chain_id}>
      {(connected) => <Refund connected={connected} token={token} pledge={pledge} decimals={decimals} />}
    </WithWallet>
  );
}

function Refund({
  connected,
  token,
  pledge,
  decimals,
}: {
  connected: Connected;
  token: Token;
  pledge: Pledge;
  decimals: number;
}) {
  const queries = useQueryClient();
  const { transaction, busy, send } = useTransaction();
  const [now] = useState(wallMs);
  const due = pledge.refundable_at !== null && Date.parse(pledge.refundable_at) <= now;
  const go = async (step: 'requestRefund' | 'refund' | 'cancelRefund'): Promise<void> => {
    const { refundData } = await import('./contract-calls.ts');
    await send(
      connected,
      token.contract_address,
      refundData(token.token_address, step, BigInt(pledge.locked)),
    );
    await queries.invalidateQueries({ queryKey: provider.collateral().queryKey });
  };
  return (
    <div className="space-y-3">
      <div className="flex flex-wrap gap-2">
        {pledge.locked !== '0' && (
          <Button kind="danger" size="sm" busy={busy} onClick={() => void go('requestRefund')}>
            Ask for {tokenAmount(pledge.locked, decimals)} {token.token_symbol} back
          </Button>
        )}
        {pledge.waiting !== '0' && (
          <>
            <Button size="sm" busy={busy} disabled={!due} onClick={() => void go('refund')}>
              Take out {tokenAmount(pledge.waiting, decimals)} {token.token_symbol}
            </Button>
            <Button size="sm" busy={busy} onClick={() => void go('cancelRefund')}>
              Pledge it again
            </Button>
          </>
        )}
      </div>
      <TransactionView transaction={transaction} />
    </div>
  );
}
