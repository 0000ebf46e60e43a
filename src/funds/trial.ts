import type { MarketChain } from '#chain/market-chain.ts';

/**
 * A market that is only tried: on the chain of its own machine, and open to that machine alone. Tokens are worth nothing there,
 * so whoever tries may have some, and is told where the chain is. On every other market none of this exists.
 */
export interface Trial {
  readonly chainId: number;
  readonly rpcUrl: string;
  readonly tokens: NonNullable<MarketChain['testTokens']>;
  readonly assets: MarketChain['assets'];
}

/** How a market is reached. */
interface Reach {
  readonly host: string;
  readonly publicUrl: string | undefined;
  readonly trustedProxies: readonly string[];
}

/** Undefined for a market that others can reach, or that was given a public address or a proxy. */
export function trialOf(reach: Reach, chain: MarketChain | undefined): Trial | undefined {
  const [rpcUrl] = chain?.rpcUrls ?? [];
  if (!chain?.isLocal || !chain.testTokens || rpcUrl === undefined) return undefined;
  const { host, publicUrl, trustedProxies } = reach;
  const alone = host === 'localhost' || host === '::1' || host.startsWith('127.');
  if (!alone || publicUrl !== undefined || trustedProxies.length > 0) return undefined;
  return { chainId: chain.chain.id, rpcUrl, tokens: chain.testTokens, assets: chain.assets };
}
