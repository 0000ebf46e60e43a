import type { Usage } from './usage.ts';

/** How much of a request a plan's quota pays for: of its tokens, and of its pieces. */
export interface Cover {
  readonly tokens: number;
  readonly units: number;
}

export const NO_COVER: Cover = { tokens: 0, units: 0 };

/** What of a cover a usage takes. */
export function coveredOf(usage: Usage, cover: Cover): Cover {
  return {
    tokens: Math.min(cover.tokens, usage.inputTokens + usage.outputTokens),
    units: Math.min(cover.units, usage.units ?? 0),
  };
}

/**
 * What of a usage is left to be paid for. A quota covers tokens in the order in which they come: what was read before what
 * was made. So what is left never grows when less is used.
 */
export function uncovered(usage: Usage, cover: Cover): Usage {
  if (cover === NO_COVER) return usage;
  const { inputTokens, outputTokens, units = 0 } = usage;
  const ofInput = Math.min(inputTokens, cover.tokens);
  return {
    ...usage,
    inputTokens: inputTokens - ofInput,
    outputTokens: Math.max(0, outputTokens - (cover.tokens - ofInput)),
    units: Math.max(0, units - cover.units),
  };
}
