import { homedir } from 'node:os';
import path from 'node:path';
import { Sealed } from '#kit/sealed.ts';
import { parseRehearsal } from './backends/rehearsal.ts';
import { isPrivateLine, socketUrl } from './connection.ts';
import type { AgentEnv } from './env.ts';
import { readTls } from './line-tls.ts';
import { readSwanFolder } from './swan-folder.ts';

/** Everything that an agent is told, checked. */
export interface AgentSettings {
  /** The hubs of one market: a line to each, and jobs from each. */
  readonly hubUrls: readonly string[];
  readonly tls: TlsSettings;
  readonly key: Sealed<string>;
  /** Where the node's key is kept. */
  readonly folder: string;
  readonly name: string | undefined;
  readonly models: readonly ModelSetting[];
  /** Requests at once, over all models. */
  readonly concurrency: number;
  /** How long work under way may take after a wish to stop. */
  readonly drainMs: number;
  /** Where the provider's standing can be asked, if anywhere. */
  readonly serviceUrl: string | undefined;
  /** Say that we are ready as a line of JSON. */
  readonly json: boolean;
  readonly logLevel: string;
}

/** Files for the line to the hub. They are read at each dial, so a renewed certificate needs no restart. */
export interface TlsSettings {
  /** Whom to believe that it is the hub; undefined: the authorities that Node.js knows. */
  readonly ca: string | undefined;
  /** Our own certificate and key, for hubs that want one. */
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

export interface ModelSetting {
  /** The catalogue's id. */
  readonly id: string;
  readonly source: ModelSource;
  /** Requests of this model at once; by default what the backend can compute together, or `AgentSettings.concurrency`. */
  readonly concurrency: number | undefined;
  readonly contextLength: number | undefined;
  readonly format: string | undefined;
  readonly quantization: string | undefined;
}

export type ModelSource =
  | {
      readonly kind: 'openai-compatible';
      readonly url: string;
      readonly localName: string | undefined;
      readonly apiKey: Sealed<string> | undefined;
    }
  | {
      readonly kind: 'embedded';
      readonly path: string;
      readonly sequences: number;
      readonly threads: number;
      readonly gpu: 'auto' | false;
    }
  | { readonly kind: 'rehearsal'; readonly plan: string };

/** What the command line may say; absent is undefined. */
export interface AgentOptions {
  readonly hub?: readonly string[] | undefined;
  readonly tlsCa?: string | undefined;
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
  readonly key?: string | undefined;
  readonly folder?: string | undefined;
  readonly model?: readonly string[] | undefined;
  readonly name?: string | undefined;
  readonly sequences?: string | undefined;
  readonly threads?: string | undefined;
  readonly gpu?: string | undefined;
  readonly concurrency?: string | undefined;
  readonly drainSeconds?: string | undefined;
  readonly service?: string | undefined;
  readonly allowPlain?: boolean | undefined;
  readonly json?: boolean | undefined;
  readonly logLevel?: string | undefined;
}

const DEFAULT_CONCURRENCY = 256;
const CONCURRENCY_MAX = 4_096;
const DEFAULT_SEQUENCES = 4;
const SEQUENCES_MAX = 64;
const THREADS_MAX = 256;
const DEFAULT_DRAIN_S = 60;
const DRAIN_S_MAX = 3_600;
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'];

/** A setting that cannot be used; the message is for the person who gave it. */
export class SettingsError extends Error {
  override name = 'SettingsError';
}

/** Puts command line, environment and folder together, in this order of weight. Throws `SettingsError`. */
export function readSettings(options: AgentOptions, env: AgentEnv): AgentSettings {
  const folder = path.resolve(
    options.folder ?? env.CYGNET_AGENT_FOLDER ?? env.CP_PATH ?? path.join(homedir(), '.cygnet-agent'),
  );
  const swan = complain(() => readSwanFolder(folder));
  const named = options.hub?.length ? options.hub : (env.INFERENCE_WS_URL?.split(/[\s,]+/) ?? [swan.hubUrl]);
  const hubUrls = named.filter((url) => url !== undefined && url !== '') as string[];
  if (hubUrls.length === 0)
    throw new SettingsError('Which hub? Give --hub ws://host:8081 or set INFERENCE_WS_URL.');
  const dialled = hubUrls.map((url) => complain(() => socketUrl(url)));
  // A hub that is dialled twice by one node throws the first line out for the second, for ever.
  const again = hubUrls.find((_, index) => dialled.indexOf(dialled[index] as string) !== index);
  if (again !== undefined) throw new SettingsError(`The hub ${again} is given twice.`);
  for (const url of hubUrls) {
    if (isPrivateLine(url) || options.allowPlain) continue;
    throw new SettingsError(
      `${url} would carry your key and every prompt unencrypted. Use wss://, or say --allow-plain if you mean it.`,
    );
  }
  const tls = {
    ca: options.tlsCa ?? env.CYGNET_AGENT_TLS_CA,
    cert: options.tlsCert ?? env.CYGNET_AGENT_TLS_CERT,
    key: options.tlsKey ?? env.CYGNET_AGENT_TLS_KEY,
  };
  if ((tls.cert === undefined) !== (tls.key === undefined))
    throw new SettingsError('--tls-cert and --tls-key go together: one of them is missing.');
  complain(() => readTls(tls));
  const key = options.key ?? env.INFERENCE_API_KEY ?? swan.key;
  if (!key) throw new SettingsError('Which key? Give --key sk-prov-… or set INFERENCE_API_KEY.');

  const embedded = {
    sequences: whole('--sequences', options.sequences, DEFAULT_SEQUENCES, SEQUENCES_MAX),
    threads: whole('--threads', options.threads, 1, THREADS_MAX),
    gpu: options.gpu === undefined || options.gpu === 'auto' ? ('auto' as const) : (false as const),
  };
  if (!['auto', 'off', undefined].includes(options.gpu)) throw new SettingsError('--gpu is auto or off.');
  const given = options.model?.length ? options.model : (env.CYGNET_AGENT_MODELS?.split(/\s+/) ?? []);
  const models =
    given.length > 0 ? given.map((text) => parseModel(text, embedded)) : swan.models.map(modelOfSwan);
  if (models.length === 0)
    throw new SettingsError('Which model? Give --model <id>=<url, .gguf file or rehearsal:>.');
  const ids = models.map(({ id }) => id);
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined) throw new SettingsError(`The model ${twice} is given twice.`);

