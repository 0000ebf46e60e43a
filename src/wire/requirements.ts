import { z } from 'zod';

/**
 * What a model may be pinned to: by a provider in `models.json` under `requirements`, and by a market in its catalogue. The
 * agent offers no hub a model that does not meet both, and says the reasons. What cannot be found out counts as not met:
 * whoever pins something wants to be sure.
 */
export const requirementsSchema = z.strictObject({
  /** SHA-256 of the model file, lower-case hex; for files that run in this process. */
  weights_sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
  /** Names and sizes of all GPUs together, in GiB. */
  min_vram_gb: z.number().positive().optional(),
  /** As the driver says it: `8.9`. */
  min_compute_capability: z
    .string()
    .regex(/^\d{1,2}\.\d$/)
    .optional(),
  /** `vllm`, `sglang`, `ollama`, `llama.cpp`, `tgi`. */
  engine: z.string().min(1).optional(),
  /** As the model server says it: `0.11.0` of vLLM, `b6673-…` of llama.cpp. */
  engine_version: z.string().min(1).max(100).optional(),
  /** SHA-256 of how `TOKENIZER_SAMPLE` is cut into tokens: their ids, with commas between them; lower-case hex. */
  tokenizer_fingerprint: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
  min_context_length: z.number().int().positive().optional(),
  /** The digest of the container's image, `sha256:…`; the container is the entry's `container`. */
  image_digest: z
    .string()
    .regex(/^sha256:[0-9a-f]{64}$/)
    .optional(),
});
export type Requirements = z.output<typeof requirementsSchema>;

/** Words, spaces, figures, scripts and signs that tokenizers differ in. */
export const TOKENIZER_SAMPLE =
  'The quick brown fox, 12345.678 jumps\n\n  over "lazy" dogs; naïve façade – 東京で会いましょう 🙂 <tag> if (a != b) { return 0x1F; }';
