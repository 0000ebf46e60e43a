import { z } from 'zod';
import { modelName, user } from './common.ts';

/** `POST /v1/images/generations`. Fields that are not listed are passed on as they are. */

const IMAGES_MAX = 10;
const IMAGE_PROMPT_CHARS_MAX = 32_000;

export const imageRequestSchema = z
  .looseObject({
    model: modelName,
    prompt: z.string().min(1).max(IMAGE_PROMPT_CHARS_MAX),
    n: z.int().min(1).max(IMAGES_MAX).nullish().describe('Each image costs the price of one request.'),
    size: z.string().max(32).nullish(),
    response_format: z.enum(['url', 'b64_json']).nullish(),
    stream: z.literal(false, 'images are not streamed').nullish(),
    user,
  })
  .meta({ id: 'ImageRequest' });

export const imageListSchema = z
  .looseObject({
    created: z.int(),
    data: z.array(
      z.looseObject({
        b64_json: z.string().optional(),
        url: z.string().optional(),
        revised_prompt: z.string().optional(),
      }),
    ),
  })
  .meta({ id: 'ImageList' });
