import { Fault } from '#kit/fault.ts';
import { completionRequestSchema } from '#wire/openai/completions.ts';
import { type BodyLimits, PRIVATE_FIELDS } from './body.ts';
import type { Ask } from './endpoint.ts';
import { readBySchema } from './read-json.ts';

/** The body of a text completion, read. */
export interface TextRequest extends Ask {
  readonly messageCount: number;
  readonly mediaParts: 0;
  readonly prompts: number;
  /** One prompt in words, and nothing that a chat has no word for: it can be served by a chat. */
  readonly plain: boolean;
  readonly needsRewrite: boolean;
}

/** OpenAI's own default; an answer is short unless it is asked to be longer. */
const TOKENS_DEFAULT = 16;

export function readTextRequest(bytes: Buffer, limits: BodyLimits): TextRequest | Fault {
  const body = readBySchema(bytes, completionRequestSchema);
  if (body instanceof Fault) return body;
  const { prompt } = body;
  const texts: readonly unknown[] = typeof prompt === 'string' ? [prompt] : prompt;
  const inWords = typeof texts[0] === 'string';
  const inTokens = Array.isArray(texts[0]);
  const prompts = inWords || inTokens ? texts.length : 1;
  if (inWords && texts.some((text) => (text as string).length > limits.messageCharsMax)) {
    return invalid('prompt', `A prompt may have at most ${limits.messageCharsMax} characters.`);
  }
  if (body.stream_options && !body.stream) {
    return invalid('stream_options', "'stream_options' is only allowed when 'stream' is true.");
  }
  const maxTokens = body.max_tokens ?? TOKENS_DEFAULT;
  if (maxTokens > limits.outputTokensMax) {
    return invalid('max_tokens', `'max_tokens' must be a whole number from 0 to ${limits.outputTokensMax}.`);
  }
  // Each of `best_of` is generated and paid for, though only `n` are shown.
  const n = Math.max(body.n ?? 1, body.best_of ?? 1) * prompts;
  return {
    model: body.model,
    stream: body.stream ?? false,
    includeUsage: body.stream_options?.include_usage ?? false,
    maxTokens,
    n,
    promptBytes: inWords ? bytesOf(texts as string[]) : countOf(texts as number[] | number[][]),
    messageCount: prompts,
    mediaParts: 0,
    prompts,
    plain:
      inWords && prompts === 1 && maxTokens > 0 && !body.echo && !body.suffix && (body.best_of ?? 1) === 1,
    needsRewrite: Object.keys(body).some((name) => PRIVATE_FIELDS.has(name)),
  };
}

function invalid(param: string, outer: string): Fault {
  return new Fault('request-invalid', { param, outer });
}

/** UTF-8 bytes of all texts. */
export function bytesOf(texts: readonly string[]): number {
  let bytes = 0;
  for (const text of texts) bytes += Buffer.byteLength(text);
  return bytes;
}

/** Tokens of all lists. */
export function countOf(lists: readonly number[] | readonly (readonly number[])[]): number {
  let count = 0;
  for (const each of lists) count += typeof each === 'number' ? 1 : each.length;
  return count;
}
