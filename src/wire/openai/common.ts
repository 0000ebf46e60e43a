import { z } from 'zod';

/** Parts that several requests share. A field that is null counts as absent, as with OpenAI. */

const MODEL_CHARS_MAX = 256;

export const modelName = z
  .string()
  .min(1)
  .max(MODEL_CHARS_MAX)
  .describe('An id of the catalogue, or its short name.');

export const user = z.string().nullish().describe('Who the end user is. Never passed on to a provider.');

/** What a request's text took, as OpenAI writes it. */
export const usageSchema = z
  .looseObject({
    prompt_tokens: z.int().nonnegative(),
    completion_tokens: z.int().nonnegative(),
    total_tokens: z.int().nonnegative(),
  })
  .meta({ id: 'Usage', description: 'What is billed.' });

export const errorSchema = z
  .object({
    error: z.object({
      message: z.string(),
      type: z.string(),
      code: z.string(),
      param: z.string().nullable(),
    }),
  })
  .meta({ id: 'Error', description: 'Every failure. docs/errors.md lists the codes.' });
