import type { AgentEnv } from '../env.ts';
import type { CollateralChain, Deposit } from '../market.ts';
import { SettingsError } from '../settings.ts';
import { type AccessOptions, withMarket } from './access.ts';
import { type Answer, plainLine, table } from './print.ts';

/**
 * `cygnet agent deposit`: what collateral this market wants and how it is sent; then, with `--tx` or `--usd`, the word to the
 * market that it was. The tokens themselves are sent with the wallet that owns them: this program never holds its key.
 */
export async function deposit(
  options: AccessOptions & {
    tx?: string | undefined;
    chain?: string | undefined;
    usd?: string | undefined;
    owner?: string | undefined;
  },
  env: AgentEnv,
): Promise<Answer> {
  const { tx, usd, owner } = options;
  if (tx !== undefined && usd !== undefined) throw new SettingsError('Say --tx or --usd, one of them.');
  if (tx !== undefined && !/^0x[0-9a-fA-F]{64}$/.test(tx))
    throw new SettingsError(`--tx ${tx}: a transaction is 0x and 64 hexadecimal digits.`);
  if (usd !== undefined && !/^\d{1,9}(\.\d{1,2})?$/.test(usd))
    throw new SettingsError(`--usd ${usd}: an amount of dollars such as 20 or 20.50.`);
  if (owner !== undefined && !/^0x[0-9a-fA-F]{40}$/.test(owner))
    throw new SettingsError(`--owner ${owner}: an address is 0x and 40 hexadecimal digits.`);
  const chainId = options.chain === undefined ? undefined : Number(options.chain);
  if (chainId !== undefined && !(Number.isInteger(chainId) && chainId > 0))
    throw new SettingsError(`--chain ${options.chain}: the number of a chain, please.`);
  return await withMarket(options, env, async ({ market, key }) => {
    if (owner !== undefined) await market.setAddress(key, { owner_address: owner });
    if (tx !== undefined || usd !== undefined) {
      const told = await market.tellDeposit(
        key,
        tx === undefined
          ? { amount_usd: usd as string }
          : { tx_hash: tx, ...(chainId !== undefined && { chain_id: chainId }) },
      );
      return { value: told, lines: toldLines(told, usd) };
    }
    const [chains, me, standing] = await Promise.all([
      market.collateralChains(),
      market.me(key),
      market.standing(key),
    ]);
    return {
      value: { chains, owner_address: me.owner_address ?? '', status: standing.status },
      lines: [
        ...(standing.earnings_enabled
          ? [
              'You are active: this market asks for no more than it has. More collateral may be pledged at any time.',
              '',
            ]
          : []),
        ...howTo(chains, me.owner_address || undefined),
      ],
    };
  });
}

function toldLines(told: Deposit, usd: string | undefined): string[] {
  const why = told.reason ? ` (${plainLine(told.reason)})` : '';
  if (told.status === 'rejected') return [`The market does not take it${why}.`];
  if (told.status === 'confirmed') return [`The deposit ${told.id} is confirmed.`];
  return usd === undefined
    ? [`The deposit ${told.id} is noted and waits for the chain${why}.`]
    : [
        `The deposit ${told.id} of $${usd} is announced. Pay as the operator tells you; it is confirmed when it has arrived.`,
      ];
}

function howTo(chains: readonly CollateralChain[], owner: string | undefined): string[] {
  const dollars = 'In dollars: cygnet agent deposit --usd 20, then pay as the operator tells you.';
  if (chains.length === 0) return ['This market takes no tokens as collateral.', dollars];
  return [
    ...table(
      ['TOKEN', '>AT LEAST', 'CHAIN', 'TOKEN CONTRACT', 'COLLATERAL CONTRACT'],
      chains.map((chain) => [
        chain.token_symbol ?? '',
        String(chain.min_collateral ?? ''),
        `${chain.chain_name ?? ''} (${chain.chain_id ?? '?'})`,
        chain.token_address ?? '',
        chain.contract_address ?? '',
      ]),
    ),
    '',
    owner === undefined
      ? '1. Say from which wallet, once and for ever: cygnet agent deposit --owner 0x…'
      : `1. The wallet that pledges is ${owner}.`,
    '2. With that wallet: approve the collateral contract for the amount, then call its deposit(token, amount).',
    '   Do not send tokens to the contract in any other way.',
    '3. Tell the market: cygnet agent deposit --tx 0x…',
    '',
    dollars,
  ];
}
