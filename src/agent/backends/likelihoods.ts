/** How likely the model thought the tokens of an answer, and what else it thought of, as OpenAI writes it. */
export interface Likelihood {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[] | null;
  readonly top_logprobs: readonly { token: string; logprob: number; bytes: readonly number[] | null }[];
}

/** Nothing is impossible, in JSON: minus infinity has no place in it. */
const LEAST = -9_999;
const REPLACEMENT = '\uFFFD';

/** `text` is what the token adds; `others` are the likeliest tokens, the first ones first. */
export function likelihood(
  text: string,
  probability: number,
  others: readonly { text: string; probability: number }[],
): Likelihood {
  return {
    ...stated(text, probability),
    top_logprobs: others.map((other) => stated(other.text, other.probability)),
  };
}

function stated(text: string, probability: number) {
  return {
    token: text,
    logprob: probability > 0 ? Math.max(LEAST, Math.log(probability)) : LEAST,
    // Part of a character has no text of its own, and what its bytes are the library does not say.
    bytes: text.includes(REPLACEMENT) ? null : [...Buffer.from(text)],
  };
}

/** `logprobs` of a chat's choice, as JSON. */
export function chatLogprobs(tokens: readonly Likelihood[]): string {
  return JSON.stringify({ content: tokens, refusal: null });
}

/** `logprobs` of a text completion's choice, as JSON; `offset` is where the first token's text begins. */
export function textLogprobs(tokens: readonly Likelihood[], offset: number): string {
  let at = offset;
  const offsets = tokens.map(({ token }) => {
    const begins = at;
    at += token.length;
    return begins;
  });
  return JSON.stringify({
    tokens: tokens.map(({ token }) => token),
    token_logprobs: tokens.map(({ logprob }) => logprob),
    top_logprobs: tokens.map(({ top_logprobs }) =>
      Object.fromEntries(top_logprobs.map(({ token, logprob }) => [token, logprob])),
    ),
    text_offset: offsets,
  });
}