  const logLevel = options.logLevel ?? env.CYGNET_AGENT_LOG_LEVEL ?? 'info';
  if (!LOG_LEVELS.includes(logLevel))
    throw new SettingsError(`--log-level is one of ${LOG_LEVELS.join(', ')}.`);
  return {
    hubUrls,
    tls,
    key: new Sealed(key),
    folder,
    name: options.name ?? env.CYGNET_AGENT_NAME ?? swan.nodeName,
    models,
    concurrency: whole('--concurrency', options.concurrency, DEFAULT_CONCURRENCY, CONCURRENCY_MAX),
    drainMs: whole('--drain-seconds', options.drainSeconds, DEFAULT_DRAIN_S, DRAIN_S_MAX) * 1_000,
    serviceUrl: options.service ?? swan.serviceUrl,
    json: options.json ?? false,
    logLevel,
  };
}

/** Reads `<id>=<url | file | rehearsal:plan>`; a URL may end in `#localName`, the server's own name. */
export function parseModel(
  text: string,
  embedded: { sequences: number; threads: number; gpu: 'auto' | false },
): ModelSetting {
  const at = text.indexOf('=');
  const id = text.slice(0, at).trim();
  const rest = text.slice(at + 1).trim();
  if (at < 0 || id === '' || rest === '')
    throw new SettingsError(`--model ${text}: write <id>=<url, file or rehearsal:>.`);
  return {
    id,
    source: sourceOf(rest, embedded),
    concurrency: undefined,
    contextLength: undefined,
    format: undefined,
    quantization: undefined,
  };
}

function sourceOf(
  text: string,
  embedded: { sequences: number; threads: number; gpu: 'auto' | false },
): ModelSource {
  if (/^https?:\/\//i.test(text)) {
    const hash = text.indexOf('#');
    const url = hash < 0 ? text : text.slice(0, hash);
    complain(() => new URL(url));
    return {
      kind: 'openai-compatible',
      url,
      localName: hash < 0 ? undefined : text.slice(hash + 1) || undefined,
      apiKey: undefined,
    };
  }
  if (text.startsWith('rehearsal:')) {
    const plan = text.slice('rehearsal:'.length);
    complain(() => parseRehearsal(plan));
    return { kind: 'rehearsal', plan };
  }
  if (!text.toLowerCase().endsWith('.gguf')) {
    throw new SettingsError(`${text} is neither a URL, nor a .gguf file, nor a rehearsal.`);
  }
  return { kind: 'embedded', path: path.resolve(text), ...embedded };
}

function modelOfSwan(model: ReturnType<typeof readSwanFolder>['models'][number]): ModelSetting {
  complain(() => new URL(model.endpoint));
  return {
    id: model.id,
    source: {
      kind: 'openai-compatible',
      url: model.endpoint,
      localName: model.localName,
      apiKey: model.apiKey === undefined ? undefined : new Sealed(model.apiKey),
    },
    concurrency: undefined,
    contextLength: model.contextLength,
    format: model.format,
    quantization: model.quantization,
  };
}

function whole(name: string, text: string | undefined, fallback: number, max: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > max) {
    throw new SettingsError(`${name} ${text}: a whole number from 1 to ${max}, please.`);
  }
  return value;
}

function complain<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new SettingsError(error instanceof Error ? error.message : 'not valid');
  }
}
