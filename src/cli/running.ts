import { accessSync, constants, mkdirSync } from 'node:fs';
import path from 'node:path';
import type { MarketChain } from '#chain/market-chain.ts';
import { type Config, readConfig } from '#config/config.ts';
import { systemClock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import { type LogFile, type Logger, openLog } from '#kit/log.ts';
import { systemRandomness } from '#kit/random.ts';
import { TlsProblem } from '#kit/tls-files.ts';
import { ownerOfFolder } from '#ledger/folder-lock.ts';
import { type Marketplace, openMarketplace } from '#marketplace';
import { chainOf } from './chain-session.ts';
import { Refusal } from './refusal.ts';
import { type OpenStore, openStore } from './session.ts';

/** A market that runs in this process, with the store it runs on. */
export interface RunningMarket {
  readonly config: Config;
  readonly log: Logger;
  readonly store: OpenStore;
  readonly chain: MarketChain | undefined;
  readonly market: Marketplace;
  /** Drains and closes everything, the store last. A server first says for a while that it is leaving. */
  close(as?: 'server'): Promise<void>;
}

/** What the help of a command that runs a market says of its settings. */
export const SETTINGS = `
Settings are environment variables, all in .env.example. The first to know:
  CYGNET_DATA_DIR      where everything is kept (./.cygnet)
  CYGNET_GATEWAY_PORT  where consumers call (8100)
  CYGNET_HUB_PORT      where agents dial (8081)
  CYGNET_HOST          the address to listen on (127.0.0.1: this machine only)
  DATABASE_URL         a PostgreSQL of your own, instead of the embedded one`;

/** Makes the data folder, before anything is written to it. Refuses, in a sentence, one that cannot be used. */
export function takeDataFolder({ dataFolder }: Config): void {
  try {
    mkdirSync(dataFolder, { recursive: true });
    accessSync(dataFolder, constants.W_OK | constants.X_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'EEXIST' || code === 'ENOTDIR' ? 'it is no folder' : `${code}`;
    const reason = code === 'EACCES' || code === 'EROFS' ? 'this user may not write there' : why;
    throw new Refusal(
      `The data folder ${dataFolder} cannot be used: ${reason}. Set CYGNET_DATA_DIR to another one.`,
    );
  }
}

/** A second market on one folder is refused before anything is opened: the lock itself is taken later. */
function refuseSecond({ dataFolder }: Config): void {
  const owner = ownerOfFolder(path.join(dataFolder, 'journal'));
  if (owner === undefined) return;
  throw new Refusal(
    `Process ${owner} already runs a market on ${dataFolder}. Stop it first, or give this one a data folder of its own (CYGNET_DATA_DIR).`,
  );
}

/** Opens the store and the market as the environment says. `progress` hears what is being done, in sentences. */
export async function openRunningMarket(options: {
  /** Instead of what the environment says. */
  config?: Config;
  destination: LogFile;
  progress: (sentence: string) => void;
  /** Whether to run a chain here where the operator named none. */
  localChain: boolean;
}): Promise<RunningMarket> {
  const config = options.config ?? readConfig();
  takeDataFolder(config);
  refuseSecond(config);
  const log = openLog({ level: config.logLevel, destination: options.destination });
  for (const name of config.strangers) options.progress(`${name} is set and means nothing here.`);
  const clock = systemClock;
  // Beside each other: both start a program and wait for it.
  const [opened, found] = await Promise.allSettled([
    openStore({ config, clock, log, progress: (_step, sentence) => options.progress(sentence) }),
    chainOf(config, { local: options.localChain, say: options.progress }),
  ]);
  if (opened.status === 'rejected') {
    if (found.status === 'fulfilled') await found.value?.close();
    throw opened.reason;
  }
  const store = opened.value;
  if (found.status === 'rejected') {
    await store.close();
    throw found.reason;
  }
  const chain = found.value;
  store.embedded?.keepAlive(log);
  try {
    options.progress('Opening the market.');
    const market = await openMarketplace({
      config,
      database: store.database,
      databaseUrl: store.url.open(),
      chain,
      clock,
      random: systemRandomness,
      log,
    });
    return {
      config,
      log,
      store,
      chain,
      market,
      close: async (as) => {
        const { graceMs, drainNoticeMs } = config.life;
        await market.close(graceMs, as === 'server' ? drainNoticeMs : 0);
        // A node that a killed market left running was found and is ours now.
        await chain?.close('stop');
        await store.close();
      },
    };
  } catch (error) {
    // Not by force: it may be the node of a market that runs.
    await chain?.close();
    await store.close();
    if (error instanceof TlsProblem) throw new Refusal(error.message);
    throw cannotListen(error, config) ?? error;
  }
}

/**
 * Resolves when the process is asked to stop (Ctrl-C, SIGTERM). A second wish ends it at once: what was served is in the
 * journal and posted at the next start. `onlyTerm`: Ctrl-C reaches every process of a terminal, and it is another's to say.
 */
export function askedToStop({ onlyTerm = false } = {}): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const stop = (): void => {
      if (asked) process.exit(130);
      asked = true;
      resolve();
    };
    process.on('SIGINT', onlyTerm ? () => {} : stop);
    process.on('SIGTERM', stop);
  });
}

/** What keeps us from listening, in a sentence that says what to set; undefined when it is something else. */
function cannotListen(error: unknown, config: Config): Error | undefined {
  if (error instanceof Fault) return undefined;
  const { code, port } = error as { code?: string; port?: number };
  const name = port === config.hubPort ? 'CYGNET_HUB_PORT' : 'CYGNET_GATEWAY_PORT';
  switch (code) {
    case 'EADDRINUSE':
      return new Refusal(`Port ${port} is in use by another program. Set ${name} to a free one.`);
    case 'EACCES':
      return new Refusal(`Port ${port} is not open to this user. Set ${name} to one above 1023.`);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new Refusal(`CYGNET_HOST is ${config.host}, which is no address of this machine.`);
    default:
      return undefined;
  }
}
