import { z } from 'zod';
import type { Hardware } from '#wire/agent/messages.ts';

/**
 * What a model may be pinned to, in `models.json` under `requirements`: a model that does not meet its pins is not offered to
 * any hub, and the reasons are said. What cannot be found out counts as not met: whoever pins something wants to be sure.
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
  min_context_length: z.number().int().positive().optional(),
  /** The digest of the container's image, `sha256:…`; the container is the entry's `container`. */
  image_digest: z
    .string()
    .regex(/^sha256:[0-9a-f]{64}$/)
    .optional(),
});
export type Requirements = z.output<typeof requirementsSchema>;

/** What was found; undefined where it could not be. */
export interface Found {
  readonly weightsSha256?: string | undefined;
  readonly hardware?: Hardware | undefined;
  readonly engine?: string | undefined;
  readonly contextLength?: number | undefined;
  readonly imageDigest?: string | undefined;
}

/** A card that is sold as 24 GB reports 23 whole GiB. */
const VRAM_TOLERANCE = 0.05;

/** Why a model may not be offered, a sentence for each pin that is not met. Empty: it may. */
export function unmet(pinned: Requirements, found: Found): string[] {
  const reasons: string[] = [];
  const same = (what: string, wanted: string | undefined, is: string | undefined): void => {
    if (wanted === undefined || wanted === is) return;
    reasons.push(`${what} is ${is ?? 'not known'}, and ${wanted} is pinned.`);
  };
  same('The SHA-256 of the weights', pinned.weights_sha256, found.weightsSha256);
  same('The engine', pinned.engine, found.engine);
  same("The digest of the container's image", pinned.image_digest, found.imageDigest);
  const context = pinned.min_context_length;
  if (context !== undefined && (found.contextLength ?? 0) < context)
    reasons.push(`The context is ${found.contextLength ?? 'not known'}, and at least ${context} is pinned.`);
  const vram = pinned.min_vram_gb;
  const perGpu = found.hardware?.vram_gb ?? 0;
  const has = perGpu * (found.hardware?.gpu_count ?? 1);
  if (vram !== undefined && has < vram * (1 - VRAM_TOLERANCE) && has < vram - 1)
    reasons.push(
      `GPU memory is ${has === 0 ? 'not known' : `${has} GiB`}, and at least ${vram} GiB is pinned.`,
    );
  const capability = pinned.min_compute_capability;
  const is = found.hardware?.compute_capability || undefined;
  if (capability !== undefined && (is === undefined || versionOf(is) < versionOf(capability)))
    reasons.push(`The compute capability is ${is ?? 'not known'}, and at least ${capability} is pinned.`);
  return reasons;
}

function versionOf(text: string): number {
  const [major = 0, minor = 0] = text.split('.').map(Number);
  return major * 100 + minor;
}
