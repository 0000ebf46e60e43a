import { Sealed } from '#kit/sealed.ts';
import type { AgentEnv } from '../env.ts';
import { Market } from '../market.ts';
import { folderOf, SettingsError } from '../settings.ts';
import { readSwanFolder } from '../swan-folder.ts';

/** What commands that ask the market have in common. */
export interface AccessOptions {
  readonly folder?: string | undefined;
  readonly market?: string | undefined;
  readonly key?: string | undefined;
  readonly json?: boolean | undefined;
}

export interface Access {
  readonly folder: string;
  readonly market: Market;
  readonly key: Sealed<string>;
}

/** The market and the key that the folder names, or the options. Throws `SettingsError` where one is missing. */
function accessOf(options: AccessOptions, env: AgentEnv): Access {
  const folder = folderOf(options, env);
  let filed: ReturnType<typeof readSwanFolder>;
  try {
    filed = readSwanFolder(folder);
  } catch (error) {
    throw new SettingsError((error as Error).message, { cause: error });
  }
  const url = options.market ?? env.CYGNET_AGENT_SERVICE ?? filed.serviceUrl;
  const key = options.key ?? env.INFERENCE_API_KEY ?? filed.key;
  if (url === undefined)
    throw new SettingsError('Which market? Run `cygnet agent setup` once, or give --market <url>.');
  if (key === undefined)
    throw new SettingsError('Which key? Run `cygnet agent setup` once, or set INFERENCE_API_KEY.');
  return { folder, market: new Market(url), key: new Sealed(key) };
}

/** Does `work` with the market, and hangs up afterwards. */
export async function withMarket<T>(
  options: AccessOptions,
  env: AgentEnv,
  work: (access: Access) => Promise<T>,
): Promise<T> {
  const access = accessOf(options, env);
  try {
    return await work(access);
  } finally {
    await access.market.close();
  }
}
