import type { Address, Hex } from '#domain/hex.ts';
import { ZERO_ADDRESS } from '#domain/hex.ts';
import { testTokenAbi as abi } from './artifacts.ts';
import type { Chain } from './rpc.ts';
import { decoded } from './watch.ts';

/** Where nobody can spend from: the zero address, and the one that people burn to by custom. */
const NOWHERE: readonly Address[] = [ZERO_ADDRESS, '0x000000000000000000000000000000000000dead'];

/** What a transaction hash is worth as a proof that tokens were burned. */
export type BurnFinding =
  | { readonly state: 'burned'; readonly units: bigint }
  /** Too young to count; ask again. */
  | { readonly state: 'shallow'; readonly depth: number }
  /** In no block: unknown, or not yet. */
  | { readonly state: 'absent' }
  | { readonly state: 'failed' }
  /** It succeeded, and burned nothing of this token. */
  | { readonly state: 'other' };

/** What the transaction sent of `token` to where nobody can spend it, as the token's own events in its receipt say. */
export async function burnedIn(
  chain: Chain,
  { token, transaction, confirmations }: { token: Address; transaction: Hex; confirmations: number },
): Promise<BurnFinding> {
  const receipt = await chain.receipt(transaction);
  if (!receipt) return { state: 'absent' };
  const depth = (await chain.head()) - receipt.block + 1n;
  if (depth < BigInt(confirmations)) return { state: 'shallow', depth: Number(depth) };
  if ((await chain.block(receipt.block))?.hash !== receipt.blockHash) return { state: 'absent' };
  if (!receipt.succeeded) return { state: 'failed' };
  const units = receipt.logs
    .filter((log) => log.address === token)
    .flatMap((log) => decoded(abi, log))
    .reduce((sum, event) => {
      if (event.eventName !== 'Transfer') return sum;
      const nowhere = NOWHERE.includes(event.args.to.toLowerCase() as Address);
      // What comes from the zero address was made there, not paid for.
      return nowhere && event.args.from.toLowerCase() !== ZERO_ADDRESS ? sum + event.args.value : sum;
    }, 0n);
  return units > 0n ? { state: 'burned', units } : { state: 'other' };
}
