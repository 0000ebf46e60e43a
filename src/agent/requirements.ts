import { createHash } from 'node:crypto';
import type { Hardware } from '#wire/agent/messages.ts';
import type { Requirements } from '#wire/requirements.ts';

/** What was found; undefined where it could not be. */
export interface Found {
  readonly weightsSha256?: string | undefined;
  readonly hardware?: Hardware | undefined;
  readonly engine?: string | undefined;
  readonly engineVersion?: string | undefined;
  readonly tokenizerFingerprint?: string | undefined;
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
  same('The version of the engine', pinned.engine_version, found.engineVersion);
  same('The fingerprint of the tokenizer', pinned.tokenizer_fingerprint, found.tokenizerFingerprint);
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

/** How a tokenizer that makes these tokens of the sample is called in a pin. */
export function fingerprintOf(tokens: readonly number[]): string {
  return createHash('sha256').update(tokens.join(',')).digest('hex');
}

function versionOf(text: string): number {
  const [major = 0, minor = 0] = text.split('.').map(Number);
  return major * 100 + minor;
}
