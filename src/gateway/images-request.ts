import { Fault } from '#kit/fault.ts';
import { imageRequestSchema } from '#wire/openai/images.ts';
import { PRIVATE_FIELDS } from './body.ts';
import type { Ask } from './endpoint.ts';
import { readBySchema } from './read-json.ts';

/** The body of a request for images, read. */
export interface ImagesRequest extends Ask {
  readonly needsRewrite: boolean;
}

export function readImagesRequest(bytes: Buffer): ImagesRequest | Fault {
  const body = readBySchema(bytes, imageRequestSchema);
  if (body instanceof Fault) return body;
  return {
    model: body.model,
    stream: false,
    includeUsage: false,
    maxTokens: undefined,
    n: body.n ?? 1,
    promptBytes: Buffer.byteLength(body.prompt),
    needsRewrite: Object.keys(body).some((name) => PRIVATE_FIELDS.has(name)),
  };
}
