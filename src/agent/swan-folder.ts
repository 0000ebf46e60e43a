import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'smol-toml';
import { z } from 'zod';
import type { Operation } from '#domain/operation.ts';
import { type Requirements, requirementsSchema } from '#wire/requirements.ts';

/**
 * What a folder says in the layout of the Swan agent (`config.toml`, `models.json`), so that either program runs from the same
 * files and a provider changes over by pointing at them. Only what concerns serving is read; the rest is left alone.
 * `swan-folder-writer.ts` is the other half.
 *
 * Ours beside Swan's: in `models.json` the fields `concurrency`, `requests_per_minute` and `requirements`, and endpoints that are
 * no server (`file:///…/model.gguf`, `rehearsal:…`). The Swan agent takes such a model for one whose server is away, and does not
 * offer it.
 */
export interface SwanFolder {
  readonly hubUrl?: string | undefined;
  readonly serviceUrl?: string | undefined;
  readonly key?: string | undefined;
  readonly nodeName?: string | undefined;
  /** Where the local REST interface listens, on this machine only. */
  readonly port?: number | undefined;
  readonly models: readonly SwanModel[];
  /** Models that stand there and are not served: switched off, or of a kind that we do not know. */
  readonly passedOver: readonly { readonly id: string; readonly because: string }[];
}

export interface SwanModel {
  readonly id: string;
  readonly endpoint: string;
  readonly localName?: string | undefined;
  readonly apiKey?: string | undefined;
  readonly contextLength?: number | undefined;
  readonly format?: string | undefined;
  readonly quantization?: string | undefined;
  readonly container?: string | undefined;
  /** What its category can be asked for. */
  readonly operations: readonly Operation[];
  readonly concurrency?: number | undefined;
  readonly requestsPerMinute?: number | undefined;
  readonly requirements?: Requirements | undefined;
}

const configSchema = z.looseObject({
  API: z
    .looseObject({
      NodeName: z.string().optional(),
      Port: z.number().int().min(0).max(65_535).optional(),
    })
    .optional(),
  Inference: z
    .looseObject({
      Enable: z.boolean().optional(),
      ServiceURL: z.string().optional(),
      WebSocketURL: z.string().optional(),
      ApiKey: z.string().optional(),
    })
    .optional(),
});

const modelsSchema = z.record(
  z.string().min(1),
  z.looseObject({
    endpoint: z.string(),
    category: z.string().optional(),
    local_model: z.string().optional(),
    api_key: z.string().optional(),
    context_length: z.number().int().positive().optional(),
    format: z.string().optional(),
    quantization: z.string().optional(),
    container: z.string().optional(),
    enabled: z.boolean().optional(),
    concurrency: z.number().int().min(1).max(4_096).optional(),
    requests_per_minute: z.number().int().min(1).max(1_000_000).optional(),
    requirements: requirementsSchema.optional(),
  }),
);

const TEXT = ['chat/completions', 'completions'] as const;
/** By category, as the Swan agent names them, what can be asked. */
const OPERATIONS_OF: Readonly<Record<string, readonly Operation[]>> = {
  '': TEXT,
  'text-generation': TEXT,
  chat: TEXT,
  llm: TEXT,
  multimodal: TEXT,
  embedding: ['embeddings'],
  embeddings: ['embeddings'],
  'text-embedding': ['embeddings'],
  image: ['images/generations'],
  'text-to-image': ['images/generations'],
  'image-generation': ['images/generations'],
  audio: ['audio/transcriptions'],
  'speech-to-text': ['audio/transcriptions'],
  transcription: ['audio/transcriptions'],
};

export const CONFIG_FILE = 'config.toml';
export const MODELS_FILE = 'models.json';

/** Reads a folder; a file that is absent says nothing. Throws when one is there but cannot be read. */
export function readSwanFolder(folder: string): SwanFolder {
  const config = checked(folder, CONFIG_FILE, configSchema, readOr(folder, CONFIG_FILE, parse) ?? {});
  const entries = checked(folder, MODELS_FILE, modelsSchema, readOr(folder, MODELS_FILE, JSON.parse) ?? {});
  const inference = config.Inference?.Enable === false ? undefined : config.Inference;
  const models: SwanModel[] = [];
  const passedOver: { id: string; because: string }[] = [];
  for (const [id, model] of Object.entries(entries)) {
    const operations = OPERATIONS_OF[(model.category ?? '').toLowerCase()];
    if (model.enabled === false) passedOver.push({ id, because: 'It is switched off (`enabled`).' });
    else if (!operations)
      passedOver.push({ id, because: `Its category ${JSON.stringify(model.category)} is not served.` });
    else {
      models.push({
        id,
        endpoint: model.endpoint,
        localName: model.local_model || undefined,
        apiKey: model.api_key || undefined,
        contextLength: model.context_length,
        format: model.format,
        quantization: model.quantization,
        container: model.container || undefined,
        operations,
        concurrency: model.concurrency,
        requestsPerMinute: model.requests_per_minute,
        requirements: model.requirements,
      });
    }
  }
  return {
    hubUrl: inference?.WebSocketURL || undefined,
    serviceUrl: inference?.ServiceURL || undefined,
    key: inference?.ApiKey || undefined,
    nodeName: config.API?.NodeName || undefined,
    port: config.API?.Port || undefined,
    models,
    passedOver,
  };
}

function checked<T extends z.ZodType>(folder: string, file: string, schema: T, value: unknown): z.output<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  // Where, and not what: what stands there may be a key.
  const [issue] = parsed.error.issues;
  throw new Error(
    `${file} in ${folder}: ${issue?.path.join('.') || 'the file'} is not valid (${issue?.message ?? 'unknown'}).`,
  );
}

function readOr(folder: string, file: string, read: (text: string) => unknown): unknown {
  let text: string;
  try {
    text = readFileSync(path.join(folder, file), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return read(text);
  } catch {
    // Without the parser's error: its message may quote the file, and the file holds a key.
    // oxlint-disable-next-line preserve-caught-error
    throw new Error(`${file} in ${folder} is not valid.`);
  }
}
