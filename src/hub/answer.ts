import type { Operation } from '#domain/operation.ts';
import type { Usage } from '#domain/usage.ts';
import { answerBytes, areChoices, isFields, statedUsage } from './completion.ts';
import type { Answer, Expected, Job } from './link.ts';
import { textAnswer } from './text-by-chat.ts';

/**
 * Unstreamed answers, by operation: is this the answer that was asked for, and what may the consumer see of it? A
 * provider's answer is data of a stranger: what has not the shape of its operation, or another number of results than were
 * asked for, is no answer, and the provider has failed.
 */

type Fields = Record<string, unknown>;

/** Does `value`, which came from an agent that was told what to say, say it? */
export function isAnswerFor(value: unknown, job: Job): value is Answer {
  if (!isFields(value)) return false;
  const { id = value['id'], model = value['model'] } = heading(job);
  if (value['id'] !== id || value['model'] !== model) return false;
  return SHAPES[job.operation](value, job);
}

/**
 * The answer of an agent that names things its own way, as the consumer may see it: our id, our time, the catalogue's
 * model name, everything else as the backend wrote it. Undefined when it is no answer to `job`. `byChat`: a text
 * completion was asked as a chat.
 */
export function ownAnswer(
  response: Fields,
  job: Job,
  asked: { byChat: boolean },
): { body: Buffer; answer: Answer } | undefined {
  const said = asked.byChat ? textAnswer(response) : response;
  if (!said || !SHAPES[job.operation](said, job)) return undefined;
  const { id: _id, object: _object, created: _created, model: _model, error: _error, ...rest } = said;
  const answer: Answer = { ...heading(job), ...rest };
  return { body: Buffer.from(JSON.stringify(answer)), answer };
}

/** What the provider states that the answer took, in the words of its operation; undefined when it states nothing usable. */
export function statedFor(answer: Answer, operation: Operation): Usage | undefined {
  const { usage } = answer;
  if (operation !== 'embeddings' || !isFields(usage)) return statedUsage(usage);
  // Only what was read costs: OpenAI's block has no count of tokens made.
  return statedUsage({
    prompt_tokens: usage['prompt_tokens'] ?? usage['total_tokens'],
    completion_tokens: 0,
  });
}

/** UTF-8 bytes of what a model wrote in all choices of a chat completion. */
export function contentBytesOf(answer: Answer): number {
  return (answer['choices'] as Fields[]).reduce((sum, choice) => sum + answerBytes(choice['message']), 0);
}

/** Is there anything in an answer that has its shape? */
export function saysSomething(answer: Answer, operation: Operation): boolean {
  if (operation === 'chat/completions') return contentBytesOf(answer) > 0;
  if (operation === 'completions') return (answer['choices'] as Fields[]).some(({ text }) => text !== '');
  return true;
}

/** What every answer says in our words, whoever made it. */
function heading(job: Job): Fields {
  switch (job.operation) {
    case 'chat/completions':
    case 'completions':
      return {
        id: job.completionId,
        object: job.operation === 'completions' ? 'text_completion' : 'chat.completion',
        created: job.createdS,
        model: job.modelId,
      };
    case 'embeddings':
      return { object: 'list', model: job.modelId };
    case 'images/generations':
      return { created: job.createdS };
    default:
      return {};
  }
}

const SHAPES: Readonly<Record<Operation, (value: Fields, job: Job) => boolean>> = {
  'chat/completions': ({ choices }) =>
    areChoices(choices, 1) && choices.every((choice) => isFields(choice['message'])),
  completions: ({ choices }) =>
    areChoices(choices, 1) && choices.every((choice) => typeof choice['text'] === 'string'),
  embeddings: ({ data }, job) => areEmbeddings(data, job.expects),
  'images/generations': ({ data }, job) =>
    Array.isArray(data) &&
    data.length >= 1 &&
    data.length <= job.expects.items &&
    data.every((one) => isFields(one) && (isText(one['b64_json']) || isText(one['url']))),
  'audio/transcriptions': ({ text }) => typeof text === 'string',
};

/** As many vectors of one length as were asked for, in order: numbers, or the same as base64 of 32-bit floats. */
function areEmbeddings(data: unknown, expects: Expected): boolean {
  if (!Array.isArray(data) || data.length !== expects.items) return false;
  let { dimensions } = expects;
  for (let i = 0; i < data.length; i++) {
    const one: unknown = data[i];
    if (!isFields(one) || (one['index'] !== i && one['index'] !== undefined)) return false;
    const length = dimensionsOf(one['embedding']);
    if (length === undefined || (dimensions !== undefined && length !== dimensions)) return false;
    dimensions = length;
  }
  return true;
}

function dimensionsOf(vector: unknown): number | undefined {
  if (typeof vector === 'string') {
    const bytes = Buffer.byteLength(vector, 'base64');
    return bytes > 0 && bytes % 4 === 0 && isBase64(vector) ? bytes / 4 : undefined;
  }
  if (!Array.isArray(vector) || vector.length === 0) return undefined;
  return vector.every((each) => Number.isFinite(each)) ? vector.length : undefined;
}

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** Reading and writing it again takes a seventh of what the pattern takes; what comes out otherwise is looked at closer. */
function isBase64(text: string): boolean {
  return Buffer.from(text, 'base64').toString('base64') === text || BASE64.test(text);
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}
