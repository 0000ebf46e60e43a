import { useSyncExternalStore } from 'react';

/**
 * Wallets of this browser, by the standards: an EIP-1193 object to ask things of, found by EIP-6963 (each wallet announces
 * itself) and, of wallets older than that, at `window.ethereum`. Nothing is asked of a wallet before somebody chooses it.
 */
export interface Eip1193 {
  request(asked: { method: string; params?: readonly unknown[] }): Promise<unknown>;
  on?(event: string, listener: (value: unknown) => void): void;
  removeListener?(event: string, listener: (value: unknown) => void): void;
}

export interface BrowserWallet {
  readonly id: string;
  readonly name: string;
  /** A data address of its picture; empty where it has none that may be shown. */
  readonly icon: string;
  readonly provider: Eip1193;
}

/** A wallet that somebody chose, and what it shows of itself. */
export interface Connected {
  readonly wallet: BrowserWallet;
  /** In lower case. */
  readonly account: string;
  readonly chainId: number;
}

interface State {
  readonly wallets: readonly BrowserWallet[];
  readonly connected: Connected | undefined;
}

interface Announcement {
  readonly info: { readonly uuid: string; readonly name: string; readonly icon: string };
  readonly provider: Eip1193;
}

let state: State = { wallets: [], connected: undefined };
let looking = false;
let letGo = (): void => {};
const listeners = new Set<() => void>();

function set(next: Partial<State>): void {
  state = { ...state, ...next };
  for (const listener of listeners) listener();
}

/** Begins to listen, and asks whoever was there before us to announce itself again. */
function look(): void {
  if (looking) return;
  looking = true;
  window.addEventListener('eip6963:announceProvider', (event) => {
    const { info, provider } = (event as CustomEvent<Announcement>).detail;
    if (state.wallets.some(({ id }) => id === info.uuid)) return;
    const icon = info.icon.startsWith('data:image/') ? info.icon : '';
    const announced = { id: info.uuid, name: info.name, icon, provider };
    // The one at `window.ethereum` is among those that announce themselves.
    set({ wallets: [...state.wallets.filter(({ id }) => id !== OLD), announced] });
  });
  window.dispatchEvent(new Event('eip6963:requestProvider'));
  const old = (window as { ethereum?: Eip1193 }).ethereum;
  if (state.wallets.length === 0 && old)
    set({ wallets: [{ id: OLD, name: 'Browser wallet', icon: '', provider: old }] });
}

const OLD = 'window.ethereum';

export const browserWallets = {
  /** Asks a wallet for its account. Throws what the wallet says. */
  async connect(wallet: BrowserWallet): Promise<Connected> {
    const [account] = (await wallet.provider.request({ method: 'eth_requestAccounts' })) as string[];
    if (account === undefined) throw new Error('The wallet has no account to show.');
    const chainId = Number(await wallet.provider.request({ method: 'eth_chainId' }));
    const connected = { wallet, account: account.toLowerCase(), chainId };
    browserWallets.forget();
    follow(connected);
    set({ connected });
    return connected;
  },
  /** Asks the wallet to go to a chain; with `rpcUrl`, to take it in where it does not know it. Throws what the wallet says. */
  async switchTo({ wallet }: Connected, chainId: number, rpcUrl?: string): Promise<void> {
    const id = `0x${chainId.toString(16)}`;
    try {
      await wallet.provider.request({ method: 'wallet_switchEthereumChain', params: [{ chainId: id }] });
    } catch (error) {
      if (rpcUrl === undefined || codeOf(error) !== UNKNOWN_CHAIN) throw error;
      // The chain of the market's own machine, which no wallet can know.
      await wallet.provider.request({
        method: 'wallet_addEthereumChain',
        params: [
          {
            chainId: id,
            chainName: 'Cygnet trial',
            nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
            rpcUrls: [rpcUrl],
          },
        ],
      });
      await wallet.provider.request({ method: 'wallet_switchEthereumChain', params: [{ chainId: id }] });
    }
    const now = Number(await wallet.provider.request({ method: 'eth_chainId' }));
    if (state.connected) set({ connected: { ...state.connected, chainId: now } });
  },
  forget(): void {
    letGo();
    letGo = () => {};
    set({ connected: undefined });
  },
};

/** The wallet may change account and chain by itself, and is believed. */
function follow({ wallet: { provider } }: Connected): void {
  const onAccounts = (value: unknown): void => {
    const [account] = value as string[];
    if (account === undefined) browserWallets.forget();
    else if (state.connected) set({ connected: { ...state.connected, account: account.toLowerCase() } });
  };
  const onChain = (value: unknown): void => {
    if (state.connected) set({ connected: { ...state.connected, chainId: Number(value) } });
  };
  provider.on?.('accountsChanged', onAccounts);
  provider.on?.('chainChanged', onChain);
  letGo = () => {
    provider.removeListener?.('accountsChanged', onAccounts);
    provider.removeListener?.('chainChanged', onChain);
  };
}

export function useBrowserWallets(): State {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      look();
      return () => listeners.delete(listener);
    },
    () => state,
  );
}

const UNKNOWN_CHAIN = 4902;

/** Wallets on phones wrap their errors. */
function codeOf(error: unknown): number | undefined {
  const { code, data } = (error ?? {}) as {
    code?: number;
    data?: { originalError?: { code?: number } };
  };
  return data?.originalError?.code ?? code;
}

/** What a wallet means by an error, and what to do about it. */
export function walletWords(error: unknown): string {
  const { message } = (error ?? {}) as { message?: string };
  const said = codeOf(error);
  if (said === 4001) return 'You declined it in the wallet. Nothing was signed or sent.';
  if (said === 4100)
    return 'The wallet does not let this page see that account. Allow it there, then try again.';
  if (said === UNKNOWN_CHAIN)
    return 'The wallet does not know this chain. Add it in the wallet, then try again.';
  if (said === -32_002) return 'The wallet has a question open. Answer it there.';
  return typeof message === 'string' && message !== ''
    ? firstSentence(message)
    : 'The wallet did not answer.';
}

/** Wallets put whole requests into their messages; the first line says what is wrong. */
function firstSentence(message: string): string {
  const [line = ''] = message.split('\n');
  return line.length > 200 ? `${line.slice(0, 200)}…` : line;
}

/** Has the wallet sign a text (`personal_sign`). Throws what the wallet says. */
export async function signText({ wallet, account }: Connected, text: string): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  const hex = `0x${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
  return (await wallet.provider.request({ method: 'personal_sign', params: [hex, account] })) as string;
}
