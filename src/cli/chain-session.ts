import { hasLocalChain, localChainRunsHere, type MarketChain, openMarketChain } from '#chain/market-chain.ts';
import type { Config } from '#config/config.ts';
import { systemClock } from '#kit/clock.ts';
import { systemRandomness } from '#kit/random.ts';
import { Refusal } from './refusal.ts';

/**
 * The chain of a market that is being opened: the one its operator named; with `local`, otherwise one on this machine.
 * Undefined where there is none: then the market serves and pays nobody, and `say` says so.
 */
export async function chainOf(
  config: Config,
  options: { local: boolean; say: (sentence: string) => void },
): Promise<MarketChain | undefined> {
  if (!config.chain.rpcUrls) {
    if (!options.local || !config.chain.local) return undefined;
    if (!localChainRunsHere()) {
      options.say(
        `No local chain: npm has none for ${process.platform}-${process.arch}. Earnings add up in the ledger; nothing is paid out.`,
      );
      return undefined;
    }
    options.say('Starting the local chain.');
  }
  return await open(config);
}

/** The chain for a command. Refuses, in a sentence, where there is none. */
export async function theChain(config: Config): Promise<MarketChain> {
  if (config.chain.rpcUrls || hasLocalChain(config.dataFolder)) return await open(config);
  throw new Refusal(
    'There is no chain here: name one with CYGNET_CHAIN_RPC, or start the market once with: npx cygnet start',
  );
}

/** As `theChain`, and undefined where there is none. */
export async function anyChain(config: Config): Promise<MarketChain | undefined> {
  return config.chain.rpcUrls || hasLocalChain(config.dataFolder) ? await open(config) : undefined;
}

async function open(config: Config): Promise<MarketChain> {
  return await openMarketChain(config.chain, {
    dataFolder: config.dataFolder,
    clock: systemClock,
    random: systemRandomness,
  });
}
