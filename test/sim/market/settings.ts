import type { BodyLimits } from '#gateway/body.ts';
import type { InferenceSettings } from '#gateway/inference.ts';
import type { LimitSettings } from '#gateway/limits.ts';
import type { DispatchSettings } from '#hub/dispatch.ts';
import type { HubSettings } from '#hub/settings.ts';

/**
 * The settings of the simulated market: the product's, with times and sizes made small, so that every limit is reached
 * within a few virtual seconds.
 */
export const HUB: Partial<HubSettings> = {
  registerDeadlineMs: 3_000,
  refusedCloseAfterMsMin: 1_000,
  refusedCloseAfterMsMax: 2_000,
  heartbeatTimeoutMs: 6_000,
  bindTimeoutMs: 1_500,
  requestBytesMaxOld: 6_000,
  requestBytesMaxNew: 100_000,
  modelCapacityDefault: 8,
  linkCapacityDefault: 16,
  streamBufferBytesMax: 2_500,
  linkBufferBytesMax: 20_000,
  recordsMax: 200,
  creditBytes: 3_000,
  creditStepBytes: 500,
};

export const DISPATCH: DispatchSettings = {
  retriesMax: 2,
  backoff: { baseMs: 20, capMs: 300 },
  firstTokenDeadlineMs: 1_500,
  gapDeadlineMs: 1_000,
  requestDeadlineMs: 6_000,
  wheelMs: 100,
};

export const LIMITS: LimitSettings = {
  requestsPerMinute: { llm: 3_600, image: 60, embedding: 60, other: 60 },
  concurrentPerKey: 24,
};

export const SERVING: InferenceSettings = {
  policy: 'standard-1',
  outputTokensMax: 512,
  inputTokensMax: 8_192,
  outputTokensDefault: 128,
  recountBytesMax: 16_384,
};

export const BODY_LIMITS: BodyLimits = {
  messagesMax: 20,
  messageCharsMax: 20_000,
  outputTokensMax: 512,
  embeddingTokensMax: 512,
};

/** How long a durable write may stand still at most, in virtual milliseconds. */
export const DISK_STALL_MS_MAX = 600;
/** How long the store may stand still or be away at most. */
export const STORE_STALL_MS_MAX = 2_500;
