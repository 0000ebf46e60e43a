import { decodeFunctionResult, encodeFunctionData } from 'viem/utils';
import { pause } from '../../../surroundings.ts';
import type { Connected } from './browser-wallets.ts';
import { COLLATERAL, DISTRIBUTOR, TOKEN } from './contracts.ts';

/**
 * What is asked of the market's contracts through a wallet, encoded by viem: a piece of its own, loaded with the first page
 * that needs it (`import()`).
 */
type Hex = `0x${string}`;

/** A batch as the contract has it; number zero: there is none. `activeAt` in seconds of chain time. */
export interface ChainBatch {
  readonly number: number;
  readonly activeAt: number;
}

/** What the contract says, asked through the wallet, so that nobody has to believe the market. */
export async function readClaim(
  connected: Connected,
  place: { contract: string; token: string; account: string },
): Promise<{ inForce: ChainBatch; waiting: ChainBatch; claimed: bigint }> {
  const token = place.token as Hex;
  const batch = async (functionName: 'batchInForce' | 'batchWaiting'): Promise<ChainBatch> => {
    const data = encodeFunctionData({ abi: DISTRIBUTOR, functionName, args: [token] });
    const answer = await read(connected, place.contract, data);
    const { number, activeAt } = decodeFunctionResult({ abi: DISTRIBUTOR, functionName, data: answer });
    return { number: Number(number), activeAt: Number(activeAt) };
  };
  const [inForce, waiting, claimed] = await Promise.all([
    batch('batchInForce'),
    batch('batchWaiting'),
    read(
      connected,
      place.contract,
      encodeFunctionData({
        abi: DISTRIBUTOR,
        functionName: 'claimed',
        args: [token, place.account as Hex],
      }),
    ).then((data) => decodeFunctionResult({ abi: DISTRIBUTOR, functionName: 'claimed', data })),
  ]);
  return { inForce, waiting, claimed };
}

/** The call that collects. It pays to `account`, whoever sends it. */
export function claimData(about: {
  token: string;
  account: string;
  cumulative: string;
  proof: readonly string[];
}): Hex {
  const { token, account, cumulative, proof } = about;
  return encodeFunctionData({
    abi: DISTRIBUTOR,
    functionName: 'claim',
    args: [token as Hex, account as Hex, BigInt(cumulative), proof as Hex[]],
  });
}

/** What an account has of a token, and how much of it a contract may take. */
export async function readToken(
  connected: Connected,
  place: { token: string; spender: string },
): Promise<{ balance: bigint; allowance: bigint }> {
  const account = connected.account as Hex;
  const [balance, allowance] = await Promise.all([
    read(
      connected,
      place.token,
      encodeFunctionData({ abi: TOKEN, functionName: 'balanceOf', args: [account] }),
    ).then((data) => decodeFunctionResult({ abi: TOKEN, functionName: 'balanceOf', data })),
    read(
      connected,
      place.token,
      encodeFunctionData({
        abi: TOKEN,
        functionName: 'allowance',
        args: [account, place.spender as Hex],
      }),
    ).then((data) => decodeFunctionResult({ abi: TOKEN, functionName: 'allowance', data })),
  ]);
  return { balance, allowance };
}

export function approveData(spender: string, amount: bigint): Hex {
  return encodeFunctionData({ abi: TOKEN, functionName: 'approve', args: [spender as Hex, amount] });
}

export function depositData(token: string, amount: bigint): Hex {
  return encodeFunctionData({ abi: COLLATERAL, functionName: 'deposit', args: [token as Hex, amount] });
}

export function refundData(
  token: string,
  step: 'requestRefund' | 'refund' | 'cancelRefund',
  amount = 0n,
): Hex {
  const address = token as Hex;
  return step === 'requestRefund'
    ? encodeFunctionData({ abi: COLLATERAL, functionName: step, args: [address, amount] })
    : encodeFunctionData({ abi: COLLATERAL, functionName: step, args: [address] });
}

async function read({ wallet }: Connected, to: string, data: Hex): Promise<Hex> {
  return (await wallet.provider.request({ method: 'eth_call', params: [{ to, data }, 'latest'] })) as Hex;
}

/** Has the wallet send a transaction; answers its hash. Throws what the wallet says. */
export async function sendCall({ wallet, account }: Connected, to: string, data: Hex): Promise<string> {
  const params = [{ from: account, to, data }];
  return (await wallet.provider.request({ method: 'eth_sendTransaction', params })) as string;
}

const LOOK_MS = 1_500;
const LOOKS_MAX = 400;

/** Waits for a transaction to be in a block: whether it did what it was to do, or undefined after ten minutes. */
export async function outcomeOf(
  { wallet }: Connected,
  hash: string,
  signal: AbortSignal,
): Promise<'done' | 'failed' | undefined> {
  for (let look = 0; look < LOOKS_MAX && !signal.aborted; look += 1) {
    // One look after another: that is what waiting is.
    // oxlint-disable-next-line no-await-in-loop
    const receipt = (await wallet.provider.request({
      method: 'eth_getTransactionReceipt',
      params: [hash],
    })) as { status?: string } | null;
    if (receipt) return Number(receipt.status) === 1 ? 'done' : 'failed';
    // oxlint-disable-next-line no-await-in-loop
    await pause(LOOK_MS);
  }
  return undefined;
}
