import { encodeFunctionData, keccak256, stringToHex } from 'viem';
import type { Address, Hex } from '#domain/hex.ts';
import { providerCollateralAbi as abi } from './artifacts.ts';
import type { Chain } from './rpc.ts';
import type { Intent } from './transactions.ts';
import { type Cursor, decoded, type Reading, readEvents } from './watch.ts';

/** `ProviderCollateral` as functions: what it says, and intents of what is to be done. `docs/contracts.md` explains it. */
export interface Pledge {
  readonly locked: bigint;
  readonly waiting: bigint;
  /** Seconds of chain time; zero when nothing waits. */
  readonly refundableAt: number;
}

export async function pledgeOf(
  chain: Chain,
  { collateral, token, account }: { collateral: Address; token: Address; account: Address },
  at?: bigint,
): Promise<Pledge> {
  const found = (await chain.read(
    { address: collateral, abi, name: 'pledgeOf', args: [account, token] },
    at,
  )) as { locked: bigint; waiting: bigint; refundableAt: bigint };
  return { locked: found.locked, waiting: found.waiting, refundableAt: Number(found.refundableAt) };
}

export interface Deposit {
  /** Names the event, and so the deposit: it can be used once. */
  readonly id: string;
  readonly account: Address;
  readonly token: Address;
  /** What arrived, in the token's smallest unit. */
  readonly received: bigint;
}

/** What a transaction hash is worth as a proof of deposits. */
export type DepositFinding =
  | { readonly state: 'deposited'; readonly deposits: readonly Deposit[] }
  /** Too young to count; ask again. */
  | { readonly state: 'shallow'; readonly depth: number }
  /** In no block: unknown, or not yet. */
  | { readonly state: 'absent' }
  | { readonly state: 'failed' }
  /** It succeeded, and deposited nothing here. */
  | { readonly state: 'other' };

/**
 * What the transaction deposited in the contract, as its receipt says: events of other contracts do not count, whatever
 * they claim to be.
 */
export async function depositsIn(
  chain: Chain,
  {
    collateral,
    transaction,
    confirmations,
  }: { collateral: Address; transaction: Hex; confirmations: number },
): Promise<DepositFinding> {
  const receipt = await chain.receipt(transaction);
  if (!receipt) return { state: 'absent' };
  const depth = (await chain.head()) - receipt.block + 1n;
  if (depth < BigInt(confirmations)) return { state: 'shallow', depth: Number(depth) };
  if ((await chain.block(receipt.block))?.hash !== receipt.blockHash) return { state: 'absent' };
  if (!receipt.succeeded) return { state: 'failed' };
  const deposits = receipt.logs
    .filter((log) => log.address === collateral)
    .flatMap((log) => decoded(abi, log))
    .flatMap((event) => (event.eventName === 'Deposited' ? [{ id: event.id, ...event.args }] : []))
    .map(({ id, account, token, received }) => ({
      id,
      account: account.toLowerCase() as Address,
      token: token.toLowerCase() as Address,
      received,
    }));
  return deposits.length === 0 ? { state: 'other' } : { state: 'deposited', deposits };
}

/** The 32 bytes by which the contract knows a reason of ours. */
export function reasonOf(text: string): Hex {
  return keccak256(stringToHex(text));
}

/** `reason` is the id of the finding, 32 bytes; the contract accepts each once. */
export function slashIntent(
  collateral: Address,
  slash: { account: Address; token: Address; amount: bigint; reason: Hex },
): Intent {
  const { account, token, amount, reason } = slash;
  return {
    id: `slash:${collateral}:${reason}`,
    to: collateral,
    data: encodeFunctionData({ abi, functionName: 'slash', args: [account, token, amount, reason] }),
  };
}

/** Stops the account's refunds until a second of chain time. `dispute` tells one freeze from the next. */
export function freezeIntent(
  collateral: Address,
  freeze: { account: Address; until: number; dispute: string },
): Intent {
  return {
    id: `freeze:${collateral}:${freeze.account}:${freeze.dispute}:${freeze.until}`,
    to: collateral,
    data: encodeFunctionData({ abi, functionName: 'freeze', args: [freeze.account, BigInt(freeze.until)] }),
  };
}

/** Deposits, slashes, requests and refunds, deep enough to count. */
export function collateralEvents(
  chain: Chain,
  from: { collateral: Address; cursor: Cursor; confirmations: number },
): Promise<Reading<typeof abi>> {
  const { collateral, cursor, confirmations } = from;
  return readEvents(chain, { addresses: [collateral], abi, cursor, confirmations });
}
