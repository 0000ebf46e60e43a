import { homedir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Operation } from '#domain/operation.ts';
import { Sealed } from '#kit/sealed.ts';
import type { Requirements } from '#wire/requirements.ts';
import { readPlan } from './backends/rehearsal.ts';
import { isPrivateLine, socketUrl } from './connection.ts';
import type { AgentEnv } from './env.ts';
import { readTls } from './line-tls.ts';
import { readSwanFolder, type SwanFolder, type SwanModel } from './swan-folder.ts';

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
  /** Requests begun in a minute, over all models; undefined: as many as come. */
  readonly requestsPerMinute?: number | undefined;
  /** Where the local REST interface listens beside its socket file, if anywhere. */
  readonly api?: { readonly host: string; readonly port: number } | undefined;
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
  /** Requests of this model begun in a minute; undefined: as many as come. */
  readonly requestsPerMinute?: number | undefined;
  /** What it is offered for; by default all that its backend can do. */
  readonly operations?: readonly Operation[] | undefined;
  /** What it must be, to be offered at all. */
  readonly requirements?: Requirements | undefined;
  /** The container that it runs in, where one is pinned. */
  readonly container?: string | undefined;
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
  readonly requestsPerMinute?: string | undefined;
  readonly api?: string | undefined;
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
const PER_MINUTE_MAX = 1_000_000;
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'];

/** A setting that cannot be used; the message is for the person who gave it. */
export class SettingsError extends Error {
  override name = 'SettingsError';
}

/** The folder of the node's key, settings and models. */
export function folderOf(options: Pick<AgentOptions, 'folder'>, env: AgentEnv): string {
  return path.resolve(
    options.folder ?? env.CYGNET_AGENT_FOLDER ?? env.CP_PATH ?? path.join(homedir(), '.cygnet-agent'),
  );
}

/** Puts command line, environment and folder together, in this order of weight. Throws `SettingsError`. */
export function readSettings(options: AgentOptions, env: AgentEnv): AgentSettings {
  const folder = folderOf(options, env);
  const swan = complain(() => readSwanFolder(folder));
  const named = options.hub?.length ? options.hub : (env.INFERENCE_WS_URL?.split(/[\s,]+/) ?? [swan.hubUrl]);
  const hubUrls = named.filter((url) => url !== undefined && url !== '') as string[];
  if (hubUrls.length === 0)
    throw new SettingsError(
      'Which hub? Run `cygnet agent setup` once, give --hub ws://host:8081, or set INFERENCE_WS_URL.',
    );
  checkHubs(hubUrls, options);
  const tls = {
    ca: options.tlsCa ?? env.CYGNET_AGENT_TLS_CA,
    cert: options.tlsCert ?? env.CYGNET_AGENT_TLS_CERT,
    key: options.tlsKey ?? env.CYGNET_AGENT_TLS_KEY,
  };
  if ((tls.cert === undefined) !== (tls.key === undefined))
    throw new SettingsError('--tls-cert and --tls-key go together: one of them is missing.');
  complain(() => readTls(tls));
  const key = options.key ?? env.INFERENCE_API_KEY ?? swan.key;
  if (!key)
    throw new SettingsError(
      'Which key? Run `cygnet agent setup` once, give --key sk-prov-…, or set INFERENCE_API_KEY.',
    );

  const models = modelsOf(options, env, swan);
  if (models.length === 0)
    throw new SettingsError(
      'Which model? Run `cygnet agent setup` once, or give --model <id>=<url, .gguf file or rehearsal:>.',
    );
  const logLevel = options.logLevel ?? env.CYGNET_AGENT_LOG_LEVEL ?? 'info';
  if (!LOG_LEVELS.includes(logLevel))
    throw new SettingsError(`--log-level is one of ${LOG_LEVELS.join(', ')}.`);
  const perMinute = options.requestsPerMinute;
  return {
    hubUrls,
    tls,
    key: new Sealed(key),
    folder,
    name: options.name ?? env.CYGNET_AGENT_NAME ?? swan.nodeName,
    models,
    concurrency: whole('--concurrency', options.concurrency, DEFAULT_CONCURRENCY, CONCURRENCY_MAX),
    requestsPerMinute:
      perMinute === undefined ? undefined : whole('--requests-per-minute', perMinute, 1, PER_MINUTE_MAX),
    api: apiOf(options.api ?? env.CYGNET_AGENT_API, swan.port),
    drainMs: whole('--drain-seconds', options.drainSeconds, DEFAULT_DRAIN_S, DRAIN_S_MAX) * 1_000,
    serviceUrl: options.service ?? env.CYGNET_AGENT_SERVICE ?? swan.serviceUrl,
    json: options.json ?? false,
    logLevel,
  };
}

