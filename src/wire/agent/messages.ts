import { z } from 'zod';
import { FIRST_ISSUE } from '../first-issue.ts';

/**
 * The JSON messages between an agent and a hub: the Swan protocol, generations A to C, with the few fields that announce
 * our binary extension (`frames.ts`). The schemas are the contract and the types follow from them. What arrives is read
 * loosely: unknown fields pass, an optional field that makes no sense reads as absent, and only what a message cannot do
 * without refuses it. Every list and text that an outsider can grow has a bound.
 *
 * docs/protocol.md tells which message answers which.
 */

const MODELS_MAX = 1_000;
const NAME_CHARS_MAX = 256;

const name = z.string().max(NAME_CHARS_MAX);
const requestId = z.string().min(1).max(NAME_CHARS_MAX);
const sentence = z.string().transform((text) => text.slice(0, 4_000));
const count = z.number().int().nonnegative();
/** An optional field whose nonsense is no reason to refuse the message. */
const soft = <T extends z.ZodType>(schema: T) => schema.optional().catch(undefined);

/** What every message is wrapped in. `payload` is checked by the schema of its `type`. */
export interface Envelope {
  type: string;
  request_id?: string | undefined;
  payload: unknown;
}

const envelopeSchema = z.looseObject({ type: name, request_id: soft(name), payload: z.unknown() });

/** Reads a text message; undefined when it is not JSON or not an envelope. Never throws. */
export function parseEnvelope(text: string): Envelope | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = envelopeSchema.safeParse(value, FIRST_ISSUE);
  return parsed.success ? parsed.data : undefined;
}

/** Writes a text message. */
export function encodeMessage(type: string, request: string | undefined, payload: unknown): string {
  return JSON.stringify(request === undefined ? { type, payload } : { type, request_id: request, payload });
}

/** `healthy`, `degraded`, `unhealthy` or `unknown`; any other word reads as `unknown`. */
export const modelHealthWord = z.enum(['healthy', 'degraded', 'unhealthy', 'unknown']);
export type ModelHealth = z.output<typeof modelHealthWord>;

const modelHealthMap = z
  .record(name, modelHealthWord.catch('unknown'))
  .refine((map) => Object.keys(map).length <= MODELS_MAX, 'too many models');

/** Model ids; null, missing and empty all mean none. */
const modelIds = z
  .array(name)
  .max(MODELS_MAX)
  .nullish()
  .transform((ids) => ids ?? []);

// --- agent → hub -----------------------------------------------------------------------------------------------------

export const hardwareSchema = z.looseObject({
  gpu_type: soft(name),
  gpu_model: soft(name),
  /** Of the first GPU, in whole GiB rounded down; 0 when unknown. */
  vram_gb: soft(count),
  gpu_count: soft(count),
  compute_capability: soft(name),
  driver_version: soft(name),
  cuda_version: soft(name),
  serving_engine: soft(name),
});
export type Hardware = z.output<typeof hardwareSchema>;

export const modelHashSchema = z.looseObject({
  model_id: name,
  weight_hash: soft(name),
  hash_algo: soft(name),
  format: soft(name),
  quantization: soft(name),
  /** Tokens. */
  context_length: soft(count),
  context_source: soft(name),
});
export type ModelHash = z.output<typeof modelHashSchema>;

/** Schema version 1 of a declaration; where both are present it is preferred to `model_hashes`. */
export const modelDeclarationSchema = z.looseObject({
  schema_version: soft(name),
  model_id: name,
  context_source: soft(name),
  weight_hash: soft(name),
  hash_algo: soft(name),
  quantization: soft(name),
  engine: soft(name),
  input_modalities: soft(
    z
      .array(
        z.looseObject({
          type: name,
          max_context_length: soft(z.looseObject({ value: count, unit: soft(name) })),
        }),
      )
      .max(16),
  ),
  output_modalities: soft(
    z
      .array(
        z.looseObject({
          type: name,
          streaming: soft(z.boolean()),
          supported_parameters: soft(z.array(name).max(128)),
        }),
      )
      .max(16),
  ),
  /** Ours: what may be asked of the model, as the paths of OpenAI's API. Without it, chat completions. */
  operations: soft(z.array(name).max(32)),
  capacity: soft(
    z.array(z.looseObject({ type: name, unit: soft(name), value: count, per: soft(name) })).max(16),
  ),
});
export type ModelDeclaration = z.output<typeof modelDeclarationSchema>;

