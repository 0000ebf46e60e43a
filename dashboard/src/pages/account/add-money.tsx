import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Coins, CreditCard, Wallet } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { Button } from '../../parts/button.tsx';
import { cx } from '../../parts/class-names.ts';
import { CopyButton, Id } from '../../parts/copy.tsx';
import { Problem, TextField, useForm } from '../../parts/form.tsx';
import { plural, usd } from '../../parts/format.ts';
import { Notice } from '../../parts/notice.tsx';
import { Card, Facts } from '../../parts/page.tsx';
import { Qr } from '../../parts/qr.tsx';
import { Empty, Loaded, Skeleton } from '../../parts/states.tsx';
import { toast } from '../../parts/toast.tsx';
import { account, change, type TopUpBody } from './api.ts';

/** The ways that this market takes money. */
export function AddMoney() {
  const query = useQuery(account.topUp());
  return (
    <Loaded query={query} skeleton={<Skeleton className="h-80 rounded-xl" />}>
      {({ card, crypto }) =>
        card === null && crypto === null ? (
          <Card>
            <Empty icon={Wallet} title="Ask whoever runs this market">
              It takes neither cards nor tokens by itself. Its operator books what you pay by bank.
            </Empty>
          </Card>
        ) : (
          <div
            className={cx(
              'grid items-start gap-4',
              card !== null && crypto !== null && 'lg:grid-cols-[20rem_minmax(0,1fr)]',
            )}
          >
            {card && <ByCard card={card} />}
            {crypto && <OnChain crypto={crypto} />}
          </div>
        )
      }
    </Loaded>
  );
}

const AMOUNTS = ['10', '25', '50', '100'] as const;

function ByCard({ card }: { card: NonNullable<TopUpBody['card']> }) {
  const [amount, setAmount] = useState('25');
  const form = useForm(async () => {
    const { url } = await change.payByCard(amount.trim());
    // The card's number is entered at the card's service, never here.
    location.assign(url);
  });
  return (
    <Card title="By card" hint="On the balance a moment later.">
      <form onSubmit={form.onSubmit} className="space-y-4">
        <div className="grid grid-cols-4 gap-2" role="group" aria-label="Amounts">
          {AMOUNTS.map((each) => (
            <button
              key={each}
              type="button"
              aria-pressed={amount === each}
              onClick={() => setAmount(each)}
              className={cx(
                'figures h-9 rounded-lg border font-medium transition-colors',
                amount === each
                  ? 'border-accent bg-accent-wash text-accent'
                  : 'border-line-strong bg-surface hover:bg-hover',
              )}
            >
              ${each}
            </button>
          ))}
        </div>
        <TextField
          label="Amount in dollars"
          inputMode="decimal"
          required
          value={amount}
          onChange={setAmount}
          hint={`From ${usd(card.minimum_usd)} to ${usd(card.maximum_usd)}.`}
          error={form.errorOf('amount_usd')}
        />
        <Problem>{form.problem}</Problem>
        <Button type="submit" kind="primary" icon={CreditCard} busy={form.busy} className="w-full">
          Go to payment
        </Button>
      </form>
    </Card>
  );
}

const CHAINS: Readonly<Record<number, string>> = {
  1: 'Ethereum',
  10: 'OP Mainnet',
  8453: 'Base',
  42161: 'Arbitrum One',
  84532: 'Base Sepolia',
  254: 'Swan Chain',
  20241133: 'Swan Chain Proxima',
  31337: 'The market’s own test chain',
};

function OnChain({ crypto }: { crypto: NonNullable<TopUpBody['crypto']> }) {
  const names = crypto.tokens.map(({ symbol }) => symbol);
  const chain = CHAINS[crypto.chain_id] ?? `Chain ${crypto.chain_id}`;
  return (
    <Card title="With tokens" hint="To an address that is yours alone. Send as often as you like.">
      <div className="flex flex-wrap items-start gap-6">
        <div className="rounded-xl border border-line bg-white p-1.5">
          <Qr text={crypto.address} label="Your deposit address as a QR code" />
        </div>
        <div className="min-w-0 flex-1 basis-72">
          <p className="text-sm font-medium">Your deposit address</p>
          <div className="mt-1.5 flex items-center gap-2 rounded-lg border border-line-strong bg-code py-1.5 pr-1.5 pl-3">
            <code className="min-w-0 flex-1 font-mono text-sm wrap-anywhere">{crypto.address}</code>
            <CopyButton text={crypto.address} label="Copy the address" />
          </div>
          <div className="mt-3">
            <Facts
              rows={[
                ['Chain', `${chain} (${crypto.chain_id})`],
                ['Takes', listed(names)],
                ['At least', `${usd(crypto.minimum_usd)} at a time`],
                ['Booked after', plural(crypto.confirmations, 'confirmation')],
                ...(crypto.swan_bonus_percent > 0 && names.includes('SWAN')
                  ? ([
                      [
                        'Bonus on SWAN',
                        <b key="bonus" className="text-good">
                          {crypto.swan_bonus_percent} %
                        </b>,
                      ],
                    ] as [string, ReactNode][])
                  : []),
              ]}
            />
          </div>
        </div>
      </div>
      <TestMoney />
      <Notice tone="warn" title={`Only ${listed(names)}, only on this chain`} className="mt-4">
        Other tokens, and the same ones on another chain, do not arrive.
      </Notice>
      <details className="mt-4">
        <summary className="cursor-pointer text-sm font-medium text-soft hover:text-ink">
          Contracts of the tokens
        </summary>
        <Facts
          rows={crypto.tokens.map(({ symbol, address }) => [
            symbol,
            <Id key={symbol} value={address} keep={24} />,
          ])}
        />
      </details>
    </Card>
  );
}

/** On a market that is only tried: tokens that cost nothing take the way that real ones take. */
function TestMoney() {
  const trial = useQuery(account.facts()).data?.trial ?? null;
  const queries = useQueryClient();
  const form = useForm(async () => {
    await change.testTokens();
    toast.done('25 test USDC are on their way. They are on the balance in a moment.');
    await queries.invalidateQueries({ queryKey: account.deposits().queryKey });
  });
  if (trial === null) return null;
  return (
    <form
      onSubmit={form.onSubmit}
      className="mt-4 flex flex-wrap items-center justify-between gap-3 rounded-lg border border-dashed border-line-strong px-4 py-3"
    >
      <p className="min-w-0 flex-1 basis-64 text-soft">
        This market is a trial: its chain is on this machine, and its tokens are worth nothing. Have some sent
        to your address.
      </p>
      <Button type="submit" icon={Coins} busy={form.busy}>
        Send 25 test USDC
      </Button>
      <Problem>{form.problem}</Problem>
    </form>
  );
}

function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
}
