import type { Page } from 'playwright-core';
import { createWalletClient, http } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import type { Hex } from '#domain/hex.ts';
import type { Sealed } from '#kit/sealed.ts';
import { askNode } from './chain.ts';

/**
 * A wallet in a test's browser, as extensions are: it announces itself (EIP-6963), speaks EIP-1193, signs with a key, and sends
 * through a real node. Its owner may decline, and it begins on another chain than it should, without knowing the right one.
 */
export interface TestWallet {
  readonly address: Hex;
  /** How often it was asked, by method. */
  readonly asked: string[];
  /** The next question that its owner has to answer is declined. */
  declineNext(): void;
}

const NAME = 'Test Wallet';
/** What asks the wallet's owner. */
const QUESTIONS = [
  'eth_requestAccounts',
  'personal_sign',
  'eth_sendTransaction',
  'wallet_addEthereumChain',
  'wallet_switchEthereumChain',
];

/** Puts a wallet into every page that is opened from now on. */
export async function injectWallet(
  page: Page,
  about: { key: Sealed<Hex>; node: string; beginsOn: number },
): Promise<TestWallet> {
  const account = privateKeyToAccount(about.key.open());
  const client = createWalletClient({ account, transport: http(about.node) });
  const asked: string[] = [];
  let chainId = `0x${about.beginsOn.toString(16)}`;
  let declining = false;
  // As a wallet that was just installed: it has never heard of the market's own chain.
  let knows = [`0x${about.beginsOn.toString(16)}`];

  const answer = async (method: string, params: unknown[]): Promise<unknown> => {
    if (method === 'eth_requestAccounts' || method === 'eth_accounts') return [account.address];
    if (method === 'eth_chainId') return chainId;
    if (method === 'wallet_addEthereumChain') {
      const { chainId: added, rpcUrls } = params[0] as { chainId: string; rpcUrls: string[] };
      if (rpcUrls[0] !== about.node) throw new Error('The page names another node.');
      knows = [...knows, added];
      return null;
    }
    if (method === 'wallet_switchEthereumChain') {
      if (!knows.includes((params[0] as { chainId: string }).chainId))
        throw Object.assign(new Error('Unrecognized chain ID.'), { code: 4902 });
      chainId = (params[0] as { chainId: string }).chainId;
      return null;
    }
    if (method === 'personal_sign') return await account.signMessage({ message: { raw: params[0] as Hex } });
    if (method === 'eth_sendTransaction') {
      const { to, data } = params[0] as { to: Hex; data: Hex };
      return await client.sendTransaction({ to, data, chain: null });
    }
    return await askNode(about.node, method, params);
  };
  await page.exposeFunction('testWallet', async (method: string, params: unknown[]) => {
    asked.push(method);
    if (declining && QUESTIONS.includes(method)) {
      declining = false;
      return { error: { code: 4001, message: 'User rejected the request.' } };
    }
    return await answer(method, params).then(
      (result) => ({ result: result ?? null }),
      (error: Error & { code?: number }) => ({
        error: { code: error.code ?? -32_000, message: error.message },
      }),
    );
  });
  await page.addInitScript(INJECTED);
  return { address: account.address.toLowerCase() as Hex, asked, declineNext: () => (declining = true) };
}

/** What runs in the page is text: here there is no window. */
const INJECTED = `(() => {
  const heard = {};
  const provider = {
    async request({ method, params = [] }) {
      const { result, error } = await window.testWallet(method, params);
      if (error) throw Object.assign(new Error(error.message), { code: error.code });
      if (method === 'wallet_switchEthereumChain') for (const each of heard.chainChanged ?? []) each(params[0].chainId);
      return result;
    },
    on(event, listener) { (heard[event] ??= new Set()).add(listener); },
    removeListener(event, listener) { heard[event]?.delete(listener); },
  };
  const info = Object.freeze({ uuid: 'test-wallet', name: '${NAME}', icon: 'data:image/svg+xml,%3Csvg xmlns="http://www.w3.org/2000/svg"/%3E', rdns: 'org.example.test' });
  const announce = () => window.dispatchEvent(new CustomEvent('eip6963:announceProvider', { detail: Object.freeze({ info, provider }) }));
  window.addEventListener('eip6963:requestProvider', announce);
  announce();
})()`;
