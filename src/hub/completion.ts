import { statedCount, type Usage } from '#domain/usage.ts';
import type { Completion, Job } from './link.ts';

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

/** The same over all choices of an unstreamed completion. */
export function contentBytesOf(completion: Completion): number {
  return completion.choices.reduce<number>(
    (sum, choice) => sum + answerBytes(isFields(choice) ? choice['message'] : undefined),
    0,
  );
}

/**
 * An unstreamed answer as the consumer may see it: our id, our time, the catalogue's model name, everything else as the
 * backend wrote it. Undefined when it is no completion.
 */
export function ownCompletion(
  response: Fields,
  job: Job,
): { body: Buffer; completion: Completion } | undefined {
  if (!areChoices(response['choices'], 1)) return undefined;
  if (!response['choices'].every((choice) => isFields(choice['message']))) return undefined;
  const { id: _id, object: _object, created: _created, model: _model, error: _error, ...rest } = response;
  const completion = {
    id: job.completionId,
    object: 'chat.completion',
    created: job.createdS,
    model: job.modelId,
    ...rest,
    choices: response['choices'],
  };
  return { body: Buffer.from(JSON.stringify(completion)), completion };
}

/** Is this the unstreamed answer that `job` asked for, with the names it was told to carry? */
export function isCompletionFor(value: unknown, job: Job): value is Completion & Fields {
  return (
    isFields(value) &&
    value['id'] === job.completionId &&
    value['model'] === job.modelId &&
    areChoices(value['choices'], 1) &&
    value['choices'].every((choice) => isFields(choice['message']))
  );
}

/** Is this a streamed piece of the answer that `job` asked for, with the names it was told to carry and no usage? */
export function isCompletionChunkFor(value: unknown, job: Job): boolean {
  return (
    isFields(value) &&
    value['id'] === job.completionId &&
    value['model'] === job.modelId &&
    value['created'] === job.createdS &&
    value['object'] === 'chat.completion.chunk' &&
    areChoices(value['choices'], 1) &&
    !isFields(value['usage'])
  );
}
