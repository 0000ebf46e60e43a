import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'smol-toml';
import { z } from 'zod';

/**
 * What a Swan agent's folder says (`config.toml`, `models.json`), so that a provider can change over by pointing at it.
 * Only what concerns serving is read; the rest is left alone, and nothing is ever written.
 */
export interface SwanFolder {
  readonly hubUrl?: string | undefined;
  readonly serviceUrl?: string | undefined;
  readonly key?: string | undefined;
  readonly nodeName?: string | undefined;
  readonly models: readonly SwanModel[];
}

export interface SwanModel {
  readonly id: string;
  readonly endpoint: string;
  readonly localName?: string | undefined;
  readonly apiKey?: string | undefined;
  readonly contextLength?: number | undefined;
  readonly format?: string | undefined;
  readonly quantization?: string | undefined;
}

const configSchema = z.looseObject({
  API: z.looseObject({ NodeName: z.string().optional() }).optional(),
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
    enabled: z.boolean().optional(),
  }),
);

/** The categories whose work this agent can do. */
const SERVED = new Set(['', 'text-generation', 'chat', 'llm']);

/** Reads a folder; a file that is absent says nothing. Throws when one is there but cannot be read. */
export function readSwanFolder(folder: string): SwanFolder {
  const config = configSchema.parse(readOr(folder, 'config.toml', parse) ?? {});
  const models = modelsSchema.parse(readOr(folder, 'models.json', JSON.parse) ?? {});
  const inference = config.Inference?.Enable === false ? undefined : config.Inference;
  return {
    hubUrl: inference?.WebSocketURL || undefined,
    serviceUrl: inference?.ServiceURL || undefined,
    key: inference?.ApiKey || undefined,
    nodeName: config.API?.NodeName || undefined,
    models: Object.entries(models)
      .filter(([, model]) => model.enabled !== false && SERVED.has((model.category ?? '').toLowerCase()))
      .map(([id, model]) => ({
        id,
        endpoint: model.endpoint,
        localName: model.local_model || undefined,
        apiKey: model.api_key || undefined,
        contextLength: model.context_length,
        format: model.format,
        quantization: model.quantization,
      })),
  };
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
