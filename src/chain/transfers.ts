import { encodeEventTopics, encodeFunctionData, pad } from 'viem';
import type { Address, Hex } from '#domain/hex.ts';
import { testTokenAbi as abi } from './artifacts.ts';
import type { Chain } from './rpc.ts';
import type { Intent } from './transactions.ts';
import { type Cursor, readEvents } from './watch.ts';

/** Tokens that moved, as an ERC-20 contract says. */
export interface Transfer {
  /** Transaction and place in its block. */
  readonly id: string;
  readonly token: Address;
  readonly from: Address;
  readonly to: Address;
  readonly units: bigint;
  readonly block: bigint;
}

/** Servers take a list of receivers of this length; with more, every transfer of the token is asked for. */
const RECEIVERS_MAX = 500;

/**
 * The next transfers of `token` to one of the receivers, deep enough to count. `receivers` is asked when the blocks to read
 * are settled, so an address that was handed out before them is among them.
 */
export async function transfersTo(
  chain: Chain,
  options: {
    token: Address;
    receivers: () => Promise<readonly Address[]>;
    cursor: Cursor;
    confirmations: number;
    blocksMax?: number;
  },
): Promise<{ transfers: Transfer[]; cursor: Cursor; behind: bigint }> {
  const { token, cursor, confirmations, blocksMax } = options;
  let known: ReadonlySet<string> = new Set();
  const reading = await readEvents(chain, {
    addresses: [token],
    abi,
    cursor,
    confirmations,
    ...(blocksMax !== undefined && { blocksMax }),
    topics: async () => {
      const receivers = await options.receivers();
      known = new Set(receivers);
      const [transfer] = encodeEventTopics({ abi, eventName: 'Transfer' }) as [Hex];
      if (receivers.length === 0 || receivers.length > RECEIVERS_MAX) return [transfer];
      return [transfer, null, receivers.map((address) => pad(address))];
    },
  });
  const transfers = reading.events.flatMap((event): Transfer[] => {
    if (event.eventName !== 'Transfer') return [];
    const to = event.args.to.toLowerCase() as Address;
    if (!known.has(to) || event.args.value === 0n) return [];
    const from = event.args.from.toLowerCase() as Address;
    return [{ id: event.id, token, from, to, units: event.args.value, block: event.block }];
  });
  return { transfers, cursor: reading.cursor, behind: reading.behind };
}

/** What an account has of a token, in its smallest unit. */
export async function unitsOf(
  chain: Chain,
  { token, account }: { token: Address; account: Address },
): Promise<bigint> {
  return (await chain.read({ address: token, abi, name: 'balanceOf', args: [account] })) as bigint;
}

export function sendIntent(
  id: string,
  { token, to, units }: { token: Address; to: Address; units: bigint },
): Intent {
  return { id, to: token, data: encodeFunctionData({ abi, functionName: 'transfer', args: [to, units] }) };
}