/** The models alone, as the same words and files say now; for a change while running. Throws `SettingsError`. */
export function readModels(options: AgentOptions, env: AgentEnv): ModelSetting[] {
  return modelsOf(
    options,
    env,
    complain(() => readSwanFolder(folderOf(options, env))),
  );
}

/** Whether the models come from the folder's files, and not from the command line or the environment. */
export function modelsAreFiled(options: AgentOptions, env: AgentEnv): boolean {
  return !options.model?.length && env.CYGNET_AGENT_MODELS === undefined;
}

function modelsOf(options: AgentOptions, env: AgentEnv, swan: SwanFolder): ModelSetting[] {
  if (!['auto', 'off', undefined].includes(options.gpu)) throw new SettingsError('--gpu is auto or off.');
  const embedded: EmbeddedSetting = {
    sequences: whole('--sequences', options.sequences, DEFAULT_SEQUENCES, SEQUENCES_MAX),
    threads: whole('--threads', options.threads, 1, THREADS_MAX),
    gpu: options.gpu === undefined || options.gpu === 'auto' ? 'auto' : false,
  };
  const given = options.model?.length ? options.model : (env.CYGNET_AGENT_MODELS?.split(/\s+/) ?? []);
  const models =
    given.length > 0
      ? given.map((text) => parseModel(text, embedded))
      : swan.models.map((model) => modelOfSwan(model, embedded));
  const ids = models.map(({ id }) => id);
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined) throw new SettingsError(`The model ${twice} is given twice.`);
  return models;
}

function checkHubs(hubUrls: readonly string[], options: AgentOptions): void {
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
}

/** `off`, a port of this machine, or host:port; otherwise what the folder names. */
function apiOf(text: string | undefined, filed: number | undefined): AgentSettings['api'] {
  if (text === undefined) return filed === undefined ? undefined : { host: '127.0.0.1', port: filed };
  if (text === 'off') return undefined;
  const read = /^(?:(\[[0-9a-f:]+\]|[\w.-]+):)?(\d{1,5})$/i.exec(text);
  const port = Number(read?.[2]);
  if (!read || port > 65_535)
    throw new SettingsError(`--api ${text}: a port such as 9085, an address such as 127.0.0.1:9085, or off.`);
  return { host: read[1]?.replace(/^\[|\]$/g, '') ?? '127.0.0.1', port };
}

interface EmbeddedSetting {
  readonly sequences: number;
  readonly threads: number;
  readonly gpu: 'auto' | false;
}

/** Reads `<id>=<url | file | rehearsal:plan>`; a URL may end in `#localName`, the server's own name. */
export function parseModel(text: string, embedded: EmbeddedSetting): ModelSetting {
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

function sourceOf(text: string, embedded: EmbeddedSetting): ModelSource {
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
    complain(() => readPlan(plan));
    return { kind: 'rehearsal', plan };
  }
  if (!text.toLowerCase().endsWith('.gguf')) {
    throw new SettingsError(`${text} is neither a URL, nor a .gguf file, nor a rehearsal.`);
  }
  return { kind: 'embedded', path: path.resolve(text), ...embedded };
}

function modelOfSwan(model: SwanModel, embedded: EmbeddedSetting): ModelSetting {
  return {
    id: model.id,
    source: sourceOfSwan(model, embedded),
    concurrency: model.concurrency,
    requestsPerMinute: model.requestsPerMinute,
    contextLength: model.contextLength,
    format: model.format,
    quantization: model.quantization,
    operations: model.endpoint.startsWith('http') ? model.operations : undefined,
    requirements: model.requirements,
    container: model.container,
  };
}

function sourceOfSwan(model: SwanModel, embedded: EmbeddedSetting): ModelSource {
  const { endpoint, localName, apiKey } = model;
  if (endpoint.startsWith('rehearsal:')) return sourceOf(endpoint, embedded);
  if (endpoint.startsWith('file:'))
    return sourceOf(
      complain(() => fileURLToPath(endpoint)),
      embedded,
    );
  complain(() => new URL(endpoint));
  return {
    kind: 'openai-compatible',
    url: endpoint,
    localName,
    apiKey: apiKey === undefined ? undefined : new Sealed(apiKey),
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
