import { encodeEventTopics, encodeFunctionData } from 'viem';
import type { Address, Hex } from '#domain/hex.ts';
import { merkleDistributorAbi as abi, testTokenAbi as tokenAbi } from './artifacts.ts';
import type { Chain } from './rpc.ts';
import type { Intent } from './transactions.ts';
import { type Cursor, decoded, type Reading, readEvents } from './watch.ts';

/** `MerkleDistributor` as functions: what it says, and intents of what is to be done. `docs/contracts.md` explains it. */
export interface OnChainBatch {
  /** Zero before the first batch. */
  readonly number: number;
  readonly root: Hex;
  readonly total: bigint;
  /** Seconds of chain time. */
  readonly activeAt: number;
}

type Place = { readonly distributor: Address; readonly token: Address };

async function readBatch(
  chain: Chain,
  { distributor, token }: Place,
  name: 'batchInForce' | 'batchWaiting',
  at?: bigint,
): Promise<OnChainBatch> {
  const found = (await chain.read({ address: distributor, abi, name, args: [token] }, at)) as {
    root: Hex;
    total: bigint;
    number: bigint;
    activeAt: bigint;
  };
  const { root, total, number, activeAt } = found;
  return { root, total, number: Number(number), activeAt: Number(activeAt) };
}

/** The batch that is paid from, now or as of a block. */
export const batchInForce = (chain: Chain, place: Place, at?: bigint): Promise<OnChainBatch> =>
  readBatch(chain, place, 'batchInForce', at);

/** The batch in its time lock; its number is zero when there is none. */
export const batchWaiting = (chain: Chain, place: Place): Promise<OnChainBatch> =>
  readBatch(chain, place, 'batchWaiting');

/** The highest number ever published, revoked ones included. What a restored backup is compared with. */
export async function lastBatchNumber(chain: Chain, { distributor, token }: Place): Promise<number> {
  return Number(await chain.read({ address: distributor, abi, name: 'lastNumber', args: [token] }));
}

/** What the account was paid so far. */
export async function claimedBy(
  chain: Chain,
  { distributor, token }: Place,
  account: Address,
): Promise<bigint> {
  return (await chain.read({
    address: distributor,
    abi,
    name: 'claimed',
    args: [token, account],
  })) as bigint;
}

/** What all accounts together were paid, now or as of a block. */
export async function claimedByAll(
  chain: Chain,
  { distributor, token }: Place,
  at?: bigint,
): Promise<bigint> {
  return (await chain.read({ address: distributor, abi, name: 'claimedTotal', args: [token] }, at)) as bigint;
}

/** What an account has of a token. */
export async function tokenBalance(chain: Chain, token: Address, account: Address): Promise<bigint> {
  return (await chain.read({ address: token, abi: tokenAbi, name: 'balanceOf', args: [account] })) as bigint;
}

/** The decimals of a token, as it says. */
export async function tokenDecimals(chain: Chain, token: Address): Promise<number> {
  return Number(await chain.read({ address: token, abi: tokenAbi, name: 'decimals', args: [] }));
}

export function transferIntent(
  id: string,
  { token, to, amount }: { token: Address; to: Address; amount: bigint },
): Intent {
  return {
    id,
    to: token,
    data: encodeFunctionData({ abi: tokenAbi, functionName: 'transfer', args: [to, amount] }),
  };
}

/** What the total of a batch may reach. */
export async function fundedWith(chain: Chain, { distributor, token }: Place): Promise<bigint> {
  return (await chain.read({ address: distributor, abi, name: 'funded', args: [token] })) as bigint;
}

/** Its id follows from the batch, so a batch is published once. */
export function publishIntent(
  { distributor, token }: Place,
  batch: { number: number; root: Hex; increase: bigint; total: bigint; claimsHash: Hex },
): Intent {
  return {
    id: `publish:${distributor}:${token}:${batch.number}`,
    to: distributor,
    data: encodeFunctionData({
      abi,
      functionName: 'publish',
      args: [token, BigInt(batch.number), batch.root, batch.increase, batch.total, batch.claimsHash],
    }),
  };
}

export function revokeIntent({ distributor, token }: Place, number: number): Intent {
  return {
    id: `revoke:${distributor}:${token}:${number}`,
    to: distributor,
    data: encodeFunctionData({ abi, functionName: 'revoke', args: [token, BigInt(number)] }),
  };
}

/** Pays `account` up to `cumulative`. Anybody can send it. */
export function claimIntent(
  { distributor, token }: Place,
  claim: { account: Address; cumulative: bigint; proof: readonly Hex[] },
): Intent {
  const { account, cumulative, proof } = claim;
  return {
    id: `claim:${distributor}:${token}:${account}:${cumulative}`,
    to: distributor,
    data: encodeFunctionData({
      abi,
      functionName: 'claim',
      args: [token, account, cumulative, [...proof]],
    }),
  };
}

/**
 * What the contract announced when a batch was published; undefined when it never was, or in no block that is
 * `confirmations` deep. `from` is the first block to look in: servers limit how many they look through.
 */
export async function announcedBatch(
  chain: Chain,
  { distributor, token }: Place,
  number: number,
  { confirmations = 1, from = 0n }: { confirmations?: number; from?: bigint } = {},
): Promise<{ root: Hex; total: bigint; increase: bigint; claimsHash: Hex } | undefined> {
  const topics = encodeEventTopics({
    abi,
    eventName: 'BatchPublished',
    args: { token, number: BigInt(number) },
  }) as (Hex | null)[];
  const to = (await chain.head()) - BigInt(confirmations) + 1n;
  if (to < from) return undefined;
  const logs = await chain.logs({ addresses: [distributor], from, to, topics });
  const event = logs.flatMap((log) => decoded(abi, log))[0];
  return event?.eventName === 'BatchPublished' ? event.args : undefined;
}

/** Batches published and revoked, claims, and the rest of what the contract announces, deep enough to count. */
export function distributorEvents(
  chain: Chain,
  from: { distributor: Address; cursor: Cursor; confirmations: number },
): Promise<Reading<typeof abi>> {
  const { distributor, cursor, confirmations } = from;
  return readEvents(chain, { addresses: [distributor], abi, cursor, confirmations });
}
