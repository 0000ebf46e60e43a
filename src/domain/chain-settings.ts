import type { Sealed } from '#kit/sealed.ts';
import type { TokenAsset } from './asset.ts';
import type { Address, Hex } from './hex.ts';

/** A token that the market takes in or pays out, on the chain of its settings. */
export interface ChainAsset {
  readonly asset: TokenAsset;
  readonly token: Address;
  readonly decimals: number;
}

/** The chain that providers are paid on: as the configuration says it, and as the room of the chain opens it. */
export interface MarketChainSettings {
  /** Undefined: the local chain. */
  readonly rpcUrls: Sealed<readonly string[]> | undefined;
  readonly chainId: number;
  readonly distributor: Address | undefined;
  readonly collateral: Address | undefined;
  readonly payoutToken: Address | undefined;
  readonly payoutTokenDecimals: number;
  readonly assets: readonly ChainAsset[];
  readonly depositConfirmations: number;
  readonly operatorKey: Sealed<Hex> | undefined;
  readonly confirmations: number;
  readonly firstBlock: bigint;
  /** In wei. */
  readonly maxFeePerGas: bigint;
  /** Seconds between publishing and being in force, of a local chain that is made anew. */
  readonly timeLockS: number;
}
