import { existsSync } from 'node:fs';
import path from 'node:path';
import { keccak256 } from 'viem';
import type { ChainAsset, MarketChainSettings } from '#domain/chain-settings.ts';
import type { Address, Hex } from '#domain/hex.ts';
import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { Randomness } from '#kit/random.ts';
import type { Sealed } from '#kit/sealed.ts';
import { depositKeyFrom } from './derived-address.ts';
import { anvilProgram, openLocalChain } from './local-chain.ts';
import { type Chain, openChain } from './rpc.ts';
import { TestTokens } from './test-tokens.ts';

/** The chain that a market pays on: the one its operator named, or the local one in its data folder. */
export interface MarketChain {
  readonly chain: Chain;
  readonly isLocal: boolean;
  /** The servers it is reached through. */
  readonly rpcUrls: readonly string[];
  readonly distributor: Address;
  readonly collateral: Address | undefined;
  readonly payoutToken: { readonly address: Address; readonly decimals: number };
  /** What consumers may deposit and providers may pledge, by what it is called. */
  readonly assets: readonly ChainAsset[];
  /** How deep a deposit must be to be credited. */
  readonly depositConfirmations: number;
  /** Undefined where this process may read only. */
  readonly operatorKey: Sealed<Hex> | undefined;
  /** The key of the deposit addresses of a local chain; an operator's own is not the market's to know. */
  readonly depositKey: Sealed<string> | undefined;
  /** Hands out the tokens of a local chain; none on a chain of others. */
  readonly testTokens?: TestTokens;
  /** Wallets to try things with; none on a chain of others. */
  readonly demoWallets: readonly Sealed<Hex>[];
  /** How deep a block must be to count; 1 is the newest. */
  readonly confirmations: number;
  /** The first block that can hold an event of our contracts. */
  readonly firstBlock: bigint;
  readonly maxFeePerGas: bigint;
  /** Makes a local chain as it is now durable; elsewhere that is not ours to do. */
  persist(): Promise<void>;
  /** Lets time pass on a local chain; a chain of others has its own. */
  pass(seconds: number): Promise<void>;
  /** Stops the local node where we started it, or where `stop` says so. */
  close(stop?: 'stop'): Promise<void>;
}

/** Where the local chain of a data folder is. */
function localChainFolder(dataFolder: string): string {
  return path.join(dataFolder, 'chain');
}

/** True when a local chain was ever started in this data folder. */
export function hasLocalChain(dataFolder: string): boolean {
  return existsSync(path.join(localChainFolder(dataFolder), 'keys.json'));
}

/** True when this machine has the local chain's program: npm has it for most, not for all. */
export function localChainRunsHere(): boolean {
  try {
    return existsSync(anvilProgram());
  } catch {
    return false;
  }
}

/**
 * Opens the chain that the settings name, and the local one where they name none. A chain of others may be away: whoever
 * uses it finds out.
 */
export async function openMarketChain(
  settings: MarketChainSettings,
  local: { dataFolder: string; clock: Clock; random: Randomness },
): Promise<MarketChain> {
  const { rpcUrls, distributor, payoutToken } = settings;
  if (!rpcUrls) return await openLocal(settings, local);
  if (!distributor || !payoutToken) {
    throw new Fault('internal', { inner: 'A chain needs the distributor and the token that it pays in.' });
  }
  // A market serves while its chain is away; each round of settlement checks the id.
  const chain = await openChain({ urls: rpcUrls.open(), chainId: settings.chainId, checkLater: true });
  return {
    chain,
    isLocal: false,
    rpcUrls: rpcUrls.open(),
    distributor,
    collateral: settings.collateral,
    payoutToken: { address: payoutToken, decimals: settings.payoutTokenDecimals },
    assets: settings.assets,
    depositConfirmations: settings.depositConfirmations,
    operatorKey: settings.operatorKey,
    depositKey: undefined,
    demoWallets: [],
    confirmations: settings.confirmations,
    firstBlock: settings.firstBlock,
    maxFeePerGas: settings.maxFeePerGas,
    persist: async () => {},
    pass: async () => {},
    close: async () => {},
  };
}

async function openLocal(
  settings: MarketChainSettings,
  { dataFolder, clock, random }: { dataFolder: string; clock: Clock; random: Randomness },
): Promise<MarketChain> {
  const folder = localChainFolder(dataFolder);
  const local = await openLocalChain({ folder, clock, random, timeLockS: settings.timeLockS });
  const maxFeePerGas = 10n ** 15n;
  const giver = local.keys.demo.at(-1);
  return {
    chain: local.chain,
    isLocal: true,
    rpcUrls: [local.url],
    distributor: local.contracts.distributor,
    collateral: local.contracts.collateral,
    payoutToken: { address: local.contracts.usdc, decimals: 6 },
    assets: [
      { asset: 'USDC', token: local.contracts.usdc, decimals: 6 },
      { asset: 'USDT', token: local.contracts.usdt, decimals: 6 },
      { asset: 'SWAN', token: local.contracts.swan, decimals: 18 },
    ],
    // As below.
    depositConfirmations: 1,
    operatorKey: local.keys.operator,
    depositKey: depositKeyFrom(keccak256(local.keys.admin.open(), 'bytes')),
    demoWallets: local.keys.demo,
    ...(giver && {
      testTokens: new TestTokens({
        chain: local.chain,
        key: giver,
        clock,
        maxFeePerGas,
        fuel: (account) => local.fuel(account),
        persist: () => local.persist(),
      }),
    }),
    // Nobody reorganises a chain of one node.
    confirmations: 1,
    firstBlock: 0n,
    maxFeePerGas,
    persist: () => local.persist(),
    pass: (seconds) => local.pass(seconds),
    close: async (stop) => {
      if (local.started || stop) await local.stop();
    },
  };
}
