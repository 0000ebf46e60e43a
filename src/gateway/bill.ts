import type { Usage } from '#domain/usage.ts';

/**
 * From what a provider states and what we saw to what is billed. A provider's number is never taken unchecked: the
 * input is bounded by the bytes that were sent (a token is at least one byte) plus what a chat template may add, the
 * output by what the consumer allowed, and by the bytes of content that were really passed on. Where the provider states
 * nothing, our own count stands.
 */
export interface Served {
  /** What the provider states, made safe; undefined when it stated nothing usable. */
  readonly stated: Usage | undefined;
  /** True when the consumer left before the end: only what was passed on counts, whatever was generated. */
  readonly cutShort: boolean;
  /** Tokens and content bytes that were passed on. */
  readonly passedTokens: number;
  readonly passedContentBytes: number;
  /** The most the prompt can have been (`inputCeiling`). */
  readonly inputCeiling: number;
  /** UTF-8 bytes of the prompt's text. */
  readonly promptBytes: number;
  /** The most the answer may be: the consumer's limit times the number of choices. */
  readonly outputCeiling: number;
  /** How many answers were asked for. */
  readonly choices: number;
}

/** What a chat template may add to a prompt: markers around each message, and the opening of the answer. */
const TEMPLATE_TOKENS_PER_MESSAGE = 8;
const TEMPLATE_TOKENS = 16;
/** English text and code have about four bytes a token; used only where a provider states nothing. */
export const BYTES_PER_TOKEN_GUESS = 4;

/** No ordinary text has more bytes than this in a token: a prompt above it is too long for certain. */
export const BYTES_PER_TOKEN_MOST = 8;

/**
 * The most tokens that an image, a sound or a file of a prompt becomes. The bytes do not tell: an address of 60 bytes may
 * stand for a picture that is read as thousands of tokens. The largest that open models of 2026 make of one (16,384).
 */
const TOKENS_PER_MEDIA_PART = 16_384;

/** The most tokens a prompt of this size can be. */
export function inputCeiling(
  prompt: { promptBytes: number; messageCount: number; mediaParts: number },
  contextTokens: number | null,
): number {
  const bound =
    prompt.promptBytes +
    prompt.messageCount * TEMPLATE_TOKENS_PER_MESSAGE +
    prompt.mediaParts * TOKENS_PER_MEDIA_PART +
    TEMPLATE_TOKENS;
  return contextTokens === null ? bound : Math.min(bound, contextTokens);
}

/** What is billed for an answer that was delivered, whole or in part. */
export function billedUsage(served: Served): Usage {
  // Who has words to say and says none earns nothing: else an empty answer, made in no time, would be the best-paid one.
  const empty = served.outputCeiling > 0 && served.passedContentBytes === 0;
  if (served.passedTokens === 0 && (served.cutShort || empty)) return { inputTokens: 0, outputTokens: 0 };
  const { stated } = served;
  const inputTokens = Math.min(
    stated?.inputTokens ?? Math.ceil(served.promptBytes / BYTES_PER_TOKEN_GUESS),
    served.inputCeiling,
  );
  const statedOutput = stated?.outputTokens ?? served.passedTokens;
  const delivered = served.cutShort ? Math.min(statedOutput, served.passedTokens) : statedOutput;
  // One token more than there are bytes, for each answer: the marker that ends one is a token without text.
  const outputTokens = Math.min(delivered, served.outputCeiling, served.passedContentBytes + served.choices);
  return { inputTokens, outputTokens };
}
