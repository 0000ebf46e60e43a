import { z } from 'zod';
import { type AnswerFormat, readAnswerFormat } from './answer-format.ts';

/**
 * The part of an OpenAI chat request that a model run in this process understands. Text only: what cannot be honoured
 * (images, several choices, a forced tool, a schema beyond its grammars) is refused rather than ignored; what merely helps
 * (offered tools, biases) is ignored.
 */

const textPart = z.looseObject({ type: z.literal('text'), text: z.string() });
const content = z.union([
  z.string(),
  z.array(textPart).transform((parts) => parts.map(({ text }) => text).join('')),
]);

const messageSchema = z.discriminatedUnion('role', [
  z.looseObject({ role: z.enum(['system', 'developer']), content }),
  z.looseObject({ role: z.literal('user'), content }),
  z.looseObject({
    role: z.literal('assistant'),
    content: content.nullish(),
    tool_calls: z.array(z.unknown()).nullish(),
  }),
  z.looseObject({ role: z.literal('tool'), content }),
]);

const nothingOr = <T extends z.ZodType>(schema: T) =>
  schema.nullish().transform((value) => (value === null ? undefined : value));

const sampling = {
  temperature: nothingOr(z.number().min(0).max(2)),
  top_p: nothingOr(z.number().gt(0).max(1)),
  seed: nothingOr(z.number().int()),
  max_tokens: nothingOr(z.number().int().min(1)),
  max_completion_tokens: nothingOr(z.number().int().min(1)),
  stop: nothingOr(z.union([z.string(), z.array(z.string()).max(16)])),
  frequency_penalty: nothingOr(z.number().min(-2).max(2)),
  presence_penalty: nothingOr(z.number().min(-2).max(2)),
};

const chatRequestSchema = z.looseObject({
  messages: z.array(messageSchema).min(1),
  ...sampling,
  n: nothingOr(z.literal(1, 'this model gives one choice')),
  tool_choice: nothingOr(
    z.custom((value) => value === 'auto' || value === 'none', 'this model cannot be made to call a tool'),
  ),
  logprobs: nothingOr(z.boolean()),
  top_logprobs: nothingOr(z.number().int().min(0).max(20)),
  response_format: z.unknown().optional(),
});

const textRequestSchema = z.looseObject({
  prompt: z.union([
    z.string(),
    z.tuple([z.string()]).transform(([text]) => text),
    z.array(z.int().nonnegative()).min(1),
  ]),
  ...sampling,
  n: nothingOr(z.literal(1, 'this model gives one choice')),
  best_of: nothingOr(z.literal(1, 'this model gives one choice')),
  echo: nothingOr(z.literal(false, 'this model does not repeat the prompt')),
  suffix: nothingOr(z.literal('', 'this model does not fill gaps')),
  logprobs: nothingOr(z.number().int().min(0).max(20)),
});

export interface ChatTurn {
  readonly type: 'system' | 'user' | 'model';
  readonly text: string;
}

interface Sampling {
  readonly temperature: number | undefined;
  readonly topP: number | undefined;
  readonly seed: number | undefined;
  readonly maxTokens: number | undefined;
  /** Texts that end the answer and are not part of it. */
  readonly stops: readonly string[];
  readonly frequencyPenalty: number;
  readonly presencePenalty: number;
  /** How many other tokens are told with each; undefined: no likelihoods at all. */
  readonly likelihoods: number | undefined;
  readonly format: AnswerFormat | undefined;
}

export interface ChatRequest extends Sampling {
  readonly turns: readonly ChatTurn[];
}

/** A text to go on from: words, or tokens of this very model. */
export interface TextRequest extends Sampling {
  readonly prompt: string | readonly number[];
}

/** Reads a request, or says in one sentence why it cannot be served. */
export function readChatRequest(body: unknown): ChatRequest | { refusal: string } {
  const parsed = chatRequestSchema.safeParse(body);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return { refusal: `${issue?.path.join('.') || 'body'}: ${issue?.message ?? 'not valid'}` };
  }
  const format = readAnswerFormat(parsed.data.response_format);
  if (format && 'refusal' in format) return format;
  const { logprobs, top_logprobs: others = 0 } = parsed.data;
  return {
    turns: parsed.data.messages.map(turnOf),
    ...samplingOf(parsed.data),
    format,
    likelihoods: logprobs ? others : undefined,
  };
}

/** The same for a text completion. */
export function readTextRequest(body: unknown): TextRequest | { refusal: string } {
  const parsed = textRequestSchema.safeParse(body);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return { refusal: `${issue?.path.join('.') || 'body'}: ${issue?.message ?? 'not valid'}` };
  }
  const { prompt, logprobs: likelihoods } = parsed.data;
  return { prompt, ...samplingOf(parsed.data), format: undefined, likelihoods };
}

function samplingOf(
  request: z.output<z.ZodObject<typeof sampling>>,
): Omit<Sampling, 'format' | 'likelihoods'> {
  const stop = request.stop ?? [];
  return {
    temperature: request.temperature,
    topP: request.top_p,
    seed: request.seed,
    maxTokens: request.max_completion_tokens ?? request.max_tokens,
    frequencyPenalty: request.frequency_penalty ?? 0,
    presencePenalty: request.presence_penalty ?? 0,
    stops: (typeof stop === 'string' ? [stop] : stop).filter((text) => text !== ''),
  };
}

function turnOf(message: z.output<typeof messageSchema>): ChatTurn {
  switch (message.role) {
    case 'system':
    case 'developer':
      return { type: 'system', text: message.content };
    case 'assistant': {
      const calls = message.tool_calls?.length ? JSON.stringify(message.tool_calls) : '';
      return { type: 'model', text: (message.content ?? '') + calls };
    }
    default:
      // A user, or a tool: the templates know no turn for its answer, so the model is told it as the user's word.
      return { type: 'user', text: message.content };
  }
}