export const registerSchema = z.looseObject({
  /** 130 hex characters: the uncompressed secp256k1 public key of a file on that machine. Names the machine. */
  node_id: z.string().min(1).max(NAME_CHARS_MAX),
  /** Copies of `node_id` and an empty text, kept for older hubs. They say nothing about the account. */
  provider_id: soft(name),
  worker_addr: soft(name),
  owner_addr: soft(name),
  node_name: soft(name),
  /** The provider's key (`sk-prov-…`): the only proof of identity. Never logged. */
  token: soft(z.string().max(1_024)),
  models: modelIds,
  model_hashes: soft(z.array(modelHashSchema).max(MODELS_MAX)),
  model_declarations: soft(z.array(modelDeclarationSchema).max(MODELS_MAX)),
  /** `inference`, `verification`, and the extensions that the agent can speak (`cygnet.stream.v1`). */
  capabilities: z
    .array(name)
    .max(64)
    .nullish()
    .catch(undefined)
    .transform((list) => list ?? []),
  /** Only when a GPU was found. */
  hardware: soft(hardwareSchema),
  cp_version: soft(name),
  commit: soft(name),
});
export type Register = z.input<typeof registerSchema>;
export type RegisterRead = z.output<typeof registerSchema>;

export const heartbeatSchema = z.looseObject({
  node_id: soft(name),
  provider_id: soft(name),
  /** Unix seconds. */
  timestamp: soft(z.number()),
  metrics: soft(z.record(name, z.number()).refine((map) => Object.keys(map).length <= 256)),
  /** Left out when empty: absent can mean that no model is ready. */
  models: modelIds,
  model_health: soft(modelHealthMap),
  hardware: soft(hardwareSchema),
  model_hashes: soft(z.array(modelHashSchema).max(MODELS_MAX)),
  model_declarations: soft(z.array(modelDeclarationSchema).max(MODELS_MAX)),
});
export type Heartbeat = z.input<typeof heartbeatSchema>;

/** The whole map, sent after the first ack of a connection and on each change. */
export const modelHealthUpdateSchema = z.looseObject({
  node_id: soft(name),
  provider_id: soft(name),
  model_health: modelHealthMap,
  timestamp: soft(z.number()),
});
export type ModelHealthUpdate = z.input<typeof modelHealthUpdateSchema>;

/** The payload of the `ack` that answers an unstreamed `inference`. */
export const inferenceResultSchema = z.looseObject({
  request_id: soft(name),
  /** The OpenAI answer; null on error. */
  response: z.looseObject({}).nullish(),
  error: soft(sentence),
  /** Left out on success. */
  status_code: soft(z.number()),
  latency_ms: soft(z.number()),
});

export const streamChunkSchema = z.looseObject({
  request_id: requestId,
  /** One OpenAI chunk object; null with `done`. */
  chunk: z.unknown(),
  done: soft(z.boolean()),
  /** Only where the stream failed before any data. */
  error: soft(sentence),
});

/** Always the last message of a stream that was neither cancelled nor cut by a disconnect. Zero values are left out. */
export const streamEndSchema = z.looseObject({
  request_id: requestId,
  latency_ms: soft(z.number()),
  tokens_input: soft(z.number()),
  tokens_output: soft(z.number()),
  status_code: soft(z.number()),
  error: soft(sentence),
});
export type StreamEnd = z.input<typeof streamEndSchema>;

