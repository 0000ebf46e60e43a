import { statedCount, type Usage } from '#domain/usage.ts';
import type { Job } from './link.ts';

/** No honest count comes near; a larger number is cut to it and then to what was really sent. */
const STATED_TOKENS_MAX = 100_000_000;
/** OpenAI allows 128 answers to one request. */
const CHOICES_MAX = 128;

type Fields = Record<string, unknown>;

/** Is this a JSON object (not an array, not null)? */
export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The two counts of an OpenAI `usage` object; undefined when it does not state both as whole numbers. */
export function statedUsage(usage: unknown): Usage | undefined {
  if (!isFields(usage)) return undefined;
  const inputTokens = statedCount(usage['prompt_tokens'] ?? usage['input_tokens'], STATED_TOKENS_MAX);
  const outputTokens = statedCount(usage['completion_tokens'] ?? usage['output_tokens'], STATED_TOKENS_MAX);
  return inputTokens === undefined || outputTokens === undefined ? undefined : { inputTokens, outputTokens };
}

/**
 * The counts of a `stream_end`, which leaves zeros out: one that is absent beside the other is a zero, two absent ones
 * state nothing.
 */
export function statedTotals(input: unknown, output: unknown): Usage | undefined {
  if ((input ?? undefined) === undefined && (output ?? undefined) === undefined) return undefined;
  return statedUsage({ prompt_tokens: input ?? 0, completion_tokens: output ?? 0 });
}

/** Two statements about one answer: the smaller count of each, since neither is ours. */
export function lowerUsage(a: Usage | undefined, b: Usage | undefined): Usage | undefined {
  if (!a || !b) return a ?? b;
  return {
    inputTokens: Math.min(a.inputTokens, b.inputTokens),
    outputTokens: Math.min(a.outputTokens, b.outputTokens),
  };
}

/** Is this a list of choices that may be shown: at least `least` objects, and not absurdly many? */
export function areChoices(value: unknown, least: number): value is Fields[] {
  return (
    Array.isArray(value) &&
    value.length >= least &&
    value.length <= CHOICES_MAX &&
    value.every((each) => isFields(each))
  );
}

/** Where OpenAI and the engines around it put what a model wrote. Whatever else stands beside them earns nothing. */
const ANSWER_FIELDS = [
  'content',
  'reasoning_content',
  'reasoning',
  'refusal',
  'tool_calls',
  'function_call',
  'audio',
];

/** UTF-8 bytes of what a model wrote in a message or a delta: text, reasoning, a refusal, calls of tools. */
export function answerBytes(said: unknown): number {
  if (!isFields(said)) return 0;
  let bytes = 0;
  for (const field of ANSWER_FIELDS) {
    const value = said[field];
    if (typeof value === 'string') bytes += Buffer.byteLength(value);
    else if (Array.isArray(value) ? value.length > 0 : isFields(value))
      bytes += Buffer.byteLength(JSON.stringify(value));
  }
  return bytes;
}

/** Is this a streamed piece of the answer that `job` asked for, with the names it was told to carry and no usage? */
export function isCompletionChunkFor(value: unknown, job: Job): boolean {
  return (
    isFields(value) &&
    value['id'] === job.completionId &&
    value['model'] === job.modelId &&
    value['created'] === job.createdS &&
    value['object'] === chunkObject(job) &&
    areChoices(value['choices'], 1) &&
    !isFields(value['usage'])
  );
}

/** What each event of a streamed answer calls itself. */
export function chunkObject(job: Job): string {
  return job.operation === 'completions' ? 'text_completion' : 'chat.completion.chunk';
}
