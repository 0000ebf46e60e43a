import type { Tier, TierName } from '#domain/tier.ts';
import { Fault } from '#kit/fault.ts';
import type { ModelPosture } from '#reliability/posture.ts';
import { BYTES_PER_TOKEN_GUESS } from './bill.ts';
import type { Ask, Endpoint } from './endpoint.ts';
import type { Headers } from './reply.ts';

/**
 * What serving heeds while something is wrong with a model (`reliability/posture.ts`), as pure answers: how long an answer
 * may be, whether a prompt must wait, and whether the smaller model may answer. Without a posture nothing is different.
 */

/** The most tokens of each answer; undefined: as ever. */
export function outputCap(posture: ModelPosture | undefined, tier: TierName): number | undefined {
  return posture?.outputTokensMax[tier];
}

/** Refuses (503) a prompt that is too long for now. By the usual guess of bytes to a token. */
export function shed<A extends Ask>(
  posture: ModelPosture | undefined,
  about: { endpoint: Endpoint<A>; ask: A; tier: TierName },
): Fault | undefined {
  const most = posture?.promptTokensMax[about.tier];
  if (most === undefined) return undefined;
  if ((about.endpoint.textBytes?.(about.ask) ?? 0) <= most * BYTES_PER_TOKEN_GUESS) return undefined;
  return new Fault('prompt-shed', {
    outer: `The model is in trouble, and for now prompts of your tier have at most about ${most} tokens.`,
    retryAfterS: SHED_S,
  });
}

const SHED_S = 60;
const NOTHING: Headers = [];

/**
 * When the smaller model is asked: `before` the model itself, to take load off it, `after` it has failed, or never, as the
 * policy of the tier is. Who wants no fallback gets none. Only words can be another model's: vectors of two
 * models do not compare.
 */
export function standInPlace<A extends Ask>(
  endpoint: Endpoint<A>,
  ask: A,
  policy: Tier['smallerModel'],
): Tier['smallerModel'] {
  if (!endpoint.textBytes || ask.routing?.preferences?.allowFallbacks === false) return 'never';
  return policy;
}

/** What an answer says of it. */
export function postureHeaders(about: { standsIn: string | undefined; cap: number | undefined }): Headers {
  if (about.standsIn === undefined && about.cap === undefined) return NOTHING;
  return [
    ...(about.standsIn === undefined ? [] : ['x-cygnet-served-model', about.standsIn]),
    ...(about.cap === undefined ? [] : ['x-cygnet-output-tokens-max', `${about.cap}`]),
  ];
}
