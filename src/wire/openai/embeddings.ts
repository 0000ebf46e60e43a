import { z } from 'zod';
import { modelName, user } from './common.ts';

/** `POST /v1/embeddings`. Fields that are not listed are passed on as they are. */

const INPUTS_MAX = 2_048;
/** `abort`: at the first that is negative, not a report on each. */
const tokens = z.array(z.int().min(0, { abort: true })).min(1);

export const embeddingRequestSchema = z
  .looseObject({
    model: modelName,
    input: z
      .union(
        [
          z.string().min(1),
          z.array(z.string().min(1)).min(1).max(INPUTS_MAX),
          tokens,
          z.array(tokens).min(1).max(INPUTS_MAX),
        ],
        `expected a text, 1 to ${INPUTS_MAX} texts, or the same as tokens (whole numbers); no empty text`,
      )
      .describe('A text, texts, or the same as tokens of the model.'),
    encoding_format: z
      .enum(['float', 'base64'])
      .nullish()
      .describe('base64: the vector as 32-bit floats, the lowest byte first.'),
    dimensions: z.int().min(1).max(65_536).nullish(),
    user,
  })
  .meta({ id: 'EmbeddingRequest' });

export const embeddingListSchema = z
  .looseObject({
    object: z.literal('list'),
    model: z.string(),
    data: z.array(
      z.object({
        object: z.literal('embedding'),
        index: z.int(),
        embedding: z.union([z.array(z.number()), z.string()]),
      }),
    ),
    usage: z.object({ prompt_tokens: z.int(), total_tokens: z.int() }),
  })
  .meta({ id: 'EmbeddingList' });
