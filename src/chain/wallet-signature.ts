import { getAddress, hashMessage, parseAbi, verifyMessage } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { createSiweMessage } from 'viem/siwe';
import type { Address, Hex } from '#domain/hex.ts';
import { Fault } from '#kit/fault.ts';
import type { Sealed } from '#kit/sealed.ts';
import type { Chain } from './rpc.ts';

const abi = parseAbi(['function isValidSignature(bytes32 hash, bytes signature) view returns (bytes4)']);
/** What a contract answers to a signature that is its own (ERC-1271). */
const MAGIC = '0x1626ba7e';

/** The text of Sign-In with Ethereum (ERC-4361), word for word as the wallet shows and signs it. Times are wall milliseconds. */
export function walletText(about: {
  /** The public URL of the market. */
  market: string;
  chainId: number;
  address: Address;
  nonce: string;
  statement: string;
  requestId: string;
  issuedAt: number;
  expiresAt: number;
}): string {
  const { market, chainId, nonce, statement, requestId } = about;
  return createSiweMessage({
    address: getAddress(about.address),
    chainId,
    domain: new URL(market).host,
    uri: market,
    version: '1',
    nonce,
    statement,
    requestId,
    issuedAt: new Date(about.issuedAt),
    expirationTime: new Date(about.expiresAt),
  });
}

/**
 * Whether a wallet signed a text (EIP-191, as wallets sign what people read). `key`: the wallet's own key did. `contract`:
 * the wallet is a contract on `chain` and says so (ERC-1271). Undefined: neither. Throws when the chain does not answer.
 */
export async function signedBy(
  chain: Chain | undefined,
  { address, message, signature }: { address: Address; message: string; signature: Hex },
): Promise<'key' | 'contract' | undefined> {
  // What is no signature at all makes the library throw.
  if (await verifyMessage({ address, message, signature }).catch(() => false)) return 'key';
  const code = await chain?.code(address);
  if (!chain || code === undefined || code === '0x') return undefined;
  const answer = await chain
    .read({ address, abi, name: 'isValidSignature', args: [hashMessage(message), signature] })
    .catch((error: unknown) => {
      // A contract may revert rather than answer; that the chain is away is another matter.
      if (error instanceof Fault && error.code === 'chain-unreachable') throw error;
      return undefined;
    });
  return answer === MAGIC ? 'contract' : undefined;
}

/** Signs a text as a wallet with this key does. */
export async function signText(key: Sealed<Hex>, message: string): Promise<Hex> {
  return await privateKeyToAccount(key.open()).signMessage({ message });
}
