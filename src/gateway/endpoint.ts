import type { Category, Model } from '#domain/model.ts';
import type { Operation, OperationSet } from '#domain/operation.ts';
import type { Preferences } from '#domain/preferences.ts';
import type { Usage } from '#domain/usage.ts';
import type { Answer, Expected, Gather } from '#hub/link.ts';

/**
 * What the paid endpoints have in common, and where they differ. The journey (`inference.ts`) is one; an endpoint says how
 * its body is read, what an answer can cost at most, what was delivered, and how it looks. All of it is pure.
 */

/** What the journey needs to know of any request. */
export interface Ask {
  /** As the caller wrote it: an id, a slug or an alias. */
  readonly model: string;
  readonly stream: boolean;
  /** `stream_options.include_usage`. */
  readonly includeUsage: boolean;
  /** Of each answer in tokens; undefined when the caller set no limit. */
  readonly maxTokens: number | undefined;
  /** Where a body can name that limit in two ways: each, as far as it is named. */
  readonly named?: {
    readonly maxTokens: number | undefined;
    readonly maxCompletionTokens: number | undefined;
  };
  /** How many answers. */
  readonly n: number;
  /** UTF-8 bytes of what is to be read, or more: a token is at least one of them. */
  readonly promptBytes: number;
  /** What goes to the agent in place of the consumer's bytes, where the two differ in more than a few fields. */
  readonly body?: Uint8Array | undefined;
  /** What the caller wishes of routing; absent where the endpoint takes no wishes. */
  readonly routing?: RoutingAsk | undefined;
}

/** OpenRouter's fields of routing, as far as they were set. */
export interface RoutingAsk {
  /** The `provider` object. */
  readonly preferences: Preferences | undefined;
  /** Further `models` to try when nobody can serve the first. */
  readonly fallbackModels: readonly string[];
  /** The names of all fields of the body, where the preferences ask for them. */
  readonly parameters: readonly string[];
  /** Names the conversation: what the caller says, else how it begins. */
  readonly conversation: string | undefined;
}

/** The most that a request may consume. What is held is the price of it. */
export interface Ceiling {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly units: number;
  readonly seconds: number;
}

/** A whole answer as the consumer gets it. */
export interface Rendered {
  readonly type: string;
  readonly body: Buffer;
}

export interface Endpoint<A extends Ask = Ask> {
  /** In a sentence: "… does not answer chat completions." */
  readonly name: string;
  readonly operation: Operation;
  readonly categories: ReadonlySet<Category>;
  /** Why this model cannot take this request, as the consumer may read it. */
  misfit?(ask: A, model: Model): { readonly param: string; readonly outer: string } | undefined;
  /** UTF-8 bytes of text to be read, for the limit on prompts; absent where other things than text are read. */
  textBytes?(ask: A): number;
  /** What a candidate must be able to do; one of these is enough. */
  needs(ask: A): OperationSet;
  ceiling(ask: A, model: Model, limits: TokenLimits): Ceiling;
  expects(ask: A): Expected;
  /** What a small request may share a call by; absent where none may. */
  gather?(ask: A): Gather | undefined;
  /** The body as it may be passed on. */
  body(ask: A, bytes: Buffer): Buffer;
  /** Fields of the body that are replaced, beside the model's name and the cap on tokens. */
  set?(ask: A): Record<string, unknown>;
  /** What each event of a stream calls itself; undefined where nothing streams. */
  readonly chunkObject?: string;
  /** UTF-8 bytes of the model's own words in a whole answer: they bound its tokens. */
  contentBytes(answer: Answer): number;
  /** What an answer is billed for beside tokens. */
  pieces?(ask: A, answer: Answer): Pick<Usage, 'units' | 'seconds'>;
  /** The whole answer; `body` is what came from the agent, and `answer` the same, parsed. */
  render(whole: { ask: A; answer: Answer; body: Buffer; usage: Usage }): Rendered;
}

export interface TokenLimits {
  readonly inputTokensMax: number;
  readonly outputTokensMax: number;
  /** Without a limit of its own, an answer is held for at most this many tokens. */
  readonly outputTokensDefault: number;
}

/** Bills as OpenAI writes them. */
export function usageBody(usage: Usage): Record<string, number> {
  return {
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
  };
}

/** An answer that states its usage, stating the usage that is billed. The bytes pass untouched when they already do. */
export function billed(whole: { answer: Answer; body: Buffer; usage: Usage }): Rendered {
  const { answer, body, usage } = whole;
  const stated = answer['usage'] as
    | { prompt_tokens?: unknown; completion_tokens?: unknown; total_tokens?: unknown }
    | null
    | undefined;
  const agrees =
    stated?.prompt_tokens === usage.inputTokens &&
    stated.completion_tokens === usage.outputTokens &&
    stated.total_tokens === usage.inputTokens + usage.outputTokens;
  return json(agrees ? body : Buffer.from(JSON.stringify({ ...answer, usage: usageBody(usage) })));
}

export function json(body: Buffer): Rendered {
  return { type: 'application/json', body };
}
