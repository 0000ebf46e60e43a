import { z } from 'zod';

/** `GET /v1/models`: OpenAI's four fields, and beside them what a buyer wants to know. */

export const modelSchema = z
  .looseObject({
    id: z.string(),
    object: z.literal('model'),
    created: z.int(),
    owned_by: z.string(),
    slug: z.string().describe('The short name that resolves too.'),
    name: z.string(),
    category: z.enum(['llm', 'image', 'audio', 'embedding', 'multimodal']),
    context_length: z.int().nullable(),
    max_output_tokens: z.int().nullable(),
    pricing: z
      .record(z.string(), z.string())
      .describe(
        'Dollars: per token (prompt, completion), per piece (request), per minute of sound (minute).',
      ),
    available: z.boolean().describe('Somebody serves it now.'),
    providers: z.int().nonnegative(),
  })
  .meta({ id: 'Model' });

export const modelListSchema = z
  .object({ object: z.literal('list'), data: z.array(modelSchema) })
  .meta({ id: 'ModelList' });

/** `GET /v1/generation`: one request's facts, in OpenRouter's shape. */
export const generationSchema = z
  .object({
    data: z.looseObject({
      id: z.string(),
      request_id: z.string(),
      created_at: z.string(),
      model: z.string().nullable().describe('Null where it was refused before it was known which.'),
      operation: z.string(),
      provider_name: z.string().nullable(),
      streamed: z.boolean(),
      cancelled: z.boolean(),
      outcome: z.enum(['completed', 'cancelled', 'broken', 'failed', 'refused']),
      error_code: z.string().nullable(),
      error_status: z.int().nullable().describe('The HTTP status of that code.'),
      latency: z.number().nullable().describe('Milliseconds to the first content.'),
      generation_time: z.number().nullable(),
      tokens_prompt: z.int(),
      tokens_completion: z.int(),
      total_cost: z.number(),
      usage_usd: z.string().describe('What was paid, exactly.'),
    }),
  })
  .meta({ id: 'Generation' });