/** The payload of the `ack` that answers a `warmup`. */
export const warmupResultSchema = z.looseObject({
  request_id: soft(name),
  model_id: soft(name),
  success: z.boolean(),
  load_time_ms: soft(z.number()),
  memory_mb: soft(z.number()),
  error: soft(sentence),
});
export type WarmupResult = z.input<typeof warmupResultSchema>;

export const benchmarkResponseSchema = z.looseObject({
  request_id: soft(name),
  benchmark_id: soft(name),
  /** Null for an empty list of prompts. `correct` is the agent's own opinion. */
  results: z
    .array(
      z.looseObject({
        prompt_id: name,
        answer: z.string().catch(''),
        correct: soft(z.boolean()),
        latency_ms: soft(z.number()),
        tokens_in: soft(z.number()),
        tokens_out: soft(z.number()),
        error: soft(sentence),
      }),
    )
    .max(MODELS_MAX)
    .nullish(),
  total_latency_ms: soft(z.number()),
  error: soft(sentence),
});
export type BenchmarkResponse = z.input<typeof benchmarkResponseSchema>;

export const verifyAnswerSchema = z.looseObject({
  challenge_id: soft(name),
  success: z.boolean(),
  response: z.unknown(),
  error: soft(sentence),
});
export type VerifyAnswer = z.input<typeof verifyAnswerSchema>;

// --- hub → agent -----------------------------------------------------------------------------------------------------

/** Answers `register` and `heartbeat`. The fields after `message` stand only in the ack of a register. */
export const ackSchema = z.looseObject({
  request_id: soft(name),
  success: z.boolean(),
  message: soft(sentence),
  /** The declared models that the hub accepted. */
  registered_models: soft(z.array(name).max(MODELS_MAX)),
  upgrade_available: soft(z.looseObject({ running: soft(name), latest: name, message: soft(sentence) })),
  /** The extensions that both sides speak from now on, of those the agent listed in `capabilities`. */
  extensions: soft(z.array(name).max(64)),
  /** The largest binary message the hub takes, in bytes. */
  max_frame: soft(count),
  /** How often the hub wants a heartbeat, in seconds. */
  heartbeat_s: soft(z.number().positive()),
});
export type AckRead = z.output<typeof ackSchema>;

export const inferenceSchema = z.looseObject({
  endpoint_id: soft(name),
  model_id: name,
  /** The OpenAI request body. Its `stream` agrees with the one below. */
  request: z.looseObject({}),
  stream: z.boolean().catch(false),
  operation: soft(name),
});

export const warmupSchema = z.looseObject({ model_id: name, warmup_type: soft(name) });
export type Warmup = z.input<typeof warmupSchema>;

export const benchmarkSchema = z.looseObject({
  benchmark_id: name,
  test_type: soft(name),
  model_id: name,
  prompts: z
    .array(z.looseObject({ id: name, prompt: z.string(), expected_answer: soft(z.string()) }))
    .max(MODELS_MAX)
    .nullish(),
  timeout_ms: soft(z.number().positive()),
});
export type Benchmark = z.input<typeof benchmarkSchema>;

export const verifySchema = z.looseObject({
  challenge_id: name,
  challenge_type: name,
  model_id: soft(name),
  challenge: z.looseObject({}).nullish(),
});
export type Verify = z.input<typeof verifySchema>;

export const cancelSchema = z.looseObject({ request_id: soft(name), reason: soft(name) });

/** Longer texts and further details are for the receiver to cut: 1,000 characters and 16 details of 200. */
export const noticeSchema = z.looseObject({
  event: z.string().regex(/^[a-z0-9_]{1,64}$/),
  severity: z.enum(['info', 'warning', 'critical']).catch('info'),
  model_id: soft(name),
  message: z
    .string()
    .catch('')
    .transform((text) => text.slice(0, 1_000)),
  details: soft(z.record(z.string(), z.unknown())),
});

// --- both ways -------------------------------------------------------------------------------------------------------

/** Only ever logged by the agent; sent by it for a payload that it cannot read. */
export const errorSchema = z.looseObject({
  request_id: soft(name),
  code: z.union([z.number(), z.string()]),
  message: sentence.catch(''),
});
