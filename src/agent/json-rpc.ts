import { request } from 'undici';
import type { Hex } from '#domain/hex.ts';
import { SettingsError } from './settings.ts';

const CALL_MS = 15_000;

/** One call of a chain's JSON-RPC server. Throws, in a sentence, when it does not answer or refuses. */
export async function askChain<T>(url: string, method: string, params: readonly unknown[]): Promise<T> {
  let answer: { result?: T; error?: { message?: string } };
  try {
    const response = await request(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
      headersTimeout: CALL_MS,
      bodyTimeout: CALL_MS,
    });
    answer = (await response.body.json()) as typeof answer;
  } catch (error) {
    throw new Error(
      `The chain does not answer at ${url}: ${(error as { code?: string }).code ?? 'no JSON'}.`,
      {
        cause: error,
      },
    );
  }
  if (answer.result === undefined || answer.result === null)
    throw new Error(
      `The chain refuses ${method}: ${answer.error?.message?.slice(0, 300) ?? 'no reason given'}.`,
    );
  return answer.result;
}

export async function askNumber(url: string, method: string, params: readonly unknown[]): Promise<bigint> {
  return BigInt(await askChain<Hex>(url, method, params));
}

export interface Signer {
  readonly address: Hex;
  sign(transaction: {
    chainId: number;
    nonce: number;
    to: Hex;
    data: Hex;
    gas: bigint;
    maxFeePerGas: bigint;
    maxPriorityFeePerGas: bigint;
  }): Promise<Hex>;
}

/** Signs with viem, which is no part of the light install: only who claims with this program needs it. */
export async function signer(key: Hex): Promise<Signer> {
  let accounts: typeof import('viem/accounts');
  try {
    accounts = await import('viem/accounts');
  } catch (cause) {
    throw new SettingsError(
      'To sign here, install viem beside the agent (npm install viem), or send the call that --print shows with your wallet.',
      { cause },
    );
  }
  const account = accounts.privateKeyToAccount(key);
  return {
    address: account.address.toLowerCase() as Hex,
    sign: async (transaction) => await account.signTransaction({ type: 'eip1559', ...transaction }),
  };
}
