import { z } from 'zod';
import { modelName, usageSchema, user } from './common.ts';

/** `POST /v1/completions`: OpenAI's older way to ask for text. Fields that are not listed are passed on as they are. */

const PROMPTS_MAX = 128;
/** `abort`: at the first that is negative, not a report on each. */
const tokens = z.array(z.int().min(0, { abort: true })).min(1);

export const completionRequestSchema = z
  .looseObject({
    model: modelName,
    prompt: z
      .union(
        [
          z.string(),
          z.array(z.string()).min(1).max(PROMPTS_MAX),
          tokens,
          z.array(tokens).min(1).max(PROMPTS_MAX),
        ],
        `expected a text, 1 to ${PROMPTS_MAX} texts, or the same as tokens (whole numbers)`,
      )
      .describe('Text, several texts, or the same as tokens of the model.'),
    max_tokens: z.int().min(0).nullish().describe('16 unless it is said otherwise.'),
    n: z.int().min(1).max(8).nullish(),
    best_of: z.int().min(1).max(8).nullish(),
    stream: z.boolean().nullish(),
    stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
    temperature: z.number().min(0).max(2).nullish(),
    top_p: z.number().min(0).max(1).nullish(),
    presence_penalty: z.number().min(-2).max(2).nullish(),
    frequency_penalty: z.number().min(-2).max(2).nullish(),
    stop: z.union([z.string(), z.array(z.string()).max(16)]).nullish(),
    seed: z.int().nullish(),
    logprobs: z.int().min(0).max(20).nullish(),
    echo: z.boolean().nullish(),
    suffix: z.string().nullish(),
    user,
  })
  .meta({ id: 'CompletionRequest' });

export const completionSchema = z
  .looseObject({
    id: z.string(),
    object: z.literal('text_completion'),
    created: z.int(),
    model: z.string(),
    choices: z.array(
      z.looseObject({
        index: z.int(),
        text: z.string(),
        logprobs: z.looseObject({}).nullish(),
        finish_reason: z.string().nullable(),
      }),
    ),
    usage: usageSchema.optional(),
  })
  .meta({ id: 'Completion' });
