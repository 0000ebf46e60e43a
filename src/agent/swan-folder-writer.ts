import { mkdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'smol-toml';
import type { Randomness } from '#kit/random.ts';
import { CONFIG_FILE, MODELS_FILE } from './swan-folder.ts';
import { editToml, type TomlChange } from './toml-edit.ts';

/** What the set-up decided. Undefined leaves a value as it is. */
export interface FolderWish {
  readonly hubUrl?: string | undefined;
  readonly serviceUrl?: string | undefined;
  readonly key?: string | undefined;
  readonly nodeName?: string | undefined;
  /** By id: an entry is laid over the one that stands there. Models that are not named stay as they are. */
  readonly models: Readonly<Record<string, ModelEntry>>;
}

/** An entry of `models.json`; fields of an older entry that are not named here stay. */
export interface ModelEntry {
  readonly endpoint: string;
  readonly category: string;
  readonly local_model?: string | undefined;
  readonly api_key?: string | undefined;
  readonly context_length?: number | undefined;
  readonly gpu_memory?: number | undefined;
  readonly enabled?: boolean | undefined;
}

/** The port on which the Swan agent listens if it is told nothing; it wants one to be named. */
const USUAL_PORT = 9_085;

/**
 * Writes `config.toml` and `models.json` in the layout of the Swan agent. Whatever stands in them that we were not asked to change
 * stays: comments and order of the first, unknown fields and models of the second. Each file changes whole or not at all,
 * and only this user can read it afterwards, since both hold keys. Throws, having changed nothing, where a file cannot be
 * read for what it should be.
 */
export function writeSwanFolder(folder: string, wish: FolderWish, randomness: Randomness): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const [config, models] = [CONFIG_FILE, MODELS_FILE].map((file) => path.join(folder, file)) as [
    string,
    string,
  ];
  const nextModels = mergeModels(textOf(models), wish.models);
  const nextConfig = mergeConfig(textOf(config), wish, Object.keys(JSON.parse(nextModels) as object));
  replaceFile(models, nextModels, randomness);
  replaceFile(config, nextConfig, randomness);
}

/** The text of `config.toml` with the wish in it. `ids` are all models of `models.json`: the Swan agent wants them to be listed. */
function mergeConfig(
  text: string | undefined,
  wish: Omit<FolderWish, 'models'>,
  ids: readonly string[],
): string {
  const before = text ?? '';
  const value = (table: string, key: string, wanted: TomlChange['value'] | undefined): TomlChange[] =>
    wanted === undefined ? [] : [{ table, key, value: wanted }];
  return editToml(before, [
    ...value('API', 'Port', names(before, 'API', 'Port') ? undefined : USUAL_PORT),
    ...value('API', 'NodeName', wish.nodeName),
    ...value('Inference', 'Enable', true),
    ...value('Inference', 'ServiceURL', wish.serviceUrl),
    ...value('Inference', 'WebSocketURL', wish.hubUrl),
    ...value('Inference', 'ApiKey', wish.key),
    ...value('Inference', 'Models', ids),
  ]);
}

/** The text of `models.json` with these entries laid over what stands there. Throws when that is no JSON object. */
function mergeModels(text: string | undefined, entries: Readonly<Record<string, ModelEntry>>): string {
  const known: unknown = JSON.parse(text?.trim() ? text : '{}');
  if (typeof known !== 'object' || known === null || Array.isArray(known))
    throw new Error(`${MODELS_FILE} holds no object.`);
  // An entry named `__proto__` is one like any other.
  const merged = new Map<string, unknown>(Object.entries(known));
  for (const [id, entry] of Object.entries(entries)) {
    const before = merged.get(id);
    const kept = typeof before === 'object' && before !== null ? before : {};
    merged.set(id, { gpu_memory: 0, ...kept, ...withoutUndefined(entry) });
  }
  return `${JSON.stringify(Object.fromEntries(merged), null, 2)}\n`;
}

function withoutUndefined(entry: object): object {
  return Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined));
}

/** Whether `table` of a TOML text has `key`. Throws when the text is no TOML. */
function names(text: string, table: string, key: string): boolean {
  const found = parse(text)[table];
  return typeof found === 'object' && Object.hasOwn(found, key);
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Writes aside and renames: a reader, or a death in between, sees the old file or the new one, whole. */
export function replaceFile(file: string, text: string, randomness: Randomness): void {
  let target = file;
  try {
    // A link stays a link.
    target = realpathSync(file);
  } catch {
    // It is new.
  }
  const aside = `${target}.${randomness.bytes(6).toString('hex')}`;
  try {
    writeFileSync(aside, text, { mode: 0o600, flag: 'wx', flush: true });
    renameSync(aside, target);
  } finally {
    rmSync(aside, { force: true });
  }
}
